package sveltekit_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/sveltekit"
)

// A server of sveltekit-sse up to 0.12 names the stream: its data is decoded,
// and beacons keep it open.
func ExampleSource() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Sse-Id", "s1")
		io.WriteString(w, "id: 1\nevent: message\ndata: 100%25\n\n")
	}))
	defer srv.Close()
	for ev := range sveltekit.Source(srv.URL, sse.Options{Retry: sse.NoRetry}).Select("message").Events() {
		fmt.Println(ev.Data)
	}
	// Output: 100%
}

// Nothing tells that a server of 0.13.0 to 0.13.11 encodes its data.
func ExampleConfig() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "id: 1\ndata: a%2Fb\n\n")
	}))
	defer srv.Close()
	config := sveltekit.Config{Decode: true, Beacon: 30 * time.Second}
	for ev := range config.Source(context.Background(), srv.URL, sse.Options{Retry: sse.NoRetry}).All() {
		fmt.Println(ev.Data)
	}
	// Output: a/b
}
