package sse

import (
	"iter"
	"time"
)

// A loop over All that is the only consumer runs the source on its own
// goroutine: no event changes goroutines on its way from the parser to the
// loop's body. While the body runs the source rests (runner is nobody, lone is
// the loop's selection). If something has to be done meanwhile, because of
// Close, the context, Reconnect, another consumer or just because the body
// takes long, kick starts run, and from then on the loop receives from the
// queue of its selection like any other consumer.

// slowBody is how long a loop's body may let the source rest.
const slowBody = 10 * time.Millisecond

// All returns an iterator over every event, in order, for one loop, which
// starts the source. Leaving the loop closes the source and waits for Done;
// after a Close from elsewhere what is queued is still yielded.
//
// An error is yielded, last, only for a failure: a fatal ending, or the cause
// of the context. A clean end that is not retried, a 204, EndOn and Close end
// the loop silently; with EndOn set, a clean end that is not retried is a
// failure that wraps io.ErrUnexpectedEOF. Err tells which it was in each case.
func (s *EventSource) All() iter.Seq2[Event, error] {
	return once(func(yield func(Event, error) bool) {
		if s.wasLeft() {
			yield(Event{}, errUsed)
			return
		}
		x := s.SelectAll()
		defer s.leave(x)
		if !s.runInLoop(x, yield) {
			return
		}
		for ev := range x.Events() {
			if !yield(ev, nil) {
				return
			}
		}
		if err := s.loopError(); err != nil {
			yield(Event{}, err)
		}
	})
}

// turn is what a lone loop does next.
type turn int

const (
	toRun    turn = iota // run the source up to the next event
	toGiveUp             // hand that over
	toReport             // tell OnError of its id
	toYield              // run the body; the source rests
	lost                 // no more: run has taken over
)

// runInLoop runs the source on the loop's goroutine for as long as the loop
// is alone. It returns false if the loop was left.
func (s *EventSource) runInLoop(x *Selection, yield func(Event, error) bool) bool {
	if !s.takeUp(x) {
		return true
	}
	next := toRun
	defer func() {
		if next < toYield { // at the end, or a hook panicked or called runtime.Goexit
			s.finish()
		}
	}()
	var ev Event
	var trouble error
	for {
		switch next {
		case toRun:
			var got outcome
			if ev, got = s.next(); got == atEnd {
				return true
			}
			next = toGiveUp
		case toGiveUp:
			next, trouble = s.giveUp(ev)
		case toReport:
			s.report(trouble)
			s.mu.Lock()
			s.rest()
			s.mu.Unlock()
			next = toYield
		case toYield:
			if !yield(ev, nil) {
				return false
			}
			next, trouble = s.resume(x, &ev)
		case lost:
			return true
		}
	}
}

// takeUp makes the loop of x run the source if x is alone and nobody runs it.
func (s *EventSource) takeUp(x *Selection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runner != nobody || s.state == Closed || len(s.selections) != 1 {
		return false
	}
	s.started, s.consumed = true, true
	s.runner, s.lone = loop, x
	return true
}

// giveUp hands an event over to the body of the lone loop and lets the source
// rest, or makes run do so instead.
func (s *EventSource) giveUp(ev Event) (turn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.selections) > 1 || s.stopping != nil || s.reconnect {
		pending := ev // so that it alone is allocated
		s.lone, s.pending = nil, &pending
		s.runner = goroutine
		go s.run()
		return lost, nil
	}
	if err := s.handedOver(); err != nil {
		return toReport, err
	}
	s.rest()
	return toYield, nil
}

// rest lets the source rest while the body of the lone loop runs. mu is held.
func (s *EventSource) rest() {
	s.runner = nobody
	if s.stopping != nil || s.reconnect {
		s.kick() // OnError asked for it just now
		return
	}
	s.slow.watch(s)
}

// resume makes the loop run the source again, unless run has taken over by
// now. If an event is ready, ev is it, and handed over.
func (s *EventSource) resume(x *Selection, ev *Event) (next turn, err error) {
	s.mu.Lock()
	switch {
	case s.lone != x || s.runner != nobody:
		next = lost
	case s.o.OnEvent != nil || len(s.selections) > 1 || !s.ready(ev):
		s.runner, next = loop, toRun
		if s.calm {
			s.slow.stop()
		}
	default:
		if err = s.handedOver(); err != nil {
			s.runner, next = loop, toReport
		} else {
			s.rest()
			next = toYield
		}
	}
	s.mu.Unlock()
	return next, err
}

// leave closes the source and waits for its end, which it brings about itself
// if nobody else runs the source.
func (s *EventSource) leave(x *Selection) {
	s.mu.Lock()
	s.left = true
	mine := s.lone == x && s.runner == nobody && s.state != Closed
	if mine {
		s.runner = loop
	}
	s.mu.Unlock()
	s.Close()
	if mine {
		s.runToEnd()
	}
	<-s.Done()
}

func (s *EventSource) runToEnd() {
	defer s.finish()
	for got := atRest; got != atEnd; {
		_, got = s.next()
	}
}

func (s *EventSource) wasLeft() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// A slowWatch finds out when the body of a lone loop takes longer than
// slowBody. Its timer is not set for each event, which would cost more than
// the event: while events flow it fires every slowBody and looks whether one
// has come since. The source's mu guards it.
type slowWatch struct {
	timer *time.Timer
	set   bool
	stale int    // calls to come that were meant for an earlier body
	turn  uint64 // counts the runs of the body
	seen  uint64 // turn when the timer was set
}

func (w *slowWatch) watch(s *EventSource) {
	w.turn++
	if w.set {
		return
	}
	w.set, w.seen = true, w.turn
	if w.timer == nil {
		w.timer = time.AfterFunc(slowBody, s.lookAtBody)
	} else {
		w.timer.Reset(slowBody)
	}
}

// stop is called when the body has returned and a wait for the next event is
// likely: a timer that fires costs a goroutine. Where events flow, to stop it
// and set it again for each read would cost more.
func (w *slowWatch) stop() {
	if w.set && !w.timer.Stop() {
		w.stale++ // its call waits for mu
	}
	w.set = false
}

// lookAtBody is what slowWatch's timer calls.
func (s *EventSource) lookAtBody() {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.slow
	if w.stale > 0 {
		w.stale--
		return
	}
	w.set = false
	switch {
	case s.lone == nil || s.runner != nobody || s.state == Closed:
	case w.turn == w.seen:
		s.kick()
	default:
		w.set, w.seen = true, w.turn
		w.timer.Reset(slowBody)
	}
}
