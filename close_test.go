package sse_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

var errCause = errors.New("the cause")

// waysToClose end a source from elsewhere, with an error.
var waysToClose = map[string]struct {
	ctx  func(context.Context) (context.Context, context.CancelCauseFunc)
	do   func(*sse.EventSource, context.CancelCauseFunc)
	want error
}{
	"Close":     {context.WithCancelCause, func(s *sse.EventSource, _ context.CancelCauseFunc) { s.Close() }, sse.ErrClosed},
	"cancelled": {context.WithCancelCause, func(_ *sse.EventSource, cancel context.CancelCauseFunc) { cancel(errCause) }, errCause},
	"EOF as cause": {context.WithCancelCause, func(_ *sse.EventSource, cancel context.CancelCauseFunc) {
		cancel(io.EOF)
	}, io.EOF},
	"deadline": {func(ctx context.Context) (context.Context, context.CancelCauseFunc) {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		return ctx, func(error) { cancel() }
	}, func(*sse.EventSource, context.CancelCauseFunc) { letPass(100 * time.Millisecond) }, context.DeadlineExceeded},
	"Close by 100 goroutines": {context.WithCancelCause, func(s *sse.EventSource, _ context.CancelCauseFunc) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				x := s.Select("a")
				s.Close()
				s.Reconnect()
				x.Stop()
				s.Stats()
			})
		}
		wg.Wait()
	}, sse.ErrClosed},
}

func TestCloseEndsEveryStateAtOnce(t *testing.T) {
	hold := ssetest.Hold()
	stream := func(steps ...ssetest.Step) []ssetest.Reply {
		return []ssetest.Reply{ssetest.Stream(append(steps, hold)...)}
	}
	type test struct {
		o       sse.Options
		replies []ssetest.Reply
		start   func(*sse.EventSource)
		before  []sse.CloseEvent
		local   sse.CloseEvent // and IsLocal
		queued  int
	}
	consume := func(s *sse.EventSource) { s.Select("message").Events() }
	open := func(s *sse.EventSource) { s.Open(context.WithoutCancel(t.Context())) } //nolint:errcheck // the test tells
	states := map[string]test{
		"idle":         {start: func(*sse.EventSource) {}},
		"dial":         {start: consume, local: sse.CloseEvent{Method: "POST"}},
		"head":         {start: consume, replies: []ssetest.Reply{ssetest.Unanswered(hold)}},
		"refusal body": {start: consume, replies: []ssetest.Reply{{Status: 503, Steps: []ssetest.Step{ssetest.Raw("busy"), hold}}}, local: sse.CloseEvent{Status: 503}},
		"at rest":      {start: open, replies: stream(ssetest.Raw("data: 1\n\n")), local: sse.CloseEvent{Status: 200}},
		"read":         {start: consume, replies: stream(), local: sse.CloseEvent{Status: 200}},
		"mid-event":    {start: consume, replies: stream(ssetest.Raw("id: 1\ndata: 1\n\nid: 2\ndata: 2\n")), local: sse.CloseEvent{Status: 200, Events: 1, LastEventID: "1"}, queued: 1},
		"hand-over":    {start: consume, o: sse.Options{Buffer: 1}, replies: stream(ssetest.Raw("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n")), local: sse.CloseEvent{Status: 200, Events: 1, LastEventID: "1"}, queued: 1},
		"no buffer":    {start: consume, o: sse.Options{Buffer: -1}, replies: stream(ssetest.Raw("id: 1\ndata: 1\n\n")), local: sse.CloseEvent{Status: 200}},
		"wait":         {start: consume, replies: []ssetest.Reply{ssetest.Status(503, "")}, before: []sse.CloseEvent{{Status: 503, Retriable: true, Attempt: 1}}, local: sse.CloseEvent{Attempt: 1}},
		"Cursor.Load": {start: consume, o: sse.Options{Cursor: loadFunc(func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})}},
	}
	for name, way := range waysToClose {
		t.Run(name, func(t *testing.T) {
			eachInBubble(t, states, func(t *testing.T, test test) {
				srv := ssetest.New(t, test.replies...)
				if path.Base(t.Name()) == "dial" {
					srv.Client().HTTP.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
						<-ctx.Done()
						return nil, ctx.Err()
					}
				}
				ctx, cancel := way.ctx(t.Context())
				defer cancel(nil)
				log := ssetest.Record(&test.o)
				src := srv.Client().SourceContext(ctx, srv.URL(), test.o)
				x := src.SelectAll()
				test.start(src)
				synctest.Wait()
				if chanClosed(src.Done()) || src.Err() != nil {
					t.Fatalf("ended before: %v", src.Err())
				}
				way.do(src, cancel)
				at := time.Now()
				<-src.Done()
				if d := time.Since(at); d != 0 || src.Err() != way.want || src.State() != sse.Closed {
					t.Errorf("ended %v later; Err = %v, want %v; state %v", d, src.Err(), way.want, src.State())
				}
				stats := src.Stats()
				letPass(time.Hour)
				if src.Stats() != stats || stats.Closes != uint64(len(test.before)+1) || len(srv.Requests()) != len(test.replies) {
					t.Errorf("stats were %+v, an hour later %+v; %d requests", stats, src.Stats(), len(srv.Requests()))
				}
				test.local.IsLocal, test.local.Err = true, way.want
				ssetest.WantCloses(t, log, append(test.before, test.local)...)
				opt := cmpopts.IgnoreFields(sse.CloseEvent{}, "Err", "Header", "StatusText", "Method", "Resumable", "Connect", "ConnectAfter")
				if diff := cmp.Diff(test.local, log.Closes()[len(test.before)], opt, cmpopts.IgnoreFields(sse.CloseEvent{}, "Attempt")); diff != "" {
					t.Errorf("the local close (-want +got):\n%s", diff)
				}
				if got := len(x.Events()); got != test.queued {
					t.Errorf("%d events queued, want %d", got, test.queued)
				}
				ssetest.Take(t, x.Events(), test.queued)
				if _, ok := <-x.Events(); ok {
					t.Error("the channel is not closed behind what was queued")
				}
			})
		})
	}
}

func TestCloseWaitsForTheHookThatRuns(t *testing.T) {
	eachInBubble(t, everyHook, func(t *testing.T, status int) {
		srv := ssetest.New(t)
		srv.Always(ssetest.Stream(ssetest.Raw(":c\nid: 1\ndata: 1\n\n:c\nid: 2\ndata: 2\n\n"), ssetest.Hold()))
		var o sse.Options
		calls, in, out := 0, make(chan struct{}), make(chan struct{})
		hookInto(srv.Client(), &o, hookOf(t), func() {
			if calls++; calls == 1 {
				close(in)
				<-out
			}
		})
		log := ssetest.Record(&o)
		src := srv.Source(o)
		x := src.SelectAll()
		x.Events()
		<-in
		src.Close()
		letPass(time.Hour)
		if chanClosed(src.Done()) || len(log.Closes()) != 0 || src.Err() != nil {
			t.Errorf("ended while the hook ran: %v", log.Closes())
		}
		close(out)
		<-src.Done()
		after, queued := calls, len(x.Events())
		letPass(time.Hour)
		if calls != after || len(x.Events()) != queued {
			t.Errorf("after Done: %d calls of the hook, was %d; %d events queued, was %d", calls, after, len(x.Events()), queued)
		}
		ssetest.WantCloses(t, log, sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed, Status: status})
		if got := log.Closes()[0].Status; got != status {
			t.Errorf("status %d, want %d", got, status)
		}
	})
}

func TestCloseFromAHookIsTheOnlyClose(t *testing.T) {
	eachInBubble(t, everyHook, func(t *testing.T, _ int) {
		srv := ssetest.New(t)
		srv.Always(ssetest.Stream(ssetest.Raw(":c\nid: 1\ndata: 1\n\n:c\nid: 2\ndata: 2\n\n")))
		o := sse.Options{Retry: waitsOf(0)}
		var src *sse.EventSource
		hookInto(srv.Client(), &o, hookOf(t), func() { src.Close() })
		log := ssetest.Record(&o)
		src = srv.Source(o)
		x := src.SelectAll()
		if err := src.Run(); err != sse.ErrClosed {
			t.Errorf("Err = %v", err)
		}
		ssetest.WantCloses(t, log, sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed})
		if hookOf(t) == "OnEvent" && (len(x.Events()) != 0 || src.LastEventID() != "" || src.Stats().Events != 0) {
			t.Errorf("the event during which OnEvent called Close was handed over: %d queued, resume id %q", len(x.Events()), src.LastEventID())
		}
	})
}

// TestCloseInsideOnClose has the rows of the table that begins "during an
// OnClose".
func TestCloseInsideOnClose(t *testing.T) {
	refused := sse.CloseEvent{Status: 503, Err: sse.ErrStatus}
	local := sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed}
	type test struct {
		onClose func(*sse.EventSource, sse.CloseEvent)
		err     error
		closes  []sse.CloseEvent
	}
	eachInBubble(t, map[string]test{
		"without Connect": {func(s *sse.EventSource, _ sse.CloseEvent) { s.Close() }, sse.ErrStatus, []sse.CloseEvent{refused}},
		"by another goroutine, without Connect": {func(s *sse.EventSource, _ sse.CloseEvent) {
			var wg sync.WaitGroup
			wg.Go(s.Close)
			wg.Wait()
		}, sse.ErrStatus, []sse.CloseEvent{refused}},
		"after Connect": {func(s *sse.EventSource, ev sse.CloseEvent) { ev.Connect(); s.Close() }, sse.ErrClosed, []sse.CloseEvent{refused, local}},
		"after ConnectAfter(0)": {func(s *sse.EventSource, ev sse.CloseEvent) {
			ev.ConnectAfter(0)
			s.Close()
			s.Close()
		}, sse.ErrClosed, []sse.CloseEvent{refused, local}},
	}, func(t *testing.T, test test) {
		srv := ssetest.New(t, ssetest.Status(503, ""))
		var src *sse.EventSource
		o := sse.Options{OnClose: func(ev sse.CloseEvent) { test.onClose(src, ev) }}
		log := ssetest.Record(&o)
		src = srv.Source(o)
		start := time.Now()
		if err := src.Run(); !errors.Is(err, test.err) || time.Since(start) != 0 {
			t.Errorf("Err = %v, want %v, after %v", err, test.err, time.Since(start))
		}
		ssetest.WantCloses(t, log, test.closes...)
		if n := len(test.closes); n > 1 && log.Closes()[1].Status != 0 {
			t.Errorf("the local close has status %d", log.Closes()[1].Status)
		}
	})
}

func TestContextThatEndedBeforeTheSourceWasMade(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errCause)
			var o sse.Options
			log := ssetest.Record(&o)
			src := ssetest.New(t).Client().SourceContext(ctx, "http://sse.test", o)
			for ev, err := range src.All() {
				if err != errCause {
					t.Errorf("loop got %v, %v", ev, err)
				}
			}
			if src.Err() != errCause || src.Run() != errCause || src.Open(t.Context()) != errCause {
				t.Errorf("Err = %v", src.Err())
			}
			ssetest.WantCloses(t, log, sse.CloseEvent{IsLocal: true, Err: errCause})
		})
	}
}

// watchedContext counts what waits for its end, by the method that
// context.AfterFunc looks for.
type watchedContext struct {
	context.Context
	done             chan struct{}
	hooked, unhooked int
}

func (c *watchedContext) Done() <-chan struct{} { return c.done }
func (c *watchedContext) Value(any) any         { return nil }

func (c *watchedContext) Err() error { return nil }

func (c *watchedContext) AfterFunc(func()) (stop func() bool) {
	c.hooked++
	return func() bool { c.unhooked++; return false }
}

func TestSourceLetsGoOfItsContext(t *testing.T) {
	ctx := &watchedContext{Context: t.Context(), done: make(chan struct{})}
	src := sse.SourceContext(ctx, "http://sse.test", sse.Options{})
	src.Close()
	if <-src.Done(); ctx.hooked != 1 || ctx.unhooked != 1 {
		t.Errorf("%d functions wait for the context, %d were taken back", ctx.hooked, ctx.unhooked)
	}
}

func TestContextThatHasEndedBeforeTheSourceIsMade(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	for range 1000 { // the end of the source races with its making
		src := sse.SourceContext(ctx, "http://sse.test", sse.Options{})
		if err := src.Run(); err != errCause {
			t.Fatalf("Err = %v", err)
		}
	}
}

func TestFirstReasonToEndStays(t *testing.T) {
	end := map[string]func(*sse.EventSource, context.CancelCauseFunc){
		"Close":       func(src *sse.EventSource, _ context.CancelCauseFunc) { src.Close() },
		"the context": func(_ *sse.EventSource, cancel context.CancelCauseFunc) { cancel(errCause) },
	}
	type test struct {
		first, second string
		want          error
	}
	eachInBubble(t, map[string]test{
		"Close":       {"Close", "the context", sse.ErrClosed},
		"the context": {"the context", "Close", errCause},
	}, func(t *testing.T, test test) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		srv := ssetest.New(t, streamOf(numberedEvents(1, 1), ssetest.Hold()))
		release := make(chan struct{})
		src := srv.Client().SourceContext(ctx, srv.URL(), sse.Options{OnEvent: func(sse.Event) { <-release }})
		src.SelectAll().Events()
		for _, how := range []string{test.first, test.second} {
			synctest.Wait()
			end[how](src, cancel)
		}
		synctest.Wait()
		close(release)
		if err := src.Run(); err != test.want {
			t.Errorf("Err = %v, want %v", err, test.want)
		}
	})
}

func TestEndOfTheContextNeverShowsAsACut(t *testing.T) {
	run := func(t *testing.T, srv *ssetest.Server, runs int) {
		t.Helper()
		srv.Always(streamOf(numberedEvents(1, 20), ssetest.Hold()))
		for i := range runs {
			ctx, cancel := context.WithCancelCause(t.Context())
			var o sse.Options
			log := ssetest.Record(&o)
			src := srv.Client().SourceContext(ctx, srv.URL(), o)
			for range ssetest.Take(t, src.SelectAll().Events(), i%20) { // anywhere in the stream
				continue
			}
			cancel(errCause)
			<-src.Done()
			if src.Err() != errCause {
				t.Fatalf("run %d: Err = %v", i, src.Err())
			}
			ssetest.WantCloses(t, log, sse.CloseEvent{IsLocal: true, Err: errCause})
		}
	}
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { run(t, ssetest.New(t), 1000) })
	})
	t.Run("on a socket", func(t *testing.T) { run(t, ssetest.NewTCP(t), 200) })
}

func TestCloseEventSaysWhatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := errors.New("no route")
		srv := ssetest.New(t,
			ssetest.Refuse(refusal),
			ssetest.Status(503, "busy").With("X-Why", "load"),
			streamOf(numberedEvents(1, 2), ssetest.Reset()),
			ssetest.Stream(),
			ssetest.Stream(ssetest.Wait(time.Minute)),
			ssetest.Stream(ssetest.Raw("id\ndata: no id\n\n"), ssetest.Abort()),
			ssetest.Stream(ssetest.Raw("data: 1\n\n")),
			ssetest.Stream(ssetest.Raw("id: bad \ndata: 1\n\n")),
			ssetest.Stream(ssetest.Raw("id: 8\ndata: 1\n\nid\ndata: 2\n\n")),
			ssetest.Status(404, "gone"))
		n := 0
		var o sse.Options
		o.Retry = waitsOf(time.Minute)
		o.Prepare = func(req *http.Request, prev sse.CloseEvent) error {
			if prev.Events == 2 && prev.LastEventID != "" {
				req.Method = "PUT"
			}
			return nil
		}
		o.OnClose = func(ev sse.CloseEvent) {
			if n++; n < 10 {
				ev.Connect()
			}
		}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		if err := src.Run(); !errors.Is(err, sse.ErrStatus) {
			t.Errorf("Err = %v", err)
		}
		const minute = time.Minute
		want := []sse.CloseEvent{
			{Err: refusal, Method: "POST", Resumable: true, Retriable: true, Attempt: 1, Delay: minute},
			{Status: 503, StatusText: "Service Unavailable", Err: sse.ErrStatus, Method: "POST", Resumable: true, Retriable: true, Attempt: 2, Delay: minute},
			{Status: 200, StatusText: "OK", Err: io.ErrUnexpectedEOF, Method: "POST", Resumable: true, Retriable: true, Attempt: 0, Delay: minute, LastEventID: "2", Events: 2},
			{Status: 200, StatusText: "OK", Err: io.EOF, Method: "PUT", Resumable: true, Retriable: true, Attempt: 1, Delay: minute, LastEventID: "2"},
			{Status: 200, StatusText: "OK", Err: io.EOF, Method: "POST", Resumable: true, Retriable: true, Attempt: 0, Delay: minute, LastEventID: "2"},
			{Status: 200, StatusText: "OK", Err: io.ErrUnexpectedEOF, Method: "POST", Attempt: 0, Delay: minute, Events: 1},
			{Status: 200, StatusText: "OK", Err: io.EOF, Method: "POST", Attempt: 0, Delay: minute, Events: 1},
			{Status: 200, StatusText: "OK", Err: io.EOF, Method: "POST", Resumable: true, Retriable: true, Attempt: 0, Delay: minute, Events: 1},
			{Status: 200, StatusText: "OK", Err: io.EOF, Method: "POST", Resumable: true, Retriable: true, Attempt: 0, Delay: minute, Events: 2},
			{Status: 404, StatusText: "Not Found", Err: sse.ErrStatus, Method: "POST", Resumable: true, Attempt: 1, Delay: minute},
		}
		if diff := cmp.Diff(want, log.Closes(), cmpopts.EquateErrors(), cmpopts.IgnoreFields(sse.CloseEvent{}, "Header")); diff != "" {
			t.Errorf("closes (-want +got):\n%s", diff)
		}
		ssetest.WantCloses(t, log, sse.CloseEvent{}, sse.CloseEvent{Header: http.Header{"X-Why": {"load"}}},
			sse.CloseEvent{Header: http.Header{"Content-Type": {"text/event-stream"}}},
			sse.CloseEvent{}, sse.CloseEvent{}, sse.CloseEvent{}, sse.CloseEvent{}, sse.CloseEvent{}, sse.CloseEvent{}, sse.CloseEvent{})
		for i, req := range srv.Requests()[1:] {
			if req.Gap != minute {
				t.Errorf("request %d came %v after the end before it, want the Delay of its CloseEvent", i+1, req.Gap)
			}
		}
		var attempts []int
		for _, ev := range log.Opens() {
			attempts = append(attempts, ev.Attempt)
		}
		if diff := cmp.Diff([]int{2, 0, 1, 0, 0, 0, 0}, attempts); diff != "" {
			t.Errorf("attempts in OpenEvents (-want +got):\n%s", diff)
		}
	})
}

func TestConnectDecidesWhatFollows(t *testing.T) {
	const delay, never = time.Minute, -1
	over := sse.RetryPolicy{BackOff: func() backoff.BackOff { return &backoff.StopBackOff{} }}
	type test struct {
		onClose func(*sse.EventSource, sse.CloseEvent)
		retry   sse.RetryPolicy
		status  int
		gap     time.Duration
	}
	sec := time.Second
	connect := func(_ *sse.EventSource, ev sse.CloseEvent) { ev.Connect() }
	eachInBubble(t, map[string]test{
		"nothing":                       {func(*sse.EventSource, sse.CloseEvent) {}, waitsOf(delay), 503, never},
		"Connect":                       {connect, waitsOf(delay), 503, delay},
		"Connect, though not retriable": {connect, waitsOf(delay), 404, delay},
		"Connect, though NoRetry":       {func(_ *sse.EventSource, ev sse.CloseEvent) { ev.ConnectAfter(sec) }, sse.NoRetry, 503, sec},
		"Connect twice":                 {func(_ *sse.EventSource, ev sse.CloseEvent) { ev.Connect(); ev.Connect() }, waitsOf(delay), 503, delay},
		"ConnectAfter":                  {func(_ *sse.EventSource, ev sse.CloseEvent) { ev.ConnectAfter(5 * sec) }, waitsOf(delay), 503, 5 * sec},
		"ConnectAfter a negative delay": {func(_ *sse.EventSource, ev sse.CloseEvent) { ev.ConnectAfter(-sec) }, waitsOf(delay), 503, 0},
		"the last ConnectAfter":         {func(_ *sse.EventSource, ev sse.CloseEvent) { ev.ConnectAfter(9 * sec); ev.ConnectAfter(2 * sec) }, waitsOf(delay), 503, 2 * sec},
		"ConnectAfter after Connect":    {func(_ *sse.EventSource, ev sse.CloseEvent) { ev.Connect(); ev.ConnectAfter(7 * sec) }, waitsOf(delay), 503, 7 * sec},
		"Connect after ConnectAfter":    {func(_ *sse.EventSource, ev sse.CloseEvent) { ev.ConnectAfter(7 * sec); ev.Connect() }, waitsOf(delay), 503, delay},
		"Reconnect":                     {func(s *sse.EventSource, _ sse.CloseEvent) { s.Reconnect() }, waitsOf(delay), 404, 0},
		"Reconnect after Connect":       {func(s *sse.EventSource, ev sse.CloseEvent) { ev.Connect(); s.Reconnect() }, waitsOf(delay), 503, 0},
		"ConnectAfter after Reconnect":  {func(s *sse.EventSource, ev sse.CloseEvent) { s.Reconnect(); ev.ConnectAfter(3 * sec) }, waitsOf(delay), 503, 3 * sec},
		"from another goroutine, after a long block": {func(_ *sse.EventSource, ev sse.CloseEvent) {
			var wg sync.WaitGroup
			wg.Go(ev.Connect)
			wg.Wait()
			time.Sleep(time.Hour)
		}, waitsOf(delay), 503, time.Hour + delay},
		"Connect, the schedule over":      {connect, over, 503, never},
		"ConnectAfter, the schedule over": {func(_ *sse.EventSource, ev sse.CloseEvent) { ev.Connect(); ev.ConnectAfter(sec) }, over, 503, sec},
	}, func(t *testing.T, test test) {
		srv := ssetest.New(t, ssetest.Status(test.status, ""))
		srv.Always(ssetest.Stream(ssetest.Hold()))
		var src *sse.EventSource
		o := sse.Options{Retry: test.retry, OnClose: func(ev sse.CloseEvent) { test.onClose(src, ev) }}
		src = srv.Source(o)
		src.SelectAll().Events()
		letPass(24 * time.Hour)
		requests := srv.Requests()
		switch {
		case test.gap == never && (len(requests) != 1 || !errors.Is(src.Err(), sse.ErrStatus)):
			t.Errorf("%d requests, Err = %v, want no reconnect", len(requests), src.Err())
		case test.gap != never && (len(requests) != 2 || requests[1].Gap != test.gap):
			t.Errorf("requests %v, want another after %v", requests, test.gap)
		}
	})
}
