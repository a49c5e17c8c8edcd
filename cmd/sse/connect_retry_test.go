package main

import (
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

func policyOf(t *testing.T, args ...string) (*connection, sse.RetryPolicy) {
	t.Helper()
	c, s, err := open(t, "", append(args, "http://sse.test/")...)
	if err != nil {
		t.Fatal(err)
	}
	return c, s.options.Retry
}

func TestWhatIsRetried(t *testing.T) {
	refused := func(status int) sse.CloseEvent {
		return sse.CloseEvent{Status: status, Err: &sse.ResponseError{Status: status, Err: sse.ErrStatus}, Resumable: true}
	}
	cut := sse.CloseEvent{Status: 200, Err: io.ErrUnexpectedEOF, Resumable: true}
	lost := cut
	lost.Resumable = false
	cases := []struct {
		name string
		ev   sse.CloseEvent
		// under auto, always, --retry-status 401,500-503
		auto, always, statuses bool
	}{
		{"a cut", cut, true, true, true},
		{"a cut that is not resumable", lost, false, true, false},
		{"401", refused(401), false, true, true},
		{"404", refused(404), false, true, false},
		{"429", refused(429), true, true, false},
		{"501", refused(501), false, true, true},
		{"503", refused(503), true, true, true},
		{"504", refused(504), true, true, false},
		{"204", sse.CloseEvent{Status: 204, Err: io.EOF, Resumable: true}, false, false, false},
		{"a type", sse.CloseEvent{Status: 200, Err: sse.ErrContentType, Resumable: true}, false, true, false},
		{"an oversize event", sse.CloseEvent{Status: 200, Err: sse.ErrTooLong, Resumable: true}, false, false, false},
		{"a certificate", sse.CloseEvent{Err: sse.Permanent(errors.New("x")), Resumable: true}, false, false, false},
		{"this side", sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed, Resumable: true}, false, false, false},
	}
	flags := [][]string{nil, {"--retry", "always"}, {"--retry-status", " 401,500-503"}, {"--retry", "never"}}
	for i, args := range flags {
		c, policy := policyOf(t, args...)
		rule := policy.Retriable
		if rule == nil {
			rule = sse.DefaultRetriable
		}
		for _, tt := range cases {
			want := []bool{tt.auto, tt.always, tt.statuses, false}[i]
			if got := rule(tt.ev); got != want {
				t.Errorf("%v, %s: retriable is %v, want %v", args, tt.name, got, want)
			}
			mayPass := want || tt.auto || tt.name == lostName
			if got := c.mayPass(tt.ev); got != mayPass {
				t.Errorf("%v, %s: mayPass is %v, want %v", args, tt.name, got, mayPass)
			}
		}
	}
}

const lostName = "a cut that is not resumable"

// waits returns what a schedule gives out for failures that follow each other
// at once, up to most.
func waits(t *testing.T, most int, args ...string) (delays []time.Duration, ended bool) {
	t.Helper()
	_, policy := policyOf(t, args...)
	b := policy.BackOff()
	for range most {
		d := b.NextBackOff()
		if d == backoff.Stop {
			return delays, true
		}
		delays = append(delays, d)
		time.Sleep(d) // of the bubble
	}
	return delays, false
}

func TestRetriesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n := range 4 {
			if got, ended := waits(t, 10, "--retries", strconv.Itoa(n)); len(got) != n || !ended {
				t.Errorf("--retries %d: %d waits, ended: %v", n, len(got), ended)
			}
		}
		if got, ended := waits(t, 1000); ended || len(got) != 1000 {
			t.Errorf("no limit: %d waits", len(got))
		}
		_, policy := policyOf(t, "--retries", "1")
		b := policy.BackOff()
		for range 5 {
			if d := b.NextBackOff(); d < 0 || d > 3*time.Second {
				t.Errorf("after progress: %v", d)
			}
			if d := b.NextBackOff(); d != backoff.Stop {
				t.Errorf("the second: %v", d)
			}
			b.Reset()
		}
	})
}

func TestRetryForCutsTheLastWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, ended := waits(t, 1000, "--retry-for", "5m")
		if took := time.Since(begin); !ended || took != 5*time.Minute {
			t.Errorf("ended %v after %v", ended, took)
		}
		_, policy := policyOf(t, "--retry-for", "5m")
		b := policy.BackOff()
		time.Sleep(time.Hour) // a long connection is no outage
		if b.NextBackOff() == backoff.Stop {
			t.Error("the time before the first failure counts")
		}
		b.Reset()
		time.Sleep(time.Hour)
		if b.NextBackOff() == backoff.Stop {
			t.Error("the time after progress counts")
		}
	})
}

func TestMaxDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, _ := waits(t, 100, "--max-delay", "500ms")
		for _, d := range got {
			if d < 300*time.Millisecond || d > 500*time.Millisecond {
				t.Errorf("a wait of %v", d)
			}
		}
		// The server asks for more.
		_, policy := policyOf(t, "--max-delay", "500ms")
		srv := ssetest.New(t, ssetest.Status(503, "").With("Retry-After", "60"), ssetest.Status(404, ""))
		srv.Source(sse.Options{Retry: policy}).Run()
		if gap := srv.Requests()[1].Gap; gap != 500*time.Millisecond {
			t.Errorf("Retry-After: waited %v", gap)
		}
	})
}

// The library spreads clients beyond what the server asked for.
func TestMaxDelayBoundsWhatARetryFieldAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			args     []string
			min, max time.Duration
		}{
			{[]string{"--max-delay", "500ms"}, 500 * time.Millisecond, 500 * time.Millisecond},
			{[]string{"--max-delay", "1h"}, 2 * time.Second, 3600 * time.Millisecond},
			{nil, 2 * time.Second, 3600 * time.Millisecond},
		} {
			conn, policy := policyOf(t, c.args...)
			srv := ssetest.New(t, ssetest.Stream(ssetest.Retry(2*time.Second)), ssetest.Status(404, ""))
			told := time.Duration(0)
			srv.Source(sse.Options{Retry: policy, OnClose: func(ev sse.CloseEvent) {
				if ev.Retriable {
					conn.reconnect(&ev)
					told = ev.Delay
				}
			}}).Run()
			if gap := srv.Requests()[1].Gap; gap < c.min || gap > c.max || gap != told {
				t.Errorf("%q: waited %v, told %v", c.args, gap, told)
			}
		}
	})
}

func TestMaxDelayBoundsTheCountdownOfTop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &topStream{top: &top{connection: connection{maxDelay: time.Second}, tally: newTally(time.Now(), "a")}}
		waited := time.Duration(0)
		s.closed(sse.CloseEvent{
			Err: io.EOF, Retriable: true, Delay: 2 * time.Second,
			Connect:      func() { t.Error("Connect was called") },
			ConnectAfter: func(d time.Duration) { waited = d },
		})
		if shown := time.Until(s.tally.streams[0].retryAt); waited != time.Second || shown != waited {
			t.Errorf("waits %v, shows %v", waited, shown)
		}
	})
}
