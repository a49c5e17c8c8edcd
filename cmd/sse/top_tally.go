package main

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wellspring-go/sse"
)

// What a tally keeps is bounded, whatever the streams send.
const (
	maxNames     = 1000     // rows; the events of further names count as others
	maxNameBytes = 256      // longer names count as others too
	keptPerName  = 50       // events that can be looked at
	keptData     = 64 << 10 // bytes of one event's data
	keptID       = 1 << 10  // bytes of one event's id
	keptBytes    = 16 << 20 // bytes of all kept events
	othersName   = "\n"     // which no event has
	minute       = 60       // seconds that a series remembers
	rateSeconds  = int64(5) // seconds that a rate is taken over
	shedTo       = keptBytes / 4 * 3
)

// A tally counts the events of some streams by name and keeps the last ones.
// Its methods that take a time are called with times that do not go back.
// The view reads the fields, with mu held.
type tally struct {
	mu      sync.Mutex
	started time.Time
	total   counts
	names   map[string]*nameTally // othersName is what is beyond the bounds
	streams []streamTally
	seq     uint64 // of the last event, over all names
	kept    int    // bytes held by the kept events
}

// counts are how many events there were, and when.
type counts struct {
	events, bytes uint64 // bytes of data
	last          time.Time
	rate          series
}

// A nameTally is what a tally knows of the events of one name.
type nameTally struct {
	counts
	name string
	// kept is a ring: its n events begin at first, the oldest. The memory of
	// an event that is overwritten is used again.
	kept     []keptEvent
	first, n int
	held     int // bytes
}

// A keptEvent is the copy of an event, cut to keptData and keptID.
type keptEvent struct {
	seq      uint64
	at       time.Time
	stream   int
	name     string
	id, data []byte
	size     int // of the data before the cut

	// judged is the filter that has set matches.
	judged  uint64
	matches bool
}

// A streamTally is the state of one stream.
type streamTally struct {
	shown   string
	state   streamState
	retryAt time.Time // if waiting
	trouble string    // what went wrong last, since it was opened
	lastID  []byte
	opens   uint64
}

type streamState int

const (
	streamConnecting streamState = iota
	streamOpen
	streamWaiting // for the next attempt
	streamEnded
)

func newTally(now time.Time, shown ...string) *tally {
	t := &tally{started: now, names: map[string]*nameTally{}}
	for _, s := range shown {
		t.streams = append(t.streams, streamTally{shown: s})
	}
	return t
}

// event counts an event of a stream.
func (t *tally) event(stream int, ev sse.Event, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	second := int64(at.Sub(t.started) / time.Second)
	n := t.named(ev.Name)
	t.seq++
	t.total.add(len(ev.Data), at, second)
	n.add(len(ev.Data), at, second)
	s := &t.streams[stream]
	if string(s.lastID) != ev.ID {
		s.lastID = append(s.lastID[:0], ev.ID[:min(len(ev.ID), keptID)]...)
	}
	t.keep(n, stream, ev, at)
}

// named returns what counts the events of a name.
func (t *tally) named(name string) *nameTally {
	if n := t.names[name]; n != nil {
		return n
	}
	if len(t.names) >= maxNames || len(name) > maxNameBytes {
		name = othersName
		if n := t.names[name]; n != nil {
			return n
		}
	}
	name = strings.Clone(name) // it may be a piece of a large chunk
	n := &nameTally{name: name, kept: make([]keptEvent, keptPerName)}
	t.names[name] = n
	return n
}

// keep copies an event into the ring of its name.
func (t *tally) keep(n *nameTally, stream int, ev sse.Event, at time.Time) {
	e := &n.kept[(n.first+n.n)%keptPerName]
	if n.n == keptPerName {
		n.first = (n.first + 1) % keptPerName
	} else {
		n.n++
	}
	before := e.held()
	name := n.name
	if name == othersName {
		name = strings.Clone(ev.Name[:min(len(ev.Name), maxNameBytes)])
	}
	*e = keptEvent{
		seq: t.seq, at: at, stream: stream, name: name, size: len(ev.Data),
		id:   append(e.id[:0], ev.ID[:min(len(ev.ID), keptID)]...),
		data: append(e.data[:0], ev.Data[:min(len(ev.Data), keptData)]...),
	}
	n.held += e.held() - before
	t.kept += e.held() - before
	if t.kept > keptBytes {
		t.shed()
	}
}

// held returns how much memory the texts of an event hold.
func (e *keptEvent) held() int { return cap(e.id) + cap(e.data) }

// shed forgets the older half of what is kept of the largest names until
// there is room again.
func (t *tally) shed() {
	for t.kept > shedTo {
		var largest *nameTally
		for _, n := range t.names {
			if largest == nil || n.held > largest.held {
				largest = n
			}
		}
		before := largest.held
		largest.forget((largest.n + 1) / 2)
		t.kept -= before - largest.held
	}
}

// forget drops the oldest events, and the memory of unused places.
func (n *nameTally) forget(oldest int) {
	for range oldest {
		n.kept[n.first] = keptEvent{}
		n.first = (n.first + 1) % keptPerName
		n.n--
	}
	n.held = 0
	for i := range n.kept {
		n.held += n.kept[i].held()
	}
}

// newest returns the kept event that is back places older than the newest.
func (n *nameTally) newest(back int) *keptEvent {
	return &n.kept[(n.first+n.n-1-back)%keptPerName]
}

// opened notes that a connection of a stream is open.
func (t *tally) opened(stream int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.streams[stream]
	s.state, s.trouble = streamOpen, ""
	s.opens++
}

// closed notes how a connection of a stream ended, and when the next attempt
// is due, if there is one.
func (t *tally) closed(stream int, trouble string, again bool, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.streams[stream]
	s.state, s.trouble = streamEnded, trouble
	if again {
		s.state, s.retryAt = streamWaiting, at
	}
}

// trouble notes what went wrong with a stream that goes on.
func (t *tally) trouble(stream int, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams[stream].trouble = text
}

// connecting notes that a stream connects, at once.
func (t *tally) connecting(stream int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams[stream].state = streamConnecting
}

// clear forgets all events. The streams keep their last ids.
func (t *tally) clear(now time.Time) {
	t.started, t.total, t.names = now, counts{}, map[string]*nameTally{}
	t.seq, t.kept = 0, 0
}

// clone returns a copy that stays as it is.
func (t *tally) clone() *tally {
	c := &tally{
		started: t.started, total: t.total, streams: slices.Clone(t.streams), seq: t.seq, kept: t.kept,
		names: make(map[string]*nameTally, len(t.names)),
	}
	for name, n := range t.names {
		copied := *n
		copied.kept = slices.Clone(n.kept)
		for i := range copied.kept {
			e := &copied.kept[i]
			e.id, e.data = slices.Clone(e.id), slices.Clone(e.data)
		}
		c.names[name] = &copied
	}
	return c
}

func (c *counts) add(bytes int, at time.Time, second int64) {
	c.events++
	c.bytes += uint64(bytes)
	c.last = at
	c.rate.add(second)
}

// A series counts what happens in each second of the last minute. Seconds are
// counted from the start of the tally.
type series struct {
	slots  [minute]uint32
	newest int64
}

func (s *series) add(second int64) {
	if second >= s.newest+minute {
		clear(s.slots[:])
	} else {
		for i := s.newest + 1; i <= second; i++ {
			s.slots[i%minute] = 0
		}
	}
	s.newest = max(s.newest, second)
	s.slots[s.newest%minute]++
}

// in returns how much happened in a second.
func (s *series) in(second int64) uint64 {
	if second < 0 || second > s.newest || second <= s.newest-minute {
		return 0
	}
	return uint64(s.slots[second%minute])
}

// perSecond returns the rate of the last seconds; age is that of the tally.
// What is younger than a second counts as one second old.
func (s *series) perSecond(age time.Duration) float64 {
	second := int64(age / time.Second)
	from := max(0, second-rateSeconds+1)
	var sum uint64
	for i := from; i <= second; i++ {
		sum += s.in(i)
	}
	span := age - time.Duration(from)*time.Second
	return float64(sum) / max(1, span.Seconds())
}

// columns returns the last minute in width sums, the newest last; width must
// divide 60. The seconds of a sum do not change while time goes on, so that a
// graph of them moves, and does not waver.
func (s *series) columns(age time.Duration, width int) []uint64 {
	each := int64(minute / width)
	second := int64(age / time.Second)
	columns := make([]uint64, width)
	for i := range columns {
		group := second/each - int64(width-1-i)
		for j := group * each; j < (group+1)*each && j <= second; j++ {
			columns[i] += s.in(j)
		}
	}
	return columns
}
