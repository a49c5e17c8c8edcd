package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/wellspring-go/sse"
)

// The exit codes say who ended it.
const (
	exitDone     = 0   // the asked-for end was reached
	exitInternal = 1   // a fault of this program; check and parse --strict: a fault was found
	exitUsage    = 2   // the command line is wrong
	exitFatal    = 3   // the server said no
	exitTrouble  = 4   // retriable trouble, and no attempt left or allowed
	exitEarly    = 5   // a clean end before the asked-for condition
	exitOutput   = 6   // the output side failed
	exitTimeout  = 124 // --timeout
)

// A codeError ends the program with a code. If err is nil nothing is printed.
type codeError struct {
	code int
	err  error
}

func (e codeError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e codeError) Unwrap() error { return e.err }

// A usageError is a mistake in the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usagef is fmt.Errorf for mistakes in the command line. The text names the
// flag.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A signalError is the end that a signal asked for.
type signalError struct{ sig os.Signal }

func (e signalError) Error() string { return "" } // whoever sent it knows

func (e signalError) code() int {
	if sig, ok := e.sig.(syscall.Signal); ok {
		return 128 + int(sig)
	}
	return 130
}

// endOf returns what the end of a source means: nil for an end as asked for,
// else a codeError, or the cause of the context. err is what the source's Err
// says, last its last close, with Retriable set if it was trouble that may
// pass, and asked says whether there was something to be reached first.
func endOf(err error, last sse.CloseEvent, asked bool) error {
	switch {
	case err == nil || errors.Is(err, sse.ErrClosed):
		return nil
	case last.IsLocal:
		return err
	case err == io.EOF && asked:
		return codeError{exitEarly, errors.New("the stream ended before what was asked for was reached")}
	case err == io.EOF:
		return nil
	}
	last.Resumable = true
	if last.Retriable || sse.DefaultRetriable(last) {
		return codeError{exitTrouble, err}
	}
	return codeError{exitFatal, err}
}

// written is the error of a command whose only output failed with err.
func written(err error) error {
	if err == nil {
		return nil
	}
	return outputError(err)
}
