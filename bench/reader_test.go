package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
)

// testLength makes corpora that are read in no time, but for the one whose
// events are large.
const testLength = 16 << 10

func TestReadersFindEverything(t *testing.T) {
	url, stop, err := startServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, c := range shortCorpora(testLength) {
		in := inputOf(url, c, testLength)
		for _, r := range readers() {
			if err := r.prove(t.Context(), in); err != nil {
				t.Errorf("%s/%s/%s: %v", r.way, c.name, r.name, err)
			} else if err := r.pass(t.Context(), in); err != nil {
				t.Errorf("%s/%s/%s, again: %v", r.way, c.name, r.name, err)
			}
		}
	}
}

// TestHandLoopsGrow has lines and events that end anywhere in a read, and do
// not fit the buffer.
func TestHandLoopsGrow(t *testing.T) {
	c := &corpus{name: "growing", eol: "\r\n", chunks: func(i int) int { return 1 + i*7919%50_000 }}
	for i := range 60 {
		line := strings.Repeat("0123456789", i*300)
		c.event("a name", "an id", line, "", line+"ü")
	}
	for _, read := range []func(io.Reader) (tally, error){plainLoop, owningLoop, newlines} {
		got, err := read(c.reader())
		if err == nil {
			err = got.check(c, true)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestOwningLoopMakesTheStringOfAnEvent(t *testing.T) {
	for _, test := range []struct{ stream, want string }{
		{"id: 7\nevent: a\ndata: b\n\n", "7b"},
		{"data: b\nid: 7\ndata: c\ndata:d\n\n", "7b\nc\nd"},
		{"data: \xff\n\n", "\uFFFD"},
	} {
		got, err := owningLoop(strings.NewReader(test.stream))
		if err != nil {
			t.Fatal(err)
		}
		if got.last != test.want {
			t.Errorf("of %q it makes %q, want %q", test.stream, got.last, test.want)
		}
	}
}

func TestCheckCatchesWhatIsLost(t *testing.T) {
	c := corpusNamed(shortCorpora(testLength), "llm")
	for name, lose := range map[string]func(*tally){
		"an event":          func(t *tally) { t.events-- },
		"a byte":            func(t *tally) { t.size-- },
		"an event too many": func(t *tally) { t.events++ },
		"everything":        func(t *tally) { *t = tally{} },
	} {
		r := &reader{name: "losing", way: parsing, read: func(_ context.Context, in input) (tally, error) {
			got, err := plainLoop(in.corpus.reader())
			lose(&got)
			return got, err
		}}
		if err := r.prove(t.Context(), input{corpus: c}); err == nil {
			t.Errorf("%s: not noticed", name)
		}
		cl := &cell{reader: r, corpus: c}
		if cl.warmUp(t.Context(), input{corpus: c}); cl.err == nil || ratioText(cl) != "fails" {
			t.Errorf("%s: the cell says %q, want fails", name, ratioText(cl))
		}
	}
}

// TestCheckCatchesWhatIsLostLater has a reader that is right at first.
func TestCheckCatchesWhatIsLostLater(t *testing.T) {
	c := corpusNamed(shortCorpora(testLength), "tick")
	passes := 0
	cl := &cell{corpus: c, reader: &reader{way: parsing, read: func(_ context.Context, in input) (tally, error) {
		got, err := plainLoop(in.corpus.reader())
		if passes++; passes > 2 {
			got.events--
		}
		return got, err
	}}}
	cl.warmUp(t.Context(), input{corpus: c})
	if cl.err != nil {
		t.Fatal(cl.err)
	}
	if err := runRounds(t.Context(), options{clock: wallClock}, []*cell{cl}, input{corpus: c}); err == nil {
		t.Error("an event that is lost while the clock runs is not noticed")
	}
}

// TestNobodyAlwaysFollowsTheSameReader: what a sample costs depends on what
// the one before left in memory.
func TestNobodyAlwaysFollowsTheSameReader(t *testing.T) {
	before := make(map[string]map[string]bool)
	last := ""
	var group []*cell
	for _, name := range []string{"a", "b", "c", "d"} {
		before[name] = make(map[string]bool)
		read := func(context.Context, input) (tally, error) {
			before[name][last] = true
			last = name
			return tally{}, nil
		}
		group = append(group, &cell{passes: 1, corpus: &corpus{}, reader: &reader{read: read}})
	}
	if err := runRounds(t.Context(), options{clock: wallClock}, group, input{corpus: &corpus{}}); err != nil {
		t.Fatal(err)
	}
	for name, seen := range before {
		delete(seen, name) // the last of a round may be the first of the next
		if delete(seen, ""); len(seen) != 3 {
			t.Errorf("%s follows only %v", name, seen)
		}
	}
}

func TestReadersAreOrderedAndCompared(t *testing.T) {
	var names []string
	for _, r := range readers() {
		if r.kind == peer && r.way == overHTTP {
			names = append(names, r.name)
			if r.module == "" {
				t.Errorf("%s has no module, and so no version", r.name)
			}
		}
		if r.base != owningName && r.base != plainName {
			t.Errorf("%s is compared with %q", r.name, r.base)
		}
	}
	if !slices.IsSorted(names) || len(names) != 7 {
		t.Errorf("the peers are %q", names)
	}
}
