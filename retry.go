package sse

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// A RetryPolicy says which endings are worth another attempt, and how long to
// wait for it. The zero value is the default policy.
//
// A connection makes progress if it delivers an event or stays open for a
// minute. Progress resets the schedule; a bare 200 does not, so that a server
// that accepts and drops meets growing delays.
type RetryPolicy struct {
	// BackOff makes the schedule of one source; nil means NewBackOff. It is a
	// factory because a backoff.BackOff must not be shared. A negative delay
	// (backoff.Stop) ends the schedule. Note that backoff's own default gives
	// up 15 minutes after the last reset.
	BackOff func() backoff.BackOff
	// Retriable decides CloseEvent.Retriable; nil means DefaultRetriable.
	Retriable func(CloseEvent) bool
	// MaxServerDelay caps what the server may ask for with a retry field or
	// Retry-After. 0 means 10 minutes; negative ignores the server.
	MaxServerDelay time.Duration
}

// NoRetry is the policy that finds nothing retriable. OnClose may still
// connect.
var NoRetry = RetryPolicy{Retriable: func(CloseEvent) bool { return false }}

const (
	defaultMaxServerDelay = 10 * time.Minute
	// progressAfter is how long a connection has to stay open to count as
	// progress without an event.
	progressAfter = time.Minute
)

// NewBackOff returns the default schedule: the first wait is 0.3 to 3 s, drawn
// evenly; later ones double up to 3 to 30 s; it never gives up. The wide
// jitter keeps clients whose streams were cut together from coming back
// together.
func NewBackOff() backoff.BackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(1650*time.Millisecond),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(9./11),
		backoff.WithMaxInterval(16500*time.Millisecond),
		backoff.WithMaxElapsedTime(0),
	)
}

// DefaultRetriable finds retriable what may pass: failed connections, the
// statuses 408, 425, 429 and 5xx (but 501 and 505), cuts, silence, and clean
// ends, which prove nothing. Fatal are all other statuses, 204 among them,
// answers that are no event stream, refused redirects, oversize events,
// invalid certificates and requests, and what [Permanent] marks.
//
// It never finds retriable what is not Resumable: a POST or PATCH that brought
// events without ids would repeat work and events.
func DefaultRetriable(ev CloseEvent) bool {
	return ev.Resumable && mendable(ev) && (!errors.Is(ev.Err, ErrStatus) || passing(ev.Status))
}

// StandardRetriable is the rule of WHATWG HTML, 9.2.3: a network error and
// the end of a stream are retriable, any status but 200 is final. The standard
// knows only GET; a POST is repeated even if it cannot be resumed.
func StandardRetriable(ev CloseEvent) bool {
	return mendable(ev) && (ev.Status == 0 || ev.Status == http.StatusOK)
}

// mendable reports whether another attempt could possibly end otherwise.
func mendable(ev CloseEvent) bool {
	if ev.IsLocal || ev.Status == http.StatusNoContent || isPermanent(ev.Err) {
		return false
	}
	for _, fatal := range []error{ErrContentType, ErrRedirect, ErrEncoding, ErrTooLong} {
		if errors.Is(ev.Err, fatal) {
			return false
		}
	}
	return true
}

// passing reports whether a refusal with this status may be temporary.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500 && status <= 599
}

// idempotent reports whether a request may be sent twice (RFC 9110, 9.2.2).
func idempotent(method string) bool {
	return method != http.MethodPost && method != http.MethodPatch
}

// Permanent marks an error of Prepare or CheckResponse that no retry can mend.
// It returns nil for nil.
func Permanent(err error) error { return backoff.Permanent(err) }

func isPermanent(err error) bool {
	var permanent *backoff.PermanentError
	return errors.As(err, &permanent)
}

// A schedule times the attempts of one source. It is owned by the goroutine
// that runs the source.
type schedule struct {
	policy  RetryPolicy
	backOff backoff.BackOff
	started bool // a wait of this outage was given out
}

// reset begins a new outage with the next wait.
func (s *schedule) reset() {
	s.started = false
	if s.backOff != nil {
		s.backOff.Reset()
	}
}

// next returns how long to wait before the next attempt, and false if the
// schedule has run out. retry is the reconnection time of the stream, negative
// if it set none; after is what Retry-After asks for.
func (s *schedule) next(retry, after time.Duration) (time.Duration, bool) {
	if s.backOff == nil {
		s.backOff = NewBackOff()
		if s.policy.BackOff != nil {
			s.backOff = s.policy.BackOff()
		}
	}
	delay := s.backOff.NextBackOff()
	if delay < 0 {
		return 0, false
	}
	first := !s.started
	s.started = true
	retry, after = s.capped(retry), s.capped(after)
	switch {
	case retry >= 0 && first:
		// Never sooner than asked, and spread, for all streams of a server
		// carry the same value.
		spread := min(retry/5*4, math.MaxInt64-retry)
		delay = retry + time.Duration(rand.Float64()*float64(spread))
	case retry >= 0:
		delay = max(delay, retry)
	}
	return max(delay, after), true
}

// capped limits what the server asks for.
func (s *schedule) capped(d time.Duration) time.Duration {
	switch limit := s.policy.MaxServerDelay; {
	case limit < 0:
		return -1
	case limit == 0:
		return min(d, defaultMaxServerDelay)
	default:
		return min(d, limit)
	}
}

// retryAfter reads Retry-After (RFC 9110, 10.2.3): seconds, or a date, which
// is measured against the server's own clock where it gives one. It returns 0
// for what is missing, malformed or past.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		const limit = math.MaxInt64 / int64(time.Second)
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil { // out of range
			seconds = limit
		}
		return time.Duration(min(seconds, limit)) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0)
}
