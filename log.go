package sse

import (
	"fmt"
	"io"
	"log/slog"
)

// target is the source's address as it may be shown.
func (s *EventSource) target() string {
	u, err := parseURL(s.url)
	if err != nil {
		return redactText(s.url)
	}
	return redactURL(u)
}

// String names the source, its state and its last event id.
func (s *EventSource) String() string {
	return fmt.Sprintf("sse.EventSource(%s %s, %v, last event id %q)", s.o.Method, s.target(), s.State(), s.LastEventID())
}

// Format prints String for every verb.
func (s *EventSource) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue returns String.
func (s *EventSource) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s *EventSource) logOpen(ev OpenEvent) {
	if l := s.client.Logger; l != nil {
		l.LogAttrs(s.values, slog.LevelInfo, "sse: open", slog.String("url", s.target()), slog.Any("open", ev))
	}
}

func (s *EventSource) logClose(ev CloseEvent, d *decision) {
	l := s.client.Logger
	if l == nil {
		return
	}
	level, next := slog.LevelInfo, slog.String("next", "connect")
	if !d.again {
		next = slog.String("next", "nothing")
		if !ev.IsLocal && ev.Err != io.EOF {
			level = slog.LevelError
		}
	} else if ev.Err != io.EOF {
		level = slog.LevelWarn
	}
	l.LogAttrs(s.values, level, "sse: close", slog.String("url", s.target()), slog.Any("close", ev), next, slog.Duration("in", d.delay))
}

// report tells of trouble that closes nothing, if there is any.
func (s *EventSource) report(err error) {
	if err == nil {
		return
	}
	if l := s.client.Logger; l != nil {
		l.LogAttrs(s.values, slog.LevelWarn, "sse: trouble", slog.String("url", s.target()), slog.String("err", err.Error()))
	}
	if s.o.OnError != nil {
		s.o.OnError(err)
	}
}
