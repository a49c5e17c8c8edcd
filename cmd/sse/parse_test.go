package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// runParse runs the command parse with in as standard input.
func runParse(ctx context.Context, in io.Reader, args ...string) (stdout string, err error) {
	var out strings.Builder
	cmd := newParse()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetIn(in)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err = cmd.ExecuteContext(ctx)
	return out.String(), err
}

func TestParsePrintsEventsAsTheyCome(t *testing.T) {
	in, feed := io.Pipe()
	events := make(chan string)
	cmd := newParse()
	cmd.SetArgs([]string{"-o", "data"})
	cmd.SetIn(in)
	cmd.SetOut(writerFunc(func(b []byte) (int, error) {
		events <- string(b)
		return len(b), nil
	}))
	ended := make(chan error)
	go func() { ended <- cmd.ExecuteContext(t.Context()) }()
	for _, want := range []string{"one\n", "two\n"} {
		io.WriteString(feed, "data: "+want+"\n")
		if got := <-events; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	feed.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestParseEndsWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	in, feed := io.Pipe()
	defer feed.Close()
	go io.WriteString(feed, "data: x\n\n")
	cmd := newParse()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{})
	cmd.SetIn(in)
	cmd.SetOut(writerFunc(func(b []byte) (int, error) {
		cancel(signalError{syscall.SIGINT})
		return len(b), nil
	}))
	var sig signalError
	if err := cmd.ExecuteContext(ctx); !errors.As(err, &sig) {
		t.Errorf("ended with %v", err)
	}
}

func TestParseEndsAJqProgramThatWouldNot(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(signalError{syscall.SIGINT}) })
	var sig signalError
	if _, err := runParse(ctx, strings.NewReader("data: x\n\n"), "-q", "last(repeat(1))"); !errors.As(err, &sig) {
		t.Errorf("ended with %v", err)
	}
}

func TestParseTellsWhatItCannotRead(t *testing.T) {
	broken := errors.New("the disk is broken")
	out, err := runParse(t.Context(), io.MultiReader(strings.NewReader("data: x\n\ndata: y\n"), iotest.ErrReader(broken)), "-o", "data")
	if !errors.Is(err, broken) || codeOf(t.Context(), err) != exitInternal || out != "x\n" {
		t.Errorf("printed %q, ended with %v", out, err)
	}
	_, err = runParse(t.Context(), strings.NewReader("data: x\n\ndata: "+strings.Repeat("y", 17<<20)), "-o", "none")
	if err == nil || err.Error() != "-, event 2: larger than 16 MiB" || codeOf(t.Context(), err) != exitInternal {
		t.Errorf("ended with %v", err)
	}
}

func TestParseStrictNamesFaultsBeforeTheEventTheyAreIn(t *testing.T) {
	var all strings.Builder
	cmd := newParse()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"--strict", "-o", "data"})
	cmd.SetIn(strings.NewReader("data: 1\n\nfoo\ndata: 2\n\ndata: 3\n\nbar\n"))
	cmd.SetOut(&all)
	cmd.SetErr(&all)
	if err := cmd.ExecuteContext(t.Context()); err == nil || err.Error() != "--strict: 2 faults in -" {
		t.Error(err)
	}
	want := "1\n-:3: unknown field \"foo\", which is ignored\n2\n3\n-:8: unknown field \"bar\", which is ignored\n"
	if got := all.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
