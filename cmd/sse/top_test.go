package main

import (
	"os"
	"time"
)

// runFaulty is sse with a panic at the place that FAULT names, the third time
// that it is come by, and with GRACE as the grace of commands.
func runFaulty() {
	times := map[string]int{}
	fault := os.Getenv("FAULT")
	topHook = func(where string) {
		if where == fault {
			if times[where]++; times[where] == 3 {
				panic("this is a test")
			}
		}
	}
	if d, err := time.ParseDuration(os.Getenv("GRACE")); err == nil {
		grace = d
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
