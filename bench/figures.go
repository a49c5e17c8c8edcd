package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// What growth writes stands between these marks; the rest of the page is
// written by hand.
const (
	growthBegin = "<!-- growth:begin -->\n"
	growthEnd   = "<!-- growth:end -->\n"
)

// writeFigures puts the figures into the page, in place of the last ones.
func writeFigures(page string, figures []figure) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head, rest, begins := bytes.Cut(old, []byte(growthBegin))
	_, tail, ends := bytes.Cut(rest, []byte(growthEnd))
	if !begins || !ends {
		return errors.New("the page has no growth:begin and growth:end")
	}
	var b bytes.Buffer
	b.Write(head)
	b.WriteString(growthBegin)
	fmt.Fprintf(&b, "Measured on %s with %s on %s/%s, %d processors, by one process, the server being another.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for _, f := range figures {
		f.table(&b)
	}
	b.WriteString(growthEnd)
	b.Write(tail)
	return os.WriteFile(page, b.Bytes(), 0o644)
}

// table prints the figure's points: x in rows, curves in columns.
func (f figure) table(w *bytes.Buffer) {
	if len(f.curves) == 0 {
		return
	}
	fmt.Fprintf(w, "\n| %s |", f.xLabel)
	for _, c := range f.curves {
		fmt.Fprintf(w, " %s |", c.name)
	}
	fmt.Fprintf(w, "\n|--:|%s\n", strings.Repeat("--:|", len(f.curves)))
	for i, x := range f.curves[0].x {
		fmt.Fprintf(w, "| %s |", f.xText(x))
		for _, c := range f.curves {
			fmt.Fprintf(w, " %s |", countText(c.y[i]))
		}
		fmt.Fprintln(w)
	}
}
