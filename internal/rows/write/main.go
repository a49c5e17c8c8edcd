// Write puts the figures that tests noted (package rows) into the tables of
// docs/reliability.md: into the last two columns of the row that has the same
// name, the scaled figure and the full one.
//
//	SSE_ROWS=rows.json go test -count=1 ./...
//	go run ./internal/rows/write rows.json docs/reliability.md
//
// A figure that the file has none for stays. It fails if a row of the tables
// has no figure, or a figure no row.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/wellspring-go/sse/internal/rows"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: write ROWS.json RELIABILITY.md")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(figures, doc string) error {
	b, err := os.ReadFile(figures)
	if err != nil {
		return err
	}
	noted, err := read(bytes.NewReader(b))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	if text, err = fill(text, noted); err != nil {
		return err
	}
	return os.WriteFile(doc, text, 0o644)
}

// cell is a row and a column, scaled or full.
type cell struct {
	row  string
	full bool
}

// read returns the figures of each cell, the last one of each test, each with
// the test's name.
func read(r io.Reader) (map[cell]string, error) {
	byTest := map[cell]map[string]string{} // by the whole name, with subtests
	for d := json.NewDecoder(r); ; {
		var f rows.Figure
		if err := d.Decode(&f); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		c := cell{f.Row, f.Full}
		if byTest[c] == nil {
			byTest[c] = map[string]string{}
		}
		byTest[c][f.Test] = f.Text
	}
	noted := map[cell]string{}
	for c, tests := range byTest {
		byName := map[string][]string{}
		for _, test := range slices.Sorted(maps.Keys(tests)) {
			name, _, _ := strings.Cut(test, "/")
			byName[name] = append(byName[name], tests[test])
		}
		var texts []string
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			texts = append(texts, fmt.Sprintf("%s (`%s`)", strings.Join(byName[name], "; "), name))
		}
		noted[c] = strings.Join(texts, "; ")
	}
	return noted, nil
}

// fill rewrites the table rows of a document: lines of the form
// | name | ... | scaled | full |.
func fill(doc []byte, noted map[cell]string) ([]byte, error) {
	var out bytes.Buffer
	var errs []error
	seen := map[string]bool{}
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 6 || !isRow(strings.TrimSpace(cells[1])) {
			out.WriteString(line)
			continue
		}
		name := strings.TrimSpace(cells[1])
		seen[name] = true
		for i, full := range []bool{false, true} {
			at := len(cells) - 3 + i
			if text, ok := noted[cell{name, full}]; ok {
				cells[at] = " " + strings.ReplaceAll(text, "|", "/") + " "
			}
			if strings.TrimSpace(cells[at]) == "" {
				errs = append(errs, fmt.Errorf("%s has no figure (full: %t)", name, full))
			}
		}
		out.WriteString(strings.Join(cells, "|") + "\n")
	}
	for c := range noted {
		if !seen[c.row] {
			errs = append(errs, fmt.Errorf("%s was noted and is no row", c.row))
		}
	}
	return out.Bytes(), errors.Join(errs...)
}

func isRow(name string) bool {
	return len(name) >= 2 && strings.ContainsAny(name[:1], "PSF") && strings.Trim(name[1:], "0123456789") == ""
}
