// Service is a small program that lives on a feed: it shuts down gracefully,
// renews its token when the feed says 401, notices dead connections, decides
// in one place what is fatal, and logs with slog.
//
//	go run ./examples/service           a feed of its own, whose token expires, for a second
//	go run ./examples/service -url https://example.com/orders -tokens https://example.com/token
//
// It exits with 0 if the feed or a signal ended it, with 1 if the end was fatal.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/wellspring-go/sse"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout))
}

func run(ctx context.Context, args []string, stdout io.Writer) int {
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	url := flags.String("url", "", "the feed; without it a demo is run")
	tokens := flags.String("tokens", "", "answers a POST with a token for the feed; without it none is sent")
	if flags.Parse(args) != nil {
		return 2
	}
	if *url == "" {
		demo := startFeed()
		defer demo.Close()
		*url, *tokens = demo.URL+"/orders", demo.URL+"/token"
	}
	log := slog.New(slog.NewTextHandler(stdout, nil))
	if err := serve(ctx, *url, &credentials{url: *tokens}, log); err != nil {
		log.Error("giving up", "err", err)
		return 1
	}
	log.Info("bye")
	return 0
}

// order is the data of the feed's events.
type order struct {
	Item  string
	Count int
}

// serve handles orders until ctx ends or the feed says stop, which is no
// error, or until the feed has ended for good.
func serve(ctx context.Context, url string, c *credentials, log *slog.Logger) error {
	// The logger gets every open and close, and what follows it.
	client := &sse.Client{Logger: log}
	src := client.SourceContext(ctx, url, sse.Options{
		IdleTimeout: 45 * time.Second, // the feed has a heartbeat of 15 s, say
		Prepare:     c.prepare,
		OnOpen:      func(sse.OpenEvent) { c.fresh = false },
		OnClose: func(ev sse.CloseEvent) {
			switch {
			case ev.IsLocal: // shutdown
			case ev.Status == http.StatusUnauthorized && c.expire():
				ev.ConnectAfter(0) // prepare gets another token
			case ev.Retriable:
				ev.Connect()
			default: // fatal, or the feed says stop: the source stays closed
			}
		},
	})
	for m, err := range sse.JSON[order](src.Select("order").All()) {
		var garbled *sse.DecodeError
		switch {
		case errors.As(err, &garbled):
			log.Warn("skipped", "id", m.ID, "err", err)
		case err != nil && ctx.Err() != nil:
			log.Info("shutting down", "why", err)
		case err != nil:
			return err
		default:
			log.Info("order", "id", m.ID, "item", m.Value.Item, "count", m.Value.Count)
		}
	}
	return nil
}
