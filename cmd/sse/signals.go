package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// signalsTogether is how long further signals belong to the first: some
// senders send theirs to the program and to its group, a terminal that closes
// has its shell send another, and what the first began is to be finished.
const signalsTogether = 250 * time.Millisecond

// untilSignal returns a context that the first interrupt, termination or
// hangup cancels, with a signalError as its cause. The second, after
// signalsTogether, ends the program at once.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		// A shell that starts a job in the background, and nohup, want it to
		// stay ignored.
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	done := make(chan struct{})
	go obey(signals, done, cancel, quit)
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// obey does what signals ask for, until done.
func obey(signals <-chan os.Signal, done <-chan struct{}, cancel context.CancelCauseFunc, quit func(code int)) {
	var first time.Time
	for {
		select {
		case <-done:
			return
		case sig := <-signals:
			switch {
			case first.IsZero():
				first = time.Now()
				cancel(signalError{sig})
			case time.Since(first) >= signalsTogether:
				quit(signalError{sig}.code())
			}
		}
	}
}

// atQuit is run before a second signal ends the program: what shows a screen
// gives the terminal back here.
var atQuit atomic.Pointer[func()]

func quit(code int) {
	killCommand()
	if giveBack := atQuit.Load(); giveBack != nil {
		(*giveBack)()
	}
	os.Exit(code)
}
