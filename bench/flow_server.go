package main

import (
	"context"
	"net/http"
	"sync"
)

// endOfGate is added to a gate's name for the gate in front of the end.
const endOfGate = "-end"

// gates hold back the handlers of streams that are to start together.
type gates struct {
	mu   sync.Mutex
	open map[string]chan struct{}
}

func (g *gates) of(name string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[name] == nil {
		g.open[name] = make(chan struct{})
	}
	return g.open[name]
}

// wait waits for a gate, as long as there is a client.
func (g *gates) wait(ctx context.Context, name string) {
	select {
	case <-g.of(name):
	case <-ctx.Done():
	}
}

// growthRoutes serves flows, and opens their gates.
func growthRoutes(mux *http.ServeMux) {
	all := gates{open: map[string]chan struct{}{}}
	mux.HandleFunc("GET /growth", func(w http.ResponseWriter, r *http.Request) {
		f := flowOf(r)
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w).Flush
		if f.Gate != "" {
			if flush() != nil {
				return
			}
			all.wait(r.Context(), f.Gate)
			defer all.wait(r.Context(), f.Gate+endOfGate)
		}
		_ = f.write(w, flush) // it fails if the client has left
	})
	mux.HandleFunc("POST /growth", func(_ http.ResponseWriter, r *http.Request) {
		close(all.of(r.FormValue("gate")))
	})
}
