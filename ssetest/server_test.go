package ssetest_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

var minuteWaits = sse.RetryPolicy{BackOff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Minute) }}

// bothServers run a test in memory, in a bubble, and on a socket.
func bothServers(t *testing.T, f func(t *testing.T, srv func(testing.TB, ...ssetest.Reply) *ssetest.Server)) {
	t.Helper()
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, ssetest.New) })
	})
	t.Run("on a socket", func(t *testing.T) { f(t, ssetest.NewTCP) })
}

// fetch returns what a plain client gets.
func fetch(t *testing.T, srv *ssetest.Server) (head *http.Response, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().HTTP.Transport.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestRepliesAreWhatTheySay(t *testing.T) {
	type test struct {
		reply       ssetest.Reply
		status      int
		contentType string
		body        string
		err         error // of reading the body, or of the dial
	}
	const stream = "text/event-stream"
	refusal := errors.New("no route")
	closed := make(chan struct{})
	close(closed)
	raw := ssetest.Raw("a: 1\n", "b: 2\n")
	for name, test := range map[string]test{
		"Stream":           {ssetest.Stream(raw), 200, stream, "a: 1\nb: 2\n", nil},
		"Stream of none":   {ssetest.Stream(), 200, stream, "", nil},
		"Unanswered":       {ssetest.Unanswered(raw), 200, stream, "a: 1\nb: 2\n", nil},
		"Emit":             {ssetest.Stream(ssetest.Emit(sse.Event{Name: "n", Data: "a\r\nb\rc\n", ID: "7"})), 200, stream, "id: 7\nevent: n\ndata: a\ndata: b\ndata: c\ndata: \n\n", nil},
		"Emit of little":   {ssetest.Stream(ssetest.Emit(sse.Event{Name: "message"})), 200, stream, "data: \n\n", nil},
		"Comment":          {ssetest.Stream(ssetest.Comment("a\nb")), 200, stream, ":a\n:b\n", nil},
		"Retry":            {ssetest.Stream(ssetest.Retry(90 * time.Second)), 200, stream, "retry: 90000\n", nil},
		"Wait and WaitFor": {ssetest.Stream(ssetest.Wait(time.Millisecond), ssetest.WaitFor(closed), raw), 200, stream, "a: 1\nb: 2\n", nil},
		"Abort":            {ssetest.Stream(raw, ssetest.Abort(), raw), 200, stream, "a: 1\nb: 2\n", io.ErrUnexpectedEOF},
		"Reset":            {ssetest.Stream(raw, ssetest.Reset(), raw), 200, stream, "a: 1\nb: 2\n", syscall.ECONNRESET},
		"Status":           {ssetest.Status(404, "gone"), 404, "text/plain; charset=utf-8", "gone", nil},
		"Status of HTML":   {ssetest.Status(200, "<html>"), 200, "text/html; charset=utf-8", "<html>", nil},
		"Status, no body":  {ssetest.Status(503, ""), 503, "", "", nil},
		"Redirect":         {ssetest.Redirect(307, "/x").With("X-A", "b"), 307, "", "", nil},
		"With":             {ssetest.Stream(raw).With("Content-Type", "a/b").With("X-A", "b"), 200, "a/b", "a: 1\nb: 2\n", nil},
		"Refuse":           {ssetest.Refuse(refusal), 0, "", "", refusal},
		"Refuse, nil":      {ssetest.Refuse(nil), 0, "", "", syscall.ECONNREFUSED},
		"ResumeFrom":       {ssetest.ResumeFrom([]sse.Event{{Data: "a"}, {Data: "b"}}), 200, stream, "data: a\n\ndata: b\n\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			bothServers(t, func(t *testing.T, newServer func(testing.TB, ...ssetest.Reply) *ssetest.Server) {
				srv := newServer(t, test.reply)
				head, body, err := fetch(t, srv) //nolint:bodyclose // fetch does
				if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) || body != test.body {
					t.Errorf("got %q, then %v, want %q, then %v", body, err, test.body, test.err)
				}
				if requests := len(srv.Requests()); test.status == 0 {
					if requests != 0 {
						t.Errorf("a refused attempt counts as a request")
					}
					return
				}
				if head.StatusCode != test.status || head.Header.Get("Content-Type") != test.contentType {
					t.Errorf("status %d, type %q, want %d, %q", head.StatusCode, head.Header.Get("Content-Type"), test.status, test.contentType)
				}
				if strings.Contains(name, "With") || name == "Redirect" {
					if head.Header.Get("X-A") != "b" {
						t.Errorf("header %v", head.Header)
					}
				}
			})
		})
	}
}

func TestWithLeavesTheReplyItWasCalledOn(t *testing.T) {
	a := ssetest.Stream().With("X", "1")
	b, c := a.With("X", "2"), a.With("Y", "3")
	if diff := cmp.Diff([]http.Header{{"X": {"1"}}, {"X": {"1", "2"}}, {"X": {"1"}, "Y": {"3"}}}, []http.Header{a.Header, b.Header, c.Header}); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestResumeFromHonoursLastEventID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := numbered(4)
		all[2].ID = ""
		srv := ssetest.New(t)
		srv.Always(ssetest.ResumeFrom(all))
		for id, want := range map[string]int{"": 4, "1": 3, "2": 2, "4": 0, "unknown": 4} {
			src := srv.Source(sse.Options{LastEventID: id, Retry: sse.NoRetry})
			n := 0
			for range src.All() {
				n++
			}
			if n != want {
				t.Errorf("after id %q: %d events, want %d", id, n, want)
			}
		}
	})
}

func TestResetReachesTheSourceAsOne(t *testing.T) {
	bothServers(t, func(t *testing.T, newServer func(testing.TB, ...ssetest.Reply) *ssetest.Server) {
		// More than a client that does not read yet has room for.
		var all []sse.Event
		for _, ev := range numbered(64) {
			ev.Data = strings.Repeat(ev.ID, 16<<10)
			all = append(all, ev)
		}
		reply := ssetest.ResumeFrom(all)
		reply.Steps = append(reply.Steps, ssetest.Reset())
		srv := newServer(t, reply)
		o := sse.Options{Retry: sse.NoRetry}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		if err := src.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(20 * time.Millisecond)
		ssetest.Want(t, src.SelectAll().All(), all) // what was written before is not lost
		for len(log.Closes()) == 0 {
			<-time.After(time.Millisecond)
		}
		err := log.Closes()[0].Err
		if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("closed with %v, want a cut by ECONNRESET", err)
		}
	})
}

func TestResetUnreadDestroysWhatWasNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw("data: "+strings.Repeat("x", 32<<10)+"\n\n"), ssetest.Wait(time.Second), ssetest.ResetUnread()))
		src := srv.Source(sse.Options{Retry: sse.NoRetry})
		if err := src.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for ev, err := range src.SelectAll().All() {
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got an event of %d bytes, %v", len(ev.Data), err)
			}
		}
	})
}

func TestServerFailsTheTestThatStraysFromTheScript(t *testing.T) {
	type test struct {
		do    func(testing.TB, *ssetest.Server)
		words []string
	}
	ask := func(srv *ssetest.Server, times int) {
		for range times {
			srv.Source(sse.Options{Retry: sse.NoRetry}).Run()
		}
	}
	eachInBubble(t, map[string]test{
		"as scripted":   {func(tb testing.TB, srv *ssetest.Server) { ask(srv, 2) }, nil},
		"left over":     {func(tb testing.TB, srv *ssetest.Server) { ask(srv, 1) }, []string{"the last 1 replies were never asked for", "Status(404)", "requests seen: 1"}},
		"all left over": {func(testing.TB, *ssetest.Server) {}, []string{"the last 2 replies", "Stream(Emit( 7), Raw)", "requests seen: 0"}},
		"one too many":  {func(tb testing.TB, srv *ssetest.Server) { ask(srv, 3) }, []string{"request 3 found no reply left in the script", "requests seen: 3", "2: POST /"}},
		"Then": {func(tb testing.TB, srv *ssetest.Server) {
			srv.Then(ssetest.Stream(), ssetest.Refuse(nil))
			ask(srv, 4)
		}, nil},
		"Then left over":   {func(tb testing.TB, srv *ssetest.Server) { srv.Then(ssetest.Refuse(errors.New("x"))); ask(srv, 2) }, []string{"Refuse(x)"}},
		"Always":           {func(tb testing.TB, srv *ssetest.Server) { srv.Always(ssetest.Stream()); ask(srv, 9) }, nil},
		"Always is no end": {func(tb testing.TB, srv *ssetest.Server) { srv.Always(ssetest.Stream()); ask(srv, 1) }, []string{"the last 1 replies"}},
		"Always, the script first": {func(tb testing.TB, srv *ssetest.Server) {
			srv.Always(ssetest.Stream())
			srv.Then(ssetest.Refuse(nil))
			if ask(srv, 5); len(srv.Requests()) != 4 {
				tb.Errorf("%d requests", len(srv.Requests()))
			}
		}, nil},
		"Always refuse": {func(tb testing.TB, srv *ssetest.Server) { srv.Always(ssetest.Refuse(nil)); ask(srv, 5) }, nil},
		"a name with a LF": {func(tb testing.TB, srv *ssetest.Server) {
			srv.Then(ssetest.Stream(ssetest.Emit(sse.Event{Name: "a\nb"})))
			ask(srv, 3)
		}, []string{`"a\nb" cannot be written`}},
		"an id with a NUL": {func(tb testing.TB, srv *ssetest.Server) {
			srv.Then(ssetest.Stream(ssetest.Emit(sse.Event{ID: "a\x00"})))
			ask(srv, 3)
		}, []string{`"a\x00" cannot be written`}},
		"failed before end": {func(tb testing.TB, _ *ssetest.Server) { tb.Errorf("another failure") }, []string{"another failure"}},
	}, func(t *testing.T, test test) {
		failure, _ := failuresOf(t, func(tb testing.TB) {
			test.do(tb, ssetest.New(tb, ssetest.Stream(ssetest.Emit(sse.Event{ID: "7"}), ssetest.Raw("")), ssetest.Status(404, "gone")))
		})
		if wantWords(t, failure, test.words...); strings.Contains(failure, "another") && failure != "another failure" {
			t.Errorf("leftovers of a test that has failed anyhow: %s", failure)
		}
	})
}

func TestTheEndOfATestEndsItsSourcesAndReplies(t *testing.T) {
	bothServers(t, func(t *testing.T, newServer func(testing.TB, ...ssetest.Reply) *ssetest.Server) {
		var sources []*sse.EventSource
		fetched := make(chan error, 1)
		failure, _ := failuresOf(t, func(tb testing.TB) {
			srv := newServer(tb, ssetest.Stream(ssetest.Hold()), ssetest.Stream(ssetest.Wait(100*time.Hour)), ssetest.Stream(ssetest.WaitFor(make(chan struct{}))))
			for range 3 {
				src := srv.Source(sse.Options{})
				if err := src.Open(t.Context()); err != nil {
					t.Error(err)
				}
				sources = append(sources, src)
			}
			srv.Then(ssetest.Stream(ssetest.Hold()))
			go func() { // a client that the server does not know
				_, _, err := fetch(t, srv) //nolint:bodyclose // fetch does
				fetched <- err
			}()
			for len(srv.Requests()) < 4 {
				<-time.After(time.Millisecond)
			}
		})
		if err := <-fetched; err == nil {
			t.Error("a held reply ended cleanly")
		}
		for i, src := range sources {
			select {
			case <-src.Done():
			default:
				t.Errorf("source %d lives on", i)
			}
		}
		wantWords(t, failure)
	})
}

// TestEndOfATestMayMeetARequestThatArrives is for the race detector.
func TestEndOfATestMayMeetARequestThatArrives(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			failure, _ := failuresOf(t, func(tb testing.TB) {
				srv := ssetest.New(tb)
				srv.Always(ssetest.Unanswered(ssetest.Hold()))
				srv.Source(sse.Options{}).SelectAll().Events()
				if time.Sleep(time.Second); rand.IntN(2) == 0 {
					srv.Source(sse.Options{}).SelectAll().Events()
				}
			})
			wantWords(t, failure)
		})
	}
}

func TestURLOfASocketIsOpenToAll(t *testing.T) {
	srv := ssetest.NewTCP(t, streamOf(2))
	ssetest.Want(t, sse.Source(srv.URL(), sse.Options{Retry: sse.NoRetry}).All(), numbered(2))
	host := strings.TrimPrefix(srv.URL(), "http://")
	if _, _, err := net.SplitHostPort(host); err != nil {
		t.Error(err)
	}
}
