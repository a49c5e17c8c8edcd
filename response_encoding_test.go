package sse_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// gzipped compresses parts, each flushed, and ends the member.
func gzipped(parts ...string) []string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	var chunks []string
	for _, part := range parts {
		io.WriteString(z, part)
		z.Flush()
		chunks = append(chunks, b.String())
		b.Reset()
	}
	z.Close()
	return append(chunks, b.String())
}

func encoded(coding string, chunks ...string) ssetest.Reply {
	return ssetest.Stream(ssetest.Raw(chunks...)).With("Content-Encoding", coding)
}

// Who asked for the encoding, if anybody did.
var askings = map[string]sse.Options{
	"not asked for":      {},
	"asked for":          {Header: http.Header{"Accept-Encoding": {"gzip"}}},
	"left to Go":         {Header: http.Header{"Accept-Encoding": {}}},
	"removed by Prepare": {Prepare: preparing(func(r *http.Request) { r.Header.Del("Accept-Encoding") })},
}

func TestGzipIsDecodedAskedForOrNot(t *testing.T) {
	for name, o := range askings {
		for _, coding := range []string{"gzip", "GZIP", "x-gzip", " gzip "} {
			t.Run(name+"/"+coding, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := ssetest.New(t, encoded(coding, gzipped("data: 1\n\n", "data: 2\n\ndata: 3\n", "\n")...))
					var got []string
					o.OnEvent = func(ev sse.Event) { got = append(got, ev.Data) }
					ev := closeOf(t, srv.Client(), srv.URL(), o)
					if diff := cmp.Diff([]string{"1", "2", "3"}, got); diff != "" || ev.Err != io.EOF {
						t.Errorf("%v (-want +got):\n%s", ev, diff)
					}
				})
			})
		}
	}
}

func TestGzippedEventIsOutAsSoonAsItIsFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chunks := gzipped("data: 1\n\n", "data: 2\n\n")
		srv := ssetest.New(t, ssetest.Stream(
			ssetest.Wait(time.Hour), ssetest.Raw(chunks[0]), ssetest.Wait(time.Hour), ssetest.Raw(chunks[1]), ssetest.Wait(time.Hour), ssetest.Raw(chunks[2]),
		).With("Content-Encoding", "gzip"))
		begin := time.Now()
		var got []time.Duration
		note := func() { got = append(got, time.Since(begin)) }
		closeOf(t, srv.Client(), srv.URL(), sse.Options{OnOpen: func(sse.OpenEvent) { note() }, OnEvent: func(sse.Event) { note() }})
		if diff := cmp.Diff([]time.Duration{0, time.Hour, 2 * time.Hour}, got); diff != "" {
			t.Errorf("opened, first, second event (-want +got):\n%s", diff)
		}
	})
}

func TestIdentityIsNoEncoding(t *testing.T) {
	for _, coding := range []string{"", "identity", "Identity"} {
		ev := closeOf(t, answers(200, http.Header{"Content-Type": {"text/event-stream"}, "Content-Encoding": {coding}}, "data: x\n\n"), "http://sse.test/", sse.Options{})
		if ev.Events != 1 || ev.Err != io.EOF {
			t.Errorf("%q: got %v", coding, ev)
		}
	}
}

func TestEncodingThatCannotBeDecodedIsFatal(t *testing.T) {
	for _, codings := range [][]string{{"br"}, {"zstd"}, {"deflate"}, {"compress"}, {"gzip, gzip"}, {"gzip", "gzip"}, {"br, gzip"}, {"x-made-up"}} {
		o := sse.Options{OnOpen: func(sse.OpenEvent) { t.Errorf("%q was opened", codings) }}
		ev := closeOf(t, answers(200, http.Header{"Content-Type": {"text/event-stream"}, "Content-Encoding": codings}, "data: x\n\n"), "http://sse.test/", o)
		var refused *sse.ResponseError
		if !errors.Is(ev.Err, sse.ErrEncoding) || !errors.As(ev.Err, &refused) || ev.Status != 200 || ev.Retriable || sse.StandardRetriable(ev) {
			t.Errorf("%q: got %+v", codings, ev)
		}
		if !strings.Contains(ev.Err.Error(), strings.Join(codings, ", ")) {
			t.Errorf("the text %q does not name %q", ev.Err, codings)
		}
	}
}

func TestBytesThatAreNotGzipAreFatal(t *testing.T) {
	whole := strings.Join(gzipped("data: 1\n\n"), "")
	flipped := []byte(strings.Join(gzipped("data: 1\n\n", strings.Repeat("data: 2\n\n", 99)), ""))
	flipped[len(whole)-8] ^= 0xFF
	wrongSum := []byte(whole)
	wrongSum[len(wrongSum)-6] ^= 0xFF
	for name, bytes := range map[string]string{
		"plain text":       "data: 1\n\ndata: 2\n\n",
		"a flipped byte":   string(flipped),
		"a wrong checksum": string(wrongSum),
		"more after it":    whole + "data: 2\n\ndata: 3\n\n",
	} {
		for asking, o := range askings {
			t.Run(name+"/"+asking, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := ssetest.New(t, encoded("gzip", bytes))
					o.Method = "GET"
					ev := closeOf(t, srv.Client(), srv.URL(), o)
					if !errors.Is(ev.Err, sse.ErrEncoding) || errors.Is(ev.Err, io.ErrUnexpectedEOF) || ev.Retriable || sse.StandardRetriable(ev) {
						t.Errorf("got %v, want a fatal ErrEncoding", ev)
					}
				})
			})
		}
	}
}

func TestGzipCutShortIsACut(t *testing.T) {
	whole := strings.Join(gzipped("id: 1\ndata: 1\n\n", "id: 2\ndata: 2\n\n"), "")
	for asking, o := range askings {
		t.Run(asking, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for n := 1; n < len(whole); n++ {
					// By a clean end as by an RST: the encoding knows better.
					srv := ssetest.New(t, encoded("gzip", whole[:n]),
						ssetest.Stream(ssetest.Raw(whole[:n]), ssetest.Reset()).With("Content-Encoding", "gzip"))
					for range 2 {
						ev := closeOf(t, srv.Client(), srv.URL(), o)
						if !errors.Is(ev.Err, io.ErrUnexpectedEOF) || errors.Is(ev.Err, sse.ErrEncoding) || ev.Err == io.EOF || !ev.Retriable {
							t.Fatalf("cut after %d bytes of %d: %v", n, len(whole), ev)
						}
					}
				}
			})
		})
	}
}

func TestLimitsHoldOnDecodedBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bomb := strings.Join(gzipped("data: 1\n\ndata: "+strings.Repeat("x", 8<<20)), "")
		srv := ssetest.New(t, encoded("gzip", bomb))
		ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{Method: "GET", MaxEventSize: 64 << 10})
		if !errors.Is(ev.Err, sse.ErrTooLong) || ev.Retriable || ev.Events != 1 {
			t.Errorf("got %v, want ErrTooLong", ev)
		}
	})
}
