package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/cursor"
)

// feed answers the first request with the first body, and so on, each an event
// stream that ends cleanly; then it says stop (204).
func feed(bodies ...string) *httptest.Server {
	var n atomic.Int64
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i := int(n.Add(1)) - 1
		if i >= len(bodies) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, bodies[i])
	}))
}

// quick is a schedule for examples, which have no time to wait.
func quick() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) }

// Which disconnects are fatal, and which are worth a retry? OnClose decides.
func Example() {
	srv := feed("event: price\nid: 1\ndata: 101\n\n", "event: price\nid: 2\ndata: 102\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{
		Body:  []byte(`{"topic":"prices"}`), // sent by POST
		Retry: sse.RetryPolicy{BackOff: quick},
		OnClose: func(ev sse.CloseEvent) {
			switch {
			case ev.IsLocal: // we closed it
			case ev.Retriable:
				fmt.Println("retriable:", ev.Err)
				ev.Connect() // again, after ev.Delay
			default:
				fmt.Println("stays closed:", ev.Status)
			}
		},
	})
	defer src.Close()
	for ev := range src.Select("price").Events() {
		fmt.Println(ev.Name, ev.Data)
	}
	// Unordered output:
	// price 101
	// retriable: EOF
	// price 102
	// retriable: EOF
	// stays closed: 204
}

func ExampleSource() {
	srv := feed("data: hello\n\nevent: bye\ndata: for now\n\n")
	defer srv.Close()
	for ev, err := range sse.Source(srv.URL, sse.Options{Method: "GET", Retry: sse.NoRetry}).All() {
		if err != nil {
			fmt.Println("failed:", err)
			break
		}
		fmt.Println(ev.Name, ev.Data)
	}
	// Output:
	// message hello
	// bye for now
}

func ExampleSourceContext() {
	srv := feed("data: tick\n\n")
	defer srv.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	src := sse.SourceContext(ctx, srv.URL, sse.Options{})
	for ev, err := range src.All() {
		if err != nil {
			fmt.Println("ended:", err)
			break
		}
		fmt.Println(ev.Data)
		cancel(errors.New("shutting down"))
	}
	// Output:
	// tick
	// ended: shutting down
}

// A client holds what many sources share: connections, headers, a logger.
func ExampleClient() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: %s for %s\n\n", r.URL.Path, r.Header.Get("X-Api-Key"))
	}))
	defer srv.Close()
	client := &sse.Client{
		HTTP:   &http.Client{Timeout: 10 * time.Second}, // for a response head; it never cuts a stream
		Header: http.Header{"X-Api-Key": {"k1"}},
	}
	for _, path := range []string{"/prices", "/halts"} {
		for ev := range client.Source(srv.URL+path, sse.Options{Retry: sse.NoRetry}).All() {
			fmt.Println(ev.Data)
		}
	}
	// Output:
	// /prices for k1
	// /halts for k1
}

func ExampleClient_SourceContext() {
	srv := feed("data: 1\n\n")
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for ev := range sse.DefaultClient.SourceContext(ctx, srv.URL, sse.Options{Retry: sse.NoRetry}).All() {
		fmt.Println(ev.Data)
	}
	// Output: 1
}

// 401 is fatal unless OnClose says otherwise: it refreshes the token, and
// Prepare puts it in.
// EndOn names the terminator of the protocol. It is not delivered, and the end
// of the stream that comes along with it cannot lead to a reconnect.
// What other clients do in onopen: say which answers are an error for good.
func ExampleCheckResponse() {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{
		CheckResponse: func(resp *http.Response) error {
			err := sse.CheckResponse(resp)
			if err != nil && resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
				return sse.Permanent(err) // the client's own fault: a retry mends nothing
			}
			return err
		},
	})
	fmt.Println(errors.Is(src.Run(), sse.ErrStatus))
	// Output: true
}

func ExampleResponseError() {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	err := sse.Source(srv.URL, sse.Options{}).Run()
	var refused *sse.ResponseError
	if errors.As(err, &refused) {
		fmt.Printf("%s %d %s: %q\n", refused.Method, refused.Status, refused.StatusText, refused.Body)
	}
	// Output: POST 404 Not Found: "404 page not found\n"
}

// Where other clients call close({status, isLocal}), OnClose gets a
// CloseEvent; what it does not ask for does not happen.
func ExampleCloseEvent() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{OnClose: func(ev sse.CloseEvent) {
		fmt.Println(ev.Status, ev.StatusText, ev.IsLocal, ev.Retriable)
		if ev.IsLocal || ev.Status == 401 {
			return
		}
		ev.Connect()
	}})
	src.Run()
	// Output: 401 Unauthorized false false
}

func ExampleEventSource_All() {
	srv := feed("id: 7\ndata: one\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{})
	for ev, err := range src.All() {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(ev.ID, ev.Data)
		break // closes the source
	}
	fmt.Println(src.State(), src.Err())
	// Output:
	// 7 one
	// Closed sse: closed
}

// Open waits for the response, so that a program can say at once why it cannot
// begin.
func ExampleEventSource_Open() {
	srv := feed("data: 1\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{})
	defer src.Close()
	if err := src.Open(context.Background()); err != nil {
		fmt.Println("cannot open:", err)
		return
	}
	fmt.Println(src.State())
	// Output: Open
}

// Run is for sources whose events go to OnEvent.
func ExampleEventSource_Run() {
	srv := feed("data: 1\n\nevent: stop\ndata:\n\ndata: never seen\n\n")
	defer srv.Close()
	var src *sse.EventSource
	src = sse.Source(srv.URL, sse.Options{OnEvent: func(ev sse.Event) {
		fmt.Println(ev.Name)
		if ev.Name == "stop" {
			src.Close() // nothing after it is delivered, nothing is retried
		}
	}})
	fmt.Println(src.Run())
	// Output:
	// message
	// stop
	// sse: closed
}

func ExampleEventSource_Select() {
	srv := feed("event: price\ndata: 101\n\nevent: halt\ndata: ACME\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{Retry: sse.NoRetry})
	prices, halts := src.Select("price").Events(), src.Select("halt", "suspend").Events()
	for prices != nil || halts != nil {
		select {
		case ev, ok := <-prices:
			if !ok {
				prices = nil // the source has ended
				continue
			}
			fmt.Println("price", ev.Data)
		case ev, ok := <-halts:
			if !ok {
				halts = nil
				continue
			}
			fmt.Println("halt", ev.Data)
		}
	}
	// Unordered output:
	// price 101
	// halt ACME
}

func ExampleEventSource_SelectAll() {
	srv := feed("data: 1\n\nevent: x\ndata: 2\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{Retry: sse.NoRetry})
	for ev := range src.SelectAll().Events() {
		fmt.Println(ev.Name, ev.Data)
	}
	// Output:
	// message 1
	// x 2
}

// Reconnect asks for a new stream at once, say because what it is about has
// changed.
func ExampleEventSource_Reconnect() {
	srv := feed("data: old\n\n", "data: new\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{})
	for ev := range src.All() {
		fmt.Println(ev.Data)
		if ev.Data == "new" {
			break
		}
		src.Reconnect()
	}
	// Output:
	// old
	// new
}

// With a cursor the next run of the program goes on after the last event that
// was acknowledged.
func ExampleEventSource_Ack() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		last := 0
		fmt.Sscan(r.Header.Get("Last-Event-ID"), &last) //nolint:errcheck // stays 0
		for id := last + 1; id <= 3; id++ {
			fmt.Fprintf(w, "id: %d\ndata: event %d\n\n", id, id)
		}
	}))
	defer srv.Close()
	dir, _ := os.MkdirTemp("", "cursor")
	defer os.RemoveAll(dir)
	for range 2 { // two runs of a program that handles one event
		src := sse.Source(srv.URL, sse.Options{Cursor: cursor.File(filepath.Join(dir, "feed"))})
		for ev := range src.All() {
			fmt.Println(ev.Data)
			if err := src.Ack(ev); err != nil {
				fmt.Println(err)
			}
			break
		}
	}
	// Output:
	// event 1
	// event 2
}

func ExampleEventSource_Stats() {
	srv := feed("data: 1\n\ndata: 2\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{Retry: sse.NoRetry, OnEvent: func(sse.Event) {}})
	src.Run()
	st := src.Stats()
	fmt.Println(st.Events, st.Bytes, st.Opens, st.Closes)
	// Output: 2 18 1 1
}

func ExampleSelection_All() {
	srv := feed("event: a\ndata: 1\n\nevent: b\ndata: 2\n\nevent: a\ndata: 3\n\n")
	defer srv.Close()
	for ev, err := range sse.Source(srv.URL, sse.Options{Retry: sse.NoRetry}).Select("a").All() {
		fmt.Println(ev.Data, err)
	}
	// Output:
	// 1 <nil>
	// 3 <nil>
}

type quote struct{ Price float64 }

func ExampleJSON() {
	srv := feed("event: price\ndata: {\"price\":101.5}\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{Retry: sse.NoRetry})
	for m, err := range sse.JSON[quote](src.Select("price").All()) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(m.Name, m.Value.Price)
	}
	// Output: price 101.5
}

// Data that does not decode is no reason to stop: the last good value stays.
func ExampleDecodeError() {
	srv := feed("data: {\"price\":1}\n\ndata: oops\n\ndata: {\"price\":3}\n\n")
	defer srv.Close()
	var last quote
	for m, err := range sse.JSON[quote](sse.Source(srv.URL, sse.Options{Retry: sse.NoRetry}).All()) {
		var bad *sse.DecodeError
		switch {
		case errors.As(err, &bad):
			fmt.Printf("%q is no quote; still ", bad.Event.Data)
		case err != nil:
			fmt.Println(err)
			return
		default:
			last = m.Value
		}
		fmt.Println(last.Price)
	}
	// Output:
	// 1
	// "oops" is no quote; still 1
	// 3
}

func ExampleEvent_JSON() {
	var q quote
	err := sse.Event{Name: "price", Data: `{"price": 7}`}.JSON(&q)
	fmt.Println(q.Price, err)
	// Output: 7 <nil>
}

// The parser needs no HTTP.
func ExampleParser() {
	p := sse.NewParser(strings.NewReader("retry: 2000\nid: 1\ndata: two\ndata: lines\n\ndata: cut off"))
	for ev, err := range p.All() {
		fmt.Printf("%q %v\n", ev, err)
	}
	retry, ok := p.Retry()
	fmt.Println(p.LastEventID(), retry, ok)
	// Output:
	// {"message" "two\nlines" "1"} <nil>
	// 1 2s true
}

func ExampleParser_Next() {
	p := sse.NewParser(strings.NewReader("data: 1\n\n"))
	ev, err := p.Next()
	fmt.Println(ev.Data, err)
	_, err = p.Next()
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// EOF
}

// A gateway copies events onward; it keeps none, so it need not own them.
func ExampleParser_Raw() {
	p := sse.NewParser(strings.NewReader("id: 5\nevent: tick\ndata: 1\n\ndata: 2\n\n"))
	for ev, err := range p.Raw() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %s %s\n", ev.Name, ev.ID, ev.Data) // gone with the next turn
	}
	// Output:
	// tick 5 1
	// message 5 2
}

func ExampleParser_Reset() {
	p := sse.NewParser(strings.NewReader("id: 5\ndata: a\n\ndata: cut o"))
	for ev := range p.All() {
		fmt.Println(ev.ID, ev.Data)
	}
	p.Reset(strings.NewReader("data: b\n\n")) // the next connection
	for ev := range p.All() {
		fmt.Println(ev.ID, ev.Data)
	}
	// Output:
	// 5 a
	// 5 b
}

// Give up after two attempts more, wait a second between them, and retry only
// what the standard retries.
func ExampleRetryPolicy() {
	policy := sse.RetryPolicy{
		BackOff: func() backoff.BackOff {
			return backoff.WithMaxRetries(backoff.NewConstantBackOff(time.Second), 2)
		},
		Retriable: sse.StandardRetriable,
	}
	src := sse.Source("http://127.0.0.1:0", sse.Options{Retry: policy, OnClose: func(ev sse.CloseEvent) {
		fmt.Println(ev.Attempt, ev.Retriable, ev.Delay)
		if ev.Retriable {
			ev.ConnectAfter(0) // not ev.Delay: this is an example
		}
	}})
	src.Run()
	// Output:
	// 1 true 1s
	// 2 true 1s
	// 3 false 0s
}

func ExampleDefaultRetriable() {
	for _, status := range []int{401, 429, 503} {
		fmt.Println(status, sse.DefaultRetriable(sse.CloseEvent{Status: status, Err: sse.ErrStatus, Resumable: true}))
	}
	fmt.Println("POST that brought events without ids:", sse.DefaultRetriable(sse.CloseEvent{Err: io.ErrUnexpectedEOF, Method: "POST"}))
	// Output:
	// 401 false
	// 429 true
	// 503 true
	// POST that brought events without ids: false
}

func ExampleStandardRetriable() {
	fmt.Println(sse.StandardRetriable(sse.CloseEvent{Status: 503, Err: sse.ErrStatus}))
	fmt.Println(sse.StandardRetriable(sse.CloseEvent{Status: 200, Err: io.EOF}))
	// Output:
	// false
	// true
}

func ExampleNewBackOff() {
	first := sse.NewBackOff().NextBackOff()
	fmt.Println(first >= 300*time.Millisecond && first <= 3*time.Second)
	// Output: true
}

func ExamplePermanent() {
	src := sse.Source("http://127.0.0.1:0", sse.Options{Prepare: func(*http.Request, sse.CloseEvent) error {
		return sse.Permanent(errors.New("the licence has expired"))
	}})
	fmt.Println(src.Run())
	// Output: sse: Options.Prepare: the licence has expired
}

// A protocol that opens with POST and resumes with GET and a session header.
// A peer that vanishes without a word is silent for ever. Any byte is a sign
// of life, comments too: two or three times the server's heartbeat is right.
// OnRetry shows how long the server wants its clients to wait.
// Transform changes events before anything else sees them.
// A display wants the newest values and not all of them.
func ExampleOverflow() {
	srv := feed("data: 1\n\ndata: 2\n\ndata: 3\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{Retry: sse.NoRetry, Buffer: 1, Overflow: sse.DropOldest})
	x := src.SelectAll()
	events := x.Events()
	<-src.Done() // nobody receives meanwhile
	fmt.Println((<-events).Data, x.Dropped())
	// Output: 3 2
}

func ExampleParser_SetLastEventID() {
	p := sse.NewParser(strings.NewReader("data: x\n\n"))
	p.SetLastEventID("7") // of an earlier connection
	ev, _ := p.Next()
	fmt.Println(ev.ID)
	// Output: 7
}
