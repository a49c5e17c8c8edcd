package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// checkupOf returns the look at srv that `sse check URL` takes.
func checkupOf(srv *ssetest.Server) *checkup {
	return &checkup{
		connection: &connection{},
		stream:     &stream{client: srv.Client(), url: srv.URL(), shown: srv.URL(), options: sse.Options{Method: http.MethodGet}},
		watch:      10 * time.Second, most: 1000,
		note: func(string) {},
	}
}

// checked runs a checkup of a server that answers by the script.
func checked(t *testing.T, c *checkup) *report {
	t.Helper()
	r, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verdictOf returns the verdict of one check as "LEVEL FOUND".
func verdictOf(r *report, name check) string {
	for _, v := range r.Checks {
		if v.Check == string(name) {
			return v.Level + " " + v.Found
		}
	}
	return ""
}

func emitted(id, data string) ssetest.Step { return ssetest.Emit(sse.Event{ID: id, Data: data}) }

// ticks sends events with the ids from to to, one a second.
func ticks(from, to int) []ssetest.Step {
	var steps []ssetest.Step
	for i := from; i <= to; i++ {
		steps = append(steps, emitted(string(rune('0'+i)), "x"), ssetest.Wait(time.Second))
	}
	return steps
}

// goodReply is a reply with which nothing is wrong.
func goodReply(steps ...ssetest.Step) ssetest.Reply {
	return ssetest.Stream(steps...).With("Cache-Control", "no-store")
}

func TestCheckFindsNothingWrongWithAGoodStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := append(ticks(1, 6), ssetest.Hold())
		srv := ssetest.New(t,
			goodReply(append([]ssetest.Step{ssetest.Retry(3 * time.Second)}, steps...)...),
			goodReply(ssetest.Hold()),
			goodReply(append(ticks(4, 6), ssetest.Hold())...),
			goodReply(steps...),
		)
		r := checked(t, checkupOf(srv))
		if r.Verdict != levelOK || r.code != exitDone || r.Events != 6 || r.Seconds != 10 {
			t.Errorf("got %+v", r)
		}
		want := map[check]string{
			checkStatus: "ok 200 OK", checkRedirects: "ok none", checkType: "ok text/event-stream", checkCache: "ok no-store",
			checkHead: "ok after 0 ms", checkCompression: "ok none, also if gzip is offered",
			checkBuffering: "ok none seen: 6 events in 6 pieces", checkHeartbeat: "ok longest silence 5 s, 0 comments: none was needed",
			checkIDs: "ok on 6 of 6 events, unique, growing", checkResume: `ok honoured: after id "3" it goes on with id "4"`,
			checkRetry: "ok 3 s", checkText: "ok UTF-8", checkLines: "ok ended by LF, the longest has 11 bytes",
			checkFields: "ok nothing that clients ignore", checkEnd: "ok still open after 10 s",
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got := verdictOf(r, name); got != want[name] {
				t.Errorf("%s: got %q, want %q", name, got, want[name])
			}
		}
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "6"}, ssetest.Request{LastEventID: "3"}, ssetest.Request{})
	})
}

func TestCheckSeesWhatAServerMakesOfTheLastID(t *testing.T) {
	all := []sse.Event{{ID: "1", Data: "a"}, {ID: "2", Data: "b"}, {ID: "3", Data: "c"}, {ID: "4", Data: "d"}, {ID: "5", Data: "e"}}
	hold := func(r ssetest.Reply) ssetest.Reply {
		r.Steps = append(r.Steps, ssetest.Hold())
		return r
	}
	emit := func(ids ...string) ssetest.Reply {
		var steps []ssetest.Step
		for _, id := range ids {
			steps = append(steps, emitted(id, "x"))
		}
		return ssetest.Stream(append(steps, ssetest.Hold())...)
	}
	first := emit("1", "2", "3", "4", "5")
	gzip, busy := ssetest.Stream(ssetest.Hold()), ssetest.Status(429, "too many")
	for name, tt := range map[string]struct {
		replies []ssetest.Reply
		want    string
	}{
		"resumes": {
			[]ssetest.Reply{hold(ssetest.ResumeFrom(all)), hold(ssetest.ResumeFrom(all)), hold(ssetest.ResumeFrom(all)), gzip},
			`ok honoured: after id "2" it goes on with id "3"`,
		},
		"resumes, and goes on": {[]ssetest.Reply{first, emit("6"), emit("3", "4", "5", "6"), gzip}, `ok honoured: after id "2" it goes on with id "3"`},
		"begins anew":          {[]ssetest.Reply{first, first, gzip}, `fail not honoured: asked for what follows id "5" it repeats id "1"`},
		"includes the id":      {[]ssetest.Reply{first, emit("5", "6"), gzip}, `fail not honoured: asked for what follows id "5" it repeats id "5"`},
		"includes an earlier id": {
			[]ssetest.Reply{first, emit("6"), emit("2", "3"), gzip},
			`fail not honoured: asked for what follows id "2" it repeats id "2"`,
		},
		"knows no history": {
			[]ssetest.Reply{first, emit("6"), emit("7"), gzip},
			`fail not honoured: asked for what follows id "2" it skips 3 events: it goes on with id "7"`,
		},
		"skips one": {
			[]ssetest.Reply{first, emit("6"), emit("4", "5"), gzip},
			`fail not honoured: asked for what follows id "2" it skips 1 event: it goes on with id "4"`,
		},
		"skips one later": {
			[]ssetest.Reply{first, emit("6"), emit("3", "5", "6"), gzip},
			`fail not honoured: asked for what follows id "2" it sends id "5" in place of id "4"`,
		},
		"is silent": {
			[]ssetest.Reply{first, emit(), emit(), gzip},
			`fail not honoured: asked for what follows id "2" it skips 3 events: nothing comes within 2 s`,
		},
		"says that there is no more": {[]ssetest.Reply{first, ssetest.Status(204, ""), gzip}, `ok the reconnect with id "5" is answered 204: there is no more`},
		"refuses":                    {[]ssetest.Reply{first, ssetest.Status(403, ""), gzip}, `fail the reconnect with id "5" is refused: 403 Forbidden`},
		"is busy":                    {[]ssetest.Reply{first, busy, busy, gzip}, `warn the reconnect with id "5" is refused for now: 429 Too Many Requests`},
		"is busy for a moment":       {[]ssetest.Reply{first, busy, first, gzip}, `fail not honoured: asked for what follows id "5" it repeats id "1"`},
		"is busy for long":           {[]ssetest.Reply{first, busy.With("Retry-After", "60"), gzip}, `warn the reconnect with id "5" is refused for now: 429 Too Many Requests`},
		"is gone":                    {[]ssetest.Reply{first, ssetest.Refuse(nil), ssetest.Refuse(nil), gzip}, `warn the reconnect with id "5" is refused for now: no response from http://sse.test: connection refused`},
		"one id, goes on":            {[]ssetest.Reply{emit("1"), emit("2"), gzip}, `ok after id "1" it goes on with id "2"`},
		"one id, is silent":          {[]ssetest.Reply{emit("1"), emit(), gzip}, `skip after id "1" nothing came within 2 s: it repeats nothing, but may skip`},
		"the second one fails":       {[]ssetest.Reply{first, emit("6"), ssetest.Status(403, ""), gzip}, `ok after id "5" it goes on with id "6"`},
		"no event":                   {[]ssetest.Reply{emit()}, "skip not tried, as no event came"},
		"no ids, repeats":            {[]ssetest.Reply{emit("", ""), emit("", ""), gzip}, "warn without ids each connection begins anew: it repeats the first 2 events"},
		"no ids, skips": {
			[]ssetest.Reply{emit(""), ssetest.Stream(emitted("", "y"), ssetest.Hold()), gzip},
			"warn without ids it skips what is sent while a client is away",
		},
		"no ids, is silent": {[]ssetest.Reply{emit(""), emit(), gzip}, "skip the reconnect brought nothing within 2 s"},
		"an id not to send": {[]ssetest.Reply{ssetest.Stream(ssetest.Raw("id: a\x01\ndata: x\n\n"), ssetest.Hold()), gzip}, "skip not tried, as the last id cannot be sent"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := checked(t, checkupOf(ssetest.New(t, tt.replies...)))
				if got := verdictOf(r, checkResume); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

func TestCheckRepeatsAPostOnlyWhereItIsHarmlessOrAskedFor(t *testing.T) {
	named := ssetest.Stream(emitted("1", "x"), emitted("2", "x"), ssetest.Hold())
	nameless := ssetest.Stream(emitted("", "x"), ssetest.Hold())
	for name, tt := range map[string]struct {
		reply    ssetest.Reply
		change   func(*checkup)
		requests int
		want     string
	}{
		"ids":               {named, func(*checkup) {}, 2, `fail not honoured: asked for what follows id "2" it repeats id "1"`},
		"no ids":            {nameless, func(*checkup) {}, 1, "skip not tried: it would repeat a POST without ids (--resume does)"},
		"no ids, asked for": {nameless, func(c *checkup) { c.repeat = true }, 3, "warn without ids each connection begins anew: it repeats the first 1 event"},
		"ids, once":         {named, func(c *checkup) { c.once = true }, 1, "skip not tried (--retry never)"},
		"a GET without ids": {nameless, func(c *checkup) { c.stream.options.Method = "GET" }, 3, "warn without ids each connection begins anew: it repeats the first 1 event"},
		"a GET, once":       {named, func(c *checkup) { c.stream.options.Method, c.once = "GET", true }, 1, "skip not tried (--retry never)"},
		"gzip of the user's": {nameless, func(c *checkup) {
			c.stream.options.Method, c.stream.options.Header = "GET", http.Header{"Accept-Encoding": {"br"}}
		}, 2, "warn without ids each connection begins anew: it repeats the first 1 event"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t)
				srv.Always(tt.reply)
				c := checkupOf(srv)
				c.stream.options.Method = ""
				tt.change(c)
				r := checked(t, c)
				if got := verdictOf(r, checkResume); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				if got := len(srv.Requests()); got != tt.requests {
					t.Errorf("%d requests, want %d", got, tt.requests)
				}
			})
		})
	}
}

func TestCheckSaysWhyThereIsNoStream(t *testing.T) {
	for name, tt := range map[string]struct {
		reply ssetest.Reply
		code  int
		check check
		want  string
	}{
		"not found":   {ssetest.Status(404, "no"), exitFatal, checkStatus, "fail 404 Not Found"},
		"busy":        {ssetest.Status(503, "no"), exitTrouble, checkStatus, "fail 503 Service Unavailable"},
		"no content":  {ssetest.Status(204, ""), exitFatal, checkStatus, "fail 204 No Content"},
		"unreachable": {ssetest.Refuse(syscall.ECONNREFUSED), exitTrouble, checkStatus, "fail no response from http://sse.test: connection refused"},
		"a page":      {ssetest.Status(200, "<html>").With("Content-Type", "text/html"), exitFatal, checkType, `fail "text/html"`},
		"no type":     {ssetest.Reply{Header: http.Header{"Content-Type": nil}}, exitFatal, checkType, `fail none`},
		"compressed": {
			ssetest.Stream(ssetest.Hold()).With("Content-Encoding", "br"), exitFatal, checkCompression,
			`fail "br", which was not asked for`,
		},
		"redirect elsewhere": {
			ssetest.Redirect(302, "http://other.test/?token=secret"), exitFatal, checkRedirects,
			"fail redirect refused: 302 Found to http://other.test/?token=xxxxx (GET http://sse.test)",
		},
		"no head": {ssetest.Unanswered(ssetest.Hold()), exitTrouble, checkStatus, "fail no response head within 10 s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := checked(t, checkupOf(ssetest.New(t, tt.reply)))
				if got := verdictOf(r, tt.check); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				var coded codeError
				if err := r.outcome(); !errors.As(err, &coded) || coded.code != tt.code || !strings.HasPrefix(err.Error(), "no event stream: ") {
					t.Errorf("outcome %v, want code %d", err, tt.code)
				}
			})
		})
	}
}

func TestCheckNoticesCompressionThatWithholds(t *testing.T) {
	plain := ssetest.Stream(append(ticks(1, 5), ssetest.Hold())...)
	packed := func(steps ...ssetest.Step) ssetest.Reply {
		return ssetest.Stream(steps...).With("Content-Encoding", "gzip")
	}
	whole := gzipped("id: 1\ndata: x\n\nid: 2\ndata: x\n\nid: 3\ndata: x\n\n")
	for name, tt := range map[string]struct {
		replies []ssetest.Reply
		want    string
	}{
		"not compressed": {[]ssetest.Reply{plain, plain, plain}, "ok none, also if gzip is offered"},
		"flushed":        {[]ssetest.Reply{plain, plain, packed(ssetest.Raw(whole), ssetest.Hold())}, `ok "gzip" if offered, and it withholds nothing`},
		"withheld for good": {
			[]ssetest.Reply{plain, plain, packed(ssetest.Raw(whole[:10]), ssetest.Hold())},
			"fail if gzip is offered no event comes within 6 s (else the first after 0 ms)",
		},
		"late": {
			[]ssetest.Reply{plain, plain, packed(ssetest.Wait(4*time.Second), ssetest.Raw(whole), ssetest.Hold())},
			"fail if gzip is offered the first event comes after 4 s, else after 0 ms",
		},
		"refused":           {[]ssetest.Reply{plain, plain, ssetest.Status(406, "")}, "skip the connection that offered gzip was refused: 406 Not Acceptable"},
		"unasked":           {[]ssetest.Reply{packed(ssetest.Raw(whole), ssetest.Hold()), plain}, `warn "gzip", which was not asked for`},
		"unasked, withheld": {[]ssetest.Reply{packed(ssetest.Raw(whole[:10]), ssetest.Hold())}, `fail "gzip", and no event came within 10 s`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, tt.replies...)
				r := checked(t, checkupOf(srv))
				if got := verdictOf(r, checkCompression); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				if n := len(srv.Requests()); n == 3 && srv.Requests()[2].Header.Get("Accept-Encoding") != "gzip" {
					t.Error("gzip was not offered")
				}
			})
		})
	}
}

func TestCheckSeesABufferOnTheWay(t *testing.T) {
	full := func(text string) []ssetest.Step {
		return []ssetest.Step{ssetest.Raw(text), ssetest.Wait(2 * time.Second)}
	}
	for name, tt := range map[string]struct {
		steps []ssetest.Step
		want  string
	}{
		"full of events": {
			slices.Concat(full("data: 1\n\ndata: 2\n\ndata"), full(": 3\n\ndata: 4\n\ndata: 55"), full("5\n\n")),
			"fail 2 of 3 pieces end in the middle of an event, after 22 bytes each: a proxy or the server collects bytes",
		},
		"full of heartbeats": {
			slices.Concat(full("data: 1\n\n"), full(":\n\n:\n\n:\n\n")),
			"fail 3 heartbeats came at once, after a silence: a proxy or the server collects bytes",
		},
		"none, but a line in two reads": {
			slices.Concat(full("data: 1\n\n"), []ssetest.Step{ssetest.Raw("data"), ssetest.Wait(time.Millisecond), ssetest.Raw(": 2\n\n"), ssetest.Wait(time.Second)}, full(":\n")),
			"ok none seen: 2 events in 3 pieces",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := checkupOf(ssetest.New(t, ssetest.Stream(append(tt.steps, ssetest.Hold())...)))
				c.once = true
				if got := verdictOf(checked(t, c), checkBuffering); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

func TestCheckAcceptsCompressionThatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packed := ssetest.Raw(gzipped("data: x\n\n"))
		c := checkupOf(ssetest.New(t, ssetest.Stream(packed, ssetest.Hold()).With("Content-Encoding", "gzip")))
		c.once = true
		c.stream.options.Header = http.Header{"Accept-Encoding": {"gzip"}}
		if got, want := verdictOf(checked(t, c), checkCompression), `ok "gzip", as asked for, and it withholds nothing`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestCheckEndsWhenEnoughWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := checkupOf(ssetest.New(t, ssetest.Stream(append(ticks(1, 9), ssetest.Hold())...)))
		c.most, c.once = 3, true
		if r := checked(t, c); r.Events != 3 || r.Seconds != 2 {
			t.Errorf("%d events in %v s, want 3 in 2", r.Events, r.Seconds)
		}
	})
}

func TestCheckIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := signalError{syscall.SIGINT}
		time.AfterFunc(3*time.Second, func() { cancel(cause) })
		c := checkupOf(ssetest.New(t, ssetest.Stream(ssetest.Hold())))
		if r, err := c.run(ctx); err != cause {
			t.Errorf("got %v, %v", r, err)
		}
	})
}

func TestCheckTellsHowItEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		reply  ssetest.Reply
		change func(*sse.Options)
		want   string
	}{
		"open":        {ssetest.Stream(ssetest.Hold()), nil, "ok still open after 10 s"},
		"clean":       {ssetest.Stream(emitted("", "x"), ssetest.Wait(2*time.Second)), nil, "warn ended by the server after 2 s, cleanly"},
		"clean, POST": {ssetest.Stream(emitted("", "x")), func(o *sse.Options) { o.Method = "POST" }, "ok ended by the server after 0 ms, cleanly"},
		"cut":         {ssetest.Stream(emitted("", "x"), ssetest.Reset()), nil, "fail after 0 ms: stream cut: connection reset by peer"},
		"in an event": {
			ssetest.Stream(ssetest.Raw("data: x\n\ndata: y\n")), nil,
			"fail line 3: the end cuts off an event, which is dropped: no blank line after it",
		},
		"too long": {
			ssetest.Stream(emitted("", strings.Repeat("x", 100))), func(o *sse.Options) { o.MaxEventSize = 50 },
			"fail after 0 ms: an event is larger than --max-event-size",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := checkupOf(ssetest.New(t, tt.reply))
				c.once = true
				if tt.change != nil {
					tt.change(&c.stream.options)
				}
				if got := verdictOf(checked(t, c), checkEnd); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

func TestCheckAcceptsAnEndThatIsOneForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(emitted("", "x")))
		srv.Always(ssetest.Status(http.StatusNoContent, ""))
		r := checked(t, checkupOf(srv))
		for name, want := range map[check]string{
			checkEnd:    "ok ended by the server after 0 ms, cleanly",
			checkResume: "ok the reconnect is answered 204: there is no more",
		} {
			if got := verdictOf(r, name); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

func TestCheckBoundsWhatItKeeps(t *testing.T) {
	v := watch(t.Context(), &stream{client: &sse.Client{HTTP: &http.Client{Transport: heartbeats{}}}, url: "http://x"}, time.Minute, func(*visit) bool { return false })
	if len(v.arrivals) != maxArrivals {
		t.Errorf("%d arrivals, want %d: ended with %v", len(v.arrivals), maxArrivals, v.end)
	}
}

// heartbeats answers with comments without end, byte by byte.
type heartbeats struct{}

func (heartbeats) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Status: "200 OK", Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: io.NopCloser(heartbeats{}), Request: req,
	}, nil
}

func (heartbeats) Read(b []byte) (int, error) { return copy(b, ":\n"), nil }
