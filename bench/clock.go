package main

import (
	"syscall"
	"time"
)

// A clock returns the time from some moment on.
type clock func() time.Duration

var started = time.Now()

// wallClock is what a program waits.
func wallClock() time.Duration { return time.Since(started) }

// processClock is what this process has used of all processors, that of the
// collector included. Other programs on the machine hardly disturb it.
func processClock() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it fails only for bad arguments
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
