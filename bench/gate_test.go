package main

import (
	"errors"
	"regexp"
	"slices"
	"testing"
)

func TestGateComparesMedians(t *testing.T) {
	only := options{run: regexp.MustCompile(`^parse/tick/Parser\.(All|Raw)$`)}
	all := parserNamed("Parser.All")
	raw := &reader{name: "Parser.Raw", way: parsing, base: plainName}
	for _, test := range []struct {
		name     string
		all, raw *cell
		want     []string
	}{
		{
			"within the tolerance, but for the slowest rounds",
			&cell{reader: all, times: millis(13, 13, 90, 13), allocs: 1.1},
			&cell{reader: raw, times: millis(8, 8, 8, 99), allocs: 0.001},
			nil,
		},
		{
			"too slow",
			&cell{reader: all, times: millis(14, 14, 28, 14)},
			&cell{reader: raw, times: millis(9, 9, 9, 9)},
			[]string{
				"parse/tick/Parser.All: 1.40 times the owning hand loop, want at most 1.15",
				"parse/tick/Parser.Raw: 1.80 times the plain hand loop, want at most 1.50",
			},
		},
		{
			"too many allocations",
			&cell{reader: all, times: millis(10), allocs: 1.2},
			&cell{reader: raw, times: millis(5), allocs: 0.1},
			[]string{
				"parse/tick/Parser.All: 1.20 allocations per event, want at most 1",
				"parse/tick/Parser.Raw: 0.10 allocations per event, want at most 0",
			},
		},
		{
			"wrong, and not there",
			&cell{reader: all, err: errors.New("found less")},
			&cell{reader: raw},
			[]string{
				"parse/tick/Parser.All: found less",
				"parse/tick/Parser.Raw: not measured",
			},
		},
	} {
		if got := shortfalls(only, measured("tick", test.all, test.raw)); !slices.Equal(got, test.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestGateMissesWhatWasNotMeasured(t *testing.T) {
	if got := shortfalls(options{}, nil); len(got) != len(targets()) {
		t.Errorf("%d shortfalls, want all %d", len(got), len(targets()))
	}
	if got := shortfalls(options{run: regexp.MustCompile("^idle/")}, nil); len(got) != 0 {
		t.Errorf("what -run left out falls short: %q", got)
	}
}
