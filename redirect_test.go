package sse_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// seenRequest is what a target of a redirect gets to see.
type seenRequest struct{ Method, URL, Body, Key, Auth, ID string }

// redirecting returns a client whose first answer is a redirect, and any later
// one a stream, and the requests that were sent.
func redirecting(status int, location string) (*sse.Client, *[]seenRequest) {
	var seen []seenRequest
	client := clientOf(func(req *http.Request) (*http.Response, error) {
		body := ""
		if req.Body != nil {
			b, _ := io.ReadAll(req.Body)
			body = string(b)
		}
		seen = append(seen, seenRequest{req.Method, req.URL.String(), body, req.Header.Get("X-Key"), req.Header.Get("Authorization"), req.Header.Get("Last-Event-ID")})
		if len(seen) == 1 {
			return respond(req, status, http.Header{"Location": {location}}, ""), nil
		}
		return respond(req, 200, http.Header{"Content-Type": {"text/event-stream"}}, ""), nil
	})
	return client, &seen
}

func TestRedirectsAreFollowedOnlyIfTheyKeepMethodBodyAndOrigin(t *testing.T) {
	type targets map[string]bool // and whether each is the same origin
	for origin, locations := range map[string]targets{
		"http://a.test/feed": {
			"/there": true, "there?q=1": true, "?q=1": true, "//a.test/there": true, "http://a.test/there": true, "http://a.test:80/there": true,
			"HTTP://A.TEST/there": true, "http://user:pw@a.test/there": true,
			"https://a.test/there": true, "https://a.test:443/there": true, // an upgrade
			"http://a.test:8080/": false, "https://a.test:80/": false, "https://a.test:8443/": false, "http://a.test:443/": false,
			"http://sub.a.test/": false, "https://sub.a.test/": false, "http://test/": false, "http://a.test.b.test/": false,
			"http://b.test/": false, "//b.test/feed": false, "https://b.test/": false, "http://127.0.0.1/": false, "http://[::1]/": false,
			"http://user:pw@b.test/": false, "http://a.test@b.test/": false, "http://a.test:80@b.test/": false, "ftp://a.test/": false,
		},
		"http://a.test:8080/feed": {
			"/there": true, "http://a.test:8080/there": true,
			"http://a.test/": false, "http://a.test:8081/": false, "https://a.test/": false, "https://a.test:8080/": false, "https://a.test:8443/": false,
		},
		"https://a.test/feed": {
			"/there": true, "https://a.test:443/there": true,
			"http://a.test/": false, "http://a.test:443/": false, "http://a.test:80/": false, "https://a.test:444/": false, "https://b.test/": false,
		},
		"http://127.0.0.1/feed": {"/there": true, "http://localhost/": false, "http://127.0.0.2/": false, "http://[::ffff:127.0.0.1]/": false},
		"http://localhost/feed": {"http://127.0.0.1/": false},
		"http://[::1]/feed":     {"http://[::1]:80/there": true, "http://127.0.0.1/": false, "http://localhost/": false},
	} {
		for location, same := range locations {
			for _, status := range []int{301, 302, 303, 307, 308} {
				for _, o := range []sse.Options{{Method: "GET"}, {Method: "GET", Body: []byte("{}")}, {Body: []byte("{}")}, {}, {Method: "PUT"}} {
					keeps := status > 303 || o.Method == "GET" && o.Body == nil
					t.Run(fmt.Sprintf("%s %d %s, %s %s", origin, status, location, o.Method, o.Body), func(t *testing.T) {
						checkRedirected(t, origin, location, status, o, same && keeps)
					})
				}
			}
		}
	}
}

// checkRedirected makes a request that is redirected.
func checkRedirected(t *testing.T, origin, location string, status int, o sse.Options, follow bool) {
	t.Helper()
	client, seen := redirecting(status, location)
	o.Header = http.Header{"X-Key": {"key"}, "Authorization": {"Bearer token"}}
	o.LastEventID = "7"
	ev := closeOf(t, client, origin, o)
	base, _ := url.Parse(origin)
	target, err := base.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	method := o.Method
	if method == "" {
		method = "POST"
	}
	first := seenRequest{method, origin, string(o.Body), "key", "Bearer token", "7"}
	want := []seenRequest{first}
	if follow {
		second := first
		second.URL = target.String()
		if target.Hostname() != base.Hostname() { // net/http compares it as it is written
			second.Auth = ""
		}
		want = append(want, second)
	}
	if diff := cmp.Diff(want, *seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if follow {
		if ev.Err != io.EOF || ev.Status != 200 || ev.Method != method {
			t.Errorf("got %+v, want a clean end", ev)
		}
		return
	}
	var refused *sse.ResponseError
	if !errors.Is(ev.Err, sse.ErrRedirect) || !errors.As(ev.Err, &refused) || ev.Retriable || sse.StandardRetriable(ev) || ev.Status != status || ev.Header.Get("Location") != location {
		t.Fatalf("got %+v, want a fatal ErrRedirect", ev)
	}
	if refused.Status != status || refused.Method != method || refused.URL != origin || refused.Header.Get("Location") != location {
		t.Errorf("got %+v", *refused)
	}
	target.User = nil
	if name := target.Host + target.Path; !strings.Contains(ev.Err.Error(), name) || strings.Contains(ev.Err.Error(), "pw") {
		t.Errorf("the text %q does not name the target %s, or more than that", ev.Err, name)
	}
}

func TestRefusedTargetSeesNothing(t *testing.T) {
	var connections atomic.Int64
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	other.Start()
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := ssetest.NewTCP(t, ssetest.Redirect(status, other.URL))
		ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{Body: []byte("{}"), Header: http.Header{"X-Key": {"key"}}})
		if !errors.Is(ev.Err, sse.ErrRedirect) || ev.Status != status {
			t.Errorf("%d: %v", status, ev)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("the other origin has seen %d connections", n)
	}
}

func TestTenRedirectsAreFollowedAndNoMore(t *testing.T) {
	for n, want := range map[int]error{10: io.EOF, 11: sse.ErrRedirect} {
		sent := 0
		client := clientOf(func(req *http.Request) (*http.Response, error) {
			if sent++; sent <= n {
				return respond(req, 307, http.Header{"Location": {fmt.Sprintf("/%d", sent)}}, ""), nil
			}
			return respond(req, 200, http.Header{"Content-Type": {"text/event-stream"}}, ""), nil
		})
		ev := closeOf(t, client, "http://sse.test/", sse.Options{})
		if !errors.Is(ev.Err, want) || sent != 11 || ev.Retriable != (want == io.EOF) {
			t.Errorf("%d redirects: %v after %d requests", n, ev, sent)
		}
	}
}

func TestNextAttemptGoesToTheOriginalURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Redirect(307, "/a"), ssetest.Stream(),
			ssetest.Redirect(308, "/b"), ssetest.Redirect(301, "/c"), ssetest.Status(503, ""),
			ssetest.Stream(),
		)
		closesOf(t, srv.Client(), srv.URL()+"/feed?x=y", sse.Options{Method: "GET"}, 3)
		var got []string
		for _, r := range srv.Requests() {
			got = append(got, r.URL)
		}
		if diff := cmp.Diff([]string{"/feed?x=y", "/a", "/feed?x=y", "/b", "/c", "/feed?x=y"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestCheckRedirectOfTheCallerDecidesInstead(t *testing.T) {
	own := errors.New("not there")
	for name, c := range map[string]struct {
		decision error
		want     error // of the close
		status   int
		requests int
	}{
		"follow":          {nil, io.EOF, 200, 2},
		"refuse":          {own, own, 302, 1},
		"use the last":    {http.ErrUseLastResponse, sse.ErrStatus, 302, 1},
		"refuse for good": {sse.Permanent(own), own, 302, 1},
	} {
		for _, location := range []string{"http://b.test/there", "/there"} {
			t.Run(name+"/"+location, func(t *testing.T) {
				client, seen := redirecting(302, location)
				asked := 0
				client.HTTP.CheckRedirect = func(req *http.Request, via []*http.Request) error {
					if asked++; req.Method != "GET" || len(via) != 1 || via[0].Method != "POST" {
						t.Errorf("asked about %s after %d", req.Method, len(via))
					}
					return c.decision
				}
				ev := closeOf(t, client, "http://a.test/", sse.Options{Body: []byte("{}")})
				if !errors.Is(ev.Err, c.want) || ev.Status != c.status || len(*seen) != c.requests || asked != 1 || ev.Retriable != (c.want == io.EOF) {
					t.Errorf("got %v after %d requests, asked %d times", ev, len(*seen), asked)
				}
				if c.want == own && (!errors.Is(ev.Err, sse.ErrRedirect) || !containsAll(ev.Err.Error(), "CheckRedirect", "not there")) {
					t.Errorf("the text %q does not say who refused", ev.Err)
				}
			})
		}
	}
}

func TestJarOfTheCallerKeepsWorking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Redirect(307, "/there").With("Set-Cookie", "hop=1; Path=/"),
			ssetest.Stream().With("Set-Cookie", "stream=2; Path=/"),
			ssetest.Stream(),
		)
		client := srv.Client()
		client.HTTP.Jar, _ = cookiejar.New(nil)
		closesOf(t, client, srv.URL(), sse.Options{}, 2)
		var got []string
		for _, r := range srv.Requests() {
			got = append(got, r.Header.Get("Cookie"))
		}
		if diff := cmp.Diff([]string{"", "hop=1", "hop=1; stream=2"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRedirectThatLeadsNowhere(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header http.Header
		want   error
	}{
		"no location, 301": {301, nil, sse.ErrStatus},
		"no location, 307": {307, nil, sse.ErrStatus},
		"not a URL":        {302, http.Header{"Location": {"http://a.test:port/"}}, sse.ErrRedirect},
		"not a URL, 308":   {308, http.Header{"Location": {"http://user:pw@a.test:port/"}}, sse.ErrRedirect},
		"a loop":           {307, http.Header{"Location": {"/feed"}}, sse.ErrRedirect},
	} {
		t.Run(name, func(t *testing.T) {
			ev := closeOf(t, answers(c.status, c.header, ""), "http://a.test/feed", sse.Options{})
			var refused *sse.ResponseError
			if !errors.Is(ev.Err, c.want) || ev.Status != c.status || ev.Retriable || !errors.As(ev.Err, &refused) || refused.Method != "POST" || refused.URL != "http://a.test/feed" {
				t.Errorf("got %+v", ev)
			}
			if strings.Contains(ev.Err.Error(), "pw") {
				t.Errorf("%q holds the password", ev.Err)
			}
		})
	}
}

func TestBodyThatCannotBeSentTwiceIsNotRedirected(t *testing.T) {
	client, seen := redirecting(307, "/there")
	ev := closeOf(t, client, "http://a.test/", sse.Options{Prepare: preparing(func(req *http.Request) {
		req.Body, req.GetBody, req.ContentLength = io.NopCloser(strings.NewReader("once")), nil, 4
	})})
	if len(*seen) != 1 || ev.Status != 307 || ev.Retriable {
		t.Errorf("got %v after %d requests", ev, len(*seen))
	}
}

func TestDefaultClientIsNetHTTPs(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "http://localhost.invalid/", http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: x\n\n")
	}))
	defer srv.Close()
	ssetest.Want(t, sse.Source(srv.URL+"/feed", sse.Options{}).All(), []sse.Event{{Name: "message", Data: "x"}})
	ssetest.Want(t, sse.SourceContext(t.Context(), srv.URL+"/feed", sse.Options{}).All(), []sse.Event{{Name: "message", Data: "x"}})
	ssetest.Want(t, (&sse.Client{}).Source(srv.URL+"/feed", sse.Options{}).All(), []sse.Event{{Name: "message", Data: "x"}})
	if err := sse.Source(srv.URL, sse.Options{}).Run(); !errors.Is(err, sse.ErrRedirect) {
		t.Errorf("got %v", err)
	}
	if http.DefaultClient.CheckRedirect != nil {
		t.Error("http.DefaultClient was changed")
	}
}
