package recording

import (
	"strconv"
	"strings"
	"time"

	"github.com/wellspring-go/sse"
)

// A Kind says what a [Step] is.
type Kind int

// The kinds of steps.
const (
	Open    Kind = iota + 1 // a request was answered by a head: Status, Header, After
	Event                   // an event: Step.Event
	Comment                 // a comment: Text
	Retry                   // a reconnection time: Retry
	ID                      // a block without data, which set the last event id to Event.ID
	End                     // the connection ended: Cause
	Fail                    // a request was not answered: Cause, After
)

func (k Kind) String() string {
	names := [...]string{"", "Open", "Event", "Comment", "Retry", "ID", "End", "Fail"}
	if k > 0 && int(k) < len(names) {
		return names[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// A Cause says how a connection ended, or why a request was not answered.
type Cause string

// The causes. EOF, Local and TooLong are for End only, Refused for Fail only.
const (
	EOF     Cause = "eof"      // a clean end
	Reset   Cause = "reset"    // a cut: the connection broke
	Timeout Cause = "timeout"  // the server was silent until the client gave up
	Local   Cause = "local"    // the client had enough
	TooLong Cause = "too-long" // the client refused an event for its size
	Refused Cause = "refused"  // no connection could be made
)

func (c Cause) fits(k Kind) bool {
	switch c {
	case Reset, Timeout:
		return true
	case EOF, Local, TooLong:
		return k == End
	case Refused:
		return k == Fail
	}
	return false
}

// A Step is one thing that happened. Between an Open and the End that belongs
// to it the other kinds can occur, but for Fail, which stands alone; only an
// Open with Status 200 has more than its End.
type Step struct {
	Kind Kind
	// Wait is the time since the step before, or since the beginning: to the
	// request for Open and Fail, to the step itself for all others.
	Wait time.Duration
	// After is the time from the request to the Open or Fail.
	After time.Duration
	// Status is that of an Open; 0 means 200.
	Status int
	// Header holds the response's fields, with canonical keys. Only
	// Cache-Control, Content-Encoding, Content-Type, Retry-After and
	// X-Accel-Buffering are ever written, if not longer than 256 bytes.
	Header map[string][]string
	Event  sse.Event
	Text   string // what follows the colon of a comment
	Retry  time.Duration
	Cause  Cause
}

// headers are the fields that are stored. None can hold a secret.
var headers = []string{"Cache-Control", "Content-Encoding", "Content-Type", "Retry-After", "X-Accel-Buffering"}

// Append appends to b what a server sends for the step to a client whose last
// event id in force is lastID: an event, comment, retry field or id. For the
// other kinds that is nothing.
func (s Step) Append(b []byte, lastID string) []byte {
	switch s.Kind {
	case Event:
		if s.Event.ID != lastID {
			b = appendField(b, "id", s.Event.ID)
		}
		if s.Event.Name != "" && s.Event.Name != "message" {
			b = appendField(b, "event", s.Event.Name)
		}
		for line := range strings.SplitSeq(newlines.Replace(s.Event.Data), "\n") {
			b = appendField(b, "data", line)
		}
		return append(b, '\n')
	case ID:
		return append(appendField(b, "id", s.Event.ID), '\n')
	case Retry:
		return append(appendField(b, "retry", strconv.FormatInt(s.Retry.Milliseconds(), 10)), '\n')
	case Comment:
		return append(append(append(b, ':'), s.Text...), '\n')
	default:
		return b
	}
}

// newlines makes every line end that the standard knows the one that is left
// in data, so that nothing in it can turn into a field of its own.
var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ':')
	if value != "" {
		b = append(append(b, ' '), value...)
	}
	return append(b, '\n')
}
