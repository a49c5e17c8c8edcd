package ssetest_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// exampleT stands for the *testing.T of a test, which examples have none of.
type exampleT struct {
	testing.TB
	cleanups []func()
	failed   bool
}

func (t *exampleT) Helper()          {}
func (t *exampleT) Failed() bool     { return t.failed }
func (t *exampleT) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(format string, args ...any) {
	t.failed = true
	fmt.Printf(format+"\n", args...)
}
func (t *exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

// quick is a schedule for examples, which run in real time. A test has
// testing/synctest for that.
func quick() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }

func ExampleServer() {
	t := &exampleT{} // a test has its own
	defer t.end()
	srv := ssetest.New(t,
		ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "a"}), ssetest.Reset()),
		ssetest.Status(503, "busy"),
		ssetest.Refuse(nil),
		ssetest.Stream(ssetest.Emit(sse.Event{Data: "2", ID: "b"}), ssetest.Hold()),
	)
	o := sse.Options{Retry: sse.RetryPolicy{BackOff: quick}}
	log := ssetest.Record(&o)
	src := srv.Source(o)
	ssetest.Want(t, src.All(), []sse.Event{{Name: "message", Data: "1", ID: "a"}, {Name: "message", Data: "2", ID: "b"}})
	ssetest.WantRequests(t, srv,
		ssetest.Request{Method: "POST"},
		ssetest.Request{LastEventID: "a"},
		ssetest.Request{LastEventID: "a"},
	)
	ssetest.WantCloses(t, log,
		sse.CloseEvent{Status: 200, Events: 1, Retriable: true},
		sse.CloseEvent{Status: 503, Err: sse.ErrStatus, Retriable: true},
		sse.CloseEvent{Attempt: 2, Retriable: true},
		sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed},
	)
	fmt.Println(len(log.Opens()), "opens, failed:", t.Failed())
	// Output: 2 opens, failed: false
}

// The same script on a loopback socket, for clients of any kind.
func ExampleNewTCP() {
	t := &exampleT{}
	defer t.end()
	srv := ssetest.NewTCP(t, ssetest.Stream(ssetest.Raw("data: 1\n", "\n")))
	resp, err := http.Post(srv.URL()+"/feed?x=1", "application/json", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for ev := range sse.NewParser(resp.Body).All() {
		fmt.Println(ev.Data)
	}
	fmt.Println(srv.Requests()[0].Method, srv.Requests()[0].URL)
	// Output:
	// 1
	// POST /feed?x=1
}

// A failure names the event by its index and lists the requests.
func ExampleWant() {
	t := &exampleT{}
	defer t.end()
	srv := ssetest.New(t, ssetest.Stream(ssetest.Emit(sse.Event{Data: "1"})))
	seq := srv.Source(sse.Options{Retry: sse.NoRetry}).All()
	ssetest.Want(t, seq, []sse.Event{{Name: "message", Data: "1"}, {Name: "message", Data: "2"}})
	fmt.Println("failed:", t.Failed())
	// Output:
	// ssetest: event 1: the stream ended
	// want: [{Name:message Data:1 ID:} {Name:message Data:2 ID:}]
	// got: [{Name:message Data:1 ID:}]
	// requests seen: 1
	//   0: POST /, after 0s, last event id "", body ""
	// failed: true
}

func ExampleResumeFrom() {
	t := &exampleT{}
	defer t.end()
	all := []sse.Event{{Data: "1", ID: "1"}, {Data: "2", ID: "2"}, {Data: "3", ID: "3"}}
	srv := ssetest.New(t)
	srv.Always(ssetest.ResumeFrom(all))
	for _, ev := range ssetest.Collect(t, srv.Source(sse.Options{LastEventID: "1"}).All(), 2) {
		fmt.Println(ev.Data)
	}
	// Output:
	// 2
	// 3
}

func ExampleTake() {
	t := &exampleT{}
	defer t.end()
	more := make(chan struct{})
	srv := ssetest.New(t, ssetest.Stream(
		ssetest.Comment("two now"), ssetest.Emit(sse.Event{Data: "1"}), ssetest.Emit(sse.Event{Data: "2"}),
		ssetest.WaitFor(more), ssetest.Emit(sse.Event{Data: "3"}), ssetest.Hold(),
	))
	events := srv.Source(sse.Options{}).SelectAll().Events()
	fmt.Println(len(ssetest.Take(t, events, 2)))
	close(more)
	fmt.Println(ssetest.Take(t, events, 1)[0].Data)
	// Output:
	// 2
	// 3
}

func ExampleEquateJSON() {
	t := &exampleT{}
	defer t.end()
	srv := ssetest.New(t, ssetest.Stream(ssetest.Emit(sse.Event{Name: "price", Data: `{"a": 1, "b": 2}`}), ssetest.Hold()))
	want := []sse.Event{{Name: "price", Data: `{"b":2,"a":1}`}}
	ssetest.Want(t, srv.Source(sse.Options{}).All(), want, ssetest.EquateJSON())
	fmt.Println("failed:", t.Failed())
	// Output: failed: false
}

func ExampleReply_With() {
	t := &exampleT{}
	defer t.end()
	srv := ssetest.New(t)
	srv.Then(ssetest.Status(429, "slow down").With("Retry-After", "30"), ssetest.Redirect(307, "/moved"))
	srv.Then(ssetest.Stream(ssetest.Retry(time.Second), ssetest.Wait(time.Millisecond), ssetest.Abort()))
	o := sse.Options{OnClose: func(ev sse.CloseEvent) {
		fmt.Println(ev.Status, ev.Delay >= 30*time.Second, errors.Is(ev.Err, sse.ErrStatus))
		if ev.Status == 429 {
			ev.ConnectAfter(0)
		}
	}}
	srv.Source(o).Run()
	// Output:
	// 429 true true
	// 200 false false
}

// A server that sends its head with the first event, and a reset that destroys
// what was not read yet.
func ExampleUnanswered() {
	t := &exampleT{}
	defer t.end()
	srv := ssetest.New(t, ssetest.Unanswered(ssetest.Wait(time.Millisecond), ssetest.Emit(sse.Event{Data: "1"}), ssetest.ResetUnread()))
	src := srv.Source(sse.Options{Retry: sse.NoRetry})
	fmt.Println(errors.Is(src.Run(), syscall.ECONNRESET))
	// Output: true
}
