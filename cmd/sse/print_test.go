package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

// printedAt is when the events of these tests come, and a bit.
var printedAt = time.Date(2026, 2, 3, 12, 0, 0, 120_000_300, time.FixedZone("", 3600))

// newPrinter returns a printer with the flags, and what it prints.
func newPrinter(t *testing.T, tty bool, args ...string) (p *printer, stdout, stderr *bytes.Buffer) {
	t.Helper()
	p = parsePrinter(t, args...)
	p.columns = func() int { return 40 }
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	if err := p.start(stdout, stderr, tty); err != nil {
		t.Fatal(err)
	}
	return p, stdout, stderr
}

func parsePrinter(t *testing.T, args ...string) *printer {
	t.Helper()
	p := new(printer)
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	p.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return p
}

// printed returns what a printer with the flags prints of the events.
func printed(t *testing.T, tty bool, from string, args []string, events ...chosen) string {
	t.Helper()
	p, stdout, stderr := newPrinter(t, tty, args...)
	for i, ev := range events {
		var unprinted templateError
		if err := p.event(from, uint64(i+1), printedAt, &ev); errors.As(err, &unprinted) {
			stderr.WriteString(err.Error() + "\n")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	return stdout.String() + stderr.String()
}

func given(name, id, data string) chosen {
	return chosen{Event: sse.Event{Name: name, ID: id, Data: data}}
}

func TestPrinterFormats(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	price := given("price", "7", `{"p": 1.50, "s":"a\u001b"}`)
	text := given("message", "7", "one\n two\n")
	empty := given("message", "", "")
	wide := given("price", "8", `{"list":[1,{"deep":[]}],"text":"more than a line has room for"}`)
	bad := given("e\x1b[2J", "\u202e", "\x1b]0;x\a\n\u009b\ttab")
	const name = "\x1b[1;32mprice\x1b[0m"
	for _, c := range []struct {
		args   string
		tty    bool
		from   string
		events []chosen
		want   string
	}{
		{"", false, "", []chosen{price, text, empty}, `{"seq":1,"time":"2026-02-03T11:00:00.1200003Z","event":"price","id":"7","data":"{\"p\": 1.50, \"s\":\"a\\u001b\"}","json":{"p":1.50,"s":"a\u001b"}}
{"seq":2,"time":"2026-02-03T11:00:00.1200003Z","event":"message","id":"7","data":"one\n two\n"}
{"seq":3,"time":"2026-02-03T11:00:00.1200003Z","event":"message","id":"","data":""}
`},
		{"-o json", true, "http://x/", []chosen{bad}, `{"seq":1,"time":"2026-02-03T11:00:00.1200003Z","from":"http://x/","event":"e\u001b[2J","id":"\u202e","data":"\u001b]0;x\u0007\n\u009b\ttab"}
`},
		{"-o auto --color never", true, "", []chosen{price, text, empty, wide, bad}, `price #7 {"p":1.50,"s":"a\u001b"}
message #7
  one
   two
  
message
price #8
  {
    "list": [
      1,
      {
        "deep": []
      }
    ],
    "text": "more than a line has room for"
  }
e\u001b[2J #\u202e
  \u001b]0;x\u0007
  \u009b\ttab
`},
		{"-o pretty", true, "", []chosen{given("price", "7", `{"p":-1,"b":[true,""]}`)}, name +
			" \x1b[2m#7\x1b[0m {\x1b[34m\"p\"\x1b[0m:\x1b[36m-1\x1b[0m,\x1b[34m\"b\"\x1b[0m:[\x1b[35mtrue\x1b[0m,\x1b[32m\"\"\x1b[0m]}\n"},
		{"-o pretty", false, "", []chosen{given("price", "", "text")}, "price text\n"},
		{"-o pretty --color always", false, "", []chosen{given("price", "", "text")}, name + " text\n"},
		{"-o pretty --timestamps", false, "http://x/", []chosen{given("price", "7", "1")}, "12:00:00.120 http://x/ price #7 1\n"},
		{"-o data", false, "", []chosen{price, text, empty, bad}, price.Data + "\none\n two\n\n\n" + bad.Data + "\n"},
		{"-o data", true, "", []chosen{bad}, `\u001b]0;x\u0007` + "\n" + `\u009b` + "\ttab\n"},
		{"-o data --timestamps", false, "http://x/", []chosen{text}, strings.ReplaceAll(`@ http://x/ one
@ http://x/  two
@ http://x/ 
`, "@", "2026-02-03T11:00:00.1200003Z")},
		{"-o raw", false, "", []chosen{price, text, empty, bad}, "id: 7\nevent: price\ndata: " + price.Data + "\n\ndata: one\ndata:  two\ndata: \n\nid: \ndata: \n\n" +
			"id: \u202e\nevent: e\x1b[2J\ndata: \x1b]0;x\a\ndata: \u009b\ttab\n\n"},
		{"-o raw", true, "", []chosen{bad}, `id: \u202e` + "\n" + `event: e\u001b[2J` + "\n" + `data: \u001b]0;x\u0007` + "\n" + `data: \u009b` + "\ttab\n\n"},
		{"-o raw --timestamps", false, "http://x/", []chosen{empty}, ": 2026-02-03T11:00:00.1200003Z http://x/\ndata: \n\n"},
		{"-o none", false, "", []chosen{price}, ""},
		{"-t {{.Seq}}\\t{{.Time}}\\n{{.Event}}\\\\{{.ID}}{{.From}}{{.JSON.p}}", false, "x", []chosen{price}, "1\t2026-02-03T11:00:00.1200003Z\nprice\\7x1.50\n"},
		{"-t {{json.JSON}}{{quote.Event}}{{quote.Seq}}{{.Data}}", true, "", []chosen{given("a\"<", "", `[1, "<\u009b"]`)}, `[1,"<\u009b"]"a\"<""1"[1, "<\u009b"]` + "\n"},
		{"-t {{if.JSON}}json{{else}}{{.Data}}{{end}}", true, "", []chosen{price, bad}, "json\n" + `\u001b]0;x\u0007` + "\n" + `\u009b` + "\ttab\n"},
		{"-t {{.JSON.p}}", false, "", []chosen{empty, price}, "1.50\n--template:1:7: executing \"--template\" at <.JSON.p>: nil pointer evaluating interface {}.p\n"},
	} {
		args := strings.Fields(c.args)
		if strings.HasPrefix(c.args, "-t ") {
			args = []string{"-t", strings.NewReplacer("json.", "json .", "quote.", "quote .", "if.", "if .").Replace(c.args[3:])}
		}
		if got := printed(t, c.tty, c.from, args, c.events...); got != c.want {
			t.Errorf("%s, terminal %v:\n got %q\nwant %q", c.args, c.tty, got, c.want)
		}
	}
}

func TestPrinterPrintsWhatJQMade(t *testing.T) {
	text := chosen{Event: sse.Event{Name: "a", Data: "1\r2\r\n3"}, value: "1\r2\r\n3", mapped: true}
	digits := chosen{Event: sse.Event{Name: "a", Data: "12"}, value: "12", mapped: true}
	number := chosen{Event: sse.Event{Name: "a", Data: "12"}, value: 12, mapped: true}
	for _, c := range []struct {
		format string
		ev     chosen
		want   string
	}{
		{"raw", text, "event: a\ndata: 1\ndata: 2\ndata: 3\n\n"}, // and no field that the text made up
		{"data", text, "1\r2\r\n3\n"},
		{"json", digits, `{"seq":1,"time":"2026-02-03T11:00:00.1200003Z","event":"a","id":"","data":"12","json":"12"}` + "\n"},
		{"json", number, `{"seq":1,"time":"2026-02-03T11:00:00.1200003Z","event":"a","id":"","data":"12","json":12}` + "\n"},
	} {
		if got := printed(t, false, "", []string{"-o", c.format}, c.ev); got != c.want {
			t.Errorf("%s of %q:\n got %q\nwant %q", c.format, c.ev.Data, got, c.want)
		}
	}
}

func TestPrinterColours(t *testing.T) {
	for _, c := range []struct {
		color, noColor, term string
		tty                  bool
		want                 bool
	}{
		{"auto", "", "xterm", true, true},
		{"auto", "", "xterm", false, false},
		{"auto", "1", "xterm", true, false},
		{"auto", "", "dumb", true, false},
		{"always", "1", "dumb", false, true},
		{"never", "", "xterm", true, false},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		t.Setenv("FORCE_COLOR", "1")
		got := printed(t, c.tty, "", []string{"-o", "pretty", "--color", c.color}, given("a", "", "1"))
		if strings.Contains(got, "\x1b[") != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if nameColor("price") == nameColor("trade") && nameColor("price") == nameColor("log") {
		t.Error("names have the same colour")
	}
}

func TestPrinterShows(t *testing.T) {
	cut := sse.CloseEvent{Status: 200, Err: errors.New("cut \x1b[2J"), Retriable: true, Resumable: true, Delay: 1500 * time.Millisecond, Events: 2, LastEventID: "7"}
	done := sse.CloseEvent{IsLocal: true, Err: io.EOF, Delay: time.Second}
	shows := func(tty bool, args ...string) string {
		p, stdout, stderr := newPrinter(t, tty, args...)
		one := given("message", "", "1")
		err := errors.Join(
			p.event("", 1, printedAt, &one),
			p.comment("http://x/", printedAt, " hi\x1b"),
			p.retry("", printedAt, 3*time.Second),
			p.opened("", printedAt, sse.OpenEvent{Status: 200, Attempt: 1, LastEventID: "7"}),
			p.closed("", printedAt, cut, true),
			p.closed("", printedAt, done, false),
			p.close())
		if err != nil {
			t.Error(err)
		}
		return stdout.String() + "--\n" + stderr.String()
	}
	const event = `{"seq":1,"time":"2026-02-03T11:00:00.1200003Z","event":"message","id":"","data":"1","json":1}` + "\n"
	for _, c := range []struct {
		args string
		want string
	}{
		{"-o json", event + "--\n"},
		{"-o json --show comment --show retry,lifecycle", event + strings.ReplaceAll(`{"type":"comment",@,"from":"http://x/","text":" hi\u001b"}
{"type":"retry",@,"delay_ms":3000}
{"type":"open",@,"status":200,"attempt":1,"id":"7"}
{"type":"close",@,"status":200,"local":false,"err":"cut \u001b[2J","delay_ms":1500,"again":true,"events":2,"id":"7"}
{"type":"close",@,"status":0,"local":true,"err":"","delay_ms":0,"again":false,"events":0,"id":""}
--
`, "@", `"time":"2026-02-03T11:00:00.1200003Z"`)},
		{"-o data --show comment", "1\n--\ncomment http://x/:  hi\\u001b\n"},
		{"-o data --show retry --timestamps", "2026-02-03T11:00:00.1200003Z 1\n--\n2026-02-03T11:00:00.1200003Z retry: 3s\n"},
		{"-o none --show lifecycle -s", `--
open: status 200 OK, after 1 failed attempt, resuming after id 7
close: status 200 OK, after 2 events: cut \u001b[2J; reconnecting in 1.5s, resuming after id 7
close: by this side
`},
	} {
		if got := shows(false, strings.Fields(c.args)...); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.args, got, c.want)
		}
	}
}

func TestPrinterRefusesFlags(t *testing.T) {
	for _, c := range []struct{ want, flag, value string }{
		{`--output "xml": it is one of auto, pretty, json, data, raw, none`, "-o", "xml"},
		{`--color "red": it is one of auto, always, never`, "--color", "red"},
		{`--show "all": it is one or more of comment, retry, lifecycle`, "--show", "retry,all"},
		{`--template:1: function "nope" not defined`, "-t", "{{nope}}"},
		{`--template: there is no .Name; there are .Seq .Time .Event .ID .Data .JSON .From`, "-t", "{{with .JSON}}{{.x}}{{else}}{{.Name}}{{end}}"},
		{`--template: there is no .Name; there are .Seq .Time .Event .ID .Data .JSON .From`, "-t", "{{range .JSON}}{{if $.Name | len}}{{end}}{{end}}"},
		{`--template prints nothing`, "-t", `{{define "x"}}{{end}}`},
		{`--output and --template exclude each other`, "-ojson", "-t{{.Data}}"},
	} {
		err := parsePrinter(t, c.flag, c.value).start(io.Discard, io.Discard, false)
		var usage usageError
		if !errors.As(err, &usage) || err.Error() != c.want {
			t.Errorf("%s %s: %v, want %s", c.flag, c.value, err, c.want)
		}
	}
}

func TestRawOutputIsAnEventStreamOfTheSameEvents(t *testing.T) {
	files, err := filepath.Glob("../../testdata/parse/*.sse")
	if err != nil || len(files) == 0 {
		t.Fatalf("no streams: %v", err)
	}
	for _, file := range files {
		stream, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		p, stdout, _ := newPrinter(t, false, "-o", "raw")
		events := parsed(t, stream)
		for _, ev := range events {
			if err := p.event("", 1, printedAt, &chosen{Event: ev}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		if again := parsed(t, stdout); !slices.Equal(again, events) {
			t.Errorf("%s: got %q\nwant %q", file, again, events)
		}
	}
}

func parsed(t *testing.T, r io.Reader) (events []sse.Event) {
	t.Helper()
	for ev, err := range sse.NewParser(r).All() {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
	return events
}

// FuzzPrinterOnATerminal looks for what an event could do to a terminal.
func FuzzPrinterOnATerminal(f *testing.F) {
	f.Add("name", "id", dangers)
	f.Add(dangers, dangers, `{"a":"`+dangers[10:]+`", "b":["`+dangers[14:]+`"]}`)
	f.Fuzz(func(t *testing.T, name, id, data string) {
		for _, args := range [][]string{
			{"-o", "pretty", "--color", "never"}, {"-o", "json"}, {"-o", "data"}, {"-o", "raw"}, {"-t", "{{.Data}}{{.Event}}{{.ID}}{{.JSON}}"},
		} {
			keep := "\n\t"
			if args[1] == "pretty" || args[1] == "json" {
				keep = "\n"
			}
			if got := printed(t, true, "", args, given(name, id, data)); unfit(got, keep) >= 0 {
				t.Errorf("%v: %q has %U", args, got, unfit(got, keep))
			}
		}
	})
}

func TestPrintingAllocatesNothing(t *testing.T) {
	for _, format := range []string{"raw", "json", "data"} {
		p := parsePrinter(t, "-o", format)
		if err := p.start(io.Discard, io.Discard, false); err != nil {
			t.Fatal(err)
		}
		ev := given("price", "7", `{"p":1.5,"q":"x"}`)
		if n := testing.AllocsPerRun(1000, func() {
			if err := p.event("", 1, printedAt, &ev); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations per event", format, n)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
}
