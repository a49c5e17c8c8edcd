package sse_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// rawServer gives each connection made to the URL that it returns to answer,
// once its request is read, and then closes it.
func rawServer(t *testing.T, answer func(c *net.TCPConn, request string)) string {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			answer(c, readRequest(c))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// readRequest reads a request, or a TLS client's hello.
func readRequest(c net.Conn) string {
	var got []byte
	for b := make([]byte, 4096); ; {
		n, err := c.Read(b)
		got = append(got, b[:n]...)
		head, body, whole := strings.Cut(string(got), "\r\n\r\n")
		_, length, _ := strings.Cut(head, "\r\nContent-Length: ")
		length, _, _ = strings.Cut(length, "\r\n")
		if n, _ := strconv.Atoi(length); err != nil || bytes.HasPrefix(got, []byte{22}) || whole && len(body) >= n {
			return string(got)
		}
	}
}

// lonely returns a client with connections of its own.
func lonely(t *testing.T, config *tls.Config) *sse.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &sse.Client{HTTP: &http.Client{Transport: tr}}
}

// wantNetworkError checks what a close without a response has to be.
func wantNetworkError(t *testing.T, ev sse.CloseEvent) {
	t.Helper()
	if ev.Status != 0 || ev.Header != nil || ev.Err == nil || ev.IsLocal || !ev.Retriable || !sse.StandardRetriable(ev) || !ev.Resumable {
		t.Errorf("got %+v, want a retriable close without a response", ev)
	}
	if errors.Is(ev.Err, io.EOF) {
		t.Errorf("%v would be a clean end", ev.Err)
	}
}

func TestNetworkErrorsAreRetriable(t *testing.T) {
	for name, err := range map[string]error{
		"refused":       syscall.ECONNREFUSED,
		"no such host":  &net.DNSError{Err: "no such host", Name: "sse.test", IsNotFound: true},
		"DNS fails":     &net.DNSError{Err: "server misbehaving", Name: "sse.test", IsTemporary: true},
		"DNS times out": &net.DNSError{Err: "i/o timeout", Name: "sse.test", IsTimeout: true},
		"no route":      &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)},
		"no file left":  &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)},
		"timed out":     os.ErrDeadlineExceeded,
		"dial EOF":      io.EOF,
		"proxy EOF":     &net.OpError{Op: "proxyconnect", Net: "tcp", Err: io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Refuse(err))
				ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{})
				wantNetworkError(t, ev)
				if !errors.Is(ev.Err, err) && !strings.Contains(name, "EOF") {
					t.Errorf("%v does not wrap the cause", ev.Err)
				}
				if !strings.Contains(ev.Err.Error(), "http://sse.test") {
					t.Errorf("%q does not say where to", ev.Err)
				}
			})
		})
	}
}

func TestRoundTripperThatReturnsNothingIsANetworkError(t *testing.T) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("it panics: %v", p)
		}
	}()
	client := clientOf(func(*http.Request) (*http.Response, error) { return nil, nil }) //nolint:nilnil // the fault
	o := sse.Options{OnClose: func(ev sse.CloseEvent) { wantNetworkError(t, ev) }}
	for _, err := range client.Source("http://sse.test/", o).All() {
		if err == nil || !strings.Contains(err.Error(), "RoundTripper") {
			t.Errorf("got %v", err)
		}
	}
}

func TestEndBeforeTheHeadIsComplete(t *testing.T) {
	for name, answer := range map[string]string{
		"no byte":                 "",
		"in the status line":      "HTTP/1.1 20",
		"after the status line":   "HTTP/1.1 200 OK\r\n",
		"in a header":             "HTTP/1.1 200 OK\r\nContent-Ty",
		"before the empty line":   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n",
		"after 100 Continue":      "HTTP/1.1 100 Continue\r\n\r\n",
		"not HTTP":                "SSH-2.0-OpenSSH_9.6\r\n\r\n",
		"a status that is none":   "HTTP/1.1 two OK\r\n\r\n",
		"a header that is none":   "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
		"a length that is none":   "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"lengths that contradict": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	} {
		for _, reset := range []bool{false, true} {
			for _, method := range []string{"GET", "POST"} {
				ways := map[bool]string{false: "FIN", true: "RST"}
				t.Run(name+"/"+ways[reset]+"/"+method, func(t *testing.T) {
					url := rawServer(t, func(c *net.TCPConn, _ string) {
						io.WriteString(c, answer)
						if reset {
							c.SetLinger(0) //nolint:errcheck // the close tells
						}
					})
					o := sse.Options{Method: method, OnOpen: func(sse.OpenEvent) { t.Error("was opened") }}
					wantNetworkError(t, closeOf(t, lonely(t, nil), url, o))
				})
			}
		}
	}
}

func TestEndOfTheBody(t *testing.T) {
	const (
		head    = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		chunked = head + "Transfer-Encoding: chunked\r\n\r\n13\r\nid: 1\ndata: first\n\n\r\n"
	)
	for name, c := range map[string]struct {
		answer string
		clean  bool
	}{
		"the last chunk":              {chunked + "0\r\n\r\n", true},
		"trailers":                    {chunked + "0\r\nX-Trailer: y\r\n\r\n", true},
		"the whole length":            {head + "Content-Length: 19\r\n\r\nid: 1\ndata: first\n\n", true},
		"no length, as HTTP/1.0 does": {strings.Replace(head, "1.1", "1.0", 1) + "\r\nid: 1\ndata: first\n\n", true},
		"between chunks":              {chunked, false},
		"in the length of a chunk":    {chunked + "1", false},
		"in a chunk":                  {chunked + "64\r\ndata: sec", false},
		"after a chunk's bytes":       {chunked + "1\r\n:", false},
		"in the last chunk":           {chunked + "0\r\n", false},
		"a length that is none":       {chunked + "nonsense\r\n", false},
		"a short length":              {head + "Content-Length: 100\r\n\r\nid: 1\ndata: first\n\n", false},
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(name+"/"+method, func(t *testing.T) {
				url := rawServer(t, func(conn *net.TCPConn, _ string) { io.WriteString(conn, c.answer) })
				ev := closeOf(t, lonely(t, nil), url, sse.Options{Method: method})
				if ev.Events != 1 || ev.Status != 200 || ev.IsLocal || !ev.Retriable || !sse.StandardRetriable(ev) || ev.LastEventID != "1" {
					t.Errorf("got %+v", ev)
				}
				if (ev.Err == io.EOF) != c.clean || errors.Is(ev.Err, io.EOF) != c.clean || errors.Is(ev.Err, io.ErrUnexpectedEOF) == c.clean {
					t.Errorf("Err: %v, want a clean end: %t", ev.Err, c.clean)
				}
			})
		}
	}
}

func TestResetIsACut(t *testing.T) {
	srv := ssetest.NewTCP(t,
		ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "1"}), ssetest.Reset()),
		ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "2"}), ssetest.Abort()),
	)
	for i, part := range []string{"connection reset by peer", "closed before its end"} {
		ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{})
		if !errors.Is(ev.Err, io.ErrUnexpectedEOF) || errors.Is(ev.Err, io.EOF) || !ev.Retriable || ev.Events != 1 {
			t.Errorf("%d: got %+v", i, ev)
		}
		if !strings.Contains(ev.Err.Error(), part) || i == 0 && !errors.Is(ev.Err, syscall.ECONNRESET) {
			t.Errorf("%d: the text %q does not say what cut it", i, ev.Err)
		}
	}
}

func TestTLSHandshakeThatIsCutIsRetriable(t *testing.T) {
	for name, linger := range map[string]int{"FIN": -1, "RST": 0} {
		t.Run(name, func(t *testing.T) {
			url := rawServer(t, func(c *net.TCPConn, _ string) { c.SetLinger(linger) })
			wantNetworkError(t, closeOf(t, lonely(t, nil), strings.Replace(url, "http", "https", 1), sse.Options{}))
		})
	}
}

func quietTLSServer(t *testing.T, h http.Handler, http2 bool) *httptest.Server {
	t.Helper()
	emptyPools()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.EnableHTTP2 = http2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// trusting returns a TLS configuration that trusts srv.
func trusting(srv *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func TestBadCertificateIsFatal(t *testing.T) {
	srv := quietTLSServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }), true)
	wrongName := trusting(srv)
	wrongName.ServerName = "other.test"
	expired := trusting(srv)
	expired.Time = func() time.Time { return srv.Certificate().NotAfter.Add(time.Hour) }
	early := trusting(srv)
	early.Time = func() time.Time { return srv.Certificate().NotBefore.Add(-time.Hour) }
	own := trusting(srv)
	own.VerifyConnection = func(tls.ConnectionState) error { return &tls.CertificateVerificationError{Err: errToken} }
	for name, config := range map[string]*tls.Config{
		"unknown authority": {MinVersion: tls.VersionTLS12}, "other.test": wrongName, "expired": expired, "not yet valid": early, "no token": own,
	} {
		t.Run(name, func(t *testing.T) {
			ev := closeOf(t, lonely(t, config), srv.URL, sse.Options{})
			if ev.Status != 0 || ev.Retriable || sse.StandardRetriable(ev) || errors.Is(ev.Err, io.EOF) {
				t.Errorf("got %+v, want a fatal close", ev)
			}
			if !containsAll(ev.Err.Error(), name, "TLSClientConfig") {
				t.Errorf("the text %q does not name cause and option", ev.Err)
			}
		})
	}
}

func TestSchemeAndPortThatDoNotFit(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	ev := closeOf(t, lonely(t, nil), strings.Replace(plain.URL, "http", "https", 1), sse.Options{})
	if ev.Status != 0 || ev.Retriable || !errors.Is(ev.Err, http.ErrSchemeMismatch) || !strings.Contains(ev.Err.Error(), "http://") {
		t.Errorf("https to a plain port: %+v", ev)
	}
	secure := quietTLSServer(t, http.NotFoundHandler(), false)
	ev = closeOf(t, lonely(t, nil), strings.Replace(secure.URL, "https", "http", 1), sse.Options{})
	if ev.Status != 400 || ev.Retriable || !errors.Is(ev.Err, sse.ErrStatus) || !strings.Contains(ev.Err.Error(), "https://") {
		t.Errorf("http to a TLS port: %+v", ev)
	}
}
