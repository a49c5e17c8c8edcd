package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/internal/rows"
)

// soakTime is how long the soak runs: 10 s, or what SSE_SOAK_TIME says, or
// half an hour.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	if s := os.Getenv("SSE_SOAK_TIME"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return time.Duration(rows.Size(10, 30*60)) * time.Second
}

// 500 streams over loopback, each read in one of the ways there are, from a
// server that numbers its events, honours Last-Event-ID, and ends connections
// in all kinds of ways by a seeded plan.
func TestSoak(t *testing.T) {
	const streams = 500
	hub := newHub(t)
	client := &sse.Client{HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: streams}}}
	ctx, cancel := context.WithTimeout(t.Context(), soakTime(t))
	defer cancel()
	before := runtime.NumGoroutine()
	var logs [streams]reading
	var wg sync.WaitGroup
	for i := range logs {
		wg.Go(func() { logs[i].read(ctx, client, fmt.Sprintf("%s/?stream=%d", hub.url, i), i) })
	}
	slope := watchHeap(ctx)
	wg.Wait()
	client.HTTP.CloseIdleConnections()

	var total reading
	for i := range logs {
		if logs[i].locals != 1 {
			t.Errorf("stream %d: %d local closes, want one", i, logs[i].locals)
		}
		total.add(&logs[i])
	}
	if total.lost+total.twice+total.torn > 0 || total.wrong != nil {
		t.Errorf("lost %d, twice or out of order %d, torn %d, %v", total.lost, total.twice, total.torn, total.wrong)
	}
	if total.events < streams || total.closes < streams {
		t.Errorf("%d events and %d closes are no soak", total.events, total.closes)
	}
	if slope > 16<<20 {
		t.Errorf("the heap grew by %d MiB", slope>>20)
	}
	left := settle(before)
	if left > before {
		t.Errorf("%d goroutines more than before", left-before)
	}
	rows.Note(t, "F22", "%d streams, %v: %d events, %d faults: lost 0, twice 0, torn 0; heap %+d MiB, goroutines %+d",
		streams, soakTime(t), total.events, total.closes, slope>>20, left-before)
	rows.Note(t, "P1", "%d events over %d faults: lost 0, twice 0", total.events, total.closes)
	rows.Note(t, "P2", "%d events in order", total.events)
	rows.Note(t, "P6", "%d sources: goroutines %+d", streams, left-before)
	rows.Note(t, "P12", "%d closes, one local for each of %d sources", total.closes, streams)
}

// settle waits for goroutines of net/http that are on their way out.
func settle(want int) int {
	for range 500 {
		if runtime.NumGoroutine() <= want {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

// watchHeap returns by how much the live heap grew between a third of the way
// and the end of ctx.
func watchHeap(ctx context.Context) int64 {
	end, _ := ctx.Deadline()
	select {
	case <-time.After(time.Until(end) / 3):
	case <-ctx.Done():
	}
	early := heap()
	select {
	case <-time.After(time.Until(end) * 9 / 10):
	case <-ctx.Done():
	}
	return heap() - early
}

// A reading is what came of one stream.
type reading struct {
	events, closes, locals  int
	lost, twice, torn, next int
	wrong                   error
}

func (r *reading) add(o *reading) {
	r.events += o.events
	r.closes += o.closes
	r.locals += o.locals
	r.lost += o.lost
	r.twice += o.twice
	r.torn += o.torn
	r.wrong = errors.Join(r.wrong, o.wrong)
}

// see checks one event: its data is its number, three times.
func (r *reading) see(ev sse.Event) {
	n, err := strconv.Atoi(ev.ID)
	switch {
	case err != nil || ev.Data != eventData(n):
		r.torn++
	case n > r.next:
		r.lost += n - r.next
	case n < r.next:
		r.twice++
	}
	r.events++
	r.next = n + 1
}

func eventData(n int) string { return fmt.Sprintf("%d\n%d é %d", n, n, n) }

// read reads a stream until ctx ends, in the i-th way.
func (r *reading) read(ctx context.Context, client *sse.Client, url string, i int) {
	o := sse.Options{
		IdleTimeout: 2 * time.Second,
		Retry:       sse.RetryPolicy{BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(20 * time.Millisecond) }},
		OnClose: func(ev sse.CloseEvent) {
			if r.closes++; ev.IsLocal {
				r.locals++
			}
			if !ev.IsLocal && !(ev.Retriable && expected(ev.Err)) {
				r.wrong = fmt.Errorf("stream %d: %v", i, ev)
			}
			ev.Connect()
		},
	}
	switch i % 4 {
	case 0:
		for ev, err := range client.SourceContext(ctx, url, o).All() {
			if err == nil {
				r.see(ev)
			}
		}
	case 1:
		o.OnEvent = r.see
		client.SourceContext(ctx, url, o).Run()
	case 2:
		for ev := range client.SourceContext(ctx, url, o).Select("n").Events() {
			r.see(ev)
		}
	case 3:
		src := client.SourceContext(ctx, url, o)
		for ev, err := range src.SelectAll().All() {
			if err == nil {
				r.see(ev)
			}
			if r.events%50 == 0 {
				src.Reconnect()
			}
		}
		<-src.Done()
	}
}

// expected reports whether err is one that a program can switch on.
func expected(err error) bool {
	for _, target := range []error{io.EOF, io.ErrUnexpectedEOF, sse.ErrIdle, sse.ErrStatus} {
		if errors.Is(err, target) {
			return true
		}
	}
	var network net.Error // a reset before the head
	return errors.As(err, &network)
}

// A hub serves numbered events and ends connections by a seeded plan.
type hub struct {
	url   string
	conn  atomic.Uint64
	quiet bool // no faults
}

type hubConn struct{}

func newHub(t *testing.T) *hub {
	t.Helper()
	return startHub(t, &hub{})
}

// quietHub is a hub without faults.
func quietHub(t *testing.T) *hub {
	t.Helper()
	return startHub(t, &hub{quiet: true})
}

func startHub(t *testing.T, h *hub) *hub {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.url = "http://" + l.Addr().String()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, hubConn{}, c)
		},
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		srv.Serve(l)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})
	return h
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rnd := rand.New(rand.NewPCG(h.conn.Add(1), 1))
	switch fault := rnd.IntN(20); {
	case h.quiet:
	case fault == 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case fault == 1:
		panic(http.ErrAbortHandler) // no head
	}
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	next, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	if r.Header.Get("Last-Event-ID") != "" {
		next++
	}
	for range 1 + rnd.IntN(40) {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Duration(rnd.IntN(40)) * time.Millisecond):
		}
		if rnd.IntN(5) == 0 {
			fmt.Fprint(w, ": alive\n")
		}
		fmt.Fprintf(w, "id: %d\nevent: n\ndata: %d\ndata: %d é %d\n\n", next, next, next, next)
		next++
		if rc.Flush() != nil {
			return
		}
	}
	switch rnd.IntN(4) {
	case 0: // a clean end
	case 1: // a cut in mid-event, by FIN
		fmt.Fprintf(w, "id: %d\ndata: torn", next)
		rc.Flush()
		panic(http.ErrAbortHandler)
	case 2: // by RST, which destroys what was not read
		fmt.Fprintf(w, "id: %d\nevent: n\ndata: %d\n", next, next)
		rc.Flush()
		if c, ok := r.Context().Value(hubConn{}).(*net.TCPConn); ok {
			c.SetLinger(0) //nolint:errcheck // then it is a FIN
			c.Close()
		}
		panic(http.ErrAbortHandler)
	case 3: // silence
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	}
}
