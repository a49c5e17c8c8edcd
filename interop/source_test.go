package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/sveltekit"
)

// limit is how long a source may take. Its end closes the source.
const limit = 30 * time.Second

var errLimit = errors.New("the test takes too long")

// atOnce is the default policy without its waits.
var atOnce = sse.RetryPolicy{BackOff: func() backoff.BackOff { return &backoff.ZeroBackOff{} }}

// maker is a way to a source, in the order of a method expression.
type maker func(c *sse.Client, ctx context.Context, url string, o sse.Options) *sse.EventSource

// byBoth runs f for the two ways to a stream that needs no beacons, in
// parallel.
func byBoth(t *testing.T, f func(t *testing.T, from maker)) {
	t.Helper()
	t.Parallel()
	for name, from := range map[string]maker{
		"sse": (*sse.Client).SourceContext,
		"sveltekit": func(c *sse.Client, ctx context.Context, url string, o sse.Options) *sse.EventSource {
			return sveltekit.Config{Client: c}.Source(ctx, url, o)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, from)
		})
	}
}

// source returns a source that is closed and waited for when t ends.
func (m maker) source(t *testing.T, c *sse.Client, url string, o sse.Options) *sse.EventSource {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errLimit)
	src := m(c, ctx, url, o)
	t.Cleanup(func() {
		src.Close()
		<-src.Done()
		cancel()
	})
	return src
}

// wire notes what a client sends.
type wire struct {
	mu   sync.Mutex
	sent []*http.Request
	at   []time.Time
}

func (w *wire) client() *sse.Client { return &sse.Client{HTTP: &http.Client{Transport: w}} }

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent, w.at = append(w.sent, req), append(w.at, time.Now())
	w.mu.Unlock()
	return http.DefaultTransport.RoundTrip(req)
}

// times returns when the requests were sent.
func (w *wire) times() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.at...)
}

// read returns the JSON document at url.
func read[T any](t *testing.T, url string) (v T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return v
}

// until reads the document at url until it is as it ought to be.
func until[T any](t *testing.T, url, what string, ok func(T) bool) {
	t.Helper()
	deadline := time.After(limit)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		v := read[T](t, url)
		if ok(v) {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("%s never said: %s; last %v", url, what, v)
		}
	}
}

// collect returns the events of a channel, up to its end.
func collect(ch <-chan sse.Event) (got []sse.Event) {
	for ev := range ch {
		got = append(got, ev)
	}
	return got
}

var keys atomic.Uint64

// key returns a key for the apps that no other call returns, whatever -count
// is.
func key(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("%s-%d", url.QueryEscape(t.Name()), keys.Add(1))
}
