package main

import (
	"os"
	"os/exec"
	"syscall"
)

// leadGroup does nothing: signals are for one process.
func leadGroup(*exec.Cmd) {}

// signalGroup sends a signal to a command.
func signalGroup(leader *os.Process, sig syscall.Signal) error { return leader.Signal(sig) }
