package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
)

// newTestLine returns a live line as on a terminal of so many columns.
func newTestLine(w *screenBytes, columns int, text func(time.Time) string) *liveLine {
	return &liveLine{w: w, on: true, text: text, columns: func() int { return columns }}
}

// screenBytes are the bytes that a terminal gets.
type screenBytes struct {
	mu sync.Mutex
	bytes.Buffer
	writes int
}

func (b *screenBytes) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes++
	return b.Buffer.Write(p)
}

// row returns what stands in the last row, and in those above.
func (b *screenBytes) row() (above, row string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var cells []byte
	column := 0
	for _, c := range b.Bytes() {
		switch c {
		case '\r':
			column = 0
		case '\b':
			column--
		case '\n':
			above += string(bytes.TrimRight(cells, " ")) + "\n"
			cells, column = nil, 0
		default:
			for len(cells) <= column {
				cells = append(cells, ' ')
			}
			cells[column] = c
			column++
		}
	}
	return above, string(bytes.TrimRight(cells, " "))
}

func (b *screenBytes) want(t *testing.T, above, row string) {
	t.Helper()
	synctest.Wait()
	if gotAbove, gotRow := b.row(); gotAbove != above || gotRow != row {
		t.Errorf("got %q, below it %q, want %q and %q", gotAbove, gotRow, above, row)
	}
}

// tick waits until the line was drawn.
func tick() {
	time.Sleep(statusEvery)
	synctest.Wait()
}

func TestLiveLineStaysBelowWhatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen screenBytes
		var text atomic.Value
		text.Store("first, and long")
		l := newTestLine(&screen, 80, func(time.Time) string { return text.Load().(string) })
		out := l.above(&screen)
		l.start()
		screen.want(t, "", "")
		tick()
		screen.want(t, "", "first, and long")
		text.Store("second")
		tick()
		screen.want(t, "", "second")
		fmt.Fprintln(l, "note")
		screen.want(t, "note\n", "")
		tick()
		fmt.Fprintln(out, "event")
		screen.want(t, "note\nevent\n", "")
		tick()
		screen.want(t, "note\nevent\n", "second")
		l.close(nil)
		l.close(nil)
		screen.want(t, "note\nevent\n", "")
	})
}

func TestLiveLineIsDrawnAtMostTenTimesASecondAndOnlyIfChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen screenBytes
		n := 0
		l := newTestLine(&screen, 80, func(now time.Time) string { n++; return strings.Repeat(".", min(n, 10)) })
		l.start()
		time.Sleep(time.Minute)
		synctest.Wait()
		if screen.writes != 10 {
			t.Errorf("drawn %d times, want 10", screen.writes)
		}
		l.close(nil)
	})
}

// stuckScreen is a terminal that takes nothing until it is closed.
type stuckScreen chan struct{}

func (s stuckScreen) Write(p []byte) (int, error) { <-s; return len(p), nil }

func TestLiveLineIsNotWaitedForOnceItsTerminalIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen := make(stuckScreen)
		l := &liveLine{w: screen, on: true, text: func(time.Time) string { return "text" }, columns: func() int { return 80 }}
		l.start()
		tick()
		stuck := make(chan struct{})
		time.AfterFunc(outputGrace, func() { close(stuck) })
		began := time.Now()
		l.close(stuck)
		if past := time.Since(began); past != outputGrace {
			t.Errorf("closed after %v, want %v", past, outputGrace)
		}
		close(screen)
	})
}

func TestLiveLineIsCutToTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, columns := range []int{0, 1, 5} {
			var screen screenBytes
			l := newTestLine(&screen, columns, func(time.Time) string { return "a long line" })
			l.draw(time.Now())
			screen.want(t, "", "a long line"[:max(0, columns-1)])
		}
	})
}

func TestLiveLineThatIsOffWritesNothing(t *testing.T) {
	var screen screenBytes
	l, err := newLiveLine("auto", false, &screen, func(time.Time) string { return "text" })
	if err != nil {
		t.Fatal(err)
	}
	l.start()
	fmt.Fprint(l, "note")
	fmt.Fprint(l.above(&screen), "event")
	l.close(nil)
	if got := screen.String(); got != "noteevent" {
		t.Errorf("got %q", got)
	}
}

func TestRateIsOfTheLastSeconds(t *testing.T) {
	var m rateMeter
	at := time.Unix(0, 0)
	rate, count := 0.0, uint64(0)
	for range 100 {
		rate = m.rate(at, count)
		at = at.Add(100 * time.Millisecond)
		count += 5
	}
	if rate != 50 {
		t.Errorf("rate %v, want 50", rate)
	}
	for range 30 {
		rate = m.rate(at, count)
		at = at.Add(100 * time.Millisecond)
	}
	if rate != 0 {
		t.Errorf("rate %v once nothing comes any more, want 0", rate)
	}
	if len(m.samples) > 30 {
		t.Errorf("%d samples kept", len(m.samples))
	}
}

func TestLiveLineSaysWhatHappens(t *testing.T) {
	now := time.Now()
	s := new(session)
	add := func(id string, wait *attempt) *follower {
		f := &follower{session: s, source: sse.Source("http://test/", sse.Options{LastEventID: id})}
		f.waiting.Store(wait)
		s.followers = append(s.followers, f)
		return f
	}
	want := func(text string) {
		t.Helper()
		if got := s.summary(now); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	f := add("größe", nil)
	want(`connecting | 0/s | 0 events | id gr\u00f6\u00dfe`)
	f.waiting.Store(&attempt{2, now.Add(1500 * time.Millisecond)})
	want(`reconnecting in 1.5s (attempt 3) | 0/s | 0 events | id gr\u00f6\u00dfe`)
	f.waiting.Store(&attempt{0, now.Add(time.Second)})
	want(`reconnecting in 1.0s | 0/s | 0 events | id gr\u00f6\u00dfe`)
	f.waiting.Store(&attempt{0, now})
	want(`connecting | 0/s | 0 events | id gr\u00f6\u00dfe`)
	add("", &attempt{0, now.Add(time.Second)})
	closed := add("", nil).source
	closed.Close()
	closed.Run()
	want(`1 connecting, 1 reconnecting, 1 closed | 0/s | 0 events`)
}
