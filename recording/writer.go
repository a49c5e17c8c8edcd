package recording

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A Writer writes a recording. It must not be used by two goroutines at once.
type Writer struct {
	w      io.Writer
	err    error // of w
	buf    []byte
	open   bool
	status int    // of the connection that is open
	lastID string // in force
}

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes one step, in one call of the underlying Write. A step that is
// out of place, or cannot be written (an event name, an id or a comment with a
// line end, a negative time), is an error and leaves the Writer as it was. An
// error of the underlying Write is returned as it is, by every later call too.
func (w *Writer) Write(s Step) error {
	if w.err != nil {
		return w.err
	}
	if err := w.check(s); err != nil {
		return fmt.Errorf("recording: %v cannot be written: %w", s.Kind, err)
	}
	b := w.buf[:0]
	if s.Wait > 0 {
		b = append(b, ":@ +"+s.Wait.String()+"\n"...)
	}
	switch s.Kind {
	case Open:
		b = appendOpen(b, s)
		w.open, w.status = true, status(s)
	case Fail:
		b = append(append(append(b, ":@ fail "+s.Cause...), after(s.After)...), "\n\n"...)
	case End:
		b = append(b, ":@ end "+s.Cause+"\n\n"...)
		w.open = false
	case Comment:
		if strings.HasPrefix(s.Text, "@") {
			s.Text = "@" + s.Text // or it would be read as a directive
		}
		b = s.Append(b, "")
	default:
		b = s.Append(b, w.lastID)
	}
	if s.Kind == Event || s.Kind == ID {
		w.lastID = s.Event.ID
	}
	w.buf = b[:0]
	if cap(b) > 64<<10 {
		w.buf = nil // one large event should not stay in memory
	}
	_, w.err = w.w.Write(b)
	return w.err
}

// maxHeader keeps a line that a server made well below maxDirective.
const maxHeader = 256

func appendOpen(b []byte, s Step) []byte {
	b = append(b, ":@ open status="+strconv.Itoa(status(s))...)
	for _, key := range headers {
		values, ok := s.Header[key]
		if value := strings.Join(values, ", "); ok && len(value) <= maxHeader {
			b = append(b, " "+strings.ToLower(key)+"="+quote(value)...)
		}
	}
	return append(append(b, after(s.After)...), '\n')
}

func status(s Step) int {
	if s.Status == 0 {
		return 200
	}
	return s.Status
}

func after(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " after=" + d.String()
}

// quote returns a value as it is if it needs no quotes to be read back.
func quote(value string) string {
	special := func(r rune) bool { return r <= ' ' || r == '"' || r > '~' }
	if value == "" || strings.ContainsFunc(value, special) {
		return strconv.Quote(value)
	}
	return value
}

// check returns what is wrong with a step at this place.
func (w *Writer) check(s Step) error {
	if s.Wait < 0 || s.After < 0 || s.Retry < 0 {
		return errors.New("a time is negative")
	}
	switch s.Kind {
	case Open, Fail:
		if w.open {
			return errors.New("a connection is open")
		}
		if s.Kind == Open && !validStatus(status(s)) {
			return fmt.Errorf("status %d is neither 101 nor between 200 and 999", s.Status)
		}
	case Event, Comment, Retry, ID, End:
		if !w.open {
			return errors.New("no connection is open")
		}
		if s.Kind != End && w.status != 200 {
			return fmt.Errorf("the status is %d", w.status)
		}
	default:
		return errors.New("no such kind")
	}
	switch {
	case (s.Kind == End || s.Kind == Fail) && !s.Cause.fits(s.Kind):
		return fmt.Errorf("cause %q does not fit", s.Cause)
	case s.Kind == Event && strings.ContainsAny(s.Event.Name, "\r\n"):
		return fmt.Errorf("the name %q holds a line end", s.Event.Name)
	case (s.Kind == Event || s.Kind == ID) && strings.ContainsAny(s.Event.ID, "\r\n\x00"):
		return fmt.Errorf("the id %q holds a line end or NUL", s.Event.ID)
	case s.Kind == Comment && strings.ContainsAny(s.Text, "\r\n"):
		return fmt.Errorf("the text %q holds a line end", s.Text)
	}
	return nil
}

// validStatus reports whether code can be that of an answer: of those below 200
// only 101 is no announcement of another.
func validStatus(code int) bool { return code == 101 || code >= 200 && code <= 999 }
