package sse_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wellspring-go/sse"
)

// corpora are streams of about 2 MiB, the same on every run.
func corpora() map[string][]byte {
	var tick, llm, json4k bytes.Buffer
	for i := 0; tick.Len() < 2<<20; i++ {
		fmt.Fprintf(&tick, "id: %d\nevent: tick\ndata: {\"n\":%d,\"p\":%d}\n\n", i, i, i%997)
	}
	for i := 0; llm.Len() < 2<<20; i++ {
		fmt.Fprintf(&llm, "data: {\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token%d\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"system_fingerprint\":\"fp_0123456789\"}\n\n", i)
	}
	for i := 0; json4k.Len() < 2<<20; i++ {
		fmt.Fprintf(&json4k, "event: doc\ndata: {\"n\":%d,\"text\":\"%s\"}\n\n", i, strings.Repeat("lorem ipsum ", 340))
	}
	return map[string][]byte{"tick": tick.Bytes(), "llm": llm.Bytes(), "json4k": json4k.Bytes()}
}

// sink keeps the compiler from making strings on the stack.
var sink string

// owningLoop is the least that a reader which hands out strings can do: find
// lines, know the fields, check the encoding, and copy id and data out.
func owningLoop(r io.Reader) (events, size int) {
	buf := make([]byte, 64<<10)
	end := 0
	for {
		block := 0 // where the event begins
		var id, data []byte
		for start := 0; ; {
			i := bytes.IndexByte(buf[start:end], '\n')
			if i < 0 {
				break
			}
			line := bytes.TrimSuffix(buf[start:start+i], []byte("\r"))
			start += i + 1
			switch {
			case len(line) == 0:
				if data != nil && utf8.Valid(data) {
					var s strings.Builder
					s.Grow(len(id) + len(data))
					s.Write(id)
					s.Write(data)
					sink = s.String()
					events++
					size += len(data)
				}
				id, data, block = nil, nil, start
			case bytes.HasPrefix(line, []byte("data: ")):
				data = line[6:]
			case bytes.HasPrefix(line, []byte("id: ")):
				id = line[4:]
			}
		}
		end = copy(buf, buf[block:end])
		n, err := r.Read(buf[end:])
		end += n
		if n == 0 && err != nil {
			return events, size
		}
	}
}

func BenchmarkParser(b *testing.B) {
	for _, name := range []string{"tick", "llm", "json4k"} {
		stream := corpora()[name]
		want, wantSize := owningLoop(bytes.NewReader(stream))
		b.Run(name+"/handloop", func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			for b.Loop() {
				owningLoop(bytes.NewReader(stream))
			}
		})
		b.Run(name+"/parser", func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				events, size := 0, 0
				for ev, err := range sse.NewParser(bytes.NewReader(stream)).All() {
					if err != nil {
						b.Fatal(err)
					}
					events, size = events+1, size+len(ev.Data)
				}
				if events != want || size != wantSize {
					b.Fatalf("%d events of %d bytes, want %d of %d", events, size, want, wantSize)
				}
			}
		})
		b.Run(name+"/raw", func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				events := 0
				for _, err := range sse.NewParser(bytes.NewReader(stream)).Raw() {
					if err != nil {
						b.Fatal(err)
					}
					events++
				}
				if events != want {
					b.Fatalf("%d events, want %d", events, want)
				}
			}
		})
	}
}

func BenchmarkHTTP(b *testing.B) {
	for _, name := range []string{"tick", "llm", "json4k"} {
		stream := corpora()[name]
		want, _ := owningLoop(bytes.NewReader(stream))
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write(stream)
		}))
		b.Cleanup(srv.Close)
		source := func(o sse.Options) *sse.EventSource {
			o.Retry = sse.NoRetry
			return sse.Source(srv.URL, o)
		}
		for _, way := range []struct {
			name string
			read func() int
		}{
			{"handloop", func() int {
				resp, err := http.Post(srv.URL, "", nil)
				if err != nil {
					b.Fatal(err)
				}
				defer resp.Body.Close()
				n, _ := owningLoop(resp.Body)
				return n
			}},
			{"All", func() (n int) {
				for range source(sse.Options{}).All() {
					n++
				}
				return n
			}},
			{"OnEvent", func() (n int) {
				source(sse.Options{OnEvent: func(sse.Event) { n++ }}).Run()
				return n
			}},
			{"Events", func() (n int) {
				for range source(sse.Options{}).SelectAll().Events() {
					n++
				}
				return n
			}},
		} {
			b.Run(name+"/"+way.name, func(b *testing.B) {
				b.SetBytes(int64(len(stream)))
				for b.Loop() {
					if n := way.read(); n != want {
						b.Fatalf("%d events, want %d", n, want)
					}
				}
			})
		}
	}
}
