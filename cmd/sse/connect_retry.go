package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

const (
	retryAuto   = "auto"
	retryAlways = "always"
	retryNever  = "never"
)

// retryPolicy checks the flags about reconnecting.
func (c *connection) retryPolicy(fs *pflag.FlagSet) (sse.RetryPolicy, error) {
	none := sse.RetryPolicy{}
	switch {
	case c.retry != retryAuto && c.retry != retryAlways && c.retry != retryNever:
		return none, usagef("--retry %q: want auto, always or never", c.retry)
	case c.retries < -1:
		return none, usagef("--retries %d: want 0 or more, or -1 for no limit", c.retries)
	case c.retry != retryAuto && c.retryStatus != "":
		return none, usagef("--retry-status needs --retry auto")
	case c.retry == retryNever && (c.retries >= 0 || c.retryFor != 0):
		return none, usagef("--retry never allows no --retries and no --retry-for")
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"retry-for", c.retryFor}, {"max-delay", c.maxDelay}, {"idle", c.idle}, {"connect-timeout", c.connectTimeout},
	} {
		if f.value <= 0 && fs.Changed(f.name) {
			return none, usagef("--%s %v: want more than 0", f.name, f.value)
		}
	}
	statuses, err := parseStatuses(c.retryStatus)
	if err != nil {
		return none, usagef("--retry-status: %w", err)
	}
	return sse.RetryPolicy{
		BackOff: func() backoff.BackOff {
			return &schedule{BackOff: sse.NewBackOff(), retries: c.retries, limit: c.retryFor, longest: c.maxDelay}
		},
		Retriable:      retriable(c.retry, statuses),
		MaxServerDelay: c.maxDelay,
	}, nil
}

// reconnect is ev.Connect, after --max-delay at most: the library spreads
// clients by up to 80% beyond what it was told to allow a server.
func (c *connection) reconnect(ev *sse.CloseEvent) {
	if c.maxDelay == 0 || ev.Delay <= c.maxDelay {
		ev.Connect()
		return
	}
	ev.Delay = c.maxDelay
	ev.ConnectAfter(ev.Delay)
}

// retriable returns the rule of --retry; nil is the library's.
func retriable(retry string, statuses []statusRange) func(sse.CloseEvent) bool {
	switch {
	case retry == retryNever:
		return sse.NoRetry.Retriable
	case retry == retryAlways:
		return repeatable
	case statuses == nil:
		return nil
	}
	return func(ev sse.CloseEvent) bool {
		if !errors.Is(ev.Err, sse.ErrStatus) {
			return sse.DefaultRetriable(ev)
		}
		for _, r := range statuses {
			if r.from <= ev.Status && ev.Status <= r.to {
				return !ev.IsLocal && ev.Resumable
			}
		}
		return false
	}
}

// repeatable is the rule of --retry always: what was asked to stay away (204),
// does not trust the server (certificates, the scheme), or would meet the same
// oversize event again, ends it all the same.
func repeatable(ev sse.CloseEvent) bool {
	var permanent *backoff.PermanentError
	return !ev.IsLocal && ev.Status != http.StatusNoContent && !errors.As(ev.Err, &permanent) && !errors.Is(ev.Err, sse.ErrTooLong)
}

// mayPass reports whether ev is trouble that another attempt may not meet, by
// the library's rule or that of the flags, whether or not an attempt is left
// or allowed. It tells "retriable trouble" from "the server said no".
func (c *connection) mayPass(ev sse.CloseEvent) bool {
	ev.Resumable = true
	if sse.DefaultRetriable(ev) {
		return true
	}
	return c.opening != nil && c.opening.policy.Retriable != nil && c.opening.policy.Retriable(ev)
}

// A schedule is a BackOff with the limits that the flags set. It is of one
// source, which resets it when it made progress.
type schedule struct {
	backoff.BackOff
	retries int           // how many waits in a row; negative for any
	limit   time.Duration // from the first wait; 0 for any
	longest time.Duration // of one wait; 0 for any

	waits int
	since time.Time
}

// NextBackOff returns the next wait. The last one before the limit is cut so
// that an attempt is made when it is reached.
func (s *schedule) NextBackOff() time.Duration {
	if s.waits == 0 {
		s.since = time.Now()
	}
	delay := s.BackOff.NextBackOff()
	if s.longest > 0 {
		delay = min(delay, s.longest)
	}
	if s.limit > 0 {
		left := s.limit - time.Since(s.since)
		if left <= 0 {
			return backoff.Stop
		}
		delay = min(delay, left)
	}
	if s.retries >= 0 && s.waits >= s.retries {
		return backoff.Stop
	}
	s.waits++
	return delay
}

// Reset begins a new outage.
func (s *schedule) Reset() {
	s.waits = 0
	s.BackOff.Reset()
}

type statusRange struct{ from, to int }

// parseStatuses reads "401,500-599"; "" is nil.
func parseStatuses(list string) ([]statusRange, error) {
	if list == "" {
		return nil, nil
	}
	var ranges []statusRange
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if cmp.Or(err1, err2) != nil || low < 400 || high > 599 || low > high {
			return nil, fmt.Errorf("%q: want statuses of 400 to 599, as 401,500-599", part)
		}
		ranges = append(ranges, statusRange{low, high})
	}
	return ranges, nil
}

// parseSize reads a number of bytes, with K, M or G for powers of 1024; "" is
// 0.
func parseSize(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	number, unit := text, 1
	if i := strings.IndexByte("KMG", strings.ToUpper(text)[len(text)-1]); i >= 0 {
		number, unit = text[:len(text)-1], 1<<(10*(i+1))
	}
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 || n > math.MaxInt/unit {
		return 0, errors.New("want a number of bytes, as 500000, 64M or 1G")
	}
	return n * unit, nil
}
