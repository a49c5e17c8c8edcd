package sveltekit_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
	"github.com/wellspring-go/sse/sveltekit"
)

// named replies as a server up to 0.12: it names the stream.
func named(id string, steps ...ssetest.Step) ssetest.Reply {
	return ssetest.Stream(steps...).With("x-sse-id", id)
}

func emit(data string) ssetest.Step { return ssetest.Emit(sse.Event{Data: data}) }

// ok is the reply to a beacon. The script of a server is one for streams and
// beacons, in the order in which they come.
var ok = ssetest.Status(http.StatusOK, "")

// always makes srv reply ok after its script.
func always(srv *ssetest.Server) *ssetest.Server {
	srv.Always(ok)
	return srv
}

// source returns a source of the stream /feed of srv, that is closed and
// waited for when t ends.
func source(t *testing.T, srv *ssetest.Server, c sveltekit.Config, o sse.Options) *sse.EventSource {
	t.Helper()
	c.Client = cmp.Or(c.Client, srv.Client())
	src := c.Source(t.Context(), srv.URL()+"/feed?room=7", o)
	t.Cleanup(func() {
		src.Close()
		<-src.Done()
	})
	return src
}

// open returns a source that is open.
func open(t *testing.T, srv *ssetest.Server, c sveltekit.Config, o sse.Options) *sse.EventSource {
	t.Helper()
	src := source(t, srv, c, o)
	if err := src.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return src
}

// wantSent compares the beacons that srv got with want: the time since the
// first request, and the stream's name.
func wantSent(t *testing.T, srv *ssetest.Server, want ...string) {
	t.Helper()
	synctest.Wait()
	var got []string
	all := srv.Requests()
	for _, r := range all {
		if u, err := url.Parse(r.URL); err != nil {
			t.Error(err)
		} else if id := u.Query().Get("x-sse-id"); id != "" {
			got = append(got, fmt.Sprintf("%v %s", r.At.Sub(all[0].At), id))
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("beacons (-want +got):\n%s", diff)
	}
}

func TestBeaconsComeAfterEachInterval(t *testing.T) {
	for _, c := range []struct {
		name   string
		reply  ssetest.Reply
		beacon time.Duration
		within time.Duration
		want   []string
	}{
		{"the default", named("a", ssetest.Hold()), 0, 17 * time.Second, []string{"5s a", "10s a", "15s a"}},
		{"not sooner", named("a", ssetest.Hold()), 0, 5*time.Second - 1, nil},
		{"of the config", named("a", ssetest.Hold()), 2 * time.Second, 7 * time.Second, []string{"2s a", "4s a", "6s a"}},
		{
			"from the head on", ssetest.Unanswered(ssetest.Wait(12*time.Second), emit("1"), ssetest.Hold()).With("x-sse-id", "a"),
			0, 11 * time.Second,
			[]string{"17s a", "22s a"},
		},
		{"never if negative", named("a", ssetest.Hold()), -1, time.Hour, nil},
		{"never without a name", ssetest.Stream(ssetest.Hold()), 0, time.Hour, nil},
		{"never without a name, with an interval", ssetest.Stream(ssetest.Hold()), time.Second, time.Hour, nil},
		{"never for an empty name", named("", ssetest.Hold()), time.Second, time.Hour, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := always(ssetest.New(t, c.reply))
				open(t, srv, sveltekit.Config{Beacon: c.beacon}, sse.Options{})
				time.Sleep(c.within)
				wantSent(t, srv, c.want...)
			})
		})
	}
}

// Also if nobody reads, or the events come to a loop.
func TestBeaconsDoNotNeedTheConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t, named("a", emit("1"), ssetest.Wait(9*time.Second), emit("2"), ssetest.Hold())))
		n := 0
		for range source(t, srv, sveltekit.Config{}, sse.Options{}).All() {
			time.Sleep(11 * time.Second) // the body is slow
			if n++; n == 2 {
				break
			}
		}
		time.Sleep(time.Hour)
		wantSent(t, srv, "5s a", "10s a", "15s a", "20s a")
	})
}

func TestBeaconsAreEmptyPostsWithTheHeadersOfTheStream(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		synctest.Test(t, func(t *testing.T) {
			srv := always(ssetest.New(t, named("a b&c=d", ssetest.Hold())))
			prepared := 0
			client := &sse.Client{
				HTTP:   srv.Client().HTTP,
				Header: http.Header{"X-Tenant": {"acme"}, "X-Both": {"client"}},
				Prepare: func(req *http.Request, _ sse.CloseEvent) error {
					req.Header.Set("X-Client", "prepared")
					return nil
				},
			}
			open(t, srv, sveltekit.Config{Client: client}, sse.Options{
				Method:      method,
				Header:      http.Header{"X-Both": {"options"}, "Cookie": {"session=1; theme=2"}},
				Body:        []byte(`{"topic":"prices"}`),
				LastEventID: "7",
				Prepare: func(req *http.Request, _ sse.CloseEvent) error {
					prepared++
					req.Header.Set("Authorization", "Bearer t1")
					req.URL.Path = "/prepared"
					return nil
				},
			})
			time.Sleep(11 * time.Second)
			synctest.Wait()
			stream := ssetest.Request{Method: method, URL: "/prepared?room=7", Body: `{"topic":"prices"}`, LastEventID: "7"}
			beacon := ssetest.Request{Method: "POST", Header: http.Header{
				"Authorization": {"Bearer t1"}, "Cookie": {"session=1; theme=2"},
				"X-Both": {"options"}, "X-Tenant": {"acme"}, "X-Client": {"prepared"},
				"Content-Length": {"0"},
			}}
			ssetest.WantRequests(t, srv, stream, beacon, beacon)
			for _, r := range srv.Requests()[1:] {
				u, err := url.Parse(r.URL)
				if err != nil {
					t.Fatal(err)
				}
				if q := (url.Values{"x-sse-id": {"a b&c=d"}}); u.Path != "/prepared" || !gocmp.Equal(q, u.Query()) {
					t.Errorf("a beacon to %s", r.URL)
				}
				if r.Body != "" || r.LastEventID != "" || r.Header.Get("Content-Type") != "" {
					t.Errorf("a beacon with the body %q, the last event id %q and the header %v", r.Body, r.LastEventID, r.Header)
				}
			}
			if prepared != 1 {
				t.Errorf("Prepare was called %d times, want once, for the stream", prepared)
			}
		})
	}
}

// The cookies of a Jar are the http.Client's to add.
func TestBeaconsHaveEachCookieOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t, named("a", ssetest.Hold()).With("Set-Cookie", "session=2")))
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		at, err := url.Parse(srv.URL())
		if err != nil {
			t.Fatal(err)
		}
		jar.SetCookies(at, []*http.Cookie{{Name: "session", Value: "1"}})
		client := *srv.Client().HTTP
		client.Jar = jar
		open(t, srv, sveltekit.Config{Client: &sse.Client{HTTP: &client}}, sse.Options{Header: http.Header{"Cookie": {"theme=2"}}})
		time.Sleep(6 * time.Second)
		ssetest.WantRequests(t, srv,
			ssetest.Request{Header: http.Header{"Cookie": {"theme=2; session=1"}}},
			ssetest.Request{Header: http.Header{"Cookie": {"theme=2; session=2"}}},
		)
	})
}

// tap lets a test see what a client sends.
type tap struct {
	base http.RoundTripper

	mu       sync.Mutex
	hosts    []string
	users    []string
	inFlight int
}

func tapped(srv *ssetest.Server) (*tap, *sse.Client) {
	r := &tap{base: srv.Client().HTTP.Transport}
	return r, &sse.Client{HTTP: &http.Client{Transport: r}}
}

func (r *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	user, _, _ := req.BasicAuth()
	r.mu.Lock()
	r.hosts, r.users = append(r.hosts, req.Host), append(r.users, user)
	r.inFlight++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.inFlight--
	}()
	return r.base.RoundTrip(req)
}

func TestBeaconsGoToTheHostOfTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t, named("a", ssetest.Hold())))
		tap, client := tapped(srv)
		src := sveltekit.Config{Client: client}.Source(t.Context(), strings.Replace(srv.URL(), "://", "://me:secret@", 1), sse.Options{
			Prepare: func(req *http.Request, _ sse.CloseEvent) error {
				req.Host = "virtual.test"
				return nil
			},
		})
		if err := src.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		src.Close()
		<-src.Done()
		if diff := gocmp.Diff([]string{"virtual.test", "virtual.test"}, tap.hosts); diff != "" {
			t.Errorf("hosts (-want +got):\n%s", diff)
		}
		if diff := gocmp.Diff([]string{"me", "me"}, tap.users); diff != "" {
			t.Errorf("users (-want +got):\n%s", diff)
		}
	})
}

func TestBeaconsNeverFollowARedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		synctest.Test(t, func(t *testing.T) {
			srv := ssetest.New(t, named("a", ssetest.Hold()))
			srv.Always(ssetest.Redirect(status, "/elsewhere"))
			callers := *srv.Client().HTTP
			callers.CheckRedirect = func(*http.Request, []*http.Request) error { return nil } // follows all
			open(t, srv, sveltekit.Config{Client: &sse.Client{HTTP: &callers}}, sse.Options{})
			time.Sleep(11 * time.Second)
			wantSent(t, srv, "5s a", "10s a")
			if n := len(srv.Requests()); n != 3 {
				t.Errorf("%d: %d requests, want the stream and 2 beacons", status, n)
			}
			if callers.CheckRedirect(nil, nil) != nil || callers.Timeout != 0 {
				t.Error("the caller's http.Client was changed")
			}
		})
	}
}

// SvelteKit itself redirects: with 308, /feed/ to /feed. A beacon that follows
// no redirect must go where the stream came from.
func TestBeaconsGoWhereTheStreamWasRedirectedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t,
			ssetest.Redirect(http.StatusPermanentRedirect, "/moved?room=7"),
			named("a", ssetest.Hold()),
		))
		open(t, srv, sveltekit.Config{}, sse.Options{})
		time.Sleep(7 * time.Second)
		synctest.Wait()
		ssetest.WantRequests(t, srv,
			ssetest.Request{URL: "/feed?room=7"},
			ssetest.Request{URL: "/moved?room=7"},
			ssetest.Request{Method: "POST", URL: "/moved?x-sse-id=a"},
		)
	})
}

func TestFailuresOfBeaconsNeverEndTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t,
			named("a", emit("1"), ssetest.Wait(48*time.Second), emit("2")),
			ssetest.Status(http.StatusInternalServerError, "broken"), // 5 s
			ssetest.Status(http.StatusUnauthorized, "no"),
			ssetest.Refuse(nil), // 15 s, not seen by the server
			ssetest.Stream(emit("x"), ssetest.Reset()),
			ssetest.Stream(ssetest.Abort()),
			ssetest.Stream(ssetest.Hold()),               // 30 s: a body without end
			ssetest.Unanswered(ssetest.Hold()),           // 35 s: no head, up to
			ssetest.Status(http.StatusOK, "not emptied"), // 40 s
		))
		o := sse.Options{Retry: sse.NoRetry, OnError: func(err error) { t.Error(err) }}
		log := ssetest.Record(&o)
		src := source(t, srv, sveltekit.Config{}, o)
		ssetest.Want(t, src.SelectAll().All(), []sse.Event{{Name: "message", Data: "1"}, {Name: "message", Data: "2"}})
		<-src.Done()
		wantSent(t, srv, "5s a", "10s a", "20s a", "25s a", "30s a", "35s a", "40s a", "45s a")
		ssetest.WantCloses(t, log, sse.CloseEvent{Status: 200, Err: io.EOF, Events: 2})
	})
}

// endings are the ways in which a connection that brought event 1 ends after
// 12 s.
var endings = map[string]struct {
	reply []ssetest.Step
	end   func(*sse.EventSource, context.CancelFunc)
	o     sse.Options
}{
	"clean end":     {reply: []ssetest.Step{ssetest.Wait(12 * time.Second)}},
	"reset":         {reply: []ssetest.Step{ssetest.Wait(12 * time.Second), ssetest.Reset()}},
	"Close":         {reply: []ssetest.Step{ssetest.Hold()}, end: func(src *sse.EventSource, _ context.CancelFunc) { src.Close() }},
	"context":       {reply: []ssetest.Step{ssetest.Hold()}, end: func(_ *sse.EventSource, cancel context.CancelFunc) { cancel() }},
	"IdleTimeout":   {reply: []ssetest.Step{ssetest.Hold()}, o: sse.Options{IdleTimeout: 12 * time.Second}},
	"slow consumer": {reply: []ssetest.Step{ssetest.Wait(12 * time.Second), emit("2"), ssetest.Hold()}, o: sse.Options{Buffer: 1, Overflow: sse.Disconnect}},
	"EndOn": {
		reply: []ssetest.Step{ssetest.Wait(12 * time.Second), emit("2"), ssetest.Hold()},
		o:     sse.Options{EndOn: func(ev sse.Event) bool { return ev.Data == "2" }},
	},
}

func TestBeaconsStopBeforeOnClose(t *testing.T) {
	for name, c := range endings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, named("a", append([]ssetest.Step{emit("1")}, c.reply...)...))
				srv.Always(ssetest.Unanswered(ssetest.Hold())) // so that one is under way in the end
				tap, client := tapped(srv)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began, closed := time.Now(), time.Duration(0)
				o := c.o
				o.OnClose = func(sse.CloseEvent) {
					closed = time.Since(began)
					if tap.inFlight != 0 {
						t.Errorf("%d requests are under way", tap.inFlight)
					}
					time.Sleep(time.Hour)
				}
				src := sveltekit.Config{Client: client}.Source(ctx, srv.URL(), o)
				src.SelectAll().Events()
				time.Sleep(12 * time.Second)
				if c.end != nil {
					c.end(src, cancel)
				}
				<-src.Done()
				time.Sleep(time.Hour)
				if closed != 12*time.Second {
					t.Errorf("OnClose was called after %v, want 12s", closed)
				}
				wantSent(t, srv, "5s a", "10s a")
			})
		})
	}
}

func TestBeaconsStopAtReconnect(t *testing.T) {
	for name, consume := range map[string]func(*sse.EventSource){
		"while events are read":        func(src *sse.EventSource) { src.SelectAll().Events() },
		"while nobody asks for events": func(*sse.EventSource) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := always(ssetest.New(t,
					named("a", ssetest.Hold()),
					ok,
					ssetest.Unanswered(ssetest.Wait(20*time.Second), emit("1"), ssetest.Hold()).With("x-sse-id", "b"),
					ok, ok,
					ssetest.Stream(ssetest.Hold()), // without a name
				))
				o := sse.Options{}
				log := ssetest.Record(&o)
				src := open(t, srv, sveltekit.Config{}, o)
				consume(src)
				time.Sleep(7 * time.Second)
				src.Reconnect() // the head comes 20 s later
				time.Sleep(31 * time.Second)
				wantSent(t, srv, "5s a", "32s b", "37s b")
				src.Reconnect()
				time.Sleep(time.Hour)
				wantSent(t, srv, "5s a", "32s b", "37s b")
				ssetest.WantCloses(t, log)
			})
		})
	}
}

// Client.Prepare may take long, and is called before anything of this package.
func TestBeaconsStopBeforeTheNextAttemptIsPrepared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t, named("a", ssetest.Hold()), ok, named("b", ssetest.Hold())))
		attempts := 0
		client := &sse.Client{HTTP: srv.Client().HTTP, Prepare: func(*http.Request, sse.CloseEvent) error {
			if attempts++; attempts > 1 {
				time.Sleep(time.Minute)
			}
			return nil
		}}
		src := open(t, srv, sveltekit.Config{Client: client}, sse.Options{})
		src.SelectAll().Events()
		time.Sleep(7 * time.Second)
		src.Reconnect()
		time.Sleep(time.Minute + 6*time.Second)
		wantSent(t, srv, "5s a", "1m12s b")
	})
}

func TestBeaconsNameTheStreamThatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t,
			named("a", emit("1"), ssetest.Wait(7*time.Second)),
			ok,
			ssetest.Unanswered(ssetest.Wait(20*time.Second), emit("2")).With("x-sse-id", "b"), // open for no time
			ssetest.Status(http.StatusServiceUnavailable, "busy").With("x-sse-id", "refused"),
			named("c", emit("3"), ssetest.Hold()),
		))
		src := source(t, srv, sveltekit.Config{}, sse.Options{Method: "GET", OnClose: func(ev sse.CloseEvent) { ev.ConnectAfter(11 * time.Second) }})
		events := src.SelectAll().Events()
		ssetest.Take(t, events, 3) // 7 + 11 + 20 + 11 + 11 = 60 s
		time.Sleep(7 * time.Second)
		wantSent(t, srv, "5s a", "1m5s c")
	})
}

func TestEachSourceHasBeaconsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := always(ssetest.New(t, named("a", ssetest.Hold()), named("b", ssetest.Hold())))
		config := sveltekit.Config{}
		first := open(t, srv, config, sse.Options{})
		time.Sleep(time.Second)
		open(t, srv, config, sse.Options{})
		time.Sleep(6 * time.Second)
		first.Close()
		time.Sleep(5 * time.Second)
		wantSent(t, srv, "5s a", "6s b", "11s b")
	})
}
