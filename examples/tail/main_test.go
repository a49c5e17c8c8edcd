package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// The demo at its real pace, with the real waits, on an in-memory network in a
// bubble, where both take no time. The waits are drawn anew each time.
func TestDemoShowsEveryKindOfCloseAndLosesNothing(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			network := make(pipes)
			client := &sse.Client{HTTP: &http.Client{Transport: &http.Transport{DialContext: network.dial}}}
			var out strings.Builder
			start := time.Now()
			code := demo(t.Context(), network, client, &printer{out: &out, start: start})
			if took := time.Since(start); code != 0 || took > 15*time.Second {
				t.Errorf("exit code %d after %v", code, took)
			}
			wantInOrder(t, out.String(),
				"open      status 200",
				"event     price (id 1)", "event     price (id 2)",
				"comment   heartbeat",
				"event     halt (id 3)",
				"server    * cuts",
				"close     retriable: stream cut", "connecting again in ",
				"close     retriable: server answered 503", "connecting again in ", "Retry-After: 1",
				"open      status 200 OK, asked to resume after id 3",
				"event     news (id 4):\n", "merge.\n", "Trading goes on",
				"event     price (id 5)", "event     price (id 6)",
				`close     closed by this side: the server announced its end with the event "stop"`,
				"6 events, 6 arrived: resumed with none lost, none twice",
				"close     fatal: server answered 401", "it stays closed",
			)
			if n := strings.Count(out.String(), "event     "); n != 6 {
				t.Errorf("%d events printed, want 6:\n%s", n, &out)
			}
		})
	}
}

func TestDemoRunsOnLoopbackAndCtrlCEndsIt(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	out := &watched{text: "price (id 1)", then: interrupt}
	if code := run(ctx, nil, out); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	wantInOrder(t, out.String(), "http://127.0.0.1:", "open      status 200", "price (id 1)", "closed by this side")
}

func TestURLIsFollowedUntilItsFatalEnd(t *testing.T) {
	srv := ssetest.NewTCP(t,
		ssetest.Stream(
			ssetest.Retry(10*time.Millisecond),
			ssetest.Emit(sse.Event{Name: "lines", ID: "a", Data: "first\nsecond"}),
			ssetest.Emit(sse.Event{Name: "\x1b[2Jname", ID: "\u202eb", Data: "\x1b]0;title\a\u009b1m \u0434\t1"}),
		),
		ssetest.Status(http.StatusUnauthorized, "expired"),
	)
	var out strings.Builder
	args := []string{"-X", "PUT", "-H", "Authorization: Bearer t1", "-H", "X-Two:2", "-d", `{"a":1}`, srv.URL()}
	if code := run(t.Context(), args, &out); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	wantInOrder(t, out.String(),
		"open      status 200 OK",
		"event     lines (id a):\n                   first\n                   second\n",
		`event     \x1b[2Jname (id \u202eb): \x1b]0;title\a\u009b1m `+"\u0434"+`\t1`,
		"close     retriable: the stream ended cleanly\n", "connecting again in ", "ms\n",
		"close     fatal: server answered 401 Unauthorized",
	)
	ssetest.WantRequests(t, srv,
		ssetest.Request{Method: http.MethodPut, Body: `{"a":1}`, Header: http.Header{"Authorization": {"Bearer t1"}, "X-Two": {"2"}}},
		ssetest.Request{Method: http.MethodPut, Body: `{"a":1}`, LastEventID: "\u202eb"},
	)
}

func TestExitCodeSaysWhoEndedIt(t *testing.T) {
	event := ssetest.Emit(sse.Event{Data: "1"})
	for name, test := range map[string]struct {
		args  []string
		reply ssetest.Reply
		code  int
		want  string
	}{
		"clean end of a POST that cannot be repeated": {nil, ssetest.Stream(event), 0, "ended: the stream ended cleanly\n"},
		"cut of one":           {nil, ssetest.Stream(event, ssetest.Abort()), 1, "fatal: stream cut"},
		"the server says stop": {[]string{"-X", "GET"}, ssetest.Status(http.StatusNoContent, ""), 0, "ended: the server says stop"},
		"not an event stream":  {nil, ssetest.Status(http.StatusOK, "<html>"), 1, "fatal: not an event stream: server answered text/html"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := ssetest.NewTCP(t, test.reply)
			var out strings.Builder
			if code := run(t.Context(), append(test.args, srv.URL()), &out); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			wantInOrder(t, out.String(), "close     "+test.want)
		})
	}
	for _, args := range [][]string{{"-H", "no colon"}, {"-?"}, {"url", "-X", "GET"}} {
		if code := run(t.Context(), args, io.Discard); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
	}
}

func wantInOrder(t *testing.T, out string, parts ...string) {
	t.Helper()
	rest := out
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("%q is missing, or not where it should be:\n%s", part, out)
			return
		}
		rest = after
	}
}

// A watched calls then once text was written to it.
type watched struct {
	text string
	then func()

	mu  sync.Mutex
	got strings.Builder
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got.Write(b)
	if strings.Contains(w.got.String(), w.text) {
		w.then()
	}
	return len(b), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.String()
}

// pipes is a network in memory: its own listener.
type pipes chan net.Conn

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	p <- server
	return client, nil
}

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
