package sse_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// eachInBubble runs f for each case, in a synctest bubble of its own.
func eachInBubble[T any](t *testing.T, cases map[string]T, f func(*testing.T, T)) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, c) })
		})
	}
}

// letPass lets fake time pass, and what that sets off come to rest.
func letPass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// numberedEvents returns events whose data and ids are from to to.
func numberedEvents(from, to int) (events []sse.Event) {
	for i := from; i <= to; i++ {
		n := strconv.Itoa(i)
		events = append(events, sse.Event{Name: "message", Data: n, ID: n})
	}
	return events
}

// streamOf replies with events and what follows them.
func streamOf(events []sse.Event, then ...ssetest.Step) ssetest.Reply {
	var steps []ssetest.Step
	for _, ev := range events {
		steps = append(steps, ssetest.Emit(ev))
	}
	return ssetest.Stream(append(steps, then...)...)
}

// waitsOf is a schedule of equal waits.
func waitsOf(d time.Duration) sse.RetryPolicy {
	return sse.RetryPolicy{BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(d) }}
}

// chanClosed reports whether c is closed.
func chanClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// containsText reports whether err says text.
func containsText(err error, text string) bool {
	return err != nil && strings.Contains(err.Error(), text)
}

// dataOf returns the data of events, joined.
func dataOf(events []sse.Event) (s string) {
	for _, ev := range events {
		s += ev.Data + " "
	}
	return s
}

func TestSourceOpensWhenFirstConsumed(t *testing.T) {
	type test struct {
		consume func(*testing.T, *sse.EventSource)
		opens   bool
	}
	eachInBubble(t, map[string]test{
		"Events":        {func(t *testing.T, s *sse.EventSource) { s.SelectAll().Events() }, true},
		"All":           {func(t *testing.T, s *sse.EventSource) { ssetest.Collect(t, s.All(), 1) }, true},
		"Selection.All": {func(t *testing.T, s *sse.EventSource) { ssetest.Collect(t, s.Select("message").All(), 1) }, true},
		"Open":          {func(t *testing.T, s *sse.EventSource) { s.Open(t.Context()) }, true}, //nolint:errcheck // the request tells
		"Run":           {func(t *testing.T, s *sse.EventSource) { go s.Run() }, true},
		"nothing else": {func(t *testing.T, s *sse.EventSource) {
			x, y := s.Select("a"), s.SelectAll()
			s.Reconnect()
			s.All()
			x.All()
			y.Stop()
			_, _, _, _, _, _ = s.Stats(), s.State(), s.LastEventID(), s.Err(), s.Done(), s.String()
			if err := s.Ack(sse.Event{ID: "1"}); err != nil || x.Dropped() != 0 || chanClosed(s.Done()) {
				t.Errorf("Ack = %v, Dropped = %d, or Done is closed", err, x.Dropped())
			}
		}, false},
	}, func(t *testing.T, test test) {
		srv := ssetest.New(t)
		srv.Always(streamOf(numberedEvents(1, 1), ssetest.Hold()))
		src := srv.Source(sse.Options{OnEvent: func(sse.Event) {}})
		letPass(time.Hour)
		if n := len(srv.Requests()); n != 0 || src.State() != sse.Idle {
			t.Fatalf("before: %d requests, state %v", n, src.State())
		}
		test.consume(t, src)
		letPass(time.Hour)
		if n := len(srv.Requests()); (n == 1) != test.opens || (src.State() == sse.Idle) == test.opens {
			t.Errorf("after: %d requests, state %v, want a request: %v", n, src.State(), test.opens)
		}
	})
}

func TestNothingFallsBetweenSelects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, streamOf([]sse.Event{{Name: "a", Data: "1"}, {Name: "b", Data: "2"}, {Name: "a", Data: "3"}}, ssetest.Hold()))
		src := srv.Source(sse.Options{})
		a := src.Select("a")
		letPass(time.Hour)
		b := src.Select("b")
		letPass(time.Hour)
		all := src.SelectAll()
		for x, want := range map[*sse.Selection]string{a: "1 3 ", b: "2 ", all: "1 2 3 "} {
			if got := dataOf(ssetest.Take(t, x.Events(), len(want)/2)); got != want {
				t.Errorf("selection %v got %q, want %q", x, got, want)
			}
		}
	})
}

func TestOpenWaitsForAnAcceptedResponse(t *testing.T) {
	late := errors.New("late")
	refused := func(code int) []ssetest.Reply { return []ssetest.Reply{ssetest.Status(code, "")} }
	type test struct {
		replies []ssetest.Reply
		before  func(*sse.EventSource)
		want    error // by errors.Is
		takes   time.Duration
		lives   bool
	}
	eachInBubble(t, map[string]test{
		"accepted":                   {replies: []ssetest.Reply{ssetest.Stream(ssetest.Hold())}, lives: true},
		"accepted after failures":    {replies: []ssetest.Reply{ssetest.Status(503, ""), ssetest.Refuse(nil), ssetest.Stream(ssetest.Hold())}, takes: 20 * time.Second, lives: true},
		"refused":                    {replies: refused(404), want: sse.ErrStatus},
		"204":                        {replies: refused(204), want: io.EOF},
		"ctx ends before the head":   {replies: []ssetest.Reply{ssetest.Unanswered(ssetest.Hold())}, want: late, takes: time.Minute, lives: true},
		"closed":                     {before: (*sse.EventSource).Close, want: sse.ErrClosed},
		"accepted once, ended since": {replies: []ssetest.Reply{ssetest.Stream()}, before: func(s *sse.EventSource) { s.Run() }},
	}, func(t *testing.T, test test) {
		srv := ssetest.New(t, test.replies...)
		src := srv.Source(sse.Options{
			Retry: waitsOf(10 * time.Second),
			OnClose: func(ev sse.CloseEvent) { // a stream that ends is not retried
				if ev.Status == 503 || ev.Status == 0 && !ev.IsLocal {
					ev.Connect()
				}
			},
		})
		if test.before != nil {
			test.before(src)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, late)
		defer cancel()
		start := time.Now()
		if err := src.Open(ctx); !errors.Is(err, test.want) {
			t.Errorf("Open = %v, want %v", err, test.want)
		} else if err != nil && !test.lives && err != src.Err() {
			t.Errorf("Open = %v, Err = %v", err, src.Err())
		}
		if d := time.Since(start); d != test.takes || chanClosed(src.Done()) == test.lives {
			t.Errorf("Open took %v, want %v; source lives: %v, want %v", d, test.takes, !chanClosed(src.Done()), test.lives)
		}
		if test.want == nil && src.Open(ctx) != nil {
			t.Errorf("second Open = %v", src.Open(ctx))
		}
	})
}

func TestNothingIsReadAfterTheHeadUntilConsumed(t *testing.T) {
	type test struct {
		o     sse.Options
		reads bool
	}
	eachInBubble(t, map[string]test{
		"no hook":   {sse.Options{OnOpen: func(sse.OpenEvent) {}, OnError: func(error) {}}, false},
		"OnEvent":   {sse.Options{OnEvent: func(sse.Event) {}}, true},
		"OnComment": {sse.Options{OnComment: func(string) {}}, true},
		"OnRetry":   {sse.Options{OnRetry: func(time.Duration) {}}, true},
		"EndOn":     {sse.Options{EndOn: func(sse.Event) bool { return false }}, true},
	}, func(t *testing.T, test test) {
		srv := ssetest.New(t, streamOf(numberedEvents(1, 3), ssetest.Hold()))
		src := srv.Source(test.o)
		if err := src.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		letPass(time.Hour)
		if got := src.Stats(); got.Bytes > 0 != test.reads || got.Events > 0 != test.reads || src.State() != sse.Open {
			t.Errorf("after Open: %+v, state %v; want bytes read: %v", got, src.State(), test.reads)
		}
		if !test.reads {
			a, b := src.SelectAll(), src.Select("message")
			if got := dataOf(ssetest.Take(t, b.Events(), 3)) + dataOf(ssetest.Take(t, a.Events(), 3)); got != "1 2 3 1 2 3 " {
				t.Errorf("consumed after Open: %q", got)
			}
		}
	})
}

func TestRunReturnsErr(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, streamOf(numberedEvents(1, 2), ssetest.Reset()), ssetest.Status(410, "gone"))
		var got []sse.Event
		src := srv.Source(sse.Options{OnEvent: func(ev sse.Event) { got = append(got, ev) }})
		err := src.Run()
		if !errors.Is(err, sse.ErrStatus) || err != src.Err() || src.Run() != err || !chanClosed(src.Done()) {
			t.Errorf("Run = %v, then %v, Err = %v", err, src.Run(), src.Err())
		}
		if diff := cmp.Diff(numberedEvents(1, 2), got); diff != "" {
			t.Errorf("OnEvent (-want +got):\n%s", diff)
		}
	})
}

func TestStateAndErrFollowTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		srv := ssetest.New(t,
			ssetest.Unanswered(ssetest.WaitFor(answer), ssetest.Comment(""), ssetest.Wait(time.Second), ssetest.Reset()),
			ssetest.Status(403, ""))
		src := srv.Source(sse.Options{OnOpen: func(sse.OpenEvent) {}})
		want := func(when string, state sse.State, name string) {
			t.Helper()
			if synctest.Wait(); src.State() != state || src.State().String() != name || (src.Err() == nil) == (state == sse.Closed) {
				t.Errorf("%s: state %v, Err %v, want %s", when, src.State(), src.Err(), name)
			}
		}
		want("before", sse.Idle, "Idle")
		src.SelectAll().Events()
		want("no head yet", sse.Connecting, "Connecting")
		close(answer)
		want("head", sse.Open, "Open")
		letPass(time.Second)
		want("waiting", sse.Connecting, "Connecting")
		letPass(time.Minute)
		want("refused", sse.Closed, "Closed")
		if got := sse.State(7).String(); got != "State(7)" {
			t.Errorf("unknown state prints %q", got)
		}
	})
}

func TestStatsCountWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		first, second := "data: 1\n\ndata: 2\n\n", "id: 3\ndata: 3\n\n"
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Wait(time.Second), ssetest.Raw(first), ssetest.Wait(time.Second), ssetest.Raw(":\n"), ssetest.Reset()),
			ssetest.Status(503, "not counted"),
			ssetest.Stream(ssetest.Raw(second), ssetest.Raw("data: cut")))
		var inHooks []sse.Stats
		o := sse.Options{Method: "GET", Retry: waitsOf(time.Minute)}
		var src *sse.EventSource
		o.OnClose = func(ev sse.CloseEvent) {
			inHooks = append(inHooks, src.Stats())
			if len(inHooks) < 3 {
				ev.Connect()
			}
		}
		src = srv.Source(o)
		if got := src.Stats(); got != (sse.Stats{}) {
			t.Errorf("before the start: %+v", got)
		}
		if err := src.Run(); err != io.EOF {
			t.Errorf("Run = %v, want io.EOF itself", err)
		}
		n := uint64(len(first) + len(":\n"))
		one := sse.Stats{Events: 2, Bytes: n, Opens: 1, Closes: 1, LastByte: start.Add(2 * time.Second), LastEvent: start.Add(time.Second)}
		two := one
		two.Closes = 2
		at := start.Add(2*time.Second + 2*time.Minute)
		three := sse.Stats{Events: 3, Bytes: n + uint64(len(second)+len("data: cut")), Opens: 2, Closes: 3, LastByte: at, LastEvent: at}
		if diff := cmp.Diff([]sse.Stats{one, two, three, three}, append(inHooks, src.Stats())); diff != "" {
			t.Errorf("in OnClose and at the end (-want +got):\n%s", diff)
		}
	})
}

func TestErrSaysWhatEndedTheSource(t *testing.T) {
	cut := []ssetest.Step{ssetest.Raw("data: 1\n\n"), ssetest.Reset()}
	type test struct {
		o      sse.Options
		reply  ssetest.Reply
		want   error // by errors.Is
		itself bool
		text   string
	}
	over := sse.RetryPolicy{BackOff: func() backoff.BackOff { return &backoff.StopBackOff{} }}
	eachInBubble(t, map[string]test{
		"clean end, not retried":     {sse.Options{Retry: sse.NoRetry}, ssetest.Stream(), io.EOF, true, ""},
		"clean end, not resumable":   {sse.Options{}, ssetest.Stream(cut[0]), io.EOF, true, ""},
		"204":                        {sse.Options{}, ssetest.Status(204, ""), io.EOF, true, ""},
		"refused":                    {sse.Options{}, ssetest.Status(401, ""), sse.ErrStatus, false, "401"},
		"no event stream":            {sse.Options{}, ssetest.Status(200, "<html>"), sse.ErrContentType, false, "text/html"},
		"cut, not resumable":         {sse.Options{}, ssetest.Stream(cut...), io.ErrUnexpectedEOF, false, "sse: not repeated: POST without event ids cannot be resumed (set Options.Retry or OnClose): sse: stream cut"},
		"cut, schedule over":         {sse.Options{Method: "GET", Retry: over}, ssetest.Stream(cut...), io.ErrUnexpectedEOF, false, "gave up"},
		"cut, not retried":           {sse.Options{Method: "GET", Retry: sse.NoRetry}, ssetest.Stream(cut...), io.ErrUnexpectedEOF, false, "sse: stream cut"},
		"cut, the caller decides":    {sse.Options{Retry: sse.NoRetry}, ssetest.Stream(cut...), io.ErrUnexpectedEOF, false, "sse: stream cut"},
		"refused connection":         {sse.Options{Retry: sse.NoRetry}, ssetest.Refuse(errors.New("no route")), nil, false, "no route"},
		"cut, OnClose does not mind": {sse.Options{OnClose: func(sse.CloseEvent) {}}, ssetest.Stream(ssetest.Abort()), io.ErrUnexpectedEOF, false, "sse: stream cut"},
	}, func(t *testing.T, test test) {
		log := ssetest.Record(&test.o)
		src := ssetest.New(t, test.reply).Source(test.o)
		err := src.Run()
		if err == nil || test.want != nil && !errors.Is(err, test.want) || test.itself && err != test.want || !containsText(err, test.text) {
			t.Errorf("Err = %v, want %v %q", err, test.want, test.text)
		}
		if test.o.Retry.Retriable != nil && containsText(err, "not repeated") {
			t.Errorf("Err = %v, but the caller's policy has decided", err)
		}
		if closes := log.Closes(); len(closes) != 1 || !errors.Is(err, closes[0].Err) || closes[0].Retriable && test.o.Retry.BackOff != nil {
			t.Errorf("Err = %v, want one that wraps that of the only close: %v", err, closes)
		}
	})
}

// presetHeader carries a last event id of the caller's.
var presetHeader = http.Header{"Last-Event-Id": {"0"}}

func TestLastEventIDMovesWithTheHandOver(t *testing.T) {
	eachInBubble(t, map[string]bool{"in a lone loop": true, "on a channel": false}, func(t *testing.T, lone bool) {
		pause := ssetest.Wait(time.Second)
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Raw("id: 1\n"), pause, ssetest.Raw("data: a\n\n"), pause, ssetest.Raw("id: 2\n\n"), pause,
				ssetest.Raw("data: b\n\n"), pause, ssetest.Raw("id: 3\ndata: c\n"), pause, ssetest.Abort()),
			ssetest.Stream(pause, ssetest.Raw("id: x\x00y\nid\ndata: d\n\n"), pause, ssetest.Raw("id: 9\n"), ssetest.Reset()),
			ssetest.Stream(pause, ssetest.Raw("data: e\n\n"), ssetest.Hold()))
		var src *sse.EventSource
		var notes noteLog
		note := func(where string) { notes.add("%s=%s", where, src.LastEventID()) }
		src = srv.Source(sse.Options{
			Method: "GET", Header: presetHeader,
			OnOpen:    func(ev sse.OpenEvent) { note("open " + ev.LastEventID) },
			Transform: func(ev sse.Event) (sse.Event, error) { note("transform " + ev.Data); return ev, nil },
			OnEvent:   func(ev sse.Event) { note("event " + ev.Data) },
			OnClose:   func(ev sse.CloseEvent) { note("close " + ev.LastEventID); ev.Connect() },
		})
		body := func(ev sse.Event) {
			synctest.Wait()
			note("body " + ev.ID)
		}
		if lone {
			for ev, err := range src.All() {
				if err != nil {
					t.Fatal(err)
				}
				if body(ev); ev.Data == "e" {
					break
				}
			}
		} else {
			for ev := range src.SelectAll().Events() {
				if body(ev); ev.Data == "e" {
					break
				}
			}
		}
		want := []string{
			"open 0=0", "transform a=0", "event a=0", "body 1=1", "transform b=2", "event b=2", "body 2=2",
			"close 2=2", "open 2=2", "transform d=2", "event d=2", "body =", "close =", "open =", "transform e=", "event e=", "body =",
		}
		if lone {
			want = append(want, "close =") // by leaving the loop
		}
		if diff := cmp.Diff(want, notes.all()); diff != "" {
			t.Errorf("LastEventID (-want +got):\n%s", diff)
		}
		ssetest.WantRequests(t, srv, ssetest.Request{LastEventID: "0"}, ssetest.Request{LastEventID: "2"}, ssetest.Request{})
		if h := srv.Requests()[2].Header; h.Values("Last-Event-ID") != nil {
			t.Errorf("after an empty id the request carries Last-Event-ID %q", h.Values("Last-Event-ID"))
		}
	})
}

func TestReconnectConnectsAtOnceInEveryState(t *testing.T) {
	type test struct {
		o       sse.Options
		first   []ssetest.Reply
		hang    bool // the first dial
		rest    bool // nothing consumes
		closes  int  // before
		carries string
	}
	hold := ssetest.Hold()
	eachInBubble(t, map[string]test{
		"dial":         {hang: true},
		"head":         {first: []ssetest.Reply{ssetest.Unanswered(hold)}},
		"refusal body": {first: []ssetest.Reply{{Status: 503, Steps: []ssetest.Step{ssetest.Raw("busy"), hold}}}},
		"read":         {first: []ssetest.Reply{ssetest.Stream(hold)}},
		"mid-event":    {first: []ssetest.Reply{ssetest.Stream(ssetest.Raw("id: 1\ndata: a\n\nid: 2\ndata: b\n"), hold)}, carries: "1"},
		"wait":         {first: []ssetest.Reply{ssetest.Status(503, "")}, closes: 1},
		"Cursor.Load":  {o: sse.Options{Cursor: &slowFirstLoad{}}},
		"at rest":      {first: []ssetest.Reply{ssetest.Stream(hold)}, rest: true},
	}, func(t *testing.T, test test) {
		srv := ssetest.New(t, append(test.first, streamOf(numberedEvents(7, 7), hold))...)
		tr := srv.Client().HTTP.Transport.(*http.Transport)
		dial, dials := tr.DialContext, 0
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials++; test.hang && dials == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return dial(ctx, network, addr)
		}
		log := ssetest.Record(&test.o)
		src := srv.Source(test.o)
		x := src.SelectAll()
		if test.rest {
			if err := src.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			x.Events()
		}
		synctest.Wait()
		before := time.Now()
		src.Reconnect()
		synctest.Wait()
		requests := srv.Requests()
		if last := requests[len(requests)-1]; len(requests) != len(test.first)+1 || !last.At.Equal(before) || last.LastEventID != test.carries {
			t.Fatalf("after Reconnect: %d requests, want %d; the last %v later with id %q, want %q",
				len(requests), len(test.first)+1, last.At.Sub(before), last.LastEventID, test.carries)
		}
		for ev := range x.Events() {
			if ev.ID == "7" {
				break
			}
		}
		if closes := log.Closes(); len(closes) != test.closes || src.State() != sse.Open {
			t.Errorf("closes %v, want %d; state %v", closes, test.closes, src.State())
		}
	})
}

// slowFirstLoad is a cursor whose first Load takes until it is cancelled.
type slowFirstLoad struct{ loads int }

func (c *slowFirstLoad) Load(ctx context.Context) (string, error) {
	if c.loads++; c.loads == 1 {
		<-ctx.Done()
	}
	return "", context.Cause(ctx)
}

func (c *slowFirstLoad) Save(context.Context, string) error { return nil }

func TestReconnectThatIsOverCutsNoWaitShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		srv := ssetest.New(t, ssetest.Stream(ssetest.Hold()), ssetest.Stream(ssetest.WaitFor(over)), ssetest.Stream(ssetest.Hold()))
		src := srv.Source(sse.Options{Retry: waitsOf(time.Minute)})
		src.Reconnect() // does nothing before the start
		src.SelectAll().Events()
		synctest.Wait()
		src.Reconnect()
		synctest.Wait()
		close(over)
		letPass(time.Hour)
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{}, ssetest.Request{Gap: time.Minute})
		src.Close()
		<-src.Done()
		src.Reconnect() // nor after the end
		letPass(time.Hour)
		if n := len(srv.Requests()); n != 3 || src.State() != sse.Closed {
			t.Errorf("Reconnect after the end: %d requests, state %v", n, src.State())
		}
	})
}
