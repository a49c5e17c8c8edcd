package sse

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An OpenEvent tells of a response that was accepted as an event stream.
type OpenEvent struct {
	Status      int
	StatusText  string // the reason phrase
	Header      http.Header
	Attempt     int    // failed attempts since the last progress, before this one
	LastEventID string // what the request carried
}

// A CloseEvent tells how a connection, an attempt to make one, or the source
// itself ended, and lets [Options.OnClose] decide what follows.
type CloseEvent struct {
	// Status and StatusText are the response's; 0 and "" if there was none.
	Status     int
	StatusText string
	// IsLocal is set if this side ended it: Close, EndOn or the context.
	IsLocal bool
	// Connect makes the source connect again after Delay, whatever Retriable
	// says. It does nothing once OnClose has returned, if IsLocal, if the URL
	// or the options are invalid, and if the schedule ran out.
	Connect func()
	// ConnectAfter is Connect with a delay of the caller's, and works when the
	// schedule ran out too. Of several calls of the two the last one counts.
	ConnectAfter func(time.Duration)
	// Final is the event that EndOn named, if that ended the source.
	Final *Event
	// Err is the cause: io.EOF for a clean end or a 204; for every cut an error
	// that wraps io.ErrUnexpectedEOF; else one that wraps a sentinel of this
	// package, the cause of the context, or the error of the network.
	Err error
	// Header is the response's, or nil.
	Header http.Header
	// Method is the request's, as sent.
	Method string
	// Resumable is set if repeating the request loses and doubles nothing: it
	// is idempotent, or brought no event, or an event carried an id.
	Resumable bool
	// Retriable is what the RetryPolicy thinks of it; false once its schedule
	// has run out.
	Retriable bool
	// Attempt counts the failed attempts since the last progress, this one
	// included; 0 if this one made progress (see [RetryPolicy]).
	Attempt int
	// Delay is how long Connect will wait.
	Delay time.Duration
	// LastEventID is what the next request would carry.
	LastEventID string
	// Events counts the events that this connection delivered.
	Events uint64
}

// String says in one line, without secrets, how it ended and what the policy
// thinks of it.
func (e CloseEvent) String() string {
	var b strings.Builder
	switch {
	case e.IsLocal:
		b.WriteString("closed by this side")
	case e.Retriable:
		b.WriteString("retriable")
	case e.Err == io.EOF:
		b.WriteString("ended")
	default:
		b.WriteString("fatal")
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %s", statusLine(e.Status))
	}
	if e.Events > 0 {
		fmt.Fprintf(&b, ", after %s", count(e.Events, "event"))
	}
	switch {
	case e.Err == io.EOF && e.Status == http.StatusNoContent:
		b.WriteString(": the server says stop")
	case e.Err == io.EOF:
		b.WriteString(": the stream ended cleanly")
	case e.Err != nil:
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Retriable {
		fmt.Fprintf(&b, "; Connect waits %v", e.Delay.Round(time.Millisecond))
		if e.Attempt > 0 {
			fmt.Fprintf(&b, " (failed attempt %d)", e.Attempt)
		}
	} else if !e.IsLocal && !e.Resumable && e.Events > 0 {
		fmt.Fprintf(&b, "; %s without event ids cannot be resumed", e.Method)
	}
	return b.String()
}

// Format prints String for every verb, so that no header value gets into a
// log by way of %+v.
func (e CloseEvent) Format(f fmt.State, _ rune) { io.WriteString(f, e.String()) }

// LogValue returns the fields worth a log record; no header is among them.
func (e CloseEvent) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.Int("status", e.Status),
		slog.Bool("local", e.IsLocal),
		slog.Bool("retriable", e.Retriable),
		slog.Int("attempt", e.Attempt),
		slog.Duration("delay", e.Delay),
		slog.Uint64("events", e.Events),
		slog.String("last_event_id", e.LastEventID),
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("err", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// String says in one line, without secrets, what was opened.
func (e OpenEvent) String() string {
	return fmt.Sprintf("open, status %s, after %s, last event id %q", statusLine(e.Status), count(uint64(e.Attempt), "failed attempt"), e.LastEventID)
}

// Format prints String for every verb.
func (e OpenEvent) Format(f fmt.State, _ rune) { io.WriteString(f, e.String()) }

// MarshalText returns String, for a log in JSON that holds it in another value.
func (e OpenEvent) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// LogValue returns the fields worth a log record; no header is among them.
func (e OpenEvent) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("status", e.Status),
		slog.Int("attempt", e.Attempt),
		slog.String("last_event_id", e.LastEventID),
	)
}

// statusLine writes a status with its registered phrase. The server's own
// phrase may echo anything and stays in StatusText.
func statusLine(code int) string {
	if text := http.StatusText(code); text != "" {
		return fmt.Sprintf("%d %s", code, text)
	}
	return strconv.Itoa(code)
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
