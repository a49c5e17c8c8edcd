package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wellspring-go/sse"
)

// overSelections gives the events of one source to ever more selections: all
// of them to each, or to each its own.
func (g *grower) overSelections(ctx context.Context) (figure, error) {
	f := figure{
		file: "performance-selections.svg", title: "Events per second of one source by its selections",
		xLabel: "selections, a goroutine each", yLabel: "events per second of the source",
	}
	for _, way := range []struct {
		name string
		own  bool
		read func(*sse.Selection) tally
	}{
		{"each its own name, Events", true, tallyChannel},
		{"all to each, Events", false, tallyChannel},
		{"all to each, Selection.All", false, func(x *sse.Selection) tally {
			t, _ := tallyEvents(x.All()) // the source's Err says the same
			return t
		}},
	} {
		c := curve{name: way.name}
		for _, n := range g.selections {
			each := flow{Size: eventSize, Chunk: 64 << 10, Names: n, Count: max(g.events/2, n)}
			if !way.own {
				each.Count = max(each.Count/n, 1)
			}
			var y float64
			for range g.rounds {
				took, err := timed(func() error { return g.readSelections(ctx, each, n, way.own, way.read) })
				if err != nil {
					return f, fmt.Errorf("%s, %d: %w", way.name, n, err)
				}
				y = max(y, float64(each.Count)/took.Seconds())
			}
			c.x, c.y = append(c.x, float64(n)), append(c.y, y)
		}
		f.curves = append(f.curves, c)
	}
	return f, nil
}

// readSelections reads one source through n selections, which must be there
// before the first of them starts it.
func (g *grower) readSelections(ctx context.Context, f flow, n int, own bool, read func(*sse.Selection) tally) error {
	src := flowSource(ctx, g.hc, g.url+f.query(), f, sse.Options{})
	selections := make([]*sse.Selection, n)
	for i := range selections {
		if own {
			selections[i] = src.Select(flowName(i))
		} else {
			selections[i] = src.SelectAll()
		}
	}
	var events atomic.Int64
	var all sync.WaitGroup
	for _, x := range selections {
		all.Go(func() { events.Add(int64(read(x).events)) })
	}
	all.Wait()
	want := f.Count
	if !own {
		want *= n
	}
	return cmp.Or(ending(src.Err()), countOf(int(events.Load()), want))
}
