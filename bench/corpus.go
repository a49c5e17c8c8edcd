package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// corpusLength is how many bytes a corpus has at least.
const corpusLength = 2 << 20

// A corpus is a stream whose events were counted while it was made, so that
// no parser vouches for another.
type corpus struct {
	name   string
	bytes  []byte
	events int // those with data
	size   int // the sum of their data, lines joined by one byte
	lines  int
	chunks func(i int) int    // the length of the i-th read or write; nil leaves it to the reader
	add    func(*corpus, int) // appends the i-th event
	eol    string
}

// corpora returns all of them, the same bytes on every run.
func corpora() []*corpus { return shortCorpora(corpusLength) }

// shortCorpora are corpora that end with the first event past length bytes.
func shortCorpora(length int) []*corpus {
	all := recipes()
	for _, c := range all {
		c.fill(length)
	}
	return all
}

// recipes are the corpora before they are filled.
func recipes() []*corpus {
	return []*corpus{
		{name: "tick", eol: "\n", add: addTick},
		{name: "llm", eol: "\n", add: addLLM},
		{name: "json4k", eol: "\n", add: func(c *corpus, i int) { c.event("doc", "", text(i, 4<<10)) }},
		{name: "mixed", eol: "\n", add: addMixed},
		{name: "big1m", eol: "\n", add: func(c *corpus, i int) { c.event("", "", text(i, 1<<20)) }},
		{name: "crlf", eol: "\r\n", add: addLLM},
		{name: "chunked", eol: "\n", add: addLLM, chunks: func(i int) int { return 7 + i*31%58 }},
	}
}

func (c *corpus) fill(length int) {
	for i := 0; len(c.bytes) < length; i++ {
		c.add(c, i)
	}
}

// event appends one block. An id or a name that is "" is left out.
func (c *corpus) event(name, id string, data ...string) {
	if id != "" {
		c.line("id: " + id)
	}
	if name != "" {
		c.line("event: " + name)
	}
	for _, d := range data {
		c.line("data: " + d)
		c.size += len(d)
	}
	c.size += len(data) - 1
	c.events++
	c.line("")
}

func (c *corpus) line(s string) {
	c.bytes = append(append(c.bytes, s...), c.eol...)
	c.lines++
}

func addTick(c *corpus, i int) {
	c.event("tick", strconv.Itoa(i), fmt.Sprintf(`{"n":%d,"p":%d.25}`, i, i%997))
}

func addLLM(c *corpus, i int) {
	c.event("", "", fmt.Sprintf(`{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1700000000,"model":"m",`+
		`"choices":[{"index":0,"delta":{"content":" token%d"},"logprobs":null,"finish_reason":null}],`+
		`"usage":null,"system_fingerprint":"fp_0123456789"}`, i))
}

// addMixed goes through what the standard allows, but for what some readers
// count as an event and others do not: blocks without data, and empty data.
func addMixed(c *corpus, i int) {
	n := strconv.Itoa(i)
	switch i % 8 {
	case 0:
		c.event("price", n, fmt.Sprintf(`{"symbol":"ACME","n":%d}`, i))
	case 1:
		c.line(": keep-alive")
		c.line("")
		c.event("log", "", "line one of "+n, "line two, a little longer", "", "and a last one")
	case 2: // no space after the colon
		c.line("data:{\"n\":" + n + "}")
		c.events, c.size = c.events+1, c.size+len(n)+len(`{"n":}`)
		c.line("")
	case 3:
		c.line("retry: 3000")
		c.event("price", n, "again")
	case 4:
		c.line("trace: 00-4bf92f3577b34da6a3ce929d0e0e4736")
		c.event("note", "", "a field that nobody knows came before this")
	case 5:
		c.event("note", n, strings.Repeat("grüße, 世界! ", 8))
	case 6:
		c.line(": a comment within")
		c.event("", "", strings.Repeat("x", 400))
	case 7:
		c.event("log", n, strings.Repeat("words and words ", 60), strings.Repeat("and more ", 40))
	}
}

// text is JSON of about length bytes.
func text(i, length int) string {
	const words = "lorem ipsum "
	return fmt.Sprintf(`{"n":%d,"text":"%s"}`, i, strings.Repeat(words, length/len(words)-1))
}

// reader returns the corpus as a reader that has no way around Read, as a
// body has none.
func (c *corpus) reader() *corpusReader {
	r := &corpusReader{chunks: c.chunks}
	r.rest.Reset(c.bytes)
	return r
}

type corpusReader struct {
	rest   bytes.Reader
	chunks func(i int) int
	reads  int
}

func (r *corpusReader) Read(p []byte) (int, error) {
	if r.chunks != nil {
		p = p[:min(len(p), r.chunks(r.reads))]
		r.reads++
	}
	return r.rest.Read(p)
}
