package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wellspring-go/sse"
)

// note tells what happens, in a line on standard error, unless -s is given.
func (s *session) note(format string, args ...any) {
	if !s.silent {
		s.say(fmt.Errorf(format, args...))
	}
}

// say prints the lines of an error on standard error, after what was printed
// before.
func (s *session) say(err error) {
	for line := range strings.Lines(err.Error()) {
		// What keeps standard output from being written ends the session at
		// the next event.
		_ = s.printer.note("sse: " + strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "sse: "))
	}
}

// note is the session's, with the name of the stream if there are several.
func (f *follower) note(format string, args ...any) {
	if !f.silent {
		f.say(fmt.Errorf(format, args...))
	}
}

func (f *follower) say(err error) {
	if f.from != "" {
		err = fmt.Errorf("%s: %s", f.from, strings.TrimPrefix(err.Error(), "sse: "))
	}
	f.session.say(err)
}

// verdict is endOf in the words of the command line. asked names the condition
// that was to be reached, if any.
func (c *connection) verdict(err error, last sse.CloseEvent, asked string) error {
	last.Retriable = c.mayPass(last) // the event's is false too if no attempt is left or allowed
	err = endOf(err, last, asked != "")
	var coded codeError
	if !errors.As(err, &coded) {
		return err
	}
	text := c.cause(last)
	switch {
	case coded.code == exitEarly:
		text = fmt.Sprintf("%s before %s was reached", text, asked)
	case coded.code == exitTrouble && last.Attempt > 1:
		text = fmt.Sprintf("gave up after %d attempts: %s", last.Attempt, text)
	}
	if hint := c.hint(last); hint != "" {
		text += "\n" + hint
	}
	return codeError{coded.code, errors.New(text)}
}

// plan says what follows.
func plan(ev sse.CloseEvent) string {
	text := fmt.Sprintf("reconnecting in %v", ev.Delay.Round(time.Millisecond))
	if ev.Attempt > 0 {
		text += fmt.Sprintf(" (attempt %d)", ev.Attempt+1)
	}
	if after := ev.Header.Get("Retry-After"); after != "" {
		if _, err := strconv.Atoi(after); err == nil {
			after += "s" // else it is a date
		}
		text += fmt.Sprintf(" (the server asks for %s)", shown(after))
	}
	return text + resuming(ev.LastEventID)
}

func resuming(id string) string {
	if id == "" {
		return ""
	}
	return ", resuming after id " + id
}

// plainHeaders are the headers whose values hold no secret.
var plainHeaders = []string{
	"Accept", "Accept-Encoding", "Age", "Allow", "Cache-Control", "Connection", "Content-Encoding", "Content-Length",
	"Content-Type", "Date", "Last-Event-Id", "Retry-After", "Server", "Transfer-Encoding", "User-Agent", "Vary", "Via",
	"X-Accel-Buffering",
}

// showRequest returns a Prepare hook that prints the head of each request once
// prepare, if not nil, was called.
func (f *follower) showRequest(prepare func(*http.Request, sse.CloseEvent) error) func(*http.Request, sse.CloseEvent) error {
	return func(req *http.Request, prev sse.CloseEvent) error {
		if prepare != nil {
			if err := prepare(req, prev); err != nil {
				return err
			}
		}
		f.showHead(fmt.Sprintf("> %s %s", req.Method, redacted(req.URL)), "> ", req.Header)
		return nil
	}
}

func (f *follower) showResponse(status int, header http.Header) {
	f.showHead(fmt.Sprintf("< %d %s", status, http.StatusText(status)), "< ", header)
}

func (f *follower) showHead(first, mark string, header http.Header) {
	lines := []string{first}
	for _, key := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[key] {
			if !slices.Contains(plainHeaders, key) {
				value = "xxxxx"
			}
			lines = append(lines, mark+key+": "+value)
		}
	}
	f.note("%w", errors.New(strings.Join(lines, "\n")))
}
