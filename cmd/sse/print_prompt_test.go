package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// An event must not wait for the next one, in whatever way output is written.
func TestAnEventIsPrintedBeforeTheNextComes(t *testing.T) {
	printed := make(chan chan struct{}, 1) // that of the connection which is open
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		next := make(chan struct{}) // of its own, as the handler before may not have ended
		printed <- next
		for i := 0; ; i++ {
			fmt.Fprintf(w, "id: %d\ndata: %d\n\n", i, i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer server.Close()
	for _, args := range [][]string{
		{"-o", "data"},
		{"-o", "data", "-q", "."},
		{"-o", "data", "--until", "false"},
		{"-o", "data", "--show", "comment"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		root := newRoot()
		root.SetArgs(append(args, server.URL))
		root.SetOut(w)
		root.SetErr(io.Discard)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = root.ExecuteContext(ctx) // cancelled
			w.Close()
		}()
		next := <-printed
		lines := bufio.NewScanner(r)
		for i := range 3 {
			if !lines.Scan() || lines.Text() != strconv.Itoa(i) {
				t.Fatalf("%q: line %d is %q, %v", args, i, lines.Text(), lines.Err())
			}
			if i < 2 {
				next <- struct{}{}
			}
		}
		cancel()
		<-ended
	}
}
