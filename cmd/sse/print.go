package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// The formats of --output. Auto is pretty on a terminal and json elsewhere.
const (
	formatAuto     = "auto"
	formatPretty   = "pretty"
	formatJSON     = "json"
	formatData     = "data"
	formatRaw      = "raw"
	formatNone     = "none"
	formatTemplate = "template" // of --template alone
)

// What --show can show.
const (
	showComment   = "comment"
	showRetry     = "retry"
	showLifecycle = "lifecycle"
)

var (
	outputFormats = []string{formatAuto, formatPretty, formatJSON, formatData, formatRaw, formatNone}
	shownKinds    = []string{showComment, showRetry, showLifecycle}
	colorChoices  = []string{"auto", "always", "never"}
)

// A printer writes events, and what else --show asks for, as the output flags
// say. Its methods may be called by any goroutine; from is the stream's
// redacted URL if there are several streams, else "". Events go to standard
// output; what --show asks for does as JSON lines, else to standard error.
type printer struct {
	format     string
	template   string
	color      string
	show       []string
	timestamps bool
	silent     bool
	verbose    bool

	out      *output
	stderr   io.Writer
	tty      bool
	colored  bool
	layout   *layout
	columns  func() int
	comments bool
	retries  bool
	states   bool

	// With out's lock held:
	lastID []byte // of the last event in raw
	clock  clock
	json   []byte // an event's data, for pretty
}

// addFlags defines the flags.
func (p *printer) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&p.format, "output", "o", formatAuto, "`FORMAT`: "+strings.Join(outputFormats, ", "))
	fs.StringVarP(&p.template, "template", "t", "", "print each event by a Go `TEMPLATE` of .Seq .Time .Event .ID .Data .JSON .From")
	fs.BoolVar(&p.timestamps, "timestamps", false, "print when each event came")
	fs.StringArrayVar(&p.show, "show", nil, "print more than events; `KIND`: "+strings.Join(shownKinds, ", "))
	fs.StringVar(&p.color, "color", "auto", "`WHEN` to colour: "+strings.Join(colorChoices, ", "))
	fs.BoolVarP(&p.silent, "silent", "s", false, "print no notes on standard error")
	fs.BoolVarP(&p.verbose, "verbose", "v", false, "print the heads of requests and responses on standard error")
}

// start checks the flags and makes the printer ready. stdout is a terminal if
// tty. Its errors are usageErrors that name the flag.
func (p *printer) start(stdout, stderr io.Writer, tty bool) error {
	if err := p.check(tty); err != nil {
		return err
	}
	p.tty = tty
	p.colored = p.color == "always" || p.color != "never" && tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if p.columns == nil {
		p.columns = func() int { return columnsOf(tty) }
	}
	p.out = newOutput(stdout)
	p.stderr = stderr
	return nil
}

// delay makes events wait for release, but not for long.
func (p *printer) delay() { p.out.delay() }

// hold makes events wait for release, which must be called before each wait
// for more: many that come together are written together. From now on only one
// goroutine at a time may use the printer.
func (p *printer) hold() { p.out.hold() }

// release has what was printed written, without waiting for it.
func (p *printer) release() { p.out.release() }

// bound ends, a moment after ctx, all waiting for a reader that does not read.
func (p *printer) bound(ctx context.Context) { p.out.bound(ctx) }

// check checks the flags and settles the format.
func (p *printer) check(tty bool) error {
	if !slices.Contains(colorChoices, p.color) {
		return usagef("--color %q: it is one of %s", p.color, strings.Join(colorChoices, ", "))
	}
	for _, kinds := range p.show {
		for kind := range strings.SplitSeq(kinds, ",") {
			switch kind {
			case showComment:
				p.comments = true
			case showRetry:
				p.retries = true
			case showLifecycle:
				p.states = true
			default:
				return usagef("--show %q: it is one or more of %s", kind, strings.Join(shownKinds, ", "))
			}
		}
	}
	if !slices.Contains(outputFormats, p.format) {
		return usagef("--output %q: it is one of %s", p.format, strings.Join(outputFormats, ", "))
	}
	switch {
	case p.silent && p.verbose:
		return usagef("-s and -v exclude each other")
	case p.template != "" && p.format != formatAuto:
		return usagef("--output and --template exclude each other")
	case p.template != "":
		var err error
		p.format = formatTemplate
		p.layout, err = newLayout(p.template)
		return err
	case p.format == formatAuto && tty:
		p.format = formatPretty
	case p.format == formatAuto:
		p.format = formatJSON
	}
	return nil
}

// columnsOf returns how wide the terminal is; what is no terminal has 80
// columns.
func columnsOf(tty bool) int {
	if tty {
		if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// An error of these is that of an earlier write: the output side has failed,
// which is codeError exitOutput, or exitDone for a closed pipe. After the end
// of bound's ctx it can be the cause of that.

// A templateError is that of an event which --template cannot print. It is
// left out.
type templateError struct{ error }

// event prints an event. Its error can be a templateError too.
func (p *printer) event(from string, seq uint64, at time.Time, ev *chosen) error {
	var text []byte
	if p.format == formatTemplate {
		var err error
		if text, err = p.layout.line(from, seq, at, ev); err != nil {
			return templateError{err}
		}
	}
	b, err := p.out.begin()
	if err != nil {
		return err
	}
	start := len(b)
	switch p.format {
	case formatJSON:
		b = p.appendJSON(b, from, seq, at, ev)
	case formatRaw:
		b = p.appendRaw(b, from, at, ev)
	case formatData:
		b = p.appendData(b, from, at, ev)
	case formatPretty:
		b = p.appendPretty(b, from, at, ev)
	case formatTemplate:
		b = append(b, text...)
	}
	if p.tty && (p.format == formatRaw || p.format == formatData || p.format == formatTemplate) {
		plain := string(b[start:])
		b = appendShown(b[:start], plain, "\n\t")
	}
	p.out.end(b)
	return nil
}

// flush waits until everything that was printed is written.
func (p *printer) flush() error { return p.out.flush() }

// close flushes and ends the printer.
func (p *printer) close() error { return p.out.close() }

// appendData appends the data, each line after what --timestamps and several
// streams put before it.
func (p *printer) appendData(b []byte, from string, at time.Time, ev *chosen) []byte {
	if !p.timestamps && from == "" {
		b = append(b, ev.Data...)
		return append(b, '\n')
	}
	for line := range strings.SplitSeq(ev.Data, "\n") {
		b = p.appendMark(b, from, at)
		b = append(b, line...)
		b = append(b, '\n')
	}
	return b
}

// appendMark appends the time, if it is asked for, and where the event came
// from, if there are several streams, each with a space after it.
func (p *printer) appendMark(b []byte, from string, at time.Time) []byte {
	if p.timestamps {
		b = append(p.clock.append(b, at), ' ')
	}
	if from != "" {
		b = append(append(b, from...), ' ')
	}
	return b
}

// appendRaw appends the event as a block of an event stream. The block sets
// the id if it is another than that of the block before.
func (p *printer) appendRaw(b []byte, from string, at time.Time, ev *chosen) []byte {
	if p.timestamps || from != "" {
		b = append(b, ": "...)
		b = p.appendMark(b, from, at)
		b[len(b)-1] = '\n'
	}
	if ev.ID != string(p.lastID) {
		b = append(b, "id: "...)
		b = append(b, ev.ID...)
		b = append(b, '\n')
		p.lastID = append(p.lastID[:0], ev.ID...)
	}
	if ev.Name != "message" {
		b = append(b, "event: "...)
		b = append(b, ev.Name...)
		b = append(b, '\n')
	}
	data := ev.Data
	if ev.mapped && strings.Contains(data, "\r") { // only jq can make one; it would end a line
		data = strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\r", "\n")
	}
	for {
		b = append(b, "data: "...)
		end := strings.IndexByte(data, '\n')
		if end < 0 {
			b = append(b, data...)
			return append(b, '\n', '\n')
		}
		b = append(b, data[:end+1]...)
		data = data[end+1:]
	}
}
