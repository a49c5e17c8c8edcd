package sse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// State is the state of a source.
type State int

// The states of a source.
const (
	Idle       State = iota // not consumed yet
	Connecting              // making a connection, or waiting to
	Open                    // reading events
	Closed                  // ended for good
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Idle:
		return "Idle"
	case Connecting:
		return "Connecting"
	case Open:
		return "Open"
	case Closed:
		return "Closed"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Stats counts what a source did. Bytes are those of response bodies, as
// received; times are zero while there was nothing.
type Stats struct {
	Events   uint64 // handed over
	Bytes    uint64
	Opens    uint64
	Closes   uint64 // calls of OnClose
	Dropped  uint64 // by DropOldest and DropNewest, over all selections
	LastByte time.Time
	// LastEvent is when the last byte of the last event came.
	LastEvent time.Time
}

// An EventSource reads one event stream across as many connections as it
// takes. Make one with [Source] or a method of [Client]. All its methods may
// be called by any goroutine.
//
// What it does is one state machine, run by one goroutine at a time: run, or a
// lone loop over All (see inline.go). That goroutine owns the fields from conn
// on; mu guards those above.
type EventSource struct {
	client  *Client
	url     string
	o       Options // with defaults
	invalid error   // of url or options: no attempt can succeed

	defaultPolicy bool // DefaultRetriable decides Retriable
	hooked        bool // Transform or EndOn, see ready

	ctx     context.Context // the caller's
	values  context.Context // ctx without its end: what attempts and hooks get must not end by itself
	release func() bool     // unhooks ctx; nil if ctx has no end
	stopped atomic.Bool     // stopping is set: for those who do not hold mu

	mu         sync.Mutex
	state      State
	stopping   error                   // a *localError, once this side ends it
	final      *Event                  // the event EndOn named
	err        error                   // once ended
	failure    error                   // what loops yield; nil if they end silently
	runner     runner                  // who runs the source
	started    bool                    // something asked for it to be opened
	consumed   bool                    // something asked for its events
	reconnect  bool                    // Reconnect was called
	late       bool                    // Connect was called when no OnClose was running
	accepted   bool                    // a response, once
	handing    bool                    // an event is being handed over to selections
	left       bool                    // a loop over All was left
	fresh      bool                    // stats.LastByte is later than any event
	calm       bool                    // the last read came more than slowBody after the one before
	cancel     context.CancelCauseFunc // ends the attempt or connection
	deciding   *decision               // OnClose is running
	opened     chan struct{}           // closed once accepted; made for those who wait
	done       chan struct{}           // closed once Closed; made for those who wait
	wake       chan struct{}           // see news
	ending     []*Selection            // stopped while handing
	selections []*Selection
	lone       *Selection // of the loop that runs the source, or lets it rest while its body runs
	slow       slowWatch
	resumeID   string
	stats      Stats

	conn      *conn // nil between connections
	parser    Parser
	schedule  schedule
	refusedID string // the parser's last event id, if it cannot be sent back
	attempts  int    // failed attempts since the last progress
	prev      *CloseEvent
	pending   *Event // read by a loop, to be handed over by run
	loaded    bool   // the cursor was loaded
	retire    bool   // the next request must retire the connection it lands on
	ended     bool
}

// runner is who runs the source.
type runner int

const (
	nobody    runner = iota // not started, or at rest
	goroutine               // run
	loop                    // a lone loop over All
)

func newSource(ctx context.Context, c *Client, url string, o Options) *EventSource {
	s := &EventSource{
		ctx:    ctx,
		client: c,
		url:    url,
		o:      o.withDefaults(),

		defaultPolicy: o.Retry.Retriable == nil,
		hooked:        o.Transform != nil || o.EndOn != nil,

		values: ctx,
	}
	s.resumeID = cmp.Or(o.LastEventID, presetID(c.Header, o.Header))
	_, err := parseURL(url)
	if err = cmp.Or(err, o.check(), c.check(), checkStart(s.resumeID)); err != nil {
		s.invalid = Permanent(fmt.Errorf("sse: %w", err))
	}
	s.parser.MaxEventSize = max(o.MaxEventSize, 0)
	if o.OnComment != nil {
		s.parser.OnComment = func(text string) {
			if !s.isStopping() {
				o.OnComment(text)
			}
		}
	}
	if o.OnRetry != nil {
		s.parser.OnRetry = func(d time.Duration) {
			if !s.isStopping() {
				o.OnRetry(d)
			}
		}
	}
	s.schedule.policy = s.o.Retry
	if ctx.Done() != nil {
		// The end of the caller's context must show as what it is and never
		// as a cut connection, so it closes the source, which ends its own.
		s.values = context.WithoutCancel(ctx)
		s.mu.Lock() // the end may come at once, and finish needs release
		defer s.mu.Unlock()
		s.release = context.AfterFunc(ctx, func() { s.stop(context.Cause(ctx), nil) })
	}
	return s
}

// Open starts the source and waits. It returns nil as soon as, or if ever, a
// response was accepted; otherwise, once the source has ended, what Err
// returns, or the cause of ctx, which does not end the source. After the head
// nothing is read until something consumes events, or right away if OnEvent,
// OnComment, OnRetry or EndOn is set.
func (s *EventSource) Open(ctx context.Context) error {
	s.mu.Lock()
	s.start(false)
	if s.opened == nil {
		s.opened = make(chan struct{})
		if s.accepted {
			close(s.opened)
		}
	}
	opened := s.opened
	s.mu.Unlock()
	select {
	case <-opened:
		return nil
	default:
	}
	select {
	case <-opened:
		return nil
	case <-s.Done():
		select {
		case <-opened:
			return nil
		default:
			return s.Err()
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run starts the source, waits for its end and returns Err. It is for sources
// whose events go to OnEvent. The hooks are called by the goroutine that calls
// Run, unless another runs the source already.
func (s *EventSource) Run() error {
	s.mu.Lock()
	s.started, s.consumed = true, true
	mine := s.runner == nobody && s.state != Closed
	if mine {
		s.runner, s.lone = goroutine, nil
	}
	s.mu.Unlock()
	if mine {
		s.run()
	}
	<-s.Done()
	return s.Err()
}

// Close ends the source. It never blocks and may be called at any moment, any
// number of times, also by a hook. What the source is doing ends at once; a
// hook that is running is waited for. One more CloseEvent follows, IsLocal,
// unless an OnClose is running that has not called Connect. Queued events can
// still be received. A Close by a consumer that has read the server's last
// event cancels the reconnect if its delay is not over; EndOn, or OnEvent
// calling Close, rules it out.
func (s *EventSource) Close() { s.stop(ErrClosed, nil) }

func (s *EventSource) stop(reason error, final *Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping != nil || s.state == Closed {
		return
	}
	s.stopping, s.final = &localError{reason}, final
	s.stopped.Store(true)
	if s.cancel != nil {
		s.cancel(s.stopping)
	}
	s.poke()
	s.kick()
}

// news returns what poke sends to. mu is held.
func (s *EventSource) news() <-chan struct{} {
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	return s.wake
}

// poke makes the goroutine that runs the source look again at what it waits
// for, if it waits. mu is held.
func (s *EventSource) poke() {
	select {
	case s.wake <- struct{}{}: // nil unless somebody waited
	default:
	}
}

// Reconnect finishes the hand-over in progress, drops the connection, or the
// wait for one, and connects at once. It is no close: OnClose is not called.
// During OnClose it is ConnectAfter(0). It does nothing on a source that was
// not started or has ended.
func (s *EventSource) Reconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == Idle || s.state == Closed || s.stopping != nil:
	case s.deciding != nil:
		s.deciding.set(0)
	default:
		s.reconnect = true
		if s.cancel != nil {
			s.cancel(errReconnect)
		}
		s.poke()
		s.kick()
	}
}

// Done returns a channel that is closed when the last hook has returned and
// the goroutine is gone.
func (s *EventSource) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.state == Closed {
			close(s.done)
		}
	}
	return s.done
}

// Err returns nil while the source lives. Then it returns ErrClosed, the cause
// of the context, or the last close's Err, wrapped where the policy has
// something to add: io.EOF itself for a clean end or a 204.
func (s *EventSource) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// State returns what the source is doing.
func (s *EventSource) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// LastEventID returns what the next request would carry as Last-Event-ID: the
// id of the last event that was handed over.
func (s *EventSource) LastEventID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resumeID
}

// Stats returns one consistent snapshot.
func (s *EventSource) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// start notes that the source is wanted, and whether its events are. mu is
// held.
func (s *EventSource) start(consume bool) {
	s.started = true
	s.consumed = s.consumed || consume
	s.kick()
}

// kick starts run if there is something to do that nobody does. mu is held.
func (s *EventSource) kick() {
	if s.runner != nobody || s.state == Closed {
		return
	}
	s.lone = nil // a loop whose body runs must do with its queue from now on
	if s.stopping == nil && !s.reconnect && s.resting() {
		return
	}
	s.runner = goroutine
	go s.run()
}

// resting reports whether there is nothing to do until somebody asks for it.
// mu is held.
func (s *EventSource) resting() bool {
	return !s.started || s.state == Open && !s.consumed && s.o.OnEvent == nil && s.o.OnComment == nil && s.o.OnRetry == nil && s.o.EndOn == nil
}

// run runs the source on a goroutine of its own, until it has ended or rests.
func (s *EventSource) run() {
	got := atEnd // also if a hook calls runtime.Goexit
	defer func() {
		if got == atEnd {
			s.finish()
		}
	}()
	if ev := s.pending; ev != nil {
		s.pending = nil
		s.handOver(*ev)
	}
	for {
		var ev Event
		if ev, got = s.next(); got != gotEvent {
			return
		}
		got = atEnd
		s.handOver(ev)
	}
}

// outcome is what next came to.
type outcome int

const (
	gotEvent outcome = iota // to be handed over
	atRest                  // nothing to do until kick
	atEnd                   // finish has to be called
)

// next runs the source up to the next event that is to be handed over.
//
//	Idle -> Connecting -> Open -> Closed
//	          ^   |        |
//	          |   v        v
//	          '-- close: OnClose decides, wait
func (s *EventSource) next() (Event, outcome) {
	for !s.ended {
		ev, ok, err := s.step()
		switch {
		case ok:
			return ev, gotEvent
		case err == errResting: //nolint:errorlint // these two are never wrapped
			return Event{}, atRest
		case err == errReconnect: //nolint:errorlint // as above
			s.noteProgress()
			s.drop()
			s.mu.Lock()
			s.state, s.reconnect = Connecting, false
			s.mu.Unlock()
		case err != nil:
			s.close(s.localFirst(err))
		}
	}
	return Event{}, atEnd
}

// step takes the next step of a source that has not ended: to connect, or to
// read an event.
func (s *EventSource) step() (ev Event, ok bool, err error) {
	if err := s.interruption(); err != nil {
		return Event{}, false, err
	}
	if s.conn == nil {
		return Event{}, false, s.connect()
	}
	ev, err = s.parser.Next()
	if err != nil {
		s.noteID()
		return Event{}, false, s.conn.cause(readError(err))
	}
	ev, ok = s.admit(ev)
	return ev, ok, nil
}

// A localError is the reason for which this side ended the source.
type localError struct{ reason error }

func (e *localError) Error() string { return e.reason.Error() }

var (
	// errReconnect is the end of a connection that Reconnect asked for.
	errReconnect = errors.New("sse: reconnect")
	// errResting tells that nobody asks for what the source would do next.
	errResting = errors.New("sse: resting")
)

// localFirst returns why this side ended the source if it did, else err. A
// context that was cancelled before something happened must be seen before it,
// but AfterFunc is on its way in another goroutine.
func (s *EventSource) localFirst(err error) error {
	if s.ctx.Err() != nil {
		s.stop(context.Cause(s.ctx), nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping != nil {
		return s.stopping
	}
	return err
}

// interruption returns why the source must not go on as it is.
func (s *EventSource) interruption() error {
	if s.ctx.Err() != nil {
		return s.localFirst(nil)
	}
	s.mu.Lock()
	stopping, reconnect, late := s.stopping, s.reconnect, s.late
	s.reconnect, s.late = false, false
	rest := stopping == nil && !reconnect && !late && s.resting()
	if rest {
		s.runner = nobody
	}
	s.mu.Unlock()
	if late {
		s.report(errors.New("sse: Connect was called when its OnClose had returned"))
	}
	switch {
	case stopping != nil:
		return stopping
	case reconnect:
		return errReconnect
	case rest:
		return errResting
	}
	return nil
}

// admit applies the hooks that see an event before any selection does, and
// reports whether it is to be handed over. If one of them, or OnComment before
// them, closes the source, the next is not called.
func (s *EventSource) admit(ev Event) (Event, bool) {
	s.conn.brought = true
	if s.o.Transform != nil && !s.isStopping() {
		changed, err := s.o.Transform(ev)
		if err != nil {
			s.report(err)
		} else {
			ev = changed
		}
	}
	if s.o.EndOn != nil && !s.isStopping() && s.o.EndOn(ev) {
		final := ev // so that it alone is allocated
		s.stop(ErrClosed, &final)
	}
	if s.o.OnEvent != nil && !s.isStopping() {
		s.o.OnEvent(ev)
	}
	return ev, !s.isStopping()
}

// isStopping reports whether this side has ended the source, say by a hook:
// nothing more is to be shown to anyone.
func (s *EventSource) isStopping() bool { return s.stopped.Load() }

// finish is the last thing that happens to a source.
func (s *EventSource) finish() {
	s.drop()
	s.mu.Lock()
	if s.release != nil {
		s.release()
	}
	s.state = Closed
	s.slow.stop()
	if s.err == nil {
		s.err = errors.New("sse: a hook panicked or called runtime.Goexit")
		s.failure = s.err
	}
	s.endStopped()
	for _, x := range s.selections {
		x.end()
	}
	s.selections = nil
	if s.done != nil {
		close(s.done)
	}
	s.mu.Unlock()
}
