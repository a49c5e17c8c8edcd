package sse_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

type seqOf = iter.Seq2[sse.Event, error]

// drainLoop returns what a loop gets, and its error.
func drainLoop(seq seqOf) (data string, err error) {
	for ev, e := range seq {
		if e != nil {
			err = e
			continue
		}
		data += ev.Data + " "
	}
	return data, err
}

// bothLoops are the two kinds of loops, by name.
var bothLoops = map[string]func(*sse.EventSource) seqOf{
	"source":    (*sse.EventSource).All,
	"selection": func(s *sse.EventSource) seqOf { return s.SelectAll().All() },
}

func TestLoopsYieldOnlyFailures(t *testing.T) {
	end := func(sse.Event) bool { return false }
	cut := ssetest.Stream(ssetest.Raw("data: 1\n\n"), ssetest.Reset())
	type test struct {
		o     sse.Options
		reply ssetest.Reply
		close func(*sse.EventSource, context.CancelCauseFunc)
		want  error // by errors.Is; nil: the loop ends silently
		text  string
	}
	cancelWith := func(err error) func(*sse.EventSource, context.CancelCauseFunc) {
		return func(_ *sse.EventSource, cancel context.CancelCauseFunc) { cancel(err) }
	}
	held := ssetest.Stream(ssetest.Raw("data: 1\n\n"), ssetest.Hold())
	for kind, loop := range bothLoops {
		t.Run(kind, func(t *testing.T) {
			eachInBubble(t, map[string]test{
				"clean end, not resumable":      {reply: ssetest.Stream(ssetest.Raw("data: 1\n\n"))},
				"clean end, not retried":        {reply: ssetest.Stream(ssetest.Raw("data: 1\n\n")), o: sse.Options{Retry: sse.NoRetry}},
				"204":                           {reply: ssetest.Status(204, "")},
				"204, EndOn set":                {reply: ssetest.Status(204, ""), o: sse.Options{EndOn: end}},
				"EndOn":                         {reply: held, o: sse.Options{EndOn: func(ev sse.Event) bool { return ev.Data == "1" }}},
				"Close":                         {reply: held, close: func(s *sse.EventSource, _ context.CancelCauseFunc) { s.Close() }},
				"Close, EndOn set":              {reply: held, o: sse.Options{EndOn: end}, close: func(s *sse.EventSource, _ context.CancelCauseFunc) { s.Close() }},
				"clean end before EndOn":        {reply: ssetest.Stream(ssetest.Raw("data: 1\n\n")), o: sse.Options{EndOn: end}, want: io.ErrUnexpectedEOF, text: "ended before EndOn"},
				"cut":                           {reply: cut, want: io.ErrUnexpectedEOF, text: "not repeated"},
				"refused":                       {reply: ssetest.Status(401, ""), want: sse.ErrStatus},
				"no stream":                     {reply: ssetest.Status(200, "<html>"), want: sse.ErrContentType},
				"too long":                      {reply: held, o: sse.Options{MaxEventSize: 1}, want: sse.ErrTooLong},
				"the context's cause":           {reply: held, close: cancelWith(errCause), want: errCause},
				"the context cancelled":         {reply: held, close: cancelWith(nil), want: context.Canceled},
				"a cause of io.EOF":             {reply: held, close: cancelWith(io.EOF), want: io.EOF},
				"a cause of io.EOF, EndOn set":  {reply: held, o: sse.Options{EndOn: end}, close: cancelWith(io.EOF), want: io.EOF},
				"OnClose that lets an end pass": {reply: ssetest.Stream(), o: sse.Options{OnClose: func(sse.CloseEvent) {}}},
			}, func(t *testing.T, test test) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				srv := ssetest.New(t, test.reply)
				src := srv.Client().SourceContext(ctx, srv.URL(), test.o)
				if test.close != nil {
					go func() {
						letPass(time.Second)
						test.close(src, cancel)
					}()
				}
				got, err := drainLoop(loop(src))
				if (err == nil) != (test.want == nil) || !errors.Is(err, test.want) || test.text != "" && !containsText(err, test.text) {
					t.Errorf("the loop got %q, then %v, want %v %q", got, err, test.want, test.text)
				}
				if src.Err() == nil || err != nil && test.text != "ended before EndOn" && err != src.Err() {
					t.Errorf("the loop got %v, Err = %v", err, src.Err())
				}
			})
		})
	}
}

func TestLeavingALoopReleasesWhatItRangesOver(t *testing.T) {
	leave := map[string]func(*testing.T, seqOf){
		"break": func(_ *testing.T, seq seqOf) {
			for range seq {
				break
			}
		},
		"panic": func(t *testing.T, seq seqOf) {
			defer func() {
				if r := recover(); r != "from the body" {
					t.Errorf("recovered %v", r)
				}
			}()
			for range seq {
				panic("from the body")
			}
		},
		"Goexit": func(_ *testing.T, seq seqOf) {
			var wg sync.WaitGroup
			wg.Go(func() {
				for range seq {
					runtime.Goexit()
				}
			})
			wg.Wait()
		},
		"break after the loop was slow": func(_ *testing.T, seq seqOf) {
			for range seq {
				time.Sleep(time.Second)
				break
			}
		},
		"panic after the loop was slow": func(_ *testing.T, seq seqOf) {
			defer func() { _ = recover() }()
			for range seq {
				time.Sleep(time.Second)
				panic("late")
			}
		},
		"break in the second turn": func(_ *testing.T, seq seqOf) {
			for ev := range seq {
				if ev.ID == "2" {
					break
				}
			}
		},
	}
	for kind, loop := range bothLoops {
		t.Run(kind, func(t *testing.T) {
			eachInBubble(t, leave, func(t *testing.T, leave func(*testing.T, seqOf)) {
				srv := ssetest.New(t, streamOf(numberedEvents(1, 9), ssetest.Hold()))
				returned := false
				o := sse.Options{OnClose: func(sse.CloseEvent) {
					time.Sleep(time.Hour)
					returned = true
				}}
				log := ssetest.Record(&o)
				src := srv.Source(o)
				leave(t, loop(src))
				if kind == "selection" {
					if synctest.Wait(); src.State() != sse.Open || len(log.Closes()) != 0 {
						t.Errorf("state %v, closes %v: the source must go on", src.State(), log.Closes())
					}
					return
				}
				if !chanClosed(src.Done()) || !returned || src.Err() != sse.ErrClosed || src.State() != sse.Closed {
					t.Errorf("Done: %v, OnClose has returned: %v, Err = %v, state %v", chanClosed(src.Done()), returned, src.Err(), src.State())
				}
				ssetest.WantCloses(t, log, sse.CloseEvent{IsLocal: true, Status: 200, Err: sse.ErrClosed})
			})
		})
	}
}

func TestTroubleInAHookSurfacesInALoneLoop(t *testing.T) {
	hooks := map[string]int{"OnClose": 0, "Retriable": 0}
	for name := range everyHook {
		hooks[name] = 0
	}
	for how, fail := range map[string]func(){"panic": func() { panic("from a hook") }, "Goexit": runtime.Goexit} {
		t.Run(how, func(t *testing.T) {
			eachInBubble(t, hooks, func(t *testing.T, _ int) {
				srv := ssetest.New(t)
				srv.Always(ssetest.Stream(ssetest.Raw(":c\nid: 1\ndata: 1\n\n"), ssetest.Reset()))
				o := sse.Options{}
				hookInto(srv.Client(), &o, hookOf(t), fail)
				src := srv.Client().Source(srv.URL(), o)
				reached := false
				var recovered any
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { recovered = recover() }()
					for range src.All() {
						continue
					}
					reached = true
				})
				wg.Wait()
				if (recovered != nil) != (how == "panic") || recovered != nil && recovered != "from a hook" || reached {
					t.Errorf("recovered %v; the loop ended as if nothing had happened: %v", recovered, reached)
				}
				// What it left behind would keep the bubble from ending.
				if !chanClosed(src.Done()) || src.State() != sse.Closed || src.Err() == nil {
					t.Errorf("Done: %v, state %v, Err = %v", chanClosed(src.Done()), src.State(), src.Err())
				}
				stats := src.Stats()
				src.Close()
				src.Reconnect()
				if letPass(time.Hour); src.Stats() != stats || len(srv.Requests()) > 1 {
					t.Errorf("%+v an hour later, was %+v; %d requests", src.Stats(), stats, len(srv.Requests()))
				}
			})
		})
	}
}

func TestGoexitInAHookEndsTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, streamOf(numberedEvents(1, 2), ssetest.Hold()))
		src := srv.Source(sse.Options{OnEvent: func(ev sse.Event) {
			if ev.ID == "2" {
				runtime.Goexit()
			}
		}})
		got, err := drainLoop(src.SelectAll().All())
		if got != "1 " || err == nil || src.Err() != err || src.State() != sse.Closed {
			t.Errorf("the loop got %q, then %v; Err = %v, state %v", got, err, src.Err(), src.State())
		}
		// In the middle of a hand-over, which has stopped the selection.
		srv.Then(streamOf(numberedEvents(1, 3), ssetest.Hold()))
		var x *sse.Selection
		src = srv.Source(sse.Options{Buffer: 1, Overflow: sse.DropNewest, OnError: func(error) {
			x.Stop()
			runtime.Goexit()
		}})
		x = src.SelectAll()
		for ev := range x.Events() { // closed, or this blocks for ever
			if letPass(time.Second); ev.ID > "2" {
				t.Errorf("got %v", ev)
			}
		}
		<-src.Done()
	})
}

func TestSecondLoopIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t)
		srv.Always(streamOf(numberedEvents(1, 3), ssetest.Hold()))
		twice := func(src *sse.EventSource, seq, again seqOf) {
			t.Helper()
			if got := dataOf(ssetest.Collect(t, seq, 1)); got != "1 " {
				t.Errorf("first loop got %q", got)
			}
			for _, seq := range []seqOf{seq, again} {
				got, err := drainLoop(seq)
				for ev, e := range sse.JSON[int](seq) {
					if e == nil {
						t.Errorf("JSON over it got %v", ev)
					}
				}
				if got = strings.TrimSpace(got); err == nil || errors.Is(err, sse.ErrClosed) || !containsText(err, "loop") {
					t.Errorf("second loop got %q, then %v", got, err)
				}
			}
			src.Close()
		}
		src := srv.Source(sse.Options{})
		twice(src, src.All(), src.All())
		src = srv.Source(sse.Options{})
		x := src.SelectAll()
		twice(src, x.All(), x.All())
		for _, loop := range bothLoops { // one inside the other
			seq := loop(srv.Source(sse.Options{}))
			for range seq {
				if got, err := drainLoop(seq); got != "" || err == nil {
					t.Errorf("the inner loop got %q, %v", got, err)
				}
				break
			}
		}
		src = srv.Source(sse.Options{})
		seq := src.All()
		src.Close()
		<-src.Done()
		if got, err := drainLoop(seq); got != "" || err != nil {
			t.Errorf("a loop over a source that was closed got %q, %v, want silence", got, err)
		}
	})
}

func TestCloseFromElsewhereYieldsWhatIsQueued(t *testing.T) {
	for kind, loop := range bothLoops {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, streamOf(numberedEvents(1, 9), ssetest.Hold()))
				src := srv.Source(sse.Options{Buffer: 3})
				seq := loop(src)
				var got []sse.Event
				for ev, err := range seq {
					if err != nil {
						t.Error(err)
					}
					if got = append(got, ev); len(got) == 1 {
						time.Sleep(time.Second)
						src.Close()
						time.Sleep(time.Second)
						if !chanClosed(src.Done()) {
							t.Error("the source waits for the body")
						}
					}
				}
				// The first is in the body, three are queued.
				if diff := cmp.Diff(numberedEvents(1, 4), got); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestLoneLoopRunsTheSourceOnItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inHooks noteLog
		srv := ssetest.New(t, streamOf(numberedEvents(1, 200), ssetest.Reset()), streamOf(numberedEvents(201, 202), ssetest.Hold()))
		o := sse.Options{}
		for name := range everyHook {
			if name != "OnError" {
				hookInto(srv.Client(), &o, name, func() { inHooks.add("%s", thisGoroutine()) })
			}
		}
		src := srv.Source(o)
		mine, turns := thisGoroutine(), 0
		for ev, err := range src.All() {
			if turns++; err != nil || ev.ID == "202" {
				break
			}
			if thisGoroutine() != mine {
				t.Fatal("the body changed goroutines")
			}
		}
		for i, id := range inHooks.all() {
			if id != mine {
				t.Fatalf("hook call %d ran on %s, the loop on %s", i, id, mine)
			}
		}
		if n := len(inHooks.all()); turns != 202 || n < 600 {
			t.Errorf("%d turns, %d calls of hooks", turns, n)
		}
	})
}

// TestLoneLoopHandsOver has something to do turn up while the body runs.
func TestLoneLoopHandsOver(t *testing.T) {
	all := numberedEvents(1, 12)
	type test struct {
		do    func(*sse.EventSource, context.CancelFunc)
		check func(*testing.T, *sse.EventSource, *ssetest.Server)
		ends  bool
	}
	var other *sse.Selection
	events := func(t *testing.T, src *sse.EventSource, _ *ssetest.Server) {
		t.Helper()
		if n := src.Stats().Events; n < 10 {
			t.Errorf("%d events handed over while the body runs", n)
		}
	}
	done := func(t *testing.T, src *sse.EventSource, _ *ssetest.Server) {
		t.Helper()
		if !chanClosed(src.Done()) || src.Stats().Closes != 1 {
			t.Error("the source has not ended while the body runs")
		}
	}
	tests := map[string]test{
		"a slow body": {func(*sse.EventSource, context.CancelFunc) { time.Sleep(20 * time.Millisecond) }, events, false},
		"Close":       {func(s *sse.EventSource, _ context.CancelFunc) { s.Close() }, done, true},
		"the context": {func(_ *sse.EventSource, cancel context.CancelFunc) { cancel() }, done, true},
		"Reconnect": {func(s *sse.EventSource, _ context.CancelFunc) { s.Reconnect() }, func(t *testing.T, _ *sse.EventSource, srv *ssetest.Server) {
			ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "2"})
		}, false},
		"another consumer": {func(s *sse.EventSource, _ context.CancelFunc) {
			other = s.Select("message")
			other.Events()
		}, func(t *testing.T, _ *sse.EventSource, _ *ssetest.Server) {
			got := dataOf(ssetest.Take(t, other.Events(), 10))
			if got != dataOf(all[2:]) && got != dataOf(all[1:11]) { // made by a hook, it gets event 2 as well
				t.Errorf("the other consumer got %q", got)
			}
		}, false},
		"Run":  {func(s *sse.EventSource, _ context.CancelFunc) { go s.Run() }, events, false},
		"Open": {func(s *sse.EventSource, _ context.CancelFunc) { s.Open(context.WithoutCancel(t.Context())) }, events, false}, //nolint:errcheck // the events tell
	}
	run := func(t *testing.T, test test, inHook bool) {
		t.Helper()
		srv := ssetest.New(t)
		srv.Always(heldOpen(ssetest.ResumeFrom(all)))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var src *sse.EventSource
		src = srv.Client().SourceContext(ctx, srv.URL(), sse.Options{Transform: func(ev sse.Event) (sse.Event, error) {
			if inHook && ev.ID == "2" {
				test.do(src, cancel)
			}
			return ev, nil
		}})
		var got []sse.Event
		for ev, err := range src.All() {
			if err != nil {
				if !test.ends {
					t.Error(err)
				}
				continue
			}
			if got = append(got, ev); ev.ID == "2" {
				start := time.Now()
				if !inHook {
					test.do(src, cancel)
				}
				synctest.Wait()
				if test.check(t, src, srv); time.Since(start) > 20*time.Millisecond {
					t.Errorf("it took %v", time.Since(start))
				}
			}
			if ev.ID == "12" {
				break
			}
		}
		if want := all[:len(got)]; !cmp.Equal(want, got) || len(got) < 12 && !test.ends {
			t.Errorf("events (-want +got):\n%s", cmp.Diff(all, got))
		}
	}
	eachInBubble(t, tests, func(t *testing.T, test test) { run(t, test, false) })
	delete(tests, "Open") // waits
	delete(tests, "a slow body")
	t.Run("by a hook", func(t *testing.T) {
		eachInBubble(t, tests, func(t *testing.T, test test) { run(t, test, true) })
	})
}

func TestSelectionMadeWhileALoneLoopWaitsMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Emit(numberedEvents(1, 1)[0]), ssetest.Wait(time.Hour),
			ssetest.Emit(numberedEvents(2, 2)[0]), ssetest.Emit(numberedEvents(3, 3)[0]), ssetest.Hold()))
		src := srv.Source(sse.Options{})
		other := make(chan string, 1)
		go func() {
			time.Sleep(time.Minute)
			other <- dataOf(ssetest.Take(t, src.SelectAll().Events(), 2))
		}()
		if got := dataOf(ssetest.Collect(t, src.All(), 3)) + <-other; got != "1 2 3 2 3 " {
			t.Errorf("the loop got %q", got)
		}
	})
}
