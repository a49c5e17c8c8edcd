package main

import (
	"errors"
	"syscall"
)

// keepSIGPIPE does nothing: there is no such signal.
func keepSIGPIPE() {}

// errNoData is ERROR_NO_DATA: the pipe is being closed.
const errNoData = syscall.Errno(232)

// isClosedPipe reports whether a write failed because nobody reads any more.
func isClosedPipe(err error) bool {
	return errors.Is(err, errNoData) || errors.Is(err, syscall.ERROR_BROKEN_PIPE)
}
