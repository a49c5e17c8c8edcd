package interop

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// A reader that closes when it receives the server's last event loses the
// race against the end of the stream that comes along with it.
const closings = 200

func TestEndOnBeatsTheEndBehindIt(t *testing.T) {
	stop := sse.Event{Name: "stop", Data: "done", ID: "4"}
	byBoth(t, func(t *testing.T, from maker) {
		var w wire
		url, c := current.URL(t, "/stop?n=3"), w.client()
		for range closings {
			o := sse.Options{
				Retry: atOnce,
				EndOn: func(ev sse.Event) bool { return ev.Name == "stop" },
			}
			log := ssetest.Record(&o)
			src := from.source(t, c, url, o)
			var got []string
			for ev, err := range src.All() {
				if err != nil {
					t.Error(err)
				}
				got = append(got, ev.Name+" "+ev.Data)
			}
			if diff := cmp.Diff([]string{"work 1", "work 2", "work 3"}, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			ssetest.WantCloses(t, log, sse.CloseEvent{Status: 200, IsLocal: true, Final: &stop, Err: sse.ErrClosed, Events: 3})
			if err := src.Err(); err != sse.ErrClosed {
				t.Errorf("Err is %v, want ErrClosed", err)
			}
			if t.Failed() {
				break
			}
		}
		if n := len(w.times()); n != closings {
			t.Errorf("%d requests for %d sources", n, closings)
		}
	})
}

func TestCloseInOnEventBeatsTheEndBehindIt(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		var w wire
		url, c := current.URL(t, "/stop?n=3"), w.client()
		for range closings {
			var src *sse.EventSource
			o := sse.Options{
				Retry: atOnce,
				OnEvent: func(ev sse.Event) {
					if ev.Name == "stop" {
						src.Close()
					}
				},
			}
			log := ssetest.Record(&o)
			src = from.source(t, c, url, o)
			if got := collect(src.SelectAll().Events()); len(got) != 3 || got[2].Name != "work" {
				t.Errorf("got %v, want 3 events before the one that closes", got)
			}
			<-src.Done()
			ssetest.WantCloses(t, log, sse.CloseEvent{Status: 200, IsLocal: true, Err: sse.ErrClosed, Events: 3, LastEventID: "3"})
			if t.Failed() {
				break
			}
		}
		if n := len(w.times()); n != closings {
			t.Errorf("%d requests for %d sources", n, closings)
		}
	})
}

func TestCloseByTheConsumerCancelsAReconnectThatIsNotDue(t *testing.T) {
	later := sse.RetryPolicy{BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Hour) }}
	byBoth(t, func(t *testing.T, from maker) {
		var w wire
		url, c := current.URL(t, "/stop?n=3"), w.client()
		for range closings {
			src := from.source(t, c, url, sse.Options{Retry: later})
			for ev := range src.SelectAll().Events() {
				if ev.Name == "stop" {
					src.Close()
				}
			}
			<-src.Done()
			if err := src.Err(); err != sse.ErrClosed {
				t.Fatalf("Err is %v, want ErrClosed", err)
			}
		}
		if n := len(w.times()); n != closings {
			t.Errorf("%d requests for %d sources", n, closings)
		}
	})
}

func TestRefusalsSayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		path      string
		status    int
		err       error
		retriable bool
		text      string
	}{
		{path: "/status/204", status: 204, err: io.EOF},
		{path: "/status/401", status: 401, err: sse.ErrStatus, text: "401 Unauthorized"},
		{path: "/status/403", status: 403, err: sse.ErrStatus, text: "403 Forbidden"},
		{path: "/nowhere", status: 404, err: sse.ErrStatus, text: "404 Not Found"},
		{path: "/get", status: 405, err: sse.ErrStatus, text: "405 to POST: set Options.Method to GET"},
		{path: "/status/429", status: 429, err: sse.ErrStatus, retriable: true, text: "429 Too Many Requests"},
		{path: "/status/500", status: 500, err: sse.ErrStatus, retriable: true, text: "500 Internal Server Error"},
		{path: "/status/503", status: 503, err: sse.ErrStatus, retriable: true, text: "503 Service Unavailable"},
		{path: "/html", status: 200, err: sse.ErrContentType, text: "text/html"},
	} {
		t.Run(strings.Trim(c.path, "/"), func(t *testing.T) {
			byBoth(t, func(t *testing.T, from maker) {
				var w wire
				o := sse.Options{} // the default policy ends what is fatal
				if c.retriable {
					o.OnClose = func(sse.CloseEvent) {} // and this what is not
				}
				log := ssetest.Record(&o)
				src := from.source(t, w.client(), current.URL(t, c.path), o)
				var failure error
				for ev, err := range src.All() {
					if failure = err; err == nil {
						t.Errorf("got %v", ev)
					}
				}
				ssetest.WantCloses(t, log, sse.CloseEvent{Status: c.status, Err: c.err, Method: "POST", Resumable: true, Attempt: 1})
				if ev := log.Closes()[0]; ev.Retriable != c.retriable {
					t.Errorf("Retriable is %v", ev.Retriable)
				}
				if !errors.Is(src.Err(), c.err) {
					t.Errorf("Err is %v, want %v", src.Err(), c.err)
				}
				switch {
				case c.err == io.EOF:
					if failure != nil {
						t.Errorf("the loop yielded %v", failure)
					}
				case failure != src.Err() || !strings.Contains(failure.Error(), c.text):
					t.Errorf("the loop yielded %v, want %v with %q in it", failure, src.Err(), c.text)
				}
				if n := len(w.times()); n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
			})
		})
	}
}

func TestARefusalKeepsItsBody(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		for accept, want := range map[string]string{
			"":                                    "<!doctype html>", // the page of kit for what does not take JSON
			"text/event-stream, application/json": `{"message":"refused with 401"}`,
		} {
			o := sse.Options{}
			if accept != "" {
				o.Header = http.Header{"Accept": {accept}}
			}
			src := from.source(t, &sse.Client{}, current.URL(t, "/status/401"), o)
			var refused *sse.ResponseError
			switch err := src.Run(); {
			case !errors.As(err, &refused):
				t.Errorf("Accept %q: Err is %v, want a ResponseError", accept, err)
			case !strings.HasPrefix(strings.TrimSpace(string(refused.Body)), want):
				t.Errorf("Accept %q: the body is %q, want %q", accept, refused.Body, want)
			case refused.Header.Get("Content-Type") == "" || refused.Status != 401 || refused.Method != "POST":
				t.Errorf("Accept %q: got %d to %s, header %v", accept, refused.Status, refused.Method, refused.Header)
			}
		}
	})
}

func TestTheHintOfA405Helps(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		src := from.source(t, &sse.Client{}, current.URL(t, "/get"), sse.Options{Method: "GET"})
		ssetest.Want(t, src.All(), []sse.Event{{Name: "hello", Data: "world", ID: "1"}})
	})
}

// A body that is no JSON needs an Origin, which SvelteKit compares.
func TestSvelteKitRefusesFormsOfOtherOrigins(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		o := sse.Options{Body: []byte("a=b"), Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
		err := from.source(t, &sse.Client{}, current.URL(t, "/echo"), o).Run()
		var refused *sse.ResponseError
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || !strings.Contains(string(refused.Body), "Cross-site") {
			t.Errorf("Err is %v, want a 403 that says why", err)
		}
	})
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		var w wire
		o := sse.Options{Retry: atOnce}
		log := ssetest.Record(&o)
		src := from.source(t, w.client(), current.URL(t, "/limit?k=2&after=1&key="+key(t)), o)
		ssetest.Want(t, src.All(), []sse.Event{{Name: "admitted", Data: "2", ID: "1"}})
		ssetest.WantCloses(t, log,
			sse.CloseEvent{Status: 429, Err: sse.ErrStatus, Retriable: true, Attempt: 1, Delay: time.Second},
			sse.CloseEvent{Status: 429, Err: sse.ErrStatus, Retriable: true, Attempt: 2, Delay: time.Second},
			sse.CloseEvent{Status: 200, IsLocal: true, Err: sse.ErrClosed},
		)
		at := w.times()
		if len(at) != 3 {
			t.Fatalf("%d requests, want 3", len(at))
		}
		for i := range 2 {
			if gap := at[i+1].Sub(at[i]); gap < time.Second || gap > limit/2 {
				t.Errorf("request %d came %v after the one before, want 1s", i+1, gap)
			}
		}
	})
}

// The default policy waits too, by the longer of its own delay and the
// server's.
func TestRetryAfterFloorsTheDefaultPolicy(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		var w wire
		src := from.source(t, w.client(), current.URL(t, "/limit?k=1&after=1&key="+key(t)), sse.Options{})
		ssetest.Want(t, src.All(), []sse.Event{{Name: "admitted", Data: "1", ID: "1"}})
		if at := w.times(); len(at) != 2 || at[1].Sub(at[0]) < time.Second {
			t.Errorf("requests at %v, want two, 1s or more apart", at)
		}
	})
}

func TestATokenThatExpiresInMidStreamIsRefreshed(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		token := 1
		var prevs []int // the status of what came before each attempt
		o := sse.Options{
			Retry: atOnce,
			Prepare: func(req *http.Request, prev sse.CloseEvent) error {
				prevs = append(prevs, prev.Status)
				req.Header.Set("Authorization", "Bearer t"+string(rune('0'+token)))
				return nil
			},
			OnClose: func(ev sse.CloseEvent) {
				switch {
				case ev.IsLocal:
				case ev.Status == http.StatusUnauthorized:
					token++
					ev.Connect()
				case ev.Retriable:
					ev.Connect()
				}
			},
		}
		log := ssetest.Record(&o)
		src := from.source(t, &sse.Client{}, current.URL(t, "/token?k=3&every=2&key="+key(t)), o)
		var want []sse.Event
		for _, token := range []string{"t1", "t2", "t3"} {
			for _, n := range []string{"1", "2", "3"} {
				want = append(want, sse.Event{Name: "data", ID: n, Data: `{"token":"` + token + `","n":` + n + `}`})
			}
		}
		ssetest.Want(t, src.All(), want)
		ended := sse.CloseEvent{Status: 200, Err: io.EOF, Retriable: true, Resumable: true, Events: 3}
		refused := sse.CloseEvent{Status: 401, Err: sse.ErrStatus, Attempt: 1, LastEventID: "3"}
		ssetest.WantCloses(t, log, ended, refused, ended, refused, sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed})
		for _, ev := range log.Closes() {
			if ev.Status == 401 && ev.Retriable {
				t.Errorf("the policy finds a 401 retriable")
			}
		}
		if diff := cmp.Diff([]int{0, 200, 401, 200, 401}, prevs); diff != "" {
			t.Errorf("the status of the last close in Prepare (-want +got):\n%s", diff)
		}
	})
}

func TestATokenThatExpiresIsFatalUnlessOnCloseSaysOtherwise(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		o := sse.Options{Retry: atOnce, Header: http.Header{"Authorization": {"Bearer t1"}}}
		log := ssetest.Record(&o)
		src := from.source(t, &sse.Client{}, current.URL(t, "/token?k=2&every=2&key="+key(t)), o)
		n, failure := 0, error(nil)
		for _, err := range src.All() {
			if failure = err; err == nil {
				n++
			}
		}
		if n != 2 || !errors.Is(failure, sse.ErrStatus) {
			t.Errorf("got %d events and %v, want 2 and a refusal", n, failure)
		}
		ssetest.WantCloses(t, log,
			sse.CloseEvent{Status: 200, Err: io.EOF, Retriable: true, Events: 2},
			sse.CloseEvent{Status: 401, Err: sse.ErrStatus},
		)
	})
}

func TestIDsThatRestartHideNoEvent(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		o := sse.Options{Retry: atOnce}
		log := ssetest.Record(&o)
		src := from.source(t, &sse.Client{}, current.URL(t, "/ids?key="+key(t)), o)
		var want []sse.Event
		for _, connection := range []string{"1", "2", "3"} {
			saw := `"3"` // sent, and ignored
			if connection == "1" {
				saw = "null"
			}
			for _, n := range []string{"1", "2", "3"} {
				want = append(want, sse.Event{
					Name: "count", ID: n,
					Data: `{"connection":` + connection + `,"n":` + n + `,"lastEventID":` + saw + `}`,
				})
			}
		}
		ssetest.Want(t, src.All(), want)
		for i, ev := range log.Opens() {
			if id := []string{"", "3", "3"}[i]; ev.LastEventID != id {
				t.Errorf("open %d carried the id %q, want %q", i, ev.LastEventID, id)
			}
		}
	})
}

func TestReconnectBeginsTheStreamAnew(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		o := sse.Options{}
		log := ssetest.Record(&o)
		src := from.source(t, &sse.Client{}, current.URL(t, "/tick?every=10"), o)
		ticks, tocks := src.Select("tick"), src.Select("tock")
		ssetest.Take(t, ticks.Events(), 2)
		tocks.Stop()
		src.Reconnect()
		for ev := range ticks.Events() {
			if ev.Data == `{"n":1}` {
				break
			}
		}
		if n := len(log.Closes()); n != 0 {
			t.Errorf("%d closes, want none", n)
		}
		if n := src.Stats().Opens; n != 2 {
			t.Errorf("%d opens, want 2", n)
		}
	})
}

// SvelteKit on Node sends no response head before the first event.
func TestCloseWhileTheHeadIsOutstandingReachesTheServer(t *testing.T) {
	type streams struct{ Open int }
	errGone := errors.New("gone")
	ends := map[string]func(*sse.EventSource, context.CancelCauseFunc) error{
		"Close":   func(src *sse.EventSource, _ context.CancelCauseFunc) error { src.Close(); return sse.ErrClosed },
		"context": func(_ *sse.EventSource, cancel context.CancelCauseFunc) error { cancel(errGone); return errGone },
	}
	byBoth(t, func(t *testing.T, from maker) {
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				o := sse.Options{}
				log := ssetest.Record(&o)
				k := key(t)
				src := from(&sse.Client{}, ctx, current.URL(t, "/silent?key="+k), o)
				events := src.SelectAll().Events()
				open := current.URL(t, "/open?key="+k)
				until(t, open, "1 stream", func(s streams) bool { return s.Open == 1 })
				if s := src.State(); s != sse.Connecting {
					t.Errorf("the source is %v, want Connecting", s)
				}

				want := end(src, cancel)
				<-src.Done()
				if _, ok := <-events; ok {
					t.Error("got an event")
				}
				if err := src.Err(); err != want {
					t.Errorf("Err is %v, want %v", err, want)
				}
				ssetest.WantCloses(t, log, sse.CloseEvent{IsLocal: true, Err: want, Method: "POST"})
				if ev := log.Closes()[0]; ev.Status != 0 || src.Stats().Opens != 0 {
					t.Errorf("status %d, %d opens, want none", ev.Status, src.Stats().Opens)
				}
				until(t, open, "no stream", func(s streams) bool { return s.Open == 0 })
			})
		}
	})
}

// What looks hung is not: the library's ping brings the head.
func TestOpenWaitsForTheFirstEvent(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		src := from.source(t, &sse.Client{}, current.URL(t, "/silent?ping=300&key="+key(t)), sse.Options{})
		began := time.Now()
		if err := src.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 250*time.Millisecond {
			t.Errorf("open after %v, before there was an event", took)
		}
	})
}
