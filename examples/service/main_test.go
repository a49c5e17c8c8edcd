package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

func TestDemoOutlivesItsTokenAndEndsByItself(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), nil, &out); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, want := range []string{
		"msg=order id=1 ", "msg=skipped id=2 ", "msg=order id=3 ",
		"close.status=401", "open.last_event_id=3",
		"msg=order id=4 ", "msg=order id=5 ", "msg=order id=6 ",
		"close.status=204", "msg=bye",
	} {
		if n := strings.Count(out.String(), want); n != 1 {
			t.Errorf("%q is there %d times, want once:\n%s", want, n, &out)
		}
	}
}

func TestFreshTokenThatIsRefusedIsFatal(t *testing.T) {
	srv := ssetest.NewTCP(t,
		ssetest.Status(http.StatusOK, "t1"),
		ssetest.Stream(ssetest.Retry(10*time.Millisecond), ssetest.Emit(sse.Event{Name: "order", ID: "1", Data: `{}`})),
		ssetest.Status(http.StatusUnauthorized, "expired"),
		ssetest.Status(http.StatusOK, "t2"),
		ssetest.Status(http.StatusUnauthorized, "blocked"),
	)
	var out bytes.Buffer
	if code := run(t.Context(), []string{"-url", srv.URL() + "/orders", "-tokens", srv.URL() + "/token"}, &out); code != 1 {
		t.Errorf("exit code %d, want 1:\n%s", code, &out)
	}
	t1, t2 := http.Header{"Authorization": {"Bearer t1"}}, http.Header{"Authorization": {"Bearer t2"}}
	ssetest.WantRequests(t, srv,
		ssetest.Request{URL: "/token"}, ssetest.Request{URL: "/orders", Header: t1},
		ssetest.Request{URL: "/orders", Header: t1, LastEventID: "1"},
		ssetest.Request{URL: "/token"}, ssetest.Request{URL: "/orders", Header: t2, LastEventID: "1"},
	)
}

func TestWithoutTokensA401IsFatalAtOnce(t *testing.T) {
	srv := ssetest.NewTCP(t, ssetest.Status(http.StatusUnauthorized, ""))
	var out bytes.Buffer
	if code := run(t.Context(), []string{"-url", srv.URL()}, &out); code != 1 {
		t.Errorf("exit code %d, want 1:\n%s", code, &out)
	}
}

func TestSignalIsAGracefulEnd(t *testing.T) {
	srv := ssetest.NewTCP(t, ssetest.Stream(ssetest.Emit(sse.Event{Name: "order", ID: "1", Data: `{}`}), ssetest.Hold()))
	ctx, interrupt := context.WithCancel(t.Context())
	out := &watched{text: "msg=order id=1", then: interrupt}
	if code := run(ctx, []string{"-url", srv.URL()}, out); code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, &out.got)
	}
	if got := out.got.String(); !strings.Contains(got, "close.local=true") || !strings.Contains(got, "msg=bye") {
		t.Errorf("no local close, or no bye:\n%s", got)
	}
}

// A watched calls then once text was written to it.
type watched struct {
	text string
	then func()

	mu  sync.Mutex
	got bytes.Buffer
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(string(b), w.text) {
		w.then()
	}
	return w.got.Write(b)
}
