package sse

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
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

// errUsed is what a second loop gets, rather than silence.
var errUsed = errors.New("sse: this loop was left or has ended before; it cannot be entered again")

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
