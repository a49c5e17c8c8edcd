package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/recording"
)

// pipes is a network in memory, for synctest bubbles.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.done)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// serveStreams serves in memory until the test ends, and returns a client.
func serveStreams(t *testing.T, streams http.Handler) *http.Client {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := newEventServer(t.Context(), streams)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(p)
	}()
	transport := &http.Transport{DialContext: p.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
		time.Sleep(time.Second) // net/http lingers half of it
	})
	return &http.Client{Transport: transport}
}

// newReplay returns a replay of a recording at a speed.
func newReplay(t *testing.T, text string, speed float64) *replay {
	t.Helper()
	takes, err := readTakes(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return &replay{takes: takes, speed: speed, end: func() {}}
}

// stepsOf returns the steps of a recording.
func stepsOf(t *testing.T, text string) (steps []recording.Step) {
	t.Helper()
	for s, err := range recording.NewReader(strings.NewReader(text)).All() {
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, s)
	}
	return steps
}

// everything is a recording with everything that a server can do.
const everything = `:@ open status=200 cache-control=no-cache content-type=text/event-stream after=40ms
:@ +10ms
: welcome
retry: 1500

:@ +1s
id: 1
event: price
data: {"p":1}

:@ +2.5s
id: 2
data: two
data: lines

:@ +250ms
event: note
data: without an id of its own

:@ +15s
:@@ end reset
:@ end reset

:@ +1s
:@ fail timeout after=30s

:@ +1s
:@ open status=503 content-type="text/plain; charset=utf-8" retry-after=7 after=2s
:@ end eof

:@ +1s
:@ fail reset after=50ms

:@ +1s
:@ open status=302
:@ end eof

:@ +1s
:@ open status=200 content-type=text/html
:@ end eof

:@ +1s
:@ open status=200 content-type="" x-accel-buffering=no
:@ end eof

:@ +1s
:@ open status=200 content-encoding=br content-type=text/event-stream
:@ end eof

:@ +1s
:@ open status=200 content-type=text/event-stream
:@ +1h0m0s
id: 3
data: 3

:@ +30s
:@ end timeout

:@ +1s
:@ open status=200 content-type=text/event-stream
id:
data: 4

:@ +10ms
id: 5

:@ end eof

`

// endGone is how the recording of a replay ends.
const endGone = `:@ +1s
:@ open status=204
:@ end eof

`

// A recording that is replayed, and recorded, is the same recording.
func TestReplayIsTheInverseOfRecord(t *testing.T) {
	for _, tt := range []struct {
		name  string
		speed float64
		time  func(d time.Duration) time.Duration
	}{
		{"1x", 1, func(d time.Duration) time.Duration { return d }},
		{"10x", 10, func(d time.Duration) time.Duration { return d / 10 }},
		{"max", 0, func(time.Duration) time.Duration { return 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &sse.Client{HTTP: serveStreams(t, newReplay(t, everything, tt.speed))}
				text := recordAll(t, client, "http://replay", sse.Options{IdleTimeout: 2 * time.Hour})
				want := stepsOf(t, everything+endGone)
				var early time.Duration
				for i := range want {
					s := &want[i]
					switch {
					case s.Cause == recording.Timeout:
						// The client waits for as long as its own options say.
						s.Wait, s.After = 2*time.Hour, 0
						if s.Kind == recording.Fail {
							s.Wait, s.After = time.Second, 2*time.Hour
						}
					case s.Kind == recording.Open || s.Kind == recording.Fail:
						s.After = tt.time(s.After)
					default:
						// Times are rounded to milliseconds, but not their sum.
						due := tt.time(s.Wait) + early
						s.Wait = due.Round(time.Millisecond)
						early = due - s.Wait
					}
				}
				if diff := cmp.Diff(want, stepsOf(t, text)); diff != "" {
					t.Errorf("steps (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Silence at its recorded length gives the very same file, and what cannot be
// replayed as it was is the next best thing.
func TestReplayOfAReplayIsTheSameFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := sse.Options{IdleTimeout: 30 * time.Second}
		text := strings.Replace(everything, ":@ +1h0m0s", ":@ +10s", 1)
		client := &sse.Client{HTTP: serveStreams(t, newReplay(t, text, 1))}
		if diff := cmp.Diff(text+endGone, recordAll(t, client, "http://replay", o)); diff != "" {
			t.Errorf("recording (-want +got):\n%s", diff)
		}

		const refused = ":@ fail refused\n\n:@ +1s\n:@ open status=200 content-type=text/event-stream\ndata: 1\n\n:@ end local\n\n:@ +1s\n:@ open status=200 content-type=text/event-stream\n:@ end too-long\n\n"
		client = &sse.Client{HTTP: serveStreams(t, newReplay(t, refused, 1))}
		want := strings.NewReplacer("refused", "reset", "local", "eof", "too-long", "eof").Replace(refused) + endGone
		if diff := cmp.Diff(want, recordAll(t, client, "http://replay", o)); diff != "" {
			t.Errorf("recording (-want +got):\n%s", diff)
		}
	})
}

// ask sends one request and returns the status and what is read of the body,
// whatever ends it.
func ask(t *testing.T, client *http.Client, id string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://replay/any/path", nil)
	if err != nil {
		t.Fatal(err)
	}
	if id != "" {
		req.Header.Set("Last-Event-ID", id)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "failed"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	end := ""
	if err != nil {
		end = " cut"
	}
	return fmt.Sprintf("%d %s%s", resp.StatusCode, strings.Join(strings.Fields(string(body)), ""), end)
}

func TestReplayHonoursLastEventID(t *testing.T) {
	const text = `:@ open
id: 1
data: a

data: b

id: 2
data: c

: last words
:@ end reset

:@ open status=503
:@ fail reset
id: 3
data: d

id: 4
data: e

`
	type step struct{ id, want string }
	tests := []struct {
		name  string
		loop  bool
		steps []step
	}{
		{"without ids", false, []step{
			{"", "200 id:1data:adata:bid:2data:c:lastwords cut"}, {"", "503 "}, {"", "failed"}, {"", "200 id:3data:did:4data:e"}, {"", "204 "}, {"", "204 "},
		}},
		{"as a client resumes", false, []step{
			{"", "200 id:1data:adata:bid:2data:c:lastwords cut"}, {"2", "503 "}, {"2", "failed"}, {"2", "200 id:3data:did:4data:e"}, {"4", "204 "},
		}},
		{"what was lost is sent again", false, []step{
			{"", "200 id:1data:adata:bid:2data:c:lastwords cut"}, {"1", "200 id:2data:c:lastwords cut"}, {"2", "503 "},
		}},
		{"lost long ago", false, []step{{"", "200 id:1data:adata:bid:2data:c:lastwords cut"}, {"2", "503 "}, {"1", "200 id:2data:c:lastwords cut"}, {"2", "failed"}}},
		{"by a client that began before", false, []step{{"3", "200 id:4data:e"}, {"4", "204 "}}},
		{"by a client that has seen all", false, []step{{"4", "204 "}}},
		{"events without ids are sent again to who may not have them", false, []step{{"1", "200 data:bid:2data:c:lastwords cut"}, {"2", "503 "}}},
		{"an id that nothing follows in its connection", false, []step{{"2", "503 "}}},
		{"an unknown id", false, []step{{"x", "200 id:1data:adata:bid:2data:c:lastwords cut"}}},
		{"again and again", true, []step{
			{"3", "200 id:4data:e"},
			{"4", "200 id:1data:adata:bid:2data:c:lastwords cut"},
			{"2", "503 "},
			{"4", "failed"},
			{"2", "200 id:3data:did:4data:e"},
			{"", "200 id:1data:adata:bid:2data:c:lastwords cut"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newReplay(t, text, 0)
				p.loop = tt.loop
				client := serveStreams(t, p)
				for i, s := range tt.steps {
					if got := ask(t, client, s.id); got != s.want {
						t.Errorf("request %d, id %q: %q, want %q", i, s.id, got, s.want)
					}
				}
			})
		})
	}
}

// A client that leaves in the middle gets the rest, also if that is no event.
func TestReplayGoesOnWhereTheClientLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplay(t, ":@ open\nid: 1\ndata: a\n\n:@ +1m\n: last words\n:@ open\ndata: b\n\n", 1)
		client := &sse.Client{HTTP: serveStreams(t, p)}
		source := client.Source("http://replay", sse.Options{})
		for range source.All() {
			break
		}
		synctest.Wait()
		for i, want := range []string{"200 :lastwords", "200 data:b", "204 "} {
			if got := ask(t, client.HTTP, "1"); got != want {
				t.Errorf("request %d: %q, want %q", i, got, want)
			}
		}
	})
}

// What is late does not make late what follows, and waits end with the client.
func TestReplayKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplay(t, ":@ open\n:@ +1s\ndata: a\n\n:@ +1s\ndata: b\n\n:@ +1s\ndata: c\n\n:@ +2540400h\ndata: never\n\n:@ open after=2540400h\n", 1)
		client := &sse.Client{HTTP: serveStreams(t, p)}
		began := time.Now()
		var at []time.Duration
		source := client.Source("http://replay", sse.Options{OnEvent: func(ev sse.Event) {
			at = append(at, time.Since(began))
			if ev.Data == "a" {
				time.Sleep(1500 * time.Millisecond)
			}
		}})
		time.AfterFunc(time.Hour, source.Close)
		source.Run()
		want := []time.Duration{time.Second, 2500 * time.Millisecond, 3 * time.Second}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("times of the events (-want +got):\n%s", diff)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://replay", nil)
		resp, err := client.HTTP.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
	})
}

func TestReplayTellsWhenAllWasServed(t *testing.T) {
	tests := []struct {
		name, text string
		ask        func(t *testing.T, client *http.Client)
		want       time.Duration // since the first request
	}{
		{"after a while", "data: 1\n\n", func(t *testing.T, client *http.Client) { ask(t, client, "") }, lastGrace},
		{"once a client was told so", "data: 1\n\n", func(t *testing.T, client *http.Client) {
			ask(t, client, "")
			time.Sleep(time.Second)
			ask(t, client, "")
		}, time.Second},
		{"not before the last", "data: 1\n\n:@ end reset\ndata: 2\n\n", func(t *testing.T, client *http.Client) {
			ask(t, client, "")
			time.Sleep(time.Minute)
			ask(t, client, "")
		}, time.Minute + lastGrace},
		{"at once if the client leaves", ":@ open\n:@ +1m\ndata: 1\n\n", func(t *testing.T, client *http.Client) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://replay", nil)
			if resp, err := client.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}, time.Second},
		{"after a refused attempt", ":@ fail reset\n", func(t *testing.T, client *http.Client) { ask(t, client, "") }, lastGrace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newReplay(t, tt.text, 1)
				ended := make(chan time.Duration, 9)
				began := time.Now()
				p.end = func() { ended <- time.Since(began) }
				tt.ask(t, serveStreams(t, p))
				if got := <-ended; got != tt.want {
					t.Errorf("told after %v, want %v", got, tt.want)
				}
				time.Sleep(2 * lastGrace) // all timers
			})
		})
	}
}

// A client's id that is not the recording's is not taken back, and a type that
// is recorded as missing is missing.
func TestReplayAddsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := serveStreams(t, newReplay(t, "data: 1\n\n:@ open content-type=\"\"\n", 0))
		if got, want := ask(t, client, "x"), "200 data:1"; got != want {
			t.Errorf("after an unknown id: %q, want %q", got, want)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://replay", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if values, ok := resp.Header["Content-Type"]; ok {
			t.Errorf("a type %q was sent", values)
		}
	})
}

func TestEventServerAnswersPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := serveStreams(t, newReplay(t, "data: 1\n\n:@ end\n\ndata: 2\n\n", 0))
		tests := []struct {
			method, path string
			status       int
			header, want string
		}{
			{http.MethodOptions, "/", 204, "Access-Control-Allow-Headers", "Accept, Authorization, Cache-Control, Content-Type, Last-Event-ID"},
			{http.MethodOptions, "/", 204, "Access-Control-Allow-Methods", "GET, POST"},
			{http.MethodDelete, "/", 405, "Allow", "GET, POST, OPTIONS"},
			{http.MethodGet, "/favicon.ico", 404, "Access-Control-Allow-Origin", "*"},
			{http.MethodGet, "/", 200, "Access-Control-Allow-Origin", "*"},
			{http.MethodPost, "/", 200, "Content-Type", "text/event-stream"},
			{http.MethodPost, "/", 204, "Content-Type", ""},
		}
		for _, tt := range tests {
			req, _ := http.NewRequestWithContext(t.Context(), tt.method, "http://replay"+tt.path, bytes.NewReader(make([]byte, 1<<20)))
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if got := resp.Header.Get(tt.header); resp.StatusCode != tt.status || got != tt.want {
				t.Errorf("%s %s: status %d, %s %q, want %d, %q", tt.method, tt.path, resp.StatusCode, tt.header, got, tt.status, tt.want)
			}
		}
	})
}

func TestURLOf(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:80": "http://127.0.0.1:80", "0.0.0.0:81": "http://localhost:81", "[::]:82": "http://localhost:82", "[::1]:83": "http://[::1]:83",
	} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := urlOf(a); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestParseSpeed(t *testing.T) {
	for text, want := range map[string]float64{"1x": 1, "10x": 10, "0.5x": 0.5, "2": 2, "max": 0} {
		if got, err := parseSpeed(text); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "0x", "-1x", "fast", "Inf", "NaN", "1xx"} {
		if got, err := parseSpeed(text); err == nil || !strings.Contains(err.Error(), "--speed") {
			t.Errorf("%q: %v, %v, want an error", text, got, err)
		}
	}
}

// A page that is asked for twice gets no old stream out of a cache.
func TestReplayIsNotCached(t *testing.T) {
	for text, want := range map[string]string{
		"data: 1\n\n":                      "no-store",
		":@ open\n":                        "no-store",
		":@ open cache-control=no-cache\n": "no-cache",
		":@ open cache-control=\"\"\n":     "",
		":@ open status=200 content-type=text/event-stream\n": "", // recorded: there was none
		":@ open status=404\n":                                "",
	} {
		synctest.Test(t, func(t *testing.T) {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://replay", nil)
			resp, err := serveStreams(t, newReplay(t, text, 0)).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Cache-Control"); got != want {
				t.Errorf("%q: Cache-Control %q, want %q", text, got, want)
			}
		})
	}
}
