package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/cloudwego/hertz/pkg/protocol"
	hertz "github.com/cloudwego/hertz/pkg/protocol/sse"
	"github.com/launchdarkly/eventsource"
	ogen "github.com/ogen-go/ogen/sse"
	"github.com/openai/openai-go/v3/packages/ssestream"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
	jetify "go.jetify.com/sse"
)

// roomy is the size of an event that every peer is told to put up with, if it
// can be told.
const roomy = 4 << 20

// peerReaders are the published ones, by name. One without a client of its
// own gets the body of a response; r3labs has no decoder to be had alone.
func peerReaders() []*reader {
	var all []*reader
	for _, p := range []struct {
		name, module string
		parse, proof func(io.Reader) (tally, error)
		client       func(context.Context, input) (tally, error)
	}{
		{name: "cloudwego/hertz", module: "github.com/cloudwego/hertz", parse: parseHertz},
		{name: "jetify", module: "go.jetify.com/sse", parse: parseJetify, proof: proveJetify},
		{name: "launchdarkly/eventsource", module: "github.com/launchdarkly/eventsource", parse: parseLaunchDarkly, client: clientLaunchDarkly},
		{name: "ogen", module: "github.com/ogen-go/ogen", parse: parseOgen},
		{name: "openai-go", module: "github.com/openai/openai-go/v3", parse: parseOpenAI},
		{name: "r3labs/sse", module: "github.com/r3labs/sse/v2", client: clientR3labs},
		{name: "tmaxmax/go-sse", module: "github.com/tmaxmax/go-sse", parse: parseTmaxmax, client: clientTmaxmax},
	} {
		if p.parse != nil {
			r := &reader{name: p.name, kind: peer, way: parsing, module: p.module, read: fromMemory(p.parse)}
			if p.proof != nil {
				r.proof = fromMemory(p.proof)
			}
			all = append(all, r)
		}
		r := &reader{name: p.name, kind: peer, way: overHTTP, module: p.module, read: p.client}
		if p.client == nil {
			r.read = fromBody(p.parse)
		}
		if p.proof != nil {
			r.proof = fromBody(p.proof)
		}
		all = append(all, r)
	}
	return all
}

// parseHertz uses the memory of one event for all, as hertz's own loop does.
func parseHertz(body io.Reader) (tally, error) {
	var t tally
	var resp protocol.Response
	resp.Header.SetContentType("text/event-stream")
	resp.SetBodyStream(body, -1)
	r, err := hertz.NewReader(&resp)
	if err != nil {
		return t, err
	}
	r.SetMaxBufferSize(roomy)
	err = r.ForEach(context.Background(), func(ev *hertz.Event) error {
		t.add(len(ev.Data))
		return nil
	})
	return t, err
}

// parseJetify cannot tell how many bytes there were: what looks like JSON has
// become a value.
func parseJetify(body io.Reader) (tally, error) { return tallyJetify(body, func(any) int { return 0 }) }

// proveJetify finds the bytes by encoding the values again: what the corpora
// hold is the very JSON that encoding/json makes, in another order.
func proveJetify(body io.Reader) (tally, error) {
	return tallyJetify(body, func(v any) int {
		if raw, ok := v.(jetify.Raw); ok {
			return len(raw)
		}
		b, err := json.Marshal(v)
		if err != nil {
			return 0 // which the check of the sum finds
		}
		return len(b)
	})
}

func tallyJetify(body io.Reader, size func(any) int) (tally, error) {
	var t tally
	d := jetify.NewDecoder(body)
	for {
		var ev jetify.Event
		if err := d.Decode(&ev); err != nil {
			return t, ending(err)
		}
		if ev.Data != nil {
			t.events++
			t.size += size(ev.Data)
		}
	}
}

func parseLaunchDarkly(body io.Reader) (tally, error) {
	var t tally
	d := eventsource.NewDecoder(body)
	for {
		ev, err := d.Decode()
		if err != nil {
			return t, ending(err)
		}
		t.add(len(ev.Data()))
	}
}

// clientLaunchDarkly ends the stream with the body, after which the client
// would connect again.
func clientLaunchDarkly(ctx context.Context, in input) (tally, error) {
	var t tally
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, in.url, http.NoBody)
	if err != nil {
		return t, err
	}
	var ended error
	stream, err := eventsource.SubscribeWithRequestAndOptions(req,
		eventsource.StreamOptionHTTPClient(http.DefaultClient),
		eventsource.StreamOptionErrorHandler(func(err error) eventsource.StreamErrorHandlerResult {
			ended = err
			return eventsource.StreamErrorHandlerResult{CloseNow: true}
		}))
	if err != nil {
		return t, err
	}
	for ev := range stream.Events {
		t.add(len(ev.Data()))
	}
	return t, ending(ended)
}

func parseOgen(body io.Reader) (tally, error) {
	var t tally
	d := ogen.NewDecoder(body, 0, 0, "", nil)
	for {
		ev, err := d.Decode()
		if err != nil {
			return t, ending(err)
		}
		t.add(len(ev.Data))
	}
}

func parseOpenAI(body io.Reader) (tally, error) {
	var t tally
	d := ssestream.NewDecoder(&http.Response{Body: io.NopCloser(body)})
	for d.Next() {
		t.add(len(d.Event().Data) - 1) // it leaves the last line's end in
	}
	return t, d.Err()
}

// clientR3labs ends with the body by itself; noSchedule is for an error.
func clientR3labs(ctx context.Context, in input) (tally, error) {
	var t tally
	c := r3labs.NewClient(in.url, r3labs.ClientMaxBufferSize(roomy))
	c.Connection = http.DefaultClient
	c.ReconnectStrategy = noSchedule{}
	err := c.SubscribeRawWithContext(ctx, func(ev *r3labs.Event) { t.add(len(ev.Data)) })
	return t, err
}

// noSchedule never tries again.
type noSchedule struct{}

func (noSchedule) NextBackOff() time.Duration { return -1 }
func (noSchedule) Reset()                     {}

func parseTmaxmax(body io.Reader) (tally, error) {
	var t tally
	var failed error
	for ev, err := range tmaxmax.Read(body, &tmaxmax.ReadConfig{MaxEventSize: roomy}) {
		if err != nil {
			failed = err
			break
		}
		t.add(len(ev.Data))
	}
	return t, failed
}

func clientTmaxmax(ctx context.Context, in input) (tally, error) {
	var t tally
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, in.url, http.NoBody)
	if err != nil {
		return t, err
	}
	c := tmaxmax.Client{HTTPClient: http.DefaultClient, Backoff: tmaxmax.Backoff{MaxRetries: -1}}
	conn := c.NewConnection(req)
	conn.Buffer(nil, roomy)
	conn.SubscribeToAll(func(ev tmaxmax.Event) { t.add(len(ev.Data)) })
	if err := conn.Connect(); !errors.Is(err, io.EOF) {
		return t, err
	}
	return t, nil
}
