package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// closesOf runs a source that connects n-1 times more, after the delay of its
// policy and whatever that thinks, and returns its n closes.
func closesOf(t *testing.T, c *sse.Client, url string, o sse.Options, n int) []sse.CloseEvent {
	t.Helper()
	var closes []sse.CloseEvent
	o.OnClose = func(ev sse.CloseEvent) {
		if closes = append(closes, ev); len(closes) < n {
			ev.Connect()
		}
	}
	c.Source(url, o).Run()
	if len(closes) != n {
		t.Fatalf("got %d closes, want %d: %v", len(closes), n, closes)
	}
	return closes
}

// closeOf runs a source that never connects again.
func closeOf(t *testing.T, c *sse.Client, url string, o sse.Options) sse.CloseEvent {
	t.Helper()
	return closesOf(t, c, url, o, 1)[0]
}

// roundTrip is a network in one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// clientOf returns a client that sends its requests by way of f.
func clientOf(f roundTrip) *sse.Client { return &sse.Client{HTTP: &http.Client{Transport: f}} }

func TestRequestHasExactlyTheseHeaders(t *testing.T) {
	plain := http.Header{
		"Accept":          {"text/event-stream"},
		"Accept-Encoding": {"identity"},
		"Cache-Control":   {"no-cache"},
		"User-Agent":      {"Go-http-client/1.1"},
	}
	with := func(pairs ...string) http.Header {
		h := plain.Clone()
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, c := range map[string]struct {
		o      sse.Options
		method string
		want   http.Header
	}{
		"the zero value posts":   {sse.Options{}, "POST", with("Content-Length", "0")},
		"an empty body is none":  {sse.Options{Body: []byte{}}, "POST", with("Content-Length", "0")},
		"GET":                    {sse.Options{Method: "GET"}, "GET", plain},
		"a body is JSON":         {sse.Options{Body: []byte(`{}`)}, "POST", with("Content-Length", "2", "Content-Type", "application/json")},
		"a GET may have a body":  {sse.Options{Method: "GET", Body: []byte(`{}`)}, "GET", with("Content-Length", "2", "Content-Type", "application/json")},
		"a last event id":        {sse.Options{Method: "GET", LastEventID: "7"}, "GET", with("Last-Event-ID", "7")},
		"any method that is one": {sse.Options{Method: "QUERY"}, "QUERY", plain},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Stream())
				closeOf(t, srv.Client(), srv.URL(), c.o)
				got := srv.Requests()[0]
				if diff := cmp.Diff(c.want, got.Header); diff != "" || got.Method != c.method {
					t.Errorf("%s (-want +got):\n%s", got.Method, diff)
				}
			})
		})
	}
}

func TestCallersHeadersWinKeyByKey(t *testing.T) {
	for name, c := range map[string]struct {
		client, options http.Header
		want            http.Header // an empty value: not sent
	}{
		"the client's over the defaults": {
			client: http.Header{"Accept": {"text/x"}, "Cache-Control": {"max-age=0"}, "Accept-Encoding": {"br"}, "Content-Type": {"text/plain"}},
			want:   http.Header{"Accept": {"text/x"}, "Cache-Control": {"max-age=0"}, "Accept-Encoding": {"br"}, "Content-Type": {"text/plain"}},
		},
		"the options' over the client's": {
			client:  http.Header{"Accept": {"text/x"}, "X-Key": {"client", "twice"}, "X-Other": {"stays"}},
			options: http.Header{"Accept": {"text/y"}, "X-Key": {"options"}},
			want:    http.Header{"Accept": {"text/y"}, "X-Key": {"options"}, "X-Other": {"stays"}},
		},
		"all values are sent": {
			options: http.Header{"X-Key": {"a", "b"}},
			want:    http.Header{"X-Key": {"a", "b"}},
		},
		"keys need not be canonical": {
			client:  http.Header{"x-key": {"client"}, "accept": {"text/x"}},
			options: http.Header{"x-KEY": {"options"}},
			want:    http.Header{"X-Key": {"options"}, "Accept": {"text/x"}},
		},
		"no values remove": {
			client: http.Header{"X-Key": {"client"}},
			options: http.Header{
				"X-Key": {}, "Accept": nil, "Cache-Control": {}, "Content-Type": {}, "User-Agent": {},
			},
			want: http.Header{"X-Key": nil, "Accept": nil, "Cache-Control": nil, "Content-Type": nil, "User-Agent": nil},
		},
		"no values remove a preset last event id": {
			client:  http.Header{"Last-Event-Id": {"7"}},
			options: http.Header{"Last-Event-ID": {}},
			want:    http.Header{"Last-Event-Id": nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Stream())
				client := *srv.Client()
				client.Header = c.client
				closeOf(t, &client, srv.URL(), sse.Options{Header: c.options, Body: []byte("{}")})
				got := http.Header{}
				for key := range c.want {
					got[key] = srv.Requests()[0].Header[key]
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAcceptEncodingIsNeverLeftToNetHTTP(t *testing.T) {
	// Which would ask for gzip, the one thing that identity is sent against.
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream())
		closeOf(t, srv.Client(), srv.URL(), sse.Options{Header: http.Header{"Accept-Encoding": {}}})
		if got := srv.Requests()[0].Header.Get("Accept-Encoding"); got == "gzip" {
			t.Errorf("Accept-Encoding was removed, yet %q was sent", got)
		}
	})
}

func TestBodyIsSentAgainOnEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Status(503, "busy"),
			ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "1"}), ssetest.Reset()),
			ssetest.Redirect(307, "/elsewhere"),
			ssetest.Stream(ssetest.Abort()),
			ssetest.Stream(),
		)
		o := sse.Options{Body: []byte(`{"topic":"prices"}`), Header: http.Header{"X-Key": {"kept"}}}
		var closes int
		o.OnClose = func(ev sse.CloseEvent) {
			if closes++; closes < 4 {
				ev.Connect()
			}
		}
		src := srv.Source(o)
		// The source has its own copy of both.
		copy(o.Body, "changed")
		o.Header.Set("X-Key", "changed")
		src.Run()
		want := ssetest.Request{
			Method: "POST", Body: `{"topic":"prices"}`,
			Header: http.Header{"Content-Type": {"application/json"}, "X-Key": {"kept"}},
		}
		ssetest.WantRequests(t, srv, want, want, want, want, want)
	})
}

func TestLastEventIDIsWhatWasDeliveredLast(t *testing.T) {
	emit := func(id string) ssetest.Step { return ssetest.Emit(sse.Event{Data: "x", ID: id}) }
	preset := http.Header{"Last-Event-ID": {"preset"}}
	for name, c := range map[string]struct {
		client http.Header
		o      sse.Options
		script []ssetest.Reply
		want   []string
	}{
		"none before an event": {
			script: []ssetest.Reply{ssetest.Stream(), ssetest.Stream(emit("1")), ssetest.Stream(emit("2")), ssetest.Stream()},
			want:   []string{"", "", "1", "2"},
		},
		"an event without an id does not move it": {
			script: []ssetest.Reply{ssetest.Stream(emit("1"), emit("")), ssetest.Stream(emit("")), ssetest.Stream()},
			want:   []string{"", "1", "1"},
		},
		"an id in a block that was cut off does not count": {
			script: []ssetest.Reply{ssetest.Stream(emit("1"), ssetest.Raw("id: 2\ndata: x\n")), ssetest.Stream()},
			want:   []string{"", "1"},
		},
		"an id without data counts": {
			script: []ssetest.Reply{ssetest.Stream(ssetest.Raw("id: 2\n\n")), ssetest.Stream()},
			want:   []string{"", "2"},
		},
		"an empty id clears it": {
			script: []ssetest.Reply{ssetest.Stream(emit("1")), ssetest.Stream(ssetest.Raw("id\ndata: x\n\n")), ssetest.Stream()},
			want:   []string{"", "1", ""},
		},
		"an id as it is": {
			script: []ssetest.Reply{ssetest.Stream(emit("grün a\tb")), ssetest.Stream()},
			want:   []string{"", "grün a\tb"},
		},
		"preset by the option": {
			o:      sse.Options{LastEventID: "preset"},
			script: []ssetest.Reply{ssetest.Status(503, ""), ssetest.Stream(emit("1")), ssetest.Stream()},
			want:   []string{"preset", "preset", "1"},
		},
		"preset by the header of the options": {
			client: http.Header{"Last-Event-ID": {"client's"}},
			o:      sse.Options{Header: preset},
			script: []ssetest.Reply{ssetest.Status(503, ""), ssetest.Stream(emit("1")), ssetest.Stream()},
			want:   []string{"preset", "preset", "1"},
		},
		"preset by the header of the client": {
			client: preset,
			script: []ssetest.Reply{ssetest.Stream(emit("1")), ssetest.Stream()},
			want:   []string{"preset", "1"},
		},
		"the option over the header": {
			o:      sse.Options{LastEventID: "option's", Header: preset},
			script: []ssetest.Reply{ssetest.Stream()},
			want:   []string{"option's"},
		},
		"a preset one goes when the server clears the id": {
			client: preset,
			o:      sse.Options{LastEventID: "preset", Header: preset},
			script: []ssetest.Reply{ssetest.Stream(ssetest.Raw("id:\n\n")), ssetest.Stream()},
			want:   []string{"preset", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, c.script...)
				client := *srv.Client()
				client.Header = c.client
				closesOf(t, &client, srv.URL(), c.o, len(c.script))
				var got []string
				for i, r := range srv.Requests() {
					got = append(got, r.LastEventID)
					if n := len(r.Header["Last-Event-Id"]); n > 1 || n == 1 && r.LastEventID == "" {
						t.Errorf("request %d has Last-Event-ID %q", i, r.Header["Last-Event-Id"])
					}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestIDThatCannotTravelIsDeliveredButNotSent(t *testing.T) {
	const most = 4 << 10
	ids := map[string]bool{ // and whether each can travel
		" 2": false, "2 ": false, "\t2": false, "2\t": false, "2\t3": true, "2 3": true,
		strings.Repeat("i", most): true, strings.Repeat("i", most+1): false,
	}
	for b := 1; b < 256; b++ {
		if b != '\n' && b != '\r' && b < 0x80 {
			ids["a"+string(rune(b))+"b"] = b >= ' ' && b != 0x7F || b == '\t'
		}
	}
	for _, way := range []string{"loop", "OnEvent"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for id, travels := range ids {
					resumeAfter(t, way == "loop", id, travels)
				}
			})
		})
	}
}

// resumeAfter reads an event with an id across a cut.
func resumeAfter(t *testing.T, loop bool, id string, travels bool) {
	t.Helper()
	srv := ssetest.New(t,
		ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "1"}), ssetest.Raw("id: "+id+"\ndata: 2\n\n"), ssetest.Reset()),
		ssetest.Stream(ssetest.Emit(sse.Event{Data: "3", ID: "3"}), ssetest.Hold()),
	)
	var got []sse.Event
	told := 0
	o := sse.Options{Method: "GET", OnError: func(error) { told++ }}
	if loop {
		got = ssetest.Collect(t, srv.Source(o).All(), 3)
	} else {
		var src *sse.EventSource
		o.OnEvent = func(ev sse.Event) {
			if got = append(got, ev); len(got) == 3 {
				src.Close()
			}
		}
		src = srv.Source(o)
		src.Run()
	}
	want := []sse.Event{{Name: "message", Data: "1", ID: "1"}, {Name: "message", Data: "2", ID: id}, {Name: "message", Data: "3", ID: "3"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("id %.40q (-want +got):\n%s", id, diff)
	}
	sent, trouble := "1", 1
	if travels {
		sent, trouble = id, 0
	}
	if got := srv.Requests()[1].LastEventID; got != sent || told != trouble {
		t.Errorf("id %.40q: sent back %.40q, want %.40q; OnError was told %d times, want %d", id, got, sent, told, trouble)
	}
}

func TestTimeoutOfTheHTTPClientBoundsTheHeadOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := ssetest.Unanswered(ssetest.Wait(11*time.Second), ssetest.Comment("ping"))
		srv := ssetest.New(t,
			ssetest.Unanswered(ssetest.Wait(9*time.Second), ssetest.Comment("ping"), ssetest.Wait(24*time.Hour), ssetest.Emit(sse.Event{Data: "1"})),
			late,
			ssetest.Redirect(307, "/late"), late,
		)
		client := srv.Client()
		client.HTTP.Timeout = 10 * time.Second
		if ev := closeOf(t, client, srv.URL(), sse.Options{}); ev.Err != io.EOF || ev.Events != 1 {
			t.Errorf("the stream was cut: %v", ev)
		}
		for range 2 {
			begin := time.Now()
			ev := closeOf(t, client, srv.URL(), sse.Options{})
			if !errors.Is(ev.Err, context.DeadlineExceeded) || ev.Status != 0 || !ev.Retriable || time.Since(begin) != 10*time.Second {
				t.Errorf("a late head: after %v: %v", time.Since(begin), ev)
			}
			if !containsAll(ev.Err.Error(), "http.Client.Timeout", "10s") {
				t.Errorf("the text %q does not name the option and its value", ev.Err)
			}
		}
		if client.HTTP.Timeout != 10*time.Second || client.HTTP.CheckRedirect != nil {
			t.Error("the caller's http.Client was changed")
		}
	})
}

func TestPrepareMayChangeAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(404, ""), ssetest.Stream())
		o := sse.Options{
			Body: []byte("{}"),
			Prepare: func(req *http.Request, _ sse.CloseEvent) error {
				req.Method = "PUT"
				req.URL.Path = "/changed"
				req.URL.RawQuery = url.Values{"token": {"fresh"}}.Encode()
				req.Header.Set("Accept", "text/x")
				req.Header.Set("Last-Event-ID", "changed")
				return nil
			},
		}
		for i, ev := range closesOf(t, srv.Client(), srv.URL()+"/feed", o, 2) {
			if ev.Method != "PUT" {
				t.Errorf("close %d: Method %q", i, ev.Method)
			}
		}
		want := ssetest.Request{Method: "PUT", URL: "/changed?token=fresh", Body: "{}", LastEventID: "changed", Header: http.Header{"Accept": {"text/x"}}}
		ssetest.WantRequests(t, srv, want, want)
	})
}

func TestContextOfTheRequestEndsAtClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := ssetest.New(t).Source(sse.Options{
			Prepare: func(req *http.Request, _ sse.CloseEvent) error {
				<-req.Context().Done()
				return fmt.Errorf("no token: %w", req.Context().Err())
			},
		})
		time.AfterFunc(time.Second, src.Close)
		if err := src.Run(); !errors.Is(err, sse.ErrClosed) {
			t.Errorf("Run: %v, want ErrClosed", err)
		}
	})
}
