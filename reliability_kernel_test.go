package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/internal/faultproxy"
	"github.com/wellspring-go/sse/internal/rows"
)

// frameServer answers requests over HTTP/2 in plain text with what answer
// adds, until that returns false; then it sends a FIN and waits for the
// client's, as a connection closed with bytes unread would be reset. It
// returns its address.
func frameServer(t *testing.T, answer func(f frames, stream uint32) bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				answerFrames(c, answer)
				c.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func TestCutsOfTheKernelAreRetriableAndToldApart(t *testing.T) {
	const (
		head    = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		event   = "id: 1\ndata: x\n\n"
		half    = "id: 2\ndata: ha"
		length  = head + "Content-Length: 1000\r\n\r\n" + event
		stop    = "HTTP/1.1 204 No Content\r\n\r\n"
		h2Head  = "\x88\x0f\x10\x11text/event-stream" // see TestEndsOfHTTP2
		h2Stop  = "\x89"                              // ":status: 204"
		closed  = "closed before its end"
		isReset = "connection reset by peer"
	)
	chunked := head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s%s\r\n", len(event+half), event, half)
	times := rows.Size(5, 100)
	for _, c := range []struct {
		name, answer string
		h2           func(f frames, stream uint32) (more bool)
		tells        string
	}{
		{name: "RST", answer: chunked, tells: isReset},
		{name: "FIN in a line", answer: chunked, tells: closed},
		{name: "short Content-Length", answer: length, tells: closed},
		{name: "chunk error", answer: chunked + "zz\r\n", tells: "chunk"},
		{name: "RST_STREAM", tells: "INTERNAL_ERROR", h2: func(f frames, stream uint32) bool {
			f.add(frameReset, 0, stream, word(2))
			return true
		}},
		{name: "GOAWAY", tells: "GOAWAY", h2: func(f frames, stream uint32) bool {
			f.add(frameGoAway, 0, 0, word(stream)+word(0))
			return false
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			received := make(chan struct{}, 1)
			var requests int // each odd one is answered by the fault
			client, url := lonely(t, nil), ""
			if c.h2 == nil {
				url = rawServer(t, func(conn *net.TCPConn, _ string) {
					if requests++; requests%2 == 0 {
						io.WriteString(conn, stop)
						return
					}
					io.WriteString(conn, c.answer)
					select {
					case <-received:
					case <-t.Context().Done(): // it failed
						return
					}
					if c.name == "RST" { // which may destroy what is under way
						conn.SetLinger(0) //nolint:errcheck // the close tells
					}
				})
			} else {
				var mu sync.Mutex
				addr := frameServer(t, func(f frames, stream uint32) bool {
					mu.Lock()
					defer mu.Unlock()
					if requests++; requests%2 == 0 {
						f.add(frameHeaders, endHeaders|endStream, stream, h2Stop)
						return true
					}
					f.add(frameHeaders, endHeaders, stream, h2Head)
					f.add(frameData, 0, stream, event+half)
					select {
					case <-received:
					case <-t.Context().Done(): // it failed
						return false
					}
					return c.h2(f, stream)
				})
				var d net.Dialer
				client = http2Client(t, func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) })
				url = "http://" + addr
			}
			events := 0
			for i := range times {
				closes := closesOf(t, client, url, sse.Options{
					Method: "GET", Retry: waitsOf(time.Millisecond), IdleTimeout: notSilent,
					OnEvent: func(sse.Event) { events++; received <- struct{}{} },
				}, 2)
				ev, after := closes[0], closes[1]
				if !ev.Retriable || ev.Status != 200 || ev.Events != 1 || ev.LastEventID != "1" || ev.IsLocal {
					t.Fatalf("%d: got %+v", i, ev)
				}
				if !errors.Is(ev.Err, io.ErrUnexpectedEOF) || errors.Is(ev.Err, io.EOF) || !strings.Contains(ev.Err.Error(), c.tells) {
					t.Fatalf("%d: Err %v, want an unexpected EOF that says %q", i, ev.Err, c.tells)
				}
				if got := errors.Is(ev.Err, syscall.ECONNRESET); got != (c.tells == isReset) {
					t.Fatalf("%d: Err %v is an ECONNRESET: %t", i, ev.Err, got)
				}
				if after.Status != http.StatusNoContent || after.Err != io.EOF {
					t.Fatalf("%d: the attempt after it: %+v", i, after)
				}
			}
			if events != times {
				t.Errorf("%d events, want %d: one before each cut, and none of the cut one", events, times)
			}
			rows.Note(t, "F4", "%s x %d: retriable, io.ErrUnexpectedEOF, %q", c.name, times, c.tells)
		})
	}
}

// until waits for cond, for at most 10 s.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for began := time.Now(); !cond(); <-time.After(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Errorf("waited 10 s for %s", what)
			return
		}
	}
}

// late is how much later than its time a timer may come on a busy machine.
const late = 5 * time.Second

func TestBlackholeIsFoundInIdleTimeAndRecoveredFrom(t *testing.T) {
	const idle = 250 * time.Millisecond
	for _, c := range []struct {
		place  string
		at     int64
		secure bool
	}{
		{"before the head", 0, false},
		{"after 500 bytes", 500, false},
		{"in the TLS handshake", 100, true},
	} {
		goroutines, files := goroutinesNow(), filesNow()
		t.Run(c.place, func(t *testing.T) {
			srv := quietTLSServer(t, corpusHandler(t), true)
			upstream, scheme, client := srv.Listener.Addr().String(), "https://", lonely(t, trusting(srv))
			if !c.secure {
				upstream, scheme = newCorpusServer(t), "http://"
			}
			fault := faultproxy.Script(faultproxy.Fault{Kind: faultproxy.Blackhole, At: c.at})

			t.Run("IdleTimeout", func(t *testing.T) {
				p := faultproxy.New(t, upstream, fault)
				began := time.Now()
				var found time.Duration
				hook := *client
				hook.Prepare = func(_ *http.Request, prev sse.CloseEvent) error {
					if prev.Err != nil && found == 0 {
						found = time.Since(began)
					}
					return nil
				}
				got, cuts := readCorpus(t, &hook, scheme+p.Addr(), idle, 1)
				var o oracle
				if wrong := o.judge(corpusEvents(), got); wrong != "" {
					t.Errorf("%s\n%s", wrong, p.Log())
				}
				if len(cuts) == 0 || !errors.Is(cuts[0].Err, sse.ErrIdle) || !cuts[0].Retriable {
					t.Errorf("closes %v; log:\n%s", cuts, p.Log())
				}
				if found < idle || found > idle+late {
					t.Errorf("silence was found after %v, want %v", found, idle)
				}
				rows.Note(t, "F5", "%s: found after %v of IdleTimeout %v, all events delivered", c.place, found.Round(time.Millisecond), idle)
				rows.Note(t, "P8", "blackhole %s: found after %v of IdleTimeout %v", c.place, found.Round(time.Millisecond), idle)
			})

			t.Run("context", func(t *testing.T) {
				p := faultproxy.New(t, upstream, fault)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				src := client.SourceContext(ctx, scheme+p.Addr(), sse.Options{Method: "GET", OnEvent: func(sse.Event) {}})
				go src.Run()
				until(t, "the fault", func() bool { return p.Struck() == 1 })
				cancel(errToken)
				until(t, "Done", func() bool { return chanClosed(src.Done()) })
				if err := src.Err(); !errors.Is(err, errToken) {
					t.Errorf("Err: %v", err)
				}
			})
		})
		if left := leftOver(goroutines, files); left != "" {
			t.Errorf("%s: left behind:\n%s", c.place, left)
		}
	}
}

// A numbered is a stream of events with the ids 1, 2, 3 and so on, as a source
// delivers it.
type numbered struct {
	src       *sse.EventSource
	last      atomic.Int64
	lastAt    time.Time // the hooks' own, as are those below
	wrong     []string
	found     time.Duration // from the last event to the ErrIdle
	recovered time.Duration // from there to the next event
}

// watch makes the source of the stream.
func (n *numbered) watch(client *sse.Client, url string, idle time.Duration) {
	n.src = client.Source(url, sse.Options{
		Method: "GET", IdleTimeout: idle, Retry: waitsOf(time.Millisecond),
		OnEvent: func(ev sse.Event) {
			if i, err := strconv.ParseInt(ev.ID, 10, 64); err != nil || i != n.last.Load()+1 || ev.Data != ev.ID {
				n.wrong = append(n.wrong, fmt.Sprintf("%+v after %d", ev, n.last.Load()))
			}
			if n.found > 0 && n.recovered == 0 {
				n.recovered = time.Since(n.lastAt) - n.found
			}
			n.lastAt = time.Now()
			n.last.Add(1)
		},
		OnClose: func(ev sse.CloseEvent) {
			if errors.Is(ev.Err, sse.ErrIdle) && n.found == 0 {
				n.found = time.Since(n.lastAt)
			}
			if !ev.IsLocal && !ev.Retriable {
				n.wrong = append(n.wrong, ev.String())
			}
			ev.Connect()
		},
	})
}

func TestBlackholeUnderHTTP2StreamsIsFoundAndRecoveredFrom(t *testing.T) {
	const (
		idle     = 400 * time.Millisecond
		interval = 50 * time.Millisecond
		streams  = 5
	)
	goroutines, files := goroutinesNow(), filesNow()
	t.Run("streams", func(t *testing.T) {
		srv := quietTLSServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			i, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
			w.Header().Set("Content-Type", "text/event-stream")
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for i++; ; i++ {
				fmt.Fprintf(w, "id: %d\ndata: %d\n\n", i, i)
				http.NewResponseController(w).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		}), true)
		p := faultproxy.New(t, srv.Listener.Addr().String(), faultproxy.Script())
		transport := &http.Transport{TLSClientConfig: trusting(srv), ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		client := &sse.Client{HTTP: &http.Client{Transport: transport}}
		var all [streams]numbered
		for i := range all {
			n := &all[i]
			n.watch(client, "https://"+p.Addr(), idle)
			go n.src.Run()
			t.Cleanup(func() { n.src.Close(); <-n.src.Done() })
			until(t, "the first event", func() bool { return n.last.Load() > 0 })
			<-time.After(interval / streams) // so that each falls silent at a moment of its own
		}
		conns, closes := p.Conns(), uint64(0) // of a machine too busy to serve a stream in time
		for i := range all {
			closes += all[i].src.Stats().Closes
		}
		p.Strike(faultproxy.Blackhole)
		var before [streams]int64
		for i := range all {
			before[i] = all[i].last.Load()
		}
		for i := range all {
			// What was read before the strike may still come to light.
			until(t, fmt.Sprintf("stream %d to recover", i), func() bool { return all[i].last.Load() > before[i]+3 })
		}
		var found, recovered time.Duration
		for i := range all {
			n := &all[i]
			n.src.Close()
			<-n.src.Done()
			if n.found < idle || n.found > idle+late || n.recovered > 3*idle+late || len(n.wrong) > 0 {
				t.Errorf("stream %d: found after %v, recovered after %v more; wrong: %v; log:\n%s", i, n.found, n.recovered, n.wrong, p.Log())
			}
			found, recovered = max(found, n.found), max(recovered, n.recovered)
		}
		if conns != 1 && closes == 0 {
			t.Errorf("%d streams on %d connections, want 1", streams, conns)
		}
		rows.Note(t, "F5", "under %d HTTP/2 streams on one connection: found after at most %v of IdleTimeout %v, all recovered within %v more, lost 0, twice 0",
			streams, found.Round(time.Millisecond), idle, recovered.Round(time.Millisecond))
		rows.Note(t, "P8", "blackhole under %d HTTP/2 streams: found after at most %v of IdleTimeout %v", streams, found.Round(time.Millisecond), idle)
	})
	if left := leftOver(goroutines, files); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
	rows.Note(t, "F5", "0 goroutines hung")
}
