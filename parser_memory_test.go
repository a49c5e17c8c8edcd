package sse_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/wellspring-go/sse"
)

// One string backs an event; names and ids that repeat cost nothing.
func TestParserAllocatesOncePerEvent(t *testing.T) {
	var small, large, rare bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&small, "id: %d\nevent: n%d\ndata: {\"price\": %d}\n\n", i, i%3, i)
		fmt.Fprintf(&large, "event: tick\ndata: %s\ndata: %s\n\n", strings.Repeat("x", 9000), strings.Repeat("y", 9000))
		fmt.Fprintf(&rare, "event: tick\ndata: %s\ndata: %s\n:\n\n", strings.Repeat("x", 9000), strings.Repeat("y", 9000))
	}
	for name, stream := range map[string][]byte{"small": small.Bytes(), "large": large.Bytes(), "with comments": rare.Bytes()} {
		p := sse.NewParser(nil)
		p.OnComment = func(string) {}
		allocs := testing.AllocsPerRun(5, func() {
			p.Reset(bytes.NewReader(stream))
			for range p.All() {
			}
		})
		// The reader, the iterator and buffers that settle add a few.
		if allocs > 1020 {
			t.Errorf("%s: %.0f allocations for 1000 events, want one each", name, allocs)
		}
	}
}

func TestRawDoesNotAllocate(t *testing.T) {
	var stream bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&stream, "id: %d\nevent: n%d\ndata: {\"price\": %d}\n\n", i, i%3, i)
		fmt.Fprintf(&stream, "data: no id\ndata: and no name\n\ndata: gr\xff\xfc\u00df\n\n: a comment\n\nid: %d\n\n", i)
	}
	p := sse.NewParser(nil)
	allocs := testing.AllocsPerRun(5, func() {
		p.Reset(bytes.NewReader(stream.Bytes()))
		for range p.Raw() {
		}
	})
	if allocs > 20 {
		t.Errorf("%.0f allocations for 3000 events, want none but those of the loop", allocs)
	}
}

// Events share the text of a read, within bounds.
func TestEventPinsLittleOfItsNeighbours(t *testing.T) {
	const n = 100
	for _, size := range []int{10, 500, 3000} {
		var stream strings.Builder
		for i := range n {
			fmt.Fprintf(&stream, "event: e\nid: %d\ndata: %s\n\n", i, strings.Repeat("x", size))
			for end := stream.Len() + 64<<10; stream.Len() < end; { // a kept one to a read of 64 KiB
				fmt.Fprintf(&stream, "event: e\ndata: %s\n\n", strings.Repeat("x", size))
			}
		}
		p := sse.NewParser(strings.NewReader(stream.String()))
		var kept []sse.Event
		before := heap()
		last := ""
		for ev := range p.All() {
			if ev.ID != last {
				kept, last = append(kept, ev), ev.ID
			}
		}
		if each := (heap() - before) / n; each > 5<<10 || len(kept) != n {
			t.Errorf("%d events of %d bytes are kept with %d bytes each, want at most 5 KiB", len(kept), size, each)
		}
		runtime.KeepAlive(kept)
		runtime.KeepAlive(p)
	}
}

// A burst does not leave its buffers behind: at most 64 KiB of reading and as
// much of joining.
func TestParserLetsGoOfLargeBuffers(t *testing.T) {
	line := "data: " + strings.Repeat("x", 256<<10) + "\n"
	lines := strings.Repeat("data: "+strings.Repeat("x", 1<<10)+"\n", 256)
	stream := line + "\n" + lines + "\n" + "data: small\n\n"
	const n = 50
	for way, read := range ways {
		var parsers [n]*sse.Parser
		before := heap()
		for i := range parsers {
			parsers[i] = sse.NewParser(strings.NewReader(stream))
			for range read(parsers[i]) {
			}
		}
		if each := (heap() - before) / n; each > 140<<10 {
			t.Errorf("by %s a parser keeps %d bytes after events of 256 KiB, want at most 140 KiB", way, each)
		}
		runtime.KeepAlive(parsers)
	}
	runtime.KeepAlive(stream)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestParserLargeEventsDoNotPinMemoryThroughNamesAndIDs(t *testing.T) {
	const n = 50
	var stream strings.Builder
	for i := range n {
		fmt.Fprintf(&stream, "event: e%d\nid: %d\ndata: %s\n\n", i, i, strings.Repeat("x", 100<<10))
	}
	p := sse.NewParser(strings.NewReader(stream.String()))
	var kept [2 * n]string
	before := heap()
	for i := range n {
		ev, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		kept[2*i], kept[2*i+1] = ev.Name, ev.ID
	}
	if each := (heap() - before) / n; each > 8<<10 {
		t.Errorf("the name and id of an event of 100 KiB keep %d bytes, want at most 8 KiB", each)
	}
	runtime.KeepAlive(&kept)
	runtime.KeepAlive(p)
}

// A watchedReader notes how much it was asked for last.
type watchedReader struct {
	io.Reader
	asked int
}

func (w *watchedReader) Read(b []byte) (int, error) {
	w.asked = len(b)
	return w.Reader.Read(b)
}

func TestParserWaitsWithASmallBuffer(t *testing.T) {
	large := "data: " + strings.Repeat("x", 256<<10) + "\n\n"
	fill := func(n int) string { return strings.Repeat("\n", n-len(large)) }
	small := strings.Repeat("data: 1234\n\n", 500)
	for name, test := range map[string]struct {
		chunks chunks
		most   int
	}{
		"after a large event":                     {chunks{[]byte(large)}, 64 << 10},
		"after a large event and a full buffer":   {chunks{[]byte(large + fill(1<<20))}, 64 << 10},
		"after a large event and one byte more":   {chunks{[]byte(large + fill(1<<20+1))}, 64 << 10},
		"after a burst of small events":           {chunks{[]byte(small)}, 16 << 10},
		"after a burst, and a while of few bytes": {append(chunks{[]byte(small)}, slices.Repeat(chunks{[]byte("data: 1\n\n")}, 50)...), 1 << 10},
	} {
		r := &watchedReader{Reader: &test.chunks}
		for range sse.NewParser(r).All() {
		}
		if r.asked > test.most {
			t.Errorf("%s: waits with a buffer of %d bytes, want at most %d", name, r.asked, test.most)
		}
	}
}

// A long id is not copied for each event that it stays in force for.
func TestRawAndNextInTurnsDoNotCopyTheID(t *testing.T) {
	const turns = 1000
	stream := "id: " + strings.Repeat("x", 64<<10) + "\ndata:\n\n" + strings.Repeat("data:\n\n", turns)
	p := sse.NewParser(strings.NewReader(stream))
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.TotalAlloc
	for range turns / 2 {
		for _, err := range p.Raw() {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.ReadMemStats(&m); m.TotalAlloc-before > 2<<20 {
		t.Errorf("%d KiB allocated for %d events of 7 bytes", (m.TotalAlloc-before)>>10, turns)
	}
}

// A bufferedReader is one behind which chunks of a fixed size become ready. A
// read brings what is left of one.
type bufferedReader struct {
	rest  []byte
	chunk int
	left  int
	reads int
}

func (r *bufferedReader) Read(b []byte) (int, error) {
	r.reads++
	if r.left == 0 {
		r.left = r.chunk
	}
	n := copy(b[:min(len(b), r.left)], r.rest)
	if n == 0 {
		return 0, io.EOF
	}
	r.rest, r.left = r.rest[n:], r.left-n
	return n, nil
}

// Each read is a call of the system: what is left of an event that a read cut
// must not halve the next.
func TestParserReadsAFastStreamInLargePieces(t *testing.T) {
	const chunk, chunks = 48 << 10, 40
	event := "data: " + strings.Repeat("x", 100) + "\n\n"
	for name, stream := range map[string]string{
		"small events":            event,
		"events of several lines": "event: e\n:\n" + event, // not of the fast path, with OnComment
	} {
		r := &bufferedReader{rest: []byte(strings.Repeat(stream, chunk*chunks/len(stream))), chunk: chunk}
		p := sse.NewParser(r)
		p.OnComment = func(string) {}
		for range p.All() {
		}
		if r.reads > chunks+10 {
			t.Errorf("%s: %d reads for %d chunks", name, r.reads, chunks)
		}
	}
}
