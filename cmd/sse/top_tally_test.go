package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

// TestSeriesCountsTheLastMinute compares a series with a plain list of the
// moments.
func TestSeriesCountsTheLastMinute(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var s series
	var seconds []int64
	now := int64(0)
	for range 5000 {
		switch random.IntN(20) {
		case 0:
			now += random.Int64N(200)
		case 1, 2, 3:
			now += random.Int64N(3)
		}
		s.add(now)
		seconds = append(seconds, now)
		for second := now - 65; second <= now+1; second++ {
			var want uint64
			for i := len(seconds) - 1; i >= 0 && seconds[i] >= second; i-- {
				if seconds[i] == second && second > now-minute {
					want++
				}
			}
			if got := s.in(second); got != want {
				t.Fatalf("second %d at %d: %d events, want %d", second, now, got, want)
			}
		}
	}
}

func TestRateIsThatOfTheLastSeconds(t *testing.T) {
	for _, test := range []struct {
		name  string
		every time.Duration
		until time.Duration // of the events
		age   time.Duration
		want  float64
	}{
		{"steady", 100 * time.Millisecond, 20 * time.Second, 20 * time.Second, 10},
		{"within a second", 100 * time.Millisecond, 30 * time.Second, 30*time.Second + 500*time.Millisecond, 40. / 4.5},
		{"just begun", 100 * time.Millisecond, 300 * time.Millisecond, 300 * time.Millisecond, 3},
		{"slow", 2 * time.Second, 20 * time.Second, 20 * time.Second, 0.5},
		{"over", 100 * time.Millisecond, 10 * time.Second, 16 * time.Second, 0},
		{"long over", 100 * time.Millisecond, 10 * time.Second, 3 * time.Hour, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s series
			for d := time.Duration(0); d < test.until; d += test.every {
				s.add(int64(d / time.Second))
			}
			if got := s.perSecond(test.age); got < test.want*0.8 || got > test.want*1.2 {
				t.Errorf("rate %v, want about %v", got, test.want)
			}
		})
	}
}

// TestGraphMovesAndDoesNotWaver looks at the same events as time goes on: each
// column must keep its value until it leaves.
func TestGraphMovesAndDoesNotWaver(t *testing.T) {
	for _, width := range []int{60, 30, 20, 10} {
		each := int64(minute / width)
		var s series
		for second := range int64(60) {
			for range second%7 + 1 {
				s.add(second)
			}
		}
		before := s.columns(59*time.Second, width)
		var sum uint64
		for _, n := range before {
			sum += n
		}
		if sum != 8*(1+2+3+4+5+6+7)+1+2+3+4 {
			t.Errorf("width %d: sum %d", width, sum)
		}
		for later := int64(1); later < 60; later++ {
			now := s.columns(time.Duration(59+later)*time.Second, width)
			moved := int((59+later)/each - 59/each)
			if !slices.Equal(now[:width-moved], before[moved:]) {
				t.Fatalf("width %d, %d s later:\n%v, moved by %d from\n%v", width, later, now, moved, before)
			}
		}
	}
}

func TestTallyKeepsTheLastEventsOfEachName(t *testing.T) {
	tally := newTally(noon, "a")
	for i := range 120 {
		name := "odd"
		if i%2 == 0 {
			name = "even"
		}
		tally.event(0, sse.Event{Name: name, Data: strconv.Itoa(i), ID: fmt.Sprint("id", i)}, after(time.Duration(i)*time.Second))
	}
	even := tally.names["even"]
	if even.events != 60 || even.n != keptPerName {
		t.Fatalf("%d events, %d kept", even.events, even.n)
	}
	for back := range keptPerName {
		e := even.newest(back)
		want := 118 - 2*back
		if string(e.data) != strconv.Itoa(want) || string(e.id) != fmt.Sprint("id", want) || e.seq != uint64(want+1) || !e.at.Equal(after(time.Duration(want)*time.Second)) {
			t.Fatalf("%d back: %+v", back, e)
		}
	}
	if got := string(tally.streams[0].lastID); got != "id119" {
		t.Errorf("last id %q", got)
	}
}

// TestTallyIsBounded sends what is as large, and as various, as can be.
func TestTallyIsBounded(t *testing.T) {
	tally := newTally(noon, "a")
	long := strings.Repeat("x", 3*keptData)
	for i := range 4 * maxNames {
		tally.event(0, sse.Event{Name: fmt.Sprint("name", i), Data: long[:i*50%len(long)], ID: long[:i%2000]}, noon)
	}
	tally.event(0, sse.Event{Name: strings.Repeat("n", maxNameBytes+1), Data: long}, noon)
	if len(tally.names) != maxNames+1 {
		t.Errorf("%d names", len(tally.names))
	}
	others := tally.names[othersName]
	if others.events != 3*maxNames+1 {
		t.Errorf("%d other events", others.events)
	}
	last := others.newest(0)
	if len(last.data) != keptData || last.size != len(long) || len(last.name) != maxNameBytes {
		t.Errorf("kept %d bytes of %d, name of %d", len(last.data), last.size, len(last.name))
	}
	held := 0
	for _, n := range tally.names {
		for i := range n.kept {
			held += cap(n.kept[i].data) + cap(n.kept[i].id)
		}
	}
	if held != tally.kept || held > keptBytes {
		t.Errorf("%d bytes are held, %d counted, %d allowed", held, tally.kept, keptBytes)
	}
	if tally.total.events != 4*maxNames+1 {
		t.Errorf("%d events", tally.total.events)
	}
}

func TestCloneStaysAsItIs(t *testing.T) {
	tally := newTally(noon, "a")
	for i := range keptPerName {
		tally.event(0, sse.Event{Name: "a", Data: fmt.Sprint("old", i)}, noon)
	}
	c := tally.clone()
	for i := range keptPerName {
		tally.event(0, sse.Event{Name: "a", Data: fmt.Sprint("new", i)}, after(time.Second))
	}
	if e := c.names["a"].newest(0); string(e.data) != "old49" || c.names["a"].events != keptPerName || c.total.events != keptPerName {
		t.Errorf("the clone changed: %q", e.data)
	}
	tally.clear(after(time.Minute))
	if len(tally.names) != 0 || tally.total.events != 0 || len(c.names) != 1 {
		t.Error("not cleared, or the clone too")
	}
}

// TestTallyTakesEventsOfManyStreams is for the race detector.
func TestTallyTakesEventsOfManyStreams(t *testing.T) {
	tally := newTally(noon, "a", "b")
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			for range 1000 {
				tally.event(i, sse.Event{Name: "x", Data: "data"}, noon)
			}
		})
	}
	view := topView{width: 80, height: 24}
	for range 20 {
		tally.mu.Lock()
		view.lines(tally, noon)
		tally.mu.Unlock()
	}
	wg.Wait()
	if tally.names["x"].events != 2000 {
		t.Errorf("%d events", tally.names["x"].events)
	}
}

// BenchmarkTally is what an event costs while the screen is drawn ten times a
// second, and more.
func BenchmarkTally(b *testing.B) {
	tally := newTally(time.Now(), "a")
	view := topView{width: 120, height: 40}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(redrawn)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				tally.mu.Lock()
				view.lines(tally, time.Now())
				tally.mu.Unlock()
			}
		}
	})
	ev := sse.Event{Name: "price", Data: `{"symbol":"ACME","price":12.5,"volume":100}`, ID: "4711"}
	b.ReportAllocs()
	for b.Loop() {
		tally.event(0, ev, time.Now())
	}
	close(stop)
	wg.Wait()
}
