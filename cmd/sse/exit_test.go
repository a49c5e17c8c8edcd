package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/wellspring-go/sse"
)

func TestErrorsAreLinesThatATerminalDoesNotObey(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"sse: no":               "sse: no\n",
		"no\nhint":              "sse: no\nsse: hint\n",
		"unknown flag: \x1b[1m": "sse: unknown flag: \\u001b[1m\n",
	} {
		var b strings.Builder
		printError(&b, errors.New(text))
		if b.String() != want {
			t.Errorf("got %q, want %q", b.String(), want)
		}
	}
}

func TestTheExitCodeSaysWhoEndedIt(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(signalError{syscall.SIGTERM})
	for _, test := range []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{t.Context(), nil, 0},
		{t.Context(), errors.New("bug"), 1},
		{t.Context(), usagef("--flag: wrong"), 2},
		{t.Context(), fmt.Errorf("more: %w", codeError{exitOutput, io.ErrShortWrite}), 6},
		{t.Context(), codeError{code: exitDone}, 0},
		{interrupted, nil, 143},
		{interrupted, context.Cause(interrupted), 143},
		{interrupted, codeError{exitOutput, io.ErrShortWrite}, 6},
		{t.Context(), signalError{os.Interrupt}, 130},
	} {
		if got := codeOf(test.ctx, test.err); got != test.want {
			t.Errorf("%v: code %d, want %d", test.err, got, test.want)
		}
	}
}

func TestTheEndOfASourceSaysWhoEndedIt(t *testing.T) {
	cut := fmt.Errorf("cut: %w", io.ErrUnexpectedEOF)
	for _, test := range []struct {
		name  string
		err   error
		last  sse.CloseEvent
		asked bool
		want  int
	}{
		{"closed as asked", sse.ErrClosed, sse.CloseEvent{IsLocal: true}, true, 0},
		{"clean", io.EOF, sse.CloseEvent{Status: 200, Err: io.EOF}, false, 0},
		{"clean, too early", io.EOF, sse.CloseEvent{Status: 200, Err: io.EOF}, true, 5},
		{"cut", cut, sse.CloseEvent{Status: 200, Err: cut}, false, 4},
		{"what a flag calls retriable", sse.ErrStatus, sse.CloseEvent{Status: 401, Err: sse.ErrStatus, Retriable: true}, false, 4},
		{"refused", sse.ErrStatus, sse.CloseEvent{Status: 401, Err: sse.ErrStatus}, false, 3},
		{"signal", signalError{syscall.SIGTERM}, sse.CloseEvent{IsLocal: true}, false, 143},
	} {
		if got := codeOf(t.Context(), endOf(test.err, test.last, test.asked)); got != test.want {
			t.Errorf("%s: code %d, want %d", test.name, got, test.want)
		}
	}
}
