package sse_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/internal/rows"
	"github.com/wellspring-go/sse/ssetest"
)

// eavesdropper accepts connections and counts what comes.
func eavesdropper(t *testing.T) (addr string, connections, received *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections, received = new(atomic.Int64), new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			n, _ := c.Read(make([]byte, 4096))
			received.Add(int64(n))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), connections, received
}

// TestRedirectGivesNothingAway has a TLS server redirect to everywhere.
// Whatever is not its own address leads to an eavesdropper.
func TestRedirectGivesNothingAway(t *testing.T) {
	var there []seenRequest
	origin := quietTLSServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.Header.Get("X-Redirect-To"); r.URL.Path == "/feed" {
			code, _ := strconv.Atoi(r.Header.Get("X-Code"))
			w.Header().Set("Location", to)
			w.WriteHeader(code)
			return
		}
		body, _ := io.ReadAll(r.Body)
		there = append(there, seenRequest{r.Method, r.URL.Path, string(body), r.Header.Get("X-Key"), r.Header.Get("Authorization"), r.Header.Get("Last-Event-ID")})
		w.WriteHeader(http.StatusNoContent)
	}), false)
	elsewhere, connections, received := eavesdropper(t)
	config := trusting(origin)
	config.ServerName = "example.com"
	client := lonely(t, config)
	client.HTTP.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		if addr == "a.test:443" {
			return d.DialContext(ctx, network, origin.Listener.Addr().String())
		}
		return d.DialContext(ctx, network, elsewhere)
	}
	targets := map[string]struct {
		location string
		same     bool
	}{
		"same":      {"https://a.test/there", true},
		"path":      {"/there", true},
		"port":      {"https://a.test:8443/there", false},
		"http":      {"http://a.test/there", false},
		"subdomain": {"https://sub.a.test/there", false},
		"other":     {"https://b.test/there", false},
		"ip":        {"https://127.0.0.1/there", false},
		"userinfo":  {"https://a.test@b.test/there", false},
	}
	refusals, followed := 0, 0
	for _, code := range []int{301, 302, 303, 307, 308} {
		for name, target := range targets {
			for method, body := range map[string]string{"GET": "", "POST": "canary-body"} {
				there = nil
				ev := closeOf(t, client, "https://a.test/feed", sse.Options{Method: method, Body: []byte(body), LastEventID: "7", Header: http.Header{
					"X-Key": {"canary-key"}, "Authorization": {"Bearer canary"}, "X-Code": {strconv.Itoa(code)}, "X-Redirect-To": {target.location},
				}})
				if target.same && (code > 303 || method == "GET") {
					followed++
					want := []seenRequest{{method, "/there", body, "canary-key", "Bearer canary", "7"}}
					if diff := cmp.Diff(want, there); diff != "" || ev.Status != 204 {
						t.Errorf("%d %s, %s: %v; the target (-want +got):\n%s", code, name, method, ev, diff)
					}
					continue
				}
				refusals++
				host := strings.TrimPrefix(target.location[strings.Index(target.location, ":")+1:], "//")
				host = host[strings.Index(host, "@")+1:]
				if !errors.Is(ev.Err, sse.ErrRedirect) || ev.Retriable || ev.Status != code || !strings.Contains(ev.Err.Error(), host) || len(there) > 0 {
					t.Errorf("%d %s, %s: %v, %d requests, want a refusal that names %s", code, name, method, ev, len(there), host)
				}
			}
		}
	}
	if c, n := connections.Load(), received.Load(); c != 0 || n != 0 {
		t.Errorf("the other side saw %d connections, %d bytes", c, n)
	}
	rows.Note(t, "P10", "%d redirects elsewhere: %d bytes to the second server", refusals, received.Load())
	rows.Note(t, "S1", "5 codes x 8 targets x GET, POST over TLS: %d refused, %d followed; %d connections, %d bytes to the second server", refusals, followed, connections.Load(), received.Load())
}

func gzipOf(b []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func TestCompressedBombsMeetTheLimits(t *testing.T) {
	const limit, size = 64 << 10, 16 << 20
	bomb := gzipOf([]byte("id: 1\ndata: fine\n\ndata: " + strings.Repeat("x", size)))
	many := gzipOf([]byte("id: 1\ndata: fine\n\n" + strings.Repeat("data\n", size/5)))
	ratio := size / len(bomb)
	if ratio < 900 {
		t.Fatalf("a ratio of %d is no bomb", ratio)
	}
	type test struct {
		coding string
		body   []byte
		err    error
		events uint64
	}
	eachInBubble(t, map[string]test{
		"a bomb":                      {"gzip", bomb, sse.ErrTooLong, 1},
		"a bomb of empty lines":       {"gzip", many, sse.ErrTooLong, 1},
		"nested, and said so":         {"gzip, gzip", gzipOf(bomb), sse.ErrEncoding, 0},
		"nested, not said":            {"gzip", gzipOf(bomb), io.EOF, 0},
		"not said at all":             {"", bomb, io.EOF, 0},
		"gzip although identity":      {"gzip", gzipOf([]byte("data: 1\n\ndata: 2\n\n")), io.EOF, 2},
		"an encoding nobody asks for": {"br", bomb, sse.ErrEncoding, 0},
	}, func(t *testing.T, c test) {
		srv := ssetest.New(t, encoded(c.coding, string(c.body)))
		o := sse.Options{Method: "GET", MaxEventSize: limit, Retry: sse.NoRetry}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		src.SelectAll().Events()
		<-src.Done()
		ev := log.Closes()[0]
		if !errors.Is(ev.Err, c.err) || ev.Events != c.events || sse.DefaultRetriable(ev) != (c.err == io.EOF) {
			t.Errorf("got %v after %d events, want %v after %d", ev, ev.Events, c.err, c.events)
		}
		if got := srv.Requests()[0].Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("asked for %q", got)
		}
		// What is decoded at once is bounded too.
		if got := src.Stats().Bytes; c.err == sse.ErrTooLong && got > uint64(len(bomb)/2) {
			t.Errorf("read %d bytes of the bomb's %d", got, len(c.body))
		}
	})
	rows.Note(t, "S4", "bombs of %d:1, nested ones, gzip although identity: 7 cases; ErrTooLong at 64 KiB decoded, ErrEncoding", ratio)
}

// TestNoIDStopsTheReconnect tries all ids that might.
func TestNoIDStopsTheReconnect(t *testing.T) {
	const most = 4 << 10
	type sent struct {
		wire, want string // the field's value; what comes back
		told       int    // calls of OnError
	}
	var ids []sent
	for b := range 256 {
		id := string([]byte{byte(b)})
		switch want := id; {
		case b == '\n' || b == '\r': // an empty id, and a line of its own
			ids = append(ids, sent{id, "", 0})
		case b == 0: // no id at all
			ids = append(ids, sent{id, "1", 0})
		case b <= ' ' || b == 0x7f: // cannot travel
			ids = append(ids, sent{id, "1", 1})
		default:
			if !utf8.ValidString(id) {
				want = "\uFFFD"
			}
			ids = append(ids, sent{id, want, 0}, sent{"a" + id + "b", "a" + want + "b", 0})
		}
	}
	for _, n := range []int{most - 1, most} {
		ids = append(ids, sent{strings.Repeat("i", n), strings.Repeat("i", n), 0})
	}
	for _, id := range []string{strings.Repeat("i", most+1), " i", "i ", " i ", "\ti", "i\t", "  ", "\u00a0\x01"} {
		ids = append(ids, sent{id, "1", 1})
	}
	ids = append(ids, sent{"\u00a0i\u00a0", "\u00a0i\u00a0", 0}, sent{"a\tb", "a\tb", 0}, sent{"i\x00i", "1", 0})
	refused := 0
	synctest.Test(t, func(t *testing.T) {
		for _, id := range ids {
			told := 0
			srv := ssetest.New(t,
				ssetest.Stream(ssetest.Raw("id: 1\ndata: first\n\n", "id: "+id.wire+"\ndata: poisoned\n\n"), ssetest.Reset()),
				ssetest.Stream(ssetest.Reset()), // and it stays so
				ssetest.Stream(ssetest.Raw("id: 2\ndata: last\n\n"), ssetest.Hold()))
			src := srv.Source(sse.Options{OnError: func(error) { told++ }})
			if got := dataOf(ssetest.Collect(t, src.All(), 3)); got != "first poisoned last " {
				t.Errorf("id %.20q: got %s", id.wire, got)
			}
			for _, r := range srv.Requests()[1:] {
				if r.LastEventID != id.want {
					t.Errorf("id %.20q: sent back %.20q, want %.20q", id.wire, r.LastEventID, id.want)
				}
			}
			if told != id.told {
				t.Errorf("id %.20q: OnError was told %d times, want %d", id.wire, told, id.told)
			}
			refused += told
		}
	})
	rows.Note(t, "S5", "256 bytes, alone and within, 4 KiB +-1, edge spaces: %d ids, %d that cannot travel, %d reconnects", len(ids), refused, 2*len(ids))
}

func TestHeadersCannotBeInjected(t *testing.T) {
	cases := 0
	for _, bad := range []string{"\r", "\n", "\r\nX-Injected: 1\r\n", "\x00"} {
		for where, put := range map[string]func(*sse.Client, *sse.Options, *string){
			"URL":                 func(_ *sse.Client, _ *sse.Options, u *string) { *u += "/" + bad },
			"query":               func(_ *sse.Client, _ *sse.Options, u *string) { *u += "?q=" + bad },
			"host":                func(_ *sse.Client, _ *sse.Options, u *string) { *u += bad },
			"Method":              func(_ *sse.Client, o *sse.Options, _ *string) { o.Method = "GET" + bad },
			"LastEventID":         func(_ *sse.Client, o *sse.Options, _ *string) { o.LastEventID = "1" + bad },
			"Header value":        func(_ *sse.Client, o *sse.Options, _ *string) { o.Header = http.Header{"X-Key": {"v" + bad}} },
			"Header name":         func(_ *sse.Client, o *sse.Options, _ *string) { o.Header = http.Header{"X" + bad: {"v"}} },
			"Client.Header value": func(c *sse.Client, _ *sse.Options, _ *string) { c.Header = http.Header{"X-Key": {"v" + bad}} },
			"Client.Header name":  func(c *sse.Client, _ *sse.Options, _ *string) { c.Header = http.Header{"X" + bad: {"v"}} },
		} {
			cases++
			var dialled atomic.Int64
			client := clientOf(func(*http.Request) (*http.Response, error) { dialled.Add(1); return nil, io.ErrUnexpectedEOF })
			u, o := "http://sse.test", sse.Options{}
			put(client, &o, &u)
			synctest.Test(t, func(t *testing.T) {
				if ev := closeOf(t, client, u, o); ev.Retriable || ev.Err == nil || ev.Status != 0 || dialled.Load() != 0 {
					t.Errorf("%q in %s: %v, dialled %d times", bad, where, ev, dialled.Load())
				}
			})
		}
	}
	rows.Note(t, "S6", "CR, LF, CRLF, NUL in 9 places: %d of %d refused before dialling", cases, cases)
}

// countedBody counts what is read of it, and whether it was closed.
type countedBody struct {
	io.Reader
	read   int64
	closed bool
}

func (c *countedBody) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.read += int64(n)
	return n, err
}

func (c *countedBody) Close() error { c.closed = true; return nil }

func TestRefusalsAreNotDownloaded(t *testing.T) {
	body := &countedBody{Reader: &repeated{pattern: []byte("x"), left: 300 * mebibyte}}
	ev := closeOf(t, clientOf(func(req *http.Request) (*http.Response, error) {
		resp := respond(req, 500, http.Header{}, "")
		resp.Body = body
		return resp, nil
	}), "http://sse.test/", sse.Options{})
	if body.read > 4<<10 || !body.closed || ev.Status != 500 {
		t.Errorf("read %d bytes, closed: %t, %v", body.read, body.closed, ev)
	}
	var took time.Duration
	synctest.Test(t, func(t *testing.T) {
		gone := time.Time{}
		var drip []ssetest.Step
		for range 3600 {
			drip = append(drip, ssetest.Raw("x"), ssetest.Wait(time.Second))
		}
		srv := ssetest.New(t, ssetest.Reply{Status: 500, Steps: drip}, ssetest.Status(204, ""))
		begin := time.Now()
		o := sse.Options{OnClose: func(ev sse.CloseEvent) {
			if gone.IsZero() {
				gone = time.Now()
				if !ev.Retriable {
					t.Errorf("got %v", ev)
				}
				ev.ConnectAfter(0)
			}
		}}
		if err := srv.Source(o).Run(); err != io.EOF {
			t.Errorf("ended with %v", err)
		}
		if took = gone.Sub(begin); took > 5*time.Second {
			t.Errorf("a dripping refusal took %v", took)
		}
	})
	rows.Note(t, "S7", "300 MiB of a 500: %d bytes read, closed; 1 byte/s: given up after %v", body.read, took)
}

// TestNoScenarioShowsASecret makes failures up. What wantNoLeak and secretURL
// plant are 9 secrets of the request; here come those of the answer.
func TestNoScenarioShowsASecret(t *testing.T) {
	n := rows.Size(40, 200)
	for seed := range n {
		rnd := rand.New(rand.NewPCG(uint64(seed), 8))
		pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
		header := http.Header{"Set-Cookie": {"s=canary-set"}, "X-Echo": {"canary-echo"}}
		header.Set("Content-Type", pick("text/event-stream", "text/event-stream", "text/html; x=canary-param", "text/plain; x=canary-param", ""))
		if rnd.IntN(3) == 0 { // a path is no secret
			header.Set("Location", pick("http://canary:canary@other.test/?canary", "/%zz?canary", "?canary", "//canary@sse.test:port/"))
		}
		if rnd.IntN(3) == 0 {
			header.Set(pick("Retry-After", "WWW-Authenticate", "Refresh", "Date", "Connection"), "canary")
		}
		if rnd.IntN(4) == 0 {
			header.Set("Content-Encoding", pick("gzip", "br", "identity"))
		}
		status := []int{200, 200, 200, 204, 301, 302, 307, 400, 401, 403, 404, 405, 415, 429, 500, 501, 503, 100 + rnd.IntN(900)}[rnd.IntN(18)]
		body := pick("", "canary-page", "data: canary-data\n\n", "id: 1\ndata: canary-data\n\n", "id: \x01\ndata: canary-data\n\n",
			"data: canary-data\n", "retry: canary\n\n", ":canary\n\n", "data: "+strings.Repeat(canary, 400)+"\n\n")
		var end error
		if rnd.IntN(2) == 0 {
			end = []error{io.ErrUnexpectedEOF, net.ErrClosed, &net.OpError{Op: "read", Net: "tcp", Err: io.EOF}, fmt.Errorf("bad %q", secretURL)}[rnd.IntN(4)]
		}
		before := rnd.IntN(8) == 0 // the head
		synctest.Test(t, func(t *testing.T) {
			client := clientOf(func(req *http.Request) (*http.Response, error) {
				if before && end != nil {
					return nil, end
				}
				resp := respond(req, status, header.Clone(), body)
				resp.Status = fmt.Sprint(status, " canary-phrase")
				if end != nil {
					resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), readerFunc(func([]byte) (int, error) { return 0, end })))
				}
				return resp, nil
			})
			wantNoLeak(t, client, secretURL, sse.Options{MaxEventSize: 1024})
		})
		if t.Failed() {
			t.Fatalf("by seed %d: status %d, header %v, body %.40q, end %v", seed, status, header, body, end)
		}
	}
	rows.Note(t, "P11", "%d failing scenarios: 0 hits", n)
	rows.Note(t, "S8", "15 canaries, %d made-up failing scenarios in text and JSON logs, all verbs, all exported types: 0 hits", n)
}

func TestRetryFieldTable(t *testing.T) {
	const limit = 10 * time.Minute
	cases := map[string]time.Duration{ // negative: ignored, the schedule's second holds
		"0": 0, "00": 0, "1": time.Millisecond, "0007": 7 * time.Millisecond, "2500": 2500 * time.Millisecond,
		"600000": limit, "600001": limit, "100000000000000000": limit, "9223372036854": limit, "9223372036855": limit,
		"9223372036854775807": limit, "9223372036854775808": limit, "18446744073709551617": limit, strings.Repeat("9", 400): limit,
		"-1": -1, "+1": -1, "1.5": -1, "1e3": -1, "": -1, "٣": -1, "１": -1, "1 2": -1, "0x10": -1, "1_000": -1,
	}
	synctest.Test(t, func(t *testing.T) {
		for value, want := range cases {
			for _, d := range firstWaits(t, ladders(0), 5, "retry: "+value+"\n") {
				low, high := want, want/5*9
				if want < 0 {
					low, high = time.Second, time.Second
				}
				if d < low || d > high {
					t.Errorf("retry: %.20s: waits %v, want %v to %v", value, d, low, high)
				}
			}
			p := sse.NewParser(strings.NewReader("retry: " + value + "\n\n"))
			p.Next() //nolint:errcheck // the end
			if d, ok := p.Retry(); ok != (want >= 0) || d < 0 || want > 0 && want < limit && d != want {
				t.Errorf("retry: %.20s is read as %v, %t", value, d, ok)
			}
		}
	})
	rows.Note(t, "S9", "%d values: clamped to %v, never negative, others ignored", len(cases), limit)
}

func TestOversizeEventIsDownloadedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := append(numberedEvents(1, 3), sse.Event{Name: "message", ID: "4", Data: strings.Repeat("x", 70<<10)})
		srv := ssetest.New(t)
		srv.Always(heldOpen(ssetest.ResumeFrom(all)))
		src := srv.Source(sse.Options{Method: "GET", MaxEventSize: 64 << 10})
		var got []sse.Event
		var failure error
		for ev, err := range src.All() {
			if failure = err; err == nil {
				got = append(got, ev)
			}
		}
		letPass(24 * time.Hour)
		if n := len(srv.Requests()); n != 1 || !errors.Is(failure, sse.ErrTooLong) || dataOf(got) != "1 2 3 " {
			t.Errorf("%d requests, %v after %s", n, failure, dataOf(got))
		}
		rows.Note(t, "S10", "%d download in a day", len(srv.Requests()))
	})
}

func TestBadCertificateIsTriedOnce(t *testing.T) {
	srv := quietTLSServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }), false)
	wrongName, expired := trusting(srv), trusting(srv)
	wrongName.ServerName = "other.test"
	expired.Time = func() time.Time { return srv.Certificate().NotAfter.Add(time.Hour) }
	total := int64(0)
	for name, config := range map[string]*tls.Config{"not trusted": {MinVersion: tls.VersionTLS12}, "wrong name": wrongName, "expired": expired} {
		var dials atomic.Int64
		client := lonely(t, config)
		client.HTTP.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		}
		src := client.Source(srv.URL, sse.Options{Retry: waitsOf(0)})
		if err := src.Run(); err == nil || errors.Is(err, io.EOF) || dials.Load() != 1 {
			t.Errorf("%s: %v after %d dials", name, err, dials.Load())
		}
		total += dials.Load()
	}
	rows.Note(t, "S11", "3 certificates: %d dials, no retry, no request", total)
}

// lenientTB takes the failures that a test of the kit provokes.
type lenientTB struct {
	testing.TB
	failures atomic.Int64
}

func (l *lenientTB) Errorf(string, ...any) { l.failures.Add(1) }
func (l *lenientTB) Failed() bool          { return l.failures.Load() > 0 }

func TestEncoderCannotBeMadeToInjectFields(t *testing.T) {
	cases := 0
	synctest.Test(t, func(t *testing.T) {
		for _, end := range []string{"\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n"} {
			inject := "a" + end + "data: injected" + end + "id: injected" + end + end
			for where, step := range map[string]ssetest.Step{
				"name":    ssetest.Emit(sse.Event{Name: inject, Data: "x"}),
				"id":      ssetest.Emit(sse.Event{ID: inject, Data: "x"}),
				"data":    ssetest.Emit(sse.Event{Data: inject}),
				"comment": ssetest.Comment(inject),
			} {
				cases++
				tb := &lenientTB{TB: t}
				srv := ssetest.New(tb, ssetest.Stream(step))
				src := srv.Client().Source(srv.URL(), sse.Options{Retry: sse.NoRetry})
				x := src.SelectAll()
				src.Run() // the events tell
				for ev := range x.Events() {
					if where != "data" || ev.Name != "message" || ev.ID != "" || !strings.HasPrefix(ev.Data, "a\n") {
						t.Errorf("%q in the %s: an event %+v", end, where, ev)
					}
				}
				if refused := tb.Failed(); refused != (where == "name" || where == "id") {
					t.Errorf("%q in the %s: refused: %t", end, where, refused)
				}
				if id := src.LastEventID(); id != "" {
					t.Errorf("%q in the %s: an id %q", end, where, id)
				}
			}
		}
	})
	rows.Note(t, "S13", "6 line ends in name, id, data, comment: %d cases, 0 fields injected", cases)
}
