package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wellspring-go/sse"
)

const (
	pace  = 250 * time.Millisecond // between events
	cutAt = 4                      // the event that is cut the first time
)

// script is what the feed sends. The ids count from 1.
var script = []sse.Event{
	{ID: "1", Name: "price", Data: `{"symbol":"ACME","price":12.50}`},
	{ID: "2", Name: "price", Data: `{"symbol":"ACME","price":12.75}`},
	{ID: "3", Name: "halt", Data: `{"symbol":"ACME","reason":"news pending"}`},
	{ID: "4", Name: "news", Data: "ACME and Emca merge.\nTrading goes on at noon."},
	{ID: "5", Name: "price", Data: `{"symbol":"ACME","price":14.10}`},
	{ID: "6", Name: "price", Data: `{"symbol":"ACME","price":14.05}`},
	{ID: "7", Name: "stop", Data: "the market has closed"},
}

// demo follows a feed that is served on l, and reached by c, and compares what
// arrived with what the feed had. Then it asks for what is refused for good.
func demo(ctx context.Context, l net.Listener, c *sse.Client, p *printer) int {
	server := &http.Server{
		Handler:           &feed{say: func(text string) { p.line("server", "* "+text) }},
		ReadHeaderTimeout: time.Minute,
	}
	go server.Serve(l) // until Close
	defer server.Close()
	base := "http://" + l.Addr().String()

	fmt.Fprintf(p.out, "A feed of stock prices on %s. Lines with * are the server's.\n\n", base)
	var got []sse.Event
	code := follow(ctx, c, base+"/prices", sse.Options{
		EndOn:   func(ev sse.Event) bool { return ev.Name == "stop" },
		OnEvent: func(ev sse.Event) { got = append(got, ev) },
	}, p)
	if ctx.Err() != nil || code != 0 {
		return code
	}
	want := script[:len(script)-1] // stop is not delivered
	verdict := "resumed with none lost, none twice"
	if !slices.Equal(got, want) {
		verdict, code = "that is WRONG", 1
	}
	fmt.Fprintf(p.out, "\nThe feed had %d events, %d arrived: %s.\nNow a feed that wants a token, without one.\n\n", len(want), len(got), verdict)

	if follow(ctx, c, base+"/private", sse.Options{}, p) == 0 && ctx.Err() == nil {
		return 1 // it let us in
	}
	return code
}

// A feed is a server with the faults of real ones: it cuts the first stream in
// the middle of an event and refuses the second attempt. It honours
// Last-Event-ID.
type feed struct {
	say      func(string)
	requests atomic.Int32
}

func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/prices" {
		f.say("refuses: 401, no token")
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	}
	n := f.requests.Add(1)
	if n == 2 {
		f.say("is busy: 503")
		w.Header().Set("Retry-After", "1")
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	fmt.Fprint(w, "retry: 500\n\n")
	after, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	for i, ev := range script[min(max(after, 0), len(script)):] {
		if i == 2 {
			fmt.Fprint(w, ": heartbeat\n\n")
		}
		out.Flush()
		select {
		case <-time.After(pace):
		case <-r.Context().Done():
			return
		}
		text := encode(ev)
		if n == 1 && ev.ID == strconv.Itoa(cutAt) {
			f.say("cuts the connection in the middle of event " + ev.ID)
			fmt.Fprint(w, text[:len(text)-10])
			out.Flush()
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, text)
		out.Flush()
	}
}

// encode writes an event as a server does: a data field for each line.
func encode(ev sse.Event) string {
	data := strings.ReplaceAll(ev.Data, "\n", "\ndata: ")
	return fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", ev.ID, ev.Name, data)
}
