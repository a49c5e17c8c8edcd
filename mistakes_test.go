package sse_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// containsAll reports whether text holds all parts, whatever their case.
func containsAll(text string, parts ...string) bool {
	text = strings.ToLower(text)
	for _, part := range parts {
		if !strings.Contains(text, strings.ToLower(part)) {
			return false
		}
	}
	return true
}

// undialled returns a client with net/http's own transport that fails the
// test if it dials.
func undialled(t *testing.T) *sse.Client {
	t.Helper()
	return &sse.Client{HTTP: &http.Client{Transport: &http.Transport{
		DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			t.Errorf("%s was dialled", addr)
			return nil, errors.New("no network")
		},
	}}}
}

// wantHopeless checks that a source ends with one fatal close whose text holds
// all parts, whatever OnClose asks for.
func wantHopeless(t *testing.T, c *sse.Client, url string, o sse.Options, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // if it were to wait for a retry
	defer cancel()
	for _, o := range []sse.Options{o, insisting(o)} {
		log := ssetest.Record(&o)
		src := c.SourceContext(ctx, url, o)
		err := src.Run()
		closes := log.Closes()
		if len(closes) != 1 {
			t.Fatalf("got %d closes, want 1: %v", len(closes), closes)
		}
		ev := closes[0]
		if ev.Status != 0 || ev.Retriable || sse.StandardRetriable(ev) || ev.IsLocal || ev.Header != nil {
			t.Errorf("got %+v, want a fatal close without a response", ev)
		}
		if err == nil || err.Error() != ev.Err.Error() || src.State() != sse.Closed {
			t.Errorf("Err: %v, the close says %v", err, ev.Err)
		}
		if !containsAll(ev.Err.Error(), parts...) {
			t.Errorf("the text %q does not name %q", ev.Err, parts)
		}
		for _, err := range c.Source(url, o).All() {
			if err == nil || err.Error() != ev.Err.Error() {
				t.Errorf("the loop yields %v, the close says %v", err, ev.Err)
			}
		}
	}
}

func insisting(o sse.Options) sse.Options {
	closes := 0
	o.OnClose = func(ev sse.CloseEvent) {
		if closes++; closes < 3 {
			ev.Connect()
			ev.ConnectAfter(0)
		}
	}
	return o
}

func TestBadURLIsOneFatalClose(t *testing.T) {
	for url, part := range map[string]string{
		"":                        "must begin with http:// or https://",
		"sse.test/feed":           `"sse.test/feed" must begin with http:// or https://`,
		"sse.test:8080/feed":      "must begin with http:// or https://",
		"127.0.0.1:8080":          "must begin with http:// or https://",
		"localhost":               "must begin with http:// or https://",
		"//sse.test/feed":         "must begin with http:// or https://",
		"/feed":                   "must begin with http:// or https://",
		"?x=y":                    "must begin with http:// or https://",
		"ftp://sse.test/feed":     "must begin with http:// or https://",
		"ws://sse.test/feed":      "must begin with http:// or https://",
		"file:///etc/passwd":      "must begin with http:// or https://",
		"mailto:a@sse.test":       "must begin with http:// or https://",
		" http://sse.test/":       "URL",
		"http://":                 "has no host",
		"http:///feed":            "has no host",
		"https://:443/feed":       "has no host",
		"http:sse.test":           "has no host",
		"http://sse.test:port/":   "does not parse",
		"http://sse test/":        "does not parse",
		"http://sse.test/%zz":     "does not parse",
		"http://[::1/":            "does not parse",
		"http://sse.test/\r\n":    "does not parse",
		"http://sse.test/\x00":    "does not parse",
		"http://sse.test/?a\nb":   "does not parse",
		"http://127.0.0.1:99999/": "port",
	} {
		t.Run(url, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { wantHopeless(t, undialled(t), url, sse.Options{}, part) })
		})
	}
}

// noCursor is a cursor that is never used.
type noCursor struct{}

func (noCursor) Load(context.Context) (string, error) { return "", errors.ErrUnsupported }
func (noCursor) Save(context.Context, string) error   { return errors.ErrUnsupported }

func TestBadOptionIsNamedWithItsValue(t *testing.T) {
	for name, c := range map[string]struct {
		o     sse.Options
		parts []string
	}{
		"method with a space":     {sse.Options{Method: "GE T"}, []string{"Options.Method", "GE T"}},
		"method not ASCII":        {sse.Options{Method: "GÉT"}, []string{"Options.Method"}},
		"negative size":           {sse.Options{MaxEventSize: -7}, []string{"Options.MaxEventSize", "-7"}},
		"unknown overflow":        {sse.Options{Overflow: 4}, []string{"Options.Overflow", "4"}},
		"negative overflow":       {sse.Options{Overflow: -1}, []string{"Options.Overflow", "-1"}},
		"cursor, dropping oldest": {sse.Options{Cursor: noCursor{}, Overflow: sse.DropOldest}, []string{"Options.Cursor", "Options.Overflow", "DropOldest"}},
		"cursor, dropping newest": {sse.Options{Cursor: noCursor{}, Overflow: sse.DropNewest}, []string{"Options.Cursor", "Options.Overflow", "DropNewest"}},
		"no room ever":            {sse.Options{Buffer: -3, Overflow: sse.Disconnect}, []string{"Options.Overflow", "Disconnect", "Options.Buffer", "-3"}},
		"id with space around":    {sse.Options{LastEventID: " 7"}, []string{"Options.LastEventID", " 7", "space"}},
		"id too long":             {sse.Options{LastEventID: strings.Repeat("i", 4<<10+1)}, []string{"Options.LastEventID", "4097", "4 KiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { wantHopeless(t, undialled(t), "http://sse.test/", c.o, c.parts...) })
		})
	}
}

func TestWhatCannotBeSentIsRefusedBeforeDialling(t *testing.T) {
	type setting struct {
		c sse.Client
		u string
		o sse.Options
	}
	byPrepare := func(f func(*http.Request, string)) func(*setting, string) {
		return func(s *setting, bad string) { s.o.Prepare = preparing(func(req *http.Request) { f(req, bad) }) }
	}
	places := map[string]struct {
		put   func(s *setting, bad string)
		names string
	}{
		"a header value":               {func(s *setting, bad string) { s.o.Header = http.Header{"X-Key": {"fine", bad}} }, `Options.Header`},
		"a header name":                {func(s *setting, bad string) { s.o.Header = http.Header{bad: {"x"}} }, "Options.Header"},
		"a header value of the client": {func(s *setting, bad string) { s.c.Header = http.Header{"X-Key": {bad}} }, "Client.Header"},
		"a header name of the client":  {func(s *setting, bad string) { s.c.Header = http.Header{bad: {"x"}} }, "Client.Header"},
		"a preset id":                  {func(s *setting, bad string) { s.o.Header = http.Header{"Last-Event-ID": {bad}} }, "Options.Header"},
		"the id":                       {func(s *setting, bad string) { s.o.LastEventID = bad }, "Options.LastEventID"},
		"the method":                   {func(s *setting, bad string) { s.o.Method = bad }, "Options.Method"},
		"the URL":                      {func(s *setting, bad string) { s.u += bad }, "URL"},
		"a header value by Prepare":    {byPrepare(func(r *http.Request, bad string) { r.Header.Set("X-Key", bad) }), "Header"},
		"a header name by Prepare":     {byPrepare(func(r *http.Request, bad string) { r.Header[bad] = []string{"x"} }), "Header"},
		"the method by Prepare":        {byPrepare(func(r *http.Request, bad string) { r.Method = bad }), "Method"},
		"the host by Prepare":          {byPrepare(func(r *http.Request, bad string) { r.Host = bad }), "Host"},
		"the query by Prepare":         {byPrepare(func(r *http.Request, bad string) { r.URL.RawQuery = bad }), "URL"},
	}
	for place, p := range places {
		for what, bad := range map[string]string{
			"CR": "a\rb", "LF": "a\nb", "CRLF": "a\r\nX-Injected: b", "NUL": "a\x00b", "US": "a\x1fb", "DEL": "a\x7fb",
		} {
			t.Run(place+"/"+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := setting{c: *undialled(t), u: "http://sse.test/"}
					p.put(&s, bad)
					if s.o.Prepare == nil {
						wantHopeless(t, &s.c, s.u, s.o, p.names)
						return
					}
					// Prepare may do better the next time, if OnClose insists.
					if ev := closeOf(t, &s.c, s.u, s.o); ev.Status != 0 || ev.Retriable || !containsAll(ev.Err.Error(), p.names) {
						t.Errorf("got %v, want a fatal close that names %s", ev, p.names)
					}
				})
			})
		}
	}
}

func preparing(f func(*http.Request)) func(*http.Request, sse.CloseEvent) error {
	return func(req *http.Request, _ sse.CloseEvent) error { f(req); return nil }
}

func TestTextsNameTheCauseAndTheOption(t *testing.T) {
	plainTLS := httptest.NewUnstartedServer(http.NotFoundHandler())
	plainTLS.Config.ErrorLog = log.New(io.Discard, "", 0)
	plainTLS.StartTLS()
	defer plainTLS.Close()
	tlsAddr := strings.TrimPrefix(plainTLS.URL, "https://")
	network := &sse.Client{HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}}
	defer network.HTTP.CloseIdleConnections()
	closed := httptest.NewServer(nil)
	closed.Close()

	// answering replies in one piece, by no network at all.
	answering := func(status int, media string, body []byte) *sse.Client {
		return clientOf(func(req *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {media}}, Request: req,
				Body: io.NopCloser(bytes.NewReader(body)),
			}, nil
		})
	}
	oversize := append([]byte("data: "), bytes.Repeat([]byte("x"), 16<<20+1)...)
	const stream = "text/event-stream"
	for name, c := range map[string]struct {
		client *sse.Client
		url    string
		o      sse.Options
		parts  []string
	}{
		"missing scheme":          {network, "api.example.com/feed", sse.Options{}, []string{`"api.example.com/feed"`, "must begin with http:// or https://"}},
		"refused port":            {network, closed.URL, sse.Options{}, []string{closed.URL, "connection refused"}},
		"http to a TLS port":      {network, "http://" + tlsAddr, sse.Options{}, []string{"400 Bad Request", "TLS", "https://"}},
		"bad certificate":         {network, plainTLS.URL, sse.Options{}, []string{"certificate", "unknown authority", "TLSClientConfig", "Client.HTTP"}},
		"401":                     {answering(401, "", nil), "", sse.Options{}, []string{"401 Unauthorized", "credentials", "Options.Header", "Options.Prepare"}},
		"403":                     {answering(403, "", nil), "", sse.Options{}, []string{"403 Forbidden", "credentials", "Options.Header", "Options.Prepare"}},
		"405 to POST":             {answering(405, "", nil), "", sse.Options{}, []string{"405 to POST: set Options.Method to GET"}},
		"405 to GET":              {answering(405, "", nil), "", sse.Options{Method: "GET"}, []string{"405 to GET", "Options.Method", "POST"}},
		"406":                     {answering(406, "", nil), "", sse.Options{}, []string{"406", "Accept", "Options.Header"}},
		"415":                     {answering(415, "", nil), "", sse.Options{}, []string{"415", "Content-Type", "Options.Header", "Options.Body"}},
		"an HTML page":            {answering(200, "text/html; charset=utf-8", nil), "", sse.Options{}, []string{"server answered text/html (want text/event-stream): is the URL behind a login page?"}},
		"an oversize event":       {answering(200, stream, oversize), "", sse.Options{}, []string{"larger than 16 MiB", "Options.MaxEventSize"}},
		"an event over the limit": {answering(200, stream, oversize), "", sse.Options{MaxEventSize: 64 << 10}, []string{"larger than 64 KiB", "Options.MaxEventSize"}},
	} {
		t.Run(name, func(t *testing.T) {
			url := c.url
			if url == "" {
				url = "http://sse.test/feed"
				c.parts = append(c.parts, "sse") // whose error it is
			}
			c.o.OnClose = func(sse.CloseEvent) {}
			if err := c.client.Source(url, c.o).Run(); err == nil || !containsAll(err.Error(), c.parts...) {
				t.Errorf("the text %q does not hold %q", err, c.parts)
			}
		})
	}
}

func TestTextOfAPostThatIsNotRepeatedNamesTheWaysOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Emit(sse.Event{Data: "1"}), ssetest.Abort()))
		err := srv.Source(sse.Options{}).Run()
		if !containsAll(err.Error(), "not repeated", "POST without event ids cannot be resumed", "Options.Retry", "OnClose") {
			t.Errorf("got %q", err)
		}
	})
}

func TestTextOfSilenceNamesTheOptionAndItsValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Hold()))
		if ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{IdleTimeout: 45 * time.Second}); !containsAll(ev.Err.Error(), "no byte for 45s (Options.IdleTimeout)") {
			t.Errorf("got %q", ev.Err)
		}
	})
}

// A recorded event stream is often asked for with a context that is over.
func TestContextThatIsOverBeforeTheStartDialsNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	var closes atomic.Int64
	o := sse.Options{OnClose: func(ev sse.CloseEvent) {
		closes.Add(1)
		if !ev.IsLocal || ev.Status != 0 || !errors.Is(ev.Err, gone) {
			t.Errorf("got %+v", ev)
		}
	}}
	err := undialled(t).SourceContext(ctx, "http://sse.test/", o).Run()
	if !errors.Is(err, gone) || closes.Load() != 1 {
		t.Errorf("Run: %v after %d closes", err, closes.Load())
	}
}

func TestClientIsNotChangedByItsSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream())
		client := &sse.Client{HTTP: srv.Client().HTTP, Header: http.Header{"x-key": {"kept"}}}
		before, header := *client, maps.Clone(client.Header)
		o := sse.Options{Prepare: preparing(func(r *http.Request) { r.Header["X-Key"][0] = "changed" })}
		closeOf(t, client, srv.URL(), o)
		if client.HTTP != before.HTTP || client.HTTP.Transport != before.HTTP.Transport {
			t.Error("the http.Client is another")
		}
		if diff := cmp.Diff(header, client.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
	})
}
