package sse

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// An idleTimer cancels a connection on which the server has been silent for
// limit. Silence is what passes between wait and rest, that is while the
// source waits for bytes and not while hooks or consumers keep it. A nil
// idleTimer, or one without a limit, does nothing.
type idleTimer struct {
	limit  time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	since time.Time // when the wait began; zero while resting
	timer *time.Timer
	ended bool
}

func newIdleTimer(limit time.Duration, cancel context.CancelCauseFunc) *idleTimer {
	if limit <= 0 {
		return nil
	}
	return &idleTimer{limit: limit, cancel: cancel}
}

// wait begins a wait for bytes.
func (t *idleTimer) wait() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since = time.Now()
	if t.timer == nil {
		t.timer = time.AfterFunc(t.limit, t.fire)
	}
}

// rest ends the wait.
func (t *idleTimer) rest() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since = time.Time{}
}

// fire comes at the latest limit after the current wait began. The timer is
// not moved at each read, which would cost more than the read; it looks when
// it fires how much of the silence is left.
func (t *idleTimer) fire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	left := t.limit
	if !t.since.IsZero() {
		left -= time.Since(t.since)
	}
	if left > 0 {
		t.timer.Reset(left)
		return
	}
	t.cancel(fmt.Errorf("%w: no byte for %v (Options.IdleTimeout)", ErrIdle, t.limit))
}

func (t *idleTimer) stop() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.timer != nil {
		t.timer.Stop()
	}
}
