package ssetest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/wellspring-go/sse"
)

// A Reply is the answer to one request: a status and a header, followed by
// steps, after which the body ends cleanly. Make one with [Stream], [Status],
// [Redirect], [Refuse], [ResumeFrom] or [Unanswered].
type Reply struct {
	Status int         // 0: 200
	Header http.Header // Content-Type is text/event-stream unless it says otherwise
	Err    error       // refuse the connection with it; nothing else is looked at
	Steps  []Step

	body   string        // of Status
	silent bool          // the head waits for the first byte of the body
	after  time.Duration // before anything else
}

// Stream replies with an event stream made by steps. The head is sent at once.
func Stream(steps ...Step) Reply { return Reply{Steps: steps} }

// Unanswered is Stream, but the head is sent only with the first byte of the
// body, as by many servers on Node: before that the request looks hung.
func Unanswered(steps ...Step) Reply { return Reply{Steps: steps, silent: true} }

// Status replies with a status and a body of plain text or HTML.
func Status(code int, body string) Reply { return Reply{Status: code, body: body} }

// Redirect replies with a redirect to a URL, which may be relative.
func Redirect(code int, to string) Reply { return Status(code, "").With("Location", to) }

// Refuse makes the dial fail with err; nil means syscall.ECONNREFUSED. A
// refused attempt is no request: Requests does not list it.
func Refuse(err error) Reply {
	if err == nil {
		err = syscall.ECONNREFUSED
	}
	return Reply{Err: err}
}

// With returns r with a header field added.
func (r Reply) With(key, value string) Reply {
	r.Header = r.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Add(key, value)
	return r
}

// ResumeFrom replies as a server that honours Last-Event-ID: with the events
// of all that follow the one with that id, or all if there is none. Append to
// its Steps what comes then.
func ResumeFrom(all []sse.Event) Reply {
	return Stream(Step{"ResumeFrom", func(p *player) error {
		from := 0
		for i, ev := range all {
			if ev.ID != "" && ev.ID == p.request.LastEventID {
				from = i + 1
			}
		}
		for _, ev := range all[from:] {
			if err := p.emit(ev); err != nil {
				return err
			}
		}
		return nil
	}})
}

func (r Reply) String() string {
	switch {
	case r.Err != nil:
		return fmt.Sprintf("Refuse(%v)", r.Err)
	case len(r.Steps) == 0 && r.Status != 0:
		return fmt.Sprintf("Status(%d)", r.Status)
	}
	names := make([]string, len(r.Steps))
	for i, step := range r.Steps {
		names[i] = step.name
	}
	return fmt.Sprintf("Stream(%s)", strings.Join(names, ", "))
}

// A Step is one thing that a [Reply] does. Each write is flushed.
type Step struct {
	name string
	run  func(*player) error
}

// Emit writes an event. Data is split into lines at CR, LF and CRLF; an ID of
// "" and the name "message" are not written. A name or id that cannot be
// written (with a line end, an id with NUL) fails the test.
func Emit(e sse.Event) Step {
	return Step{fmt.Sprintf("Emit(%s %s)", e.Name, e.ID), func(p *player) error { return p.emit(e) }}
}

// Comment writes a comment, a line for each line of s.
func Comment(s string) Step {
	var b strings.Builder
	for _, line := range lines(s) {
		b.WriteString(":" + line + "\n")
	}
	return Step{"Comment", func(p *player) error { return p.write(b.String()) }}
}

// Retry writes a reconnection time, in milliseconds.
func Retry(d time.Duration) Step {
	return Step{fmt.Sprintf("Retry(%v)", d), func(p *player) error {
		return p.write(fmt.Sprintf("retry: %d\n", d.Milliseconds()))
	}}
}

// Raw writes chunks as they are, each by itself.
func Raw(chunks ...string) Step {
	return Step{"Raw", func(p *player) error {
		for _, chunk := range chunks {
			if err := p.write(chunk); err != nil {
				return err
			}
		}
		return nil
	}}
}

// Wait lets d pass.
func Wait(d time.Duration) Step {
	return Step{fmt.Sprintf("Wait(%v)", d), func(p *player) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		return p.await(timer.C)
	}}
}

// Hold keeps the connection open until the client or the test closes it.
func Hold() Step {
	return Step{"Hold", func(p *player) error { return p.await(make(chan time.Time)) }}
}

// WaitFor waits until c is closed or brings a value.
func WaitFor(c <-chan struct{}) Step {
	return Step{"WaitFor", func(p *player) error {
		select {
		case <-c:
			return nil
		default:
		}
		passed := make(chan time.Time)
		go func() {
			defer close(passed)
			select {
			case <-c:
			case <-p.http.Context().Done():
			case <-p.server.over:
			}
		}()
		return p.await(passed)
	}}
}

// Reset resets the connection (RST) once the client has read what was written
// before; see [ResetUnread].
func Reset() Step {
	return Step{"Reset", func(p *player) error { return p.reset(true) }}
}

// ResetUnread resets the connection at once, which destroys what the client
// has not read yet, as resets do.
func ResetUnread() Step {
	return Step{"ResetUnread", func(p *player) error { return p.reset(false) }}
}

// Abort closes the connection (FIN) in the middle of the body: a chunked body
// cut short.
func Abort() Step {
	return Step{"Abort", func(*player) error { return errAborted }}
}

// errAborted ends a reply before its time.
var errAborted = errors.New("aborted")
