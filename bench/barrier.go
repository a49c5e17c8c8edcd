package main

import (
	"context"
	"sync/atomic"
)

// A barrier counts arrivals, for one who waits for them.
type barrier struct {
	arrived atomic.Int64
	woken   chan struct{}
}

func newBarrier() *barrier { return &barrier{woken: make(chan struct{}, 1)} }

func (b *barrier) arrive() {
	b.arrived.Add(1)
	select {
	case b.woken <- struct{}{}:
	default: // it has been woken and has yet to look
	}
}

// wait returns when n have arrived, or ctx has ended.
func (b *barrier) wait(ctx context.Context, n int) {
	for b.arrived.Load() < int64(n) {
		select {
		case <-b.woken:
		case <-ctx.Done():
			return
		}
	}
}
