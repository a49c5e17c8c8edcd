package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wellspring-go/sse"
)

// rateWindow is the time over which the live line counts its rate.
const rateWindow = 2 * time.Second

// A rateMeter tells how fast a count grows.
type rateMeter struct {
	samples []sample
}

type sample struct {
	at    time.Time
	count uint64
}

// rate notes the count and returns its growth per second in the last
// rateWindow.
func (m *rateMeter) rate(now time.Time, count uint64) float64 {
	for len(m.samples) > 1 && now.Sub(m.samples[1].at) >= rateWindow {
		m.samples = m.samples[1:]
	}
	m.samples = append(m.samples, sample{now, count})
	first := m.samples[0]
	past := now.Sub(first.at).Seconds()
	if past <= 0 {
		return 0
	}
	return float64(count-first.count) / past
}

// summary returns the live line: state, rate, total, last id and next retry.
func (s *session) summary(now time.Time) string {
	var received uint64
	for _, f := range s.followers {
		received += f.source.Stats().Events
	}
	parts := []string{s.states(now), fmt.Sprintf("%.3g/s", s.meter.rate(now, received)), events(received)}
	if printed := s.printed.Load(); printed < received {
		parts[2] = fmt.Sprintf("%d of %s", printed, parts[2])
	}
	if len(s.followers) == 1 {
		if id := s.followers[0].source.LastEventID(); id != "" {
			parts = append(parts, "id "+strings.Trim(strconv.QuoteToASCII(id), `"`))
		}
	}
	return strings.Join(parts, " | ")
}

// states says what the streams are doing.
func (s *session) states(now time.Time) string {
	if len(s.followers) == 1 {
		return s.followers[0].state(now)
	}
	counts := make(map[string]int)
	for _, f := range s.followers {
		word, _, _ := strings.Cut(f.state(now), " ")
		counts[word]++
	}
	var parts []string
	for _, word := range []string{"open", "connecting", "reconnecting", "closed"} {
		if n := counts[word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	return strings.Join(parts, ", ")
}

// state says what the stream is doing.
func (f *follower) state(now time.Time) string {
	if next := f.waiting.Load(); next != nil && next.at.After(now) {
		text := fmt.Sprintf("reconnecting in %.1fs", next.at.Sub(now).Seconds())
		if next.failed > 0 {
			text += fmt.Sprintf(" (attempt %d)", next.failed+1)
		}
		return text
	}
	switch f.source.State() {
	case sse.Open:
		return "open"
	case sse.Closed:
		return "closed"
	default:
		return "connecting"
	}
}

// total says what the session came to.
func (s *session) total() string {
	var received, opens uint64
	for _, f := range s.followers {
		stats := f.source.Stats()
		received += stats.Events + f.final
		opens += stats.Opens
	}
	text := fmt.Sprintf("%s over %d connections in %v", events(received), opens, time.Since(s.began).Round(time.Millisecond))
	if opens == 1 {
		text = strings.Replace(text, "connections", "connection", 1)
	}
	if s.seq < received {
		text = fmt.Sprintf("printed %d of %s", s.seq, text)
	}
	return text
}

func events(n uint64) string {
	if n == 1 {
		return "1 event"
	}
	return strconv.FormatUint(n, 10) + " events"
}
