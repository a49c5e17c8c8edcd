package sse_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

func TestPostWithoutIDsIsNotRepeatedByItself(t *testing.T) {
	with, without := ssetest.Emit(sse.Event{Data: "x", ID: "1"}), ssetest.Emit(sse.Event{Data: "x"})
	poisoned := ssetest.Raw("id: a\x01b\ndata: x\n\n")
	cleared := ssetest.Raw("id\ndata: x\n\n")
	cut, end, silent := ssetest.Reset(), ssetest.Raw(":"), ssetest.Hold()
	for name, c := range map[string]struct {
		steps     []ssetest.Step
		resumable bool // if the method is not idempotent
	}{
		"cut after an event":               {[]ssetest.Step{without, cut}, false},
		"ended after an event":             {[]ssetest.Step{without, end}, false},
		"silent after an event":            {[]ssetest.Step{without, silent}, false},
		"cut after an event with an id":    {[]ssetest.Step{with, cut}, true},
		"ended after an event with an id":  {[]ssetest.Step{with, end}, true},
		"silent after an event with an id": {[]ssetest.Step{with, silent}, true},
		"an id on the first only":          {[]ssetest.Step{with, without, cut}, true},
		"an id on the last only":           {[]ssetest.Step{without, with, cut}, true},
		"before an event":                  {[]ssetest.Step{cut}, true},
		"in the first event":               {[]ssetest.Step{ssetest.Raw("data: x\n"), cut}, true},
		"after a comment":                  {[]ssetest.Step{ssetest.Comment("hi"), end}, true},
		"an id that cannot be sent":        {[]ssetest.Step{poisoned, cut}, true},
		"an id that was cleared":           {[]ssetest.Step{with, cleared, cut}, true},
	} {
		for method, idempotent := range map[string]bool{"POST": false, "PATCH": false, "GET": true, "PUT": true, "DELETE": true, "QUERY": true} {
			t.Run(name+"/"+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					reply := ssetest.Stream(c.steps...)
					srv := ssetest.New(t, reply)
					o := sse.Options{Method: method, IdleTimeout: time.Minute}
					want := c.resumable || idempotent
					if ev := closeOf(t, srv.Client(), srv.URL(), o); ev.Resumable != want || ev.Retriable != want || sse.DefaultRetriable(ev) != want || !sse.StandardRetriable(ev) {
						t.Errorf("got %+v, want Resumable and Retriable %t", ev, want)
					}
					if want {
						return
					}
					srv.Then(reply, reply)
					var failure error
					src := srv.Source(o)
					for _, err := range src.All() {
						failure = errors.Join(failure, err)
					}
					clean := name == "ended after an event"
					switch err := src.Err(); {
					case clean && (failure != nil || err != io.EOF):
						t.Errorf("a clean end is no failure: loop %v, Err %v", failure, err)
					case !clean && (!containsAll(fmt.Sprint(failure), "not repeated", method, "Options.Retry", "OnClose") || err == nil || err.Error() != failure.Error()):
						t.Errorf("loop %v, Err %v", failure, err)
					case !clean && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, sse.ErrIdle):
						t.Errorf("%v hides the cause", err)
					}
					// It is not repeated on a policy of the caller's account.
					o.Retry.Retriable = func(sse.CloseEvent) bool { return false }
					if err := srv.Source(o).Run(); containsAll(fmt.Sprint(err), "not repeated") {
						t.Errorf("the policy is the caller's, yet: %v", err)
					}
				})
			})
		}
	}
}

func TestResumableIsOfTheConnection(t *testing.T) {
	// An id of an earlier connection does not make this one's work resumable.
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Stream(ssetest.Emit(sse.Event{Data: "x", ID: "1"}), ssetest.Abort()),
			ssetest.Stream(ssetest.Emit(sse.Event{Data: "x"}), ssetest.Abort()),
		)
		closes := closesOf(t, srv.Client(), srv.URL(), sse.Options{}, 2)
		if !closes[0].Resumable || closes[1].Resumable || closes[1].LastEventID != "1" {
			t.Errorf("got %+v", closes)
		}
	})
}
