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

// runInLoop runs the source on the loop's goroutine for as long as the loop
// is alone. It returns false if the loop was left.
func (s *EventSource) runInLoop(x *Selection, yield func(Event, error) bool) bool {
	if !s.takeUp(x) {
		return true
	}
	running := true
	defer func() {
		if running { // a hook panicked or called runtime.Goexit
			s.finish()
		}
	}()
	for {
		ev, got := s.next()
		if got == atEnd {
			return true
		}
		running = s.giveUp(ev)
		if !running {
			return true
		}
		for running = false; !running; {
			if !yield(ev, nil) {
				return false
			}
			var mine bool
			if running, mine = s.resume(x, &ev); !mine {
				return true
			}
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
// rest. It returns false if run has to do so instead.
func (s *EventSource) giveUp(ev Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.selections) > 1 || s.stopping != nil || s.reconnect {
		pending := ev // so that it alone is allocated
		s.lone, s.pending = nil, &pending
		s.runner = goroutine
		go s.run()
		return false
	}
	s.rest()
	return true
}

// rest hands the parser's last event over to the body of the lone loop. mu is held.
func (s *EventSource) rest() {
	s.handedOver()
	s.runner = nobody
	if s.stopping != nil || s.reconnect {
		s.kick() // OnError asked for it just now
		return
	}
	s.slow.watch(s)
}

// resume makes the loop run the source again. If an event is ready, ev is it,
// handed over, and running is false; mine is false if run has taken over by
// now.
func (s *EventSource) resume(x *Selection, ev *Event) (running, mine bool) {
	s.mu.Lock()
	if s.lone != x || s.runner != nobody {
		s.mu.Unlock()
		return false, false
	}
	s.runner = loop
	running = s.o.OnEvent != nil || len(s.selections) > 1 || !s.ready(ev)
	if !running {
		s.rest()
	}
	if running && s.calm {
		s.slow.stop()
	}
	s.mu.Unlock()
	return running, true
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
	if w.set {
		w.timer.Stop()
		w.set = false
	}
}

// lookAtBody is what slowWatch's timer calls.
func (s *EventSource) lookAtBody() {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.slow
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
