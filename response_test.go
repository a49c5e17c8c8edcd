package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// respond makes the response of a network that is a function.
func respond(req *http.Request, status int, header http.Header, body string) *http.Response {
	return &http.Response{
		Status: fmt.Sprintf("%d Phrase", status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// answers returns a client that always gets the same answer.
func answers(status int, header http.Header, body string) *sse.Client {
	return clientOf(func(req *http.Request) (*http.Response, error) {
		return respond(req, status, header.Clone(), body), nil
	})
}

func TestStatusDecidesWhatIsRetriable(t *testing.T) {
	const fatal, retriable = false, true
	for status, want := range map[int]bool{
		101: fatal,
		201: fatal, 202: fatal, 203: fatal, 205: fatal, 206: fatal, 226: fatal, 299: fatal,
		300: fatal, 301: fatal, 302: fatal, 303: fatal, 304: fatal, 305: fatal, 306: fatal, 307: fatal, 308: fatal, 399: fatal,
		400: fatal, 401: fatal, 402: fatal, 403: fatal, 404: fatal, 405: fatal, 406: fatal, 407: fatal, 409: fatal, 410: fatal,
		411: fatal, 412: fatal, 413: fatal, 414: fatal, 415: fatal, 416: fatal, 417: fatal, 418: fatal, 421: fatal, 422: fatal,
		423: fatal, 424: fatal, 426: fatal, 428: fatal, 431: fatal, 451: fatal, 499: fatal,
		408: retriable, 425: retriable, 429: retriable,
		500: retriable, 502: retriable, 503: retriable, 504: retriable, 506: retriable, 507: retriable, 508: retriable,
		510: retriable, 511: retriable, 520: retriable, 529: retriable, 599: retriable,
		501: fatal, 505: fatal,
		600: fatal, 999: fatal,
	} {
		for _, method := range []string{"GET", "POST"} {
			ev := closeOf(t, answers(status, http.Header{"X-Key": {"v"}, "Content-Type": {"text/event-stream"}}, "data: x\n\n"), "http://sse.test/", sse.Options{Method: method})
			if ev.Status != status || ev.StatusText != "Phrase" || ev.Header.Get("X-Key") != "v" || ev.Events != 0 || ev.IsLocal || !ev.Resumable {
				t.Errorf("%s %d: got %+v", method, status, ev)
			}
			if !errors.Is(ev.Err, sse.ErrStatus) || errors.Is(ev.Err, io.EOF) {
				t.Errorf("%s %d: Err %v", method, status, ev.Err)
			}
			if ev.Retriable != want || sse.DefaultRetriable(ev) != want {
				t.Errorf("%s %d: Retriable %t, want %t", method, status, ev.Retriable, want)
			}
			if sse.StandardRetriable(ev) {
				t.Errorf("%s %d: the standard does not retry it", method, status)
			}
		}
	}
}

func TestNoContentIsTheServersStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Status(204, ""), ssetest.Status(204, ""))
		ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{})
		if ev.Err != io.EOF || ev.Status != 204 || ev.Retriable || sse.StandardRetriable(ev) || sse.DefaultRetriable(ev) {
			t.Errorf("got %+v", ev)
		}
		src := srv.Source(sse.Options{EndOn: func(sse.Event) bool { return false }})
		for ev, err := range src.All() {
			t.Errorf("the loop yields %v, %v", ev, err)
		}
		if err := src.Err(); err != io.EOF {
			t.Errorf("Err: %v, want io.EOF itself", err)
		}
	})
}

func TestMediaTypeDecidesWhatIsAStream(t *testing.T) {
	for _, media := range []string{
		"text/event-stream", "text/event-stream;charset=utf-8", "text/event-stream; charset=UTF-8", "Text/Event-Stream",
		"text/event-stream ; charset=utf-8", " text/event-stream", "text/event-stream; charset=latin1", "text/event-stream;", "text/event-stream;;x",
	} {
		opened := 0
		o := sse.Options{OnOpen: func(ev sse.OpenEvent) {
			if opened++; ev.Status != 200 || ev.StatusText != "Phrase" || ev.Header.Get("Content-Type") != media {
				t.Errorf("%q: OnOpen got %+v", media, ev)
			}
		}}
		ev := closeOf(t, answers(200, http.Header{"Content-Type": {media}}, "data: x\n\n"), "http://sse.test/", o)
		if ev.Err != io.EOF || ev.Events != 1 || opened != 1 {
			t.Errorf("%q: got %v, %d opens", media, ev, opened)
		}
	}
	for media, named := range map[string]string{
		"": "no content type", "text/html": "text/html", "text/html; charset=utf-8": "text/html", "application/json": "application/json",
		"text/plain": "text/plain", "text/event-streams": "text/event-streams", "text/event": "text/event", "event-stream": "event-stream",
		"application/x-ndjson": "application/x-ndjson", "TEXT/HTML": "text/html", "text/event-stream, text/html": "text/event-stream, text/html",
		"application/" + strings.Repeat("x", 9999): "application/xxx",
	} {
		header := http.Header{}
		if media != "" {
			header.Set("Content-Type", media)
		}
		o := sse.Options{OnOpen: func(sse.OpenEvent) { t.Errorf("%.40q was opened", media) }}
		ev := closeOf(t, answers(200, header, "data: x\n\n"), "http://sse.test/", o)
		if !errors.Is(ev.Err, sse.ErrContentType) || ev.Status != 200 || ev.Retriable || sse.StandardRetriable(ev) {
			t.Errorf("%.40q: got %v", media, ev)
		}
		if !containsAll(ev.Err.Error(), named, "want text/event-stream") || len(ev.Err.Error()) > 400 {
			t.Errorf("%.40q: the text %q does not name the type found", media, ev.Err)
		}
	}
}

func TestErrorOfCheckResponseCountsLikeOneOfPrepare(t *testing.T) {
	for name, c := range hookErrors {
		t.Run(name, func(t *testing.T) {
			for _, status := range []int{200, 418} {
				o := sse.Options{CheckResponse: func(*http.Response) error { return c.err }}
				ev := closeOf(t, answers(status, http.Header{"Content-Type": {"text/event-stream"}}, ""), "http://sse.test/", o)
				if ev.Retriable != c.retriable || ev.Status != status || !errors.Is(ev.Err, errToken) || ev.Header == nil {
					t.Errorf("%d: got %+v, want retriable %t", status, ev, c.retriable)
				}
			}
		})
	}
	for status, retriable := range map[int]bool{503: true, 404: false} {
		o := sse.Options{CheckResponse: func(resp *http.Response) error {
			if err := sse.CheckResponse(resp); err != nil {
				return fmt.Errorf("wrapped: %w", err)
			}
			return nil
		}}
		ev := closeOf(t, answers(status, nil, "why"), "http://sse.test/", o)
		var refused *sse.ResponseError
		if ev.Retriable != retriable || !errors.As(ev.Err, &refused) || string(refused.Body) != "why" {
			t.Errorf("the default's error, wrapped, for %d: %+v", status, ev)
		}
	}
}

func TestCheckResponseMayAcceptWhatTheDefaultRefuses(t *testing.T) {
	for _, status := range []int{200, 201, 206, 404, 500} {
		var seen int
		o := sse.Options{CheckResponse: func(resp *http.Response) error {
			seen = resp.StatusCode
			return nil
		}}
		opened := 0
		o.OnOpen = func(ev sse.OpenEvent) { opened = ev.Status }
		ev := closeOf(t, answers(status, http.Header{"Content-Type": {"text/plain"}}, "id: 1\ndata: x\n\n"), "http://sse.test/", o)
		if ev.Events != 1 || ev.Err != io.EOF || !ev.Retriable || ev.Status != status || opened != status || seen != status {
			t.Errorf("%d: got %+v, opened %d, seen %d", status, ev, opened, seen)
		}
	}
}

func TestCheckResponseReadsNoBody(t *testing.T) {
	for _, status := range []int{200, 204, 404, 500} {
		resp := respond(nil, status, http.Header{"Content-Type": {"text/html"}}, "") //nolint:bodyclose // it is replaced
		resp.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
			t.Errorf("%d: the body was read", status)
			return 0, io.EOF
		}))
		var refused *sse.ResponseError
		if err := sse.CheckResponse(resp); !errors.As(err, &refused) || refused.Status != status {
			t.Errorf("%d: got %v, want a *ResponseError", status, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestResponseErrorTellsWhatWasAnsweredToWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Redirect(307, "/moved?token=secret#top"),
			ssetest.Status(418, "short and stout").With("X-Pot", "tea"),
		)
		ev := closeOf(t, srv.Client(), "http://user:secret@sse.test/feed", sse.Options{Method: "PUT"})
		var got *sse.ResponseError
		if !errors.As(ev.Err, &got) || !errors.Is(got, sse.ErrStatus) {
			t.Fatalf("got %v", ev.Err)
		}
		if got.Header.Get("X-Pot") != "tea" {
			t.Errorf("Header %v", got.Header)
		}
		got.Header, got.Err = nil, nil
		want := &sse.ResponseError{
			Method: "PUT", URL: "http://xxxxx@sse.test/moved?token=xxxxx", Status: 418, StatusText: "I'm a teapot", Body: []byte("short and stout"),
		}
		if diff := cmp.Diff(*want, *got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestResponseErrorNeedsNoRequestInTheResponse(t *testing.T) {
	// http.RoundTripper does not demand Response.Request; recorders and
	// middleware leave it out.
	client := clientOf(func(req *http.Request) (*http.Response, error) {
		resp := respond(req, 405, nil, "")
		resp.Request = nil
		return resp, nil
	})
	ev := closeOf(t, client, "http://sse.test/feed", sse.Options{})
	var got *sse.ResponseError
	if !errors.As(ev.Err, &got) || got.Method != "POST" || got.URL != "http://sse.test/feed" {
		t.Errorf("got %+v, want the method and the URL", ev.Err)
	}
}

func TestBodyOfARefusalIsReadWithinBounds(t *testing.T) {
	dripping := func(n int) (steps []ssetest.Step) {
		for range n {
			steps = append(steps, ssetest.Raw("x"), ssetest.Wait(1200*time.Millisecond)) // none at the very end of the 5 s
		}
		return steps
	}
	long := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		reply ssetest.Reply
		body  string
		took  time.Duration
	}{
		"none":        {ssetest.Reply{Status: 500}, "", 0},
		"short":       {ssetest.Status(500, "why"), "why", 0},
		"long":        {ssetest.Status(500, long), long[:4<<10], 0},
		"endless":     {ssetest.Reply{Status: 500, Steps: append([]ssetest.Step{ssetest.Raw(long)}, ssetest.Hold())}, long[:4<<10], 0},
		"dripping":    {ssetest.Reply{Status: 500, Steps: dripping(100)}, "xxxxx", 5 * time.Second},
		"hanging":     {ssetest.Reply{Status: 500, Steps: []ssetest.Step{ssetest.Hold()}}, "", 5 * time.Second},
		"in time":     {ssetest.Reply{Status: 500, Steps: dripping(3)}, "xxx", 3600 * time.Millisecond},
		"cut":         {ssetest.Reply{Status: 500, Steps: []ssetest.Step{ssetest.Raw("x"), ssetest.Reset()}}, "x", 0},
		"of a page":   {ssetest.Status(200, "<html>"), "<html>", 0},
		"of encoding": {ssetest.Stream(ssetest.Raw("br")).With("Content-Encoding", "br"), "br", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, c.reply)
				begin := time.Now()
				ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{IdleTimeout: time.Second})
				var got *sse.ResponseError
				if !errors.As(ev.Err, &got) {
					t.Fatalf("got %v", ev.Err)
				}
				if took := time.Since(begin); string(got.Body) != c.body || took != c.took {
					t.Errorf("%d bytes %.20q after %v, want %d after %v", len(got.Body), got.Body, took, len(c.body), c.took)
				}
			})
		})
	}
}

func TestOpenEventTellsOfTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Status(503, ""), ssetest.Refuse(nil),
			ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "a"})).With("X-Key", "v"), ssetest.Stream(), ssetest.Stream(),
		)
		var got []sse.OpenEvent
		o := sse.Options{LastEventID: "0", OnOpen: func(ev sse.OpenEvent) { got = append(got, ev) }}
		closesOf(t, srv.Client(), srv.URL(), o, 5)
		if got[0].Header.Get("X-Key") != "v" {
			t.Errorf("Header %v", got[0].Header)
		}
		for i := range got {
			got[i].Header = nil
		}
		want := []sse.OpenEvent{
			{Status: 200, StatusText: "OK", Attempt: 2, LastEventID: "0"},
			{Status: 200, StatusText: "OK", Attempt: 0, LastEventID: "a"},
			{Status: 200, StatusText: "OK", Attempt: 1, LastEventID: "a"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// io.EOF means a clean end or a 204, and nothing that a hook says.
func TestEOFOfAHookIsNoCleanEnd(t *testing.T) {
	eof := func() error { return fmt.Errorf("token file: %w", io.EOF) }
	for name, o := range map[string]sse.Options{
		"Prepare":       {Prepare: func(*http.Request, sse.CloseEvent) error { return eof() }},
		"CheckResponse": {CheckResponse: func(*http.Response) error { return eof() }},
		"Permanent":     {CheckResponse: func(*http.Response) error { return sse.Permanent(io.EOF) }},
		"Cursor":        {Cursor: eofCursor{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t)
				if name == "CheckResponse" || name == "Permanent" {
					srv.Then(ssetest.Stream())
				}
				ev := closeOf(t, srv.Client(), srv.URL(), o)
				if errors.Is(ev.Err, io.EOF) || !errors.Is(ev.Err, io.ErrUnexpectedEOF) || ev.Retriable != (name != "Permanent") {
					t.Errorf("got %v", ev)
				}
			})
		})
	}
}

type eofCursor struct{}

func (eofCursor) Load(context.Context) (string, error) { return "", io.EOF }
func (eofCursor) Save(context.Context, string) error   { return nil }
