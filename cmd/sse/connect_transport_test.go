package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
)

func hostOf(hosts chan<- string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		hosts <- r.Host
		w.WriteHeader(http.StatusNoContent)
	}
}

// aStream answers with one event that tells what the request came by.
var aStream = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	subject := "nobody"
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		subject = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintf(w, "data: %s %s\n\n", r.Proto, subject)
})

// first returns the first event of a stream, or how it ended without one.
func first(t *testing.T, args ...string) (c *connection, data string, ev sse.CloseEvent) {
	t.Helper()
	c, s, err := open(t, "", args...)
	if err != nil {
		t.Fatal(err)
	}
	o := s.options
	o.OnClose = func(e sse.CloseEvent) { ev = e }
	o.OnEvent = func(e sse.Event) { data = e.Data }
	s.client.Source(s.url, o).Run()
	return c, data, ev
}

// secure starts a TLS server and writes its certificate into ca.pem.
func secure(t *testing.T, client *tls.Config) string {
	t.Helper()
	server := httptest.NewUnstartedServer(aStream)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.TLS = client
	server.StartTLS()
	t.Cleanup(server.Close)
	writePEM(t, "ca.pem", "CERTIFICATE", server.Certificate().Raw)
	return server.URL
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTLSFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	url := secure(t, nil)
	// The system's authorities do not know it.
	c, data, ev := first(t, url)
	if data != "" || ev.Retriable || !strings.Contains(c.cause(ev), "certificate is not trusted: x509: ") || !strings.Contains(c.hint(ev), "--cacert FILE") {
		t.Errorf("%q, %s; %s", data, c.cause(ev), c.hint(ev))
	}
	for _, args := range [][]string{{"-k"}, {"--cacert", "ca.pem"}} {
		if _, data, ev := first(t, append(args, url)...); data != "HTTP/2.0 nobody" {
			t.Errorf("%v: %q, %v", args, data, ev)
		}
		if _, data, ev := first(t, append(args, "--http1.1", url)...); data != "HTTP/1.1 nobody" {
			t.Errorf("%v --http1.1: %q, %v", args, data, ev)
		}
	}
	if err := os.WriteFile("curl", []byte("curl --cacert ca.pem --http1.1 "+url), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, data, ev := first(t, "--from-curl", "curl"); data != "HTTP/1.1 nobody" {
		t.Errorf("--from-curl: %q, %v", data, ev)
	}
	// The certificate is for another name.
	c, _, ev = first(t, "--cacert", "ca.pem", strings.Replace(url, "127.0.0.1", "localhost", 1))
	if !strings.Contains(c.cause(ev), "not trusted: x509: certificate is valid for") || !strings.HasPrefix(c.hint(ev), "-k ") {
		t.Errorf("%s; %s", c.cause(ev), c.hint(ev))
	}
}

func TestClientCertificate(t *testing.T) {
	t.Chdir(t.TempDir())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "joe"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, "cert.pem", "CERTIFICATE", cert)
	writePEM(t, "key.pem", "PRIVATE KEY", private)
	var both bytes.Buffer
	for _, path := range []string{"cert.pem", "key.pem"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		both.Write(text)
	}
	if err := os.WriteFile("both.pem", both.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	url := secure(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert})
	for _, args := range [][]string{{"--cert", "cert.pem", "--key", "key.pem"}, {"--cert", "both.pem"}} {
		if _, data, ev := first(t, append(args, "-k", url)...); data != "HTTP/2.0 joe" {
			t.Errorf("%v: %q, %v", args, data, ev)
		}
	}
	if _, data, ev := first(t, "-k", url); data != "" || ev.Err == nil {
		t.Errorf("without: %q, %v", data, ev)
	}
	if err := os.WriteFile("curl", []byte("curl -k --cert cert.pem --key key.pem "+url), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, data, ev := first(t, "--from-curl", "curl"); data != "HTTP/2.0 joe" {
		t.Errorf("--from-curl: %q, %v", data, ev)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(aStream)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	// It has no proxy, whatever the environment says.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if _, data, ev := first(t, "--unix-socket", path, "some.name/x"); data != "HTTP/1.1 nobody" {
		t.Errorf("%q, %v", data, ev)
	}
	curl := filepath.Join(t.TempDir(), "curl")
	if err := os.WriteFile(curl, []byte("curl -N --unix-socket '"+path+"' http://some.name/x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, data, ev := first(t, "--from-curl", curl); data != "HTTP/1.1 nobody" {
		t.Errorf("--from-curl: %q, %v", data, ev)
	}
	c, data, ev := first(t, "--unix-socket", path+"2", "some.name/x")
	if data != "" || !strings.Contains(c.hint(ev), "--unix-socket") {
		t.Errorf("%q, %s; %s", data, c.cause(ev), c.hint(ev))
	}
}

// A proxy that wants a password, and tells what it was asked for.
func aProxy(t *testing.T) (url string, asked chan string) {
	t.Helper()
	asked = make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- fmt.Sprintf("%s %s %s", r.Method, r.URL, r.Header.Get("Proxy-Authorization"))
		if r.Header.Get("Proxy-Authorization") == "" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		aStream(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestProxy(t *testing.T) {
	url, asked := aProxy(t)
	host := strings.TrimPrefix(url, "http://")
	t.Setenv("PASS", "a:b /")
	const want = "GET http://sse.test/x Basic am9lOmE6YiAv"
	for _, proxy := range []string{"http://joe:${PASS}@" + host, "http://joe:a%3Ab%20%2f@" + host} {
		if _, data, ev := first(t, "--proxy", proxy, "http://sse.test/x"); data == "" {
			t.Errorf("%s: %v", proxy, ev)
		}
		if got := <-asked; got != want {
			t.Errorf("%s: got %s, want %s", proxy, got, want)
		}
	}
	c, data, ev := first(t, "--proxy", url, "http://sse.test/x")
	if data != "" || ev.Status != http.StatusProxyAuthRequired || !strings.Contains(c.hint(ev), "--proxy 'http://USER:${VAR}@HOST:PORT'") {
		t.Errorf("%q, %v; %s", data, ev, c.hint(ev))
	}
	c, data, ev = first(t, "--proxy", "socks5://joe:"+secret+"@127.0.0.1:1", "https://sse.test/x")
	if cause := c.cause(ev); data != "" || strings.Contains(cause, secret) || strings.Contains(cause, "joe") {
		t.Errorf("socks5: %q, %s", data, cause)
	}
	c, _, ev = first(t, "--proxy", "http://joe:"+secret+"@127.0.0.1:1", "https://sse.test/x")
	if cause := c.cause(ev); strings.Contains(cause, secret) || !strings.Contains(c.hint(ev), "is the proxy right?") {
		t.Errorf("no proxy there: %s; %s", cause, c.hint(ev))
	}
}

func TestNoProxy(t *testing.T) {
	_, s, err := open(t, "", "--proxy", "", "http://sse.test/")
	if err != nil || s.client.HTTP.Transport.(*http.Transport).Proxy != nil {
		t.Errorf("--proxy '': %v", err)
	}
	_, s, err = open(t, "", "http://sse.test/")
	if err != nil || s.client.HTTP.Transport.(*http.Transport).Proxy == nil {
		t.Errorf("without --proxy the environment's is not used: %v", err)
	}
}

// What net/http ignores, or takes for a host, is refused, unless the URL needs
// no proxy.
func TestProxyOfTheEnvironment(t *testing.T) {
	const text = ": not a proxy URL, as http://localhost:3128; --proxy '' is for none"
	for _, c := range []struct{ name, value, url, want string }{
		{"HTTP_PROXY", "::bad", "http://sse.test/", "HTTP_PROXY" + text},
		{"http_proxy", "foo:", "http://sse.test/", "http_proxy" + text},
		{"HTTPS_PROXY", "ftp://joe:" + secret + "@h", "https://sse.test/", "HTTPS_PROXY" + text},
		{"HTTPS_PROXY", "::bad", "http://sse.test/", ""},
		{"HTTP_PROXY", "::bad", "http://127.0.0.1/", ""},
		{"HTTP_PROXY", "::bad", "localhost:80", ""},
		{"HTTP_PROXY", "proxy.test:3128", "http://sse.test/", ""},
		{"HTTP_PROXY", "socks5://proxy.test", "http://sse.test/", ""},
	} {
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
			t.Setenv(name, "")
		}
		t.Setenv(c.name, c.value)
		_, _, err := open(t, "", c.url)
		if c.want != "" {
			checkMistake(t, []string{c.name, c.value}, err, c.want)
		} else if err != nil {
			t.Errorf("%s=%s %s: %v", c.name, c.value, c.url, err)
		}
		for _, args := range [][]string{{"--proxy", ""}, {"--proxy", "http://p"}, {"--unix-socket", "s"}} {
			if _, _, err := open(t, "", append(args, c.url)...); err != nil {
				t.Errorf("%q: %v", args, err)
			}
		}
	}
}

// A server that accepts and says nothing.
func TestConnectTimeoutEndsAnAttemptButNoStream(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	args := []string{"--connect-timeout", "50ms"}
	for _, scheme := range []string{"http://", "https://"} {
		c, _, ev := first(t, append(args, scheme+listener.Addr().String())...)
		if got := c.cause(ev); got != "no response head within 50ms (--connect-timeout)" || !ev.Retriable {
			t.Errorf("%s got %s", scheme, got)
		}
	}
	// The end comes once the head's time is long over.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		select {
		case <-time.After(120 * time.Millisecond):
		case <-r.Context().Done():
		}
		io.WriteString(w, "data: late\n\n")
	}))
	defer server.Close()
	if _, data, ev := first(t, append(args, server.URL)...); data != "late" {
		t.Errorf("%q, %v", data, ev)
	}
}
