package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/wellspring-go/sse"
)

// A flow is a stream of equal events, as the server or a transport in memory
// makes it.
type flow struct {
	Size  int    // of the data of each event
	Count int    // of events
	Chunk int    // about how many bytes are written at a time, in whole events
	Names int    // events are named n00, n01 and so on, in turn; 0: none is
	Gate  string // if not "", nothing is written before this gate is opened, and the end waits too
}

// query is how the server is told.
func (f flow) query() string {
	return fmt.Sprintf("/growth?size=%d&count=%d&chunk=%d&names=%d&gate=%s", f.Size, f.Count, f.Chunk, f.Names, f.Gate)
}

func flowOf(r *http.Request) flow {
	n := func(key string) int {
		v, _ := strconv.Atoi(r.FormValue(key))
		return v
	}
	return flow{Size: n("size"), Count: n("count"), Chunk: n("chunk"), Names: n("names"), Gate: r.FormValue("gate")}
}

// block returns events, all of one length, that fill a chunk; the names end
// with it.
func (f flow) block() (block []byte, eventLen int) {
	var b bytes.Buffer
	data := strings.Repeat("x", f.Size)
	for i := 0; b.Len()+eventLen <= max(f.Chunk, eventLen) || f.Names > 0 && i%f.Names > 0; i++ {
		if f.Names > 0 {
			fmt.Fprintf(&b, "event: %s\n", flowName(i%f.Names))
		}
		fmt.Fprintf(&b, "data: %s\n\n", data)
		eventLen = b.Len() / (i + 1)
	}
	return b.Bytes(), eventLen
}

// length returns how many bytes the flow has.
func (f flow) length() int {
	_, eventLen := f.block()
	return f.Count * eventLen
}

func flowName(i int) string { return fmt.Sprintf("n%02d", i) }

// write sends the events.
func (f flow) write(w io.Writer, flush func() error) error {
	block, eventLen := f.block()
	for left := f.Count * eventLen; left > 0; left -= len(block) {
		if _, err := w.Write(block[:min(left, len(block))]); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// A flowReader reads one flow to its end.
type flowReader struct {
	name string
	read func(ctx context.Context, hc *http.Client, url string, f flow) (tally, error)
}

func flowReaders() []flowReader {
	return []flowReader{
		{owningName, flowOwning},
		{"EventSource.All", flowAll},
		{"OnEvent", flowOnEvent},
		{"Selection.Events", flowEvents},
	}
}

func flowOwning(ctx context.Context, hc *http.Client, url string, f flow) (tally, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return tally{}, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return tally{}, err
	}
	defer resp.Body.Close()
	return owningLoop(resp.Body)
}

func flowSource(ctx context.Context, hc *http.Client, url string, f flow, o sse.Options) *sse.EventSource {
	o.Method = http.MethodGet
	o.Retry = sse.NoRetry
	o.MaxEventSize = 2*f.Size + 1<<10
	return (&sse.Client{HTTP: hc}).SourceContext(ctx, url, o)
}

func flowAll(ctx context.Context, hc *http.Client, url string, f flow) (tally, error) {
	return tallyEvents(flowSource(ctx, hc, url, f, sse.Options{}).All())
}

func flowOnEvent(ctx context.Context, hc *http.Client, url string, f flow) (tally, error) {
	var t tally
	err := flowSource(ctx, hc, url, f, sse.Options{OnEvent: func(ev sse.Event) { t.add(len(ev.Data)) }}).Run()
	return t, ending(err)
}

func flowEvents(ctx context.Context, hc *http.Client, url string, f flow) (tally, error) {
	src := flowSource(ctx, hc, url, f, sse.Options{})
	t := tallyChannel(src.SelectAll())
	return t, ending(src.Err())
}

func tallyChannel(x *sse.Selection) tally {
	var t tally
	for ev := range x.Events() {
		t.add(len(ev.Data))
	}
	return t
}
