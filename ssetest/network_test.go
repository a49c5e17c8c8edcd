package ssetest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

const ask = "GET / HTTP/1.1\r\nHost: sse.test\r\n\r\n"

// dial returns a raw connection to a server.
func dial(t *testing.T, srv *ssetest.Server) net.Conn {
	t.Helper()
	c, err := srv.Client().HTTP.Transport.(*http.Transport).DialContext(t.Context(), "tcp", "sse.test:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// converse writes a request to a raw connection and reads the first events.
func converse(t *testing.T, c net.Conn, until string) {
	t.Helper()
	if n, err := io.WriteString(c, ask); n != len(ask) || err != nil {
		t.Fatalf("wrote %d bytes, %v", n, err)
	}
	var got strings.Builder
	r := bufio.NewReaderSize(c, 16)
	for !strings.Contains(got.String(), until) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("read %q, then %v", got.String(), err)
		}
		got.WriteByte(b)
	}
}

func TestMemoryNetworkEndsAsSocketsDo(t *testing.T) {
	raw := ssetest.Raw("data: 1\n\n")
	type test struct {
		steps      []ssetest.Step
		closes     bool // this end
		read, then error
		write      error
	}
	eachInBubble(t, map[string]test{
		"closed here":  {[]ssetest.Step{raw, ssetest.Wait(time.Second), raw, ssetest.Hold()}, true, net.ErrClosed, net.ErrClosed, net.ErrClosed},
		"closed there": {[]ssetest.Step{raw, ssetest.Wait(time.Second), ssetest.Abort()}, false, io.EOF, io.EOF, syscall.EPIPE},
		"reset":        {[]ssetest.Step{raw, ssetest.Wait(time.Second), ssetest.Reset()}, false, syscall.ECONNRESET, syscall.ECONNRESET, syscall.ECONNRESET},
	}, func(t *testing.T, test test) {
		c := dial(t, ssetest.New(t, ssetest.Stream(test.steps...)))
		converse(t, c, "data: 1\n\n")
		time.Sleep(time.Minute)
		if test.closes { // with something left to read
			c.Close()
		}
		b := make([]byte, 10)
		for _, want := range []error{test.read, test.then} {
			for {
				n, err := c.Read(b)
				if n > 0 && err == nil && !test.closes {
					continue // the rest of the chunk
				}
				if !errors.Is(err, want) {
					t.Errorf("Read = %v, want %v", err, want)
				}
				break
			}
		}
		if n, err := c.Write(b); n != 0 || !errors.Is(err, test.write) {
			t.Errorf("Write = %d, %v, want %v", n, err, test.write)
		}
		if a := c.LocalAddr().String() + c.RemoteAddr().Network(); a != "sse.testmemory" {
			t.Errorf("addresses %q", a)
		}
	})
}

func TestMemoryNetworkHasDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later := make(chan struct{})
		c := dial(t, ssetest.New(t, ssetest.Stream(ssetest.Raw("data: 1\n\n"), ssetest.WaitFor(later), ssetest.Raw("x"), ssetest.Hold())))
		converse(t, c, "data: 1\n\n\r\n")
		b := make([]byte, 1)
		for name, set := range map[string]func(time.Time) error{"SetReadDeadline": c.SetReadDeadline, "SetDeadline": c.SetDeadline} {
			for _, wait := range []time.Duration{time.Minute, 0, -time.Second} {
				start := time.Now()
				if err := set(start.Add(wait)); err != nil {
					t.Error(err)
				}
				if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != max(wait, 0) {
					t.Errorf("%s(%v): Read = %v after %v", name, wait, err, time.Since(start))
				}
			}
			// One that is moved, and one that is taken away.
			set(time.Now().Add(time.Minute)) //nolint:errcheck // never fails
			set(time.Now().Add(time.Hour))   //nolint:errcheck // never fails
			start := time.Now()
			if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
				t.Errorf("%s, moved: Read = %v after %v", name, err, time.Since(start))
			}
			set(time.Time{}) //nolint:errcheck // never fails
		}
		go func() {
			time.Sleep(24 * time.Hour)
			close(later)
		}()
		if n, err := c.Read(b); n != 1 || err != nil {
			t.Errorf("after the deadlines: Read = %d, %v", n, err)
		}
	})
}

func TestMemoryNetworkHoldsUpWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan struct{})
		big := strings.Repeat("x", 1<<20)
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw("data: 1\n\n"), ssetest.Raw(big), ssetest.WaitFor(sent), ssetest.Hold()))
		c := dial(t, srv)
		converse(t, c, "data: 1\n\n\r\n")
		// The server waits for the client to read.
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case sent <- struct{}{}:
			t.Error("the server could write 1 MiB that nobody has read")
		default:
		}
		if _, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
			t.Error(err)
		}
		sent <- struct{}{}
		// And the client for the server, which reads no further now.
		if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		start := time.Now()
		n, err := io.WriteString(c, big)
		if n < 32<<10 || n > 256<<10 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("Write = %d, %v after %v", n, err, time.Since(start))
		}
	})
}

func TestMemoryNetworkRefusesOnceTheTestIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var srv *ssetest.Server
		failure, _ := failuresOf(t, func(tb testing.TB) { srv = ssetest.New(tb) })
		wantWords(t, failure)
		if _, _, err := fetch(t, srv); !errors.Is(err, syscall.ECONNREFUSED) { //nolint:bodyclose // there is none
			t.Errorf("dial = %v", err)
		}
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	bothServers(t, func(t *testing.T, newServer func(testing.TB, ...ssetest.Reply) *ssetest.Server) {
		srv := newServer(t, ssetest.Unanswered(ssetest.Hold()))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		src := srv.Client().SourceContext(ctx, srv.URL(), sse.Options{})
		src.SelectAll().Events()
		for len(srv.Requests()) == 0 {
			<-time.After(time.Millisecond)
		}
		cancel()
		if err := src.Run(); !errors.Is(err, context.Canceled) {
			t.Errorf("Err = %v", err)
		}
	})
}
