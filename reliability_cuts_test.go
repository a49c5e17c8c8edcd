package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/internal/faultproxy"
	"github.com/wellspring-go/sse/internal/rows"
)

// A block of the corpus is what stands between two blank lines, and the event
// that it has to become.
type block struct {
	raw string
	ev  sse.Event // no ID: the block dispatches none
	id  string
}

// corpus is a stream of all that a cut may fall into: ids of several bytes,
// fields of several lines, all three line ends, characters of two to four
// bytes, comments, and blocks of an id and no event.
var corpus = func() []block {
	const euro, clef = "preis: 3 €", "𝄞 ünïcödé 日本"
	var blocks []block
	for i := range 43 {
		id := strconv.Itoa(i)
		ev := sse.Event{Name: "message"}
		raw := ""
		switch i % 6 {
		case 0:
			raw, ev.Data = "data: "+clef+"\nid: "+id+"\n\n", clef
		case 1:
			id += "/é"
			raw, ev.Data = "id: "+id+"\r\ndata: a\r\ndata:\r\ndata: b\r\n\r\n", "a\n\nb"
		case 2:
			ev.Name = "größe"
			raw, ev.Data = "event: größe\rid: "+id+"\rdata: "+euro+"\r\r", euro
		case 3:
			id += "-only"
			raw = ": nothing to dispatch\nid: " + id + "\n\n"
		case 4:
			raw, ev.Data = "\uFEFFdata: no field\r\nid:"+id+"\ndata\r\r\n", ""
		case 5:
			raw, ev.Data = "data: "+strings.Repeat("x", 20)+"\nid: "+id+"\nunknown: y\n:\n\n", strings.Repeat("x", 20)
		}
		b := block{raw: raw, id: id}
		if i%6 != 3 {
			b.ev = sse.Event{Name: ev.Name, Data: ev.Data, ID: id}
		}
		blocks = append(blocks, b)
	}
	return blocks
}()

// corpusEvents are the events of the corpus.
func corpusEvents() (events []sse.Event) {
	for _, b := range corpus {
		if b.ev.ID != "" {
			events = append(events, b.ev)
		}
	}
	return events
}

// corpusHandler serves the corpus from behind the Last-Event-ID on, in chunks
// that hold several events or a part of one, and 204 at its end.
func corpusHandler(t *testing.T) http.Handler {
	t.Helper()
	chunks := []int{7, 160, 3, 1, 61, 200, 2, 2}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last := r.Header.Get("Last-Event-ID")
		next := 1 + slices.IndexFunc(corpus, func(b block) bool { return b.id == last })
		switch {
		case next == 0 && last != "":
			t.Errorf("asked for what follows %q", last)
			fallthrough
		case next == len(corpus):
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		var s strings.Builder
		s.WriteString("\uFEFF")
		for _, b := range corpus[next:] {
			s.WriteString(b.raw)
		}
		rest := s.String()
		for i := 0; rest != ""; i++ {
			n := min(chunks[i%len(chunks)], len(rest))
			io.WriteString(w, rest[:n])
			http.NewResponseController(w).Flush()
			rest = rest[n:]
		}
	})
}

// newCorpusServer returns the address of a server of the corpus.
func newCorpusServer(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(corpusHandler(t))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// An oracle compares what sources delivered with what they had to.
type oracle struct {
	lost, twice, reordered, broken, sources, closes atomic.Int64
}

// judge counts what is wrong with got, and returns it in words.
func (o *oracle) judge(want, got []sse.Event) string {
	place := map[string]int{}
	for i, ev := range want {
		place[ev.ID] = i
	}
	var words []string
	wrong := func(n *atomic.Int64, format string, args ...any) {
		n.Add(1)
		words = append(words, fmt.Sprintf(format, args...))
	}
	seen, last := map[string]bool{}, -1
	for _, ev := range got {
		i, ok := place[ev.ID]
		switch {
		case !ok || want[i] != ev:
			wrong(&o.broken, "broken: %+v", ev)
		case seen[ev.ID]:
			wrong(&o.twice, "twice: %s", ev.ID)
		case i < last:
			wrong(&o.reordered, "out of order: %s", ev.ID)
		}
		seen[ev.ID], last = true, i
	}
	for _, ev := range want {
		if !seen[ev.ID] {
			wrong(&o.lost, "lost: %s", ev.ID)
		}
	}
	return strings.Join(words, "\n")
}

// note notes the figures of the oracle for the row of its faults, and for the
// promises that they are the proof of.
func (o *oracle) note(t *testing.T, row, faults string) {
	t.Helper()
	order := "order kept"
	if n := o.reordered.Load(); n > 0 {
		order = fmt.Sprintf("%d out of order", n)
	}
	figures := fmt.Sprintf("lost %d, twice %d, %s", o.lost.Load(), o.twice.Load(), order)
	rows.Note(t, row, "%s: %s", faults, figures)
	rows.Note(t, "P1", "%d streams, %d cuts on real sockets: lost %d, twice %d", o.sources.Load(), o.closes.Load(), o.lost.Load(), o.twice.Load())
	rows.Note(t, "P2", "%d streams, %d cuts on real sockets: %s", o.sources.Load(), o.closes.Load(), order)
	rows.Note(t, "P3", "%d streams, %d cuts on real sockets: %d events not whole", o.sources.Load(), o.closes.Load(), o.broken.Load())
}

// notSilent is an IdleTimeout where nothing is silent. It and patience bound
// what a fault of the library costs.
const (
	notSilent = 10 * time.Second
	patience  = 15 * time.Second
)

// readCorpus has a source read the corpus, and returns what it delivered and
// the closes before the one that the server's 204 was. way chooses how it is
// consumed. The client has to make a connection for each attempt.
func readCorpus(t *testing.T, client *sse.Client, url string, idle time.Duration, way int) (got []sse.Event, cuts []sse.CloseEvent) {
	t.Helper()
	o := sse.Options{
		Method:      "GET",
		Retry:       waitsOf(time.Millisecond),
		IdleTimeout: idle,
		OnClose: func(ev sse.CloseEvent) {
			if ev.Status == http.StatusNoContent || len(cuts) == 10 {
				return
			}
			cuts = append(cuts, ev)
			ev.Connect()
		},
	}
	if way%3 == 0 {
		o.OnEvent = func(ev sse.Event) { got = append(got, ev) }
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	src := client.SourceContext(ctx, url, o)
	switch way % 3 {
	case 0:
		src.Run()
	case 1:
		for ev, err := range src.All() {
			if err != nil {
				break
			}
			got = append(got, ev)
		}
	case 2:
		for ev := range src.SelectAll().Events() {
			got = append(got, ev)
		}
	}
	<-src.Done()
	return got, cuts
}

// checkCuts wants each close to be an ending that lost the connection in or
// before a response, and the event it names to be the last delivered.
func checkCuts(cuts []sse.CloseEvent) error {
	for _, ev := range cuts {
		clean := ev.Err == io.EOF && ev.Status == http.StatusOK // of a connection that was not cut
		if ev.IsLocal || !ev.Retriable || errors.Is(ev.Err, io.EOF) != clean || errors.Is(ev.Err, sse.ErrIdle) {
			return fmt.Errorf("close %v: %w", ev, ev.Err)
		}
	}
	return nil
}

// inParallel calls f for 0 to n-1, four at a time, until the test has failed.
func inParallel(t *testing.T, n int, f func(i int)) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && !t.Failed(); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	wg.Wait()
}

// cutKinds are the ways to lose a connection.
var cutKinds = []faultproxy.Kind{faultproxy.FIN, faultproxy.RST, faultproxy.HalfClose}

// lengthOfCorpus returns how many bytes the first response has, head and
// frames included, and how many its head.
func lengthOfCorpus(t *testing.T, client *sse.Client, upstream string) (whole, head int) {
	t.Helper()
	p := faultproxy.New(t, upstream, faultproxy.Script())
	defer p.Close()
	if got, _ := readCorpus(t, client, "http://"+p.Addr(), notSilent, 0); !slices.Equal(got, corpusEvents()) {
		t.Fatalf("without a fault the events are %v", got)
	}
	whole = int(p.Passed(0))
	body := len("\uFEFF")
	for _, b := range corpus {
		body += len(b.raw)
	}
	return whole, min(200, whole-body)
}

func TestCutAtEveryByteLosesNothing(t *testing.T) {
	upstream, client := newCorpusServer(t), lonely(t, nil)
	whole, _ := lengthOfCorpus(t, client, upstream)
	want := corpusEvents()
	offsets := rows.Size(150, 2000)
	if rows.Full() && whole > offsets {
		t.Errorf("%d offsets leave out some of %d bytes", offsets, whole)
	}
	var o oracle
	inParallel(t, offsets*len(cutKinds), func(i int) {
		fault := faultproxy.Fault{Kind: cutKinds[i%len(cutKinds)], At: int64(i / len(cutKinds) * whole / offsets)}
		p := faultproxy.New(t, upstream, faultproxy.Script(fault))
		defer p.Close()
		got, cuts := readCorpus(t, client, "http://"+p.Addr(), notSilent, i/len(cutKinds))
		o.sources.Add(1)
		o.closes.Add(int64(p.Struck()))
		wrong := o.judge(want, got)
		if err := checkCuts(cuts); wrong != "" || err != nil {
			t.Errorf("%v of %d: %s%v\nthe proxy's log:\n%s", fault, whole, wrong, err, p.Log())
		}
		if p.Struck() != 1 || len(cuts) == 0 || !errors.Is(cuts[0].Err, io.ErrUnexpectedEOF) && cuts[0].Status != 0 {
			t.Errorf("%v of %d: cut %d times, closes %v", fault, whole, p.Struck(), cuts)
		}
	})
	o.note(t, "F1", fmt.Sprintf("%d offsets x %d", offsets, len(cutKinds)))
}

func TestSeveralCutsLoseNothing(t *testing.T) {
	upstream, client := newCorpusServer(t), lonely(t, nil)
	whole, head := lengthOfCorpus(t, client, upstream)
	want := corpusEvents()
	seeds := rows.Size(20, 200)
	var o oracle
	inParallel(t, seeds, func(seed int) {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		cut := func(limit int) faultproxy.Fault {
			return faultproxy.Random(r.Uint64(), int64(limit), cutKinds...)(0)
		}
		// A cut, the reconnect's head cut, and then one or two more that may
		// come before the rest is through, or not.
		faults := []faultproxy.Fault{cut(whole), cut(head), cut(whole / 2), cut(head)}[:3+seed%2]
		p := faultproxy.New(t, upstream, faultproxy.Script(faults...))
		defer p.Close()
		got, cuts := readCorpus(t, client, "http://"+p.Addr(), notSilent, seed)
		o.sources.Add(1)
		o.closes.Add(int64(p.Struck()))
		wrong := o.judge(want, got)
		if err := checkCuts(cuts); wrong != "" || err != nil {
			t.Errorf("seed %d, %v: %s%v\nthe proxy's log:\n%s", seed, faults, wrong, err, p.Log())
		}
		if p.Struck() < 2 || len(cuts) < 2 {
			t.Errorf("seed %d, %v: cut %d times, closes %v; log:\n%s", seed, faults, p.Struck(), cuts, p.Log())
		}
	})
	o.note(t, "F2", fmt.Sprintf("%d seeds, %d cuts", seeds, o.closes.Load()))
}
