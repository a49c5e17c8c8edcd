// Package rows collects the figures of docs/reliability.md: each row of its
// tables is a promise, and the tests that prove it note what they measured.
package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
)

// A Figure is what one test measured for one row.
type Figure struct {
	Row  string // P1, S1, F1 and so on
	Test string
	Full bool // the full size, else a scaled one
	Text string
}

// Full reports whether the full sizes are asked for, which take the better
// part of an hour: make soak does, by SSE_SOAK=1.
func Full() bool { return os.Getenv("SSE_SOAK") != "" }

// Size returns the size of a run.
func Size(scaled, full int) int {
	if Full() {
		return full
	}
	return scaled
}

// Note notes a figure, if the test has not failed, as a line of JSON in the
// file that SSE_ROWS names, and logs it.
func Note(tb testing.TB, row, format string, args ...any) {
	tb.Helper()
	text := fmt.Sprintf(format, args...)
	tb.Logf("%s: %s", row, text)
	path := os.Getenv("SSE_ROWS")
	if path == "" || tb.Failed() {
		return
	}
	line, err := json.Marshal(Figure{row, tb.Name(), Full(), text})
	if err != nil {
		tb.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = f.Write(append(line, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		tb.Fatal(err)
	}
}
