// Resume goes on where its last run stopped, with a cursor in a file.
//
//	go run ./examples/resume            handles 5 events of a feed of its own
//	go run ./examples/resume            the next 5
//	go run ./examples/resume -n 2 -cursor /var/lib/app/feed.cursor
//
// Stop it at any moment, with kill -9 too: the next run begins with the first
// event that was not acknowledged. To start over, delete the file.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/cursor"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout)) }

func run(ctx context.Context, args []string, stdout io.Writer) int {
	flags := flag.NewFlagSet("resume", flag.ContinueOnError)
	path := flags.String("cursor", filepath.Join(os.TempDir(), "sse-examples-resume.cursor"), "`file` that keeps the position")
	n := flags.Int("n", 5, "`events` to handle")
	if flags.Parse(args) != nil {
		return 2
	}
	feed := httptest.NewServer(http.HandlerFunc(count))
	defer feed.Close()
	fmt.Fprintf(stdout, "cursor: %s (delete it to start over)\n", *path)
	if err := handle(ctx, feed.URL, cursor.File(*path), *n, stdout); err != nil {
		fmt.Fprintln(stdout, "failed:", err)
		return 1
	}
	return 0
}

// handle handles the next n events of a feed.
func handle(ctx context.Context, url string, c sse.Cursor, n int, stdout io.Writer) error {
	// The source would try again and again to load it; here nobody mends it.
	if _, err := c.Load(ctx); err != nil {
		return err
	}
	src := sse.SourceContext(ctx, url, sse.Options{
		Cursor: c, // loaded before the first request
		OnOpen: func(ev sse.OpenEvent) {
			if ev.LastEventID == "" {
				fmt.Fprintln(stdout, "opened at the beginning")
			} else {
				fmt.Fprintln(stdout, "resumed after id", ev.LastEventID)
			}
		},
	})
	for ev, err := range src.All() {
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, "handled", ev.Data)
		// Only now: an event whose handling was interrupted comes again.
		if err := src.Ack(ev); err != nil {
			return err
		}
		if n--; n <= 0 {
			break
		}
	}
	return nil
}

// count is the feed: it counts from the last event id for ever.
func count(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	id, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	for r.Context().Err() == nil {
		id++
		fmt.Fprintf(w, "id: %d\ndata: order %d\n\n", id, id)
	}
}
