package sse_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// hookOf returns the name of the case that runs, which is that of a hook.
func hookOf(t *testing.T) string { return path.Base(t.Name()) } //nolint:thelper // no helper

// hookInto makes a source call f at the named hook. A comment and an event
// reach all of them but OnClose.
func hookInto(c *sse.Client, o *sse.Options, name string, f func()) {
	switch name {
	case "Cursor.Load":
		o.Cursor = loadFunc(func(ctx context.Context) (string, error) { f(); return "", context.Cause(ctx) })
	case "Client.Prepare":
		c.Prepare = func(*http.Request, sse.CloseEvent) error { f(); return nil }
	case "Prepare":
		o.Prepare = func(*http.Request, sse.CloseEvent) error { f(); return nil }
	case "CheckResponse":
		o.CheckResponse = func(resp *http.Response) error { f(); return sse.CheckResponse(resp) }
	case "OnOpen":
		o.OnOpen = func(sse.OpenEvent) { f() }
	case "OnComment":
		o.OnComment = func(string) { f() }
	case "Transform":
		o.Transform = func(ev sse.Event) (sse.Event, error) { f(); return ev, nil }
	case "EndOn":
		o.EndOn = func(sse.Event) bool { f(); return false }
	case "OnEvent":
		o.OnEvent = func(sse.Event) { f() }
	case "OnError":
		o.Transform = func(ev sse.Event) (sse.Event, error) { return ev, errors.New("no transformation") }
		o.OnError = func(error) { f() }
	case "Retriable":
		o.Retry.Retriable = func(ev sse.CloseEvent) bool { f(); return sse.DefaultRetriable(ev) }
	case "OnClose":
		o.OnClose = func(ev sse.CloseEvent) {
			f()
			if ev.Retriable {
				ev.Connect()
			}
		}
	default:
		panic(name)
	}
}

// everyHook has the names of the hooks, Retriable and OnClose excepted, in the
// order of their calls, with the status of a Close during one.
var everyHook = map[string]int{
	"Cursor.Load": 0, "Client.Prepare": 0, "Prepare": 0, "CheckResponse": 200, "OnOpen": 200,
	"OnComment": 200, "Transform": 200, "OnError": 200, "EndOn": 200, "OnEvent": 200,
}

// loadFunc is a cursor with nothing to save to.
type loadFunc func(context.Context) (string, error)

func (f loadFunc) Load(ctx context.Context) (string, error) { return f(ctx) }
func (f loadFunc) Save(context.Context, string) error       { return nil }

func TestReconnectFinishesTheHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := numberedEvents(1, 3)
		srv := ssetest.New(t)
		srv.Always(heldOpen(ssetest.ResumeFrom(all)))
		o := sse.Options{Buffer: -1}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		events := src.SelectAll().Events()
		letPass(time.Second)
		src.Reconnect()
		letPass(time.Second)
		ssetest.WantRequests(t, srv, ssetest.Request{}) // event 1 is still being handed over
		if got := dataOf(ssetest.Take(t, events, 3)); got != "1 2 3 " {
			t.Errorf("got %q", got)
		}
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "1"})
		ssetest.WantCloses(t, log)
	})
}

func TestOnRetryIsToldOfEachFieldInTheOrderOfTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Raw("retry: 20\n:c\n", "data: a\n\n", "retry: 20\nretry: soon\n\ndata: b\nretry: 3000\n\n")),
			ssetest.Stream(ssetest.Raw("data: c\n\nretry: 7\ndata: d\n\nretry: 8\n\n"), ssetest.Hold()))
		var got []string
		var src *sse.EventSource
		src = srv.Source(sse.Options{
			Method: "GET",
			OnRetry: func(d time.Duration) {
				src.Stats() // no lock is held
				if got = append(got, d.String()); d == 7*time.Millisecond {
					src.Close()
				}
			},
			OnComment: func(text string) { got = append(got, ":"+text) },
			OnEvent:   func(ev sse.Event) { got = append(got, ev.Data) },
		})
		src.Run()
		want := []string{"20ms", ":c", "a", "20ms", "3s", "b", "c", "7ms"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// heldOpen makes a reply not end.
func heldOpen(r ssetest.Reply) ssetest.Reply {
	r.Steps = append(r.Steps, ssetest.Hold())
	return r
}

func TestReconnectFromAHook(t *testing.T) {
	// At the hook, how many requests were made, and what the last one carries.
	eachInBubble(t, map[string]ssetest.Request{
		"Cursor.Load": {URL: "1"}, "Client.Prepare": {URL: "1"}, "Prepare": {URL: "1"},
		"CheckResponse": {URL: "2"}, "OnOpen": {URL: "2"}, "OnComment": {URL: "2"},
		"Transform": {URL: "2", LastEventID: "1"}, "EndOn": {URL: "2", LastEventID: "1"},
		"OnEvent": {URL: "2", LastEventID: "1"}, "OnError": {URL: "2", LastEventID: "1"},
	}, func(t *testing.T, want ssetest.Request) {
		srv := ssetest.New(t)
		srv.Always(ssetest.Stream(ssetest.Raw(":c\n"), ssetest.Wait(time.Second), ssetest.Raw("id: 1\ndata: 1\n\n"), ssetest.Hold()))
		hook := hookOf(t)
		o := sse.Options{}
		var src *sse.EventSource
		var at time.Time
		hookInto(srv.Client(), &o, hook, func() {
			if at.IsZero() {
				at = time.Now()
				src.Reconnect()
			}
		})
		log := ssetest.Record(&o)
		src = srv.Source(o)
		x := src.SelectAll()
		x.Events()
		letPass(time.Minute)
		requests := srv.Requests()
		last := requests[len(requests)-1]
		if n := strconv.Itoa(len(requests)); at.IsZero() || n != want.URL || !last.At.Equal(at) || last.LastEventID != want.LastEventID {
			t.Errorf("%s requests, want %s; the last %v after Reconnect, with id %q, want %q", n, want.URL, last.At.Sub(at), last.LastEventID, want.LastEventID)
		}
		ssetest.WantCloses(t, log)
	})
}

func TestHooksRunInOrderAndOneAtATime(t *testing.T) {
	eachInBubble(t, map[string]bool{"in a lone loop": true, "on a goroutine": false}, func(t *testing.T, lone bool) {
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Raw(": c1 \nid: 1\ndata: a\n\n:c2\r:\n"), ssetest.Raw("id: 2\ndata: b\n\ndata: cut\n:c3\n"), ssetest.Reset()),
			ssetest.Status(503, ""),
			ssetest.Stream(ssetest.Raw("data: c\n\ndata: end\n\n:c4\n"), ssetest.Hold()))
		var got []string // without a lock: the race detector looks
		note := func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) }
		srv.Client().Prepare = func(_ *http.Request, prev sse.CloseEvent) error {
			note("client prepare after %d", prev.Status)
			return nil
		}
		o := sse.Options{
			Retry:  waitsOf(time.Minute),
			Cursor: loadFunc(func(context.Context) (string, error) { note("load"); return "", nil }),
			Prepare: func(_ *http.Request, prev sse.CloseEvent) error {
				note("prepare after %v", prev.Err != nil)
				return nil
			},
			CheckResponse: func(resp *http.Response) error { note("check %d", resp.StatusCode); return sse.CheckResponse(resp) },
			OnOpen:        func(ev sse.OpenEvent) { note("open %d after %d", ev.Status, ev.Attempt) },
			OnComment:     func(text string) { note("comment %q", text) },
			Transform: func(ev sse.Event) (sse.Event, error) {
				note("transform %s", ev.Data)
				if ev.Data == "b" {
					return sse.Event{Name: "never", Data: "seen"}, errors.New("not b")
				}
				ev.Name = "changed"
				return ev, nil
			},
			EndOn:   func(ev sse.Event) bool { note("end on %s %s", ev.Name, ev.Data); return ev.Data == "end" },
			OnEvent: func(ev sse.Event) { note("event %s %s", ev.Name, ev.Data) },
			OnClose: func(ev sse.CloseEvent) {
				note("close %d", ev.Status)
				if !ev.IsLocal {
					ev.Connect()
				}
			},
			OnError: func(err error) { note("error %v", err) },
		}
		src := srv.Source(o)
		consumed := ""
		if lone {
			for ev, err := range src.All() {
				if err != nil {
					t.Error(err)
				}
				consumed += ev.Name + " " + ev.Data + " "
			}
		} else {
			x, changed, message := src.SelectAll(), src.Select("changed"), src.Select("")
			for ev := range x.Events() {
				consumed += ev.Name + " " + ev.Data + " "
			}
			if a, b := dataOf(ssetest.Take(t, changed.Events(), 2)), dataOf(ssetest.Take(t, message.Events(), 1)); a != "a c " || b != "b " {
				t.Errorf("selections by transformed names got %q and %q", a, b)
			}
		}
		want := []string{
			"load", "client prepare after 0", "prepare after false", "check 200", "open 200 after 0",
			`comment " c1 "`, "transform a", "end on changed a", "event changed a",
			`comment "c2"`, `comment ""`, "transform b", "error not b", "end on message b", "event message b",
			`comment "c3"`, "close 200",
			"client prepare after 200", "prepare after true", "check 503", "close 503",
			"client prepare after 503", "prepare after true", "check 200", "open 200 after 1",
			"transform c", "end on changed c", "event changed c", "transform end", "end on changed end", "close 200",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("hooks (-want +got):\n%s", diff)
		}
		if want := "changed a message b changed c "; consumed != want {
			t.Errorf("consumed %q, want %q", consumed, want)
		}
	})
}

func TestHooksMayCallWhatDoesNotWait(t *testing.T) {
	cases := map[string]bool{"OnClose": true, "Retriable": true}
	for name := range everyHook {
		cases[name] = true
	}
	eachInBubble(t, cases, func(t *testing.T, _ bool) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw(":c\nid: 1\ndata: 1\n\n"), ssetest.Reset()), ssetest.Stream(ssetest.Hold()))
		o := sse.Options{Method: "GET"}
		var src *sse.EventSource
		called := false
		hookInto(srv.Client(), &o, hookOf(t), func() {
			called = true
			x := src.Select("a")
			x.Events()
			src.SelectAll().Stop()
			x.Stop()
			x.Dropped()
			_, _, _, _, _, _ = src.Stats(), src.State(), src.LastEventID(), src.Err(), src.Done(), src.String()
			if err := src.Ack(sse.Event{Data: "1"}); err != nil {
				t.Error(err)
			}
		})
		src = srv.Source(o)
		if got := dataOf(ssetest.Collect(t, src.SelectAll().All(), 1)); got != "1 " {
			t.Errorf("got %q", got)
		}
		letPass(time.Minute)
		if !called || len(srv.Requests()) != 2 {
			t.Errorf("hook called: %v, %d requests", called, len(srv.Requests()))
		}
	})
}

func TestEndOnEndsTheSourceBeforeTheEventIsSeen(t *testing.T) {
	eachInBubble(t, map[string]bool{"in a lone loop": true, "on a goroutine": false}, func(t *testing.T, lone bool) {
		srv := ssetest.New(t, streamOf([]sse.Event{{Data: "1", ID: "1"}, {Name: "stop", Data: "[DONE]", ID: "2"}, {Data: "3", ID: "3"}}))
		var seen []sse.Event
		o := sse.Options{EndOn: func(ev sse.Event) bool { return ev.Name == "stop" }, OnEvent: func(ev sse.Event) { seen = append(seen, ev) }}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		seq := src.All()
		if !lone {
			seq = src.SelectAll().All()
		}
		var got []sse.Event
		for ev, err := range seq {
			if err != nil {
				t.Error(err)
			}
			got = append(got, ev)
		}
		want := numberedEvents(1, 1)
		if diff := cmp.Diff([][]sse.Event{want, want}, [][]sse.Event{got, seen}); diff != "" {
			t.Errorf("loop and OnEvent (-want +got):\n%s", diff)
		}
		ssetest.WantCloses(t, log, sse.CloseEvent{
			Status: 200, IsLocal: true, Err: sse.ErrClosed, Events: 1, LastEventID: "1",
			Final: &sse.Event{Name: "stop", Data: "[DONE]", ID: "2"},
		})
		if src.Err() != sse.ErrClosed || src.LastEventID() != "1" || log.Closes()[0].Retriable {
			t.Errorf("Err = %v, LastEventID = %q, close %v", src.Err(), src.LastEventID(), log.Closes()[0])
		}
	})
}

// TestNoEndOfTheStreamWinsAgainst has the terminator arrive together with an
// end that would be retried at once, 10,000 times.
func TestNoEndOfTheStreamWinsAgainst(t *testing.T) {
	stopped := func(ev sse.Event) bool { return ev.Data == "2" }
	eachInBubble(t, map[string]bool{"EndOn": true, "OnEvent calling Close": false}, func(t *testing.T, endOn bool) {
		const runs = 10_000
		srv := ssetest.New(t)
		srv.Always(ssetest.Stream(ssetest.Raw("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n")))
		locals := 0
		for range runs {
			var src *sse.EventSource
			o := sse.Options{Retry: waitsOf(0), OnClose: func(ev sse.CloseEvent) {
				if ev.Connect(); ev.IsLocal && ev.LastEventID == "1" {
					locals++
				}
			}}
			if endOn {
				o.EndOn = stopped
			} else {
				o.OnEvent = func(ev sse.Event) {
					if stopped(ev) {
						src.Close()
					}
				}
			}
			src = srv.Client().Source(srv.URL(), o)
			x := src.SelectAll()
			if err := src.Run(); err != sse.ErrClosed || dataOf(ssetest.Take(t, x.Events(), 1)) != "1 " || len(x.Events()) != 0 {
				t.Fatalf("Err = %v, %d more events", err, len(x.Events()))
			}
		}
		if n := len(srv.Requests()); n != runs || locals != runs {
			t.Errorf("%d reconnects in %d runs; %d local closes with the resume id before the event", n-runs, runs, locals)
		}
	})
}

func TestCloseByAConsumerThatKeepsUpCancelsTheReconnect(t *testing.T) {
	consume := map[string]func(*sse.EventSource){
		"on a channel": func(src *sse.EventSource) {
			for ev := range src.Select("message").Events() {
				if ev.Data == "2" {
					src.Close()
				}
			}
		},
		"in a lone loop": func(src *sse.EventSource) {
			for ev := range src.All() {
				if ev.Data == "2" {
					break
				}
			}
		},
	}
	eachInBubble(t, consume, func(t *testing.T, consume func(*sse.EventSource)) {
		const runs = 1000
		srv := ssetest.New(t)
		srv.Always(streamOf(numberedEvents(1, 2)))
		for range runs {
			src := srv.Client().Source(srv.URL(), sse.Options{})
			consume(src)
			<-src.Done()
		}
		if n := len(srv.Requests()); n != runs {
			t.Errorf("%d reconnects in %d runs", n-runs, runs)
		}
	})
}

func TestOnErrorTellsOfEachTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Int32
		var got []string
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw("id: a \ndata: 1\n\n"), ssetest.Raw("data: 2\n\n"), ssetest.Hold()))
		src := srv.Source(sse.Options{
			Buffer:    1,
			Transform: func(ev sse.Event) (sse.Event, error) { return ev, errors.New("transform " + ev.Data) },
			OnError: func(err error) {
				if busy.Add(1) > 1 {
					t.Error("OnError runs twice at once")
				}
				got = append(got, err.Error())
				busy.Add(-1)
			},
		})
		src.Select("message", "other").Events()
		letPass(time.Hour)
		want := []string{
			"transform 1", `sse: event id "a " cannot be sent back as Last-Event-ID: space around it would be lost`, "transform 2",
			`sse: consumer is too slow: the selection of "message, other" has held up the stream for 5s`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("OnError (-want +got):\n%s", diff)
		}
	})
}
