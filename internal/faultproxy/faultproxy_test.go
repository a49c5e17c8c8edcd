package faultproxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wellspring-go/sse/internal/faultproxy"
)

// payload is what the server sends to every connection.
var payload = []byte(strings.Repeat("0123456789", 10))

// soon is how long what must come may take, and a moment how long nothing
// must come.
const (
	soon     = 10 * time.Second
	aMoment  = 50 * time.Millisecond
	greeting = "hello"
)

// An upstream is a server that reads the greeting, sends the payload and
// leaves the rest to the test.
type upstream struct {
	addr  string
	conns chan *net.TCPConn
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{l.Addr().String(), make(chan *net.TCPConn, 10)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			u.conns <- c.(*net.TCPConn)
			go func() {
				c.SetReadDeadline(time.Now().Add(soon)) //nolint:errcheck // the read tells
				if _, err := io.ReadFull(c, make([]byte, len(greeting))); err == nil {
					c.Write(payload)
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return u
}

// dial connects to p and sends the greeting.
func dial(t *testing.T, p *faultproxy.Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(soon)) //nolint:errcheck // the calls tell
	io.WriteString(c, greeting)
	return c.(*net.TCPConn)
}

// wantBytes reads n bytes of the payload.
func wantBytes(t *testing.T, c net.Conn, n int) {
	t.Helper()
	got := make([]byte, n)
	if k, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, payload[:n]) {
		t.Fatalf("got %q, %v; want %q", got[:k], err, payload[:n])
	}
}

// next is what one more read ends with.
func next(t *testing.T, c net.Conn) error {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n > 0 {
		t.Fatal("one byte too many")
	}
	return err
}

// wantSilence checks that nothing comes, and no end.
func wantSilence(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(aMoment)) //nolint:errcheck // the read tells
	if err := next(t, c); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want silence", err)
	}
}

// wantHeard checks whether what the client sends reaches the server.
func wantHeard(t *testing.T, client, server net.Conn, want bool) {
	t.Helper()
	if _, err := io.WriteString(client, "!"); err != nil {
		t.Fatal(err)
	}
	server.SetReadDeadline(time.Now().Add(map[bool]time.Duration{true: soon, false: aMoment}[want])) //nolint:errcheck // the read tells
	n, err := server.Read(make([]byte, 1))
	if want && n != 1 || !want && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server read %d bytes, %v; want it to hear the client: %t", n, err, want)
	}
}

func TestCutsComeAtTheByte(t *testing.T) {
	u := newUpstream(t)
	for _, at := range []int{0, 1, 37, len(payload)} {
		struck := at == len(payload) // by Strike, where the server rests
		for kind, check := range map[faultproxy.Kind]func(t *testing.T, client, server *net.TCPConn){
			faultproxy.FIN: func(t *testing.T, client, server *net.TCPConn) {
				if err := next(t, client); err != io.EOF {
					t.Errorf("the client got %v", err)
				}
				server.SetReadDeadline(time.Now().Add(soon)) //nolint:errcheck // the read tells
				if err := next(t, server); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the server got %v", err)
				}
			},
			faultproxy.RST: func(t *testing.T, client, _ *net.TCPConn) {
				if err := next(t, client); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the client got %v", err)
				}
			},
			faultproxy.HalfClose: func(t *testing.T, client, server *net.TCPConn) {
				if err := next(t, client); err != io.EOF {
					t.Errorf("the client got %v", err)
				}
				wantHeard(t, client, server, true)
			},
			faultproxy.Blackhole: func(t *testing.T, client, server *net.TCPConn) {
				wantSilence(t, client)
				wantHeard(t, client, server, false)
				server.SetWriteDeadline(time.Now().Add(soon))
				if _, err := server.Write(make([]byte, 16<<20)); err != nil {
					t.Errorf("16 MiB are not swallowed: %v", err)
				}
			},
			faultproxy.Stall: func(t *testing.T, client, server *net.TCPConn) {
				wantSilence(t, client)
				wantHeard(t, client, server, true)
				server.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
				if _, err := server.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("64 MiB are not held up: %v", err)
				}
			},
		} {
			if at == 0 && (kind == faultproxy.FIN || kind == faultproxy.Blackhole) {
				continue // the server's own read of the greeting meets that
			}
			t.Run(kind.String(), func(t *testing.T) {
				fault := faultproxy.Fault{Kind: kind, At: int64(at)}
				if struck {
					fault = faultproxy.Fault{}
				}
				p := faultproxy.New(t, u.addr, faultproxy.Script(fault))
				client := dial(t, p)
				wantBytes(t, client, at)
				server := <-u.conns
				if struck {
					p.Strike(kind)
				}
				check(t, client, server)
				if p.Struck() != 1 || !strings.Contains(p.Log(), kind.String()+", after ") {
					t.Errorf("%d faults, log:\n%s", p.Struck(), p.Log())
				}
				client = dial(t, p) // the script is over
				wantBytes(t, client, len(payload))
				(<-u.conns).CloseWrite()
				if err := next(t, client); err != io.EOF || p.Conns() != 2 {
					t.Errorf("the next connection, of %d, got %v", p.Conns(), err)
				}
			})
		}
	}
}

// wantReset checks that a connection is reset, be it while it is made.
func wantReset(t *testing.T, p *faultproxy.Proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(soon)) //nolint:errcheck // the read tells
		err = next(t, c)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset; log:\n%s", err, p.Log())
	}
}

func TestConnectionsThatNeverReachTheServer(t *testing.T) {
	u := newUpstream(t)
	p := faultproxy.New(t, u.addr, faultproxy.Script(faultproxy.Fault{Kind: faultproxy.Refuse}, faultproxy.Fault{Kind: faultproxy.Hang}))
	wantReset(t, p)
	wantSilence(t, dial(t, p))
	if len(u.conns) > 0 {
		t.Error("the server was asked")
	}
}

func TestSilentConnectionsEndWithTheClient(t *testing.T) {
	u := newUpstream(t)
	for _, kind := range []faultproxy.Kind{faultproxy.None, faultproxy.HalfClose, faultproxy.Blackhole, faultproxy.Stall} {
		p := faultproxy.New(t, u.addr, faultproxy.Script(faultproxy.Fault{Kind: kind, At: 10}))
		client := dial(t, p)
		wantBytes(t, client, 10)
		server := <-u.conns
		client.Close()
		server.SetReadDeadline(time.Now().Add(soon)) //nolint:errcheck // the read tells
		if err := next(t, server); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v: the server is not told", kind)
		}
	}
}

func TestPortIsClosedWhileDown(t *testing.T) {
	u := newUpstream(t)
	p := faultproxy.New(t, u.addr, faultproxy.Script())
	open := dial(t, p)
	wantBytes(t, open, len(payload)) // before it is accepted it is not open: the port's end would reset it
	p.Down()
	if c, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial returned %v, %v", c, err)
	}
	(<-u.conns).Write(payload)
	wantBytes(t, open, len(payload))
	if err := p.Up(); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, dial(t, p), len(payload))
}

func TestBytesCanBeSlowedFragmentedAndChanged(t *testing.T) {
	u := newUpstream(t)
	p := faultproxy.New(t, u.addr, faultproxy.Script(
		faultproxy.Fault{Fragment: 10, Throttle: 2 * time.Millisecond},
		faultproxy.Fault{Fragment: 7, Corrupt: 50, Kind: faultproxy.FIN, At: 90},
	))
	began := time.Now()
	wantBytes(t, dial(t, p), len(payload))
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("10 fragments, 2 ms apart, took %v", took)
	}
	got, err := io.ReadAll(dial(t, p))
	want := slices.Clone(payload[:90])
	want[49] ^= 0x20
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v; want byte 50 of 90 changed; log:\n%s", got, err, p.Log())
	}
}

func TestServerThatIsGoneResetsTheClient(t *testing.T) {
	wantReset(t, faultproxy.New(t, "127.0.0.1:1", faultproxy.Script()))
}

func TestRandomPlansAreTheSameForASeed(t *testing.T) {
	kinds := []faultproxy.Kind{faultproxy.FIN, faultproxy.RST, faultproxy.Hang}
	seen := map[faultproxy.Fault]bool{}
	for n := range 100 {
		f := faultproxy.Random(1, 1000, kinds...)(n)
		if f != faultproxy.Random(1, 1000, kinds...)(n) {
			t.Errorf("%d differs", n)
		}
		if !slices.Contains(kinds, f.Kind) || f.At < 0 || f.At >= 1000 {
			t.Errorf("%d: %v", n, f)
		}
		seen[f] = true
	}
	if len(seen) < 90 {
		t.Errorf("%d faults of 100 differ", len(seen))
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	u := newUpstream(t)
	var faults []faultproxy.Fault
	for kind := faultproxy.None; kind <= faultproxy.Hang; kind++ {
		if kind != faultproxy.Refuse { // dial may meet that
			faults = append(faults, faultproxy.Fault{Kind: kind, At: 5})
		}
	}
	p := faultproxy.New(t, u.addr, faultproxy.Script(faults...))
	for range faults {
		dial(t, p)
	}
	p.Close()
	p.Close()
	buf := make([]byte, 1<<20)
	if stacks := string(buf[:runtime.Stack(buf, true)]); strings.Contains(stacks, "faultproxy.(*") {
		t.Errorf("left behind:\n%s", stacks)
	}
	if err := p.Up(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Up after Close: %v", err)
	}
	if _, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("it listens after Close: %v", err)
	}
}
