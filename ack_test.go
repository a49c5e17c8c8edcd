package sse_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/cursor"
	"github.com/wellspring-go/sse/ssetest"
)

// scriptedCursor notes what it is asked for, and fails as told.
type scriptedCursor struct {
	noteLog
	ids   []string // of each Load, the last one again and again
	fails int      // so many Loads fail first
	save  error
}

func (c *scriptedCursor) Load(context.Context) (string, error) {
	if c.add("load"); c.fails > 0 {
		c.fails--
		return "ignored", errCause
	}
	id := c.ids[0]
	c.ids = c.ids[min(1, len(c.ids)-1):]
	return id, nil
}

func (c *scriptedCursor) Save(ctx context.Context, id string) error {
	c.add("save %q", id)
	return errors.Join(c.save, ctx.Err())
}

func TestCursorIsLoadedBeforeTheFirstRequestOnly(t *testing.T) {
	type test struct {
		cursor   scriptedCursor
		id       string // Options.LastEventID
		want     string
		failures int
		told     string
	}
	eachInBubble(t, map[string]*test{
		"an id":                  {cursor: scriptedCursor{ids: []string{"7", "no"}}, want: "7"},
		"overrides LastEventID":  {cursor: scriptedCursor{ids: []string{"7", "no"}}, id: "1", want: "7"},
		"empty leaves it":        {cursor: scriptedCursor{ids: []string{"", "no"}}, id: "1", want: "1"},
		"empty":                  {cursor: scriptedCursor{ids: []string{"", "no"}}},
		"loaded again on errors": {cursor: scriptedCursor{ids: []string{"7", "no"}, fails: 3}, id: "1", want: "7", failures: 3},
		"poisoned":               {cursor: scriptedCursor{ids: []string{"7\r\n", "no"}}, id: "1", want: "1", told: "Options.Cursor"},
		"too long":               {cursor: scriptedCursor{ids: []string{strings.Repeat("7", 4097), "no"}}, told: "4 KiB"},
	}, func(t *testing.T, test *test) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Wait(time.Hour), ssetest.Reset()), ssetest.Stream(ssetest.Hold()))
		var told noteLog
		o := sse.Options{Cursor: &test.cursor, LastEventID: test.id, Retry: waitsOf(time.Minute), OnError: func(err error) { told.add("%v", err) }}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		if letPass(time.Hour); len(test.cursor.all()) != 0 {
			t.Error("loaded before the start")
		}
		start := time.Now()
		src.SelectAll().Events()
		letPass(3 * time.Hour)
		ssetest.WantRequests(t, srv, ssetest.Request{LastEventID: test.want}, ssetest.Request{LastEventID: test.want})
		first := srv.Requests()[0]
		if loads := len(test.cursor.all()); loads != test.failures+1 || first.LastEventID != test.want || first.At.Sub(start) != time.Duration(test.failures)*time.Minute {
			t.Errorf("%d loads, first request %v after the start with id %q", loads, first.At.Sub(start), first.LastEventID)
		}
		for i, ev := range log.Closes()[:test.failures] {
			if ev.Status != 0 || !ev.Retriable || !errors.Is(ev.Err, errCause) || ev.Attempt != i+1 {
				t.Errorf("close %d: %v", i, ev)
			}
		}
		if got := told.all(); len(got) != min(len(test.told), 1) || !strings.Contains(told.String(), test.told) {
			t.Errorf("OnError got %q, want %q", got, test.told)
		}
	})
}

func TestAckSavesSynchronouslyWhatCanBeSent(t *testing.T) {
	type test struct {
		ev   sse.Event
		save error
		want []string
		err  string
	}
	synctest.Test(t, func(t *testing.T) {
		full := strings.Repeat("x", 4096)
		for name, test := range map[string]test{
			"an id":             {ev: sse.Event{ID: "7"}, want: []string{`save "7"`}},
			"an empty id":       {ev: sse.Event{Name: "message"}, want: []string{`save ""`}},
			"data only":         {ev: sse.Event{Data: "1"}, want: []string{`save ""`}},
			"the zero event":    {},
			"a control char":    {ev: sse.Event{ID: "a\nb"}, err: "control"},
			"space at the edge": {ev: sse.Event{ID: "a "}, err: "space"},
			"4 KiB":             {ev: sse.Event{ID: full}, want: []string{`save "` + full + `"`}},
			"over 4 KiB":        {ev: sse.Event{ID: full + "x"}, err: "4 KiB"},
			"a failing cursor":  {ev: sse.Event{ID: "8"}, save: errCause, want: []string{`save "8"`}, err: errCause.Error()},
		} {
			for _, when := range []string{"idle", "open", "closed"} {
				c := &scriptedCursor{ids: []string{""}, save: test.save}
				ctx, cancel := context.WithCancel(t.Context())
				srv := ssetest.New(t)
				srv.Always(ssetest.Stream(ssetest.Hold()))
				src := srv.Client().SourceContext(ctx, srv.URL(), sse.Options{Cursor: c})
				if when != "idle" {
					src.Open(ctx) //nolint:errcheck // it does
					c.lines = nil
				}
				if when == "closed" {
					cancel()
					<-src.Done()
				}
				err := src.Ack(test.ev)
				if (err == nil) != (test.err == "") || err != nil && !containsText(err, test.err) || test.save != nil && !errors.Is(err, test.save) {
					t.Errorf("%s, %s: Ack = %v, want %q", name, when, err, test.err)
				}
				if diff := cmp.Diff(test.want, c.all()); diff != "" {
					t.Errorf("%s, %s: the cursor (-want +got):\n%s", name, when, diff)
				}
				cancel()
				<-src.Done()
			}
		}
		if err := sse.Source("http://sse.test", sse.Options{}).Ack(sse.Event{ID: "a\nb"}); err != nil {
			t.Errorf("Ack without a cursor = %v", err)
		}
	})
}

func TestWhatWasNotAckedComesAgainAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := numberedEvents(1, 10)
		srv := ssetest.New(t)
		srv.Always(heldOpen(ssetest.ResumeFrom(all)))
		var c cursor.Memory
		var got []string
		for range 3 {
			src := srv.Source(sse.Options{Cursor: &c})
			turns := 0
			for ev, err := range src.All() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, ev.ID)
				if turns++; turns == 4 {
					break // before it is handled
				}
				if err := src.Ack(ev); err != nil {
					t.Error(err)
				}
			}
		}
		if diff := cmp.Diff(strings.Fields("1 2 3 4 4 5 6 7 7 8 9 10"), got); diff != "" {
			t.Errorf("events of three runs (-want +got):\n%s", diff)
		}
	})
}

func TestIDAtTheVeryEndOfAStreamCounts(t *testing.T) {
	const block = "id: 5\n\n"
	eachInBubble(t, map[string]ssetest.Reply{
		"alone":                 ssetest.Stream(ssetest.Raw(block)),
		"read with the end":     ssetest.Stream(ssetest.Raw(block)).With("Content-Length", strconv.Itoa(len(block))),
		"behind an event":       ssetest.Stream(ssetest.Raw("data: 1\n\n" + block)),
		"and a cut":             ssetest.Stream(ssetest.Raw(block), ssetest.Abort()),
		"and one that is cut":   ssetest.Stream(ssetest.Raw(block + "id: 6\ndata: 1\n")),
		"and one without blank": ssetest.Stream(ssetest.Raw(block + "id: 6\n")),
	}, func(t *testing.T, first ssetest.Reply) {
		srv := ssetest.New(t, first, ssetest.Stream(ssetest.Hold()))
		o := sse.Options{Method: "GET"}
		log := ssetest.Record(&o)
		srv.Source(o).SelectAll().Events()
		letPass(time.Minute)
		ssetest.WantCloses(t, log, sse.CloseEvent{LastEventID: "5"})
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "5"})
	})
}

func TestPoisonedIDNeverStopsReconnection(t *testing.T) {
	poison := map[string]string{
		"SOH": "a\x01b", "DEL": "a\x7f", "LF-free escape": "\x1b[0m", "leading space": " a", "trailing space": "a ",
		"trailing tab": "a\t", "only a space": " ", "over 4 KiB": strings.Repeat("x", 4097),
	}
	for kind, loop := range bothLoops {
		t.Run(kind, func(t *testing.T) {
			eachInBubble(t, poison, func(t *testing.T, id string) {
				block := "id: " + id + "\ndata: poisoned\n\n"
				srv := ssetest.New(t,
					ssetest.Stream(ssetest.Raw("id: 1\ndata: fine\n\n"+block), ssetest.Raw("data: after\n\n"), ssetest.Reset()),
					ssetest.Stream(ssetest.Raw("id: "+id+"\n\n"), ssetest.Reset()),
					ssetest.Stream(ssetest.Raw("id: 2\t\u00e9 \u20ac\ndata: good\n\n"), ssetest.Abort()),
					ssetest.Stream(ssetest.Hold()))
				var told noteLog
				src := srv.Source(sse.Options{Method: "GET", OnError: func(err error) { told.add("%v", err) }})
				var got []sse.Event
				for ev, err := range loop(src) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, ev)
					switch ev.Data {
					case "poisoned":
						if synctest.Wait(); src.LastEventID() != "1" {
							t.Errorf("resume id %q, want the last usable one", src.LastEventID())
						}
					case "good":
						src.Reconnect() // rather than wait for the cut
						letPass(time.Minute)
						src.Close()
					}
				}
				want := []sse.Event{
					{Name: "message", Data: "fine", ID: "1"},
					{Name: "message", Data: "poisoned", ID: id},
					{Name: "message", Data: "after", ID: id},
					{Name: "message", Data: "good", ID: "2\t\u00e9 \u20ac"},
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "1"}, ssetest.Request{LastEventID: "1"}, ssetest.Request{LastEventID: "2\t\u00e9 \u20ac"})
				if n := len(told.all()); n != 2 { // once for each connection that brought it
					t.Errorf("OnError was told %d times: %q", n, told.all())
				}
			})
		})
	}
}

// TestResumeLosesNothing cuts a stream everywhere, in all ways.
func TestResumeLosesNothing(t *testing.T) {
	const last = 120
	all := numberedEvents(1, last)
	consume := map[string]func(*testing.T, *sse.EventSource) []sse.Event{
		"a lone loop": func(t *testing.T, src *sse.EventSource) []sse.Event { return ssetest.Collect(t, src.All(), last) },
		"a selection": func(t *testing.T, src *sse.EventSource) []sse.Event {
			return ssetest.Collect(t, src.Select("message").All(), last)
		},
		"a channel": func(t *testing.T, src *sse.EventSource) []sse.Event {
			return ssetest.Take(t, src.SelectAll().Events(), last)
		},
		"a second channel": func(t *testing.T, src *sse.EventSource) []sse.Event {
			first := src.SelectAll()
			go func() {
				for range first.Events() {
					continue
				}
			}()
			return ssetest.Take(t, src.SelectAll().Events(), last)
		},
	}
	run := func(t *testing.T, srv *ssetest.Server, o sse.Options, consume func(*testing.T, *sse.EventSource) []sse.Event) {
		t.Helper()
		for sent := 0; sent < last; sent += rand.IntN(10) {
			cut := []ssetest.Step{ssetest.Reset(), ssetest.ResetUnread(), ssetest.Abort(), ssetest.Raw(""), ssetest.Raw("id: 999\ndata: cut off\n")}[rand.IntN(5)]
			r := ssetest.ResumeFrom(all[:min(sent, last)])
			r.Steps = append(r.Steps, cut)
			srv.Then(r)
			if rand.IntN(4) == 0 {
				srv.Then([]ssetest.Reply{ssetest.Status(503, "busy"), ssetest.Refuse(nil), ssetest.Unanswered(ssetest.Abort())}[rand.IntN(3)])
			}
		}
		srv.Always(heldOpen(ssetest.ResumeFrom(all))) // only this one brings the last event
		if diff := cmp.Diff(all, consume(t, srv.Source(o))); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}
	for name, consume := range consume {
		for round := range 5 {
			synctest.Test(t, func(t *testing.T) {
				run(t, ssetest.New(t), sse.Options{Buffer: round - 1}, consume)
				run(t, ssetest.New(t), sse.Options{Buffer: round + 1, Overflow: sse.Disconnect, Method: "GET"}, consume)
			})
		}
		t.Run(name+" on a socket", func(t *testing.T) {
			run(t, ssetest.NewTCP(t), sse.Options{Retry: waitsOf(time.Millisecond)}, consume)
		})
	}
}

// TestLoneLoopLosesAndDoublesNothing lets all that makes the source change
// goroutines happen at random.
func TestLoneLoopLosesAndDoublesNothing(t *testing.T) {
	const last = 300
	run := func(t *testing.T, srv *ssetest.Server, seed uint64, unit time.Duration) {
		t.Helper()
		rnd := rand.New(rand.NewPCG(seed, 1))
		all := numberedEvents(1, last)
		srv.Always(heldOpen(ssetest.ResumeFrom(all)))
		src := srv.Client().Source(srv.URL(), sse.Options{Buffer: rnd.IntN(6) - 1, Retry: waitsOf(0)})
		var wg sync.WaitGroup
		over := make(chan struct{})
		disturb := func(seed uint64) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			for !chanClosed(over) {
				<-time.After(time.Duration(rnd.Int64N(int64(20 * unit))))
				switch rnd.IntN(4) {
				case 0:
					src.Reconnect()
				case 1:
					src.Open(context.WithoutCancel(t.Context())) //nolint:errcheck // it has ended
					const least = uint64(len("id: 1\ndata: 1\n\n"))
					if got := src.Stats(); got.Bytes < got.Events*least || got.LastEvent.After(got.LastByte) || got.Closes > 1 {
						t.Errorf("no consistent snapshot: %+v", got)
					}
				default:
					x, from := src.SelectAll(), ""
					n := rnd.IntN(10)
					for ev := range x.Events() {
						if from != "" && ev != all[indexOf(from)+1] {
							t.Errorf("a selection got %v after %s", ev, from)
						}
						if from = ev.ID; n == 0 {
							x.Stop()
						}
						n--
					}
				}
			}
		}
		for range rnd.IntN(3) {
			wg.Go(func() { disturb(seed) })
		}
		var got []sse.Event
		for ev, err := range src.All() {
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			if got = append(got, ev); ev.ID == all[last-1].ID {
				break
			}
			switch rnd.IntN(12) {
			case 0:
				<-time.After(time.Duration(rnd.Int64N(int64(15 * unit))))
			case 1:
				runtime.Gosched()
			case 2:
				src.Reconnect()
			}
		}
		close(over)
		wg.Wait()
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("seed %d: events (-want +got):\n%s", seed, diff)
		}
		if !chanClosed(src.Done()) {
			t.Errorf("seed %d: the loop was left before Done", seed)
		}
	}
	t.Run("in memory", func(t *testing.T) {
		for seed := range uint64(40) {
			synctest.Test(t, func(t *testing.T) { run(t, ssetest.New(t), seed, time.Millisecond) })
		}
	})
	t.Run("on a socket", func(t *testing.T) {
		for seed := range uint64(8) {
			run(t, ssetest.NewTCP(t), seed+1000, time.Millisecond)
		}
	})
}

// indexOf returns where in numberedEvents(1, n) the event with an id is.
func indexOf(id string) int {
	n := 0
	for _, digit := range id {
		n = n*10 + int(digit-'0')
	}
	return n - 1
}
