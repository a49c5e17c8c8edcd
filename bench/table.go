package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// caption says how to read the table.
const caption = `Corpora of 2 MiB, checked on every pass: tick (id, name and 20 bytes of JSON an event), llm (one line of 230 bytes),
json4k, mixed (names, ids, comments, several lines of data), big1m (lines of 1 MiB), crlf (llm with CRLF), chunked (llm in
reads of 7 to 64 bytes). "parse" has the bytes in memory, "HTTP" has them from another process.

The measure is the owning hand loop: the least code that finds lines and fields, checks the UTF-8 and copies id and data of an
event into one string. Its row has its speed; the others are multiples of its time: ratio of the minimal times (median of the
ratios round by round ± half their interquartile range). The plain loop checks and copies nothing, and ` + "`Parser.Raw`" + `, which
lends its memory as hertz does, is a multiple of that one's time. IndexByte only counts line ends, and Copy only reads. "fails": not
every event and byte was found. jetify decodes JSON as it goes; peers without a client read the body of a response.
Allocations are per further event, of tick, llm and json4k.
`

// writeTable writes the one table: a row for each reader and way, in the order
// of readers.
func writeTable(w *strings.Builder, cells []*cell) {
	names := columns(cells)
	if len(names) == 0 {
		return
	}
	fmt.Fprintf(w, "| reader | way | %s | allocations |\n", strings.Join(names, " | "))
	fmt.Fprintf(w, "|---|---|%s--:|\n", strings.Repeat("--:|", len(names)))
	for _, r := range inOrder(cells) {
		fmt.Fprintf(w, "| %s | %s |", label(r), map[string]string{parsing: "parse", overHTTP: "HTTP"}[r.way])
		for _, name := range names {
			fmt.Fprintf(w, " %s |", ratioText(cellOf(cells, r.way, name, r.name)))
		}
		fmt.Fprintf(w, " %s |\n", allocsText(cells, r))
	}
}

// columns are the corpora that were measured.
func columns(cells []*cell) []string {
	var names []string
	for _, c := range cells {
		if !slices.Contains(names, c.corpus.name) {
			names = append(names, c.corpus.name)
		}
	}
	return names
}

// inOrder are the readers that were measured, ours first, then the hand
// loops, then the peers, each with its ways side by side.
func inOrder(cells []*cell) []*reader {
	var rows []*reader
	for _, c := range cells {
		if !slices.ContainsFunc(rows, func(r *reader) bool { return r.name == c.reader.name && r.way == c.reader.way }) {
			rows = append(rows, c.reader)
		}
	}
	order := make(map[string]int)
	for i, r := range readers() {
		order[r.name+"/"+r.way] = i
	}
	slices.SortStableFunc(rows, func(a, b *reader) int { return order[a.name+"/"+a.way] - order[b.name+"/"+b.way] })
	return rows
}

func label(r *reader) string {
	switch {
	case r.kind == ours && r.base == plainName:
		return "**" + r.name + "**, to the plain loop"
	case r.kind == ours:
		return "**" + r.name + "**"
	case r.kind == peer:
		return r.name + " " + moduleVersion(r.module)
	}
	return r.name
}

func ratioText(c *cell) string {
	if c == nil {
		return ""
	}
	if c.err != nil {
		return "fails"
	}
	r, ok := c.ratios()
	if !ok {
		return ""
	}
	if c.base == c {
		megabytes := float64(c.read) / 1e6 / slices.Min(c.times).Seconds()
		return fmt.Sprintf("1 (%.0f MB/s)", megabytes)
	}
	return fmt.Sprintf("%s (%s ±%s)", digits(r.least), digits(r.median), digits(r.spread))
}

// digits writes a ratio with as many places as mean something.
func digits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func allocsText(cells []*cell, r *reader) string {
	var texts []string
	for _, name := range mainCorpora {
		if c := cellOf(cells, r.way, name, r.name); c != nil && c.err == nil && c.allocs >= 0 {
			texts = append(texts, strings.TrimSuffix(fmt.Sprintf("%.1f", c.allocs), ".0"))
		}
	}
	return strings.Join(texts, ", ")
}

// moduleVersion is the version of a module that this program was built with,
// "" if it is not known.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return ""
}

// environment says when, where and by which clock it was measured. The peers'
// versions are in their rows.
func environment(now time.Time, cpu bool) string {
	times := "time on the clock"
	if cpu {
		times = "processor time of the reading process"
	}
	return fmt.Sprintf("Measured on %s with %s on %s/%s, %d CPUs: %s.\n",
		now.UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), times)
}
