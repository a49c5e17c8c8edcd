package sse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
)

var update = flag.Bool("update", false, "rewrite testdata/parse/*.json with what the parser makes of the .sse files")

// parseCase is a pair of files in testdata/parse: what the stream in NAME.sse
// must come to.
type parseCase struct {
	About        string       `json:"about"`
	Before       string       `json:"before,omitempty"`
	MaxEventSize int          `json:"max_event_size,omitempty"`
	Events       []parseEvent `json:"events"`
	Comments     []string     `json:"comments,omitempty"`
	RetryMS      *int64       `json:"retry_ms,omitempty"`
	LastEventID  string       `json:"last_event_id,omitempty"`
	Error        string       `json:"error,omitempty"`

	name  string
	bytes []byte
	quiet bool // nobody wants comments
}

type parseEvent struct {
	Name string `json:"name"`
	Data string `json:"data"`
	ID   string `json:"id"`
}

// outcome is what of a case the parser decides.
type outcome struct {
	Events      []parseEvent
	Comments    []string
	RetryMS     int64
	LastEventID string
	Error       string
}

func (c *parseCase) want() outcome {
	retry := int64(-1)
	if c.RetryMS != nil {
		retry = *c.RetryMS
	}
	return outcome{c.Events, c.Comments, retry, c.LastEventID, c.Error}
}

// ways are the ways to read a Parser to its end.
var ways = map[string]func(*sse.Parser) iter.Seq2[sse.Event, error]{
	"All": (*sse.Parser).All,
	"Raw": raw,
	"Raw and Next in turns": func(p *sse.Parser) iter.Seq2[sse.Event, error] {
		return func(yield func(sse.Event, error) bool) {
			for {
				for ev, err := range raw(p) {
					if !yield(ev, err) || err != nil {
						return
					}
					break
				}
				ev, err := p.Next()
				if err == io.EOF || !yield(ev, err) || err != nil {
					return
				}
			}
		}
	},
}

// raw makes events of raw ones.
func raw(p *sse.Parser) iter.Seq2[sse.Event, error] {
	return func(yield func(sse.Event, error) bool) {
		for ev, err := range p.Raw() {
			if !yield(sse.Event{Name: string(ev.Name), Data: string(ev.Data), ID: string(ev.ID)}, err) {
				return
			}
		}
	}
}

// parse runs the case's stream, read from r, through a Parser.
func (c *parseCase) parse(t *testing.T, r io.Reader) outcome {
	t.Helper()
	return c.parseBy(t, r, (*sse.Parser).All)
}

func (c *parseCase) parseBy(t *testing.T, r io.Reader, way func(*sse.Parser) iter.Seq2[sse.Event, error]) outcome {
	t.Helper()
	o := outcome{Events: []parseEvent{}}
	p := sse.NewParser(r)
	p.MaxEventSize = c.MaxEventSize
	told, times := time.Duration(0), 0
	if !c.quiet {
		p.OnComment = func(text string) { o.Comments = append(o.Comments, text) }
		p.OnRetry = func(d time.Duration) { told, times = d, times+1 }
	}
	p.SetLastEventID(c.Before)
	for ev, err := range way(p) {
		switch {
		case errors.Is(err, sse.ErrTooLong):
			o.Error = "too long"
		case err != nil:
			t.Fatalf("%s: unexpected error %v", c.name, err)
		default:
			o.Events = append(o.Events, parseEvent(ev))
		}
	}
	o.RetryMS = -1
	if d, ok := p.Retry(); ok {
		o.RetryMS = d.Milliseconds()
		if !c.quiet && (times == 0 || told != d) {
			t.Errorf("%s: OnRetry was told %v last, in %d calls; Retry returns %v", c.name, told, times, d)
		}
	} else if times > 0 {
		t.Errorf("%s: OnRetry was told %v, and Retry nothing", c.name, told)
	}
	o.LastEventID = p.LastEventID()
	return o
}

// later is the case behind an event, where a parser may be in a faster mood,
// the more so if nobody wants comments.
func (c *parseCase) later() *parseCase {
	if bytes.HasPrefix(c.bytes, []byte("\xEF")) {
		return c // a byte order mark, or what could become one
	}
	l := *c
	l.name += ", behind an event"
	l.quiet, l.Comments = true, nil
	l.bytes = append([]byte("data\n\n"), c.bytes...)
	l.Events = append([]parseEvent{{Name: "message", ID: c.Before}}, c.Events...)
	return &l
}

func parseCases(tb testing.TB) []*parseCase {
	tb.Helper()
	files, err := filepath.Glob("testdata/parse/*.sse")
	if err != nil {
		tb.Fatal(err)
	}
	if len(files) < 120 {
		tb.Fatalf("%d pairs in testdata/parse, want at least 120", len(files))
	}
	var cases []*parseCase
	for _, f := range files {
		c := &parseCase{name: strings.TrimSuffix(filepath.Base(f), ".sse")}
		if c.bytes, err = os.ReadFile(f); err != nil {
			tb.Fatal(err)
		}
		js, err := os.ReadFile(c.jsonFile())
		if err != nil {
			tb.Fatal(err)
		}
		if err := json.Unmarshal(js, c); err != nil {
			tb.Fatalf("%s: %v", c.name, err)
		}
		cases = append(cases, c)
	}
	return cases
}

func (c *parseCase) jsonFile() string { return filepath.Join("testdata/parse", c.name+".json") }

func (c *parseCase) rewrite(t *testing.T, o outcome) {
	t.Helper()
	c.Events, c.Comments, c.LastEventID, c.Error, c.RetryMS = o.Events, o.Comments, o.LastEventID, o.Error, nil
	if o.RetryMS >= 0 {
		c.RetryMS = &o.RetryMS
	}
	js, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.jsonFile(), append(js, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestParserDoesWhatTheStandardSays(t *testing.T) {
	for _, c := range parseCases(t) {
		t.Run(c.name, func(t *testing.T) {
			got := c.parse(t, bytes.NewReader(c.bytes))
			if *update {
				c.rewrite(t, got)
			}
			if diff := cmp.Diff(c.want(), got); diff != "" {
				t.Errorf("%s\n%q\n(-want +got):\n%s", c.About, clip(c.bytes), diff)
			}
		})
	}
}

// Any way in which the bytes arrive, and in which events are asked for, gives
// the same events.
func TestParserIgnoresHowBytesAreChunked(t *testing.T) {
	for _, c := range parseCases(t) {
		for _, c := range []*parseCase{c, c.later()} {
			for way := range ways {
				c.check(t, "whole", way, bytes.NewReader(c.bytes))
				c.check(t, "one byte per read", way, iotest.OneByteReader(bytes.NewReader(c.bytes)))
				c.check(t, "half of what is asked for", way, iotest.HalfReader(bytes.NewReader(c.bytes)))
				c.check(t, "the end with the last bytes", way, iotest.DataErrReader(bytes.NewReader(c.bytes)))
				c.check(t, "an empty read before each byte", way, &emptyReads{r: iotest.OneByteReader(bytes.NewReader(c.bytes))})
			}
			if len(c.bytes) > 4<<10 {
				continue
			}
			for at := range len(c.bytes) {
				c.check(t, fmt.Sprintf("split at %d", at), "All", &chunks{c.bytes[:at], c.bytes[at:]})
			}
		}
	}
}

func (c *parseCase) check(t *testing.T, how, way string, r io.Reader) {
	t.Helper()
	want, got := c.want(), c.parseBy(t, r, ways[way])
	if !reflect.DeepEqual(want, got) { // much faster than cmp
		t.Errorf("%s, %s, by %s (-want +got):\n%s", c.name, how, way, cmp.Diff(want, got))
	}
}

// An event is out as soon as its last byte is in: a reader that would block
// when asked for more is never asked.
func TestParserIsPrompt(t *testing.T) {
	cases := parseCases(t)
	for _, c := range slices.Clone(cases) {
		cases = append(cases, c.later())
	}
	for _, c := range cases {
		if len(c.bytes) > 4<<10 || c.Error != "" {
			continue
		}
		// The shortest prefix that holds the first n events, by parsing each
		// prefix whole.
		n := 0
		for end := 0; end <= len(c.bytes) && n < len(c.Events); end++ {
			if len(c.parse(t, bytes.NewReader(c.bytes[:end])).Events) <= n {
				continue
			}
			n++
			p := sse.NewParser(&chunks{c.bytes[:end], nil})
			p.SetLastEventID(c.Before)
			for range n {
				if _, err := p.Next(); err != nil {
					t.Errorf("%s: event %d is not out when its last byte, %d, is in", c.name, n, end)
				}
			}
		}
		if n != len(c.Events) {
			t.Errorf("%s: %d events from prefixes, want %d", c.name, n, len(c.Events))
		}
	}
}

func TestParserReadsALineOf64MiB(t *testing.T) {
	const size = 64 << 20
	line := bytes.Repeat([]byte("x"), size)
	for _, read := range []int{size + 16, 4 << 10} {
		p := sse.NewParser(&sizedReads{io.MultiReader(strings.NewReader("data: "), bytes.NewReader(line), strings.NewReader("\n\ndata: after\n\n")), read})
		p.MaxEventSize = size + 1
		ev, err := p.Next()
		if err != nil || len(ev.Data) != size {
			t.Fatalf("reads of %d: %d bytes, %v", read, len(ev.Data), err)
		}
		if ev, err = p.Next(); err != nil || ev.Data != "after" {
			t.Fatalf("reads of %d: then %q, %v", read, ev.Data, err)
		}
		p = sse.NewParser(&sizedReads{io.MultiReader(strings.NewReader("data: "), bytes.NewReader(line)), read})
		p.MaxEventSize = size
		if _, err := p.Next(); !errors.Is(err, sse.ErrTooLong) {
			t.Fatalf("reads of %d: one byte over the limit: %v", read, err)
		}
	}
}

func TestParserEndsWithTheReadersError(t *testing.T) {
	broken := errors.New("broken")
	p := sse.NewParser(io.MultiReader(strings.NewReader("data: 1\n\ndata: 2\n"), iotest.ErrReader(broken)))
	if ev, err := p.Next(); ev.Data != "1" || err != nil {
		t.Errorf("got %q, %v", ev.Data, err)
	}
	for range 2 {
		if _, err := p.Next(); err != broken {
			t.Errorf("got error %v, want the reader's, each time", err)
		}
	}
	var errs int
	for _, err := range p.All() {
		if err == broken {
			errs++
		}
	}
	if errs != 1 {
		t.Errorf("All yielded the error %d times, want once", errs)
	}
	p = sse.NewParser(&emptyReads{never: true})
	if _, err := p.Next(); err != io.ErrNoProgress {
		t.Errorf("a reader that brings nothing: %v, want io.ErrNoProgress", err)
	}
	p.Reset(strings.NewReader("data: x\n\n"))
	p.MaxEventSize = -1
	if _, err := p.Next(); err == nil || !strings.Contains(err.Error(), "MaxEventSize is -1") {
		t.Errorf("a negative MaxEventSize: %v", err)
	}
}

func TestParserResetKeepsTheLastEventIDAndRetry(t *testing.T) {
	// The first connection ends in a block, in a line, after a CR and inside
	// a character; none of it may reach the next.
	for _, tail := range []string{"id: 9\nevent: e\ndata: x\n", "data: x", "data: x\r", "data: \xF0\x9F", ": c", "nonsense"} {
		p := sse.NewParser(strings.NewReader("id: 1\nretry: 20\ndata: a\n\n" + tail))
		for range p.All() {
		}
		p.Reset(strings.NewReader("\uFEFF\ndata: b\n\n"))
		ev, err := p.Next()
		if want := (sse.Event{Name: "message", Data: "b", ID: "1"}); ev != want || err != nil {
			t.Errorf("after %q: got %+v, %v, want %+v", tail, ev, err, want)
		}
		if d, ok := p.Retry(); d != 20*time.Millisecond || !ok {
			t.Errorf("after %q: retry %v, %t", tail, d, ok)
		}
	}
}

func TestParserKeepsTruncatedCommentsWhateverTheChunks(t *testing.T) {
	const stream = ":0123456789\ndata: x\n\n:0123456789"
	for _, r := range []io.Reader{strings.NewReader(stream), iotest.OneByteReader(strings.NewReader(stream))} {
		var got []string
		p := sse.NewParser(r)
		p.MaxEventSize, p.OnComment = 4, func(text string) { got = append(got, text) }
		for range p.All() {
		}
		if diff := cmp.Diff([]string{"0123"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// A read may end within a character, or right behind one, of an event that is
// not complete.
func TestParserReadsCharactersThatReadsCutInTwo(t *testing.T) {
	const stream = "data: a\n\ndata: b\n\ndata: é世😀\n\n"
	for at := range len(stream) {
		for way, read := range ways {
			var got []string
			for ev, err := range read(sse.NewParser(&chunks{[]byte(stream[:at]), []byte(stream[at:])})) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, ev.Data)
			}
			if diff := cmp.Diff([]string{"a", "b", "é世😀"}, got); diff != "" {
				t.Errorf("cut at %d, by %s (-want +got):\n%s", at, way, diff)
			}
		}
	}
}

// Ill-formed text is found wherever the buffer moves it.
func TestParserReplacesWhateverTheBufferDoes(t *testing.T) {
	var stream bytes.Buffer
	for i := range 400 {
		fmt.Fprintf(&stream, "data: %s\n\n", strings.Repeat("x", 40))
		if i%3 == 2 {
			fmt.Fprintf(&stream, "data: \xff%s\n\n", strings.Repeat("y", 30))
		}
	}
	for _, n := range []int{20, 50, 100, 200, 1000} {
		for way, read := range ways {
			for ev := range read(sse.NewParser(&sizedReads{bytes.NewReader(stream.Bytes()), n})) {
				if !utf8.ValidString(ev.Data) {
					t.Fatalf("reads of %d by %s: ill-formed %q", n, way, ev.Data)
				}
			}
		}
	}
}

func TestEventJSON(t *testing.T) {
	var v struct{ N int }
	ev := sse.Event{Name: "n", Data: `{"N": 3}`, ID: "5"}
	if err := ev.JSON(&v); err != nil || v.N != 3 {
		t.Errorf("got %+v, %v", v, err)
	}
	ev.Data = "three"
	err := ev.JSON(&v)
	var de *sse.DecodeError
	var syntax *json.SyntaxError
	if !errors.As(err, &de) || de.Event != ev || !errors.As(err, &syntax) {
		t.Errorf("got %#v, want a *DecodeError that wraps the cause", err)
	}
	if !strings.Contains(err.Error(), `"n" (id "5")`) {
		t.Errorf("%q does not name the event", err)
	}
}

func FuzzParser(f *testing.F) {
	for _, c := range parseCases(f) {
		if len(c.bytes) <= 4<<10 {
			f.Add(c.bytes, uint8(3), uint16(0))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8, limit uint16) {
		c := &parseCase{name: "fuzz", bytes: stream, MaxEventSize: int(limit)}
		o := c.parse(t, bytes.NewReader(stream))
		c.Events, c.Comments, c.LastEventID, c.Error = o.Events, o.Comments, o.LastEventID, o.Error
		if o.RetryMS >= 0 {
			c.RetryMS = &o.RetryMS
		}
		for way := range ways {
			c.check(t, fmt.Sprintf("chunks of %d", size), way, &sizedReads{bytes.NewReader(stream), int(size)%32 + 1})
			later := c.later()
			later.check(t, "whole", way, bytes.NewReader(later.bytes))
		}
		for _, ev := range o.Events {
			if ev.Name == "" || strings.ContainsAny(ev.Name+ev.ID, "\r\n") || strings.Contains(ev.ID, "\x00") || strings.Contains(ev.Data, "\r") {
				t.Errorf("impossible event %+v", ev)
			}
		}
	})
}

// chunks is a reader that returns one chunk per read; the nil chunk stands for
// a read that must not happen.
type chunks [][]byte

func (c *chunks) Read(b []byte) (int, error) {
	if len(*c) == 0 {
		return 0, io.EOF
	}
	if (*c)[0] == nil {
		return 0, errors.New("read more than was needed")
	}
	n := copy(b, (*c)[0])
	if (*c)[0] = (*c)[0][n:]; len((*c)[0]) == 0 {
		*c = (*c)[1:]
	}
	return n, nil
}

// emptyReads brings nothing on every other read.
type emptyReads struct {
	r     io.Reader
	odd   bool
	never bool
}

func (e *emptyReads) Read(b []byte) (int, error) {
	if e.odd = !e.odd; e.odd || e.never {
		return 0, nil
	}
	return e.r.Read(b)
}

// sizedReads reads at most n bytes at a time.
type sizedReads struct {
	r io.Reader
	n int
}

func (s *sizedReads) Read(b []byte) (int, error) { return s.r.Read(b[:min(s.n, len(b))]) }

func clip(b []byte) []byte { return b[:min(len(b), 2000)] }
