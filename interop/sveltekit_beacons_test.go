package interop

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
	"github.com/wellspring-go/sse/sveltekit"
)

// countdown is after how long without a beacon the app ends a stream whose
// path is stream.
const (
	countdown = 800 * time.Millisecond
	stream    = "/beacon/800"
)

// beacon is what the app saw of one.
type beacon struct {
	At            int64 // ms
	Method, Query string
	Headers       map[string]string
	Body          string
}

// opened makes o note the time and the stream's name at the first open.
func opened(o *sse.Options) (at *time.Time, id *string) {
	at, id = new(time.Time), new(string)
	o.OnOpen = func(ev sse.OpenEvent) { *at, *id = time.Now(), ev.Header.Get("X-Sse-Id") }
	return at, id
}

func TestBeaconsKeepAStreamAlive(t *testing.T) {
	t.Parallel()
	const interval = countdown / 4
	o := sse.Options{Retry: sse.NoRetry, Header: http.Header{"Authorization": {"Bearer b"}, "X-Trace": {"t"}}, Body: []byte(`{}`)}
	at, id := opened(&o)
	log := ssetest.Record(&o)
	config := sveltekit.Config{Client: &sse.Client{Header: http.Header{"X-Tenant": {"acme"}}}, Beacon: interval}
	src := maker(func(_ *sse.Client, ctx context.Context, url string, o sse.Options) *sse.EventSource {
		return config.Source(ctx, url, o)
	}).source(t, nil, beacons.URL(t, stream+"?room=7"), o)

	n := 0
	for ev, err := range src.All() {
		if n++; err != nil || ev.Data != fmt.Sprintf("%d of 100%%", n) {
			t.Fatalf("event %d is %+v, error %v", n, ev, err)
		}
		if time.Since(*at) > 3*countdown {
			break
		}
	}
	if alive := time.Since(*at); alive < 3*countdown {
		t.Fatalf("the stream ended after %v: %v", alive, log.Closes())
	}

	seen := read[[]beacon](t, beacons.URL(t, "/seen?id="+*id))
	if n := len(seen); n < 3*4-4 || n > 3*4+1 {
		t.Errorf("%d beacons in %v at an interval of %v", n, 3*countdown, interval)
	}
	for i, b := range seen {
		got := [...]string{b.Method, b.Query, b.Body, b.Headers["authorization"], b.Headers["x-trace"], b.Headers["x-tenant"]}
		want := [...]string{"POST", "?x-sse-id=" + *id, "", "Bearer b", "t", "acme"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("beacon %d (-want +got):\n%s", i, diff)
		}
	}
	if len(seen) > 0 {
		// The clocks are those of one machine; the server's has milliseconds.
		if after := time.UnixMilli(seen[0].At).Sub(*at); after < interval-5*time.Millisecond || after > countdown {
			t.Errorf("the first beacon came %v after the open, want %v", after, interval)
		}
	}
}

// The beacons of another stream show that time has passed.
func TestBeaconsEndWithTheStream(t *testing.T) {
	t.Parallel()
	const interval = 50 * time.Millisecond
	open := func() (*sse.EventSource, string) {
		o := sse.Options{Retry: sse.NoRetry}
		_, id := opened(&o)
		src := beaconing(interval).source(t, nil, beacons.URL(t, stream), o)
		if err := src.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		return src, beacons.URL(t, "/seen?id="+*id)
	}
	first, seenOfFirst := open()
	until(t, seenOfFirst, "2 beacons", func(b []beacon) bool { return len(b) >= 2 })
	first.Close()
	<-first.Done()

	_, seenOfSecond := open()
	// The server may count one that was under way only now.
	until(t, seenOfSecond, "1 beacon", func(b []beacon) bool { return len(b) >= 1 })
	before := len(read[[]beacon](t, seenOfFirst))
	until(t, seenOfSecond, "6 beacons", func(b []beacon) bool { return len(b) >= 6 })
	if after := len(read[[]beacon](t, seenOfFirst)); after != before {
		t.Errorf("%d beacons for a stream that was closed", after-before)
	}
}

func TestWithoutBeaconsAStreamEndsCleanly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		from   maker
	}{
		"none":           {"POST", beaconing(-1)},
		"none for a GET": {"GET", beaconing(-1)},
		"too late":       {"POST", beaconing(time.Hour)},
		"after 5 s":      {"POST", beaconing(0)},
		"package sse":    {"POST", (*sse.Client).SourceContext},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sse.Options{Method: c.method, Retry: sse.NoRetry}
			at, id := opened(&o)
			log := ssetest.Record(&o)
			src := c.from.source(t, &sse.Client{}, beacons.URL(t, stream), o)
			n := len(collect(src.Select("tick").Events()))
			alive := time.Since(*at)
			<-src.Done()
			if n == 0 || alive < countdown/2 || alive > 3*countdown {
				t.Errorf("%d events, the end after %v, want it after %v", n, alive, countdown)
			}
			ssetest.WantCloses(t, log, sse.CloseEvent{Status: 200, Err: io.EOF, Events: uint64(n)})
			if got := read[[]beacon](t, beacons.URL(t, "/seen?id="+*id)); len(got) != 0 || *id == "" {
				t.Errorf("stream %q got beacons: %v", *id, got)
			}
		})
	}
}

// beaconing is the way to a source whose beacons have an interval.
func beaconing(interval time.Duration) maker {
	return func(c *sse.Client, ctx context.Context, url string, o sse.Options) *sse.EventSource {
		return sveltekit.Config{Client: c, Beacon: interval}.Source(ctx, url, o)
	}
}

func TestAReconnectGivesBeaconsTheNewName(t *testing.T) {
	t.Parallel()
	const interval = countdown / 4
	var ids []string
	o := sse.Options{Retry: atOnce, OnOpen: func(ev sse.OpenEvent) { ids = append(ids, ev.Header.Get("X-Sse-Id")) }}
	src := beaconing(interval).source(t, nil, beacons.URL(t, stream), o)
	ticks := src.Select("tick").Events()
	ssetest.Take(t, ticks, 1)
	src.Reconnect()
	for ev := range ticks {
		if ev.ID == "1" {
			break
		}
	}
	seenOfFirst := beacons.URL(t, "/seen?id="+ids[0])
	before := len(read[[]beacon](t, seenOfFirst))
	// Well beyond the countdown of both.
	ssetest.Take(t, ticks, int(3*countdown/(200*time.Millisecond)))
	src.Close()
	<-src.Done()
	if len(ids) != 2 || ids[0] == ids[1] {
		t.Fatalf("the streams are %q, want two", ids)
	}
	if after := len(read[[]beacon](t, seenOfFirst)); after != before {
		t.Errorf("%d beacons for the stream that was left", after-before)
	}
	if got := read[[]beacon](t, beacons.URL(t, "/seen?id="+ids[1])); len(got) < 6 {
		t.Errorf("%d beacons for the new stream", len(got))
	}
}

// SvelteKit redirects /beacon/800/ to /beacon/800, and so it would a beacon.
func TestBeaconsKeepAStreamBehindARedirectAlive(t *testing.T) {
	t.Parallel()
	o := sse.Options{Retry: sse.NoRetry}
	at, _ := opened(&o)
	src := beaconing(countdown/4).source(t, nil, beacons.URL(t, stream+"/"), o)
	for range src.All() {
		if time.Since(*at) > 2*countdown {
			return
		}
	}
	t.Errorf("the stream ended after %v: %v", time.Since(*at), src.Err())
}

func TestEncodedDataIsDecoded(t *testing.T) {
	t.Parallel()
	want := []sse.Event{
		{Name: "json", Data: `{"text":"a \"b\" & c","value":1.5}`},
		{Name: "lines", Data: "first\nsecond\n\nfourth"},
		{Name: "cr", Data: "first\r\nsecond\rthird"},
		{Name: "unicode", Data: "😀 漢字 e\u0301 \uFEFF \x00"},
		{Name: "percent", Data: "100% a+b %41 %zz %E2%82"},
		{Name: "spaces", Data: "  two in front, two behind  "},
		{Name: "größe %41", Data: "a name is not encoded"},
		{Name: "empty", Data: ""},
		{Name: "message", Data: "an empty name"},
	}
	for i := range want {
		want[i].ID = string(rune('1' + i))
	}
	for _, method := range []string{"POST", "GET"} {
		o := sse.Options{Method: method, Retry: sse.NoRetry, OnError: func(err error) { t.Error(err) }}
		src := maker(func(_ *sse.Client, _ context.Context, url string, o sse.Options) *sse.EventSource {
			return sveltekit.Source(url, o)
		}).source(t, nil, beacons.URL(t, "/encoded"), o)
		ssetest.Want(t, src.All(), want)
	}
}

// A server that does not name its streams gives no sign that it encodes.
func TestDecodeDecodesWhatGivesNoSign(t *testing.T) {
	t.Parallel()
	for decode, want := range map[bool]string{false: "100%25 a+b %E2%82%AC", true: "100% a+b €"} {
		src := maker(func(_ *sse.Client, ctx context.Context, url string, o sse.Options) *sse.EventSource {
			return sveltekit.Config{Decode: decode}.Source(ctx, url, o)
		}).source(t, nil, current.URL(t, "/events"), sse.Options{})
		ssetest.Want(t, src.Select("percent").All(), []sse.Event{{Name: "percent", Data: want, ID: "15"}})
	}
}
