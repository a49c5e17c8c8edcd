package sse

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// noteProgress resets the schedule if the connection made progress.
func (s *EventSource) noteProgress() bool {
	c := s.conn
	if c == nil || c.events == 0 && (!c.open() || time.Since(c.openedAt) < progressAfter) {
		return false
	}
	s.attempts = 0
	s.schedule.reset()
	return true
}

// close ends the connection or attempt for the reason err, lets OnClose
// decide, and waits if that asked for another attempt.
func (s *EventSource) close(err error) {
	ev, scheduled := s.closeEvent(err)
	exhausted := ev.Retriable && !scheduled
	ev.Retriable = ev.Retriable && scheduled
	s.drop()
	d := &decision{source: s, dead: ev.IsLocal || s.invalid != nil}
	ev.ConnectAfter = d.connect
	ev.Connect = func() {
		if scheduled {
			d.connect(ev.Delay)
		}
	}
	s.prev = &ev

	s.mu.Lock()
	s.state = Connecting
	s.deciding = d
	s.stats.Closes++
	s.mu.Unlock()
	s.o.OnClose(ev)
	s.mu.Lock()
	s.deciding = nil
	s.mu.Unlock()

	s.logClose(ev, d)
	if d.again {
		s.wait(d.delay)
		return
	}
	s.ended = true
	s.mu.Lock()
	s.err, s.failure = s.verdict(ev, exhausted)
	s.mu.Unlock()
}

// closeEvent describes the end of the connection or attempt, and reports
// whether the schedule has a delay for the next one, which Retriable does not
// regard yet.
func (s *EventSource) closeEvent(err error) (ev CloseEvent, scheduled bool) {
	ev = CloseEvent{Err: err, Method: s.o.Method, LastEventID: s.LastEventID(), Resumable: true, Attempt: s.attempts}
	c := s.conn
	if c != nil {
		ev.Method, ev.Events = c.method, c.events
		ev.Resumable = idempotent(c.method) || !c.brought || s.parser.carried
		ev.Status, ev.StatusText, ev.Header = c.head(err)
	}
	if end, ok := err.(*localError); ok { //nolint:errorlint // never wrapped
		ev.IsLocal, ev.Err = true, end.reason
		s.mu.Lock()
		ev.Final = s.final
		s.mu.Unlock()
		return ev, false
	}
	s.retire = s.retire || errors.Is(err, ErrIdle) && (c.resp == nil || c.resp.ProtoMajor > 1)
	if !s.noteProgress() {
		s.attempts++
	}
	ev.Attempt = s.attempts
	if s.invalid != nil {
		return ev, false
	}
	retry, after := time.Duration(-1), time.Duration(0)
	if d, ok := s.parser.Retry(); ok {
		retry = d
	}
	if !c.open() {
		after = retryAfter(ev.Header, time.Now())
	}
	ev.Delay, scheduled = s.schedule.next(retry, after)
	ev.Retriable = s.o.Retry.Retriable(ev)
	return ev, scheduled
}

// verdict returns what Err says of a source that ended with ev, and what its
// loops yield. mu is held.
func (s *EventSource) verdict(ev CloseEvent, exhausted bool) (err, failure error) {
	resumed := ev
	resumed.Resumable = true
	switch err = ev.Err; {
	case ev.IsLocal && err == ErrClosed: //nolint:errorlint // a context's cause may wrap anything
		return err, nil
	case ev.IsLocal || s.invalid != nil:
	case err == io.EOF:
		if s.o.EndOn != nil && ev.Status != http.StatusNoContent {
			failure = fmt.Errorf("sse: stream ended before EndOn: %w", io.ErrUnexpectedEOF)
		}
		return err, failure
	case exhausted:
		after := ""
		if ev.Attempt > 0 {
			after = " after " + count(uint64(ev.Attempt), "failed attempt")
		}
		err = fmt.Errorf("sse: gave up%s, the schedule of Options.Retry has run out: %w", after, err)
	case s.defaultPolicy && !ev.Resumable && DefaultRetriable(resumed):
		err = fmt.Errorf("sse: not repeated: %s without event ids cannot be resumed (set Options.Retry or OnClose): %w", ev.Method, err)
	}
	return err, err
}

// wait waits for the next attempt to be due, or for what makes it pointless
// or urgent.
func (s *EventSource) wait(delay time.Duration) {
	if delay <= 0 {
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		s.mu.Lock()
		over := s.stopping != nil || s.reconnect
		news := s.news()
		s.mu.Unlock()
		if over {
			return
		}
		select {
		case <-timer.C:
			return
		case <-news:
		}
	}
}

// A decision is what OnClose makes of one CloseEvent. The source's mu guards
// it.
type decision struct {
	source *EventSource
	dead   bool // nothing can follow
	again  bool
	delay  time.Duration
}

func (d *decision) connect(delay time.Duration) {
	s := d.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deciding == d {
		d.set(delay)
	} else if !d.dead && s.state != Closed {
		s.late = true
	}
}

func (d *decision) set(delay time.Duration) {
	if !d.dead {
		d.again, d.delay = true, max(delay, 0)
	}
}
