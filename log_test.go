package sse_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// newTextLogger returns a logger that writes what a test looks at to b.
func newTextLogger(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// pickLog returns of each line of a log the level, the message and the values
// of some keys.
func pickLog(text string, keys ...string) (lines []string) {
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(line, "level=")
		level, rest, _ := strings.Cut(rest, " msg=")
		msg, rest, _ := strings.Cut(strings.TrimPrefix(rest, `"`), `" `)
		picked := level + " " + msg
		for _, key := range keys {
			if _, value, ok := strings.Cut(" "+strings.TrimSpace(rest), " "+key+"="); ok {
				if value[0] != '"' {
					value, _, _ = strings.Cut(value, " ")
				} else {
					value, _, _ = strings.Cut(value[1:], `"`)
				}
				picked += " " + key + "=" + value
			}
		}
		lines = append(lines, picked)
	}
	return lines
}

func TestLoggerHasOneRecordForEachOpenCloseAndTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		srv := ssetest.New(t,
			ssetest.Status(503, "secret body"),
			ssetest.Stream(ssetest.Raw("data: secret data\n\nid: bad \ndata: 2\n\n"), ssetest.Reset()).With("X-Secret", "secret header"),
			ssetest.Stream(ssetest.Raw("id: 7\ndata: 3\n\n")),
			ssetest.Stream(ssetest.Hold()))
		c := srv.Client()
		c.Logger, c.Header = newTextLogger(&b), http.Header{"Authorization": {"secret token"}}
		src := c.Source("http://user:secret@sse.test/path?key=secret", sse.Options{
			Method: "GET", Body: []byte("secret"), Retry: waitsOf(time.Minute),
			OnClose: func(ev sse.CloseEvent) {
				if ev.Connect(); ev.Err != nil && ev.Events == 1 {
					ev.ConnectAfter(5 * time.Second)
				}
			},
		})
		src.SelectAll().Events()
		letPass(time.Hour)
		src.Close()
		<-src.Done()
		want := []string{
			"WARN sse: close close.status=503 close.attempt=1 close.events=0 close.delay=1m0s next=connect in=1m0s",
			"INFO sse: open open.status=200 open.attempt=1",
			"WARN sse: trouble err=sse: event id \\",
			"WARN sse: close close.status=200 close.attempt=0 close.events=2 close.delay=1m0s next=connect in=1m0s",
			"INFO sse: open open.status=200 open.attempt=0",
			"INFO sse: close close.status=200 close.attempt=0 close.events=1 close.delay=1m0s next=connect in=5s",
			"INFO sse: open open.status=200 open.attempt=0",
			"INFO sse: close close.status=200 close.attempt=0 close.events=0 close.delay=0s next=nothing in=0s",
		}
		keys := []string{"open.status", "open.attempt", "err", "close.status", "close.attempt", "close.events", "close.delay", "next", "in"}
		if diff := cmp.Diff(want, pickLog(b.String(), keys...)); diff != "" {
			t.Errorf("log (-want +got):\n%s\n%s", diff, b.String())
		}
		if strings.Contains(b.String(), "secret") || !strings.Contains(b.String(), "sse.test/path?key=") {
			t.Errorf("the log holds a secret, or not the address:\n%s", b.String())
		}
	})
}

func TestLoggerTellsFatalFromGood(t *testing.T) {
	type test struct {
		replies []ssetest.Reply
		o       sse.Options
		want    []string
	}
	eachInBubble(t, map[string]*test{
		"refused":   {[]ssetest.Reply{ssetest.Status(401, "")}, sse.Options{}, []string{"ERROR sse: close next=nothing"}},
		"204":       {[]ssetest.Reply{ssetest.Status(204, "")}, sse.Options{}, []string{"INFO sse: close next=nothing"}},
		"a bad URL": {nil, sse.Options{Method: "BAD METHOD"}, []string{"ERROR sse: close next=nothing"}},
		"a late Connect": {[]ssetest.Reply{ssetest.Status(503, ""), ssetest.Status(404, "")}, lateConnect(), []string{
			"WARN sse: close next=connect", "WARN sse: trouble", "ERROR sse: close next=nothing",
		}},
	}, func(t *testing.T, test *test) {
		var b bytes.Buffer
		srv := ssetest.New(t, test.replies...)
		srv.Client().Logger = newTextLogger(&b)
		err := srv.Source(test.o).Run()
		if diff := cmp.Diff(test.want, pickLog(b.String(), "next")); diff != "" {
			t.Errorf("Err = %v; log (-want +got):\n%s", err, diff)
		}
	})
}

// lateConnect returns options whose first CloseEvent is used again while the
// source waits.
func lateConnect() sse.Options {
	return sse.Options{Retry: waitsOf(time.Minute), OnClose: func(ev sse.CloseEvent) {
		if !ev.Retriable {
			return
		}
		ev.Connect()
		go func() {
			time.Sleep(time.Second)
			ev.Connect()
			ev.ConnectAfter(0)
		}()
	}}
}

func TestLateConnectDoesNothingAndIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(503, ""), ssetest.Stream(ssetest.Wait(time.Minute), ssetest.Raw(":\n"), ssetest.Hold()))
		var told noteLog
		o := lateConnect()
		o.OnError = func(err error) { told.add("%v", err) }
		log := ssetest.Record(&o)
		src := srv.Source(o)
		src.SelectAll().Events()
		letPass(30 * time.Second)
		if n := len(told.all()); n != 0 {
			t.Errorf("reported %q before the next step", told.all())
		}
		letPass(time.Hour)
		if got := told.all(); len(got) != 1 || !strings.Contains(got[0], "Connect") {
			t.Errorf("OnError was told %q, want one line", got)
		}
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{Gap: time.Minute})
		ssetest.WantCloses(t, log, sse.CloseEvent{Status: 503})
	})
}

func TestConnectOfAnEarlierCloseDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(503, ""), ssetest.Status(502, ""), ssetest.Status(404, ""))
		var first *sse.CloseEvent
		var told noteLog
		err := srv.Source(sse.Options{
			Retry: waitsOf(time.Minute),
			OnClose: func(ev sse.CloseEvent) {
				if first == nil {
					first = &ev
				}
				if ev.Retriable {
					ev.Connect()
				}
				first.ConnectAfter(time.Minute)
				first.Connect()
			},
			OnError: func(err error) { told.add("%v", err) },
		}).Run()
		if !errors.Is(err, sse.ErrStatus) || !containsText(err, "404") || len(told.all()) != 1 {
			t.Errorf("Err = %v, want that of the last close; OnError was told %q", err, told.all())
		}
		ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{Gap: time.Minute}, ssetest.Request{Gap: time.Minute})
	})
}

func TestConnectDoesNothingOnceTheSourceHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Hold()))
		var kept []sse.CloseEvent
		var told noteLog
		src := srv.Source(sse.Options{
			OnClose: func(ev sse.CloseEvent) {
				kept = append(kept, ev)
				ev.Connect() // IsLocal: nothing
				ev.ConnectAfter(0)
			},
			OnError: func(err error) { told.add("%v", err) },
		})
		src.SelectAll().Events()
		synctest.Wait()
		src.Close()
		<-src.Done()
		kept[0].Connect()
		kept[0].ConnectAfter(0)
		letPass(time.Hour)
		if len(kept) != 1 || len(told.all()) != 0 || src.Err() != sse.ErrClosed || len(srv.Requests()) != 1 {
			t.Errorf("%d closes, OnError %q, Err = %v, %d requests", len(kept), told.all(), src.Err(), len(srv.Requests()))
		}
	})
}

// TestIdiomOfTheFirstQuestion has the idiom as users write it.
func TestIdiomOfTheFirstQuestion(t *testing.T) {
	idiom := func(ev sse.CloseEvent) {
		if ev.IsLocal || ev.Status == 401 {
			return
		}
		ev.Connect()
	}
	replies := func(more ...ssetest.Reply) []ssetest.Reply {
		return append([]ssetest.Reply{ssetest.Status(500, ""), ssetest.Refuse(nil), streamOf(numberedEvents(1, 2), ssetest.Reset()), ssetest.Status(404, ""), ssetest.Stream()}, more...)
	}
	closes := []sse.CloseEvent{{Status: 500}, {Err: syscall.ECONNREFUSED}, {Status: 200, Events: 2}, {Status: 404}, {Status: 200, Err: io.EOF}}
	type test struct {
		last  ssetest.Reply
		close sse.CloseEvent
	}
	eachInBubble(t, map[string]test{
		"401":   {ssetest.Status(401, "who?"), sse.CloseEvent{Status: 401, Err: sse.ErrStatus}},
		"Close": {ssetest.Stream(ssetest.Hold()), sse.CloseEvent{Status: 200, IsLocal: true, Err: sse.ErrClosed}},
	}, func(t *testing.T, test test) {
		srv := ssetest.New(t, replies(test.last)...)
		o := sse.Options{OnClose: idiom}
		log := ssetest.Record(&o)
		src := srv.Source(o)
		src.SelectAll().Events()
		letPass(time.Hour)
		src.Close()
		<-src.Done()
		letPass(time.Hour)
		ssetest.WantCloses(t, log, append(closes, test.close)...)
		if !errors.Is(src.Err(), test.close.Err) || src.LastEventID() != "2" {
			t.Errorf("Err = %v, resume id %q", src.Err(), src.LastEventID())
		}
	})
}

func TestBadURLOrOptionsAreTheFirstClose(t *testing.T) {
	type test struct {
		url string
		o   sse.Options
	}
	eachInBubble(t, map[string]test{
		"no scheme":       {"sse.test/feed", sse.Options{}},
		"no host":         {"http://", sse.Options{}},
		"other scheme":    {"ftp://sse.test", sse.Options{}},
		"method":          {"http://sse.test", sse.Options{Method: "A B"}},
		"event size":      {"http://sse.test", sse.Options{MaxEventSize: -1}},
		"overflow":        {"http://sse.test", sse.Options{Overflow: 9}},
		"cursor, oldest":  {"http://sse.test", sse.Options{Overflow: sse.DropOldest, Cursor: loadFunc(nil)}},
		"cursor, newest":  {"http://sse.test", sse.Options{Overflow: sse.DropNewest, Cursor: loadFunc(nil)}},
		"disconnect, -1":  {"http://sse.test", sse.Options{Overflow: sse.Disconnect, Buffer: -1}},
		"header":          {"http://sse.test", sse.Options{Header: http.Header{"A": {"a\nb"}}}},
		"last event id":   {"http://sse.test", sse.Options{LastEventID: "a "}},
		"all that before": {"", sse.Options{Method: " ", MaxEventSize: -1}},
	}, func(t *testing.T, test test) {
		told := 0
		test.o.OnClose = func(ev sse.CloseEvent) {
			told++
			ev.Connect()
			ev.ConnectAfter(0) // no attempt could succeed
		}
		log := ssetest.Record(&test.o)
		src := ssetest.New(t).Client().Source(test.url, test.o)
		if letPass(time.Minute); told != 0 || src.Err() != nil {
			t.Fatal("ended before it was consumed")
		}
		_, err := drainLoop(src.All())
		if err == nil || err != src.Err() || !strings.HasPrefix(err.Error(), "sse: ") {
			t.Errorf("the loop got %v, Err = %v", err, src.Err())
		}
		if closes := log.Closes(); len(closes) != 1 || closes[0].Status != 0 || closes[0].Retriable || closes[0].IsLocal || !errors.Is(err, closes[0].Err) {
			t.Errorf("closes %v, want one with status 0, fatal", closes)
		}
	})
}

func TestSourceNeverPrintsASecret(t *testing.T) {
	src := sse.SourceContext(t.Context(), "http://user:secret@sse.test/?q=secret", sse.Options{LastEventID: "7", Body: []byte("secret")})
	defer src.Close()
	text := fmt.Sprintf("%v %+v %#v %s", src, src, src, src)
	var b bytes.Buffer
	newTextLogger(&b).Info("source", "src", src)
	if text += b.String(); strings.Contains(text, "secret") || strings.Count(text, `last event id "7"`) != 4 {
		t.Errorf("a source prints %s", text)
	}
}

func TestEventsOfAConnectionPrintInOneLine(t *testing.T) {
	for _, test := range []struct {
		ev    fmt.Stringer
		words string // one by one
	}{
		{sse.CloseEvent{Status: 503, Err: sse.ErrStatus, Retriable: true, Attempt: 2, Delay: time.Minute}, "retriable 503 refused 1m0s 2"},
		{sse.CloseEvent{Status: 401, Err: sse.ErrStatus}, "fatal 401 Unauthorized refused"},
		{sse.CloseEvent{Status: 599, Err: sse.ErrStatus}, "fatal 599"},
		{sse.CloseEvent{Status: 200, Err: io.EOF, Events: 1}, "ended 200 1 event cleanly"},
		{sse.CloseEvent{Status: 204, Err: io.EOF}, "ended 204 stop"},
		{sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed, Events: 2}, "this side 2 events closed"},
		{sse.OpenEvent{Status: 200, Attempt: 1, LastEventID: "a\nb"}, `open 200 OK 1 failed "a\nb"`},
	} {
		text := test.ev.String()
		for word := range strings.FieldsSeq(test.words) {
			if !strings.Contains(text, word) || strings.Contains(text, "\n") || fmt.Sprintf("%+v", test.ev) != text {
				t.Errorf("%+v prints %q, want %q in one line", test.ev, text, test.words)
			}
		}
	}
}
