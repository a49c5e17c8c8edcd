package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
)

func TestTheCommandsFeedHasAsManyEventsAsAskedFor(t *testing.T) {
	mux := http.NewServeMux()
	commandRoute(mux)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	whole := servedCorpus("tick", corpusLength).events
	for _, want := range []int{1, whole - 1, whole, 2*whole + 7} {
		resp, err := http.Get(commandURL(srv.URL+"/command", want))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, err := range sse.NewParser(resp.Body).All() {
			if got++; err != nil {
				t.Fatal(err)
			}
		}
		resp.Body.Close()
		if got != want {
			t.Errorf("%d events, want %d", got, want)
		}
	}
}

func TestEventsAreCountedAcrossReads(t *testing.T) {
	for end, output := range map[string]string{"\n": "a\nb\nc\n", "\n\n": "id: 1\ndata: a\n\ndata: b\n\ndata: c\n\n"} {
		for size := 1; size <= len(output); size++ {
			c := eventCounter{end: end}
			for piece := range slices.Chunk([]byte(output), size) {
				c.count(piece)
			}
			if c.events != 3 {
				t.Errorf("%q in pieces of %d: %d events, want 3", output, size, c.events)
			}
		}
	}
}

func TestLoopsDoTheirWork(t *testing.T) {
	for _, c := range commandCases() {
		do, err := loopWork(c.loop)
		if err != nil {
			t.Fatal(err)
		}
		if err := do(sse.Event{Name: "tick", Data: `{"n":1}`}); err != nil {
			t.Errorf("%s: %v", c.loop, err)
		}
		if err := do(sse.Event{Data: "no JSON"}); (err != nil) != (c.loop == "jq") {
			t.Errorf("%s of no JSON: %v", c.loop, err)
		}
	}
}

func TestTheCommandsTargetsAreHeld(t *testing.T) {
	times := func(d time.Duration) []time.Duration { return []time.Duration{d, d, d} }
	good := &commandResults{events: 10, startup: 5, empty: 2, peaks: [3]int64{7 << 20, 8 << 20, 9 << 20}}
	bad := &commandResults{events: 10, startup: 7, empty: 2, peaks: [3]int64{1 << 20, 8 << 20, 11 << 20}}
	for _, c := range commandCases() {
		good.rows = append(good.rows, commandRow{c, times(time.Second), times(time.Duration(c.least * float64(time.Second)))})
		bad.rows = append(bad.rows, commandRow{c, times(time.Second), times(time.Duration(c.least * float64(time.Second) / 1.2))})
	}
	if short := commandShortfalls(good); short != nil {
		t.Errorf("what is good falls short: %q", short)
	}
	if short := commandShortfalls(bad); len(short) != len(bad.rows)+2 {
		t.Errorf("of what is bad only this falls short: %q", short)
	}
	text := good.markdown(options{})
	for _, want := range []string{"| sse -o raw | a loop of All | 4000000 | 60% | 4M |", "2.5 times an empty cobra program", "at event 10."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
