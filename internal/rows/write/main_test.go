package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFiguresGoIntoTheirCells(t *testing.T) {
	noted, err := read(strings.NewReader(`{"Row":"F1","Test":"B","Full":false,"Text":"old"}
{"Row":"F1","Test":"B","Full":false,"Text":"lost 0"}
{"Row":"F1","Test":"A","Full":false,"Text":"150 | offsets"}
{"Row":"F1","Test":"A","Full":true,"Text":"2000 offsets"}
`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := fill([]byte("text | with | bars\n| # | fault | target | scaled | full |\n|---|---|---|---|---|\n| F1 | cut | 0 | | |\n"), noted)
	if err != nil {
		t.Error(err)
	}
	want := "text | with | bars\n| # | fault | target | scaled | full |\n|---|---|---|---|---|\n| F1 | cut | 0 | 150 / offsets (`A`); lost 0 (`B`) | 2000 offsets (`A`) |\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRowsWithoutFiguresAndFiguresWithoutRowsAreErrors(t *testing.T) {
	noted, err := read(strings.NewReader(`{"Row":"F9","Test":"B","Text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = fill([]byte("| F1 | cut | 0 | | known |\n"), noted)
	if err == nil || !strings.Contains(err.Error(), "F1 has no figure (full: false)") || !strings.Contains(err.Error(), "F9 was noted") || strings.Contains(err.Error(), "full: true") {
		t.Errorf("got %v", err)
	}
}
