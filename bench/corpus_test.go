package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/wellspring-go/sse"
)

// TestCorporaHoldWhatTheyCounted asks the parser of the library, and counts
// lines by hand.
func TestCorporaHoldWhatTheyCounted(t *testing.T) {
	for _, c := range shortCorpora(64 << 10) {
		events, size := 0, 0
		for ev, err := range sse.NewParser(bytes.NewReader(c.bytes)).All() {
			if err != nil {
				t.Fatal(err)
			}
			events, size = events+1, size+len(ev.Data)
		}
		if events != c.events || size != c.size {
			t.Errorf("%s has %d events of %d bytes, counted as %d of %d", c.name, events, size, c.events, c.size)
		}
		if n := bytes.Count(c.bytes, []byte("\n")); n != c.lines {
			t.Errorf("%s has %d lines, counted as %d", c.name, n, c.lines)
		}
		if !bytes.HasSuffix(c.bytes, []byte(c.eol+c.eol)) {
			t.Errorf("%s does not end with an event", c.name)
		}
	}
}

func TestCorporaAreTheSameEachTime(t *testing.T) {
	var names []string
	again := corpora()
	for i, c := range corpora() {
		names = append(names, c.name)
		if len(c.bytes) < corpusLength {
			t.Errorf("%s has %d bytes, want at least %d", c.name, len(c.bytes), corpusLength)
		}
		if !bytes.Equal(c.bytes, again[i].bytes) {
			t.Errorf("%s differs from one time to the next", c.name)
		}
	}
	if got, want := strings.Join(names, " "), "tick llm json4k mixed big1m crlf chunked"; got != want {
		t.Errorf("the corpora are %s, want %s", got, want)
	}
}

func TestChunksAreSmall(t *testing.T) {
	c := corpusNamed(shortCorpora(4<<10), "chunked")
	r := c.reader()
	var lengths []int
	buf := make([]byte, 1<<10)
	for {
		n, err := r.Read(buf)
		if err == io.EOF {
			break
		}
		lengths = append(lengths, n)
	}
	lengths = lengths[:len(lengths)-1] // the last is what was left
	if got := slices.Min(lengths); got != 7 {
		t.Errorf("the smallest read is %d bytes, want 7", got)
	}
	if got := slices.Max(lengths); got != 64 {
		t.Errorf("the largest read is %d bytes, want 64", got)
	}
}

func corpusNamed(all []*corpus, name string) *corpus {
	return all[slices.IndexFunc(all, func(c *corpus) bool { return c.name == name })]
}
