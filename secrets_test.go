package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// canary is in every secret of these tests, and must be in nothing that is
// shown.
const canary = "canary"

// A leakDetector takes what is logged, and tells of the first secret that is
// shown by way of it.
type leakDetector struct {
	mu     sync.Mutex
	logged strings.Builder
	leaked bool
}

// Write takes the records of loggers.
func (d *leakDetector) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logged.Write(b)
}

// show shows v in all ways that a program might.
func (d *leakDetector) show(t *testing.T, v any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		d.look(t, fmt.Sprintf("%s of a %T", verb, v), fmt.Sprintf(verb, v))
	}
	switch v := v.(type) {
	case error:
		d.look(t, fmt.Sprintf("Error of a %T", v), v.Error())
	case fmt.Stringer:
		d.look(t, fmt.Sprintf("String of a %T", v), v.String())
	}
	for name, h := range d.handlers() {
		slog.New(h).WithGroup("g").Info("shown", "v", v, slog.Group("h", "v", v), "in", struct{ V any }{v})
		d.search(t, fmt.Sprintf("the %s log of a %T", name, v))
	}
}

func (d *leakDetector) look(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, canary) && !d.leaked {
		d.leaked = true
		t.Errorf("%s shows a secret: %.300s", what, text)
	}
}

func (d *leakDetector) handlers() map[string]slog.Handler {
	o := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	return map[string]slog.Handler{"text": slog.NewTextHandler(d, o), "JSON": slog.NewJSONHandler(d, o)}
}

// search looks at what was logged since the last search.
func (d *leakDetector) search(t *testing.T, what string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.look(t, what, d.logged.String())
	d.logged.Reset()
}

// wantNoLeak runs a source that has secrets wherever there is room for one,
// and shows all that there is to be shown of it.
func wantNoLeak(t *testing.T, c *sse.Client, address string, o sse.Options) {
	t.Helper()
	d := &leakDetector{}
	secrets := http.Header{"Authorization": {"Bearer canary-header"}, "X-Api-Key": {"canary-key"}, "Cookie": {"s=canary-cookie"}}
	for name, h := range d.handlers() {
		client := &sse.Client{HTTP: c.HTTP, Prepare: c.Prepare, Header: secrets.Clone(), Logger: slog.New(h)}
		o := o
		o.Header = secrets.Clone()
		maps.Copy(o.Header, c.Header)
		o.Body = []byte("canary-body")
		o.OnError = func(err error) { d.show(t, err) }
		var src *sse.EventSource
		o.OnOpen = func(ev sse.OpenEvent) {
			d.show(t, ev)
			d.show(t, &ev)
			d.show(t, src)
		}
		closes := 0
		o.OnClose = func(ev sse.CloseEvent) {
			d.show(t, ev)
			d.show(t, &ev)
			d.show(t, ev.Err)
			var refused *sse.ResponseError
			if errors.As(ev.Err, &refused) {
				d.show(t, refused)
			}
			if closes++; closes < 2 {
				ev.Connect()
			}
		}
		d.show(t, o)
		d.show(t, &o)
		d.show(t, client)
		src = client.Source(address, o)
		d.show(t, src)
		for _, err := range src.All() {
			if err != nil {
				d.show(t, err)
			}
		}
		d.show(t, src)
		if err := src.Err(); err != nil {
			d.show(t, err)
		}
		d.search(t, "Client.Logger, "+name)
	}
}

func TestNoSecretOfAValueIsShown(t *testing.T) {
	secrets := http.Header{"Authorization": {"Bearer canary"}}
	client := sse.Client{Header: secrets}
	refused := sse.ResponseError{Method: "POST", URL: "http://sse.test/", Status: 401, StatusText: "canary", Header: secrets, Body: []byte("canary"), Err: sse.ErrStatus}
	options := sse.Options{Header: secrets, Body: []byte("canary")}
	opened := sse.OpenEvent{Status: 200, StatusText: "canary", Header: secrets}
	closed := sse.CloseEvent{Status: 401, StatusText: "canary", Header: secrets, Err: &refused, Final: &sse.Event{Data: "canary"}}
	for name, v := range map[string]any{
		"Client": client, "*Client": &client, "ResponseError": refused, "*ResponseError": &refused, "Options": options, "*Options": &options,
		"OpenEvent": opened, "*OpenEvent": &opened, "CloseEvent": closed, "*CloseEvent": &closed,
		"EventSource": client.Source("http://canary:canary@sse.test/?canary", options),
	} {
		t.Run(name, func(t *testing.T) {
			d := &leakDetector{}
			d.show(t, v)
			for _, nested := range []any{[]any{v}, map[string]any{"k": v}, struct{ V any }{v}} {
				d.look(t, fmt.Sprintf("a %T", nested), fmt.Sprintf("%v %+v", nested, nested))
			}
		})
	}
}

const secretURL = "http://canary-user:canary-password@sse.test/feed?token=canary-query&canary-bare#canary-fragment"

func TestNoSecretOfAnExchangeIsShown(t *testing.T) {
	secrets := http.Header{"Set-Cookie": {"s=canary-set"}, "X-Secret": {"canary-header"}, "Content-Type": {"text/event-stream"}}
	with := func(pairs ...string) http.Header {
		h := secrets.Clone()
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	const body = "id: 1\ndata: canary-data\n\n"
	cut := func(err error) io.ReadCloser {
		return io.NopCloser(io.MultiReader(strings.NewReader(body), readerFunc(func([]byte) (int, error) { return 0, err })))
	}
	quoting := &url.Error{Op: "Get", URL: secretURL, Err: errors.New("broken")}
	type answer struct {
		status int
		header http.Header
		body   io.ReadCloser
		err    error
	}
	cases := map[string]answer{
		"a clean end":        {status: 200},
		"a cut":              {status: 200, body: cut(io.ErrUnexpectedEOF)},
		"a reset":            {status: 200, body: cut(&net.OpError{Op: "read", Net: "tcp", Err: os.ErrClosed})},
		"a cut that quotes":  {status: 200, body: cut(quoting)},
		"an oversize event":  {status: 200, body: io.NopCloser(strings.NewReader("data: " + strings.Repeat(canary, 4096)))},
		"an oversize id":     {status: 200, body: io.NopCloser(strings.NewReader("event: " + strings.Repeat(canary, 4096)))},
		"an HTML page":       {status: 200, header: with("Content-Type", "text/html; x=canary-param")},
		"a type with a tail": {status: 200, header: with("Content-Type", "text/plain; x=canary-param")},
		"an encoding":        {status: 200, header: with("Content-Encoding", "br")},
		"not gzip":           {status: 200, header: with("Content-Encoding", "gzip")},
		"no location":        {status: 302},
		"an error of Go's":   {err: quoting},
		"a proxy's error":    {err: fmt.Errorf("invalid proxy address %q: %w", "http://canary:canary@proxy:port", errors.New("parse"))},
		"a proxy, no scheme": {err: fmt.Errorf("invalid proxy address %q: %w", "canary:canary@proxy:port", errors.New("parse"))},
		"DNS":                {err: &net.DNSError{Err: "no such host", Name: "sse.test", Server: "127.0.0.1:53"}},
	}
	for _, status := range []int{204, 400, 401, 403, 404, 405, 406, 407, 415, 418, 429, 500, 501, 503, 599} {
		cases[fmt.Sprint("status ", status)] = answer{status: status}
		cases[fmt.Sprint("status ", status, " that asks for patience")] = answer{status: status, header: with("Retry-After", "canary")}
	}
	for _, location := range []string{
		"http://canary:canary@other.test/there?token=canary#canary", "http://canary:canary@sse.test:8080/?canary", "ftp://canary:canary@sse.test/",
		"http://canary:canary@sse.test:port/", "http://canary:canary#x@sse.test/%zz", "http://sse.test/%zz?token=canary", "/there?token=canary", "?canary",
		"mailto:canary@sse.test", "user:canary@sse.test",
	} {
		for _, status := range []int{302, 307} {
			cases[fmt.Sprint(status, " to ", location)] = answer{status: status, header: with("Location", location)}
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := clientOf(func(req *http.Request) (*http.Response, error) {
					if c.err != nil {
						return nil, c.err
					}
					header := c.header
					if header == nil {
						header = secrets
					}
					resp := respond(req, c.status, header.Clone(), body)
					resp.Status = fmt.Sprint(c.status, " canary-phrase")
					if c.body != nil {
						resp.Body = c.body
					}
					return resp, nil
				})
				wantNoLeak(t, client, secretURL, sse.Options{MaxEventSize: 1024})
			})
		})
	}
}

func TestNoSecretOfARequestThatIsRefusedIsShown(t *testing.T) {
	for name, address := range map[string]string{
		"no scheme":          "user:canary@sse.test/feed?token=canary",
		"no scheme, no user": "sse.test/feed?token=canary#canary",
		"other scheme":       "ftp://canary:canary@sse.test/?canary#canary",
		"opaque":             "mailto:canary@sse.test?canary",
		"opaque http":        "http:canary@sse.test?canary",
		"no host":            "http://canary:canary@/feed?token=canary",
		"bad port":           "http://canary:canary@sse.test:port/?token=canary",
		"bad escape":         "http://canary:%zzcanary@sse.test/?token=canary",
		"bad path":           "http://canary:canary@sse.test/%zz?token=canary#canary",
		"bad host":           "http://canary:canary@[::1/?token=canary",
		"space in password":  "http://canary:can ary canary@sse.test/",
		"@ in password":      "http://canary:x@canary@sse.test:port/",
		"/ in password":      "http://canary:x/canary@sse.test/",
		"# in password":      "http://canary:canary#x@sse.test/",
		"? in password":      "http://canary:canary?x@sse.test/",
		"% in password":      "http://canary:canary%@sse.test/",
		"control character":  "http://canary:canary@sse.test/\n?token=canary",
		"slashes elsewhere":  "user:canary@sse.test/feed?to=http://canary",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { wantNoLeak(t, undialled(t), address, sse.Options{}) })
		})
	}
	for name, prepare := range map[string]func(*http.Request){
		"header": func(r *http.Request) { r.Header.Set("X-Key", "canary\n") },
		"scheme": func(r *http.Request) { r.URL.Scheme = "ftp" },
		"host":   func(r *http.Request) { r.URL.Host = "" },
		"method": func(r *http.Request) { r.Method = "no method" },
	} {
		t.Run("Prepare, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wantNoLeak(t, undialled(t), secretURL, sse.Options{Prepare: preparing(prepare)})
			})
		})
	}
	t.Run("header", func(t *testing.T) {
		c := undialled(t)
		c.Header = http.Header{"X-Key": {"canary\r\n"}}
		wantNoLeak(t, c, secretURL, sse.Options{})
	})
}

func TestNoSecretOfANetworkThatFailsIsShown(t *testing.T) {
	address := func(host string) string { return strings.Replace(secretURL, "sse.test", host, 1) }
	synctest.Test(t, func(t *testing.T) {
		for name, reply := range map[string]ssetest.Reply{
			"refused": ssetest.Refuse(nil),
			"silent":  ssetest.Stream(ssetest.Raw("data: canary"), ssetest.Hold()),
			"late":    ssetest.Unanswered(ssetest.Hold()),
			"reset":   ssetest.Stream(ssetest.Raw("id: 1\ndata: canary\n\n"), ssetest.Reset()),
			"cut":     ssetest.Stream(ssetest.Raw("data: canary\n\n"), ssetest.Abort()),
			"bad id":  ssetest.Stream(ssetest.Raw("id: x \ndata: canary\n\n")),
			"moved":   ssetest.Redirect(307, "http://canary:canary@other.test/?canary"),
		} {
			srv := ssetest.New(t)
			srv.Always(reply)
			client := srv.Client()
			if name == "late" {
				client.HTTP.Timeout = time.Second
			}
			wantNoLeak(t, client, secretURL, sse.Options{IdleTimeout: time.Minute})
		}
	})
	for name, answer := range map[string]func(head string) string{
		"echo":                func(head string) string { return head },
		"a header that tells": func(string) string { return "HTTP/1.1 200 OK\r\nSet-Cookie canary\r\n\r\n" },
		"a chunk that tells": func(string) string {
			return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n"
		},
		"a trailer that tells": func(string) string {
			return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n0\r\ncanary\r\n\r\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := rawServer(t, func(c *net.TCPConn, head string) { io.WriteString(c, answer(head)) })
			o := sse.Options{Retry: sse.RetryPolicy{BackOff: func() backoff.BackOff { return &backoff.ZeroBackOff{} }}}
			wantNoLeak(t, lonely(t, nil), address(strings.TrimPrefix(target, "http://")), o)
		})
	}
}

func TestNoSecretOfAProxyIsShown(t *testing.T) {
	for name, proxy := range map[string]func(*http.Request) (*url.URL, error){
		"refused": func(*http.Request) (*url.URL, error) { return url.Parse("http://canary:canary@127.0.0.1:1") },
		"bad":     func(*http.Request) (*url.URL, error) { return nil, errors.New(`parse "http://canary:canary@x": bad`) },
		"scheme":  func(*http.Request) (*url.URL, error) { return url.Parse("canary://canary:canary@proxy.test") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &http.Transport{Proxy: proxy, DialContext: func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
				}}
				for _, scheme := range []string{"http", "https"} {
					wantNoLeak(t, &sse.Client{HTTP: &http.Client{Transport: tr}}, strings.Replace(secretURL, "http", scheme, 1), sse.Options{})
				}
			})
		})
	}
}
