// Command bench measures this library next to other readers of event streams,
// and next to loops written by hand, in one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"time"
)

// options are what the command line asks for.
type options struct {
	quick bool
	run   *regexp.Regexp // over section/corpus/reader; nil means everything

	cpu    bool
	clock  clock // wallClock, or processClock with cpu
	gate   bool
	write  bool
	readme string // where to write; "" for the README of the workspace
	growth string
}

// wants reports whether -run names the cell. The sections are parse, http,
// idle, reconnect and command.
func (o options) wants(section, corpus, reader string) bool {
	return o.run == nil || o.run.MatchString(section+"/"+corpus+"/"+reader)
}

// wantsLasting reports whether -run leaves any reader of a section whose floor
// is measured in any case.
func (o options) wantsLasting(section string, corpora ...string) bool {
	for _, r := range lastingReaders() {
		for _, corpus := range corpora {
			if r.name != floorName && o.wants(section, corpus, r.name) {
				return true
			}
		}
	}
	return false
}

// wantsCommand reports whether -run leaves anything of the command.
func (o options) wantsCommand() bool {
	return o.wants("command", "start", "sse version") || o.wants("command", "memory", "sse -o raw") ||
		slices.ContainsFunc(commandCases(), func(c commandCase) bool { return o.wants("command", "tick", c.name) })
}

// errShort is the end of a run with -gate in which cells fall short.
var errShort = errors.New("not every target is met")

func main() {
	if os.Getenv(serveVariable) != "" {
		exit(serve(os.Stdin, os.Stdout))
	}
	idleClient()
	commandLoop()
	o := options{clock: wallClock}
	var run string
	flag.BoolVar(&o.quick, "quick", false, "fewer rounds, and only the cells with targets and the peers next to them")
	flag.BoolVar(&o.cpu, "cpu", false, "measure the processor time of this process: less disturbed by a busy machine, and blind to waiting")
	flag.BoolVar(&o.gate, "gate", false, "name the cells whose median misses its target by more than 15%, and fail if there are any")
	flag.BoolVar(&o.write, "write", false, "write the results into the README too, between its markers")
	flag.StringVar(&o.readme, "readme", "", "the `file` for -write; the workspace's README.md by default")
	flag.StringVar(&o.growth, "growth", "", "measure how cost grows, and nothing else, and write the plots into `dir`")
	flag.StringVar(&run, "run", "", "only cells whose section/corpus/reader matches `regexp`, as in 'http/llm/(EventSource.All|OnEvent)'")
	flag.Parse()
	if o.cpu {
		o.clock = processClock
	}
	if run != "" {
		var err error
		if o.run, err = regexp.Compile(run); err != nil {
			exit(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := bench(ctx, o)
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// results are what a run found.
type results struct {
	cells      []*cell
	idle       []idleRow
	reconnects []reconnectRow
	command    *commandResults // nil if nothing of it was asked for
}

// bench measures and prints what o asks for.
func bench(ctx context.Context, o options) error {
	if o.growth != "" {
		return growth(ctx, o.growth)
	}
	found, err := measureAll(ctx, o)
	if err != nil {
		return err
	}
	text, ofCommand := found.markdown(o), found.command.markdown(o)
	fmt.Print(text + ofCommand)
	for _, c := range found.cells {
		if c.err != nil {
			fmt.Fprintf(os.Stderr, "%s/%s/%s fails: %v\n", c.reader.way, c.corpus.name, c.reader.name, c.err)
		}
	}
	if o.write {
		for name, text := range map[string]string{"bench": text, "command": ofCommand} {
			if text == "" {
				continue // with -run
			}
			if err := writeReadme(o, name, text); err != nil {
				return err
			}
		}
	}
	if o.gate {
		return found.gate(o)
	}
	return nil
}

func measureAll(ctx context.Context, o options) (results, error) {
	url, stop, err := startServer(ctx)
	if err != nil {
		return results{}, err
	}
	defer stop()
	var found results
	if found.cells, err = measure(ctx, o, url); err != nil {
		return found, err
	}
	if o.wantsLasting("idle", "1000", "10000", "burst") {
		if found.idle, err = measureIdle(ctx, o); err != nil {
			return found, err
		}
	}
	if o.wantsLasting("reconnect", "cut") {
		if found.reconnects, err = measureReconnect(ctx, o); err != nil {
			return found, err
		}
	}
	if o.wantsCommand() {
		found.command, err = measureCommand(ctx, o)
	}
	return found, err
}

func (r results) markdown(o options) string {
	if r.cells == nil && r.idle == nil && r.reconnects == nil {
		return ""
	}
	var out strings.Builder
	out.WriteString(environment(time.Now(), o.cpu) + caption + "\n")
	writeTable(&out, r.cells)
	if len(r.idle) > 0 {
		out.WriteByte('\n')
		writeIdle(&out, r.idle)
	}
	if len(r.reconnects) > 0 {
		out.WriteByte('\n')
		writeReconnect(&out, r.reconnects)
	}
	return out.String()
}

// gate prints what falls short.
func (r results) gate(o options) error {
	short := slices.Concat(shortfalls(o, r.cells), idleShortfalls(r.idle), reconnectShortfalls(r.reconnects), commandShortfalls(r.command))
	for _, s := range short {
		fmt.Println("short:", s)
	}
	if len(short) > 0 {
		return fmt.Errorf("%w: %d cells fall short", errShort, len(short))
	}
	return nil
}

func writeReadme(o options, name, text string) error {
	path := o.readme
	if path == "" {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		if path, err = rootReadme(dir); err != nil {
			return err
		}
	}
	return replaceBetween(path, name, text)
}
