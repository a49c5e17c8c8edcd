package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// outputRoom is how much may wait to be written, but for one event more: as
	// much as one read of a fast stream brings, so that one write takes it.
	outputRoom = 64 << 10
	// outputDelay is how long what was appended waits at most for release.
	outputDelay = 2 * time.Millisecond
	// outputGrace is how long after the end of its context an output still
	// waits for a reader that does not read.
	outputGrace = time.Second
)

// An output writes what is appended to it in a goroutine of its own: what
// comes is written at once, and what comes meanwhile by the next write. Who
// appends waits while the room is full. The goroutine ends with close.
type output struct {
	w io.Writer

	// Of an output that is held, these belong to its only user.
	held    bool
	own     []byte // what was appended since release
	crowded bool   // release found no room

	failed  atomic.Bool // err is set
	mu      sync.Mutex
	work    sync.Cond // of the goroutine: due or closed
	done    sync.Cond // of all others: a write has ended, or nobody waits any more
	buf     []byte
	spare   []byte // what was written last, to be used again
	delayed bool   // release, or a moment's time, has things written
	ticking bool   // that time runs
	due     bool   // what is in buf is to be written
	written uint64 // bytes that no write is to bring any more
	writing int    // bytes that a write is bringing
	closed  bool
	err     error // of a write, or why nobody waits any more
}

// newOutput returns an output to w.
func newOutput(w io.Writer) *output {
	o := &output{w: w}
	o.work.L, o.done.L = &o.mu, &o.mu
	go o.run()
	return o
}

// bound makes nothing wait for w longer than outputGrace once ctx has ended.
func (o *output) bound(ctx context.Context) {
	afterGrace(ctx, func() { o.abandon(context.Cause(ctx)) })
}

// afterGrace calls f outputGrace after the end of ctx.
func afterGrace(ctx context.Context, f func()) {
	context.AfterFunc(ctx, func() { time.AfterFunc(outputGrace, f) })
}

// begin waits for room and returns the buffer to append to. Unless there is
// an error, end must follow, and nobody else can begin until then.
//
// Room is made by the end of a write, not by its begin. The goroutine then
// runs where the waiting one did, and the buffer stays in that processor's
// cache: two processors that pass it back and forth take several times as long.
func (o *output) begin() ([]byte, error) {
	if o.held && !o.crowded && len(o.own) < outputRoom && !o.failed.Load() {
		return o.own, nil
	}
	o.mu.Lock()
	if o.held {
		o.take()
	}
	for len(o.buf) >= outputRoom && o.err == nil {
		o.wake()
		o.done.Wait()
	}
	if o.err != nil || o.closed {
		o.mu.Unlock()
		return nil, cmp.Or(o.err, os.ErrClosed)
	}
	if o.held {
		o.crowded = false
		o.mu.Unlock()
		return o.own, nil
	}
	return o.buf, nil
}

// end takes the buffer with what was appended to it.
func (o *output) end(b []byte) {
	if o.held {
		keep(&o.own, b)
		return
	}
	keep(&o.buf, b)
	if !o.delayed {
		o.wake()
	} else if !o.ticking {
		o.ticking = true
		time.AfterFunc(outputDelay, o.expire)
	}
	o.mu.Unlock()
}

func (o *output) expire() {
	o.mu.Lock()
	o.ticking = false
	o.wake()
	o.mu.Unlock()
}

// keep sets buf to b, which is buf with something appended. It writes no
// pointer unless it must, as that costs much while garbage is collected.
func keep(buf *[]byte, b []byte) {
	if cap(b) == cap(*buf) {
		*buf = (*buf)[:len(b)]
		return
	}
	*buf = b
}

// delay makes what is appended wait for release, for a full room, or for
// outputDelay.
func (o *output) delay() {
	o.mu.Lock()
	o.delayed = true
	o.mu.Unlock()
}

// hold makes what is appended wait for release, or for a full room. From now
// on only one goroutine at a time may use the output.
func (o *output) hold() { o.held = true }

// release has what was appended written, without waiting for it.
func (o *output) release() {
	if o.held && len(o.own) == 0 {
		return
	}
	o.mu.Lock()
	o.take()
	o.crowded = len(o.buf) >= outputRoom
	o.wake()
	o.mu.Unlock()
}

// take moves what was held to what is to be written. mu is held.
func (o *output) take() {
	if len(o.buf) == 0 {
		o.buf, o.own = o.own, o.buf
		return
	}
	o.buf = append(o.buf, o.own...)
	o.own = o.own[:0]
}

func (o *output) wake() {
	if !o.due && len(o.buf) > 0 {
		o.due = true
		o.work.Signal()
	}
}

// flush waits until everything that was appended before it is written. What
// others append meanwhile it does not wait for: that may never pause.
func (o *output) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.take()
	return o.reach(o.appended())
}

// appended counts what was appended and is not held. mu is held.
func (o *output) appended() uint64 { return o.written + uint64(o.writing) + uint64(len(o.buf)) }

// reach waits until so many bytes are written. mu is held.
func (o *output) reach(end uint64) error {
	for o.written < end && o.err == nil {
		o.wake()
		o.done.Wait()
	}
	return o.err
}

// Write appends b and flushes. Unlike one to w, it waits no longer than bound
// says.
func (o *output) Write(b []byte) (int, error) {
	room, err := o.begin()
	if err != nil {
		return 0, err
	}
	o.end(append(room, b...))
	if err := o.flush(); err != nil {
		return 0, err
	}
	return len(b), nil
}

// close writes everything and ends the goroutine. It may be called twice.
func (o *output) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.take()
	for o.written < o.appended() && o.err == nil {
		_ = o.reach(o.appended()) // it is o.err
	}
	o.closed = true
	o.work.Signal()
	return o.err
}

// abandon ends all waits.
func (o *output) abandon(cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.setError(cause)
	o.done.Broadcast()
}

func (o *output) setError(err error) {
	if o.err == nil {
		o.err = err
		o.failed.Store(true)
	}
}

func (o *output) run() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for !o.closed && !o.due {
			o.work.Wait()
		}
		if o.closed || o.err != nil {
			return
		}
		b := o.buf
		o.buf, o.spare = o.spare[:0], nil
		o.due, o.writing = false, len(b)
		o.mu.Unlock()
		_, err := o.w.Write(b)
		o.mu.Lock()
		o.written, o.writing = o.written+uint64(len(b)), 0
		if cap(b) <= 4*outputRoom { // the room of a very large event is given back
			o.spare = b
		}
		if err != nil {
			o.setError(outputError(err))
		}
		o.done.Broadcast()
	}
}

// outputError makes the error of a write to standard output the end of the
// program: a reader that went away has what it wanted.
func outputError(err error) error {
	if isClosedPipe(err) {
		return codeError{code: exitDone}
	}
	if named, ok := errors.AsType[*fs.PathError](err); ok {
		err = named.Err
	}
	return codeError{exitOutput, fmt.Errorf("standard output: %w", err)}
}
