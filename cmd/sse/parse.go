package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

// A parsing is what the flags of the command parse say, and one run of it.
type parsing struct {
	chooser
	printer
	strict bool
	count  uint64

	ctx     context.Context
	name    string // of the file, for messages
	parser  *sse.Parser
	read    int       // events so far
	printed uint64    // events so far
	found   []finding // not told of yet
	faults  int
	failed  error // of the printer, in a hook
}

// newParse returns the command parse.
func newParse() *cobra.Command {
	var p parsing
	cmd := &cobra.Command{
		Use:   "parse [FILE|-]",
		Short: "decode event-stream bytes offline",
		Long: `Print the events of a file, or of standard input, as sse tail prints those of
a server. A recording is such a file.`,
		Example: `  sse parse session.sse
  curl -sN https://example.com/events | sse parse -q .price
  sse parse --strict -o none session.sse`,
		Args: wantArgs(0, "one FILE, or - for stdin"),
		RunE: p.run,
	}
	p.addFlags(cmd.Flags())
	for _, name := range pointlessForParse {
		cmd.Flags().Lookup(name).Hidden = true
	}
	return cmd
}

// pointlessForParse are flags of tail about what a file has not: times and a
// request.
var pointlessForParse = []string{"timestamps", "verbose"}

func (p *parsing) addFlags(fs *pflag.FlagSet) {
	p.chooser.addFlags(fs)
	p.printer.addFlags(fs)
	fs.Uint64VarP(&p.count, "count", "n", 0, "end once `N` events were printed")
	fs.BoolVar(&p.strict, "strict", false, "name what the standard ignores or repairs, with its line, and exit with 1 if there is any")
}

func (p *parsing) run(cmd *cobra.Command, args []string) error {
	if cmd.Flags().Changed("count") && p.count == 0 {
		return usagef("-n: 0 events are none; want 1 or more")
	}
	for _, name := range pointlessForParse {
		if cmd.Flags().Changed(name) {
			return usagef("--%s has no meaning for parse", name)
		}
	}
	p.ctx = cmd.Context()
	p.chooser.ctx = p.ctx
	if err := p.compile(); err != nil {
		return err
	}
	in, err := p.open(cmd, args)
	if err != nil {
		return err
	}
	defer in.Close()
	stdout := cmd.OutOrStdout()
	if err := p.start(stdout, cmd.ErrOrStderr(), isTerminal(stdout)); err != nil {
		return err
	}
	p.bound(p.ctx)
	err = p.events(in)
	if end := p.close(); err == nil {
		err = end
	}
	if err == nil && p.faults > 0 {
		err = codeError{exitInternal, fmt.Errorf("--strict: %s in %s", plural(p.faults, "fault"), shown(p.name))}
	}
	return err
}

// open opens the file.
func (p *parsing) open(cmd *cobra.Command, args []string) (io.ReadCloser, error) {
	p.name = "-"
	if len(args) > 0 {
		p.name = args[0]
	}
	if p.name == "-" {
		return io.NopCloser(&interruptibleReader{cmd.Context(), cmd.InOrStdin()}), nil
	}
	file, err := os.Open(p.name)
	if err != nil {
		return nil, usagef("FILE: %s", shown(err.Error()))
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		_ = file.Close() // nothing was read of it
		return nil, usagef("FILE: %s is a directory", shown(p.name))
	}
	return file, nil
}

// events reads and prints the events of in.
func (p *parsing) events(in io.Reader) error {
	l := &lint{onFinding: func(f finding) {
		if f.what.ignored() {
			p.found = append(p.found, f)
		}
	}}
	if p.strict {
		in = io.TeeReader(in, l)
	}
	p.parser = sse.NewParser(in)
	p.parser.OnComment = func(text string) { p.keep(p.comment("", time.Time{}, text)) }
	p.parser.OnRetry = func(d time.Duration) { p.keep(p.retry("", time.Time{}, d)) }
	for ev, err := range p.parser.All() {
		switch {
		case errors.Is(err, sse.ErrTooLong):
			return fmt.Errorf("%s, event %d: larger than 16 MiB", shown(p.name), p.read+1)
		case err != nil:
			return err
		}
		p.read++
		p.tell(p.read)
		if err := p.print(ev); err != nil || p.count > 0 && p.printed >= p.count {
			return err
		}
	}
	if p.failed != nil {
		return p.failed
	}
	l.end()
	p.tell(p.read + 1)
	return nil
}

// keep keeps the first error.
func (p *parsing) keep(err error) {
	if p.failed == nil {
		p.failed = err
	}
}

// print prints what there is to print of an event.
func (p *parsing) print(ev sse.Event) error {
	list, err := p.choose(ev)
	if err != nil {
		if cause := context.Cause(p.ctx); cause != nil {
			return cause
		}
		if !p.silent {
			p.say("sse: %s, event %d left out: %v", p.name, p.read, err)
		}
		return p.failed
	}
	for i := range list {
		p.printed++
		p.keep(p.event("", p.printed, time.Time{}, &list[i]))
		if p.count > 0 && p.printed >= p.count {
			break
		}
	}
	return p.failed
}

// say writes a line to standard error, after what was printed before it.
func (p *parsing) say(format string, args ...any) {
	p.keep(p.note(fmt.Sprintf(format, args...)))
}

// tell names what was found in the first n events.
func (p *parsing) tell(n int) {
	for len(p.found) > 0 && p.found[0].after < n {
		p.faults++
		p.say("%s:%d: %s", p.name, p.found[0].line, p.found[0].text)
		p.found = p.found[1:]
	}
}

// An interruptibleReader ends with its context, as a terminal or a pipe may
// never end. A Read that is left behind may still write into its buffer.
type interruptibleReader struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptibleReader) Read(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := i.r.Read(b)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-i.ctx.Done():
		return 0, context.Cause(i.ctx)
	}
}
