// Tail follows an event stream and says in words what happens to it: events,
// comments, opens, and for every close whether it is retriable or fatal and
// what follows.
//
//	go run ./examples/tail              a feed of its own that misbehaves, for some seconds
//	go run ./examples/tail URL          POST to URL, until Ctrl-C
//	go run ./examples/tail -X GET -H 'Authorization: Bearer TOKEN' URL
//	go run ./examples/tail -d '{"topic":"prices"}' URL
//
// It exits with 0 if the server or Ctrl-C ended the stream, with 1 if the end
// was fatal, with 2 if it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/wellspring-go/sse"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout))
}

func run(ctx context.Context, args []string, stdout io.Writer) int {
	o := sse.Options{Header: http.Header{}}
	flags := flag.NewFlagSet("tail", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.StringVar(&o.Method, "X", http.MethodPost, "request `method`")
	body := flags.String("d", "", "request `body`")
	flags.Func("H", "header field `'Key: Value'`, repeatable", func(s string) error {
		key, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("want 'Key: Value'")
		}
		o.Header.Add(strings.TrimSpace(key), strings.TrimSpace(value))
		return nil
	})
	flags.Usage = func() {
		fmt.Fprintln(stdout, "usage: tail [-X method] [-H 'Key: Value']... [-d body] [URL]\nWithout a URL it shows a demo.")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 1:
		flags.Usage()
		return 2
	}
	o.Body = []byte(*body)

	p := &printer{out: stdout, start: time.Now()}
	if flags.NArg() == 1 {
		return follow(ctx, sse.DefaultClient, flags.Arg(0), o, p)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.line("error", err.Error())
		return 1
	}
	return demo(ctx, l, sse.DefaultClient, p)
}

// follow prints what happens to a source until it has ended, and returns the
// exit code for that.
func follow(ctx context.Context, c *sse.Client, url string, o sse.Options, p *printer) int {
	o.OnOpen = p.opened
	o.OnComment = func(text string) { p.line("comment", strings.TrimSpace(text)) }
	o.OnError = func(err error) { p.line("warning", err.Error()) }
	o.OnClose = func(ev sse.CloseEvent) {
		p.closed(ev)
		if ev.Retriable {
			ev.Connect()
		}
	}
	for ev, err := range c.SourceContext(ctx, url, o).All() {
		switch {
		case err == nil:
			p.event(ev)
		case ctx.Err() == nil: // else it was Ctrl-C
			return 1
		}
	}
	return 0
}

// A printer writes lines that say when what happened.
type printer struct {
	mu    sync.Mutex // the demo's feed writes too
	out   io.Writer
	start time.Time
}

func (p *printer) opened(ev sse.OpenEvent) {
	text := fmt.Sprintf("status %d %s", ev.Status, ev.StatusText)
	if ev.LastEventID != "" {
		text += ", asked to resume after id " + ev.LastEventID // whether it does, its events tell
	}
	p.line("open", text)
}

func (p *printer) event(ev sse.Event) {
	text := ev.Name
	if ev.ID != "" {
		text += " (id " + ev.ID + ")"
	}
	separator := ": "
	if strings.Contains(ev.Data, "\n") {
		separator = ":\n"
	}
	p.line("event", text+separator+ev.Data)
}

// closed says what the library makes of a close, why, and what follows.
func (p *printer) closed(ev sse.CloseEvent) {
	kind, next := "fatal", "it stays closed"
	switch {
	case ev.IsLocal:
		kind, next = "closed by this side", ""
	case ev.Retriable:
		kind, next = "retriable", fmt.Sprintf("connecting again in %v", ev.Delay.Round(10*time.Millisecond))
		if after := ev.Header.Get("Retry-After"); after != "" {
			next += " (the server sent Retry-After: " + after + ")"
		}
	case errors.Is(ev.Err, io.EOF):
		kind = "ended"
	}
	if !ev.Resumable && !ev.IsLocal {
		next += fmt.Sprintf(": repeating a %s whose events have no ids would repeat its work", ev.Method)
	}
	text := kind + ": " + cause(ev)
	if next != "" {
		text += "\n" + next
	}
	p.line("close", text)
}

func cause(ev sse.CloseEvent) string {
	switch {
	case ev.Final != nil:
		return fmt.Sprintf("the server announced its end with the event %q: %s", ev.Final.Name, ev.Final.Data)
	case errors.Is(ev.Err, io.EOF) && ev.Status == http.StatusNoContent:
		return "the server says stop (status 204)"
	case errors.Is(ev.Err, io.EOF):
		return "the stream ended cleanly"
	}
	return strings.TrimPrefix(ev.Err.Error(), "sse: ")
}

// line prints text with a label. Further lines of it are indented.
func (p *printer) line(label, text string) {
	const indent = "\n                   "
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%6.1fs  %-8s  %s\n", time.Since(p.start).Seconds(), label, strings.ReplaceAll(visible(text), "\n", indent))
}

// visible escapes what a terminal might obey, but for line ends. The joiners
// of emoji and of some scripts stay.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsGraphic(r) || r == '\n' || r == '\u200c' || r == '\u200d' {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}
