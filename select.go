package sse

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Overflow says what happens to an event for which a selection has no room.
type Overflow int

const (
	// Block waits for room. The source reads no further meanwhile, which by
	// TCP holds up the server; after 5 s OnError is told.
	Block Overflow = iota
	// DropOldest makes room by dropping the event that was queued first.
	DropOldest
	// DropNewest drops the event.
	DropNewest
	// Disconnect closes the connection with ErrSlowConsumer and gives the
	// event to no selection, so that a reconnect asks the server for it again.
	// OnEvent sees it twice then.
	Disconnect
)

// String returns the name of the constant.
func (o Overflow) String() string {
	switch o {
	case Block:
		return "Block"
	case DropOldest:
		return "DropOldest"
	case DropNewest:
		return "DropNewest"
	case Disconnect:
		return "Disconnect"
	}
	return fmt.Sprintf("Overflow(%d)", int(o))
}

// slowConsumer is how long a selection may hold up the stream before OnError
// is told.
const slowConsumer = 5 * time.Second

// A Selection receives the events of some names, each once and in order, from
// the moment it is made. It has a queue of its own, of Options.Buffer events.
// One that nobody receives from holds up the whole source under Block: Stop
// what is no longer wanted.
type Selection struct {
	source   *EventSource
	names    []string // nil: all
	dropping bool     // the last event was dropped; owned by the goroutine that runs the source

	// The source's mu guards the rest.
	events  chan Event // made when it is needed
	stopped bool
	closed  bool
	dropped uint64
}

// Select returns a selection of the events with the given names. Events
// without a name are called "message". It does not start the source.
func (s *EventSource) Select(name string, more ...string) *Selection {
	names := append([]string{name}, more...)
	for i, name := range names {
		if name == "" {
			names[i] = "message"
		}
	}
	return s.newSelection(names)
}

// SelectAll returns a selection of all events. It does not start the source.
func (s *EventSource) SelectAll() *Selection { return s.newSelection(nil) }

func (s *EventSource) newSelection(names []string) *Selection {
	x := &Selection{source: s, names: names}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Closed {
		x.end()
	} else {
		s.selections = append(s.selections, x)
	}
	return x
}

// Events returns the channel of the selection's events, the same each time,
// and starts the source. It is closed when the selection is stopped or the
// source has ended; what is queued can still be received then.
func (x *Selection) Events() <-chan Event {
	s := x.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.stopped {
		s.start(true)
	}
	return x.makeQueue()
}

// queue returns the channel.
func (x *Selection) queue() chan Event {
	x.source.mu.Lock()
	defer x.source.mu.Unlock()
	return x.makeQueue()
}

// makeQueue makes the channel if need be. The source's mu is held.
func (x *Selection) makeQueue() chan Event {
	if x.events == nil {
		x.events = make(chan Event, x.source.o.Buffer)
	}
	return x.events
}

// All returns an iterator over the selection's events, for one loop, which
// starts the source. Leaving the loop stops the selection; the source goes on.
// An error is yielded only for a failure that ended the source: see
// [EventSource.All].
func (x *Selection) All() iter.Seq2[Event, error] {
	return once(func(yield func(Event, error) bool) {
		late := x.isStopped()
		defer x.Stop()
		for ev := range x.Events() {
			if !yield(ev, nil) {
				return
			}
		}
		err := x.source.loopError()
		if late && err == nil {
			err = errUsed
		}
		if err != nil {
			yield(Event{}, err)
		}
	})
}

// Dropped returns how many events Overflow has dropped from the selection.
func (x *Selection) Dropped() uint64 {
	x.source.mu.Lock()
	defer x.source.mu.Unlock()
	return x.dropped
}

// Stop ends the selection and closes its channel. It never blocks and may be
// called at any moment, any number of times, also by a hook.
func (x *Selection) Stop() {
	s := x.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.stopped || x.closed {
		return
	}
	x.stopped = true
	s.poke()
	s.selections = slices.DeleteFunc(slices.Clone(s.selections), func(y *Selection) bool { return y == x })
	if s.handing { // fanOut may be sending to it
		s.ending = append(s.ending, x)
		return
	}
	x.end()
}

func (x *Selection) isStopped() bool {
	x.source.mu.Lock()
	defer x.source.mu.Unlock()
	return x.stopped
}

// end closes the channel. mu is held.
func (x *Selection) end() {
	if !x.closed {
		x.closed = true
		close(x.makeQueue())
	}
}

func (x *Selection) wants(name string) bool {
	return x.names == nil || slices.Contains(x.names, name)
}

// what names what is selected.
func (x *Selection) what() string {
	if x.names == nil {
		return "of all events"
	}
	return fmt.Sprintf("of %q", strings.Join(x.names, ", "))
}

var (
	// errAbandoned is a hand-over that the end of the source cut short.
	errAbandoned = errors.New("sse: hand-over abandoned")
	// errUsed is what a second loop gets, rather than silence.
	errUsed = errors.New("sse: this loop was left or has ended before; it cannot be entered again")
)

// fanOut puts an event into the queue of every selection that wants it, by the
// rules of Overflow. Its error ends the connection, unless it is errAbandoned.
func (s *EventSource) fanOut(ev Event) error {
	s.mu.Lock()
	s.handing = true
	targets := s.selections // never changed in place
	if s.o.Overflow == Disconnect {
		for _, x := range targets {
			// Only this goroutine sends: room that is there stays.
			if q := x.makeQueue(); x.wants(ev.Name) && len(q) == cap(q) {
				s.handing = false
				s.mu.Unlock()
				return fmt.Errorf("%w: the selection %s has no room for an event (Options.Overflow Disconnect)", ErrSlowConsumer, x.what())
			}
		}
	}
	s.mu.Unlock()
	var err error
	for _, x := range targets {
		if err == nil && x.wants(ev.Name) {
			err = x.put(ev)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handing = false
	s.endStopped()
	return err
}

// endStopped closes the channels of selections that were stopped while an
// event was being handed over. mu is held.
func (s *EventSource) endStopped() {
	for _, x := range s.ending {
		x.end()
	}
	s.ending = nil
}

// offer puts an event into the queue of every selection that wants it, if
// there is room in all of them. mu is held.
func (s *EventSource) offer(ev *Event) bool {
	for _, x := range s.selections {
		// Only this goroutine sends: room that is there stays.
		if q := x.makeQueue(); len(q) == cap(q) && x.wants(ev.Name) {
			return false
		}
	}
	for _, x := range s.selections {
		if x.wants(ev.Name) {
			x.events <- *ev
			x.dropping = false
		}
	}
	return true
}

// put puts an event into the queue, or drops one, or waits.
func (x *Selection) put(ev Event) error {
	q := x.queue()
	select {
	case q <- ev:
		x.dropping = false
		return nil
	default:
	}
	switch x.source.o.Overflow {
	case DropOldest:
		x.replaceOldest(q, ev)
		return nil
	case DropNewest:
		x.drop()
		return nil
	default:
		return x.waitForRoom(q, ev)
	}
}

func (x *Selection) replaceOldest(q chan Event, ev Event) {
	for {
		select {
		case <-q:
			x.drop()
		default:
			if cap(q) == 0 {
				x.drop() // nothing is older
				return
			}
		}
		select {
		case q <- ev:
			return
		default:
		}
	}
}

// drop counts a dropped event, and tells OnError of the first in a row.
func (x *Selection) drop() {
	s := x.source
	s.mu.Lock()
	x.dropped++
	s.stats.Dropped++
	s.mu.Unlock()
	if !x.dropping {
		x.dropping = true
		s.report(fmt.Errorf("%w: the selection %s has begun to drop events (Options.Overflow %v)", ErrSlowConsumer, x.what(), s.o.Overflow))
	}
}

// giveWay lets the consumer run, and reports whether the queue is half empty
// then. To be woken for each event that it takes would cost more than the
// event: a third of the time of a fast stream.
func giveWay(q chan Event) bool {
	const turns = 4
	for range turns {
		if runtime.Gosched(); len(q) < cap(q) && len(q) <= cap(q)/2 {
			return true
		}
	}
	return false
}

func (x *Selection) waitForRoom(q chan Event, ev Event) error {
	s := x.source
	if giveWay(q) {
		q <- ev // no other goroutine sends
		return nil
	}
	timer := time.NewTimer(slowConsumer)
	defer timer.Stop()
	for {
		s.mu.Lock()
		abandoned, stopped := s.stopping != nil, x.stopped
		news := s.news()
		s.mu.Unlock()
		switch {
		case stopped:
			return nil
		case abandoned:
			return errAbandoned
		}
		select {
		case q <- ev:
			return nil
		case <-news:
		case <-timer.C:
			s.report(fmt.Errorf("%w: the selection %s has held up the stream for %v", ErrSlowConsumer, x.what(), slowConsumer))
		}
	}
}

// loopError returns what loops yield when the source has ended.
func (s *EventSource) loopError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// once makes a second loop over an iterator an error.
func once(seq iter.Seq2[Event, error]) iter.Seq2[Event, error] {
	var used atomic.Bool
	return func(yield func(Event, error) bool) {
		if used.Swap(true) {
			yield(Event{}, errUsed)
			return
		}
		seq(yield)
	}
}

// A Message is an event with its data decoded.
type Message[T any] struct {
	Event
	Value T
}

// JSON returns an iterator over the events of seq with their data decoded as
// JSON into a T. Data that does not decode is yielded as a [*DecodeError],
// with the zero T, and the loop may go on. Leaving the loop does what leaving
// one over seq does.
func JSON[T any](seq iter.Seq2[Event, error]) iter.Seq2[Message[T], error] {
	return func(yield func(Message[T], error) bool) {
		for ev, err := range seq {
			m := Message[T]{Event: ev}
			if err == nil {
				if err = ev.JSON(&m.Value); err != nil {
					m.Value = *new(T) // whatever was decoded of it
				}
			}
			if !yield(m, err) {
				return
			}
		}
	}
}
