package sse_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// burst is n events, with ids from first on, that come in one read.
func burst(first, n int) ssetest.Step {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, "id: %d\ndata: %d\n\n", i, i)
	}
	return ssetest.Raw(b.String())
}

// atThird is what is asked for at the third event of a burst, and what must
// come of it.
var atThird = map[string]struct {
	ask  func(*sse.EventSource, context.CancelFunc)
	want []string // data
	last string   // event id
}{
	"nothing":   {func(*sse.EventSource, context.CancelFunc) {}, []string{"1", "2", "3", "4", "5", "6"}, "6"},
	"Close":     {func(s *sse.EventSource, _ context.CancelFunc) { s.Close() }, []string{"1", "2", "3"}, "3"},
	"context":   {func(_ *sse.EventSource, cancel context.CancelFunc) { cancel() }, []string{"1", "2", "3"}, "3"},
	"Reconnect": {func(s *sse.EventSource, _ context.CancelFunc) { s.Reconnect() }, []string{"1", "2", "3", "4 again", "5 again"}, "5"},
}

// atThirdOf runs a source whose six events come in one read, through consume,
// which calls what it gets with each of them.
func atThirdOf(t *testing.T, o sse.Options, consume func(*sse.EventSource, func(sse.Event))) {
	for name, test := range atThird {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Stream(burst(1, 6)))
				if name == "Reconnect" {
					srv.Then(ssetest.Stream(ssetest.Raw("id: 4\ndata: 4 again\n\nid: 5\ndata: 5 again\n\n")))
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				o := o
				o.Retry = sse.NoRetry
				var got []string
				var src *sse.EventSource
				before := 0 // events handed over when the consumer sees its first
				see := func(ev sse.Event) {
					got = append(got, ev.Data)
					// Behind the third a queue may be in between.
					if n := before + len(got); len(got) <= 3 && (src.Stats().Events != uint64(n) || n > 0 && src.LastEventID() != strconv.Itoa(n)) {
						t.Errorf("at event %s: %d events, last event id %q, want %d of each", ev.Data, src.Stats().Events, src.LastEventID(), n)
					}
					if ev.Data == "3" {
						test.ask(src, cancel)
					}
				}
				last := test.last
				if o.OnEvent != nil { // the hook comes before the hand-over
					o.OnEvent, before = see, -1
					if name == "Close" {
						last = "2"
					}
				}
				src = srv.Client().SourceContext(ctx, srv.URL(), o)
				consume(src, see)
				<-src.Done()
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				// The end of the context may come before or after the hand-over.
				if id := src.LastEventID(); id != last && (name != "context" || o.OnEvent == nil || id != "2") {
					t.Errorf("the last event id is %q, want %q", id, last)
				}
				if name == "Reconnect" {
					ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "3"})
				}
			})
		})
	}
}

func TestLoopStopsWithinABurst(t *testing.T) {
	atThirdOf(t, sse.Options{Method: "GET"}, func(src *sse.EventSource, got func(sse.Event)) {
		for ev, err := range src.All() {
			if err != nil {
				return
			}
			got(ev)
		}
	})
}

func TestOnEventStopsWithinABurst(t *testing.T) {
	atThirdOf(t, sse.Options{Method: "GET", OnEvent: func(sse.Event) {}}, func(src *sse.EventSource, _ func(sse.Event)) {
		src.Run()
	})
}

func TestHooksSeeEveryEventOfABurst(t *testing.T) {
	hooks := map[string]func(*sse.Options, func(string)){
		"Transform": func(o *sse.Options, saw func(string)) {
			o.Transform = func(ev sse.Event) (sse.Event, error) {
				saw(ev.Data)
				return sse.Event{Name: ev.Name, Data: ev.Data + "!", ID: ev.ID}, nil
			}
		},
		"EndOn": func(o *sse.Options, saw func(string)) {
			o.EndOn = func(ev sse.Event) bool { saw(ev.Data); return ev.Data == "5" }
		},
		"OnEvent": func(o *sse.Options, saw func(string)) { o.OnEvent = func(ev sse.Event) { saw(ev.Data) } },
	}
	for name, set := range hooks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Stream(burst(1, 6)))
				o := sse.Options{Retry: sse.NoRetry}
				var saw, got []string
				set(&o, func(data string) { saw = append(saw, data) })
				for ev, err := range srv.Source(o).All() {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, ev.Data)
				}
				want := map[string][]string{
					"Transform": {"1!", "2!", "3!", "4!", "5!", "6!"},
					"EndOn":     {"1", "2", "3", "4"},
					"OnEvent":   {"1", "2", "3", "4", "5", "6"},
				}[name]
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("delivered (-want +got):\n%s", diff)
				}
				if name == "EndOn" {
					want = []string{"1", "2", "3", "4", "5"}
				}
				if len(saw) != len(want) {
					t.Errorf("the hook saw %q", saw)
				}
			})
		})
	}
}

// A selection made, or stopped, by the body of a lone loop has its say from
// the next event of the burst on.
func TestSelectionJoinsALoneLoopWithinABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(burst(1, 6)))
		src := srv.Source(sse.Options{Retry: sse.NoRetry})
		var x *sse.Selection
		var got []string
		for ev, err := range src.All() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ev.Data)
			if ev.Data == "3" {
				x = src.SelectAll()
			}
		}
		var also []string
		for ev := range x.Events() {
			also = append(also, ev.Data)
		}
		if diff := cmp.Diff([]string{"1", "2", "3", "4", "5", "6"}, got); diff != "" {
			t.Errorf("the loop (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"4", "5", "6"}, also); diff != "" {
			t.Errorf("the selection (-want +got):\n%s", diff)
		}
	})
}

// Of a burst that a queue has no room for nothing is lost and nothing waits.
func TestBurstGoesThroughAnyQueue(t *testing.T) {
	for _, buffer := range []int{-1, 1, 2, 3, 16, 1000} {
		t.Run(strconv.Itoa(buffer), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 200
				srv := ssetest.New(t, ssetest.Stream(burst(0, n)))
				src := srv.Source(sse.Options{Retry: sse.NoRetry, Buffer: buffer})
				i := 0
				for ev := range src.SelectAll().Events() {
					if ev.Data != strconv.Itoa(i) {
						t.Fatalf("event %q is number %d", ev.Data, i)
					}
					if i++; i%50 == 0 {
						time.Sleep(time.Second)
					}
				}
				if i != n {
					t.Errorf("%d events, want %d", i, n)
				}
			})
		})
	}
}

func TestOnErrorStopsWithinABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw("data: 1\n\nid: \x01\ndata: 2\n\ndata: 3\n\n")))
		var src *sse.EventSource
		src = srv.Source(sse.Options{OnError: func(error) { src.Close() }}) // the id cannot be sent
		var got []string
		for ev := range src.SelectAll().Events() {
			got = append(got, ev.Data)
		}
		if diff := cmp.Diff([]string{"1", "2"}, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// OnError may be told of an id between two events of a lone loop. If it does
// not return, the source ends all the same.
func TestOnErrorThatDoesNotReturnEndsTheSource(t *testing.T) {
	streams := map[string]string{
		"first event":  "id: \x01\ndata: 1\n\n",
		"second event": "data: 0\n\nid: \x01\ndata: 1\n\ndata: 2\n\n",
		"no event":     "data: 0\n\nid: \x01\n\n",
	}
	hooks := map[string]func(error){
		"panic":  func(error) { panic("trouble") },
		"Goexit": func(error) { runtime.Goexit() },
	}
	consumers := map[string]func(*sse.EventSource){
		"All": func(src *sse.EventSource) {
			for range src.All() {
			}
		},
		"Run": func(src *sse.EventSource) { src.Run() },
	}
	for at, stream := range streams {
		for hook, onError := range hooks {
			for by, consume := range consumers {
				t.Run(at+", "+hook+", "+by, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						src := ssetest.New(t, ssetest.Stream(ssetest.Raw(stream), ssetest.Hold())).Source(sse.Options{OnError: onError})
						var surfaced any
						done := make(chan struct{})
						go func() {
							defer close(done)
							defer func() { surfaced = recover() }()
							consume(src)
						}()
						<-done
						<-src.Done()
						if (surfaced != nil) != (hook == "panic") {
							t.Errorf("%v surfaced", surfaced)
						}
					})
				})
			}
		}
	}
}
