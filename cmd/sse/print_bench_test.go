package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/itchyny/gojq"
	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

// benchEvents is how many events a stream of the benchmarks has.
const benchEvents = 100_000

// A memoryFeed is a transport that answers each request with the same stream,
// out of memory.
type memoryFeed string

func (f memoryFeed) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"text/event-stream"}}, ContentLength: -1,
		Body: io.NopCloser(strings.NewReader(string(f))),
	}, nil
}

func (f memoryFeed) source(o sse.Options) *sse.EventSource {
	o.Retry = sse.NoRetry
	client := &sse.Client{HTTP: &http.Client{Transport: f}}
	return client.Source("http://feed.test/", o)
}

func benchFeed() memoryFeed {
	var b strings.Builder
	for i := range benchEvents {
		fmt.Fprintf(&b, "event: price\nid: %d\ndata: {\"n\":%d,\"sym\":\"ACME\",\"p\":12.5}\n\n", i, i)
	}
	return memoryFeed(b.String())
}

// printFeed prints the stream into a pipe, as tail does.
func printFeed(b *testing.B, feed memoryFeed, args ...string) {
	b.Helper()
	f := &follower{session: &session{tail: new(tail)}}
	c, p := &f.chooser, &f.printer
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.addFlags(flags)
	p.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		b.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buf := make([]byte, 64<<10)
		for {
			if _, err := r.Read(buf); err != nil {
				return
			}
		}
	}()
	if err := c.compile(); err != nil {
		b.Fatal(err)
	}
	if err := p.start(w, io.Discard, false); err != nil {
		b.Fatal(err)
	}
	f.timed = p.format == formatJSON
	var o sse.Options
	f.hold(&o)
	seq := uint64(0)
	o.OnEvent = func(ev sse.Event) {
		list, err := c.choose(ev)
		if err != nil {
			b.Fatal(err)
		}
		for i := range list {
			seq++
			at := f.came
			if f.timed && at.IsZero() {
				at = time.Now()
			}
			if err := p.event("", seq, at, &list[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	feed.source(o).Run()
	if err := p.close(); err != nil {
		b.Fatal(err)
	}
	w.Close()
	<-drained
	r.Close()
	if seq != benchEvents {
		b.Fatalf("printed %d events", seq)
	}
}

// loop is the loop that a printer is compared with.
func loop(b *testing.B, feed memoryFeed, each func(sse.Event)) {
	b.Helper()
	n := 0
	for ev, err := range feed.source(sse.Options{}).All() {
		if err != nil {
			b.Fatal(err)
		}
		each(ev)
		n++
	}
	if n != benchEvents {
		b.Fatalf("read %d events", n)
	}
}

// BenchmarkPrint relates what printing takes to a plain loop over the same
// stream: ratio is the speed as a part of the loop's.
func BenchmarkPrint(b *testing.B) {
	feed := benchFeed()
	query, err := gojq.Parse(".n")
	if err != nil {
		b.Fatal(err)
	}
	code, err := gojq.Compile(query)
	if err != nil {
		b.Fatal(err)
	}
	type line struct {
		Seq   int
		Time  time.Time
		Event string
		ID    string
		Data  string
	}
	encoder := json.NewEncoder(io.Discard)
	for _, c := range []struct {
		name string
		args []string
		each func(sse.Event)
	}{
		{"raw", []string{"-o", "raw"}, func(sse.Event) {}},
		{"data", []string{"-o", "data"}, func(sse.Event) {}},
		{"json", []string{"-o", "json"}, func(ev sse.Event) {
			if err := encoder.Encode(line{1, time.Now(), ev.Name, ev.ID, ev.Data}); err != nil {
				b.Fatal(err)
			}
		}},
		{"jq", []string{"-o", "data", "-q", ".n"}, func(ev sse.Event) {
			var v any
			if err := json.Unmarshal([]byte(ev.Data), &v); err != nil {
				b.Fatal(err)
			}
			if _, ok := code.Run(v).Next(); !ok {
				b.Fatal("no result")
			}
		}},
		{"jq-json", []string{"-o", "json", "-q", ".n"}, func(ev sse.Event) {
			var v any
			if err := json.Unmarshal([]byte(ev.Data), &v); err != nil {
				b.Fatal(err)
			}
			if _, ok := code.Run(v).Next(); !ok {
				b.Fatal("no result")
			}
		}},
		{"pretty", []string{"-o", "pretty", "--color", "always"}, func(sse.Event) {}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var plain, printing time.Duration
			for b.Loop() {
				start := time.Now()
				loop(b, feed, c.each)
				middle := time.Now()
				printFeed(b, feed, c.args...)
				plain += middle.Sub(start)
				printing += time.Since(middle)
			}
			events := float64(b.N * benchEvents)
			b.ReportMetric(plain.Seconds()/printing.Seconds(), "ratio")
			b.ReportMetric(float64(plain.Nanoseconds())/events, "loop-ns/event")
			b.ReportMetric(float64(printing.Nanoseconds())/events, "print-ns/event")
			b.ReportMetric(0, "ns/op")
		})
	}
}
