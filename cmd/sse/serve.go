package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// lastGrace is how long --once still answers, once all was served: longer than
// clients wait before they come back to hear that nothing follows.
const lastGrace = 10 * time.Second

// A serve is what the flags of the command serve say.
type serve struct {
	listen string
	speed  string
	loop   bool
	once   bool
	lines  bool
	keep   int
}

// newServe returns the command serve.
func newServe() *cobra.Command {
	s := new(serve)
	cmd := &cobra.Command{
		Use:   "serve FILE|-",
		Short: "replay a recording, or stdin lines, as a server",
		Long: `Answer each request with the next connection of a recording, by the recorded
status, events, timing and end; a Last-Event-ID that it knows is honoured. Of
stdin (-) each line becomes an event of all clients, kept for resuming; its id
is the time of the start and a number, or for lines of a FILE the number alone.
What is over is answered with 204. The first line of stdout is the URL.`,
		Example: `  sse serve session.sse --speed 10x
  sse serve session.sse --speed max --once
  tail -f app.log | sse serve - --listen :8080`,
		Args: cobra.ArbitraryArgs,
		RunE: s.run,
	}
	s.addFlags(cmd.Flags())
	return cmd
}

func (s *serve) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&s.listen, "listen", "127.0.0.1:0", "`ADDRESS` to listen on; port 0 is one that is free")
	fs.StringVar(&s.speed, "speed", "1x", "`FACTOR` by which a recording is replayed faster, as 10x or 0.5x; max leaves no waits")
	fs.BoolVar(&s.loop, "loop", false, "begin the recording again after its last connection")
	fs.BoolVar(&s.once, "once", false, "end with 0 once all was served and a client was told so, or 10s later")
	fs.BoolVar(&s.lines, "lines", false, "FILE holds lines, as stdin does")
	fs.IntVar(&s.keep, "keep", 1000, "keep the last `N` lines for clients that come later or resume")
}

// run serves until a signal, or the end that --once means.
func (s *serve) run(cmd *cobra.Command, args []string) error {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	end := func() { cancel(errServed) }
	handler, err := s.handler(cmd, args, end, cancel)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return usagef("--listen: %w", err)
	}
	server := newEventServer(ctx, handler)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), urlOf(l.Addr())); err != nil {
		cancel(outputError(err))
	}
	select {
	case <-ctx.Done():
	case err := <-failed:
		cancel(err)
	}
	cause := context.Cause(ctx)
	if cause == errServed { //nolint:errorlint // itself
		// The answer that told the client so is still to be sent.
		ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
		defer cancel()
		cause = server.Shutdown(ctx)
		if errors.Is(cause, context.DeadlineExceeded) {
			cause = nil // other clients stay no longer
		}
	}
	return cmp.Or(cause, server.Close())
}

// errServed ends the server because all was served.
var errServed = errors.New("all was served")

// handler returns what answers the requests: it calls end when --once is
// through, fail when the input fails.
func (s *serve) handler(cmd *cobra.Command, args []string, end func(), fail func(error)) (http.Handler, error) {
	if len(args) != 1 {
		return nil, usagef("serve is for one FILE, or - for stdin; got %d", len(args))
	}
	lines := s.lines || args[0] == "-"
	if err := s.check(cmd.Flags(), lines); err != nil {
		return nil, err
	}
	if !s.once {
		end = func() {}
	}
	if args[0] == "-" {
		return newLineFeed(cmd.InOrStdin(), "stdin", runPrefix(time.Now()), s.keep, end, fail), nil
	}
	var file io.ReadCloser
	var err error
	if file, err = os.Open(args[0]); err != nil {
		return nil, usagef("%w", err)
	}
	if lines {
		return newLineFeed(file, args[0], "", s.keep, end, fail), nil
	}
	defer file.Close()
	speed, err := parseSpeed(s.speed)
	if err != nil {
		return nil, err
	}
	p := &replay{speed: speed, loop: s.loop, end: end}
	if p.takes, err = readTakes(file); err != nil {
		return nil, usagef("%s: %w", args[0], err)
	}
	if len(p.takes) == 0 {
		return nil, usagef("%s: neither an event nor a directive in it (--lines serves lines)", args[0])
	}
	return p, nil
}

// runPrefix returns what ids begin with that are of this run alone, and greater
// than those of the runs before.
func runPrefix(now time.Time) string { return strconv.FormatInt(now.UnixMilli(), 10) + "-" }

// check checks that the flags fit what is served.
func (s *serve) check(fs *pflag.FlagSet, lines bool) error {
	wrong, what := "keep", "a recording"
	if lines {
		wrong, what = cmp.Or(changed(fs, "speed"), changed(fs, "loop")), "lines"
	}
	switch {
	case fs.Changed(wrong):
		return usagef("--%s has no meaning for %s", wrong, what)
	case s.loop && s.once:
		return usagef("--loop and --once: give one of them")
	case s.keep < 1:
		return usagef("--keep: %d lines are none; want 1 or more", s.keep)
	}
	return nil
}

// changed returns the name of a flag that was given, else "".
func changed(fs *pflag.FlagSet, name string) string {
	if fs.Changed(name) {
		return name
	}
	return ""
}

// parseSpeed returns the factor of --speed, 0 for max.
func parseSpeed(text string) (float64, error) {
	if text == "max" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(text, "x"), 64)
	if err != nil || !(f > 0) || math.IsInf(f, 0) {
		return 0, usagef("--speed %q: want a factor like 1x, 10x or 0.5x, or max", text)
	}
	return f, nil
}

// newEventServer returns a server of event streams. Each request has a
// connection of its own, so that cuts hit the request that they are meant for,
// and clients repeat none by themselves.
func newEventServer(ctx context.Context, streams http.Handler) *http.Server {
	server := &http.Server{
		Handler:           openToAll(streams),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	server.SetKeepAlivesEnabled(false)
	return server
}

// openToAll lets pages of any origin read the streams, and keeps from them
// what is no request for a stream.
func openToAll(streams http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		switch {
		case r.Method == http.MethodOptions:
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
			w.Header().Set("Access-Control-Allow-Headers", "Accept, Authorization, Cache-Control, Content-Type, Last-Event-ID")
			w.WriteHeader(http.StatusNoContent)
		case r.Method != http.MethodGet && r.Method != http.MethodPost:
			w.Header().Set("Allow", "GET, POST, OPTIONS")
			w.WriteHeader(http.StatusMethodNotAllowed)
		case r.URL.Path == "/favicon.ico": // of a browser that was given the URL
			w.WriteHeader(http.StatusNotFound)
		default:
			// Only once the body is read the end of the connection is seen.
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				streams.ServeHTTP(w, r)
			}
		}
	})
}

// urlOf returns the URL of an address that a server listens on.
func urlOf(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
