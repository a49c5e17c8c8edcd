package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGrowthWritesPlotsAndFigures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, "performance.md")
	const before, after = "# Before\n\n", "\nafter\n"
	const growthBegin, growthEnd = "<!-- growth:begin -->", "<!-- growth:end -->"
	if err := os.WriteFile(page, []byte(before+growthBegin+"\nold\n"+growthEnd+after), 0o600); err != nil {
		t.Fatal(err)
	}
	err := runGrowth(t.Context(), dir, growthPlan{
		rounds: 1, streams: []int{1, 3}, selections: []int{1, 3}, sizes: []int{10, 70_000}, pieces: []int{1, 1000},
		events: 100, bytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), before+growthBegin) || !strings.HasSuffix(string(text), growthEnd+after) ||
		strings.Contains(string(text), "old") || strings.Count(string(text), "\n|--:|") != 4 {
		t.Errorf("got the page\n%s\nwant four tables in place of what was between the marks", text)
	}
	for _, name := range []string{"streams", "selections", "size", "chunks"} {
		svg, err := os.ReadFile(filepath.Join(dir, "performance-"+name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(svg, []byte("<svg ")) || !bytes.Contains(svg, []byte("Events")) || len(svg) > 60<<10 ||
			bytes.Contains(svg, []byte(dir)) {
			t.Errorf("%s: %d bytes, want a plot of at most 60 KiB with its curves named\n%.300s", name, len(svg), svg)
		}
	}
}

func TestTheSameFigureGivesTheSameFile(t *testing.T) {
	f := figure{
		title: "title", xLabel: "bytes", yLabel: "events per second", bytes: true,
		curves: []curve{{"one", []float64{1, 1 << 20}, []float64{10, 1e6}}, {"two", []float64{1, 1 << 20}, []float64{20, 1e5}}},
	}
	var files [2][]byte
	for i := range files {
		file := filepath.Join(t.TempDir(), "f.svg")
		if err := f.draw(file); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two drawings of one figure differ")
	}
	for _, label := range []string{">1 MiB<", ">1M<", ">one<", ">two<"} {
		if !bytes.Contains(files[0], []byte(label)) {
			t.Errorf("no label %s", label)
		}
	}
}

func TestFlowNamesItsEventsInTurn(t *testing.T) {
	block, eventLen := flow{Size: 5, Chunk: 40, Names: 3}.block()
	want := "event: n00\ndata: xxxxx\n\nevent: n01\ndata: xxxxx\n\nevent: n02\ndata: xxxxx\n\n"
	if string(block) != want || eventLen != len(want)/3 {
		t.Errorf("got %q with events of %d bytes, want all names once", block, eventLen)
	}
}
