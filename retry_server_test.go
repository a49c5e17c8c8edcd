package sse_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// Each of these events is progress, so that each wait is the first of an
// outage.
func firstWaits(t *testing.T, policy sse.RetryPolicy, n int, field string) []time.Duration {
	t.Helper()
	srv := ssetest.New(t)
	srv.Always(ssetest.Stream(ssetest.Raw(field+"id: 1\ndata: x\n\n"), ssetest.Reset()))
	return delaysOf(closesOf(t, srv.Client(), srv.URL(), sse.Options{Retry: policy}, n))
}

func TestRetryMakesTheFirstWaitUniform(t *testing.T) {
	const (
		second = time.Second
		minute = time.Minute
	)
	for name, c := range map[string]struct {
		field string
		max   time.Duration // MaxServerDelay
		retry time.Duration // in force
	}{
		"longer than the schedule":       {"retry: 100000\n", 0, 100 * second},
		"shorter than the schedule":      {"retry: 50\n", 0, 50 * time.Millisecond},
		"zero":                           {"retry: 0\n", 0, 0},
		"leading zeros":                  {"retry: 0002000\n", 0, 2 * second},
		"the last one counts":            {"retry: 1\nretry: 7000\n", 0, 7 * second},
		"malformed ones do not":          {"retry: 7000\nretry: -1\nretry: 1.5\nretry: +2\nretry: x\nretry:\nretry\nretry: 1 \n", 0, 7 * second},
		"at the cap":                     {"retry: 600000\n", 0, 10 * minute},
		"over the cap":                   {"retry: 3600000\n", 0, 10 * minute},
		"over a cap of the caller's":     {"retry: 3600000\n", 5 * second, 5 * second},
		"under a cap of the caller's":    {"retry: 3600000\n", 2 * time.Hour, time.Hour},
		"far over the cap":               {"retry: 9223372036855\n", 0, 10 * minute},
		"more than 64 bits":              {"retry: 99999999999999999999999\n", 0, 10 * minute},
		"over a cap that caps nothing":   {"retry: 99999999999999999999999\n", math.MaxInt64, math.MaxInt64 / 9 * 5},
		"a cap of less than it can wait": {"retry: 9223372036854\n", math.MaxInt64 / 2, math.MaxInt64 / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 200
				if c.retry > 24*time.Hour {
					n = 1 // the bubble's clock has an end
				}
				policy := ladders(0)
				policy.MaxServerDelay = c.max
				low, high := time.Duration(math.MaxInt64), time.Duration(math.MinInt64)
				for _, d := range firstWaits(t, policy, n, c.field) {
					low, high = min(low, d), max(high, d)
				}
				if low < c.retry || n > 1 && high > c.retry*9/5 {
					t.Errorf("waits are in [%v, %v], want [%v, %v]", low, high, c.retry, c.retry*9/5)
				}
				if spread := c.retry * 4 / 5; n > 1 && (low > c.retry+spread/10 || high < c.retry+spread*9/10) {
					t.Errorf("waits are in [%v, %v] only, of [%v, %v]", low, high, c.retry, c.retry+spread)
				}
			})
		})
	}
}

func TestNegativeMaxServerDelayIgnoresTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := ladders(0)
		policy.MaxServerDelay = -1
		want := []time.Duration{time.Second, time.Second}
		if diff := cmp.Diff(want, firstWaits(t, policy, 2, "retry: 50000\n")); diff != "" {
			t.Errorf("retry (-want +got):\n%s", diff)
		}
		srv := ssetest.New(t)
		srv.Always(ssetest.Status(503, "").With("Retry-After", "60"))
		want[1] = 2 * time.Second
		if diff := cmp.Diff(want, delaysOf(closesOf(t, srv.Client(), srv.URL(), sse.Options{Retry: policy}, 2))); diff != "" {
			t.Errorf("Retry-After (-want +got):\n%s", diff)
		}
	})
}

func TestRetryFloorsTheLaterWaits(t *testing.T) {
	for field, floor := range map[string]time.Duration{"retry: 5000\n": 5 * time.Second, "retry: 0\n": 0, "retry: 1500\n": 1500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			busy := ssetest.Status(503, "")
			srv := ssetest.New(t, ssetest.Stream(ssetest.Raw(field+"id: 1\ndata: x\n\n")), busy, ssetest.Refuse(nil), ssetest.Stream(), busy)
			got := delaysOf(closesOf(t, srv.Client(), srv.URL(), sse.Options{Retry: ladders(0)}, 5))
			for i, d := range got[1:] {
				if want := max(floor, 2*time.Second<<i); d != want {
					t.Errorf("%q: wait %d is %v, want %v", field, i+1, d, want)
				}
			}
			if got[0] < floor || got[0] > floor*9/5 {
				t.Errorf("%q: the first wait is %v", field, got[0])
			}
		})
	}
}

func TestRetryTakesEffectWithoutAnEvent(t *testing.T) {
	// At the end of its line, and on connections to come.
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(503, ""), ssetest.Stream(ssetest.Raw("retry: 60000\n"), ssetest.Abort()), ssetest.Stream(), ssetest.Stream(ssetest.Raw("retry: 90000")))
		got := delaysOf(closesOf(t, srv.Client(), srv.URL(), sse.Options{Retry: ladders(0)}, 4))
		if diff := cmp.Diff([]time.Duration{time.Second, time.Minute, time.Minute, time.Minute}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRetryAfterFloorsTheNextWait(t *testing.T) {
	// The bubble's clock begins at midnight of 1 January 2000, UTC.
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	const noDate = "none"
	for name, c := range map[string]struct {
		value, date string // date "": as the server's clock, which is right
		max         time.Duration
		want        time.Duration
	}{
		"seconds":                        {value: "120", want: 2 * time.Minute},
		"seconds below the schedule":     {value: "0", want: time.Second},
		"a second":                       {value: "1", want: time.Second},
		"space around":                   {value: " 120 ", want: 2 * time.Minute},
		"leading zeros":                  {value: "00120", want: 2 * time.Minute},
		"the cap":                        {value: "600", want: 10 * time.Minute},
		"over the cap":                   {value: "601", want: 10 * time.Minute},
		"ten years":                      {value: "315360000", want: 10 * time.Minute},
		"more than 64 bits":              {value: "99999999999999999999999999", want: 10 * time.Minute},
		"more than a duration":           {value: "9223372037", want: 10 * time.Minute},
		"a cap of the caller's":          {value: "120", max: 5 * time.Second, want: 5 * time.Second},
		"a high cap":                     {value: "7200", max: 3 * time.Hour, want: 2 * time.Hour},
		"negative":                       {value: "-120", want: time.Second},
		"signed":                         {value: "+120", want: time.Second},
		"a fraction":                     {value: "120.5", want: time.Second},
		"garbage":                        {value: "soon", want: time.Second},
		"empty":                          {value: "", want: time.Second},
		"other digits":                   {value: "１２０", want: time.Second},
		"a date":                         {value: date(time.Minute), want: time.Minute},
		"a date, by the server's clock":  {value: date(25 * time.Hour), date: date(25*time.Hour - 90*time.Second), want: 90 * time.Second},
		"a date, the server is behind":   {value: date(-time.Hour), date: date(-time.Hour - time.Minute), want: time.Minute},
		"a date, no server's clock":      {value: date(time.Minute), date: noDate, want: time.Minute},
		"a date, a clock of no use":      {value: date(time.Minute), date: "noon", want: time.Minute},
		"a date past":                    {value: date(-time.Minute), want: time.Second},
		"a date past by the other clock": {value: date(time.Minute), date: date(time.Hour), want: time.Second},
		"a date of now":                  {value: date(0), want: time.Second},
		"a date in ten years":            {value: date(87600 * time.Hour), want: 10 * time.Minute},
		"a date in RFC 850":              {value: "Saturday, 01-Jan-00 00:02:00 GMT", want: 2 * time.Minute},
		"a date by asctime":              {value: "Sat Jan  1 00:02:00 2000", want: 2 * time.Minute},
		"a date in the year 9999":        {value: "Fri, 31 Dec 9999 23:59:59 GMT", want: 10 * time.Minute},
	} {
		for _, status := range []int{503, 429, 404} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					reply := ssetest.Status(status, "").With("Retry-After", c.value)
					switch c.date {
					case "":
					case noDate:
						reply.Header["Date"] = nil
					default:
						reply = reply.With("Date", c.date)
					}
					srv := ssetest.New(t, reply, ssetest.Status(503, ""), ssetest.Stream())
					o := sse.Options{Retry: ladders(0)}
					o.Retry.MaxServerDelay = c.max
					got := delaysOf(closesOf(t, srv.Client(), srv.URL(), o, 3))
					// Once: the waits after it are the schedule's.
					if diff := cmp.Diff([]time.Duration{c.want, 2 * time.Second, 4 * time.Second}, got); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
					if gap := srv.Requests()[1].Gap; gap != c.want {
						t.Errorf("waited %v, want %v", gap, c.want)
					}
				})
			})
		}
	}
}

func TestRetryAfterAndRetryTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := ssetest.Status(503, "")
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw("retry: 30000\n"), ssetest.Emit(sse.Event{Data: "x", ID: "1"})),
			busy.With("Retry-After", "60"), busy.With("Retry-After", "10"), busy)
		got := delaysOf(closesOf(t, srv.Client(), srv.URL(), sse.Options{Retry: ladders(0)}, 4))
		if diff := cmp.Diff([]time.Duration{time.Minute, 30 * time.Second, 30 * time.Second}, got[1:]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
