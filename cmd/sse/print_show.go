package main

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/wellspring-go/sse"
)

// comment prints a comment of the stream, if --show asks for it.
func (p *printer) comment(from string, at time.Time, text string) error {
	if !p.comments {
		return nil
	}
	return p.extra(showComment, from, at, text, func(b []byte) []byte { return appendMember(b, "text", text) })
}

// retry prints a reconnection time that the stream set, if --show asks for it.
func (p *printer) retry(from string, at time.Time, d time.Duration) error {
	if !p.retries {
		return nil
	}
	return p.extra(showRetry, from, at, d.String(), func(b []byte) []byte {
		return appendNumber(b, "delay_ms", d.Milliseconds())
	})
}

// opened prints that a response was accepted, if --show asks for it.
func (p *printer) opened(from string, at time.Time, ev sse.OpenEvent) error {
	if !p.states {
		return nil
	}
	text := "status " + statusLine(ev.Status)
	if ev.Attempt > 0 {
		text += ", after " + plural(ev.Attempt, "failed attempt")
	}
	return p.extra("open", from, at, text+resuming(ev.LastEventID), func(b []byte) []byte {
		b = appendNumber(b, "status", int64(ev.Status))
		b = appendNumber(b, "attempt", int64(ev.Attempt))
		return appendMember(b, "id", ev.LastEventID)
	})
}

// closed prints how a connection or an attempt ended, if --show asks for it.
// With again there will be another attempt after the event's Delay.
func (p *printer) closed(from string, at time.Time, ev sse.CloseEvent, again bool) error {
	p.out.release()
	if !p.states {
		return nil
	}
	return p.extra("close", from, at, closedText(ev, again), func(b []byte) []byte {
		b = appendNumber(b, "status", int64(ev.Status))
		b = appendBool(b, "local", ev.IsLocal)
		cause := ""
		if ev.Err != nil && !isPlainEnd(ev.Err) {
			cause = ev.Err.Error()
		}
		b = appendMember(b, "err", cause)
		var delay time.Duration
		if again {
			delay = ev.Delay
		}
		b = appendNumber(b, "delay_ms", delay.Milliseconds())
		b = appendBool(b, "again", again)
		b = appendNumber(b, "events", int64(min(ev.Events, 1<<62)))
		return appendMember(b, "id", ev.LastEventID)
	})
}

// isPlainEnd reports whether err is that of an end at which nothing failed.
func isPlainEnd(err error) bool { return err == io.EOF || errors.Is(err, sse.ErrClosed) }

// closedText says how a connection or an attempt ended.
func closedText(ev sse.CloseEvent, again bool) string {
	var parts []string
	if ev.IsLocal {
		parts = append(parts, "by this side")
	}
	if ev.Status != 0 {
		parts = append(parts, "status "+statusLine(ev.Status))
	}
	if ev.Events > 0 {
		parts = append(parts, "after "+events(ev.Events))
	}
	text := strings.Join(parts, ", ")
	cause := ""
	switch {
	case ev.Err == nil || isPlainEnd(ev.Err) && ev.IsLocal:
	case ev.Err == io.EOF:
		cause = "the stream has ended"
	default:
		cause = strings.TrimPrefix(ev.Err.Error(), "sse: ")
	}
	if text != "" && cause != "" {
		text += ": "
	}
	text += cause
	if again {
		text += "; " + plan(ev)
	}
	return text
}

// extra prints what is no event: with its members as a line of JSON among
// those of the events, else as text on standard error.
func (p *printer) extra(kind, from string, at time.Time, text string, members func([]byte) []byte) error {
	if p.format != formatJSON {
		var c clock
		var line []byte
		if p.timestamps {
			line = append(c.append(line, at), ' ')
		}
		line = append(line, kind...)
		if from != "" {
			line = append(append(line, ' '), from...)
		}
		return p.note(string(line) + ": " + text)
	}
	b, err := p.out.begin()
	if err != nil {
		return err
	}
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, '"')
	if !at.IsZero() {
		b = append(b, `,"time":"`...)
		b = append(p.clock.append(b, at), '"')
	}
	if from != "" {
		b = appendMember(b, "from", from)
	}
	p.out.end(append(members(b), '}', '\n'))
	p.out.release()
	return nil
}

// note prints a line on standard error, after the events that were printed
// before it.
func (p *printer) note(text string) error {
	err := p.out.flush()
	_, _ = p.stderr.Write(append(appendShown(nil, text, ""), '\n')) // one who closed it wants no notes
	return err
}

func appendNumber(b []byte, key string, n int64) []byte {
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, '"', ':')
	return strconv.AppendInt(b, n, 10)
}

func appendBool(b []byte, key string, is bool) []byte {
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, '"', ':')
	return strconv.AppendBool(b, is)
}
