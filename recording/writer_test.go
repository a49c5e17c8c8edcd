package recording_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/recording"
)

func write(steps []recording.Step) (string, error) {
	var b bytes.Buffer
	w := recording.NewWriter(&b)
	for _, s := range steps {
		if err := w.Write(s); err != nil {
			return b.String(), err
		}
	}
	return b.String(), nil
}

func TestWriterWritesWhatTheReaderReads(t *testing.T) {
	steps := []recording.Step{
		{Kind: recording.Fail, Cause: recording.Refused},
		{Kind: recording.Fail, Wait: time.Second, After: 3 * time.Second, Cause: recording.Timeout},
		{Kind: recording.Open, Wait: 1, Status: 200, After: time.Minute, Header: map[string][]string{"Content-Type": {"text/event-stream; charset=utf-8"}, "Cache-Control": {"no-cache"}}},
		{Kind: recording.Retry, Retry: 1500 * time.Millisecond},
		event("", ""),
		event("a\n\nb\n", "1"),
		event(" leading", "1"),
		{Kind: recording.Event, Event: sse.Event{Name: " a:b\x00", Data: ":@ end reset", ID: " 2"}},
		{Kind: recording.ID, Event: sse.Event{ID: "3"}},
		event("x", "3"),
		event("x", ""),
		comment(""), comment("@ end reset"), comment("@@"), comment(" x"), comment("data: y"),
		{Kind: recording.ID, Event: sse.Event{ID: ""}, Wait: time.Hour},
		end(recording.Reset),
		{Kind: recording.Open, Status: 503, Header: map[string][]string{"Retry-After": {"Fri, 31 Dec 1999 23:59:59 GMT"}, "Content-Encoding": {"br"}, "X-Accel-Buffering": {"é\xff\t"}}},
		end(recording.EOF),
		{Kind: recording.Open, Status: 101},
		end(recording.EOF),
		open(), end(recording.Timeout),
		open(), end(recording.Local),
		open(), end(recording.TooLong),
		{Kind: recording.Fail, Cause: recording.Reset},
	}
	text, err := write(steps)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(strings.NewReader(text))
	// An id that was set to nothing when it was nothing leaves no trace.
	steps = append(steps[:16:16], steps[17:]...)
	if err != nil {
		t.Fatal(err)
	}
	want := steps
	want[16].Wait = time.Hour
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s\nof:\n%s", diff, text)
	}
}

func TestWriterStoresNoOtherHeader(t *testing.T) {
	text, err := write([]recording.Step{{Kind: recording.Open, Header: map[string][]string{
		"Set-Cookie": {"session=secret"}, "Location": {"https://secret"}, "Authorization": {"secret"}, "X-Request-Id": {"secret"},
		"Cache-Control": {"no-cache", "private"}, "Content-Type": {}, "X-Accel-Buffering": {strings.Repeat("x", 257)},
	}}})
	if want := ":@ open status=200 cache-control=\"no-cache, private\" content-type=\"\"\n"; err != nil || text != want {
		t.Errorf("error %v, text %q, want %q", err, text, want)
	}
}

func TestWriterRefusesWhatCannotBeReadBack(t *testing.T) {
	steps := map[string][]recording.Step{
		"no connection is open":             {event("", "")},
		"a connection is open":              {open(), open()},
		"Fail cannot be written":            {open(), fail(recording.Refused)},
		"End cannot be written":             {end(recording.EOF)},
		"status 100 is neither 101 nor":     {{Kind: recording.Open, Status: 100}},
		"the status is 503":                 {{Kind: recording.Open, Status: 503}, comment("")},
		"a time is negative":                {{Kind: recording.Open, Wait: -1}},
		"Open cannot be written: a time":    {{Kind: recording.Open, After: -1}},
		"Retry cannot be written: a time":   {open(), {Kind: recording.Retry, Retry: -1}},
		"no such kind":                      {{}},
		"Kind(8) cannot be written":         {{Kind: 8}},
		`cause "refused" does not fit`:      {open(), end(recording.Refused)},
		`cause "eof" does not fit`:          {fail(recording.EOF)},
		`cause "" does not fit`:             {open(), end("")},
		`cause "x" does not fit`:            {fail("x")},
		`the name "a\rb" holds a line end`:  {open(), {Kind: recording.Event, Event: sse.Event{Name: "a\rb"}}},
		`the id "a\nb" holds a line end`:    {open(), event("", "a\nb")},
		`ID cannot be written: the id "\x0`: {open(), {Kind: recording.ID, Event: sse.Event{ID: "\x00"}}},
		`the text "a\nb" holds a line end`:  {open(), comment("a\nb")},
	}
	for want, steps := range steps {
		_, err := write(steps)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "recording: ") {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestReaderReadsTheLongestHeaders(t *testing.T) {
	worst := strings.Repeat("\xff", 256)
	steps := []recording.Step{{Kind: recording.Open, Status: 200, After: 1<<63 - 1, Header: map[string][]string{
		"Cache-Control": {worst}, "Content-Encoding": {worst}, "Content-Type": {worst}, "Retry-After": {worst}, "X-Accel-Buffering": {worst},
	}}, end(recording.EOF)}
	checkRoundTrip(t, steps)
}

func TestWriterIsAsItWasAfterARefusal(t *testing.T) {
	var b bytes.Buffer
	w := recording.NewWriter(&b)
	if w.Write(event("", "")) == nil || w.Write(open()) != nil || w.Write(event("", "\x00")) == nil || w.Write(end(recording.EOF)) != nil {
		t.Fatal("wrong verdicts")
	}
	if want := ":@ open status=200\n:@ end eof\n\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

type writes struct {
	parts []string
	err   error
}

func (w *writes) Write(b []byte) (int, error) {
	w.parts = append(w.parts, string(b))
	return len(b), w.err
}

func TestWriterWritesAStepAtOnce(t *testing.T) {
	out := &writes{}
	w := recording.NewWriter(out)
	for _, s := range []recording.Step{open(), after(time.Second, event("a\nb", "1")), end(recording.Reset)} {
		if err := w.Write(s); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{":@ open status=200\n", ":@ +1s\nid: 1\ndata: a\ndata: b\n\n", ":@ end reset\n\n"}
	if diff := cmp.Diff(want, out.parts); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	out.err = errors.New("disk full")
	for range 2 {
		if err := w.Write(open()); err != out.err {
			t.Errorf("error %v, want %v", err, out.err)
		}
	}
	if len(out.parts) != len(want)+1 {
		t.Errorf("%d writes after the error", len(out.parts)-len(want))
	}
}

// eventsOf returns what any tool that reads event streams finds in a text.
func eventsOf(tb testing.TB, text string) (events []sse.Event) {
	tb.Helper()
	for ev, err := range sse.NewParser(strings.NewReader(text)).All() {
		if err != nil {
			tb.Fatal(err)
		}
		events = append(events, ev)
	}
	return events
}

// checkRoundTrip wants that what is written of steps, which came from a Reader,
// is read back as they are, is stable, and is an event stream with the same
// events.
func checkRoundTrip(tb testing.TB, steps []recording.Step) {
	tb.Helper()
	text, err := write(steps)
	if err != nil {
		tb.Fatalf("%v\nof %+v", err, steps)
	}
	again, err := read(strings.NewReader(text))
	if diff := cmp.Diff(steps, again); err != nil || diff != "" {
		tb.Fatalf("error %v, steps (-first +again):\n%s\nof %q", err, diff, text)
	}
	if text2, _ := write(again); text2 != text {
		tb.Fatalf("written again: %q, was %q", text2, text)
	}
	var events []sse.Event
	for _, s := range steps {
		if s.Kind == recording.Event {
			events = append(events, s.Event)
		}
	}
	if diff := cmp.Diff(events, eventsOf(tb, text)); diff != "" {
		tb.Fatalf("events of the plain stream (-want +got):\n%s\nof %q", diff, text)
	}
}

func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"data: 1\n\nid: 2\n\n",
		":@ open status=503 retry-after=5 after=1ms\n:@ +1s\n:@ fail reset after=2s\n:@ open content-type=\"a; b\"\n:@@ x\nretry: 7\nid\ndata: x\n\n:@ end timeout\n",
		"\uFEFFdata: \u2028\r\rid: 1\r\nevent: \x00\r\ndata:\r\n\r\n:@ +1h\nda",
		"data: 1\n:@ end reset\ndata: 2\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		steps, err := read(bytes.NewReader(text))
		slow, err2 := read(&pieces{text: text})
		if diff := cmp.Diff(steps, slow); diff != "" || (err == nil) != (err2 == nil) {
			t.Fatalf("in pieces: errors %v, %v, steps (-whole +pieces):\n%s", err, err2, diff)
		}
		if err == nil {
			checkRoundTrip(t, steps)
		}
	})
}

// pieces is a reader of pieces of one to three bytes.
type pieces struct {
	text []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	p.n = p.n%3 + 1
	n := copy(b, p.text[:min(p.n, len(p.text))])
	p.text = p.text[n:]
	return n, nil
}

func FuzzWriter(f *testing.F) {
	f.Add(int64(5), 200, "text/event-stream", "name", "data\r\nmore", "7", "@ end reset", uint64(1))
	f.Fuzz(func(t *testing.T, wait int64, status int, header, name, data, id, text string, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		wait %= 1 << 60 // so that no sum of them is too large
		var b bytes.Buffer
		w := recording.NewWriter(&b)
		var written []recording.Step
		for range 12 {
			s := recording.Step{
				Kind: recording.Kind(rnd.IntN(9)), Wait: time.Duration(wait), Status: status, After: time.Duration(wait / 2),
				Header: map[string][]string{"Content-Type": {header}}, Text: text, Retry: time.Duration(wait),
				Event: sse.Event{Name: name, Data: data, ID: id}, Cause: []recording.Cause{"eof", "reset", "timeout", "local", "too-long", "refused"}[rnd.IntN(6)],
			}
			if rnd.IntN(3) == 0 {
				s.Event.ID = ""
			}
			if w.Write(s) == nil {
				written = append(written, s)
			}
		}
		// Whatever was accepted is one step each, but for the end of what is
		// still open, and ids that change nothing.
		steps, err := read(&b)
		if err != nil {
			t.Fatalf("%v\nof %+v", err, written)
		}
		var want, got []recording.Kind
		for _, s := range written {
			if s.Kind != recording.ID {
				want = append(want, s.Kind)
			}
		}
		for _, s := range steps {
			if s.Kind != recording.ID {
				got = append(got, s.Kind)
			}
		}
		if n := len(want); n > 0 && want[n-1] != recording.End && want[n-1] != recording.Fail {
			want = append(want, recording.End)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("kinds (-written +read):\n%s\nof %+v", diff, written)
		}
		checkRoundTrip(t, steps)
	})
}
