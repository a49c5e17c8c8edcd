package main

import (
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/wellspring-go/sse/recording"
)

// A take is what one request led to in a recording.
type take struct {
	first recording.Step   // an Open or a Fail
	steps []recording.Step // of an Open, the End last

	// In this run, or this round of --loop. The replay's mu guards them.
	begun    bool
	finished bool // to its end, not to that of the client
}

// readTakes reads a recording.
func readTakes(r io.Reader) ([]*take, error) {
	var takes []*take
	for step, err := range recording.NewReader(r).All() {
		switch {
		case err != nil:
			return nil, err
		case step.Kind == recording.Open || step.Kind == recording.Fail:
			takes = append(takes, &take{first: step})
		default:
			last := takes[len(takes)-1]
			last.steps = append(last.steps, step)
		}
	}
	return takes, nil
}

// A replay answers each request with the next take of a recording, or with
// what follows the event that the request names.
type replay struct {
	speed float64 // 0: no waits
	loop  bool
	end   func() // is called when all was served, several times perhaps

	mu    sync.Mutex
	takes []*take
	next  int
	round int // of loop
}

// choose returns the take that answers a request, its first step, and whether
// the recording knows the id; nil if all takes are over. Take and step are the
// next ones, unless the id is that of an event that something of its take is
// still to follow.
func (p *replay) choose(lastEventID string) (t *take, from int, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, from := p.find(lastEventID)
	known = i >= 0
	if known {
		p.next = max(p.next, i+1)
		t := p.takes[i]
		isEvent := func(s recording.Step) bool { return s.Kind == recording.Event }
		if t.begun && !t.finished || slices.ContainsFunc(t.steps[from:], isEvent) {
			t.begun, t.finished = true, false
			return t, from, known
		}
	}
	if p.next == len(p.takes) {
		if !p.loop {
			return nil, 0, known
		}
		p.next = 0
		p.round++
		for _, t := range p.takes {
			t.begun, t.finished = false, false
		}
	}
	t = p.takes[p.next]
	t.begun = true
	p.next++
	return t, 0, known
}

// find returns the index of the take that an id is of, and that of the step
// which follows it, or -1. Ids may come up again: the take that was played
// last counts. What is yet to be played counts only in the first round, where
// the client may have begun before this server did.
func (p *replay) find(id string) (i, from int) {
	if id == "" {
		return -1, 0
	}
	for i := p.next - 1; i >= 0; i-- {
		if from := p.takes[i].after(id); from > 0 {
			return i, from
		}
	}
	for i := p.next; i < len(p.takes) && p.round == 0; i++ {
		if from := p.takes[i].after(id); from > 0 {
			return i, from
		}
	}
	return -1, 0
}

// after returns the index of the step that follows an id, or 0. Events without
// an id have that of the one before. A client has them if it saw the end of
// the take; else they are sent again, as it may not.
func (t *take) after(id string) int {
	from := 0
	for i, s := range t.steps {
		if (s.Kind == recording.Event || s.Kind == recording.ID) && s.Event.ID == id {
			if from = i + 1; !t.finished {
				break
			}
		}
	}
	return from
}

func (p *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Last-Event-ID")
	t, from, known := p.choose(id)
	if t == nil {
		w.WriteHeader(http.StatusNoContent)
		p.end()
		return
	}
	if !known {
		id = "" // of the recording's ids none is in force
	}
	c := &playing{replay: p, take: t, w: w, ctx: r.Context(), began: time.Now(), lastID: id}
	defer func() {
		if t != p.takes[len(p.takes)-1] {
			return
		}
		if p.left(t) {
			p.end() // who left does not ask whether this was all
		} else {
			time.AfterFunc(lastGrace, p.end)
		}
	}()
	c.play(from)
}

// finish notes that a take is over, before the client can know and come back.
func (p *replay) finish(t *take) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.finished = true
}

// left reports whether a client left before the take was over.
func (p *replay) left(t *take) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !t.finished
}

// A playing is a take that is being played to a client.
type playing struct {
	*replay
	take   *take
	w      http.ResponseWriter
	ctx    context.Context
	began  time.Time
	due    time.Duration // since began, of the step at hand
	lastID string        // in force with the client
	buf    []byte
}

// play plays the take from a step on.
func (c *playing) play(from int) {
	first := c.take.first
	if c.wait(first.After) != nil {
		return
	}
	if first.Kind == recording.Fail {
		c.finish(c.take)
		if first.Cause == recording.Timeout {
			<-c.ctx.Done()
		}
		c.reset()
		return
	}
	c.head(first)
	for _, s := range c.take.steps[from:] {
		if c.wait(s.Wait) != nil {
			return
		}
		if s.Kind == recording.End {
			c.finish(c.take)
			c.close(s.Cause)
			return
		}
		c.buf = s.Append(c.buf[:0], c.lastID)
		if s.Kind == recording.Event || s.Kind == recording.ID {
			c.lastID = s.Event.ID
		}
		if _, err := c.w.Write(c.buf); err != nil {
			return
		}
		if http.NewResponseController(c.w).Flush() != nil {
			return
		}
	}
}

// head sends the head. A stream is one by its type, unless the recording says
// otherwise. An Open with headers is that of a server that sent no more than
// these; one without leaves them to the replay, which no cache should keep.
func (c *playing) head(s recording.Step) {
	h := c.w.Header()
	if s.Status == http.StatusOK {
		h.Set("Content-Type", "text/event-stream")
		if len(s.Header) == 0 {
			h.Set("Cache-Control", "no-store")
		}
	}
	for key, values := range s.Header {
		h[key] = values
		if values[0] == "" {
			h[key] = nil // net/http would find a type otherwise
		}
	}
	c.w.WriteHeader(s.Status)
	if s.Status == http.StatusOK {
		http.NewResponseController(c.w).Flush() //nolint:errcheck // the next write fails too
	}
}

// close ends the connection as it ended. Where the client ended it, it ends
// cleanly, as a replay should not hang where its recording stops.
func (c *playing) close(cause recording.Cause) {
	switch cause {
	case recording.Reset:
		// Not by an RST, which could destroy what the client has not read.
		panic(http.ErrAbortHandler)
	case recording.Timeout:
		<-c.ctx.Done()
	default:
	}
}

// reset breaks the connection off without an answer.
func (c *playing) reset() {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // then it ends without an RST
	}
	conn.Close()
}

// wait waits until what follows after d is due. Waits add up from the
// beginning, so that late steps make no later ones late.
func (c *playing) wait(d time.Duration) error {
	if c.speed == 0 {
		return c.ctx.Err()
	}
	scaled := float64(d) / c.speed
	c.due += time.Duration(min(scaled, math.MaxInt64/4))
	c.due = min(c.due, math.MaxInt64/4)
	timer := time.NewTimer(time.Until(c.began.Add(c.due)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}
