package recording_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/recording"
)

// read returns all steps and the error that ended them, nil for io.EOF.
func read(r io.Reader) (steps []recording.Step, err error) {
	for step, err := range recording.NewReader(r).All() {
		if err != nil {
			return steps, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func open() recording.Step {
	return recording.Step{Kind: recording.Open, Status: 200}
}

func event(data, id string) recording.Step {
	return recording.Step{Kind: recording.Event, Event: sse.Event{Name: "message", Data: data, ID: id}}
}

func end(c recording.Cause) recording.Step { return recording.Step{Kind: recording.End, Cause: c} }

func fail(c recording.Cause) recording.Step { return recording.Step{Kind: recording.Fail, Cause: c} }

func comment(text string) recording.Step {
	return recording.Step{Kind: recording.Comment, Text: text}
}

func after(wait time.Duration, s recording.Step) recording.Step {
	s.Wait = wait
	return s
}

func TestReaderReadsEveryDirective(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	tests := []struct {
		name, text string
		want       []recording.Step
	}{
		{"nothing", "", nil},
		{"notes alone", ": a note\n\nno field\n:@ note x\n:@ +5s\n", nil},
		{"plain", "data: 1\n\n", []recording.Step{open(), event("1", ""), end("eof")}},
		{"plain, fields without values", "data\n\n", []recording.Step{open(), event("", ""), end("eof")}},
		{"plain, begins with an id", "id: 7\n\n", []recording.Step{open(), {Kind: recording.ID, Event: sse.Event{ID: "7"}}, end("eof")}},
		{"plain, begins with retry", "retry: 5\n", []recording.Step{open(), {Kind: recording.Retry, Retry: 5 * ms}, end("eof")}},
		{"words that begin like fields", "database\ndatax: 1\nid7\n", nil},
		{
			"wait", ":@ open\n:@ +1s\n:@ +500ms\ndata: 1\n\n:@ +1m\n: hi\n:@ +1h\n",
			[]recording.Step{open(), after(1500*ms, event("1", "")), after(time.Minute, comment(" hi")), after(time.Hour, end("eof"))},
		},
		{"wait inside an event", "data: 1\n:@ +1s\ndata: 2\n\n", []recording.Step{open(), after(s, event("1\n2", "")), end("eof")}},
		{"wait before a plain event", ":@ +1s\ndata: 1\n\n", []recording.Step{open(), after(s, event("1", "")), end("eof")}},
		{"wait before an open", "data: 1\n\n:@ end\n:@ +1s\n:@ open\n", []recording.Step{open(), event("1", ""), end("eof"), after(s, open()), end("eof")}},
		{"wait before an open that ends what was open", "data: 1\n\n:@ +1s\n:@ open\n", []recording.Step{open(), event("1", ""), end("eof"), after(s, open()), end("eof")}},
		{
			"open with everything", ":@  open  status=503 retry-after=5 Content-Type=\"text/html; x=\\\"y\\\"\" cache-control=no-cache x-accel-buffering=no content-encoding=\"\"  after=40ms \n",
			[]recording.Step{{Kind: recording.Open, Status: 503, After: 40 * ms, Header: map[string][]string{
				"Retry-After": {"5"}, "Content-Type": {`text/html; x="y"`}, "Cache-Control": {"no-cache"}, "X-Accel-Buffering": {"no"}, "Content-Encoding": {""},
			}}, end("eof")},
		},
		{"no space after the mark", ":@open\n:@+1s\n:@end reset\n", []recording.Step{open(), after(s, end("reset"))}},
		{
			"ends", ":@ open\n:@ end\n:@ open\n:@ end eof\n:@ open\n:@ end reset\n:@ open\n:@ end timeout\n:@ open\n:@ end local\n:@ open\n:@ end too-long\n",
			[]recording.Step{open(), end("eof"), open(), end("eof"), open(), end("reset"), open(), end("timeout"), open(), end("local"), open(), end("too-long")},
		},
		{
			"fails", ":@ fail refused\n:@ +1s\n:@ fail timeout after=5s\n:@ fail reset\n",
			[]recording.Step{fail("refused"), {Kind: recording.Fail, Wait: s, After: 5 * s, Cause: "timeout"}, fail("reset")},
		},
		{"fail ends what is open", "data: 1\n\n:@ fail refused\n", []recording.Step{open(), event("1", ""), end("eof"), fail("refused")}},
		{"end inside an event", "data: 1\n:@ end reset\ndata: 2\n\n", []recording.Step{open(), end("reset"), open(), event("2", ""), end("eof")}},
		{"open inside an event", "data: 1\n:@ open\ndata: 2\n\n", []recording.Step{open(), end("eof"), open(), event("2", ""), end("eof")}},
		{"event cut by the end of the file", "data: 1\n\ndata: 2\n", []recording.Step{open(), event("1", ""), end("eof")}},
		{"last line without its end", "data: 1\n\n:@ end reset", []recording.Step{open(), event("1", ""), end("reset")}},
		{"the id stays across connections", "id: 7\ndata: 1\n\n:@ end reset\ndata: 2\n\n", []recording.Step{open(), event("1", "7"), end("reset"), open(), event("2", "7"), end("eof")}},
		{"an id that is set to nothing", "id: 7\ndata: 1\n\nid\ndata: 2\n\n", []recording.Step{open(), event("1", "7"), event("2", ""), end("eof")}},
		{"an id cut off takes no effect", "id: 7\n:@ end reset\ndata: 1\n\n", []recording.Step{open(), end("reset"), open(), event("1", ""), end("eof")}},
		{"an id alone, with the next event", "id: 7\n\ndata: 1\n\n", []recording.Step{open(), {Kind: recording.ID, Event: sse.Event{ID: "7"}}, event("1", "7"), end("eof")}},
		{"retry inside an event, twice the same", "data: 1\nretry: 5\nretry: 5\n\n", []recording.Step{
			open(), {Kind: recording.Retry, Retry: 5 * ms}, {Kind: recording.Retry, Retry: 5 * ms}, event("1", ""), end("eof"),
		}},
		{"comments of the server's that begin with @", ":@ open\n:@@ end reset\n:@@@\n: @\n", []recording.Step{open(), comment("@ end reset"), comment("@@"), comment(" @"), end("eof")}},
		{"comments outside are notes", ": note\n:@ open\n: kept\n:@ end eof\n: note\n", []recording.Step{open(), comment(" kept"), end("eof")}},
		{"note inside", ":@ open\n:@ note kept: nothing\n", []recording.Step{open(), end("eof")}},
		{"after a refusal events are a connection of their own", ":@ open status=503\n: note\ndata: 1\n\n", []recording.Step{
			{Kind: recording.Open, Status: 503}, end("eof"), open(), event("1", ""), end("eof"),
		}},
		{"CR, CRLF and a byte order mark", "\uFEFF:@ open\r\ndata: 1\r\r:@ end reset\r\n", []recording.Step{open(), event("1", ""), end("reset")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(strings.NewReader(tt.text))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v, steps (-want +got):\n%s", err, diff)
			}
			slow, err := read(iotest.OneByteReader(strings.NewReader(tt.text)))
			if diff := cmp.Diff(tt.want, slow); err != nil || diff != "" {
				t.Errorf("byte by byte: error %v, steps (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestReaderNamesTheLineOfAMistake(t *testing.T) {
	tests := []struct{ text, want string }{
		{"data: 1\n\n:@ ennd reset\n", `line 3: unknown directive "ennd", want +DURATION, open, end, fail or note`},
		{":@\n", `line 1: unknown directive ""`},
		{"\r\n\r\r:@ x\n", "line 4: unknown"},
		{":@ +10\n", `line 1: "10" is no duration like 10s, 1m30s or 250ms`},
		{":@ +\n", `"" is no duration`},
		{":@ +-1s\n", `"-1s" is no duration`},
		{":@ ++1s\n", `"+1s" is no duration`},
		{":@ +2000000h\n:@ +2000000h\n", "line 2: the waits add up"},
		{":@ open statsu=503\n", `unknown setting "statsu" of open, want status, after or one of the headers cache-control`},
		{":@ open set-cookie=a\n", `unknown setting "set-cookie"`},
		{":@ open status=abc\n", `"abc" is no status: want 101, or 200 to 999`},
		{":@ open status=100\n", `"100" is no status`},
		{":@ open status=199\n", `"199" is no status`},
		{":@ open status\n", `"status" is no key=value`},
		{":@ open a b=c\n", `"a b=c" is no key=value`},
		{":@ open content-type=\"a\n", `the quotes of "content-type=\"a" are not closed`},
		{":@ open content-type=\"a\"b\n", "do not end the value"},
		{":@ open after=-1s\n", `"-1s" is no duration`},
		{":@ end reset\n", "end, but no connection is open"},
		{":@ open\n:@ end refused\n", `line 2: "refused" is no end, want eof, reset, timeout, local or too-long`},
		{":@ open\n:@ end eof after=1s\n", `line 2: unknown setting "after"`},
		{":@ fail\n", `"" is no cause to fail, want refused, reset or timeout`},
		{":@ fail eof\n", `"eof" is no cause`},
		{":@ fail reset status=200\n", `unknown setting "status"`},
		{":@ fail reset after\n", `"after" is no key=value`},
		{":@ fail reset after=x\n", `"x" is no duration`},
		{":@ note " + strings.Repeat("x", 9000) + "\n", "line 1: a directive of more than 8192 bytes"},
		{":@ +" + strings.Repeat("9", 100) + "\n", `"` + strings.Repeat("9", 60) + `..." is no duration`},
	}
	for _, tt := range tests {
		_, err := read(strings.NewReader(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "recording: line ") {
			t.Errorf("%.40q: error %v, want one with %q", tt.text, err, tt.want)
		}
	}
}

func TestReaderReturnsItsErrorForEver(t *testing.T) {
	broken := errors.New("broken disk")
	for _, tt := range []struct {
		in   io.Reader
		want error
	}{
		{strings.NewReader("data: 1\n\n"), io.EOF},
		{io.MultiReader(strings.NewReader("data: 1\n\ndata: 2"), iotest.ErrReader(broken)), broken},
	} {
		r := recording.NewReader(tt.in)
		var err error
		for err == nil {
			_, err = r.Next()
		}
		_, again := r.Next()
		if err != tt.want || again != tt.want {
			t.Errorf("errors %v and %v, want %v", err, again, tt.want)
		}
	}
}

func TestReaderReturnsAStepWithItsLastByte(t *testing.T) {
	in, out := io.Pipe()
	r := recording.NewReader(in)
	go func() {
		for _, chunk := range []string{":@ open\r", "data: 1\n\n", ":@ +1s\n: c\r", "data: 2\r\r"} {
			fmt.Fprint(out, chunk)
		}
	}()
	want := []recording.Step{open(), event("1", ""), after(time.Second, comment(" c")), event("2", "")}
	for i, want := range want {
		got, err := r.Next()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("step %d: error %v (-want +got):\n%s", i, err, diff)
		}
	}
	out.Close()
	if got, err := r.Next(); err != nil || got.Kind != recording.End {
		t.Errorf("%v, %v, want an end", got, err)
	}
}

func TestReaderReadsLongLines(t *testing.T) {
	long := strings.Repeat("0123456789", 20000)
	// What looks like a directive in the middle of a line is none.
	text := "data: " + long + ":@ end reset\n: " + long + "\n" + long + "\n\n"
	got, err := read(strings.NewReader(text))
	want := []recording.Step{open(), comment(" " + long), event(long+":@ end reset", ""), end("eof")}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, steps (-want +got):\n%.500s", err, diff)
	}
	_, err = read(strings.NewReader("data: 1\n\ndata: " + strings.Repeat("x", 17<<20)))
	if !errors.Is(err, sse.ErrTooLong) || !strings.HasPrefix(err.Error(), "recording: line 3: ") {
		t.Errorf("error %v, want that of an event that is too long", err)
	}
}

func TestReaderCanBeTakenUpAgain(t *testing.T) {
	r := recording.NewReader(strings.NewReader("data: 1\n\ndata: 2\n\n"))
	for range r.All() {
		break
	}
	got, err := r.Next()
	if diff := cmp.Diff(event("1", ""), got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}
