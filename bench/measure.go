package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"
)

const (
	// sampleTime is how long a sample takes at least.
	sampleTime = 20 * time.Millisecond
	// passTime is what a pass may take before the reader counts as stuck.
	passTime = 20 * time.Second

	// otherHeap is what the rest of a program holds. Without, the collector
	// would run after each 4 MiB, every other millisecond.
	otherHeap = 16 << 20

	rounds      = 21
	quickRounds = 31 // of fewer readers
	// A quick run has the peers in its first rounds only.
	quickPeerRounds = 5
)

// mainCorpora are the ones with targets of their own. A quick run has peers,
// and ways without a target, on these alone.
var mainCorpora = []string{"tick", "llm", "json4k"}

// A cell is what one reader did with one corpus.
type cell struct {
	reader *reader
	corpus *corpus
	err    error           // what it got wrong before the clock started; no samples then
	times  []time.Duration // of a pass, by round
	base   *cell           // the hand loop's, with as many rounds or more
	allocs float64         // per further event; negative if not measured

	read   int // bytes, in a pass
	passes int // in a sample
}

// measure runs the sections parse and http: each corpus with all its readers
// in turn, in rounds.
func measure(ctx context.Context, o options, server string) ([]*cell, error) {
	other := make([]byte, otherHeap)
	defer runtime.KeepAlive(other)
	var cells []*cell
	for _, way := range []string{parsing, overHTTP} {
		for i, c := range recipes() {
			group := groupOf(o, way, c)
			if len(group) == 0 {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s/%s, %d readers\n", way, c.name, len(group))
			c.fill(corpusLength)
			in := inputOf(server, c, corpusLength)
			for _, cl := range group {
				cl.warmUp(ctx, in)
			}
			if slices.Contains(mainCorpora, c.name) {
				half := recipes()[i]
				half.fill(corpusLength / 2)
				for _, cl := range group {
					cl.weigh(ctx, in, inputOf(server, half, corpusLength/2))
				}
			}
			if err := runRounds(ctx, o, group, in); err != nil {
				return nil, err
			}
			for _, cl := range group {
				cl.read = len(c.bytes)
			}
			c.bytes = nil
			cells = append(cells, group...)
		}
	}
	return cells, ctx.Err()
}

func inputOf(server string, c *corpus, length int) input {
	return input{corpus: c, url: server + "/corpus/" + c.name + "?" + url.Values{"length": {strconv.Itoa(length)}}.Encode()}
}

// groupOf returns the cells of one corpus that were asked for, and those that
// they are compared with; none if nothing was.
func groupOf(o options, way string, c *corpus) []*cell {
	var group []*cell
	wanted := false
	bases := make(map[string]*cell)
	for _, r := range readers() {
		isBase := r.name == owningName || r.name == plainName
		asked := o.wants(way, c.name, r.name) && (!o.quick || isQuick(r, c))
		if r.way != way || !asked && !isBase {
			continue
		}
		wanted = wanted || asked
		cl := &cell{reader: r, corpus: c, allocs: -1}
		if isBase {
			bases[r.name] = cl
		}
		group = append(group, cl)
	}
	if !wanted {
		return nil
	}
	for _, cl := range group {
		cl.base = bases[cl.reader.base]
	}
	return group
}

// isQuick reports whether a quick run has the cell.
func isQuick(r *reader, c *corpus) bool {
	if slices.Contains(mainCorpora, c.name) {
		return true
	}
	return slices.ContainsFunc(targets(), func(t target) bool {
		return t.way == r.way && t.corpus == c.name && t.reader == r.name
	})
}

// warmUp finds out whether the reader can read the corpus, and how many passes
// make a sample.
func (c *cell) warmUp(ctx context.Context, in input) {
	ctx, cancel := context.WithTimeout(ctx, passTime)
	defer cancel()
	if c.err = c.reader.prove(ctx, in); c.err != nil {
		return
	}
	// The second pass is as fast as the later ones.
	begin := time.Now()
	if c.err = c.reader.pass(ctx, in); c.err != nil {
		return
	}
	c.passes = 1 + int(sampleTime/max(time.Since(begin), 1))
}

// weigh counts allocations as the difference between the corpus and a half of
// it: what a stream costs once is no cost of its events.
func (c *cell) weigh(ctx context.Context, in, half input) {
	if c.err != nil || c.reader.kind == hand && c.reader.base != c.reader.name && c.reader.name != plainName {
		return
	}
	more, err := c.leastAllocs(ctx, in)
	if err == nil {
		var less float64
		if less, err = c.leastAllocs(ctx, half); err == nil {
			c.allocs = max(0, more-less) / float64(in.corpus.events-half.corpus.events)
			return
		}
	}
	c.err = err
}

// leastAllocs is the least of a few passes: a collection during one empties
// pools, and the runtime allocates at times too.
func (c *cell) leastAllocs(ctx context.Context, in input) (float64, error) {
	least := 0.0
	for i := range 4 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.reader.pass(ctx, in)
		runtime.ReadMemStats(&after)
		if err != nil {
			return 0, err
		}
		if n := float64(after.Mallocs - before.Mallocs); i == 0 || n < least {
			least = n
		}
	}
	return least, nil
}

// runRounds takes one sample of each reader a round. The order is another in
// each round, and the same in every run: a reader that always came behind one
// that allocates nothing would always pay for memory that was given back to
// the system meanwhile.
func runRounds(ctx context.Context, o options, group []*cell, in input) error {
	n := rounds
	if o.quick {
		n = quickRounds
	}
	order := slices.Clone(group)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	for round := range n {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, c := range order {
			if c.err != nil || o.quick && c.reader.kind == peer && round >= quickPeerRounds {
				continue
			}
			if err := c.sample(ctx, in, o.clock); err != nil {
				return fmt.Errorf("%s/%s/%s, which was right before: %w", c.reader.way, c.corpus.name, c.reader.name, err)
			}
		}
	}
	return nil
}

func (c *cell) sample(ctx context.Context, in input, now clock) error {
	runtime.GC()
	begin := now()
	for range c.passes {
		if err := c.reader.pass(ctx, in); err != nil {
			return err
		}
	}
	c.times = append(c.times, (now()-begin)/time.Duration(c.passes))
	return nil
}

// ratios are times as multiples of the hand loop's.
type ratios struct {
	least  float64 // of the minimal times
	median float64 // of the ratios within each round
	spread float64 // half the range of the middle half of those
}

// ratios compares sample by sample with the base; ok is false if there is
// nothing to compare.
func (c *cell) ratios() (r ratios, ok bool) {
	if c.base == nil || len(c.times) == 0 || len(c.base.times) < len(c.times) {
		return ratios{}, false
	}
	base := c.base.times[:len(c.times)]
	paired := make([]float64, len(c.times))
	for i, t := range c.times {
		paired[i] = float64(t) / float64(base[i])
	}
	slices.Sort(paired)
	return ratios{
		least:  float64(slices.Min(c.times)) / float64(slices.Min(base)),
		median: quantile(paired, 0.5),
		spread: (quantile(paired, 0.75) - quantile(paired, 0.25)) / 2,
	}, true
}

// quantile interpolates between the values of a sorted list.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
