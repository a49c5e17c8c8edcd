package sse_test

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/internal/rows"
	"github.com/wellspring-go/sse/ssetest"
)

// resolver is one of package net that asks dial for a server.
func resolver(dial func(context.Context) (net.Conn, error)) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
}

// Package net makes channels of its own for the first look-up. If that came in
// a bubble, any later one would crash.
func init() {
	_, err := resolver(func(context.Context) (net.Conn, error) { return nil, errors.ErrUnsupported }).LookupHost(context.Background(), "sse.test")
	if err == nil {
		panic("sse.test is found without a server")
	}
}

// hangingTransport gets no further than to a point of connecting.
func hangingTransport(point string, tr *http.Transport) {
	switch point {
	case "DNS":
		// It asks a server that never answers.
		d := net.Dialer{Resolver: resolver(func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})}
		tr.DialContext = d.DialContext
	case "dial":
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	case "TLS":
		tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go io.Copy(io.Discard, far) // ends with the other side
			return near, nil
		}
	}
}

func TestCancelAtEveryPoint(t *testing.T) {
	rounds := rows.Size(5, 100)
	hold := ssetest.Hold()
	points := map[string]struct {
		replies []ssetest.Reply
		hook    string // in which a second passes
		closes  int    // with the local one
	}{
		"before the start": {closes: 1},
		"DNS":              {closes: 1},
		"dial":             {closes: 1},
		"TLS":              {closes: 1},
		"head":             {replies: []ssetest.Reply{ssetest.Unanswered(hold)}, closes: 1},
		"read":             {replies: []ssetest.Reply{ssetest.Stream(hold)}, closes: 1},
		"mid-event":        {replies: []ssetest.Reply{ssetest.Stream(ssetest.Raw("id: 1\ndata: 1\n"), hold)}, closes: 1},
		"hand-over":        {replies: []ssetest.Reply{streamOf(numberedEvents(1, 4), hold)}, closes: 1},
		"OnEvent":          {replies: []ssetest.Reply{streamOf(numberedEvents(1, 2), hold)}, hook: "OnEvent", closes: 1},
		"OnClose":          {replies: []ssetest.Reply{ssetest.Status(503, "")}, hook: "OnClose", closes: 2},
		"the wait":         {replies: []ssetest.Reply{ssetest.Status(503, "")}, closes: 2},
		"Cursor.Load":      {hook: "Cursor.Load", closes: 1},
	}
	for point, p := range points {
		for round := range rounds {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(uint64(round), 14))
				srv := ssetest.New(t, p.replies...)
				client, url := srv.Client(), srv.URL()
				hangingTransport(point, client.HTTP.Transport.(*http.Transport))
				if point == "TLS" {
					url = strings.Replace(url, "http", "https", 1)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if point == "before the start" {
					cancel(errCause)
				}
				var inHook atomic.Bool
				hooks := 0
				o := sse.Options{Buffer: rnd.IntN(3) - 1, Retry: waitsOf(time.Hour)}
				if point == "hand-over" {
					o.Buffer = min(o.Buffer, 1) - 1
				}
				if p.hook != "" {
					hookInto(client, &o, p.hook, func() {
						if hooks++; hooks > 1 {
							return // the local close has nothing to wait for
						}
						inHook.Store(true)
						time.Sleep(time.Second)
						inHook.Store(false)
					})
				}
				log := ssetest.Record(&o)
				src := client.SourceContext(ctx, url, o)
				src.SelectAll().Events()
				if synctest.Wait(); p.hook != "" {
					time.Sleep(time.Duration(rnd.Int64N(int64(time.Second))))
					if !inHook.Load() {
						t.Errorf("%s: not in the hook", point)
					}
				} else if point != "before the start" {
					time.Sleep(time.Duration(rnd.Int64N(int64(4 * time.Second)))) // the resolver's patience is 5 s
				}
				begin := time.Now()
				cancel(errCause)
				<-src.Done()
				if took := time.Since(begin); p.hook == "" && took > 0 || took > time.Second || inHook.Load() {
					t.Errorf("%s: ended after %v; a hook runs: %t", point, took, inHook.Load())
				}
				closes := log.Closes()
				locals := 0
				for _, ev := range closes {
					if ev.IsLocal {
						locals++
						if ev.Err != errCause || ev.Retriable {
							t.Errorf("%s: %v", point, ev)
						}
					}
				}
				if len(closes) != p.closes || locals != 1 || src.Err() != errCause || len(srv.Requests()) != len(p.replies) {
					t.Errorf("%s: closes %v, Err %v, %d requests", point, closes, src.Err(), len(srv.Requests()))
				}
			})
		}
	}
	rows.Note(t, "P7", "%d points x %d: 0s of fake time", len(points), rounds)
	rows.Note(t, "F14", "%d points x %d: ended in 0s of fake time, or with the running hook; one local CloseEvent", len(points), rounds)
}

// TestCloseFromEverywhere lets Close race with what the source does.
func TestCloseFromEverywhere(t *testing.T) {
	runs := rows.Size(100, 1000)
	type moment struct {
		replies func() ssetest.Reply
		o       func(src **sse.EventSource) sse.Options
		close   func(src *sse.EventSource)
	}
	events := func() ssetest.Reply { return streamOf(numberedEvents(1, 3), ssetest.Hold()) }
	plain := func(**sse.EventSource) sse.Options { return sse.Options{} }
	once := func(src *sse.EventSource) { src.Close() }
	late := func(src *sse.EventSource) {
		for range 50 {
			runtime.Gosched() // wherever that leaves it
		}
		src.Close()
	}
	for name, m := range map[string]moment{
		"connect":   {func() ssetest.Reply { return ssetest.Unanswered(ssetest.Hold()) }, plain, late},
		"hand-over": {events, func(**sse.EventSource) sse.Options { return sse.Options{Buffer: -1} }, late},
		"twice":     {events, plain, func(src *sse.EventSource) { src.Close(); src.Close() }},
		"hook": {events, func(**sse.EventSource) sse.Options {
			return sse.Options{OnEvent: func(sse.Event) { time.Sleep(time.Second) }}
		}, late},
		"from the hook itself": {events, func(src **sse.EventSource) sse.Options {
			return sse.Options{OnEvent: func(sse.Event) { (*src).Close() }}
		}, func(src *sse.EventSource) { <-src.Done(); src.Close() }},
		"from OnClose": {func() ssetest.Reply { return ssetest.Status(503, "") }, func(src **sse.EventSource) sse.Options {
			return sse.Options{OnClose: func(ev sse.CloseEvent) { (*src).Close(); ev.Connect() }}
		}, func(src *sse.EventSource) { <-src.Done(); src.Close() }},
		"by 100 goroutines": {events, plain, func(src *sse.EventSource) {
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() { src.Close() })
			}
			wg.Wait()
		}},
		"before it is consumed": {events, plain, once},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := ssetest.New(t)
			srv.Always(m.replies())
			for run := range runs {
				var src *sse.EventSource
				o := m.o(&src)
				o.Retry = waitsOf(time.Hour)
				calls := countHooks(&o)
				log := ssetest.Record(&o)
				src = srv.Client().Source(srv.URL(), o)
				x := src.SelectAll()
				if name != "before it is consumed" {
					x.Events()
				}
				begin := time.Now()
				m.close(src)
				<-src.Done()
				closes := log.Closes()
				last := closes[len(closes)-1]
				done, limit := calls.Load(), time.Duration(0)
				if name == "hook" {
					limit = time.Second // the running one is waited for
				}
				if took := time.Since(begin); took > limit || src.State() != sse.Closed || !last.IsLocal && name != "from OnClose" || len(closes) > 2 || src.Err() == nil {
					t.Fatalf("%s, run %d: after %v, Err %v, closes %v", name, run, took, src.Err(), closes)
				}
				for range x.Events() { // what was queued; it must be closed
					continue
				}
				if letPass(time.Minute); calls.Load() != done {
					t.Fatalf("%s, run %d: a hook ran after Done", name, run)
				}
			}
		})
	}
	rows.Note(t, "P6", "%d sources: no hook in the minute after Done", 8*runs)
	rows.Note(t, "F15", "8 ways x %d: no deadlock, no panic, no hook after Done", runs)
}

// countHooks makes o count the calls of its hooks.
func countHooks(o *sse.Options) *atomic.Int64 {
	n := new(atomic.Int64)
	onEvent, onClose := o.OnEvent, o.OnClose
	o.OnOpen = func(sse.OpenEvent) { n.Add(1) }
	o.OnError = func(error) { n.Add(1) }
	o.OnEvent = func(ev sse.Event) {
		if n.Add(1); onEvent != nil {
			onEvent(ev)
		}
	}
	if onClose != nil {
		o.OnClose = func(ev sse.CloseEvent) { n.Add(1); onClose(ev) }
	}
	return n
}

func TestSlowConsumerOfEachOverflow(t *testing.T) {
	const n, room = 1000, 10
	all := numberedEvents(1, n)
	want := map[sse.Overflow][]sse.Event{sse.Block: all, sse.DropOldest: all[n-room:], sse.DropNewest: all[:room], sse.Disconnect: all}
	for overflow, want := range want {
		synctest.Test(t, func(t *testing.T) {
			srv := ssetest.New(t)
			srv.Always(heldOpen(ssetest.ResumeFrom(all)))
			src := srv.Source(sse.Options{Buffer: room, Overflow: overflow, Retry: waitsOf(time.Minute)})
			x, abandoned := src.SelectAll(), src.SelectAll()
			abandoned.Events()
			letPass(0)
			abandoned.Stop()
			events := x.Events()
			letPass(time.Hour)
			var got []sse.Event
			for range len(want) {
				if len(events) == 0 {
					letPass(2 * time.Minute)
				}
				got = append(got, ssetest.Take(t, events, 1)...)
			}
			letPass(time.Hour)
			if diff := cmp.Diff(want, got); diff != "" || len(events) > 0 {
				t.Errorf("%v: %d more events; (-want +got):\n%s", overflow, len(events), diff)
			}
			if d := x.Dropped(); int(d) != n-len(want) {
				t.Errorf("%v: %d dropped, want %d", overflow, d, n-len(want))
			}
		})
	}
	rows.Note(t, "F16", "%d events, room for %d, an hour asleep, a selection abandoned: Block and Disconnect %d, DropOldest and DropNewest %d with %d counted", n, room, n, room, n-room)
}

// A herd is what a server sees of streams that were all cut at once.
type herd struct{ streams, requests, peak int }

// see notes a request after so much time.
func (h *herd) see(buckets map[time.Duration]int, after time.Duration) {
	h.requests++
	buckets[after/(100*time.Millisecond)]++
	h.peak = max(h.peak, buckets[after/(100*time.Millisecond)])
}

func (h *herd) perStream() float64 { return float64(h.requests) / float64(h.streams) }
func (h *herd) share() float64     { return 100 * float64(h.peak) / float64(h.streams) }

// The server is down for outage after the cut. That is when the spread of the
// schedule counts: without one nobody comes twice, with a long one everybody
// is at the cap.
const outage = 5 * time.Second

func TestHerdIsSpread(t *testing.T) {
	model := herd{streams: 10_000}
	buckets := map[time.Duration]int{}
	for range model.streams {
		b := sse.NewBackOff()
		for at := b.NextBackOff(); ; at += b.NextBackOff() {
			if model.see(buckets, at); at >= outage {
				break
			}
		}
	}
	if model.perStream() > 3 || model.share() > 6 {
		t.Errorf("model: %.2f requests per stream, at most %.1f%% in 100 ms", model.perStream(), model.share())
	}
	crowd := herd{streams: rows.Size(200, 2000)}
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan struct{})
		srv := ssetest.New(t)
		srv.Always(streamOf(numberedEvents(1, 1), ssetest.WaitFor(cut), ssetest.Reset()))
		var sources []*sse.EventSource
		for range crowd.streams {
			src := srv.Client().Source(srv.URL(), sse.Options{})
			src.SelectAll().Events()
			sources = append(sources, src)
		}
		synctest.Wait()
		srv.Always(ssetest.Status(503, "starting"))
		begin := time.Now()
		close(cut)
		letPass(outage)
		srv.Always(streamOf(numberedEvents(2, 2), ssetest.Hold()))
		letPass(time.Minute)
		buckets := map[time.Duration]int{}
		for _, r := range srv.Requests()[crowd.streams:] {
			crowd.see(buckets, r.At.Sub(begin))
		}
		for i, src := range sources {
			if src.LastEventID() != "2" || src.State() != sse.Open {
				t.Errorf("stream %d: %v, id %q", i, src.State(), src.LastEventID())
			}
			src.Close()
			<-src.Done()
		}
	})
	// Few streams are no smooth crowd: four standard deviations are their due.
	slack := 4 * math.Sqrt(0.06*float64(crowd.streams)) / float64(crowd.streams) * 100
	if rows.Full() {
		slack = 0
	}
	if crowd.perStream() > 3 || crowd.share() > 6+slack {
		t.Errorf("real: %.2f requests per stream, at most %.1f%% in 100 ms", crowd.perStream(), crowd.share())
	}
	rows.Note(t, "F17", "cut at once, %v down: model of %d: %.2f requests per stream, peak per 100 ms %.1f%%; %d real: %.2f, %.1f%%",
		outage, model.streams, model.perStream(), model.share(), crowd.streams, crowd.perStream(), crowd.share())
}

func TestServerThatForgetsIsNoWedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// It ignores Last-Event-ID: all comes again.
		srv := ssetest.New(t, streamOf(numberedEvents(1, 3), ssetest.Reset()), streamOf(numberedEvents(1, 4), ssetest.Hold()))
		if got := dataOf(ssetest.Collect(t, srv.Source(sse.Options{}).All(), 7)); got != "1 2 3 1 2 3 4 " {
			t.Errorf("without resumption: %s", got)
		}
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "3"})
		// It has begun to count anew.
		srv = ssetest.New(t, streamOf(numberedEvents(900, 902), ssetest.Reset()),
			streamOf(numberedEvents(1, 2), ssetest.Reset()), streamOf(numberedEvents(3, 3), ssetest.Hold()))
		if got := dataOf(ssetest.Collect(t, srv.Source(sse.Options{}).All(), 6)); got != "900 901 902 1 2 3 " {
			t.Errorf("a new epoch: %s", got)
		}
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "902"}, ssetest.Request{LastEventID: "2"})
	})
	rows.Note(t, "F20", "2 cases: all delivered, the resume id follows the server")
}

func TestNoReconnectAfterTheServersStop(t *testing.T) {
	runs, reconnects := rows.Size(500, 10_000), 0
	consume := func(src *sse.EventSource, last func()) {
		for ev := range src.Select("message").Events() {
			if ev.Data == "2" {
				last()
			}
		}
	}
	for name, run := range map[string]func(*sse.Client, string){
		"EndOn": func(c *sse.Client, url string) {
			o := sse.Options{Retry: waitsOf(0), EndOn: func(ev sse.Event) bool { return ev.Data == "2" }}
			consume(c.Source(url, o), func() { t.Error("the last event was delivered") })
		},
		"OnEvent": func(c *sse.Client, url string) {
			var src *sse.EventSource
			src = c.Source(url, sse.Options{Retry: waitsOf(0), OnEvent: func(ev sse.Event) {
				if ev.Data == "2" {
					src.Close()
				}
			}})
			consume(src, func() { t.Error("the last event was delivered") })
		},
		"a consumer on the default schedule": func(c *sse.Client, url string) {
			src := c.Source(url, sse.Options{})
			consume(src, src.Close)
		},
		"a lone loop on the default schedule": func(c *sse.Client, url string) {
			for ev := range c.Source(url, sse.Options{}).All() {
				if ev.Data == "2" {
					break
				}
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := ssetest.New(t)
			srv.Always(ssetest.Stream(ssetest.Raw("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n")))
			for range runs {
				run(srv.Client(), srv.URL())
			}
			letPass(time.Hour)
			if n := len(srv.Requests()) - runs; n != 0 {
				t.Errorf("%s: %d reconnects in %d runs", name, n, runs)
				reconnects += n
			}
		})
	}
	rows.Note(t, "F21", "4 ways x %d: %d reconnects", runs, reconnects)
}
