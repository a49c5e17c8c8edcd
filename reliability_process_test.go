package sse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/cursor"
	"github.com/wellspring-go/sse/internal/rows"
)

// killedEnv makes TestConsumerChild, in a process of its own, the consumer that
// is killed.
const killedEnv = "SSE_TEST_KILLED"

// TestConsumerChild reads a feed: it writes the id of each event to a file,
// which is its handling, and then acknowledges it. It does nothing in the test
// process itself.
func TestConsumerChild(t *testing.T) {
	url, dir, ok := strings.Cut(os.Getenv(killedEnv), " ")
	if !ok {
		return
	}
	handled, err := os.OpenFile(filepath.Join(dir, "handled"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer handled.Close()
	src := sse.Source(url, sse.Options{
		Cursor:      cursor.File(filepath.Join(dir, "cursor")),
		Retry:       sse.RetryPolicy{BackOff: quick},
		IdleTimeout: 200 * time.Millisecond,
	})
	for ev, err := range src.All() {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(handled, ev.ID)
		if err := src.Ack(ev); err != nil {
			t.Fatal(err)
		}
		fmt.Println("handled", ev.ID) // for the parent, which counts
	}
}

// F18: at least once, whenever the consumer is killed; twice at most what was
// handled and not acknowledged, one event for each kill.
func TestKillLosesNothing(t *testing.T) {
	hub := newHub(t)
	dir := t.TempDir()
	kills := rows.Size(15, 100)
	rnd := rand.New(rand.NewPCG(18, 1))
	for range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestConsumerChild$")
		cmd.Env = append(os.Environ(), killedEnv+"="+hub.url+"/?stream=0 "+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Some events first, then a moment that is not at the end of one.
		for lines, n := bufio.NewScanner(out), 1+rnd.IntN(5); n > 0 && lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "handled") {
				n--
			}
		}
		<-time.After(time.Duration(rnd.IntN(30000)) * time.Microsecond)
		cmd.Process.Kill() //nolint:errcheck // it lives: nobody else ends it
		io.Copy(io.Discard, out)
		cmd.Wait() //nolint:errcheck // it was killed
	}
	text, err := os.ReadFile(filepath.Join(dir, "handled"))
	if err != nil {
		t.Fatal(err)
	}
	lost, twice, next, last := 0, 0, 0, ""
	for line := range strings.Lines(string(text)) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		switch {
		case err != nil:
			t.Fatalf("handled %q", line)
		case n > next:
			lost += n - next
		case n < next:
			twice++
		}
		next, last = n+1, strings.TrimSpace(line)
	}
	if lost > 0 || twice > kills || next < kills {
		t.Errorf("%d kills, %d events: lost %d, twice %d", kills, next, lost, twice)
	}
	id, err := cursor.File(filepath.Join(dir, "cursor")).Load(t.Context())
	if saved, convErr := strconv.Atoi(id); err != nil || convErr != nil || saved != next-1 && saved != next-2 {
		t.Errorf("the cursor is at %q, %v; handled last was %s", id, err, last)
	}
	rows.Note(t, "F18", "%d kills, %d events: lost 0, twice %d", kills, next, twice)
}

// F11: a host whose name cannot be looked up for a while, and which then has
// another address.
func TestAddressMayChange(t *testing.T) {
	first, second := newHub(t), newHub(t)
	var dials atomic.Int64
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		target := second.url
		switch n := dials.Add(1); {
		case n == 1:
			target = first.url
		case n < 5:
			return nil, &net.DNSError{Err: "no such host", Name: "feed.test", IsNotFound: true}
		}
		var d net.Dialer
		return d.DialContext(ctx, network, strings.TrimPrefix(target, "http://"))
	}}
	defer transport.CloseIdleConnections()
	client := &sse.Client{HTTP: &http.Client{Transport: transport}}
	var r reading
	var failed int
	src := client.Source("http://feed.test/?stream=0", sse.Options{
		Retry:       sse.RetryPolicy{BackOff: quick},
		IdleTimeout: 200 * time.Millisecond,
		OnClose: func(ev sse.CloseEvent) {
			var dns *net.DNSError
			if errors.As(ev.Err, &dns) {
				failed++
			}
			if ev.Retriable {
				ev.Connect()
			}
		},
	})
	for ev, err := range src.All() {
		if err != nil {
			t.Fatal(err)
		}
		if r.see(ev); second.conn.Load() > 0 && r.events > 10 {
			break
		}
	}
	if r.lost+r.twice+r.torn > 0 || failed != 3 {
		t.Errorf("lost %d, twice %d, torn %d; %d look-ups failed", r.lost, r.twice, r.torn, failed)
	}
	rows.Note(t, "F11", "3 failed look-ups, then another address: lost 0, twice 0")
}

// F3: every way to split 16 bytes into reads.
func TestEverySplitOf16Bytes(t *testing.T) {
	inputs := []string{
		"\xEF\xBB\xBFdata:ab\r\n\r\nid", "id:1\r\ndata:\r\n\r\n ", "data:\xF0\x9F\x98\x80\n\nid:\n\n",
		"data\ndata\r\rdata:", ":c\revent:e\ndata\n", "retry:1\r\rdata:\n\n", "data:\xE2\x28\xA1\xFF\n\nid:\n\n", "data: y\n\ndata: z",
	}
	for _, input := range inputs {
		if len(input) != 16 {
			t.Fatalf("%q has %d bytes", input, len(input))
		}
		c := parseCase{name: input}
		want := fmt.Sprint(c.parse(t, strings.NewReader(input)))
		for cuts := range 1 << 15 {
			var parts chunks
			from := 0
			for at := range 15 {
				if cuts>>at&1 == 1 {
					parts = append(parts, []byte(input[from:at+1]))
					from = at + 1
				}
			}
			parts = append(parts, []byte(input[from:]))
			if got := fmt.Sprint(c.parse(t, &parts)); got != want {
				t.Fatalf("%q, cuts %b: got %s, want %s", input, cuts, got, want)
			}
		}
	}
	rows.Note(t, "F3", "%d inputs x 32,768 splits: the same events", len(inputs))
}

// F3: streams made of the parser's own words and rubbish, in reads of all
// sizes.
func TestRandomStreamsInRandomReads(t *testing.T) {
	words := []string{
		"data", "event", "id", "retry", ":", ": ", "\n", "\r", "\r\n", "\n\n", "\r\r", "\uFEFF", "\x00", "7", "x",
		"\xEF", "\xBB", "\xF0\x9F", "\xE2\x82", "\xFF", "\u20AC", "data: x\n\n", "id: 1\n",
	}
	n := rows.Size(20_000, 1_000_000)
	rnd := rand.New(rand.NewPCG(3, 3))
	for i := range n {
		var b strings.Builder
		for range rnd.IntN(24) {
			b.WriteString(words[rnd.IntN(len(words))])
		}
		stream, size := b.String(), 1+rnd.IntN(7)
		c := parseCase{name: "random", MaxEventSize: rnd.IntN(2) * 8}
		whole, parts := c.parse(t, strings.NewReader(stream)), c.parse(t, &sizedReads{strings.NewReader(stream), size})
		if !reflect.DeepEqual(whole, parts) {
			t.Fatalf("stream %d, %q in reads of %d: got %+v, want %+v", i, stream, size, parts, whole)
		}
	}
	rows.Note(t, "F3", "%d random streams in random reads: the same events", n)
}
