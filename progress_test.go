package sse_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
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

// A connection whose events nobody had room for made no progress, whatever
// the server asks for: the delays grow.
func TestDisconnectThatDeliversNothingIsNoHotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t)
		steps := []ssetest.Step{ssetest.Retry(0)}
		for id := range 100 {
			steps = append(steps, ssetest.Emit(sse.Event{Data: "x", ID: strconv.Itoa(id)}))
		}
		srv.Always(ssetest.Stream(steps...))
		src := srv.Source(sse.Options{Overflow: sse.Disconnect})
		src.Select("message").Events() // nobody receives
		time.Sleep(time.Hour)
		if n := len(srv.Requests()); n < 100 || n > 400 {
			t.Errorf("%d requests in an hour, want one every 3 to 30 s", n)
		}
	})
}

// Reconnect is no close, but what its connection achieved counts.
func TestReconnectKeepsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := ssetest.Status(503, "busy")
		srv := ssetest.New(t, busy, busy, busy, busy, busy, busy,
			ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "1"}), ssetest.Hold()),
			busy, ssetest.Stream(ssetest.Hold()))
		var o sse.Options
		log := ssetest.Record(&o)
		src := srv.Source(o)
		ssetest.Take(t, src.SelectAll().Events(), 1)
		synctest.Wait()
		src.Reconnect()
		time.Sleep(time.Minute)
		last := log.Closes()[6]
		if last.Attempt != 1 || last.Delay > 3*time.Second {
			t.Errorf("got %v, want the first failed attempt and a first delay", last)
		}
	})
}

func TestPoisonedIDDoesNotStopAPOST(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Raw("id: a\ndata: 1\n\nid: b\x01\ndata: 2\n\n"), ssetest.Reset()),
			ssetest.Stream(ssetest.Raw("id: c\x02\ndata: 3\n\n"), ssetest.Reset()),
			ssetest.Stream(ssetest.Raw("data: 4\n\n"), ssetest.Hold()))
		got := ssetest.Collect(t, srv.Source(sse.Options{}).All(), 4)
		if got[1].ID != "b\x01" {
			t.Errorf("got %q, want the id as it came", got[1].ID)
		}
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "a"}, ssetest.Request{LastEventID: "a"})
	})
}

// Whichever hook calls Close: nothing that is still to come is shown to anyone.
func TestCloseInAHookEndsWhatFollows(t *testing.T) {
	for _, closer := range []string{"comment", "transform", "endon", "event"} {
		t.Run(closer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Stream(ssetest.Raw(":a\n:b\nid: 1\ndata: 1\n\ndata: 2\n\n"), ssetest.Hold()))
				var src *sse.EventSource
				var seen []string
				see := func(hook string) {
					seen = append(seen, hook)
					if hook == closer {
						src.Close()
					}
				}
				src = srv.Source(sse.Options{
					OnComment: func(string) { see("comment") },
					Transform: func(ev sse.Event) (sse.Event, error) { see("transform"); return ev, nil },
					EndOn:     func(sse.Event) bool { see("endon"); return false },
					OnEvent:   func(sse.Event) { see("event") },
				})
				for ev := range src.All() {
					see("loop " + ev.Data)
				}
				all := []string{"comment", "comment", "transform", "endon", "event"}
				want := map[string][]string{"comment": all[:1], "transform": all[:3], "endon": all[:4], "event": all}[closer]
				if diff := cmp.Diff(want, seen); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if id := src.LastEventID(); id != "" {
					t.Errorf("the last event id moved to %q", id)
				}
			})
		})
	}
}

// A server may write one gzip member for each event.
func TestEventsAreNotHeldBackAtTheEndOfAGzipMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		member := func(s string) string {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			io.WriteString(z, s)
			z.Close()
			return b.String()
		}
		srv := ssetest.New(t, ssetest.Stream(
			ssetest.Raw(member("data: 1\n\n")), ssetest.Wait(time.Hour), ssetest.Raw(member("data: 2\n\n"), member("")), ssetest.Hold(),
		).With("Content-Encoding", "gzip"))
		begin := time.Now()
		var after []time.Duration
		for ev := range srv.Source(sse.Options{}).All() {
			if after = append(after, time.Since(begin)); ev.Data == "2" {
				break
			}
		}
		if diff := cmp.Diff([]time.Duration{0, time.Hour}, after); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// The caller's own error stays in the chain, io.EOF in it does not.
func TestErrorOfAHookStaysInTheChain(t *testing.T) {
	mine := errors.New("no token today")
	src := sse.Source("http://127.0.0.1:0", sse.Options{
		Retry: sse.NoRetry,
		Prepare: func(*http.Request, sse.CloseEvent) error {
			return fmt.Errorf("%w: %w", &sse.DecodeError{Err: mine}, io.EOF)
		},
	})
	err := src.Run()
	var decode *sse.DecodeError
	if !errors.Is(err, mine) || !errors.As(err, &decode) || errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestFatalEndingIsNotBlamedOnTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(401, ""), ssetest.Stream(ssetest.Raw("id: 1\ndata: 1\n\n"), ssetest.Abort()))
		for _, want := range []string{"sse: server answered 401", "sse: gave up, the schedule"} {
			src := srv.Source(sse.Options{Retry: over()})
			src.SelectAll().Events()
			<-src.Done()
			if err := src.Err(); !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %v, want %s...", err, want)
			}
		}
	})
}

func TestZeroResponseErrorHasAText(t *testing.T) {
	err := &sse.ResponseError{Status: 401}
	if !errors.Is(err, sse.ErrStatus) || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("got %v", err)
	}
}

// A status that is no redirect is not judged by its Location.
func TestLocationCountsForRedirectsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{300, 304} {
			srv := ssetest.New(t, ssetest.Redirect(status, "http://[bad"))
			if err := srv.Source(sse.Options{}).Run(); !errors.Is(err, sse.ErrStatus) {
				t.Errorf("%d: got %v", status, err)
			}
		}
	})
}

func TestPresetLastEventIDIsChecked(t *testing.T) {
	for name, h := range map[string]http.Header{
		"too long":      {"Last-Event-Id": {strings.Repeat("x", 5000)}},
		"two spellings": {"Last-Event-Id": {"1"}, "last-event-id": {"2"}},
	} {
		if err := sse.Source("http://127.0.0.1:0", sse.Options{Header: h}).Run(); err == nil || sse.DefaultRetriable(sse.CloseEvent{Err: err, Resumable: true}) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// over is the policy whose schedule has run out from the start.
func over() sse.RetryPolicy {
	return sse.RetryPolicy{BackOff: func() backoff.BackOff { return &backoff.StopBackOff{} }}
}
