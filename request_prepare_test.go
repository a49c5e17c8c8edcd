package sse_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

func TestPrepareOfTheClientRunsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(), ssetest.Stream())
		mark := func(who string) func(*http.Request, sse.CloseEvent) error {
			return func(req *http.Request, _ sse.CloseEvent) error {
				req.Header.Add("X-Prepared", who)
				req.Header.Set("X-Last", who)
				return nil
			}
		}
		client := *srv.Client()
		client.Prepare = mark("client")
		closesOf(t, &client, srv.URL(), sse.Options{Prepare: mark("options")}, 2)
		want := ssetest.Request{Header: http.Header{"X-Prepared": {"client", "options"}, "X-Last": {"options"}}}
		ssetest.WantRequests(t, srv, want, want)
	})
}

func TestPrepareIsToldTheLastClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(503, ""), ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "7"})), ssetest.Refuse(nil), ssetest.Stream())
		type told struct {
			Status, Attempt int
			LastEventID     string
			Events          uint64
			Failed          bool
		}
		var client, options []told
		hook := func(list *[]told) func(*http.Request, sse.CloseEvent) error {
			return func(_ *http.Request, prev sse.CloseEvent) error {
				*list = append(*list, told{prev.Status, prev.Attempt, prev.LastEventID, prev.Events, prev.Err != nil})
				return nil
			}
		}
		c := *srv.Client()
		c.Prepare = hook(&client)
		closesOf(t, &c, srv.URL(), sse.Options{Prepare: hook(&options)}, 4)
		want := []told{{}, {503, 1, "", 0, true}, {200, 0, "7", 1, true}, {0, 1, "7", 0, true}}
		if diff := cmp.Diff(want, options) + cmp.Diff(want, client); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestTokenIsRefreshedInOnCloseAndPutInByPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(401, "expired"), ssetest.Stream(ssetest.Emit(sse.Event{Data: "1"})), ssetest.Status(401, "expired"))
		token, refreshed := "old", false
		o := sse.Options{
			Prepare: func(req *http.Request, _ sse.CloseEvent) error {
				req.Header.Set("Authorization", "Bearer "+token)
				return nil
			},
			OnClose: func(ev sse.CloseEvent) {
				if ev.Status == http.StatusUnauthorized && !refreshed {
					token, refreshed = "new", true
					ev.Connect()
				} else if ev.Status == http.StatusOK {
					ev.Connect()
				}
			},
		}
		if err := srv.Source(o).Run(); !errors.Is(err, sse.ErrStatus) {
			t.Errorf("Run: %v", err)
		}
		bearer := func(token string) ssetest.Request {
			return ssetest.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}
		}
		ssetest.WantRequests(t, srv, bearer("old"), bearer("new"), bearer("new"))
	})
}

func TestProtocolThatOpensWithPostMayResumeWithGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "a"}), ssetest.Abort()).With("Mcp-Session-Id", "s1"),
			ssetest.Stream(ssetest.Emit(sse.Event{Data: "2", ID: "b"}), ssetest.Hold()),
		)
		session := ""
		o := sse.Options{
			Body: []byte("{}"),
			OnOpen: func(ev sse.OpenEvent) {
				if s := ev.Header.Get("Mcp-Session-Id"); s != "" {
					session = s
				}
			},
			Prepare: func(req *http.Request, _ sse.CloseEvent) error {
				if session != "" {
					req.Method = http.MethodGet
					req.Body, req.GetBody, req.ContentLength = nil, nil, 0
					req.Header.Del("Content-Type")
					req.Header.Set("Mcp-Session-Id", session)
				}
				return nil
			},
		}
		ssetest.Collect(t, srv.Source(o).All(), 2)
		ssetest.WantRequests(t, srv,
			ssetest.Request{Method: "POST", Body: "{}"},
			ssetest.Request{Method: "GET", LastEventID: "a", Header: http.Header{"Mcp-Session-Id": {"s1"}}},
		)
		if got := srv.Requests()[1]; got.Body != "" || got.Header.Get("Content-Type") != "" {
			t.Errorf("the GET has body %q, header %v", got.Body, got.Header)
		}
	})
}

// errToken is an error of a hook of the caller's.
var errToken = errors.New("no token")

// hookErrors are errors of hooks that may fail an attempt, and whether another
// may mend them.
var hookErrors = map[string]struct {
	err       error
	retriable bool
}{
	"plain":                       {errToken, true},
	"wrapped":                     {fmt.Errorf("refresh: %w", errToken), true},
	"Permanent":                   {sse.Permanent(errToken), false},
	"backoff.Permanent":           {backoff.Permanent(errToken), false},
	"a wrapped Permanent":         {fmt.Errorf("refresh: %w", sse.Permanent(errToken)), false},
	"a wrapped backoff.Permanent": {fmt.Errorf("refresh: %w", backoff.Permanent(errToken)), false},
}

func TestErrorOfPrepareEndsTheAttempt(t *testing.T) {
	for name, c := range hookErrors {
		for _, of := range []string{"Client", "Options"} {
			t.Run(of+"/"+name, func(t *testing.T) {
				client := clientOf(func(*http.Request) (*http.Response, error) {
					t.Error("the request was sent")
					return nil, errToken
				})
				fail := func(*http.Request, sse.CloseEvent) error { return c.err }
				o := sse.Options{}
				if of == "Client" {
					client.Prepare = fail
				} else {
					o.Prepare = fail
				}
				ev := closeOf(t, client, "http://sse.test", o)
				if ev.Retriable != c.retriable || sse.StandardRetriable(ev) != c.retriable || ev.Status != 0 || !errors.Is(ev.Err, errToken) {
					t.Errorf("got %+v, want retriable %t", ev, c.retriable)
				}
				if want := of + ".Prepare"; !containsAll(ev.Err.Error(), want, "no token") {
					t.Errorf("the text %q does not name %s", ev.Err, want)
				}
			})
		}
	}
}

func TestPermanentOfNilIsNil(t *testing.T) {
	if err := sse.Permanent(nil); err != nil {
		t.Errorf("got %v", err)
	}
}
