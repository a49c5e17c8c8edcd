package main

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

// A chooser is what the flags say about which events are of interest, and what
// of them.
type chooser struct {
	ctx context.Context // ends a jq program that would not end; nil means that nothing does

	names []string
	grep  string
	where string
	jq    string

	want, reject []string
	pattern      *regexp.Regexp
	filter       *condition
	query        *program

	one  [1]chosen // what choose returned last, without --jq
	list []chosen  // with it
}

// addFlags defines the flags.
func (c *chooser) addFlags(fs *pflag.FlagSet) {
	fs.StringArrayVarP(&c.names, "event", "e", nil, "only events called `NAME`, or with !NAME all but those; NAME,NAME...")
	fs.StringVar(&c.grep, "grep", "", "only events whose data the regular expression `RE` matches")
	fs.StringVar(&c.where, "where", "", "only events for which the jq expression `EXPR` is true")
	fs.StringVarP(&c.jq, "jq", "q", "", "print what the jq expression `EXPR` makes of the data")
}

// endWith makes the end of ctx end a jq program that would not end.
func (c *chooser) endWith(ctx context.Context) { c.ctx = ctx }

// compile checks the flags. Its errors are usageErrors that name the flag.
func (c *chooser) compile() error {
	c.want, c.reject, c.pattern, c.filter, c.query = nil, nil, nil, nil, nil
	for _, names := range c.names {
		for name := range strings.SplitSeq(names, ",") {
			rejected, not := strings.CutPrefix(name, "!")
			switch {
			case rejected == "":
				return usagef("--event %q: a name is missing; events without one are called message", names)
			case not:
				c.reject = append(c.reject, rejected)
			default:
				c.want = append(c.want, name)
			}
		}
	}
	var err error
	if c.grep != "" {
		if c.pattern, err = regexp.Compile(c.grep); err != nil {
			return usagef("--grep: %s", shown(strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
		}
	}
	if c.where != "" {
		if c.filter, err = compileCondition("--where", c.where); err != nil {
			return err
		}
	}
	if c.jq != "" {
		if c.query, err = compileProgram("--jq", c.jq); err != nil {
			return err
		}
	}
	return nil
}

// A chosen is an event to be printed, or what --jq made of it.
type chosen struct {
	sse.Event
	value  any  // what --jq made of it, if mapped
	mapped bool // Data is value as text then
}

// choose returns what is to be printed of an event: nothing if it is not
// chosen, several if --jq has several outputs. An error is jq's about this
// event's data; the event is not to be printed then. What it returns is valid
// until the next call, and only one goroutine at a time may call it.
func (c *chooser) choose(ev sse.Event) ([]chosen, error) {
	if keep, err := c.keeps(&ev); !keep {
		return nil, err
	}
	if c.query == nil {
		c.one[0].Event = ev
		return c.one[:], nil
	}
	c.list = c.list[:0]
	err := c.query.run(c.ctx, ev, func(v any) bool {
		ev.Data = resultText(v)
		c.list = append(c.list, chosen{Event: ev, value: v, mapped: true})
		return true
	})
	if err != nil {
		return nil, err
	}
	return c.list, nil
}

// computes reports whether choose may take long: jq programs do.
func (c *chooser) computes() bool { return c.filter != nil || c.query != nil }

// keeps reports whether the event is of interest.
func (c *chooser) keeps(ev *sse.Event) (bool, error) {
	if c.want != nil && !slices.Contains(c.want, ev.Name) || slices.Contains(c.reject, ev.Name) {
		return false, nil
	}
	if c.pattern != nil && !c.pattern.MatchString(ev.Data) {
		return false, nil
	}
	if c.filter != nil {
		return c.filter.holds(c.ctx, *ev)
	}
	return true, nil
}
