package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wellspring-go/sse"
)

// linted returns what a lint finds in text, written in pieces of n bytes, as
// "LINE TEXT".
func linted(text string, n int) (found []string, l *lint) {
	l = &lint{onFinding: func(f finding) { found = append(found, fmt.Sprintf("%d %s", f.line, f.text)) }}
	for piece := range slices.Chunk([]byte(text), n) {
		l.Write(piece)
	}
	l.end()
	return found, l
}

func TestLintNamesOddities(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string // empty: nothing odd
	}{
		"nothing":                  {"", nil},
		"plain":                    {": hi\nevent: a\nid: 1\ndata: x\ndata:y\nretry: 3000\n\n\n\ndata: z\n\n", nil},
		"carriage returns":         {"data: x\r\rdata: y\r\n\r\n", nil},
		"fields without colon":     {"data\nid\nevent\n\n", nil},
		"an id alone":              {"id: 7\n\n", nil},
		"a comment at the end":     {"data: x\n\n: bye\n", nil},
		"characters":               {"data: häppy 🙂\n\n", nil},
		"not UTF-8":                {"data: a\n\ndata: \xff\n\n", []string{"3 not UTF-8: the bytes in question become U+FFFD"}},
		"half a character":         {"data: \xf0\x9f\n\n", []string{"1 not UTF-8: the bytes in question become U+FFFD"}},
		"not UTF-8 in a comment":   {": \xe4\n", []string{"1 not UTF-8: the bytes in question become U+FFFD"}},
		"a stray continuation":     {"data: \x80\n\n", []string{"1 not UTF-8: the bytes in question become U+FFFD"}},
		"NUL":                      {"data: a\x00b\n\n", []string{"1 a NUL"}},
		"id with NUL":              {"id: a\x00b\ndata: x\n\n", []string{"1 an id with NUL, which is ignored"}},
		"mark first":               {"\uFEFFdata: x\n\n", []string{"1 the stream begins with a byte order mark"}},
		"mark alone":               {"\uFEFF", []string{"1 the stream begins with a byte order mark"}},
		"mark later":               {"data: x\n\n\uFEFFdata: y\n\n", []string{"3 a byte order mark within the stream: the line is ignored"}},
		"mark in a value":          {"data: x\uFEFF\n\n", nil},
		"unknown":                  {"foo: 1\ndata: x\n\n", []string{`1 unknown field "foo", which is ignored`}},
		"escapes in an unknown":    {"\x1b[2J: 1\n", []string{`1 unknown field "\x1b[2J", which is ignored`}},
		"long unknown":             {strings.Repeat("a", 50) + "\n", []string{`1 unknown field "` + strings.Repeat("a", 40) + `...", which is ignored`}},
		"wrong case":               {"Data: x\n", []string{`1 field "Data" is ignored: it must be written "data"`}},
		"indented":                 {"  data: x\n", []string{`1 field "  data" is ignored: it must be written "data"`}},
		"space before colon":       {"id : x\n", []string{`1 field "id " is ignored: it must be written "id"`}},
		"spaces":                   {"data: x\n \ndata: y\n\n", []string{"2 a line that looks blank but holds space: it does not end the event"}},
		"two names":                {"event: a\nevent: b\ndata: x\n\n", []string{"2 a second name in one event: the one before it is ignored"}},
		"two ids":                  {"id: a\nid: b\ndata: x\n\n", []string{"2 a second id in one event: the one before it is ignored"}},
		"ids of two events":        {"id: a\ndata: x\n\nid: b\ndata: x\n\n", nil},
		"bad retry":                {"retry: 3s\n\n", []string{`1 retry: "3s" is not a number of milliseconds, and ignored`}},
		"empty retry":              {"retry:\n\n", []string{`1 retry: "" is not a number of milliseconds, and ignored`}},
		"comment like a field":     {": data: x\n\n", []string{`1 a comment that reads like a field: ": data: x"`}},
		"no data":                  {"\nevent: a\nid: 1\n\n", []string{"2 an event without data, which is dropped"}},
		"no blank line at the end": {"data: x\n\ndata: y\n", []string{"3 the end cuts off an event, which is dropped: no blank line after it"}},
		"half a line at the end":   {"data: x\n\ndat", []string{"3 the end cuts off a line, which is dropped"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 1 << 20} {
				if found, _ := linted(tt.text, n); !slices.Equal(found, tt.want) {
					t.Errorf("in pieces of %d: found %q, want %q", n, found, tt.want)
				}
			}
		})
	}
}

func TestLintCounts(t *testing.T) {
	for _, n := range []int{1, 2, 1 << 20} {
		_, l := linted(": a\n: b\ndata: x\r\n\r\ndata: yy\r\r: c\n\r", n)
		got := fmt.Sprintf("lf %d crlf %d cr %d longest %d beats %d blocks %d", l.lf, l.crlf, l.cr, l.longest, l.beats, l.blocks)
		if want := "lf 3 crlf 2 cr 3 longest 8 beats 2 blocks 2"; got != want {
			t.Errorf("in pieces of %d: %s, want %s", n, got, want)
		}
	}
}

func TestLintKnowsWhereItIs(t *testing.T) {
	l := &lint{}
	for _, step := range []struct {
		text string
		want bool
	}{{": hi\n", false}, {"retry: 1\n", false}, {"da", true}, {"ta: x\n", true}, {"\n", false}, {"id: 1\r\n", true}, {"\r", false}, {"\n", false}} {
		l.Write([]byte(step.text))
		if l.within() != step.want {
			t.Errorf("after %q: within %t, want %t", step.text, !step.want, step.want)
		}
	}
}

// TestLintReadsAsTheParserDoes compares the two readings of the standard over
// the parser's own cases.
func TestLintReadsAsTheParserDoes(t *testing.T) {
	files, err := filepath.Glob("../../testdata/parse/*.sse")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 7, 1 << 20} {
			compareWithParser(t, filepath.Base(file), string(text), n)
		}
	}
}

func FuzzLintReadsAsTheParserDoes(f *testing.F) {
	f.Add("data: x\r\nid: 1\n\r\n", uint8(1))
	f.Add("\uFEFFid: a\x00\nretry: 1\rdata\n\n", uint8(2))
	f.Fuzz(func(t *testing.T, text string, n uint8) { compareWithParser(t, "fuzz", text, int(n)+1) })
}

func compareWithParser(t *testing.T, name, text string, n int) {
	t.Helper()
	events, lastID, retry := 0, "", ""
	l := &lint{
		onBlock: func(b sentBlock) {
			if b.hasID {
				lastID = strings.ToValidUTF8(b.id, "\uFFFD")
			}
		},
		onRetry: func(ms string) { retry = ms },
	}
	for piece := range slices.Chunk([]byte(text), n) {
		l.Write(piece)
	}
	l.end()
	p := sse.NewParser(strings.NewReader(text))
	for _, err := range p.All() {
		if err != nil {
			t.Fatal(err)
		}
		events++
	}
	if l.blocks != events {
		t.Errorf("%s in pieces of %d: %d events, the parser has %d", name, n, l.blocks, events)
	}
	// What is not UTF-8 may be replaced otherwise here.
	if id := p.LastEventID(); id != lastID && len(id) < lintHead-100 && !strings.Contains(id, "\uFFFD") {
		t.Errorf("%s in pieces of %d: last id %q, the parser has %q", name, n, lastID, id)
	}
	if _, set := p.Retry(); set != (retry != "") {
		t.Errorf("%s in pieces of %d: retry %q, the parser has one: %t", name, n, retry, set)
	}
}

func TestLintIsBounded(t *testing.T) {
	l := &lint{}
	piece := []byte(strings.Repeat("x", 1<<20))
	for range 8 {
		l.Write(piece)
	}
	if cap(l.head) > 4*lintHead || cap(l.char) > 16 {
		t.Errorf("an endless line is kept: %d bytes", cap(l.head))
	}
}
