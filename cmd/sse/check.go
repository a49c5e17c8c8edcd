package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

// checkFlags are what the flags of the command check say.
type checkFlags struct {
	connection connection
	format     string
	watch      time.Duration
	most       int
	resume     bool
}

// The formats of check's --output.
const (
	reportText  = "text"
	reportJSON  = "json"
	reportJUnit = "junit"
)

// newCheck returns the command check.
func newCheck() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check URL",
		Short: "connect, judge the stream, one verdict a line",
		Long: `Watch a stream for a while, connect again to see whether it resumes and
whether compression withholds events, and say what is wrong and what to do.
Exit code: 0 no fault, 1 a fault, 3 the server refused, 4 no answer.`,
		Example: `  sse check https://example.com/events
  sse check URL --for 45s --bearer-env TOKEN
  sse check URL -o junit > report.xml
  sse check URL -d '{"stream":true}' --resume`,
		Args: wantArgs(0, "one URL"),
		RunE: f.run,
	}
	f.addFlags(cmd.Flags())
	// An error would say that there is no such flag.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{reportText, reportJSON, reportJUnit}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f *checkFlags) addFlags(fs *pflag.FlagSet) {
	f.connection.addFlags(fs)
	for _, name := range pointlessForCheck {
		fs.Lookup(name).Hidden = true
	}
	fs.StringVarP(&f.format, "output", "o", reportText, "`FORMAT`: text, json, junit")
	fs.DurationVar(&f.watch, "for", 10*time.Second, "watch for `DUR` at most (45s and more shows heartbeats)")
	fs.IntVarP(&f.most, "count", "n", 1000, "watch until `N` events came")
	fs.BoolVar(&f.resume, "resume", false, "repeat a POST too, even if its events have no ids")
}

// pointlessForCheck are the connection flags that check has no use for.
var pointlessForCheck = []string{"state", "retries", "retry-for", "max-delay", "retry-status", "idle"}

func (f *checkFlags) check(cmd *cobra.Command) error {
	switch {
	case f.format != reportText && f.format != reportJSON && f.format != reportJUnit:
		return usagef("--output %q: it is one of text, json, junit", f.format)
	case f.watch <= 0:
		return usagef("--for: %v is no time to watch; want more than 0", f.watch)
	case f.most < 1:
		return usagef("-n: %d events are none; want 1 or more", f.most)
	}
	for _, name := range pointlessForCheck {
		if cmd.Flags().Changed(name) {
			return usagef("--%s has no meaning for check", name)
		}
	}
	return nil
}

func (f *checkFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	urls, err := f.connection.urls(cmd, args)
	if err != nil {
		return err
	}
	s, err := f.connection.stream(cmd, urls[0])
	if err != nil {
		return err
	}
	c := &checkup{
		connection: &f.connection, stream: s, watch: f.watch, most: f.most,
		repeat: f.resume || f.connection.retry == retryAlways,
		once:   f.connection.retry == retryNever,
		note:   func(string) {},
	}
	if stderr := cmd.ErrOrStderr(); isTerminal(stderr) {
		c.note = func(text string) { _, _ = fmt.Fprintln(stderr, "sse: "+text) } // one who closed it wants no notes
	}
	r, err := c.run(cmd.Context())
	if err != nil {
		return err
	}
	if err := r.write(cmd.OutOrStdout(), f.format); err != nil {
		return outputError(err)
	}
	return r.outcome()
}

// A checkup is the look at one stream.
type checkup struct {
	connection *connection // for its words
	stream     *stream
	watch      time.Duration
	most       int
	repeat     bool // also what is not idempotent
	once       bool // one connection only
	note       func(string)
}

// run watches the stream and judges it. Its error is the cause of ctx.
func (c *checkup) run(ctx context.Context) (*report, error) {
	c.note(fmt.Sprintf("watching %s for %s", shown(c.stream.shown), durationText(c.watch)))
	v := c.see(ctx, c.stream.options, c.watch, func(v *visit) bool { return len(v.events) >= c.most })
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if !v.accepted() {
		return c.report(v, judgeRefusal(v)), nil
	}
	resume, over := c.resume(ctx, v)
	offered := c.offerGzip(ctx, v)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return c.report(v, []verdict{
		judgeStatus(v),
		judgeRedirects(v),
		judgeProtocol(v),
		judgeType(v),
		judgeCache(v),
		judgeHead(v),
		judgeCompression(v, offered),
		judgeBuffering(v),
		judgeHeartbeat(v),
		judgeIDs(v.events),
		resume,
		judgeRetry(v),
		judgeText(v),
		judgeLines(v),
		judgeFields(v),
		judgeEnd(v, over || !c.idempotent()),
	}), nil
}

func (c *checkup) idempotent() bool {
	method := c.stream.options.Method
	return method != "" && method != http.MethodPost && method != http.MethodPatch
}

// see opens the stream and watches it until enough says so, for at most d.
func (c *checkup) see(ctx context.Context, o sse.Options, d time.Duration, enough func(*visit) bool) *visit {
	s := *c.stream
	s.options = o
	v := watch(ctx, &s, d, enough)
	if v.end.Err != nil {
		v.cause, v.hint = c.connection.cause(v.end), c.connection.hint(v.end)
	}
	return v
}

// again opens the stream once more, with other options, and after a refusal
// that may pass a second time. It waits for n events about as long as the
// first visit had to.
func (c *checkup) again(ctx context.Context, first *visit, n int, o sse.Options) *visit {
	for try := 1; ; try++ {
		v := c.see(ctx, o, min(c.watch, patience(first)), func(v *visit) bool { return len(v.events) >= n })
		if try == 2 || v.accepted() || !passing(v) || v.end.Delay > mostDelay {
			return v
		}
		c.note(fmt.Sprintf("refused for now (%s), trying again in %s", refusal(v), durationText(v.end.Delay)))
		select {
		case <-time.After(v.end.Delay):
		case <-ctx.Done():
			return v
		}
	}
}

// mostDelay is how long to wait after a refusal.
const mostDelay = 5 * time.Second

// passing reports whether another attempt may end better.
func passing(v *visit) bool { return !v.end.IsLocal && sse.DefaultRetriable(v.end) }

// aFew is how many events tell how a stream goes on.
const aFew = 3

// patience is how long to wait for a few events of a stream.
func patience(first *visit) time.Duration {
	came, at := 0, time.Duration(0)
	for _, a := range first.arrivals {
		if came >= aFew {
			break
		}
		came, at = came+a.events, a.at
	}
	return 2*time.Second + 2*at
}

// resume looks whether the stream resumes. It is over if the server says so.
func (c *checkup) resume(ctx context.Context, v *visit) (resume verdict, over bool) {
	ids := idsOf(v.events)
	switch {
	case c.once:
		return checkResume.skip("not tried (--retry never)"), false
	case len(v.events) == 0:
		return checkResume.skip("not tried, as no event came"), false
	case len(ids) == 0 && !c.idempotent() && !c.repeat:
		return checkResume.skip("not tried: it would repeat a %s without ids (--resume does)", methodOf(c.stream)), false
	case unsendable(v.lastID) != "":
		return checkResume.skip("not tried, as the last id cannot be sent"), false
	}
	c.note("connecting again, to see whether it resumes")
	o := c.stream.options
	o.LastEventID = v.lastID
	r := &resumption{first: v, again: c.again(ctx, v, aFew, o)}
	_, repeated := r.repeated()
	if r.again.accepted() && !repeated && unique(ids) && len(ids) > 1 && v.lastID != "" && (c.idempotent() || c.repeat) {
		r.from = max(0, len(ids)-1-aFew)
		if o.LastEventID = ids[r.from]; unsendable(o.LastEventID) == "" {
			r.earlier = c.again(ctx, v, len(ids)-1-r.from, o)
		}
	}
	return r.judge(), r.again.end.Status == http.StatusNoContent
}

// methodOf returns the method of the stream's request.
func methodOf(s *stream) string {
	if s.options.Method == "" {
		return http.MethodPost
	}
	return s.options.Method
}

func unique(ids []string) bool {
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	return len(known) == len(ids)
}

// offerGzip opens the stream as a browser does, which always offers gzip. It
// returns nil if there is nothing to compare.
func (c *checkup) offerGzip(ctx context.Context, v *visit) *visit {
	o := c.stream.options
	if c.once || !c.idempotent() && !c.repeat || len(v.events) == 0 || contentEncoding(v.header) != "" || o.Header["Accept-Encoding"] != nil {
		return nil
	}
	c.note("connecting again, to see whether compression withholds events")
	o.Header = o.Header.Clone()
	if o.Header == nil {
		o.Header = http.Header{}
	}
	o.Header.Set("Accept-Encoding", "gzip")
	return c.again(ctx, v, min(aFew, len(v.events)), o)
}

// report puts the verdicts together.
func (c *checkup) report(v *visit, checks []verdict) *report {
	r := &report{
		URL: c.stream.shown, Verdict: levelOK, Checks: checks,
		Seconds: v.took.Round(time.Millisecond).Seconds(), Events: len(v.events), Comments: v.lint.beats, Bytes: v.bytes(),
	}
	for _, v := range checks {
		switch v.Level {
		case levelFail:
			r.Verdict, r.code = levelFail, exitInternal
		case levelWarn:
			if r.Verdict == levelOK {
				r.Verdict = levelWarn
			}
		}
	}
	switch {
	case v.accepted():
	case v.end.IsLocal, passing(v):
		r.code = exitTrouble
	default:
		r.code = exitFatal
	}
	return r
}

// outcome returns what the program ends with.
func (r *report) outcome() error {
	switch r.code {
	case exitDone:
		return nil
	case exitTrouble, exitFatal:
		return codeError{r.code, errors.New("no event stream: " + r.Checks[len(r.Checks)-1].Found)}
	}
	return codeError{code: r.code}
}
