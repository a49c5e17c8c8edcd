package recording

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/wellspring-go/sse"
)

// A Reader reads a recording. It must not be used by two goroutines at once.
type Reader struct {
	lines  lineReader
	parser *sse.Parser
	feed   []byte // what the parser gets next

	steps  []Step        // found, and not returned yet
	wait   time.Duration // since the last of them
	open   bool
	status int    // of the connection that is open
	lastID string // in force, as the steps so far tell
	over   bool   // nothing is left to read
	err    error  // what ended it
}

// NewReader returns a Reader that reads from r.
func NewReader(r io.Reader) *Reader {
	x := &Reader{}
	x.lines.r.Reset(r)
	x.parser = sse.NewParser(body{x})
	x.parser.OnComment = func(text string) { x.add(Step{Kind: Comment, Text: strings.TrimPrefix(text, "@")}) }
	x.parser.OnRetry = func(d time.Duration) { x.add(Step{Kind: Retry, Retry: d}) }
	return x
}

// Next returns the next step, as soon as its last byte is read. The steps are
// complete: there is an Open and an End for every connection, also where the
// recording leaves that to be understood. At the end of the recording Next
// returns io.EOF; what is no recording is an error that names the line; an
// error of the underlying reader is returned as it is. Once Next has returned
// an error it returns that error for ever.
func (r *Reader) Next() (Step, error) {
	for {
		if len(r.steps) > 0 {
			s := r.steps[0]
			r.steps = r.steps[1:]
			return s, nil
		}
		if r.err != nil {
			return Step{}, r.err
		}
		r.steps = nil
		ev, err := r.parser.Next()
		switch {
		case err == nil:
			r.lastID = ev.ID
			r.add(Step{Kind: Event, Event: ev})
		case err == io.EOF && r.over:
			r.err = io.EOF
		case err == io.EOF:
			r.parser.Reset(body{r}) // what was cut must not join what follows
		case errors.Is(err, sse.ErrTooLong):
			r.err = fmt.Errorf("recording: line %d: %w", r.lines.n, err)
		default:
			r.err = err
		}
	}
}

// All returns an iterator over the steps that are left. It ends silently at
// the end of the recording; any other error is yielded, and ends it.
func (r *Reader) All() iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		for {
			s, err := r.Next()
			if err == io.EOF || !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// add appends a step, which takes the time that has passed.
func (r *Reader) add(s Step) {
	s.Wait = r.wait
	r.wait = 0
	r.steps = append(r.steps, s)
}

// A body is what the server sent on one connection: the recording's lines
// without the directives, up to one that ends the connection.
type body struct{ reader *Reader }

func (b body) Read(p []byte) (int, error) {
	r := b.reader
	// The parser asks for more when all it had is parsed. What is left is an
	// id whose block dispatched no event.
	if id := r.parser.LastEventID(); id != r.lastID {
		r.lastID = id
		r.add(Step{Kind: ID, Event: sse.Event{ID: id}})
	}
	for len(r.feed) == 0 {
		if err := r.line(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.feed)
	r.feed = r.feed[n:]
	return n, nil
}

// line reads one line. It returns io.EOF where a connection ends.
func (r *Reader) line() error {
	if r.over {
		return io.EOF
	}
	line, first, err := r.lines.next()
	if err != nil {
		r.over = err == io.EOF
		if r.over && r.open {
			r.end(Step{Kind: End, Cause: EOF})
		}
		return err
	}
	if first && isDirective(line) {
		ended, err := r.directive(strings.TrimSpace(string(line[len(mark):])))
		if len(line) > maxDirective {
			err = fmt.Errorf("a directive of more than %d bytes", maxDirective)
		}
		if err != nil {
			return fmt.Errorf("recording: line %d: %w", r.lines.n, err)
		}
		if ended {
			return io.EOF
		}
		return nil
	}
	if first && !r.streaming() && !r.implied(line) {
		return nil
	}
	r.feed = line
	return nil
}

// streaming reports whether there is a connection that can bring events.
func (r *Reader) streaming() bool { return r.open && r.status == 200 }

// implied reports whether a line outside a connection begins one. What
// happened before it takes no time from what the line belongs to.
func (r *Reader) implied(line []byte) bool {
	name, _, _ := strings.Cut(strings.TrimRight(string(line[:min(len(line), 8)]), "\n"), ":")
	switch name {
	case "data", "event", "id", "retry":
	default:
		return false
	}
	wait := r.wait
	r.wait = 0
	if r.open {
		r.end(Step{Kind: End, Cause: EOF})
	}
	r.begin(Step{Kind: Open, Status: 200})
	r.wait = wait
	return true
}

func (r *Reader) begin(s Step) {
	r.add(s)
	r.open, r.status = true, s.Status
}

func (r *Reader) end(s Step) {
	r.add(s)
	r.open = false
}
