package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

const outputFlag = "--output"

// A record is what the flags of the command record say.
type record struct {
	connection
	output string
	force  bool
	count  uint64
	after  time.Duration
	silent bool

	last sse.CloseEvent
}

// newRecord returns the command record.
func newRecord() *cobra.Command {
	r := new(record)
	cmd := &cobra.Command{
		Use:   "record URL -o FILE",
		Short: "save a stream with its timing and faults",
		Long: `Follow a stream as tail does and save what happens: events, comments, retry
fields, the time between them, statuses, cuts, attempts that failed. The file
is an event stream itself; sse serve replays it. Neither the URL nor a request
header is saved, and of the response only headers that hold no secrets.`,
		Example: `  sse record https://example.com/events -o session.sse
  sse record https://example.com/events -o session.sse --for 1m
  sse record https://example.com/events -o - -n 100 | gzip > session.sse.gz`,
		Args: cobra.ArbitraryArgs,
		RunE: r.run,
	}
	own := pflag.NewFlagSet("record", pflag.ContinueOnError)
	r.addFlags(own)
	r.connection.addFlags(cmd.Flags())
	cmd.Flags().AddFlagSet(own)
	cmd.Flags().Lookup("state").Hidden = true // see check
	return cmd
}

func (r *record) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&r.output, "output", "o", "", "save into `FILE`, which must not exist; - for stdout")
	fs.BoolVar(&r.force, "force", false, "replace the file if it exists")
	fs.Uint64VarP(&r.count, "count", "n", 0, "end with 0 once `N` events came")
	fs.DurationVar(&r.after, "for", 0, "end with 0 after `DUR`")
	fs.BoolVarP(&r.silent, "silent", "s", false, "say nothing on stderr but errors")
}

// run records the stream at the URL until its end.
func (r *record) run(cmd *cobra.Command, urls []string) error {
	stream, err := r.check(cmd, urls)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	rec, err := r.create(ctx, cmd)
	if err != nil {
		return err
	}
	began := time.Now()
	ended := r.follow(ctx, cmd, stream, rec)
	failed := rec.close()
	switch {
	case r.output == "-" || failed != nil:
	case !rec.saved():
		r.note(cmd, "no answer came: nothing is saved")
	default:
		connections := "connections"
		if rec.opens == 1 {
			connections = "connection"
		}
		r.note(cmd, "recorded %s over %d %s in %v", events(rec.events), rec.opens, connections, time.Since(began).Round(time.Millisecond))
	}
	var sig signalError
	if errors.As(context.Cause(ctx), &sig) && failed == nil {
		return sig
	}
	return cmp.Or(failed, ended)
}

// check checks the flags and returns the stream.
func (r *record) check(cmd *cobra.Command, urls []string) (*stream, error) {
	fs := cmd.Flags()
	switch {
	case r.output == "":
		return nil, usagef("%s: no file given to save into (- is stdout)", outputFlag)
	case fs.Changed("count") && r.count == 0:
		return nil, usagef("-n: 0 events are none; want 1 or more")
	case fs.Changed("for") && r.after <= 0:
		return nil, usagef("--for: %v is no time to wait; want more than 0", r.after)
	case fs.Changed("state"):
		return nil, usagef("--state has no meaning for record: a recording is not resumed")
	}
	urls, err := r.urls(cmd, urls)
	if err != nil {
		return nil, err
	}
	if len(urls) > 1 {
		return nil, usagef("record is for one URL, not for %d", len(urls))
	}
	return r.stream(cmd, urls[0])
}

// create returns the recorder of the output.
func (r *record) create(ctx context.Context, cmd *cobra.Command) (*recorder, error) {
	if r.output != "-" {
		return createRecording(outputFlag, r.output, r.force)
	}
	out := newOutput(cmd.OutOrStdout())
	out.bound(ctx)
	return newRecorder(outputWriter{out}, out.close), nil
}

// An outputWriter writes to an output, and waits until that is done: what
// fails ends the recording at once.
type outputWriter struct{ *output }

func (w outputWriter) Write(b []byte) (int, error) {
	buf, err := w.begin()
	if err != nil {
		return 0, err
	}
	w.end(append(buf, b...))
	return len(b), w.flush()
}

// follow runs the source to its end, and says what that means.
func (r *record) follow(ctx context.Context, cmd *cobra.Command, stream *stream, rec *recorder) error {
	var source *sse.EventSource
	o := stream.options
	var seen uint64
	o.OnEvent = func(sse.Event) {
		if seen++; seen == r.count {
			source.Close()
		}
	}
	o.OnClose = func(ev sse.CloseEvent) {
		r.last = ev
		if ev.Retriable {
			r.reconnect(&ev)
			r.note(cmd, "%s; %s", r.cause(ev), plan(ev))
		}
	}
	o.OnError = func(err error) { r.note(cmd, "%v", err) }
	rec.watch(&o, func(error) { source.Close() })
	source = stream.client.SourceContext(ctx, stream.url, o)
	if r.after > 0 {
		defer time.AfterFunc(r.after, source.Close).Stop()
	}
	err := source.Run()
	asked := ""
	if r.count > 0 {
		asked = fmt.Sprintf("-n %d", r.count)
	}
	return r.verdict(err, r.last, asked)
}

// note tells what happens on standard error, unless -s is given. What was
// recorded before is written already.
func (r *record) note(cmd *cobra.Command, format string, args ...any) {
	if !r.silent {
		printError(cmd.ErrOrStderr(), fmt.Errorf(format, args...))
	}
}
