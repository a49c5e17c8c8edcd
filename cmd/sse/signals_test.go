package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestSignalsThatComeTogetherAreOne has two signals from one sender, and one
// that somebody sends later who has waited.
func TestSignalsThatComeTogetherAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		signals, done := make(chan os.Signal), make(chan struct{})
		var codes []int
		go obey(signals, done, cancel, func(code int) { codes = append(codes, code) })
		defer close(done)
		signals <- syscall.SIGTERM
		signals <- syscall.SIGTERM
		time.Sleep(signalsTogether - 1)
		signals <- os.Interrupt
		synctest.Wait()
		if len(codes) > 0 {
			t.Fatalf("a signal that comes with the first ends the program at once, with %v", codes)
		}
		var sig signalError
		if !errors.As(context.Cause(ctx), &sig) || sig.code() != 143 {
			t.Errorf("the first signal gives %v", context.Cause(ctx))
		}
		time.Sleep(time.Nanosecond)
		signals <- os.Interrupt
		synctest.Wait()
		if len(codes) != 1 || codes[0] != 130 {
			t.Errorf("the second signal ends the program with %v", codes)
		}
	})
}
