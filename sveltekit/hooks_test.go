package sveltekit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
	"github.com/wellspring-go/sse/sveltekit"
)

// said collects what hooks say, in order.
type said struct{ lines []string }

func (s *said) add(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func TestTheHooksOfTheCallerAreStillCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t,
			named("a", ssetest.Comment(" hello"), emit("%41"), emit("%"), ssetest.Wait(6*time.Second)),
			ok,
			ssetest.Status(http.StatusServiceUnavailable, "busy"),
			ssetest.Stream(emit("%42"), emit("end")),
		))
		var s said
		client := &sse.Client{HTTP: srv.Client().HTTP, Prepare: func(_ *http.Request, prev sse.CloseEvent) error {
			s.add("Client.Prepare %d", prev.Status)
			return nil
		}}
		src := source(t, srv, sveltekit.Config{Client: client}, sse.Options{
			Method:    "GET",
			Prepare:   func(_ *http.Request, prev sse.CloseEvent) error { s.add("Prepare %d", prev.Status); return nil },
			OnOpen:    func(ev sse.OpenEvent) { s.add("OnOpen %q, attempt %d", ev.Header.Get("X-Sse-Id"), ev.Attempt) },
			OnComment: func(text string) { s.add("OnComment%s", text) },
			OnEvent:   func(ev sse.Event) { s.add("OnEvent %s", ev.Data) },
			OnError:   func(error) { s.add("OnError") },
			EndOn:     func(ev sse.Event) bool { s.add("EndOn %s", ev.Data); return ev.Data == "end" },
			OnClose: func(ev sse.CloseEvent) {
				s.add("OnClose %d, local %t, %d events", ev.Status, ev.IsLocal, ev.Events)
				ev.ConnectAfter(0)
			},
		})
		if err := src.Run(); err != sse.ErrClosed {
			t.Errorf("Run returned %v, want ErrClosed", err)
		}
		want := []string{
			"Client.Prepare 0", "Prepare 0", `OnOpen "a", attempt 0`, "OnComment hello",
			"EndOn A", "OnEvent A",
			"OnError", "EndOn %", "OnEvent %",
			"OnClose 200, local false, 2 events",
			"Client.Prepare 200", "Prepare 200",
			"OnClose 503, local false, 0 events",
			"Client.Prepare 503", "Prepare 503", `OnOpen "", attempt 1`,
			"EndOn %42", "OnEvent %42", // no name: raw
			"EndOn end",
			"OnClose 200, local true, 1 events",
		}
		if diff := gocmp.Diff(want, s.lines); diff != "" {
			t.Errorf("hooks (-want +got):\n%s", diff)
		}
	})
}

func TestWithoutOnCloseTheDefaultPolicyDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "1"})), // resumable
			ssetest.Status(http.StatusServiceUnavailable, "busy"),
			ssetest.Refuse(nil),
			ssetest.Status(http.StatusUnauthorized, "no"), // fatal
		)
		src := source(t, srv, sveltekit.Config{}, sse.Options{Retry: sse.RetryPolicy{
			BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(3 * time.Second) },
		}})
		if err := src.Run(); !errors.Is(err, sse.ErrStatus) {
			t.Errorf("Run returned %v, want a refusal", err)
		}
		ssetest.WantRequests(t, srv,
			ssetest.Request{Method: "POST"},
			ssetest.Request{Gap: 3 * time.Second, LastEventID: "1"},
			ssetest.Request{Gap: 3 * time.Second}, // since the one that was refused
		)
	})
}

func TestAnOnCloseThatDoesNotConnectEndsTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(http.StatusServiceUnavailable, "busy"))
		called := 0
		src := source(t, srv, sveltekit.Config{}, sse.Options{OnClose: func(ev sse.CloseEvent) {
			if called++; !ev.Retriable {
				t.Error("a 503 is not retriable")
			}
		}})
		if err := src.Run(); !errors.Is(err, sse.ErrStatus) || called != 1 {
			t.Errorf("Run returned %v after %d closes", err, called)
		}
	})
}

func TestAnErrorOfPrepareEndsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t, named("a", emit("1"), ssetest.Wait(7*time.Second))))
		errToken := errors.New("no token")
		replies := []error{errToken, nil, sse.Permanent(errToken)}
		o := sse.Options{Method: "GET", Prepare: func(*http.Request, sse.CloseEvent) error {
			err := replies[0]
			replies = replies[1:]
			return err
		}}
		log := ssetest.Record(&o)
		src := source(t, srv, sveltekit.Config{}, o)
		if err := src.Run(); !errors.Is(err, errToken) {
			t.Errorf("Run returned %v, want %v", err, errToken)
		}
		time.Sleep(time.Hour)
		ssetest.WantCloses(t, log,
			sse.CloseEvent{Err: errToken, Retriable: true, Attempt: 1},
			sse.CloseEvent{Status: 200, Err: io.EOF, Retriable: true, Events: 1},
			sse.CloseEvent{Err: errToken, Attempt: 1},
		)
		wantSent(t, srv, "5s a")
	})
}

func TestTheEndOfTheContextEndsSourceAndBeacons(t *testing.T) {
	errEnough := errors.New("enough")
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t, named("a", emit("1"), ssetest.Hold())))
		ctx, cancel := context.WithCancelCause(t.Context())
		o := sse.Options{}
		log := ssetest.Record(&o)
		src := sveltekit.Config{Client: srv.Client()}.Source(ctx, srv.URL(), o)
		time.AfterFunc(7*time.Second, func() { cancel(errEnough) })
		var failure error
		for _, err := range src.All() {
			failure = err
		}
		if failure != errEnough || src.Err() != errEnough {
			t.Errorf("the loop yielded %v, Err is %v, want %v", failure, src.Err(), errEnough)
		}
		ssetest.WantCloses(t, log, sse.CloseEvent{Status: 200, IsLocal: true, Err: errEnough, Events: 1})
		time.Sleep(time.Hour)
		wantSent(t, srv, "5s a")
	})
	synctest.Test(t, func(t *testing.T) { // before it began
		srv := ssetest.New(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errEnough)
		o := sse.Options{}
		log := ssetest.Record(&o)
		if err := (sveltekit.Config{Client: srv.Client()}).Source(ctx, srv.URL(), o).Run(); err != errEnough {
			t.Errorf("Run returned %v, want %v", err, errEnough)
		}
		ssetest.WantCloses(t, log, sse.CloseEvent{IsLocal: true, Err: errEnough})
	})
}

func TestTheCheckOfTheCallerDecides(t *testing.T) {
	errCheck := errors.New("not today")
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t,
			ssetest.Stream(emit("%41"), ssetest.Hold()).With("Content-Type", "application/x-events").With("x-sse-id", "a"),
			named("b", ssetest.Hold()),
		))
		accepts := sse.Options{CheckResponse: func(*http.Response) error { return nil }}
		src := source(t, srv, sveltekit.Config{}, accepts)
		ssetest.Want(t, src.All(), []sse.Event{{Name: "message", Data: "A"}})
		refuses := sse.Options{Retry: sse.NoRetry, CheckResponse: func(*http.Response) error { return errCheck }}
		if err := source(t, srv, sveltekit.Config{}, refuses).Run(); !errors.Is(err, errCheck) {
			t.Errorf("Run returned %v, want %v", err, errCheck)
		}
		time.Sleep(time.Hour)
		wantSent(t, srv)
	})
}

func TestABadURLIsTheFirstClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closes []sse.CloseEvent
		err := sveltekit.Source("example.com/feed", sse.Options{OnClose: func(ev sse.CloseEvent) { closes = append(closes, ev) }}).Run()
		if err == nil || len(closes) != 1 || closes[0].Retriable {
			t.Errorf("Run returned %v after %v", err, closes)
		}
	})
}

func TestSourceUsesTheDefaultClient(t *testing.T) {
	srv := ssetest.NewTCP(t, named("a", emit("%41"), ssetest.Hold()))
	ssetest.Want(t, sveltekit.Source(srv.URL(), sse.Options{}).All(), []sse.Event{{Name: "message", Data: "A"}})
	ssetest.WantRequests(t, srv, ssetest.Request{Method: "POST"})
}

func TestTheOptionsOfTheCallerAreNotChanged(t *testing.T) {
	o := sse.Options{}
	src := sveltekit.Source("http://127.0.0.1:1", o)
	if o.Prepare != nil || o.OnOpen != nil || o.OnClose != nil || o.Transform != nil {
		t.Error("hooks were set")
	}
	src.Close()
	<-src.Done()
}
