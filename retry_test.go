package sse_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// ladder is a schedule of 1 s, 2 s, 4 s and so on, which ends after a number
// of rungs if that is not 0.
type ladder struct{ rung, rungs int }

func (l *ladder) NextBackOff() time.Duration {
	if l.rungs > 0 && l.rung == l.rungs {
		return backoff.Stop
	}
	l.rung++
	return time.Second << (l.rung - 1)
}

func (l *ladder) Reset() { l.rung = 0 }

func ladders(rungs int) sse.RetryPolicy {
	return sse.RetryPolicy{BackOff: func() backoff.BackOff { return &ladder{rungs: rungs} }}
}

func delaysOf(closes []sse.CloseEvent) (delays []time.Duration) {
	for _, ev := range closes {
		delays = append(delays, ev.Delay)
	}
	return delays
}

func TestNewBackOffStaysInItsRanges(t *testing.T) {
	const draws = 2000
	for i := range 10 {
		// The intervals are 1.65 s, doubling, at most 16.5 s, by 2/11 to 20/11.
		from, to := 300*time.Millisecond<<i, 3*time.Second<<i
		from, to = min(from, 3*time.Second), min(to, 30*time.Second)
		low, high := time.Hour, time.Duration(0)
		for range draws {
			b := sse.NewBackOff()
			for range i {
				b.NextBackOff()
			}
			d := b.NextBackOff()
			low, high = min(low, d), max(high, d)
			b.Reset()
			if d := b.NextBackOff(); d < 300*time.Millisecond || d > 3*time.Second {
				t.Fatalf("after a reset: %v", d)
			}
		}
		const slack = time.Microsecond // of floating point
		if low < from-slack || high > to+slack {
			t.Errorf("wait %d is in [%v, %v], want [%v, %v]", i, low, high, from, to)
		}
		if spread := to - from; low > from+spread/50 || high < to-spread/50 {
			t.Errorf("wait %d is in [%v, %v] only, of [%v, %v]", i, low, high, from, to)
		}
	}
}

func TestNewBackOffNeverGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := sse.NewBackOff()
		for begin := time.Now(); time.Since(begin) < 30*24*time.Hour; {
			d := b.NextBackOff()
			if d <= 0 || d > 30*time.Second {
				t.Fatalf("after %v: %v", time.Since(begin), d)
			}
			time.Sleep(d)
		}
	})
}

func TestDefaultScheduleIsNewBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t)
		srv.Always(ssetest.Status(503, ""))
		for i, ev := range closesOf(t, srv.Client(), srv.URL(), sse.Options{}, 12) {
			from, to := min(300*time.Millisecond<<i, 3*time.Second), min(3*time.Second<<i, 30*time.Second)
			if ev.Delay < from || ev.Delay > to || !ev.Retriable || ev.Attempt != i+1 {
				t.Errorf("close %d: %+v, want a delay in [%v, %v]", i, ev, from, to)
			}
		}
		for i, r := range srv.Requests()[1:] {
			if r.Gap < 300*time.Millisecond {
				t.Errorf("request %d came after %v", i+1, r.Gap)
			}
		}
	})
}

func TestScheduleBeginsAnewAfterProgress(t *testing.T) {
	event := ssetest.Emit(sse.Event{Data: "x", ID: "1"})
	for name, c := range map[string]struct {
		reply    ssetest.Reply
		progress bool
	}{
		"an event":                       {ssetest.Stream(event), true},
		"an event, then a cut":           {ssetest.Stream(event, ssetest.Reset()), true},
		"a minute":                       {ssetest.Stream(ssetest.Wait(time.Minute)), true},
		"a minute, then a cut":           {ssetest.Stream(ssetest.Wait(time.Minute), ssetest.Abort()), true},
		"less than a minute":             {ssetest.Stream(ssetest.Wait(time.Minute - 1)), false},
		"a bare 200":                     {ssetest.Stream(), false},
		"a comment":                      {ssetest.Stream(ssetest.Comment("hi")), false},
		"an id alone":                    {ssetest.Stream(ssetest.Raw("id: 2\n\n")), false},
		"an event cut off":               {ssetest.Stream(ssetest.Raw("data: x\n")), false},
		"a head that took a minute":      {ssetest.Unanswered(ssetest.Wait(2*time.Minute), ssetest.Comment("hi")), false},
		"a refusal that took its time":   {ssetest.Reply{Status: 503, Steps: []ssetest.Step{ssetest.Raw("x"), ssetest.Hold()}}, false},
		"a refused connection, that was": {ssetest.Refuse(nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Status(503, ""), ssetest.Status(503, ""), c.reply, ssetest.Status(503, ""))
				closes := closesOf(t, srv.Client(), srv.URL(), sse.Options{Method: "GET", Retry: ladders(0)}, 4)
				want, attempts := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}, []int{1, 2, 3, 4}
				if c.progress {
					want, attempts = []time.Duration{time.Second, 2 * time.Second, time.Second, 2 * time.Second}, []int{1, 2, 0, 1}
				}
				for i, ev := range closes {
					if ev.Delay != want[i] || ev.Attempt != attempts[i] {
						t.Errorf("close %d: delay %v, attempt %d, want %v, %d", i, ev.Delay, ev.Attempt, want[i], attempts[i])
					}
				}
			})
		})
	}
}

func TestConnectWaitsForTheDelayAndConnectAfterForTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t)
		srv.Always(ssetest.Status(503, ""))
		closes := 0
		o := sse.Options{Retry: ladders(0), OnClose: func(ev sse.CloseEvent) {
			switch closes++; closes {
			case 1:
				ev.Connect()
			case 2:
				ev.ConnectAfter(time.Hour)
			case 3:
				ev.ConnectAfter(-time.Hour)
			case 4: // the last call counts
				ev.Connect()
				ev.ConnectAfter(time.Minute)
			case 5:
				ev.ConnectAfter(time.Minute)
				ev.Connect()
			}
		}}
		srv.Source(o).Run()
		var got []time.Duration
		for _, r := range srv.Requests()[1:] {
			got = append(got, r.Gap)
		}
		if diff := cmp.Diff([]time.Duration{time.Second, time.Hour, 0, time.Minute, 16 * time.Second}, got); diff != "" {
			t.Errorf("gaps (-want +got):\n%s", diff)
		}
	})
}

func TestScheduleOfOneSourceIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t)
		srv.Always(ssetest.Status(503, ""))
		made := 0
		o := sse.Options{Retry: sse.RetryPolicy{BackOff: func() backoff.BackOff { made++; return &ladder{} }}}
		for range 3 {
			got := delaysOf(closesOf(t, srv.Client(), srv.URL(), o, 3))
			if diff := cmp.Diff([]time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		if made != 3 {
			t.Errorf("%d schedules for 3 sources", made)
		}
	})
}

func TestScheduleThatHasRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := ssetest.Status(503, "")
		srv := ssetest.New(t, busy, busy, busy)
		src := srv.Source(sse.Options{Retry: ladders(2)})
		err := src.Run()
		if !errors.Is(err, sse.ErrStatus) || !containsAll(err.Error(), "gave up", "3 failed attempts", "Options.Retry", "503") {
			t.Errorf("Err: %v", err)
		}
		// Connect does nothing then, ConnectAfter works, and progress begins anew.
		srv.Then(busy, busy, busy, busy, ssetest.Stream(ssetest.Emit(sse.Event{Data: "x", ID: "1"})), busy, busy)
		o := sse.Options{Retry: ladders(2)}
		log := ssetest.Record(&o)
		onClose := o.OnClose
		o.OnClose = func(ev sse.CloseEvent) {
			onClose(ev)
			if n := len(log.Closes()); n == 3 || n == 4 {
				ev.ConnectAfter(time.Minute)
				ev.Connect()
			} else {
				ev.Connect()
			}
		}
		srv.Source(o).Run()
		type outcome struct {
			Retriable bool
			Attempt   int
			Delay     time.Duration
		}
		var got []outcome
		for _, ev := range log.Closes() {
			got = append(got, outcome{ev.Retriable, ev.Attempt, ev.Delay})
		}
		want := []outcome{
			{true, 1, time.Second},
			{true, 2, 2 * time.Second},
			{false, 3, 0},
			{false, 4, 0},
			{true, 0, time.Second},
			{true, 1, 2 * time.Second},
			{false, 2, 0},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		gaps := []time.Duration{time.Second, 2 * time.Second, time.Minute, time.Minute, time.Second, 2 * time.Second}
		for i, r := range srv.Requests()[4:10] {
			if r.Gap != gaps[i] {
				t.Errorf("request %d came after %v, want %v", i+1, r.Gap, gaps[i])
			}
		}
	})
}

func TestAnyNegativeDelayEndsTheSchedule(t *testing.T) {
	for _, d := range []time.Duration{backoff.Stop, -5 * time.Second, math.MinInt64} {
		o := sse.Options{Retry: sse.RetryPolicy{BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(d) }}}
		o.OnClose = func(ev sse.CloseEvent) {
			if ev.Retriable || ev.Delay != 0 {
				t.Errorf("%v: %+v", d, ev)
			}
			ev.Connect()
		}
		if err := answers(503, nil, "").Source("http://sse.test/", o).Run(); !errors.Is(err, sse.ErrStatus) {
			t.Errorf("%v: %v", d, err)
		}
	}
}

func TestBackOffsOwnDefaultGivesUpAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t)
		srv.Always(ssetest.Status(503, ""))
		begin := time.Now()
		err := srv.Source(sse.Options{Retry: sse.RetryPolicy{BackOff: func() backoff.BackOff { return backoff.NewExponentialBackOff() }}}).Run()
		if took := time.Since(begin); !containsAll(fmt.Sprint(err), "gave up") || took < 10*time.Minute || took > 15*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestNoRetryLeavesItToOnClose(t *testing.T) {
	replies := []ssetest.Reply{
		ssetest.Status(503, ""), ssetest.Refuse(nil), ssetest.Stream(), ssetest.Stream(ssetest.Reset()),
		ssetest.Stream(ssetest.Emit(sse.Event{Data: "x", ID: "1"}), ssetest.Abort()),
	}
	synctest.Test(t, func(t *testing.T) {
		for _, reply := range replies {
			src := ssetest.New(t, reply).Source(sse.Options{Retry: sse.NoRetry})
			if err := src.Run(); err == nil || src.Stats().Closes != 1 {
				t.Errorf("%v: %v after %d closes", reply, err, src.Stats().Closes)
			}
		}
		srv := ssetest.New(t, replies...)
		for i, ev := range closesOf(t, srv.Client(), srv.URL(), sse.Options{Retry: sse.NoRetry}, len(replies)) {
			if ev.Retriable || ev.Delay <= 0 {
				t.Errorf("close %d: %+v", i, ev)
			}
		}
	})
}

func TestRetriableOfTheCallerDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(404, ""), ssetest.Status(401, ""), ssetest.Status(503, ""))
		o := sse.Options{Retry: ladders(0)}
		o.Retry.Retriable = func(ev sse.CloseEvent) bool {
			if ev.Delay <= 0 || ev.Err == nil || ev.Attempt == 0 {
				t.Errorf("asked about %+v", ev)
			}
			return ev.Status < 500
		}
		if err := srv.Source(o).Run(); !errors.Is(err, sse.ErrStatus) || !containsAll(err.Error(), "503") {
			t.Errorf("got %v", err)
		}
	})
}

func TestBothPoliciesAgreeButOnResumable(t *testing.T) {
	for name, ev := range map[string]sse.CloseEvent{
		"local":                {IsLocal: true, Resumable: true, Err: sse.ErrClosed},
		"permanent":            {Resumable: true, Err: sse.Permanent(errToken)},
		"an oversize event":    {Resumable: true, Status: http.StatusOK, Err: fmt.Errorf("x: %w", sse.ErrTooLong)},
		"a wrong content type": {Resumable: true, Status: http.StatusOK, Err: sse.ErrContentType},
		"a redirect":           {Resumable: true, Status: 302, Err: sse.ErrRedirect},
		"an encoding":          {Resumable: true, Status: http.StatusOK, Err: sse.ErrEncoding},
		"no content":           {Resumable: true, Status: http.StatusNoContent, Err: io.EOF},
	} {
		if sse.DefaultRetriable(ev) || sse.StandardRetriable(ev) {
			t.Errorf("%s is retriable", name)
		}
	}
	for name, ev := range map[string]sse.CloseEvent{
		"network":     {Resumable: true, Err: errToken},
		"clean end":   {Resumable: true, Status: http.StatusOK, Err: io.EOF},
		"cut":         {Resumable: true, Status: http.StatusOK, Err: io.ErrUnexpectedEOF},
		"idle":        {Resumable: true, Status: http.StatusOK, Err: sse.ErrIdle},
		"slow reader": {Resumable: true, Status: http.StatusOK, Err: sse.ErrSlowConsumer},
	} {
		if !sse.DefaultRetriable(ev) || !sse.StandardRetriable(ev) {
			t.Errorf("%s is not retriable", name)
		}
		ev.Resumable = false
		if sse.DefaultRetriable(ev) || !sse.StandardRetriable(ev) {
			t.Errorf("%s, not resumable, is retriable, or not by the standard", name)
		}
	}
}
