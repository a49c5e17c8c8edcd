//go:build unix

package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// keepSIGPIPE makes a write to a pipe that nobody reads an error. Go would end
// the program by the signal. The signal is not ignored but received, as
// commands that are run would inherit that it is ignored.
func keepSIGPIPE() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// isClosedPipe reports whether a write failed because nobody reads any more.
func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
