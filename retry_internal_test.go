package sse

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"
)

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"", "0", "120", "00120", " 7\t", "-1", "+1", "1.5", "1e3", "0x10", "１", "soon", "9223372036", "9223372037", "99999999999999999999999",
		"Sat, 01 Jan 2000 00:02:00 GMT", "Saturday, 01-Jan-00 00:02:00 GMT", "Sat Jan  1 00:02:00 2000",
		"Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Sat, 01 Jan 2000 00:02:00 CET", "\x00", "1\n2",
	} {
		f.Add(value, "", int64(946684800))
		f.Add(value, "Sat, 01 Jan 2000 00:01:00 GMT", int64(0))
		f.Add(value, "Mon, 01 Jan 0001 00:00:00 GMT", int64(math.MaxInt64))
		f.Add(value, value, int64(math.MinInt64))
	}
	f.Fuzz(func(t *testing.T, value, date string, now int64) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		d := retryAfter(h, time.Unix(now, 0))
		if d < 0 {
			t.Fatalf("Retry-After %q, Date %q: %v", value, date, d)
		}
		if seconds, err := strconv.ParseUint(value, 10, 33); err == nil && d != time.Duration(seconds)*time.Second {
			t.Errorf("Retry-After %q: %v", value, d)
		}
		if at, err := http.ParseTime(value); err == nil {
			if from, err := http.ParseTime(date); err == nil && at.After(from) && d != at.Sub(from) {
				t.Errorf("Retry-After %q, Date %q: %v", value, date, d)
			}
		}
		for _, limit := range []time.Duration{-1, 0, time.Second, math.MaxInt64} {
			s := schedule{policy: RetryPolicy{MaxServerDelay: limit}}
			for range 3 {
				delay, ok := s.next(-1, d)
				if !ok || delay < 0 {
					t.Fatalf("Retry-After %q, at most %v: delay %v", value, limit, delay)
				}
				if want := s.capped(d); delay < want {
					t.Fatalf("Retry-After %q, at most %v: delay %v, asked for %v", value, limit, delay, want)
				}
			}
		}
	})
}
