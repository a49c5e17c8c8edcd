package ssetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
)

// Collect returns the next n events of seq and leaves the loop, which for
// EventSource.All closes the source and for Selection.All stops the selection.
// It fails the test at once if an error or the end comes before that, or
// nothing for a week in a synctest bubble and 30 s elsewhere.
func Collect(tb testing.TB, seq iter.Seq2[sse.Event, error], n int) []sse.Event {
	tb.Helper()
	got, why := collect(seq, n)
	if len(got) < n {
		tb.Fatalf("ssetest: event %d: %s\ngot: %v\nwant: %d events\n%s", len(got), why, got, n, seen(tb))
	}
	return got
}

// collect returns up to n events of seq, and why there are no more. The loop
// has a goroutine of its own, so that a stream that hangs does not take the
// failure message with it; the end of the test closes its source.
func collect(seq iter.Seq2[sse.Event, error], n int) (got []sse.Event, why string) {
	if n <= 0 {
		return nil, ""
	}
	var mu sync.Mutex
	why = "the stream ended"
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ev, err := range seq {
			mu.Lock()
			if err != nil {
				why = fmt.Sprintf("the stream failed: %v", err)
			} else {
				got = append(got, ev)
			}
			enough := err != nil || len(got) == n
			mu.Unlock()
			if enough {
				return
			}
		}
	}()
	timer := time.NewTimer(patience())
	defer timer.Stop()
	select {
	case <-done:
		return got, why
	case <-timer.C:
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got), nothingMore()
	}
}

// patience is how long to wait for events. Only the clock of a synctest bubble
// is in the past, where a week costs nothing.
func patience() time.Duration {
	if time.Now().Year() < 2020 {
		return 7 * 24 * time.Hour
	}
	return 30 * time.Second
}

func nothingMore() string { return fmt.Sprintf("nothing more came within %v", patience()) }

// Take returns the next n events of the channel of a selection, and can be
// called again. It fails the test like Collect.
func Take(tb testing.TB, ch <-chan sse.Event, n int) []sse.Event {
	tb.Helper()
	var got []sse.Event
	timer := time.NewTimer(patience())
	defer timer.Stop()
	for len(got) < n {
		why := ""
		select {
		case ev, ok := <-ch:
			if ok {
				got = append(got, ev)
				continue
			}
			why = "the channel was closed"
		case <-timer.C:
			why = nothingMore()
		}
		tb.Fatalf("ssetest: event %d: %s\ngot: %v\nwant: %d events\n%s", len(got), why, got, n, seen(tb))
		return got
	}
	return got
}

// Want compares the next len(want) events of seq with want, and then leaves
// the loop as Collect does. What differs first is named by its index.
func Want(tb testing.TB, seq iter.Seq2[sse.Event, error], want []sse.Event, opts ...cmp.Option) {
	tb.Helper()
	got, why := collect(seq, len(want))
	for i := range want {
		if i >= len(got) {
			tb.Errorf("ssetest: event %d: %s\nwant: %+v\ngot: %+v\n%s", i, why, want, got, seen(tb))
			return
		}
		if !cmp.Equal(want[i], got[i], opts...) {
			tb.Errorf("ssetest: event %d differs (-want +got):\n%s\nall events (-want +got):\n%s\n%s",
				i, cmp.Diff(want[i], got[i], opts...), cmp.Diff(want, got, opts...), seen(tb))
			return
		}
	}
}

// WantCloses compares all closes of a log with want. Zero fields of want match
// anything; Err matches by errors.Is; Header needs the given fields only.
func WantCloses(tb testing.TB, l *Log, want ...sse.CloseEvent) {
	tb.Helper()
	got := l.Closes()
	for i := range max(len(want), len(got)) {
		if i >= len(got) || i >= len(want) {
			tb.Errorf("ssetest: close %d: got %d closes, want %d\n%s%s", i, len(got), len(want), listCloses(want, got), seen(tb))
			return
		}
		if field := closeDiff(want[i], got[i]); field != "" {
			tb.Errorf("ssetest: close %d: %s\n%s%s", i, field, listCloses(want, got), seen(tb))
			return
		}
	}
}

func listCloses(want, got []sse.CloseEvent) string {
	var b strings.Builder
	for i, ev := range want {
		fmt.Fprintf(&b, "want %d: %v\n", i, ev)
	}
	for i, ev := range got {
		fmt.Fprintf(&b, "got %d:  %v\n", i, ev)
	}
	return b.String()
}

func closeDiff(want, got sse.CloseEvent) string {
	if want.Err != nil && !errors.Is(got.Err, want.Err) {
		return fmt.Sprintf("Err: want %v, got %v", want.Err, got.Err)
	}
	return zeroMatches(want, got, "Err", "Connect", "ConnectAfter")
}

// WantRequests compares all requests of a server with want. Zero fields of
// want match anything; Header needs the given fields only.
func WantRequests(tb testing.TB, s *Server, want ...Request) {
	tb.Helper()
	got := s.Requests()
	for i := range max(len(want), len(got)) {
		diff := ""
		if i >= len(got) || i >= len(want) {
			diff = fmt.Sprintf("got %d requests, want %d", len(got), len(want))
		} else {
			diff = zeroMatches(want[i], got[i])
		}
		if diff != "" {
			s.mu.Lock()
			defer s.mu.Unlock()
			tb.Errorf("ssetest: request %d: %s\n%s", i, diff, s.seen())
			return
		}
	}
}

// zeroMatches compares two structs of a type field by field; a zero field of
// want matches anything, a map of want what has its keys and values.
func zeroMatches(want, got any, except ...string) string {
	w, g := reflect.ValueOf(want), reflect.ValueOf(got)
	for i := range w.NumField() {
		name := w.Type().Field(i).Name
		if w.Field(i).IsZero() || slices.Contains(except, name) {
			continue
		}
		if w.Field(i).Kind() == reflect.Map {
			for _, key := range w.Field(i).MapKeys() {
				g := g.Field(i).MapIndex(key)
				if w := w.Field(i).MapIndex(key).Interface(); !g.IsValid() || !cmp.Equal(w, g.Interface()) {
					return fmt.Sprintf("%s[%v]: want %v, got %v", name, key, w, g)
				}
			}
			continue
		}
		if w, g := w.Field(i).Interface(), g.Field(i).Interface(); !cmp.Equal(w, g) {
			return fmt.Sprintf("%s: want %v, got %v", name, show(w), show(g))
		}
	}
	return ""
}

func show(v any) any {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return v
}

// EquateJSON compares the Data of events as JSON values, where both are JSON.
func EquateJSON() cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == ".Data" && len(p) > 1 && p[len(p)-2].Type() == reflect.TypeFor[sse.Event]()
	}, cmp.FilterValues(func(x, y string) bool {
		return json.Valid([]byte(x)) && json.Valid([]byte(y))
	}, cmp.Comparer(func(x, y string) bool {
		var a, b any
		return json.Unmarshal([]byte(x), &a) == nil && json.Unmarshal([]byte(y), &b) == nil && cmp.Equal(a, b)
	})))
}

// A Log has the opens and closes of a source, in order.
type Log struct {
	mu     sync.Mutex
	opens  []sse.OpenEvent
	closes []sse.CloseEvent
}

// Record makes the options o log opens and closes. The hooks that it finds are
// still called; without OnClose the default policy stays in force.
func Record(o *sse.Options) *Log {
	l := &Log{}
	onOpen, onClose := o.OnOpen, o.OnClose
	o.OnOpen = func(ev sse.OpenEvent) {
		l.mu.Lock()
		l.opens = append(l.opens, ev)
		l.mu.Unlock()
		if onOpen != nil {
			onOpen(ev)
		}
	}
	o.OnClose = func(ev sse.CloseEvent) {
		l.mu.Lock()
		kept := ev
		kept.Connect, kept.ConnectAfter = nil, nil
		l.closes = append(l.closes, kept)
		l.mu.Unlock()
		switch {
		case onClose != nil:
			onClose(ev)
		case ev.Retriable:
			ev.Connect()
		}
	}
	return l
}

// Opens returns the opens so far.
func (l *Log) Opens() []sse.OpenEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]sse.OpenEvent(nil), l.opens...)
}

// Closes returns the closes so far, without Connect and ConnectAfter, so that
// cmp can compare them.
func (l *Log) Closes() []sse.CloseEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]sse.CloseEvent(nil), l.closes...)
}

// servers has the servers of running tests, for failure messages.
var servers struct {
	sync.Mutex
	of map[testing.TB][]*Server
}

func register(tb testing.TB, s *Server) {
	tb.Helper()
	servers.Lock()
	defer servers.Unlock()
	if servers.of == nil {
		servers.of = map[testing.TB][]*Server{}
	}
	servers.of[tb] = append(servers.of[tb], s)
}

func unregister(tb testing.TB) {
	tb.Helper()
	servers.Lock()
	defer servers.Unlock()
	delete(servers.of, tb)
}

// seen lists the requests that the servers of a test have seen.
func seen(tb testing.TB) string {
	tb.Helper()
	servers.Lock()
	of := servers.of[tb]
	servers.Unlock()
	var parts []string
	for _, s := range of {
		s.mu.Lock()
		parts = append(parts, s.seen())
		s.mu.Unlock()
	}
	return strings.Join(parts, "\n")
}
