package main

import (
	"context"
	"io"
	"iter"

	"github.com/wellspring-go/sse"
)

// ourReaders are the ways of this library.
func ourReaders() []*reader {
	return []*reader{
		{name: "Parser.All", way: parsing, read: fromMemory(parseAll)},
		{name: "Parser.Raw", way: parsing, base: plainName, read: fromMemory(parseRaw)},
		{name: "EventSource.All", way: overHTTP, read: sourceAll},
		{name: "OnEvent", way: overHTTP, read: sourceOnEvent},
		{name: "Selection.Events", way: overHTTP, read: selectionEvents},
		{name: "Selection.All", way: overHTTP, read: selectionAll},
	}
}

func parseAll(r io.Reader) (tally, error) {
	return tallyEvents(sse.NewParser(r).All())
}

func parseRaw(r io.Reader) (tally, error) {
	var t tally
	for ev, err := range sse.NewParser(r).Raw() {
		if err != nil {
			return t, err
		}
		t.add(len(ev.Data))
	}
	return t, nil
}

func tallyEvents(events iter.Seq2[sse.Event, error]) (tally, error) {
	var t tally
	for ev, err := range events {
		if err != nil {
			return t, err
		}
		t.add(len(ev.Data))
	}
	return t, nil
}

func source(ctx context.Context, in input, o sse.Options) *sse.EventSource {
	o.Retry = sse.NoRetry
	return sse.SourceContext(ctx, in.url, o)
}

func sourceAll(ctx context.Context, in input) (tally, error) {
	return tallyEvents(source(ctx, in, sse.Options{}).All())
}

func sourceOnEvent(ctx context.Context, in input) (tally, error) {
	var t tally
	err := source(ctx, in, sse.Options{OnEvent: func(ev sse.Event) { t.add(len(ev.Data)) }}).Run()
	return t, ending(err)
}

func selectionEvents(ctx context.Context, in input) (tally, error) {
	var t tally
	src := source(ctx, in, sse.Options{})
	for ev := range src.SelectAll().Events() {
		t.add(len(ev.Data))
	}
	return t, ending(src.Err())
}

func selectionAll(ctx context.Context, in input) (tally, error) {
	return tallyEvents(source(ctx, in, sse.Options{}).SelectAll().All())
}
