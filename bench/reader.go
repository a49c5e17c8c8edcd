package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// The two ways to a corpus: out of memory, or from the server. They are the
// sections of the table.
const (
	parsing  = "parse"
	overHTTP = "http"
)

// The names of the hand loops, to whose times the others' are related.
const (
	plainName  = "plain hand loop"
	owningName = "owning hand loop"
)

// A reader reads a corpus to its end and says what it found.
type reader struct {
	name   string
	kind   kind
	way    string // parsing or overHTTP
	module string // the peer's, for its version
	base   string // the hand loop that it is compared with
	read   func(context.Context, input) (tally, error)
	// proof, where it is set, is run once before the clock starts: it finds
	// the size that read cannot know, as it hands out decoded values.
	proof func(context.Context, input) (tally, error)
}

type kind int

// In the order of the table.
const (
	ours kind = iota
	hand
	peer
)

// An input is a corpus, and where the server has it.
type input struct {
	corpus *corpus
	url    string
}

// A tally is what a reader found: events and the sum of their data's bytes.
// Those that find none count lines, or bytes. The hand loops leave here what
// else they have made, or the compiler would not make it.
type tally struct {
	events, size, lines, read int
	rest                      int
	last                      string
}

// add counts an event whose data has size bytes. One without is none: the
// standard does not dispatch it, but some readers hand it out.
func (t *tally) add(size int) {
	if size > 0 {
		t.events++
		t.size += size
	}
}

// check compares with what the corpus holds.
func (t tally) check(c *corpus, sized bool) error {
	switch {
	case t.read > 0:
		return compare("bytes", t.read, len(c.bytes))
	case t.lines > 0:
		return compare("lines", t.lines, c.lines)
	case t.events != c.events || !sized:
		return compare("events", t.events, c.events)
	}
	return compare("bytes of data", t.size, c.size)
}

func compare(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("found %d %s, want %d", got, what, want)
	}
	return nil
}

// pass reads the corpus once and checks what was found.
func (r *reader) pass(ctx context.Context, in input) error {
	t, err := r.read(ctx, in)
	if err != nil {
		return err
	}
	return t.check(in.corpus, r.proof == nil)
}

// prove is the pass before the first that counts.
func (r *reader) prove(ctx context.Context, in input) error {
	if r.proof == nil {
		return r.pass(ctx, in)
	}
	t, err := r.proof(ctx, in)
	if err != nil {
		return err
	}
	return t.check(in.corpus, true)
}

// fromMemory makes a read of f.
func fromMemory(f func(io.Reader) (tally, error)) func(context.Context, input) (tally, error) {
	return func(_ context.Context, in input) (tally, error) { return f(in.corpus.reader()) }
}

// fromBody makes a read of f that gets the body of a response.
func fromBody(f func(io.Reader) (tally, error)) func(context.Context, input) (tally, error) {
	return func(ctx context.Context, in input) (tally, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, in.url, http.NoBody)
		if err != nil {
			return tally{}, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return tally{}, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return tally{}, fmt.Errorf("the server answers %s", resp.Status)
		}
		return f(resp.Body)
	}
}

// readers returns all of them, in the order of the table.
func readers() []*reader {
	all := ourReaders()
	for _, h := range []struct {
		name string
		read func(io.Reader) (tally, error)
	}{
		{owningName, owningLoop},
		{plainName, plainLoop},
		{"bytes.IndexByte", newlines},
		{"io.Copy", discard},
	} {
		all = append(all,
			&reader{name: h.name, kind: hand, way: parsing, read: fromMemory(h.read)},
			&reader{name: h.name, kind: hand, way: overHTTP, read: fromBody(h.read)})
	}
	all = append(all, peerReaders()...)
	for _, r := range all {
		if r.base == "" {
			r.base = owningName
		}
	}
	return all
}
