package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// An actor does what --exec and --forward ask for with each event, one at a
// time.
type actor struct {
	command string
	forward string

	stdout, stderr io.Writer // of the command
	target         *url.URL  // of forward
	client         *http.Client
}

// addFlags defines the flags.
func (a *actor) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&a.command, "exec", "", "run sh -c `CMD` for each event, one at a time, with the data on stdin and SSE_ID, SSE_EVENT, SSE_DATA and SSE_SEQ in the environment (empty if over 64 KiB, or with a NUL). Its output goes to stderr, with -o none to stdout. If it fails there is a warning; with --state it ends with 6, and the next run begins with that event")
	fs.StringVar(&a.forward, "forward", "", "POST the data of each event to `URL`, with the headers SSE-Event and SSE-ID; go on after a 2xx, try again after what may pass, 7 times or for 30s at most, end with 6 after anything else")
}

// start checks the flags and makes the actor ready.
func (a *actor) start(stdout, stderr io.Writer) error {
	a.stdout, a.stderr = stdout, stderr
	if a.command != "" {
		if _, err := exec.LookPath("sh"); err != nil {
			return usagef("--exec: %w", err)
		}
	}
	if a.forward == "" {
		return nil
	}
	return a.startForward()
}

// acts reports whether there is something to do.
func (a *actor) acts() bool { return a.command != "" || a.forward != "" }

// A commandError is a command of --exec that failed with an event.
type commandError struct {
	seq uint64
	err error
}

func (e commandError) Error() string { return fmt.Sprintf("--exec: event %d: %v", e.seq, e.err) }
func (e commandError) Unwrap() error { return e.err }

// act does it. Its error is a commandError, the cause of ctx, or a codeError.
func (a *actor) act(ctx context.Context, seq uint64, ev chosen) error {
	var err error
	if a.command != "" {
		err = a.exec(ctx, seq, ev)
	}
	if a.forward != "" && err == nil {
		err = a.post(ctx, seq, ev)
	}
	return err
}

// grace is how long a command has to end after a signal or --timeout. It is a
// variable for tests.
var grace = 5 * time.Second

// exec runs the command. Nothing of the event is part of the command line.
func (a *actor) exec(ctx context.Context, seq uint64, ev chosen) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", a.command)
	cmd.Stdin = strings.NewReader(ev.Data)
	cmd.Stdout, cmd.Stderr = a.stdout, a.stderr
	cmd.Env = append(os.Environ(),
		"SSE_SEQ="+strconv.FormatUint(seq, 10), variable("SSE_ID", ev.ID), variable("SSE_EVENT", ev.Name), variable("SSE_DATA", ev.Data))
	leadGroup(cmd)
	var told time.Time
	cmd.Cancel = func() error {
		told = time.Now()
		return signalGroup(cmd.Process, syscall.SIGTERM)
	}
	cmd.WaitDelay = grace
	err := cmd.Start()
	if err == nil {
		running.Store(cmd.Process)
		err = cmd.Wait()
		if !told.IsZero() && time.Since(told) >= grace { // Wait has killed the shell alone
			killCommand()
		}
		running.Store(nil)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay): // it has left a child that keeps its output open
		return nil
	}
	return commandError{seq, err}
}

// running is the command of --exec that runs, if any.
var running atomic.Pointer[os.Process]

// killCommand kills the command that runs, and all that it runs. A second
// Ctrl-C does not reach them by itself.
func killCommand() {
	if p := running.Load(); p != nil {
		_ = signalGroup(p, syscall.SIGKILL) // it may have ended
	}
}

// variable returns a variable for the environment. The system has no room for
// long ones, or for a NUL in them.
func variable(name, value string) string {
	const most = 64 << 10
	if len(value) > most || strings.ContainsRune(value, 0) {
		value = ""
	}
	return name + "=" + value
}
