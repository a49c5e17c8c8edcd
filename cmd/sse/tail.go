package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A tail is what the flags of the command tail say.
type tail struct {
	connection
	chooser
	printer
	stops
	actor
	status   string // when the live line is shown
	recordTo string // -w
}

// A stops is what the flags say about when to end.
type stops struct {
	count      uint64
	until      string
	untilEvent string
	after      time.Duration
	timeout    time.Duration
	once       bool

	condition *condition // of until
}

// newTail returns the command tail, or, as root, the one that "sse URL" is.
func newTail(root bool) *cobra.Command {
	t := new(tail)
	cmd := &cobra.Command{
		Use:     "tail URL...",
		Short:   "follow streams and print their events",
		Example: tailExamples,
		Args:    cobra.ArbitraryArgs,
		RunE:    t.run,
	}
	if root {
		cmd.Use, cmd.Short, cmd.Long, cmd.Example = "sse", "follow, judge, record and replay event streams", manual, rootExamples
		version := cmd.Flags().Bool("version", false, "print the version, as sse version does")
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if *version {
				return printVersion(cmd, nil)
			}
			if len(args) == 0 && cmd.Flags().NFlag() == 0 {
				return cmd.Help()
			}
			if err := checkCommand(cmd, args); err != nil {
				return err
			}
			return t.run(cmd, args)
		}
	}
	t.addFlags(cmd.Flags())
	return cmd
}

// addFlags defines the flags.
func (t *tail) addFlags(fs *pflag.FlagSet) {
	t.connection.addFlags(fs)
	t.chooser.addFlags(fs)
	t.printer.addFlags(fs)
	fs.StringVar(&t.status, "status", "auto", "`WHEN` to show a live line on stderr with state, rate, total, last id and next retry: auto (if stderr is a terminal), on, off")
	fs.StringVarP(&t.recordTo, "write", "w", "", "record the stream into `FILE` as well, which must not exist (see sse record)")
	t.stops.addFlags(fs)
	t.actor.addFlags(fs)
}

func (s *stops) addFlags(fs *pflag.FlagSet) {
	fs.Uint64VarP(&s.count, "count", "n", 0, "end with 0 once `N` events were printed")
	fs.StringVar(&s.until, "until", "", "end with 0 after the first event for which the jq condition `EXPR` is true; it is printed, unless it was not chosen")
	fs.StringVar(&s.untilEvent, "until-event", "", "end with 0 after the first event of this `NAME`; it is printed, unless it was not chosen")
	fs.DurationVar(&s.after, "for", 0, "end with 0 after the duration `DUR`; what then is not written or done within a moment is given up")
	fs.DurationVar(&s.timeout, "timeout", 0, "end with 124 if not done after the duration `DUR`")
	fs.BoolVar(&s.once, "once", false, "make one connection and do not retry")
}

// compile checks the flags.
func (s *stops) compile(fs *pflag.FlagSet) (err error) {
	switch {
	case fs.Changed("count") && s.count == 0:
		return usagef("-n: 0 events are none; want 1 or more")
	case fs.Changed("for") && s.after <= 0:
		return usagef("--for: %v is no time to wait; want more than 0", s.after)
	case fs.Changed("timeout") && s.timeout <= 0:
		return usagef("--timeout: %v is no time to wait; want more than 0", s.timeout)
	case fs.Changed("until-event") && s.untilEvent == "":
		return usagef("--until-event: a name is missing; events without one are called message")
	}
	if fs.Changed("until") {
		s.condition, err = compileCondition("--until", s.until)
	}
	return err
}

// asked names the condition that is to be reached, or is "" without one.
func (s *stops) asked() string {
	switch {
	case s.count > 0:
		return fmt.Sprintf("-n %d", s.count)
	case s.condition != nil:
		return "--until"
	case s.untilEvent != "":
		return "--until-event " + s.untilEvent
	}
	return ""
}

// run follows the streams at urls until the end.
func (t *tail) run(cmd *cobra.Command, urls []string) error {
	ctx := cmd.Context()
	if t.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.timeout, timeoutError{t.timeout})
		defer cancel()
	}
	s, err := t.newSession(ctx, cmd, urls)
	if err != nil {
		return err
	}
	defer s.stderr.close() //nolint:errcheck // nobody is left to be told
	return s.follow()
}
