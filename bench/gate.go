package main

import "fmt"

// tolerance is what a measured value may be above its target.
const tolerance = 1.15

// A target is what a reader's median ratio to its hand loop should be at most.
type target struct {
	way, corpus, reader string
	most                float64
}

// allocsTarget is the number of allocations per event that our readers may
// make, by name; 1 for those not named.
var allocsTarget = map[string]float64{"Parser.Raw": 0}

// targets returns all of them, in the order of the table.
func targets() []target {
	var all []target
	for _, t := range []struct {
		way, reader       string
		tick, llm, json4k float64
		rest              float64 // the other corpora; 0 for no target
	}{
		{parsing, "Parser.All", 1.15, 1, 1, 1.5},
		{parsing, "Parser.Raw", 1.5, 1.5, 1.5, 0},
		{overHTTP, "EventSource.All", 1.1, 1, 1, 1.5},
		{overHTTP, "OnEvent", 1.1, 1, 1, 0},
		{overHTTP, "Selection.Events", 1.6, 1.25, 1.05, 0},
	} {
		all = append(all,
			target{t.way, "tick", t.reader, t.tick},
			target{t.way, "llm", t.reader, t.llm},
			target{t.way, "json4k", t.reader, t.json4k})
		if t.rest == 0 {
			continue
		}
		for _, corpus := range []string{"mixed", "big1m", "crlf", "chunked"} {
			all = append(all, target{t.way, corpus, t.reader, t.rest})
		}
	}
	return all
}

// shortfalls names the cells that miss a target by more than the tolerance,
// with what was wanted and what was measured. What -run left out is no miss.
func shortfalls(o options, cells []*cell) []string {
	var short []string
	for _, t := range targets() {
		if !o.wants(t.way, t.corpus, t.reader) {
			continue
		}
		name := t.way + "/" + t.corpus + "/" + t.reader
		c := cellOf(cells, t.way, t.corpus, t.reader)
		if c == nil {
			short = append(short, name+": not measured")
			continue
		}
		if c.err != nil {
			short = append(short, fmt.Sprintf("%s: %v", name, c.err))
			continue
		}
		if r, ok := c.ratios(); !ok {
			short = append(short, name+": not measured")
		} else if r.median > t.most*tolerance {
			short = append(short, fmt.Sprintf("%s: %.2f times the %s, want at most %.2f", name, r.median, c.reader.base, t.most))
		}
		most, ok := allocsTarget[t.reader]
		if !ok {
			most = 1
		}
		// The runtime's own allocations are in a difference of two passes.
		if c.allocs > most*tolerance+0.01 {
			short = append(short, fmt.Sprintf("%s: %.2f allocations per event, want at most %.0f", name, c.allocs, most))
		}
	}
	return short
}

// cellOf finds a cell; nil if it was not measured.
func cellOf(cells []*cell, way, corpus, reader string) *cell {
	for _, c := range cells {
		if c.reader.way == way && c.corpus.name == corpus && c.reader.name == reader {
			return c
		}
	}
	return nil
}
