package ssetest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

func ExamplePlay() {
	t := &exampleT{} // a test has its own, and a synctest bubble, where waits are free
	defer t.end()
	srv := ssetest.Play(t, filepath.Join("testdata", "short.sse"))
	src := srv.Source(sse.Options{Retry: sse.RetryPolicy{BackOff: quick}})
	for ev, err := range src.All() {
		fmt.Println(ev.ID, ev.Data, err)
	}
	fmt.Println("last request after id", srv.Requests()[2].LastEventID)
	// Output:
	// 1 up <nil>
	// 2 down <nil>
	// last request after id 2
}

func TestPlayReplaysARecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const never = 1000 * time.Hour
		srv := ssetest.Play(t, filepath.Join("testdata", "session.sse"))
		began := time.Now()
		var at []string
		note := func(format string, args ...any) {
			at = append(at, fmt.Sprintf("%v: ", time.Since(began))+fmt.Sprintf(format, args...))
		}
		o := sse.Options{
			IdleTimeout: never,
			OnOpen: func(ev sse.OpenEvent) {
				note("open %d %s %s", ev.Status, ev.Header.Get("Content-Type"), ev.Header.Get("Cache-Control"))
			},
			OnEvent:   func(ev sse.Event) { note("event %s %s %s", ev.ID, ev.Name, ev.Data) },
			OnComment: func(text string) { note("comment%s", text) },
			OnRetry:   func(d time.Duration) { note("retry %v", d) },
			OnClose: func(ev sse.CloseEvent) {
				delay := time.Second
				if ev.Status == http.StatusServiceUnavailable {
					delay, _ = time.ParseDuration(ev.Header.Get("Retry-After") + "s")
				}
				what := "other"
				for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNREFUSED, syscall.ECONNRESET, sse.ErrStatus} {
					if errors.Is(ev.Err, err) {
						what = err.Error()
						break
					}
				}
				note("close %d %s", ev.Status, what)
				if ev.Status != http.StatusNoContent {
					ev.ConnectAfter(delay)
				}
			},
		}
		srv.Source(o).Run()
		want := []string{
			"40ms: open 200 text/event-stream no-cache", "40ms: retry 2s", `40ms: event 1 price {"p":10}`, "15.04s: comment heartbeat", "15.04s: close 200 unexpected EOF",
			"16.04s: close 0 connection refused",
			"17.04s: close 0 connection reset by peer",
			"18.04s: close 503 sse: refused by status",
			"1h0m18.04s: open 200 text/event-stream ", `1h1m18.04s: event 2 price {"p":11}`, "1h1m18.04s: close 200 EOF",
			"1h1m19.04s: close 204 EOF",
		}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("what happened (-want +got):\n%s", diff)
		}
	})
}

// play plays a recording to a client that goes on until a 204, and returns
// what it saw.
func play(tb testing.TB, text string, idle time.Duration) (closes []sse.CloseEvent, types []string) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "recording")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	srv := ssetest.Play(tb, file)
	o := sse.Options{IdleTimeout: idle, OnClose: func(ev sse.CloseEvent) {
		if values, ok := ev.Header["Content-Type"]; ok {
			types = append(types, values[0])
		} else {
			types = append(types, "none")
		}
		if ev.Status != http.StatusNoContent {
			ev.ConnectAfter(0)
		}
	}}
	log := ssetest.Record(&o)
	srv.Source(o).Run()
	return log.Closes(), types
}

func TestPlayKeepsSilentForAsLongAsTheClientWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closes, _ := play(t, ":@ fail timeout after=1s\n:@ open\n:@ end timeout\n", time.Hour)
		if len(closes) != 3 || !errors.Is(closes[0].Err, sse.ErrIdle) || closes[0].Status != 0 || !errors.Is(closes[1].Err, sse.ErrIdle) || closes[1].Status != 200 {
			t.Errorf("closes %v", closes)
		}
	})
}

func TestPlaySendsTheRecordedStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closes, _ := play(t, ":@ open status=101\n:@ end\n:@ open status=999\n:@ end\n", 0)
		if len(closes) != 3 || closes[0].Status != 101 || closes[1].Status != 999 {
			t.Errorf("closes %v", closes)
		}
	})
}

func TestPlaySendsTheRecordedType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, types := play(t, ":@ open\n:@ open status=404\n:@ +1s\n:@ end\n:@ open content-type=text/html\n:@ open content-type=\"\"\n:@ +1s\n", 0)
		if diff := cmp.Diff([]string{"text/event-stream", "none", "text/html", "none", "none"}, types); diff != "" {
			t.Errorf("types (-want +got):\n%s", diff)
		}
	})
}

func TestPlayFailsTheTest(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"":                              "neither an event nor a directive in it",
		"data: 1\n\n:@ what\n":          `recording: line 3: unknown directive "what"`,
		"data: 1\n\n:@ end reset\nid\n": "the last 2 replies were never asked for",
	} {
		file := filepath.Join(dir, "recording")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		failures, _ := failuresOf(t, func(tb testing.TB) { ssetest.Play(tb, file) })
		if !strings.Contains(failures, want) {
			t.Errorf("%q: %q, want %q", text, failures, want)
		}
	}
	if failures, fatal := failuresOf(t, func(tb testing.TB) { ssetest.Play(tb, filepath.Join(dir, "missing")) }); !fatal || !strings.Contains(failures, "missing") {
		t.Errorf("no file: %q, fatal %v", failures, fatal)
	}
}
