package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// figureText is the figures in words.
func figureText(figures []figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s with %s on %s/%s, %d processors, by one process, the server being another.\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for _, f := range figures {
		f.table(&b)
	}
	return b.String()
}

// table prints the figure's points: x in rows, curves in columns.
func (f figure) table(w *strings.Builder) {
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
