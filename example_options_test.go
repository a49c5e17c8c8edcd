package sse_test

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/wellspring-go/sse"
)

func ExampleOptions_prepare() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer fresh" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: welcome\n\n")
	}))
	defer srv.Close()
	token := "stale"
	src := sse.Source(srv.URL, sse.Options{
		Prepare: func(req *http.Request, _ sse.CloseEvent) error {
			req.Header.Set("Authorization", "Bearer "+token)
			return nil
		},
		OnClose: func(ev sse.CloseEvent) {
			if ev.Status == http.StatusUnauthorized && ev.Attempt == 1 {
				token = "fresh"    // from wherever tokens come
				ev.ConnectAfter(0) // there is nothing to wait for
			} // else the fresh one was refused too
		},
	})
	for ev := range src.All() {
		fmt.Println(ev.Data)
	}
	// Output: welcome
}

func ExampleOptions_endOn() {
	srv := feed("data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{
		Body:    []byte(`{"prompt":"greet","stream":true}`),
		EndOn:   func(ev sse.Event) bool { return ev.Data == "[DONE]" },
		OnClose: func(ev sse.CloseEvent) { fmt.Println("\nlocal:", ev.IsLocal, "final:", ev.Final.Data) },
	})
	for ev, err := range src.All() {
		if err != nil { // also if the stream ends before [DONE]
			fmt.Println("failed:", err)
			break
		}
		fmt.Print(ev.Data)
	}
	// Output:
	// Hello
	// local: true final: [DONE]
}

func ExampleOptions_onOpen() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if r.Method == "POST" {
			w.Header().Set("Session", "s1")
		}
		fmt.Fprintf(w, "id: 1\ndata: %s of session %q\n\n", r.Method, r.Header.Get("Session"))
	}))
	defer srv.Close()
	session := ""
	src := sse.Source(srv.URL, sse.Options{
		Body:   []byte(`{"method":"subscribe"}`),
		Retry:  sse.RetryPolicy{BackOff: quick},
		OnOpen: func(ev sse.OpenEvent) { session = cmp.Or(ev.Header.Get("Session"), session) },
		Prepare: func(req *http.Request, _ sse.CloseEvent) error {
			if session != "" {
				req.Method, req.Body, req.GetBody, req.ContentLength = "GET", nil, nil, 0
				req.Header.Set("Session", session)
			}
			return nil
		},
	})
	for ev := range src.All() {
		if fmt.Println(ev.Data); ev.Data[0] == 'G' {
			break
		}
	}
	// Output:
	// POST of session ""
	// GET of session "s1"
}

func ExampleOptions_idleTimeout() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, ": the last word\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{
		IdleTimeout: 20 * time.Millisecond, // in real life: 45 * time.Second, say
		OnComment:   func(text string) { fmt.Println(text) },
		OnClose:     func(ev sse.CloseEvent) { fmt.Println(ev.Err, ev.Retriable) },
	})
	src.Run()
	// Output:
	//  the last word
	// sse: server is silent: no byte for 20ms (Options.IdleTimeout) true
}

func ExampleOptions_onRetry() {
	srv := feed("retry: 3000\n\ndata: x\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{
		Retry:   sse.NoRetry,
		OnRetry: func(d time.Duration) { fmt.Println("reconnection time:", d) },
	})
	for ev := range src.All() {
		fmt.Println(ev.Data)
	}
	// Output:
	// reconnection time: 3s
	// x
}

func ExampleOptions_transform() {
	srv := feed("data: SGVsbG8=\n\ndata: ?\n\n")
	defer srv.Close()
	src := sse.Source(srv.URL, sse.Options{
		Retry: sse.NoRetry,
		Transform: func(ev sse.Event) (sse.Event, error) {
			b, err := base64.StdEncoding.DecodeString(ev.Data)
			ev.Data = string(b)
			return ev, err // on an error the event is delivered as it was
		},
		OnError: func(err error) { fmt.Println("trouble:", err) },
	})
	for ev := range src.All() {
		fmt.Println(ev.Data)
	}
	// Output:
	// Hello
	// trouble: illegal base64 data at input byte 0
	// ?
}
