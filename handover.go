package sse

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// slowConsumer is how long a selection may hold up the stream before OnError
// is told.
const slowConsumer = 5 * time.Second

// maxUnderLock is how many events are handed over before others get the lock.
const maxUnderLock = 64

// errAbandoned is a hand-over that the end of the source cut short.
var errAbandoned = errors.New("sse: hand-over abandoned")

// handOver gives an event, and those that are ready behind it, to the
// selections. Only then, and only if all of them have it, the last event id
// moves.
func (s *EventSource) handOver(ev Event) {
	s.mu.Lock()
	for n := 1; s.offer(&ev) == nil || s.offerLater(&ev); n++ {
		if err := s.handedOver(); err != nil {
			s.mu.Unlock()
			s.report(err)
			s.mu.Lock()
		} else if n%maxUnderLock == 0 {
			s.mu.Unlock()
			s.mu.Lock()
		}
		if !s.ready(&ev) {
			s.mu.Unlock()
			return
		}
		if s.o.OnEvent != nil {
			s.mu.Unlock()
			s.o.OnEvent(ev)
			if s.isStopping() {
				return
			}
			s.mu.Lock()
		}
	}
	s.mu.Unlock()
	switch err := s.fanOut(ev); {
	case err == nil:
		s.mu.Lock()
		err := s.handedOver()
		s.mu.Unlock()
		s.report(err)
	case err != errAbandoned: //nolint:errorlint // never wrapped
		s.close(err)
	}
}

// handedOver counts an event that was handed over and moves the last event id.
// Its error is for report. mu is held.
func (s *EventSource) handedOver() error {
	s.conn.events++
	s.stats.Events++
	if s.fresh {
		s.fresh = false
		s.stats.LastEvent = s.stats.LastByte
	}
	return s.moveID()
}

// noteID is moveID for a caller that does not hold mu.
func (s *EventSource) noteID() {
	if s.parser.lastID == s.resumeID {
		return // which the runner alone changes
	}
	s.mu.Lock()
	err := s.moveID()
	s.mu.Unlock()
	s.report(err)
}

// moveID moves the last event id to the parser's, all of whose events have
// been handed over, unless it cannot be sent back: it would be refused with
// every later attempt. Its error, once for each such id, is for report. mu is
// held.
func (s *EventSource) moveID() error {
	id := s.parser.lastID
	if id == s.resumeID || id != "" && id == s.refusedID {
		return nil
	}
	if err := checkID(id); err != nil {
		s.refusedID = id
		return err
	}
	s.resumeID, s.refusedID = id, ""
	return nil
}

// ready makes ev the next event if it was read already and there is nothing
// else to do first: what next would come to, for a fraction of the cost. The
// caller runs the source and holds mu.
func (s *EventSource) ready(ev *Event) bool {
	if s.conn == nil || s.stopping != nil || s.reconnect || s.late || s.hooked || s.release != nil && s.ctx.Err() != nil {
		return false
	}
	return s.parser.buffered(ev)
}

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

// offer puts an event into the queue of every selection that wants it, or
// returns a queue that has no room for it. mu is held.
func (s *EventSource) offer(ev *Event) (full chan Event) {
	for _, x := range s.selections {
		// Only this goroutine sends: room that is there stays.
		if q := x.makeQueue(); len(q) == cap(q) && x.wants(ev.Name) {
			return q
		}
	}
	for _, x := range s.selections {
		if x.wants(ev.Name) {
			x.events <- *ev
			x.dropping = false
		}
	}
	return nil
}

// offerLater is offer once the consumer, for which Overflow has the source
// wait, had a chance to make room. To be woken for each event that it takes
// would cost more than the event: a third of the time of a fast stream. mu is
// held, but not all the time.
func (s *EventSource) offerLater(ev *Event) bool {
	const turns = 4
	for range turns {
		q := s.offer(ev)
		if q == nil {
			return true
		}
		if s.o.Overflow != Block {
			return false
		}
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
	}
	return s.offer(ev) == nil
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

func (x *Selection) waitForRoom(q chan Event, ev Event) error {
	s := x.source
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
