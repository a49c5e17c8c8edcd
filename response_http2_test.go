package sse_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wellspring-go/sse"
)

// A bufferedConn is an end of a net.Pipe that writes in the background, as a
// socket does, and works in a bubble.
type bufferedConn struct {
	net.Conn
	out  chan string
	gone chan struct{}
	once sync.Once
}

func bufferedPipe() (near, far net.Conn) {
	a, b := net.Pipe()
	return buffered(a), buffered(b)
}

func buffered(c net.Conn) net.Conn {
	b := &bufferedConn{Conn: c, out: make(chan string, 1024), gone: make(chan struct{})}
	go func() {
		defer c.Close()
		defer b.Close()
		for {
			select {
			case s := <-b.out:
				if _, err := io.WriteString(c, s); err != nil {
					return
				}
				continue
			default:
			}
			select {
			case s := <-b.out:
				if _, err := io.WriteString(c, s); err != nil {
					return
				}
			case <-b.gone:
				return
			}
		}
	}()
	return b
}

func (b *bufferedConn) Write(p []byte) (int, error) {
	select {
	case <-b.gone:
		return 0, net.ErrClosed
	case b.out <- string(p):
		return len(p), nil
	}
}

func (b *bufferedConn) Close() error { b.once.Do(func() { close(b.gone) }); return nil }

// pipes is a network of these.
type pipes struct {
	accepts chan net.Conn
	closed  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	near, far := bufferedPipe()
	select {
	case p.accepts <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepts:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// http2Client returns a client that speaks HTTP/2 over connections of dial.
func http2Client(t *testing.T, dial func(context.Context) (net.Conn, error)) *sse.Client {
	t.Helper()
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		Protocols:   &http.Protocols{},
	}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &sse.Client{HTTP: &http.Client{Transport: tr}}
}

// Frames of RFC 9113, section 6.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	endStream, endHeaders, ack = 1, 4, 1
)

// frames adds frames to a connection.
type frames struct{ io.Writer }

func (f frames) add(kind, flags byte, stream uint32, payload string) {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[5:], stream)
	io.WriteString(f, string(head)+payload)
}

func word(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// serveFrames answers the first request on c by what answer adds, and closes c.
func serveFrames(c net.Conn, answer func(f frames, stream uint32)) {
	defer c.Close()
	answerFrames(c, func(f frames, stream uint32) bool {
		answer(f, stream)
		return false
	})
}

// answerFrames answers requests on c by what answer adds, until it returns
// false.
func answerFrames(c net.Conn, answer func(f frames, stream uint32) bool) {
	f := frames{c}
	if _, err := io.ReadFull(c, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	f.add(frameSettings, 0, 0, "")
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, c, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
			return
		}
		switch {
		case head[3] == frameSettings && head[4] != ack:
			f.add(frameSettings, ack, 0, "")
		case head[3] == frameHeaders && !answer(f, binary.BigEndian.Uint32(head[5:])):
			return
		}
	}
}

func TestEndsOfHTTP2(t *testing.T) {
	// HPACK (RFC 7541): ":status: 200" of the static table, and its name
	// "content-type" with a literal value.
	const head = "\x88\x0f\x10\x11text/event-stream"
	const event = "id: 1\ndata: x\n\n"
	for name, c := range map[string]struct {
		open  bool
		clean bool
		end   func(f frames, stream uint32)
	}{
		"the end of the stream": {true, true, func(f frames, stream uint32) { f.add(frameData, endStream, stream, "") }},
		"a stream error":        {true, false, func(f frames, stream uint32) { f.add(frameReset, 0, stream, word(2)) }},
		"a stream cancelled":    {true, false, func(f frames, stream uint32) { f.add(frameReset, 0, stream, word(8)) }},
		"GOAWAY":                {true, false, func(f frames, stream uint32) { f.add(frameGoAway, 0, 0, word(stream)+word(0)) }},
		"GOAWAY, too busy":      {true, false, func(f frames, _ uint32) { f.add(frameGoAway, 0, 0, word(0)+word(11)+"calm") }},
		"a protocol error":      {true, false, func(f frames, _ uint32) { f.add(frameData, 0, 0, "") }},
		"no more":               {true, false, func(frames, uint32) {}},

		"a stream error before the head": {false, false, func(f frames, stream uint32) { f.add(frameReset, 0, stream, word(2)) }},
		"GOAWAY before the head":         {false, false, func(f frames, stream uint32) { f.add(frameGoAway, 0, 0, word(stream)+word(2)) }},
		"no head":                        {false, false, func(frames, uint32) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial := func(context.Context) (net.Conn, error) {
					near, far := bufferedPipe()
					go serveFrames(far, func(f frames, stream uint32) {
						if c.open {
							f.add(frameHeaders, endHeaders, stream, head)
							f.add(frameData, 0, stream, event)
						}
						c.end(f, stream)
					})
					return near, nil
				}
				ev := closeOf(t, http2Client(t, dial), "http://sse.test/", sse.Options{})
				switch {
				case !c.open:
					wantNetworkError(t, ev)
				case c.clean != (ev.Err == io.EOF) || c.clean == errors.Is(ev.Err, io.ErrUnexpectedEOF) || c.clean != errors.Is(ev.Err, io.EOF):
					t.Errorf("Err: %v, want a clean end: %t", ev.Err, c.clean)
				case ev.Events != 1 || ev.Status != 200 || ev.StatusText != "OK" || !ev.Retriable || !sse.StandardRetriable(ev) || ev.LastEventID != "1":
					t.Errorf("got %+v", ev)
				}
			})
		})
	}
}

func TestHTTP2OverTLS(t *testing.T) {
	received := make(chan struct{})
	srv := quietTLSServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/headless" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "id: 1\ndata: %s\n\n", r.Proto)
		http.NewResponseController(w).Flush()
		switch r.URL.Path {
		case "/reset":
			panic(http.ErrAbortHandler)
		case "/cut":
			<-received // for what is under way may get lost
			r.Context().Value(http.ServerContextKey).(*http.Server).Close()
		}
	}), true)
	client := lonely(t, trusting(srv))
	for _, path := range []string{"/clean", "/reset", "/headless", "/cut"} {
		got := ""
		ev := closeOf(t, client, srv.URL+path, sse.Options{OnEvent: func(ev sse.Event) {
			if got = ev.Data; path == "/cut" {
				close(received)
			}
		}})
		switch path {
		case "/headless":
			wantNetworkError(t, ev)
			continue
		case "/clean":
			if ev.Err != io.EOF {
				t.Errorf("%s: %v", path, ev)
			}
		default:
			if !errors.Is(ev.Err, io.ErrUnexpectedEOF) || errors.Is(ev.Err, io.EOF) {
				t.Errorf("%s: %v", path, ev)
			}
		}
		if got != "HTTP/2.0" || !ev.Retriable || ev.StatusText != "OK" {
			t.Errorf("%s: event %q, %+v", path, got, ev)
		}
	}
}
