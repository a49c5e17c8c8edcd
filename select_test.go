package sse_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// namedEvents returns events by "name:data".
func namedEvents(specs ...string) (events []sse.Event) {
	for _, spec := range specs {
		name, data, _ := strings.Cut(spec, ":")
		events = append(events, sse.Event{Name: name, Data: data})
	}
	return events
}

func TestEachSelectionGetsEachEventOfItsNamesOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, streamOf(namedEvents("a:1", ":2", "error:3", "message:4", "a:5", "A:6", "open:7"), ssetest.Reset()))
		src := srv.Source(sse.Options{Buffer: -1}) // no queue: all have to be received at once
		tests := map[*sse.Selection]string{
			src.Select("a"):                       "1 5 ",
			src.Select("a", "a"):                  "1 5 ",
			src.Select(""):                        "2 4 ",
			src.Select("message"):                 "2 4 ",
			src.Select("A", "", "nothing"):        "2 4 6 ",
			src.Select("open", "error", "close"):  "3 7 ",
			src.Select("nothing"):                 "",
			src.SelectAll():                       "1 2 3 4 5 6 7 ",
			src.Select("a", "message", "missing"): "1 2 4 5 ",
		}
		var wg sync.WaitGroup
		for x, want := range tests {
			wg.Go(func() {
				var got []sse.Event
				for ev, err := range x.All() {
					if err == nil {
						got = append(got, ev)
					} else if !containsText(err, "cut") {
						t.Errorf("the loop got %v", err)
					}
				}
				if dataOf(got) != want || x.Dropped() != 0 {
					t.Errorf("selection %v got %q, want %q; %d dropped", x, dataOf(got), want, x.Dropped())
				}
			})
		}
		wg.Wait()
	})
}

func TestEventsIsTheSameChannelAndClosedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, streamOf(numberedEvents(1, 3), ssetest.Wait(time.Second)))
		src := srv.Source(sse.Options{Retry: sse.NoRetry})
		x, unused, none := src.SelectAll(), src.SelectAll(), src.Select("none")
		ch := x.Events()
		letPass(time.Minute)
		late := src.SelectAll()
		if x.Events() != ch || cap(ch) != 16 || len(ch) != 3 {
			t.Errorf("channel of %d events with room for %d, want 3 of 16, the same each time", len(ch), cap(ch))
		}
		for x, want := range map[*sse.Selection]string{x: "1 2 3 ", unused: "1 2 3 ", none: "", late: ""} {
			var got []sse.Event
			for ev := range x.Events() {
				got = append(got, ev)
			}
			if dataOf(got) != want {
				t.Errorf("after the end the queue has %q, want %q", dataOf(got), want)
			}
			x.Stop()
		}
	})
}

func TestLateSelectionSeesWhatComesThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw("data: 1\n\n"), ssetest.Wait(time.Hour), ssetest.Raw("data: 2\n\n"), ssetest.Hold()))
		var src *sse.EventSource
		var inHook *sse.Selection
		src = srv.Source(sse.Options{OnEvent: func(ev sse.Event) {
			if ev.Data == "2" {
				inHook = src.SelectAll()
			}
		}})
		first := src.SelectAll()
		first.Events()
		letPass(time.Second)
		late := src.Select("message")
		letPass(time.Hour)
		for x, want := range map[*sse.Selection]string{first: "1 2 ", late: "2 ", inHook: "2 "} {
			if got := dataOf(ssetest.Take(t, x.Events(), len(want)/2)); got != want || len(x.Events()) != 0 {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

func TestStopAtEveryMoment(t *testing.T) {
	// The first selection is stopped; a second one must get all five events.
	type test struct {
		o      sse.Options
		stop   func(*testing.T, *sse.EventSource, *sse.Selection)
		queued string // what can still be received
	}
	wait := func(f func(*sse.Selection)) func(*testing.T, *sse.EventSource, *sse.Selection) {
		return func(_ *testing.T, _ *sse.EventSource, x *sse.Selection) {
			x.Events()
			letPass(time.Second)
			f(x)
		}
	}
	inHook := make(chan *sse.Selection, 1)
	eachInBubble(t, map[string]test{
		"before the start": {stop: func(t *testing.T, src *sse.EventSource, x *sse.Selection) {
			x.Stop()
			_, ok := <-x.Events()
			if synctest.Wait(); ok || src.State() != sse.Idle {
				t.Errorf("channel open: %v; state %v, want no start", ok, src.State())
			}
		}},
		"before and twice":          {stop: func(_ *testing.T, _ *sse.EventSource, x *sse.Selection) { x.Stop(); x.Stop() }},
		"in a blocked send":         {o: sse.Options{Buffer: 2}, stop: wait((*sse.Selection).Stop), queued: "1 2 "},
		"in a send without queue":   {o: sse.Options{Buffer: -1}, stop: wait((*sse.Selection).Stop)},
		"twice, in a blocked send":  {o: sse.Options{Buffer: 1}, stop: wait(func(x *sse.Selection) { x.Stop(); x.Stop() }), queued: "1 "},
		"by many, in a blocked one": {o: sse.Options{Buffer: 1}, stop: wait(func(x *sse.Selection) { stopByMany(x) }), queued: "1 "},
		"while it is read":          {stop: wait((*sse.Selection).Stop), queued: "1 2 3 4 5 "},
		"by the hook OnEvent": {o: sse.Options{OnEvent: func(ev sse.Event) {
			if ev.Data == "3" {
				x := <-inHook
				x.Stop()
			}
		}}, stop: func(_ *testing.T, _ *sse.EventSource, x *sse.Selection) { inHook <- x }, queued: "1 2 "},
		"by the hook OnError": {o: sse.Options{Buffer: 2, OnError: func(error) { x := <-inHook; x.Stop() }}, stop: func(_ *testing.T, _ *sse.EventSource, x *sse.Selection) {
			inHook <- x
			x.Events()
			letPass(time.Minute)
		}, queued: "1 2 "},
	}, func(t *testing.T, test test) {
		srv := ssetest.New(t, streamOf(numberedEvents(1, 5), ssetest.Hold()))
		src := srv.Source(test.o)
		x, other := src.SelectAll(), src.SelectAll()
		got := make(chan string)
		if strings.Contains(t.Name(), "before") {
			test.stop(t, src, x)
		}
		go func() { got <- dataOf(ssetest.Take(t, other.Events(), 5)) }()
		if !strings.Contains(t.Name(), "before") {
			test.stop(t, src, x)
		}
		if got := <-got; got != "1 2 3 4 5 " {
			t.Errorf("the other selection got %q", got)
		}
		synctest.Wait()
		var rest []sse.Event
		for ev := range x.Events() { // closed, or this blocks for ever
			rest = append(rest, ev)
		}
		if dataOf(rest) != test.queued || src.State() != sse.Open {
			t.Errorf("stopped selection has %q, want %q; state %v", dataOf(rest), test.queued, src.State())
		}
		x.Stop()
	})
}

func stopByMany(x *sse.Selection) {
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(x.Stop)
	}
	wg.Wait()
}

func TestStopRacesWithHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t)
		all := numberedEvents(1, 50)
		srv.Always(streamOf(all, ssetest.Hold()))
		for i := range 100 {
			src := srv.Client().Source(srv.URL(), sse.Options{Buffer: i%3 - 1})
			x, y := src.SelectAll(), src.SelectAll()
			var wg sync.WaitGroup
			wg.Go(func() {
				got := ssetest.Collect(t, y.All(), len(all))
				if diff := cmp.Diff(all, got); diff != "" {
					t.Errorf("the selection that stays (-want +got):\n%s", diff)
				}
			})
			wg.Go(func() {
				n := 0
				for ev := range x.Events() {
					if n++; ev != all[n-1] {
						t.Errorf("event %d: %v", n, ev)
					}
					if n == i%50 {
						go x.Stop()
					}
				}
			})
			if i%50 == 0 {
				x.Stop()
			}
			wg.Wait()
			src.Close()
			<-src.Done()
		}
	})
}

func TestBlockHoldsUpTheServerAndTellsWhichSelection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan struct{})
		const size, count = 256 << 10, 20
		var steps []ssetest.Step
		for _, ev := range numberedEvents(1, count) {
			ev.Name, ev.Data = "price", strings.Repeat("x", size)
			steps = append(steps, ssetest.Emit(ev))
		}
		srv := ssetest.New(t, ssetest.Stream(append(steps, ssetest.WaitFor(sent), ssetest.Hold())...))
		var told noteLog
		src := srv.Source(sse.Options{Buffer: 2, OnError: func(err error) { told.add("%v, is ErrSlowConsumer: %v", err, errors.Is(err, sse.ErrSlowConsumer)) }})
		prices := src.Select("price").Events()
		serverIsDone := func() bool {
			synctest.Wait()
			select {
			case sent <- struct{}{}:
				return true
			default:
				return false
			}
		}
		letPass(5*time.Second - 1)
		if stats := src.Stats(); len(told.all()) != 0 || stats.Events != 2 || stats.Bytes > 4*size+(128<<10) || serverIsDone() {
			t.Errorf("before 5 s: errors %q, %+v", told.all(), stats)
		}
		letPass(1)
		want := []string{`sse: consumer is too slow: the selection of "price" has held up the stream for 5s, is ErrSlowConsumer: true`}
		if diff := cmp.Diff(want, told.all()); diff != "" {
			t.Errorf("after 5 s, OnError (-want +got):\n%s", diff)
		}
		letPass(time.Hour)
		if len(told.all()) != 1 || serverIsDone() || src.State() != sse.Open {
			t.Errorf("an hour later: OnError got %q, state %v, or the server could send", told.all(), src.State())
		}
		var ids []sse.Event
		for _, ev := range ssetest.Take(t, prices, count) {
			ids = append(ids, sse.Event{Name: "message", Data: ev.ID, ID: ev.ID})
		}
		if diff := cmp.Diff(numberedEvents(1, count), ids); diff != "" || !serverIsDone() || src.Stats().Dropped != 0 {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestDroppingModesCountAndTell(t *testing.T) {
	type test struct {
		o          sse.Options
		queue      string
		drops      uint64
		later      string // two more, once the queue was read
		laterDrops uint64
	}
	eachInBubble(t, map[string]test{
		"DropOldest":               {sse.Options{Overflow: sse.DropOldest, Buffer: 1}, "9 ", 8, "11 ", 1},
		"DropOldest, three":        {sse.Options{Overflow: sse.DropOldest, Buffer: 3}, "7 8 9 ", 6, "10 11 ", 0},
		"DropNewest":               {sse.Options{Overflow: sse.DropNewest, Buffer: 1}, "1 ", 8, "10 ", 1},
		"DropNewest, three":        {sse.Options{Overflow: sse.DropNewest, Buffer: 3}, "1 2 3 ", 6, "10 11 ", 0},
		"DropOldest without queue": {sse.Options{Overflow: sse.DropOldest, Buffer: -1}, "", 9, "", 2},
		"DropNewest without queue": {sse.Options{Overflow: sse.DropNewest, Buffer: -1}, "", 9, "", 2},
		"DropOldest with room":     {sse.Options{Overflow: sse.DropOldest}, "1 2 3 4 5 6 7 8 9 ", 0, "10 11 ", 0},
	}, func(t *testing.T, test test) {
		more := make(chan struct{})
		srv := ssetest.New(t, streamOf(numberedEvents(1, 9), ssetest.WaitFor(more),
			ssetest.Emit(sse.Event{Data: "10"}), ssetest.Emit(sse.Event{Data: "11"}), ssetest.Hold()))
		var notes noteLog
		test.o.OnError = func(err error) { notes.add("%v", err) }
		src := srv.Source(test.o)
		x, keepsUp := src.SelectAll(), src.Select("message")
		if keepsUp.Events(); test.o.Buffer < 0 {
			keepsUp.Stop()
		}
		go func() {
			for range keepsUp.Events() {
				continue
			}
		}()
		queue := func() (s string) {
			synctest.Wait()
			for range len(x.Events()) {
				s += dataOf(ssetest.Take(t, x.Events(), 1))
			}
			return s
		}
		x.Events()
		letPass(time.Second)
		if got := queue(); got != test.queue || x.Dropped() != test.drops {
			t.Errorf("queue %q, %d dropped, want %q, %d", got, x.Dropped(), test.queue, test.drops)
		}
		close(more)
		letPass(time.Second)
		if got := queue(); got != test.later || x.Dropped() != test.drops+test.laterDrops {
			t.Errorf("later: queue %q, %d dropped, want %q, %d", got, x.Dropped(), test.later, test.drops+test.laterDrops)
		}
		if stats := src.Stats(); stats.Dropped != x.Dropped()+keepsUp.Dropped() || stats.Events != 11 {
			t.Errorf("%+v, dropped by the two %d and %d", stats, x.Dropped(), keepsUp.Dropped())
		}
		told := slices.DeleteFunc(notes.all(), func(s string) bool {
			return !strings.Contains(s, "of all events has begun to drop events (Options.Overflow "+test.o.Overflow.String())
		})
		rows := 0 // one for each run of drops
		for _, n := range []uint64{test.drops, test.laterDrops} {
			rows += int(min(n, 1))
		}
		if test.o.Buffer < 0 {
			rows = 1 // nothing fitted in between
		}
		if len(told) != rows {
			t.Errorf("OnError was told %q, want %d times", told, rows)
		}
	})
}

func TestDisconnectIsAllOrNothingAndAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := numberedEvents(1, 8)
		srv := ssetest.New(t)
		srv.Always(heldOpen(ssetest.ResumeFrom(all)))
		var seen, got noteLog
		o := sse.Options{
			Overflow: sse.Disconnect, Buffer: 3, Retry: waitsOf(time.Minute),
			OnEvent: func(ev sse.Event) { seen.add("%s", ev.Data) },
		}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		fast, slow := src.SelectAll(), src.Select("message")
		go func() {
			for ev := range fast.Events() {
				got.add("%s", ev.Data)
			}
		}()
		letPass(90 * time.Second) // the event 4 does not fit, nor a minute later
		full := sse.CloseEvent{Status: 200, Err: sse.ErrSlowConsumer, Retriable: true, LastEventID: "3"}
		ssetest.WantCloses(t, log, full, full)
		// The connection was closed, though the server would have held it.
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{Gap: time.Minute, LastEventID: "3"})
		if closes := log.Closes(); closes[0].Events != 3 || closes[1].Events != 0 || got.String() != "1 2 3" || src.LastEventID() != "3" {
			t.Errorf("closes %v; the selection that keeps up got %q; resume id %q", closes, got.String(), src.LastEventID())
		}
		took := ssetest.Take(t, slow.Events(), 3)
		letPass(time.Hour)
		took = append(took, ssetest.Take(t, slow.Events(), 3)...)
		letPass(time.Hour)
		took = append(took, ssetest.Take(t, slow.Events(), 2)...)
		if want := "1 2 3 4 5 6 7 8"; got.String() != want || dataOf(took) != want+" " {
			t.Errorf("the two selections got %q and %q, want %q", got.String(), dataOf(took), want)
		}
		if want := "1 2 3 4 4 4 5 6 7 "; !strings.HasPrefix(seen.String(), want) {
			t.Errorf("OnEvent saw %q, want %q", seen.String(), want)
		}
	})
}

func TestOverflowPrintsItsName(t *testing.T) {
	got := ""
	for o := sse.Block; o <= sse.Disconnect+1; o++ {
		got += o.String() + " "
	}
	if want := "Block DropOldest DropNewest Disconnect Overflow(4) "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDisconnectMindsOnlyWhoWantsTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, streamOf(namedEvents("a:1", "b:2", "c:3"), ssetest.Hold()))
		src := srv.Source(sse.Options{Overflow: sse.Disconnect, Buffer: 1})
		a, b := src.Select("a"), src.Select("b")
		a.Events()
		letPass(time.Minute)
		if src.Stats().Events != 3 || len(a.Events()) != 1 || len(b.Events()) != 1 || src.State() != sse.Open {
			t.Errorf("%+v, queues of %d and %d, state %v", src.Stats(), len(a.Events()), len(b.Events()), src.State())
		}
	})
}

func TestJSONDecodesAndGoesOn(t *testing.T) {
	type quote struct{ Bid, Ask int }
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, streamOf(namedEvents(`q:{"Bid":1,"Ask":2}`, `q:{"Bid":3,"Ask":"x"}`, `q:no`, `q:{"Bid":4}`, `q:{"Bid":5}`), ssetest.Hold()))
		src := srv.Source(sse.Options{})
		x := src.Select("q")
		var got []sse.Message[quote]
		for m, err := range sse.JSON[quote](x.All()) {
			var decode *sse.DecodeError
			if errors.As(err, &decode) && (decode.Event != m.Event || m.Value != quote{} || decode.Unwrap() == nil) {
				t.Errorf("%+v with %v", m, err)
			}
			if (err != nil) != (decode != nil) {
				t.Fatal(err)
			}
			if got = append(got, m); m.Value.Bid == 4 {
				break
			}
		}
		want := []sse.Message[quote]{}
		for i, v := range []quote{{1, 2}, {}, {}, {Bid: 4}} {
			want = append(want, sse.Message[quote]{Event: namedEvents(`q:{"Bid":1,"Ask":2}`, `q:{"Bid":3,"Ask":"x"}`, `q:no`, `q:{"Bid":4}`)[i], Value: v})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		var syntax *json.SyntaxError
		if err := got[2].JSON(new(quote)); !errors.As(err, &syntax) {
			t.Errorf("Event.JSON = %v", err)
		}
		synctest.Wait()
		if src.State() != sse.Open || !closedFor(x) {
			t.Errorf("leaving a loop over the selection: state %v, selection stopped: %v", src.State(), closedFor(x))
		}
		src = ssetest.New(t, streamOf(namedEvents(`q:{}`, `q:{}`), ssetest.Hold())).Source(sse.Options{})
		for range sse.JSON[quote](src.All()) {
			break
		}
		if !chanClosed(src.Done()) {
			t.Error("leaving a loop over the source has not closed it")
		}
		for _, err := range sse.JSON[quote](failing) {
			if err != errCause {
				t.Errorf("error of the sequence came out as %v", err)
			}
		}
	})
}

// closedFor reports whether the selection is stopped, once its queue is read.
func closedFor(x *sse.Selection) bool {
	for {
		select {
		case _, ok := <-x.Events():
			if !ok {
				return true
			}
		default:
			return false
		}
	}
}

func failing(yield func(sse.Event, error) bool) { yield(sse.Event{}, errCause) }

func TestStopWhileTheHandOverWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Emit(sse.Event{Data: "x"}), ssetest.Hold()))
		src := srv.Source(sse.Options{Buffer: -1})
		first, second := src.SelectAll(), src.SelectAll()
		events, stopped := first.Events(), second.Events()
		synctest.Wait() // the hand-over waits for first, and second comes after it
		second.Stop()
		synctest.Wait()
		if ev := <-events; ev.Data != "x" {
			t.Errorf("the selection that was not stopped got %v", ev)
		}
		synctest.Wait()
		if ev, ok := <-stopped; ok {
			t.Errorf("the stopped selection got %v", ev)
		}
		src.Close()
		<-src.Done()
	})
}
