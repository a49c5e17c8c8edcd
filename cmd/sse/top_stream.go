package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/wellspring-go/sse"
)

// A topStream follows one stream, and takes it up again when it has ended and
// the user asks for that.
type topStream struct {
	*top
	*stream
	index int
	again chan struct{} // room for one

	mu     sync.Mutex
	source *sse.EventSource
	last   sse.CloseEvent
	ended  bool
	err    error // how source ended
}

// follow follows the stream until ctx ends. A panic is handed to the
// goroutine of the screen, which gives the terminal back.
func (s *topStream) follow(ctx context.Context) {
	var fault error
	defer func() {
		if fault != nil {
			select {
			case s.fault <- fault:
			default:
			}
		}
	}()
	defer recovered(&fault)
	o := s.options
	o.OnOpen, o.OnEvent, o.OnClose = s.opened, s.event, s.closed
	o.OnError = func(err error) { s.tally.trouble(s.index, strings.TrimPrefix(err.Error(), "sse: ")) }
	for ctx.Err() == nil {
		source := s.client.SourceContext(ctx, s.url, o)
		s.mu.Lock()
		s.source, s.ended = source, false
		s.mu.Unlock()
		err := source.Run()
		s.mu.Lock()
		s.ended, s.err = true, err
		s.mu.Unlock()
		o.LastEventID = source.LastEventID()
		select {
		case <-ctx.Done():
		case <-s.again:
			s.tally.connecting(s.index)
		}
	}
}

// reconnect drops the connection, or the wait for one, and connects.
func (s *topStream) reconnect() {
	s.mu.Lock()
	source, ended := s.source, s.ended
	s.mu.Unlock()
	if ended {
		select {
		case s.again <- struct{}{}:
		default: // it was asked for already
		}
	} else if source != nil {
		s.tally.connecting(s.index)
		source.Reconnect()
	}
}

func (s *topStream) opened(sse.OpenEvent) { s.tally.opened(s.index) }

func (s *topStream) event(ev sse.Event) {
	if topHook != nil {
		topHook("event")
	}
	s.tally.event(s.index, ev, time.Now())
}

func (s *topStream) closed(ev sse.CloseEvent) {
	s.mu.Lock()
	s.last = ev
	s.last.Retriable = s.mayPass(ev) // false too if no attempt is left or allowed
	s.mu.Unlock()
	if ev.Retriable {
		s.connection.reconnect(&ev)
	}
	s.tally.closed(s.index, s.cause(ev), ev.Retriable, time.Now().Add(ev.Delay))
}

// verdict returns what the end of the stream means, if it has ended.
func (s *topStream) verdict() (ended bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		return false, nil
	}
	err = endOf(s.err, s.last, false)
	if coded, ok := errors.AsType[codeError](err); ok {
		text := s.cause(s.last)
		if len(s.streams) > 1 {
			text = s.shown + ": " + text
		}
		if hint := s.hint(s.last); hint != "" {
			text += "\n" + hint
		}
		err = codeError{coded.code, errors.New(text)}
	}
	return true, err
}

// recovered makes a panic an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = codeError{exitInternal, fmt.Errorf("internal error: %v\n%s", p, debug.Stack())}
	}
}
