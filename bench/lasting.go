package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
	"github.com/wellspring-go/sse"
)

// retryAfter is the schedule of every client that has one.
const retryAfter = time.Millisecond

// A lastingReader reads one stream by GET until ctx ends, across cuts if it is
// a client that reconnects, and calls got for each event. It blocks: the
// goroutine that a program spends on a stream is its caller's.
type lastingReader struct {
	name string
	ours bool
	read func(ctx context.Context, hc *http.Client, url string, got func()) error
}

const floorName = "net/http floor"

// lastingReaders returns the floor, our three ways, and the full clients.
func lastingReaders() []lastingReader {
	return []lastingReader{
		{floorName, false, readFloor},
		{"EventSource.All", true, readAll},
		{"Selection.Events", true, readEvents},
		{"OnEvent", true, readOnEvent},
		{"r3labs/sse v2", false, readR3labs},
		{"tmaxmax/go-sse", false, readTmaxmax},
		{"launchdarkly/eventsource", false, readLaunchDarkly},
	}
}

func lastingReaderOf(name string) (lastingReader, error) {
	for _, r := range lastingReaders() {
		if r.name == name {
			return r, nil
		}
	}
	return lastingReader{}, fmt.Errorf("no reader is called %q", name)
}

// readFloor is what every client needs that reads a stream with net/http.
func readFloor(ctx context.Context, hc *http.Client, url string, got func()) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return countReads(resp.Body, got)
}

// countReads takes each blank line for an event. Its buffer is an array, so
// that it stays on the stack.
func countReads(r io.Reader, got func()) error {
	var buf [64]byte
	var last byte
	for {
		n, err := r.Read(buf[:])
		for _, c := range buf[:n] {
			if c == '\n' && last == '\n' {
				got()
			}
			last = c
		}
		if err != nil {
			return err
		}
	}
}

func lastingSource(ctx context.Context, hc *http.Client, url string, o sse.Options) *sse.EventSource {
	o.Method = http.MethodGet
	o.Retry.BackOff = constantBackOff
	return (&sse.Client{HTTP: hc}).SourceContext(ctx, url, o)
}

func constantBackOff() backoff.BackOff { return backoff.NewConstantBackOff(retryAfter) }

func readAll(ctx context.Context, hc *http.Client, url string, got func()) error {
	for _, err := range lastingSource(ctx, hc, url, sse.Options{}).All() {
		if err != nil {
			return err
		}
		got()
	}
	return nil
}

func readEvents(ctx context.Context, hc *http.Client, url string, got func()) error {
	src := lastingSource(ctx, hc, url, sse.Options{})
	for range src.SelectAll().Events() {
		got()
	}
	return src.Err()
}

func readOnEvent(ctx context.Context, hc *http.Client, url string, got func()) error {
	return lastingSource(ctx, hc, url, sse.Options{OnEvent: func(sse.Event) { got() }}).Run()
}

func readR3labs(ctx context.Context, hc *http.Client, url string, got func()) error {
	c := r3labs.NewClient(url)
	c.Connection = hc
	c.ReconnectStrategy = untilDone{ctx}
	return c.SubscribeRawWithContext(ctx, func(*r3labs.Event) { got() })
}

// untilDone is a constant schedule that ends with a context: r3labs's own loop
// of attempts does not look at it.
type untilDone struct{ ctx context.Context }

func (u untilDone) NextBackOff() time.Duration {
	if u.ctx.Err() != nil {
		return backoff.Stop
	}
	return retryAfter
}

func (untilDone) Reset() {}

func readTmaxmax(ctx context.Context, hc *http.Client, url string, got func()) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	c := &tmaxmax.Client{HTTPClient: hc, Backoff: tmaxmax.Backoff{
		InitialInterval: retryAfter,
		Multiplier:      1,
		Jitter:          1e-9, // the documented -1 for none is replaced by the default
	}}
	conn := c.NewConnection(req)
	conn.SubscribeToAll(func(tmaxmax.Event) { got() })
	return conn.Connect()
}

func readLaunchDarkly(ctx context.Context, hc *http.Client, url string, got func()) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	stream, err := eventsource.SubscribeWithRequestAndOptions(req,
		eventsource.StreamOptionHTTPClient(hc),
		eventsource.StreamOptionInitialRetry(retryAfter), // without jitter and growth by default
		eventsource.StreamOptionErrorHandler(func(error) eventsource.StreamErrorHandlerResult {
			return eventsource.StreamErrorHandlerResult{CloseNow: ctx.Err() != nil}
		}))
	if err != nil {
		return err
	}
	for range stream.Events {
		got()
	}
	return errors.New("the stream was closed")
}
