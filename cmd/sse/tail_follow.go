package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wellspring-go/sse"
)

// A follower follows one stream of a session. Its hooks run one at a time.
type follower struct {
	*session
	stream *stream
	from   string // the stream's name in the output, if there are several
	source *sse.EventSource

	last    sse.CloseEvent
	closes  int
	came    time.Time // when what is being handled was read, if output is held and timed
	isOpen  bool
	hinted  []string // what was told between attempts, once each
	err     error    // what ended the source
	final   uint64   // 1 if an event did, which the source does not count
	finalID string   // its id, if it was handled

	waiting atomic.Pointer[attempt] // nil if none is waited for
}

// An attempt is one that is waited for.
type attempt struct {
	failed int // since the last progress
	at     time.Time
}

// makeSource makes the source, which follow runs.
func (f *follower) makeSource() {
	o := f.stream.options
	if f.once {
		o.Retry = sse.NoRetry
	}
	if f.keeping != nil {
		o.Cursor = f.keeping
	}
	o.OnOpen, o.OnEvent, o.OnClose = f.opened, f.received, f.closed
	o.OnError = func(err error) { f.note("%v", err) }
	if f.comments {
		o.OnComment = func(text string) { f.fail(f.printer.comment(f.from, time.Now(), text)) }
	}
	if f.printer.retries {
		o.OnRetry = func(d time.Duration) { f.fail(f.printer.retry(f.from, time.Now(), d)) }
	}
	if f.keeping != nil && o.LastEventID != "" && f.keeping.entry.ID != "" && o.LastEventID != f.keeping.entry.ID {
		f.note("--last-event-id %s counts, not the id %s of --state", o.LastEventID, f.keeping.entry.ID)
	}
	f.hold(&o)
	if f.verbose {
		o.Prepare = f.showRequest(o.Prepare)
	}
	if f.recording != nil {
		f.recording.watch(&o, f.fail)
	}
	f.source = f.stream.client.SourceContext(f.ctx, f.stream.url, o)
}

// follow runs the source to its end.
func (f *follower) follow() {
	f.err = f.source.Run()
	f.waiting.Store(nil)
	if f.err == io.EOF && f.closes > 1 {
		f.note("%s", f.cause(f.last)) // who read of reconnects wants to know why there is none
	}
	if f.from == "" || f.ctx.Err() != nil {
		return
	}
	if err := f.verdict(""); err != nil { // the others may reach what is asked for
		f.say(err)
	}
}

// verdict returns what the end of the stream means, in words.
func (f *follower) verdict(asked string) error { return f.connection.verdict(f.err, f.last, asked) }

// fail ends the session if err is not nil.
func (f *follower) fail(err error) {
	if err != nil {
		f.end(err)
	}
}

// received handles an event. Those of several streams are handled one at a
// time.
func (f *follower) received(ev sse.Event) {
	if f.from != "" {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	if f.over.Load() {
		return
	}
	err := f.handle(&ev)
	f.fail(err)
	if f.over.Load() {
		f.final++
		if err == nil {
			f.finalID = ev.ID
		}
	}
}

// handle prints an event, acts on it, and sees whether it was the last. If
// this fails, the event does not count as handled.
func (f *follower) handle(ev *sse.Event) error {
	outputs, err := f.choose(*ev)
	if f.isStopped(err) {
		return nil
	} else if err != nil {
		f.note("event left out: %v", err)
	}
	enough, left := false, false
	for i := range outputs {
		if enough {
			return nil // the rest of this event is for the next run
		}
		var unprinted templateError
		if err := f.print(&outputs[i]); errors.As(err, &unprinted) {
			f.note("event left out: %v", err)
			left = true
			continue
		} else if err != nil {
			return err
		}
		enough = f.seq == f.count // which is 0 for any number
		if enough {
			f.end(nil)
		}
	}
	if f.keeping != nil && !left {
		f.keeping.handled(f.source, *ev, f.acts() && len(outputs) > 0)
	}
	if !enough && f.isLast(ev) {
		f.end(nil)
	}
	return nil
}

// print prints what was chosen and acts on it.
func (f *follower) print(ev *chosen) error {
	at := f.came
	if f.timed && at.IsZero() {
		at = time.Now()
	}
	if err := f.printer.event(f.from, f.seq+1, at, ev); err != nil {
		return err
	}
	f.seq++
	if f.line.on {
		f.printed.Store(f.seq)
	}
	if !f.acts() {
		return nil
	}
	if err := f.printer.flush(); err != nil {
		return err
	}
	err := f.act(f.inTime, f.seq, *ev)
	var failed commandError
	if errors.As(err, &failed) && f.keeping == nil {
		f.note("%v", failed)
		return nil
	} else if errors.As(err, &failed) {
		return codeError{exitOutput, fmt.Errorf("%w; --state stays before it", failed)}
	}
	return err
}

// isLast reports whether --until or --until-event means ev.
func (f *follower) isLast(ev *sse.Event) bool {
	if f.untilEvent != "" && ev.Name == f.untilEvent {
		return true
	}
	if f.stops.condition == nil {
		return false
	}
	holds, err := f.stops.condition.holds(f.chooser.ctx, *ev)
	if err != nil && f.chooser.ctx.Err() == nil {
		f.note("%v", err)
	}
	return holds
}

func (f *follower) opened(ev sse.OpenEvent) {
	f.isOpen = true
	f.waiting.Store(nil)
	if f.verbose {
		f.showResponse(ev.Status, ev.Header)
	}
	if f.verbose || f.closes > 0 {
		f.note("open%s", resuming(ev.LastEventID))
	}
	f.fail(f.printer.opened(f.from, time.Now(), ev))
}

// closed tells of the end of a connection and lets the policy decide what
// follows.
func (f *follower) closed(ev sse.CloseEvent) {
	if f.verbose && !f.isOpen && ev.Status != 0 {
		f.showResponse(ev.Status, ev.Header)
	}
	if ev.IsLocal && f.isOpen {
		ev.Events += f.final
		ev.LastEventID = cmp.Or(f.finalID, ev.LastEventID)
	}
	f.isOpen = false
	f.closes++
	f.last = ev
	if ev.Retriable {
		f.reconnect(&ev)
		f.waiting.Store(&attempt{ev.Attempt, time.Now().Add(ev.Delay)})
		f.note("%s; %s", f.cause(ev), plan(ev))
		if hint := f.hint(ev); hint != "" && !slices.Contains(f.hinted, hint) {
			f.hinted = append(f.hinted, hint)
			f.note("%s", hint)
		}
	}
	f.fail(f.printer.closed(f.from, time.Now(), ev, ev.Retriable))
}
