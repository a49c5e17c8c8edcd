package main

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// measured makes cells as a run would: one corpus, whose hand loops take 10
// and 5 ms.
func measured(corpusName string, extra ...*cell) []*cell {
	c := &corpus{name: corpusName, events: 10}
	owning := &cell{reader: parserNamed(owningName), allocs: 1, times: millis(10, 10, 20, 10)}
	plain := &cell{reader: parserNamed(plainName), allocs: 0, times: millis(5, 5, 5, 5)}
	all := slices.Concat(extra, []*cell{owning, plain})
	for _, cl := range all {
		cl.corpus, cl.read = c, 2_000_000
		if cl.base = owning; cl.reader.base == plainName {
			cl.base = plain
		}
	}
	return all
}

func millis(ms ...int) []time.Duration {
	var d []time.Duration
	for _, n := range ms {
		d = append(d, time.Duration(n)*time.Millisecond)
	}
	return d
}

func parserNamed(name string) *reader {
	for _, r := range readers() {
		if r.way == parsing && r.name == name {
			return r
		}
	}
	return &reader{name: name, way: parsing, base: plainName}
}

func TestRatiosArePaired(t *testing.T) {
	c := measured("tick", &cell{reader: parserNamed("Parser.All"), times: millis(11, 12, 26, 12)})[0]
	got, ok := c.ratios()
	want := ratios{least: 1.1, median: 1.2, spread: 0.025}
	if !ok || abs(got.least-want.least)+abs(got.median-want.median)+abs(got.spread-want.spread) > 1e-9 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// A peer has fewer rounds in a quick run: only theirs count.
	c.times = millis(20, 20)
	if got, ok := c.ratios(); !ok || got != (ratios{least: 2, median: 2}) {
		t.Errorf("with two rounds got %+v, want 2 ± 0", got)
	}
}

func abs(v float64) float64 { return max(v, -v) }

func TestTable(t *testing.T) {
	cells := measured("tick",
		&cell{reader: parserNamed("tmaxmax/go-sse"), times: millis(150, 1500, 200, 150), allocs: 2},
		&cell{reader: parserNamed("jetify"), err: errors.New("too long"), allocs: -1},
		&cell{reader: parserNamed("Parser.All"), times: millis(11, 12, 26, 12), allocs: 0.24},
	)
	var b strings.Builder
	writeTable(&b, cells)
	got := regexp.MustCompile(`(jetify|go-sse) [0-9.]*`).ReplaceAllString(b.String(), "$1 V")
	want := `| reader | way | tick | allocations |
|---|---|--:|--:|
| **Parser.All** | parse | 1.10 (1.20 ±0.03) | 0.2 |
| owning hand loop | parse | 1 (200 MB/s) | 1 |
| plain hand loop | parse | 0.50 (0.50 ±0.03) | 0 |
| jetify V | parse | fails |  |
| tmaxmax/go-sse V | parse | 15.0 (15.0 ±17.5) | 2 |
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableOfNothingIsEmpty(t *testing.T) {
	var b strings.Builder
	if writeTable(&b, nil); b.String() != "" {
		t.Errorf("got %q", b.String())
	}
}

func TestEnvironmentHasTheDate(t *testing.T) {
	got := environment(time.Date(2026, 1, 2, 23, 0, 0, 0, time.UTC), false)
	if !strings.HasPrefix(got, "Measured on 2026-01-02 with go") {
		t.Error(got)
	}
}
