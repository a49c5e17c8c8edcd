//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// TestTailEndsInATerminalThatTakesNothing has a terminal that nobody reads, as
// after Ctrl-S.
func TestTailEndsInATerminalThatTakesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		signal os.Signal
		code   int
	}{
		"a signal":                   {nil, syscall.SIGTERM, 143},
		"--timeout":                  {[]string{"--timeout", "200ms"}, nil, exitTimeout},
		"--timeout, no live line":    {[]string{"--timeout", "200ms", "--status", "off"}, nil, exitTimeout},
		"--timeout, and much to say": {[]string{"--timeout", "200ms", "-o", "none", "-q", ".x"}, nil, exitTimeout},
		"--for":                      {[]string{"--for", "200ms", "-v"}, nil, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			screen, line, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer screen.Close()
			defer line.Close()
			ctx, cancel := context.WithTimeout(t.Context(), ptyPatience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "sse", append([]string{endless(t)}, c.args...)...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = line, line, line
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := screen.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			if c.signal != nil {
				if err := cmd.Process.Signal(c.signal); err != nil {
					t.Error(err)
				}
			}
			if err := cmd.Wait(); ctx.Err() != nil || cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("%v, want exit code %d", err, c.code)
			}
		})
	}
}

// TestForEndsWithAReaderThatDoesNotRead has a pipe that nobody reads.
func TestForEndsWithAReaderThatDoesNotRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := startTerminal(t, 80, 24, []string{"sse", endless(t), "-o", "data", "--for", "200ms"}, withStdout(w))
	w.Close()
	if code := x.exit(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// TestCountIsPrintedHoweverSlowTheReader has a pipe that is not read before
// all that it has no room for was received.
func TestCountIsPrintedHoweverSlowTheReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := startTerminal(t, 80, 24, []string{"sse", endless(t), "-o", "data", "-n", "8000"}, withStdout(w))
	w.Close()
	x.waitFor("closed | ")
	lines := 0
	for in := bufio.NewReader(r); ; lines++ {
		if _, err := in.ReadString('\n'); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if code := x.exit(); code != exitDone || lines != 8000 {
		t.Errorf("exit code %d after %d lines", code, lines)
	}
}
