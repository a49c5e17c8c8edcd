package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A curve is one line of a figure: events per second against x.
type curve struct {
	name string
	x, y []float64
}

// A figure is one plot.
type figure struct {
	file   string
	title  string
	xLabel string
	yLabel string
	bytes  bool // x is a number of bytes
	curves []curve
}

// A growthPlan says at which x the cost is measured.
type growthPlan struct {
	rounds     int // of which the fastest counts
	streams    []int
	selections []int
	sizes      []int
	pieces     []int
	events     int // about how many events a round reads
	bytes      int // and how many bytes of data at most, but for one event
}

func fullGrowth() growthPlan {
	return growthPlan{
		rounds:     5,
		streams:    []int{1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000},
		selections: []int{1, 2, 4, 8, 16, 32, 64},
		sizes:      []int{10, 100, 1 << 10, 10 << 10, 100 << 10, 1 << 20, 16 << 20},
		pieces:     []int{1, 4, 16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10},
		events:     320_000,
		bytes:      128 << 20,
	}
}

// eventSize is the data of an event where something else varies: about that
// of a chunk of a language model's answer.
const eventSize = 250

// growth measures how cost grows, and writes a plot of each measure and the
// figures into dir.
func growth(ctx context.Context, dir string) error {
	return runGrowth(ctx, dir, fullGrowth())
}

func runGrowth(ctx context.Context, dir string, plan growthPlan) error {
	url, stop, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	most := plan.streams[len(plan.streams)-1]
	g := &grower{growthPlan: plan, url: url, hc: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: most}}}
	var figures []figure
	for _, measure := range []func(context.Context) (figure, error){
		// The streams come last: their connections stay, and with them the
		// goroutines that every collection of garbage has to look at.
		g.overSizes, g.overPieces, g.overSelections, g.overStreams,
	} {
		f, err := measure(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", f.file, err)
		}
		if err := f.draw(filepath.Join(dir, f.file)); err != nil {
			return err
		}
		figures = append(figures, f)
	}
	return replaceBetween(filepath.Join(dir, "performance.md"), "growth", figureText(figures))
}

// A grower measures. Its client keeps connections, as many as there are
// streams: new ones for each round would run out of ports.
type grower struct {
	growthPlan
	url  string
	hc   *http.Client
	gate int
}

// A round reads once with one reader and says how long it took.
type round func(flowReader) (time.Duration, error)

// readEach adds a curve for each reader. At each x they take turns, so that
// all meet the same load of the machine, and the fastest round of each counts.
func (g *grower) readEach(f *figure, xs []int, at func(x int) (events int, read round)) error {
	readers := flowReaders()
	for _, r := range readers {
		f.curves = append(f.curves, curve{name: r.name})
	}
	for _, x := range xs {
		events, read := at(x)
		for i := range readers {
			f.curves[i].x, f.curves[i].y = append(f.curves[i].x, float64(x)), append(f.curves[i].y, 0)
		}
		for range g.rounds {
			for i, r := range readers {
				runtime.GC() // what another left is not this one's
				took, err := read(r)
				if err != nil {
					return fmt.Errorf("%s at %d: %w", r.name, x, err)
				}
				y := f.curves[i].y
				y[len(y)-1] = max(y[len(y)-1], float64(events)/took.Seconds())
			}
		}
	}
	return nil
}

func timed(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}

// overStreams divides the same number of events among ever more streams, but
// leaves each so many that it is worth the name.
func (g *grower) overStreams(ctx context.Context) (figure, error) {
	f := figure{
		file: "performance-streams.svg", title: "Events per second over all streams",
		xLabel: "streams, each on a connection of its own", yLabel: "events per second, total",
	}
	err := g.readEach(&f, g.streams, func(streams int) (int, round) {
		each := flow{Size: eventSize, Chunk: 4 << 10, Count: max(g.events/streams, g.events/3_000)}
		return streams * each.Count, func(r flowReader) (time.Duration, error) {
			return g.readTogether(ctx, r, each, streams)
		}
	})
	return f, err
}

// readTogether opens the streams, lets them go, and takes the time until the
// last event of each is handled: neither opening nor ending them counts.
func (g *grower) readTogether(ctx context.Context, r flowReader, f flow, streams int) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g.gate++
	f.Gate = strconv.Itoa(g.gate)
	start, end := newBarrier(), newBarrier()
	hc := &http.Client{Transport: markTransport{g.hc.Transport, f.length(), start.arrive, end.arrive}}
	var events atomic.Int64
	var all sync.WaitGroup
	for i := range streams {
		start.wait(ctx, i-opening)
		all.Go(func() {
			t, err := r.read(ctx, hc, g.url+f.query(), f)
			if err != nil {
				cancel(err)
			}
			events.Add(int64(t.events))
		})
	}
	start.wait(ctx, streams)
	took, err := timed(func() error {
		err := g.openGate(ctx, f.Gate)
		end.wait(ctx, streams)
		return cmp.Or(err, context.Cause(ctx))
	})
	if err != nil {
		return 0, err
	}
	err = g.openGate(ctx, f.Gate+endOfGate)
	all.Wait()
	return took, cmp.Or(err, context.Cause(ctx), countOf(int(events.Load()), streams*f.Count))
}

func (g *grower) openGate(ctx context.Context, gate string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/growth?gate="+gate, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := g.hc.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func countOf(got, want int) error {
	if got != want {
		return fmt.Errorf("%d events came, want %d", got, want)
	}
	return nil
}

// overSizes reads events of ever more bytes, one stream at a time.
func (g *grower) overSizes(ctx context.Context) (figure, error) {
	f := figure{
		file: "performance-size.svg", title: "Events per second by their size",
		xLabel: "bytes of data per event", yLabel: "events per second", bytes: true,
	}
	err := g.readEach(&f, g.sizes, func(size int) (int, round) {
		each := flow{Size: size, Chunk: 64 << 10, Count: min(g.events, max(g.bytes/size, 1))}
		return each.Count, func(r flowReader) (time.Duration, error) {
			return timed(func() error { return readWhole(ctx, r, g.hc, g.url+each.query(), each) })
		}
	})
	return f, err
}

// overPieces reads the same stream, out of memory, in ever larger pieces.
func (g *grower) overPieces(ctx context.Context) (figure, error) {
	f := figure{
		file: "performance-chunks.svg", title: "Events per second by what one read brings",
		xLabel: "bytes per read", yLabel: "events per second", bytes: true,
	}
	err := g.readEach(&f, g.pieces, func(piece int) (int, round) {
		// One-byte reads take a hundred times longer than the rest.
		each := flow{Size: eventSize, Chunk: 64 << 10, Count: min(g.events, max(piece*g.events/64, 1))}
		block, eventLen := each.block()
		stream := make([]byte, 0, each.Count*eventLen)
		for len(stream) < cap(stream) {
			stream = append(stream, block[:min(len(block), cap(stream)-len(stream))]...)
		}
		hc := &http.Client{Transport: pieceTransport{stream, piece}}
		return each.Count, func(r flowReader) (time.Duration, error) {
			return timed(func() error { return readWhole(ctx, r, hc, "http://memory.test/", each) })
		}
	})
	return f, err
}

// readWhole reads one flow and counts.
func readWhole(ctx context.Context, r flowReader, hc *http.Client, url string, f flow) error {
	t, err := r.read(ctx, hc, url, f)
	return cmp.Or(err, countOf(t.events, f.Count))
}
