package main

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

var (
	first  = sse.Event{Name: "price", ID: "1", Data: `{"symbol":"ACME","price":12.5}`}
	halt   = sse.Event{Name: "halt", ID: "2", Data: "ACME"}
	second = sse.Event{Name: "price", ID: "3", Data: `{"symbol":"ACME","price":14.1}`}
	closed = sse.Event{Name: "closed", ID: "4", Data: "see you tomorrow"}
)

// A server is a script: what it answers to the first request, to the second,
// and so on. In a synctest bubble time passes by itself as soon as everybody
// waits, so that the real waits of the real policy cost nothing.
func TestAnHourOfOutageLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Emit(first), ssetest.Reset()))
		for range 30 {
			srv.Then(ssetest.Status(http.StatusServiceUnavailable, "busy").With("Retry-After", "120"))
		}
		srv.Then(ssetest.ResumeFrom([]sse.Event{first, halt, second, closed}))

		start := time.Now()
		var out bytes.Buffer
		prices, err := watch(srv.Source(options()), &out)

		if prices != 2 || err != nil || out.String() != "halt: ACME\n" {
			t.Errorf("prices: %d, error: %v, output: %q", prices, err, &out)
		}
		if took := time.Since(start); took < time.Hour {
			t.Errorf("took %v, want an hour", took)
		}
		// All attempts asked for what follows the one event that had arrived,
		// and waited no longer than they had to. Zero fields match anything.
		want := []ssetest.Request{{}, {LastEventID: first.ID}}
		patient := ssetest.Request{LastEventID: first.ID, Gap: 2 * time.Minute}
		ssetest.WantRequests(t, srv, append(want, slices.Repeat([]ssetest.Request{patient}, 30)...)...)
	})
}

// Want asserts on the sequence of events, whatever the connections did.
func TestAnEventIsWholeOrAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Emit(first), ssetest.Raw("id: 2\nevent: halt\ndata: AC"), ssetest.Abort()), // cut in mid-event
			ssetest.Stream(ssetest.Emit(halt), ssetest.Emit(second), ssetest.Hold()),
		)
		ssetest.Want(t, srv.Source(options()).All(), []sse.Event{first, halt, second})
	})
}

// Record logs the opens and closes of a source.
func TestARefusedTokenIsFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Refuse(nil), ssetest.Status(http.StatusUnauthorized, "who are you?"))
		o := options()
		log := ssetest.Record(&o)

		if _, err := watch(srv.Source(o), io.Discard); err == nil {
			t.Error("no error")
		}
		ssetest.WantCloses(t, log,
			sse.CloseEvent{Retriable: true, Attempt: 1},
			sse.CloseEvent{Status: http.StatusUnauthorized, Err: sse.ErrStatus, Attempt: 2}, // no third
		)
	})
}

// A connection whose server has died without a word.
func TestSilenceIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Emit(first), ssetest.Wait(40*time.Second), ssetest.Comment("heartbeat"), ssetest.Hold()),
			ssetest.Stream(ssetest.Emit(second), ssetest.Emit(closed)),
		)
		o := options()
		log := ssetest.Record(&o)

		if _, err := watch(srv.Source(o), io.Discard); err != nil {
			t.Error(err)
		}
		ssetest.WantCloses(t, log,
			sse.CloseEvent{Err: sse.ErrIdle, Retriable: true, LastEventID: first.ID},
			sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed, Final: &closed},
		)
		// The waits can be asserted on as well: 40 s, 45 s, and a first back-off.
		requests := srv.Requests()
		if took := requests[1].At.Sub(requests[0].At); took < 85*time.Second || took > 89*time.Second {
			t.Errorf("connected again after %v", took)
		}
	})
}
