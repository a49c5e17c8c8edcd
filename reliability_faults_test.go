package sse_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/internal/rows"
	"github.com/wellspring-go/sse/ssetest"
)

func TestTrickleIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * 60 * 60
		// A Step for each byte would take its time; one comment is one second.
		steps := make([]ssetest.Step, 0, 2*day+2)
		for i := range day {
			steps = append(steps, ssetest.Raw(":\n"[i%2:i%2+1]), ssetest.Wait(time.Second))
		}
		srv := ssetest.New(t, ssetest.Stream(append(steps, ssetest.Emit(sse.Event{Data: "at last", ID: "1"}), ssetest.Hold())...))
		o := sse.Options{IdleTimeout: 1500 * time.Millisecond}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		begin := time.Now()
		got := ssetest.Collect(t, src.All(), 1)
		<-src.Done()
		if took := time.Since(begin); took < 24*time.Hour || dataOf(got) != "at last " || len(srv.Requests()) != 1 {
			t.Errorf("%q after %v, %d requests", dataOf(got), took, len(srv.Requests()))
		}
		ssetest.WantCloses(t, log, sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed})
		rows.Note(t, "F6", "%v at 1 byte/s of comments, IdleTimeout 1.5s: %d reconnects", time.Since(begin), len(srv.Requests())-1)
	})
}

// TestCorruptedStreamDeliversWhatIsWhole flips bytes. What they do not touch
// comes through.
func TestCorruptedStreamDeliversWhatIsWhole(t *testing.T) {
	const events = 400
	runs, corrupted, whole := rows.Size(100, 5000), 0, 0
	for seed := range runs {
		rnd := rand.New(rand.NewPCG(uint64(seed), 7))
		var wire []byte
		var begins []int
		for i := range events {
			begins = append(begins, len(wire))
			wire = fmt.Appendf(wire, "id: %d\nevent: n%d\ndata: line one of %d\ndata: line two\n\n", i, i, i)
		}
		begins = append(begins, len(wire))
		touched := make([]bool, events+1)
		for at := range wire {
			if rnd.IntN(1000) > 0 {
				continue
			}
			corrupted++
			wire[at] = byte(rnd.UintN(256))
			i, _ := slices.BinarySearch(begins, at+1)
			touched[i-1] = true
			touched[i] = touched[i] || at >= begins[i]-2 // the blank line is gone
		}
		synctest.Test(t, func(t *testing.T) {
			srv := ssetest.New(t, ssetest.Stream(ssetest.Raw(string(wire))))
			src := srv.Source(sse.Options{Method: "GET", Retry: sse.NoRetry})
			got := map[sse.Event]int{}
			for ev, err := range src.All() {
				if err != nil {
					t.Error(err)
				}
				got[ev]++
			}
			for i := range events {
				ev := sse.Event{ID: strconv.Itoa(i), Name: fmt.Sprint("n", i), Data: fmt.Sprintf("line one of %d\nline two", i)}
				if touched[i] {
					continue
				}
				if whole++; got[ev] != 1 {
					t.Errorf("seed %d: %d times %+v, which nothing has touched", seed, got[ev], ev)
				}
			}
			if src.Err() != io.EOF {
				t.Errorf("seed %d: ended with %v", seed, src.Err())
			}
		})
	}
	page := "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body>\n\nid: 1\ndata: x\n\n</body></html>\n"
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(200, page))
		src := srv.Source(sse.Options{})
		if err := src.Run(); !errors.Is(err, sse.ErrContentType) {
			t.Errorf("a page: %v", err)
		}
		// A page with the type of a stream is only parsed.
		srv = ssetest.New(t, ssetest.Stream(ssetest.Raw(strings.ReplaceAll(page, "data: x", "x"))))
		src = srv.Source(sse.Options{Method: "GET", Retry: sse.NoRetry})
		if err := src.Run(); err != io.EOF || src.Stats().Events != 0 {
			t.Errorf("a page in disguise: %v, %d events", err, src.Stats().Events)
		}
	})
	rows.Note(t, "F7", "%d streams with %d corrupted bytes (0.1%%): all of %d untouched events whole, no panic; HTML page: ErrContentType, 1 request", runs, corrupted, whole)
}

func TestHourOfFailuresKeepsTheSchedule(t *testing.T) {
	const hour, pause = time.Hour, 5 * time.Second
	attempts := 0
	for name, policy := range map[string]sse.RetryPolicy{"constant": waitsOf(pause), "the default": {}} {
		synctest.Test(t, func(t *testing.T) {
			var up atomic.Bool
			srv := ssetest.New(t)
			turn := 0
			busy := func() ssetest.Reply {
				turn++
				return ssetest.Status([]int{500, 502, 503, 504, 599}[turn%5], "busy")
			}
			srv.Always(busy())
			o := sse.Options{Retry: policy}
			var planned []time.Duration
			o.OnClose = func(ev sse.CloseEvent) {
				if !ev.IsLocal {
					planned = append(planned, ev.Delay)
					if ev.Attempt != len(planned) {
						t.Errorf("%s: attempt %d of %d", name, ev.Attempt, len(planned))
					}
					if !up.Load() {
						srv.Always(busy())
					}
					ev.Connect()
				}
			}
			src := srv.Source(o)
			events := src.SelectAll().Events()
			letPass(hour)
			up.Store(true)
			n := len(srv.Requests())
			srv.Always(streamOf(numberedEvents(1, 1), ssetest.Hold()))
			if got := dataOf(ssetest.Take(t, events, 1)); got != "1 " {
				t.Errorf("%s: got %s", name, got)
			}
			requests := srv.Requests()
			if len(requests) != n+1 {
				t.Errorf("%s: %d requests once it was up, want the first to do", name, len(requests)-n)
			}
			for i, r := range requests[1:] {
				if r.Gap != planned[i] {
					t.Errorf("%s: request %d came after %v, planned %v", name, i+1, r.Gap, planned[i])
				}
			}
			if want := int(hour / pause); name == "constant" {
				if attempts = n; n < want*95/100 || n > want*105/100 {
					t.Errorf("%d attempts in an hour, want %d", n, want)
				}
			}
		})
	}
	rows.Note(t, "P9", "%d attempts in an hour of failures, the schedule has %d", attempts, int(hour/pause))
	rows.Note(t, "F8", "503 and others for an hour: %d attempts, the schedule has %d; each gap of the default schedule exact; first success delivers", attempts, int(hour/pause))
}

func TestRetryAfterTable(t *testing.T) {
	const second, limit = time.Second, 10 * time.Minute
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble begins
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	cases := map[string]time.Duration{
		"120": 2 * time.Minute, "1": second, "0": second, "600": limit, "601": limit, "315360000": limit,
		date(90 * time.Second): 90 * time.Second, date(-time.Hour): second, date(0): second, date(87600 * time.Hour): limit,
		"soon": second, "-5": second,
	}
	for value, want := range cases {
		for _, status := range []int{429, 503} {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Status(status, "").With("Retry-After", value), ssetest.Status(204, ""))
				src := srv.Source(sse.Options{Retry: ladders(0)})
				src.Run() // the gap tells
				if got := srv.Requests()[1].Gap; got != want {
					t.Errorf("%d, Retry-After: %s: waited %v, want %v", status, value, got, want)
				}
			})
		}
	}
	rows.Note(t, "F9", "%d values x 429, 503: all waits exact, at most %v", len(cases), limit)
}

func TestStatusTable(t *testing.T) {
	retriable := []int{408, 425, 429, 500, 502, 503, 504, 507, 508, 520, 529, 599}
	fatal := []int{
		201, 202, 203, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413,
		414, 415, 422, 426, 431, 451, 501, 505,
	}
	synctest.Test(t, func(t *testing.T) {
		for _, status := range slices.Concat(retriable, fatal) {
			requests := 1
			srv := ssetest.New(t, ssetest.Status(status, ""))
			if slices.Contains(retriable, status) {
				requests = 2
				srv.Then(ssetest.Status(204, ""))
			}
			src := srv.Source(sse.Options{})
			if err := src.Run(); errors.Is(err, sse.ErrStatus) != (requests == 1) && !errors.Is(err, sse.ErrRedirect) {
				t.Errorf("%d: %v", status, err)
			}
			if n := len(srv.Requests()); n != requests {
				t.Errorf("%d: %d requests, want %d", status, n, requests)
			}
		}
		// 204 ends it silently; a 401 is mended by OnClose and Prepare.
		token := "old"
		srv := ssetest.New(t, ssetest.Status(401, ""), streamOf(numberedEvents(1, 1)), ssetest.Status(204, ""))
		src := srv.Source(sse.Options{
			Prepare: preparing(func(r *http.Request) { r.Header.Set("Authorization", token) }),
			OnClose: func(ev sse.CloseEvent) {
				if ev.Status == 401 {
					token = "new"
					ev.ConnectAfter(0)
				} else if ev.Retriable {
					ev.Connect()
				}
			},
		})
		for _, err := range src.All() {
			if err != nil {
				t.Error(err)
			}
		}
		if r := srv.Requests(); r[0].Header.Get("Authorization") != "old" || r[1].Header.Get("Authorization") != "new" || r[1].Gap != 0 || src.Err() != io.EOF {
			t.Errorf("%v, %v", r, src.Err())
		}
	})
	rows.Note(t, "F10", "%d statuses by the table, 204 silent, 401 mended by OnClose and Prepare", len(retriable)+len(fatal))
}

func TestDayOfCutsByAProxy(t *testing.T) {
	const cuts = 24 * 60
	synctest.Test(t, func(t *testing.T) {
		all := numberedEvents(1, cuts)
		srv := ssetest.New(t)
		for i := range cuts {
			// Every third stream has nothing to say before it is cut.
			r := ssetest.ResumeFrom(all[:i-i%3+1])
			r.Steps = append(r.Steps, ssetest.Wait(time.Minute), []ssetest.Step{ssetest.Reset(), ssetest.Abort()}[i%2])
			srv.Then(r)
		}
		srv.Always(heldOpen(ssetest.ResumeFrom(all)))
		o := sse.Options{Retry: ladders(0)}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		if diff := cmp.Diff(all, ssetest.Collect(t, src.All(), cuts)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		<-src.Done()
		closes := log.Closes()
		for i, ev := range closes[:len(closes)-1] {
			if ev.Delay != time.Second || ev.Attempt != 0 || !errors.Is(ev.Err, io.ErrUnexpectedEOF) {
				t.Fatalf("cut %d: %+v", i, ev)
			}
		}
		if n := len(srv.Requests()); n != cuts+1 || len(closes) != cuts+1 {
			t.Errorf("%d requests, %d closes, want %d", n, len(closes), cuts+1)
		}
		rows.Note(t, "F12", "%d cuts in a day: %d reconnects, each after the base delay; lost 0, twice 0", cuts, len(closes)-1)
	})
}

func TestServerThatAcceptsAndDiesMeetsGrowingDelays(t *testing.T) {
	doublings := math.MaxInt
	for name, reply := range map[string]ssetest.Reply{
		"clean end": ssetest.Stream(), "cut": ssetest.Stream(ssetest.Abort()), "reset": ssetest.Stream(ssetest.Reset()),
		"a comment": ssetest.Stream(ssetest.Comment("hello")), "retry: 0": ssetest.Stream(ssetest.Raw("retry: 0\n\n")),
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := ssetest.New(t)
			srv.Always(reply)
			delays := delaysOf(closesOf(t, srv.Client(), srv.URL(), sse.Options{Retry: ladders(0)}, 10))
			n := 0
			for i := range len(delays) - 1 {
				switch {
				case delays[i+1] == 2*delays[i]:
					n++
				case name != "retry: 0" || i > 0:
					t.Errorf("%s: waits of %v", name, delays)
				}
			}
			if doublings = min(doublings, n); n < 5 {
				t.Errorf("%s: waits of %v, doubled %d times", name, delays, n)
			}
			// The default schedule, which is drawn, grows to its cap.
			for i, d := range delaysOf(closesOf(t, srv.Client(), srv.URL(), sse.Options{}, 10)) {
				if name != "retry: 0" && d < min(300*time.Millisecond<<i, 3*time.Second) {
					t.Errorf("%s: wait %d is %v", name, i, d)
				}
			}
		})
	}
	rows.Note(t, "F13", "5 ways to accept and die, 10 times: at least %d doublings, a bare 200 resets nothing", doublings)
}
