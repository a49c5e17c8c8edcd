package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
)

// startFeed starts the demo's feed: six orders, one of them garbled, and then
// a 204. Its first token, t1, is good for one connection.
func startFeed() *httptest.Server {
	var valid atomic.Int32 // number of the token
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "t%d", valid.Add(1))
	})
	expired := func(r *http.Request) bool {
		return r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", valid.Load())
	}
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		after, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
		switch {
		case expired(r):
			http.Error(w, "token expired", http.StatusUnauthorized)
			return
		case after >= 6:
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "retry: 100\n\n")
		for id := after + 1; id <= after+3; id++ {
			data := fmt.Sprintf(`{"item":"cup","count":%d}`, id)
			if id == 2 {
				data = "two cups"
			}
			fmt.Fprintf(w, "event: order\nid: %d\ndata: %s\n\n", id, data)
		}
		valid.CompareAndSwap(1, 2) // nobody has t2 yet
	})
	return httptest.NewServer(mux)
}
