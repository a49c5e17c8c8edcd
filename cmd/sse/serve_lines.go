package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/recording"
)

const (
	// maxLine is the longest line that becomes an event, which is what clients
	// take by default.
	maxLine = 16 << 20
	// stuckAfter is how long a client may read nothing before it is cut off,
	// as it holds up all others.
	stuckAfter = 10 * time.Second
)

// A lineFeed sends each line of its input to all clients, as an event with an
// id that grows. It keeps some for clients that come later, and reads no further
// while that would drop one that a client has not got yet, or that no client
// could get because none has come yet.
//
// A stdin that is read again is another one, though its lines have the same
// numbers: run stands before them, so that no client skips lines which it has
// not got. In a file the numbers mean the same lines.
type lineFeed struct {
	run  string
	keep int
	end  func() // is called when all was served, several times perhaps

	mu      sync.Mutex
	lines   []string
	first   uint64           // number of lines[0]
	clients map[*uint64]bool // the number that each will get next
	came    bool             // a client, ever
	over    bool             // the input is at its end
	news    chan struct{}    // closed and replaced with every change
}

// newLineFeed returns a feed of the lines of r. Its goroutine reads them, and
// ends with r. fail is told of an error, which names the input.
func newLineFeed(r io.Reader, name, run string, keep int, end func(), fail func(error)) *lineFeed {
	f := &lineFeed{run: run, keep: keep, end: end, first: 1, clients: map[*uint64]bool{}, news: make(chan struct{})}
	go func() {
		if err := f.read(r); err != nil {
			fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	return f
}

func (f *lineFeed) read(r io.Reader) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		f.add(s.Text())
	}
	if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("a line of more than %d MiB", maxLine>>20)
	} else if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.changed()
	return nil
}

// changed wakes all that wait for a change. mu is held.
func (f *lineFeed) changed() {
	close(f.news)
	f.news = make(chan struct{})
}

// add appends a line once there is room for it.
func (f *lineFeed) add(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.lines) >= f.keep && f.wanted() {
		news := f.news
		f.mu.Unlock()
		<-news
		f.mu.Lock()
	}
	if len(f.lines) >= f.keep {
		f.lines[0] = ""
		f.lines = f.lines[1:]
		f.first++
	}
	f.lines = append(f.lines, line)
	f.changed()
}

// wanted reports whether a client is still to get the oldest line. mu is held.
func (f *lineFeed) wanted() bool {
	for next := range f.clients {
		if *next <= f.first {
			return true
		}
	}
	return !f.came
}

// next is the number of the line that comes next. mu is held.
func (f *lineFeed) next() uint64 { return f.first + uint64(len(f.lines)) }

// join adds a client that has got the line with the id, and returns its
// position and the number of lines that it missed. Without an id, or with one
// that is not of this feed, it gets all that is kept. Nil means that nothing
// follows.
func (f *lineFeed) join(lastEventID string) (at *uint64, missed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at = new(uint64)
	*at = f.first
	number, ours := strings.CutPrefix(lastEventID, f.run)
	if id, err := strconv.ParseUint(number, 10, 64); ours && err == nil && id > 0 && id < f.next() {
		if id+1 < f.first {
			missed = f.first - id - 1
		}
		*at = max(id+1, f.first)
	}
	if f.over && *at == f.next() {
		return nil, 0
	}
	f.clients[at] = true
	f.came = true
	f.changed()
	return at, missed
}

func (f *lineFeed) leave(at *uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.clients, at)
	f.changed()
}

func (f *lineFeed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, missed := f.join(r.Header.Get("Last-Event-ID"))
	if at == nil {
		w.WriteHeader(http.StatusNoContent)
		f.end()
		return
	}
	defer f.leave(at)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	var head []byte
	if missed > 0 {
		head = fmt.Appendf(nil, ": %d lines are no longer kept (--keep %d)\n", missed, f.keep)
	}
	out := http.NewResponseController(w)
	for b := head; ; {
		out.SetWriteDeadline(time.Now().Add(stuckAfter)) //nolint:errcheck // then it may be stuck for longer
		if _, err := w.Write(b); err != nil || out.Flush() != nil {
			return
		}
		var news <-chan struct{}
		var over bool
		for b = b[:0]; len(b) == 0; {
			if b, news, over = f.take(b, at); len(b) > 0 {
				break
			}
			if over {
				time.AfterFunc(lastGrace, f.end)
				return
			}
			select {
			case <-news:
			case <-r.Context().Done():
				return
			}
		}
	}
}

// take appends what a client is to get next, moves it on, and returns what
// tells that there is more, or that nothing follows.
func (f *lineFeed) take(b []byte, at *uint64) (out []byte, news <-chan struct{}, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for *at < f.next() && len(b) < outputRoom {
		s := recording.Step{Kind: recording.Event, Event: sse.Event{
			ID: f.run + strconv.FormatUint(*at, 10), Data: f.lines[*at-f.first],
		}}
		b = s.Append(b, "")
		*at++
	}
	if len(b) > 0 {
		f.changed()
	}
	return b, f.news, f.over
}
