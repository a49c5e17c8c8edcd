package main

import (
	_ "embed"
	"net"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// demoFeed is a recording of what the demo shows.
//
//go:embed demo.sse
var demoFeed string

// A demo is what the flags of the command demo say.
type demo struct {
	tail  tail
	speed string
}

// newDemo returns the command demo.
func newDemo() *cobra.Command {
	d := new(demo)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "follow a built-in feed that names, cuts, refuses and stops",
		Long: `Follow a feed of this program's own, on a port of this machine alone: named
events, a heartbeat, a cut after which it resumes, a 503 with Retry-After, and
a stop that the feed announces. It takes some seconds.`,
		Example: `  sse demo
  sse demo -o json | cat`,
		Args: noArgs,
		RunE: d.run,
	}
	var others pflag.FlagSet // those of tail that have their defaults here
	d.tail.addFlags(&others)
	cmd.Flags().StringVar(&d.speed, "speed", "1x", "`FACTOR` by which the feed is faster, or max; what it makes a client wait stays")
	d.tail.printer.addFlags(cmd.Flags())
	return cmd
}

// run serves the feed and follows it.
func (d *demo) run(cmd *cobra.Command, _ []string) error {
	speed, err := parseSpeed(d.speed)
	if err != nil {
		return err
	}
	takes, err := readTakes(strings.NewReader(demoFeed))
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(cmd.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := newEventServer(cmd.Context(), &replay{speed: speed, takes: takes, end: func() {}})
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l) //nolint:errcheck // it ends with Close
	}()
	defer func() {
		server.Close() //nolint:errcheck // nothing follows
		<-served
	}()

	t := &d.tail
	t.untilEvent = "stop"
	if !cmd.Flags().Changed("show") && !t.printer.silent {
		t.printer.show = []string{showComment}
	}
	s, err := t.newSession(cmd.Context(), cmd, []string{urlOf(l.Addr())})
	if err != nil {
		return err
	}
	defer s.stderr.close() //nolint:errcheck // nobody is left to be told
	s.note("following %s; the same by hand: sse URL --show comment --until-event stop", s.followers[0].stream.shown)
	err = s.follow()
	if err == nil {
		s.note("the feed announced its end by the event stop; %s", s.total())
	}
	return err
}
