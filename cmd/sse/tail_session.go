package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// A session is one run of tail.
type session struct {
	*tail
	ctx       context.Context // ends with a signal and --timeout
	inTime    context.Context // ends with ctx and --for
	expire    context.CancelCauseFunc
	stuck     <-chan struct{} // closed when, after inTime, nobody waits for a reader any more
	line      *liveLine       // standard error, with the live line below it
	stderr    *output         // to line
	keeping   *stateFile      // nil without --state
	recording *recorder       // nil without -w
	followers []*follower
	began     time.Time
	meter     rateMeter // of the live line
	timed     bool      // the output says when an event came

	mu      sync.Mutex    // held while an event is handled, if there are several streams
	seq     uint64        // of the event that was printed last
	printed atomic.Uint64 // seq, for the live line

	over         atomic.Bool        // no event is handled any more
	stopPrograms context.CancelFunc // ends a jq program that still runs then

	endMu   sync.Mutex
	reached bool  // the asked-for end
	failure error // what failed on this side first
}

// A timeoutError is the end that --timeout asked for.
type timeoutError struct{ after time.Duration }

func (e timeoutError) Error() string { return fmt.Sprintf("not done after %v (--timeout)", e.after) }

// newSession checks flags and arguments and makes everything ready. It creates
// files last, so that a wrong flag leaves none behind.
func (t *tail) newSession(ctx context.Context, cmd *cobra.Command, urls []string) (*session, error) {
	if err := cmp.Or(t.stops.compile(cmd.Flags()), t.chooser.compile()); err != nil {
		return nil, err
	}
	streams, err := t.streams(cmd, urls)
	if err != nil {
		return nil, err
	}
	s := &session{tail: t, ctx: ctx, began: time.Now()}
	programs, stop := context.WithCancel(ctx)
	t.chooser.endWith(programs)
	s.stopPrograms = stop
	s.inTime, s.expire = context.WithCancelCause(ctx)
	stuck := make(chan struct{})
	afterGrace(s.inTime, func() { close(stuck) })
	s.stuck = stuck
	for _, stream := range streams {
		f := &follower{session: s, stream: stream}
		if len(streams) > 1 {
			f.from = stream.shown
		}
		s.followers = append(s.followers, f)
	}
	if s.line, err = newLiveLine(t.status, t.silent, cmd.ErrOrStderr(), s.summary); err != nil {
		return nil, err
	}
	stdout := cmd.OutOrStdout()
	tty := isTerminal(stdout)
	if tty {
		stdout = s.line.above(stdout)
	}
	s.stderr = newOutput(s.line)
	if err := t.printer.start(watchedWriter{stdout, s.end}, s.stderr, tty); err != nil {
		return nil, errors.Join(err, s.stderr.close())
	}
	t.printer.bound(s.inTime)
	s.stderr.bound(s.inTime)
	s.timed = t.timestamps || !slices.Contains([]string{formatRaw, formatData, formatNone}, t.format)
	stderr := s.line.above(cmd.ErrOrStderr())
	if t.format != formatNone {
		stdout = stderr // standard output is for events alone
	}
	if err := cmp.Or(t.actor.start(stdout, stderr), s.openFiles()); err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

// streams returns the streams that the arguments name.
func (t *tail) streams(cmd *cobra.Command, urls []string) ([]*stream, error) {
	urls, err := t.connection.urls(cmd, urls)
	if err != nil {
		return nil, err
	}
	streams := make([]*stream, len(urls))
	for i, url := range urls {
		if streams[i], err = t.connection.stream(cmd, url); err != nil {
			return nil, err
		}
	}
	return streams, nil
}

// openFiles opens the files of --state and -w.
func (s *session) openFiles() (err error) {
	state := s.connection.state
	if s.recordTo == "-" {
		return usagef("-w: - is not possible, as stdout carries the events; sse record URL -o - writes there")
	}
	if n := len(s.followers); n > 1 && (state != "" || s.recordTo != "") {
		return usagef("--state and -w are for one stream, not for %d", n)
	}
	if state != "" {
		if s.keeping, err = openState(state, s.followers[0].stream, s.printer.flush, s.end); err != nil {
			return err
		}
	}
	if s.recordTo != "" {
		s.recording, err = createRecording("-w", s.recordTo, false)
	}
	return err
}

// discard ends what a session that cannot begin has started.
func (s *session) discard() {
	s.stopPrograms()
	if s.keeping != nil {
		s.keeping.close()
	}
	_ = s.printer.close() // nothing was printed
	_ = s.stderr.close()
}

// follow runs the session. What made it closes stderr, when it has nothing to
// add.
func (s *session) follow() error {
	defer s.stopPrograms()
	for _, f := range s.followers {
		f.makeSource()
	}
	if s.after > 0 {
		defer time.AfterFunc(s.after, func() {
			s.end(nil)
			s.expire(codeError{code: exitDone})
		}).Stop()
	}
	s.line.start()
	var wg sync.WaitGroup
	for _, f := range s.followers {
		wg.Go(f.follow)
	}
	wg.Wait()
	return s.finish()
}

// end ends all streams: because the asked-for end is reached, or because of
// what failed on this side.
//
// What was printed by then is written however long its reader takes: -n 1000
// into a slow one are 1000 events. It is --for that sets an end to that.
func (s *session) end(err error) {
	s.endMu.Lock()
	if err == nil {
		s.reached = true
	} else if s.failure == nil {
		s.failure = err
	}
	s.endMu.Unlock()
	s.over.Store(true)
	s.stopPrograms()
	for _, f := range s.followers {
		f.source.Close()
	}
}

// finish writes what is still to be written and returns the outcome.
func (s *session) finish() error {
	if s.keeping != nil {
		s.keeping.close()
	}
	failed := s.printer.close()
	if s.recording != nil {
		failed = cmp.Or(failed, s.recording.close())
	}
	if s.verbose {
		s.note("%s", s.total())
	}
	s.line.close(s.stuck)
	s.endMu.Lock()
	reached, failure := s.reached, cmp.Or(s.failure, failed)
	s.endMu.Unlock()
	err := s.outcome(reached, failure, context.Cause(s.ctx))
	var coded codeError
	if s.inTime.Err() != nil && errors.As(err, &coded) && coded.err != nil {
		s.say(coded) // who prints it later would wait for a terminal that takes nothing
		err = codeError{code: coded.code}
	}
	return err
}

// outcome returns what counts of all that may have happened.
func (s *session) outcome(reached bool, failure, cause error) error {
	var coded codeError
	var signal signalError
	switch {
	case errors.As(failure, &coded) && coded.code != exitDone:
		return failure
	case errors.As(cause, &signal):
		return signal
	case cause != nil:
		return codeError{exitTimeout, cause}
	case failure != nil: // after the above, as the reader of a pipe gets the signal too
		return failure
	case reached:
		return s.verdict("")
	}
	return s.verdict(s.asked())
}

// verdict returns what the ends of the streams come to.
func (s *session) verdict(asked string) error {
	if len(s.followers) == 1 {
		return s.followers[0].verdict(asked)
	}
	worst := exitDone
	for _, f := range s.followers {
		var coded codeError
		if !errors.As(f.verdict(asked), &coded) {
			continue
		}
		if coded.code == exitEarly {
			f.say(coded)
		}
		if severity(coded.code) > severity(worst) {
			worst = coded.code
		}
	}
	return codeError{code: worst} // the other texts were printed when it happened
}

// severity orders the ends of streams: what the server forbids will not mend
// by itself, trouble may, and a clean end is no fault.
func severity(code int) int {
	return slices.Index([]int{exitDone, exitEarly, exitTrouble, exitFatal}, code)
}

// A watchedWriter tells at once of a write that failed: the next event, which
// would meet the error, may be far.
type watchedWriter struct {
	w    io.Writer
	fail func(error)
}

func (w watchedWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.fail(outputError(err))
	}
	return n, err
}

// isTerminal reports whether f is a terminal.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
