package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// maxReconnectRatio is how long the first reconnect may take, as a
	// multiple of the quickest client's.
	maxReconnectRatio = 1.3
	quickestReader    = "launchdarkly/eventsource"
	fewReconnects     = 200
	manyReconnects    = 1000
)

// A reconnectRow is how long one client takes from the last event of a
// connection that is cut to the first event of the next.
type reconnectRow struct {
	Reader  string
	Samples []time.Duration // sorted
}

// quantile returns the sample below which a share q of them lies.
func (r reconnectRow) quantile(q float64) time.Duration {
	if len(r.Samples) == 0 {
		return 0
	}
	return r.Samples[int(q*float64(len(r.Samples)-1))]
}

// reconnectRoutes serves a stream that is cut behind its first event, which
// every client takes for a network error, and goes on when it is asked for
// again.
func reconnectRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /reconnect", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if r.Header.Get("Last-Event-ID") != "1" {
			_ = sendNow(w, "id: 1\ndata: first\n\n") // cut it is in any case
			panic(http.ErrAbortHandler)
		}
		if sendNow(w, "id: 2\ndata: second\n\n") == nil {
			<-r.Context().Done()
		}
	})
}

// measureReconnect measures the first reconnect of each client that has one,
// a sample of each in turn, so that all meet the same load.
func measureReconnect(ctx context.Context, o options) ([]reconnectRow, error) {
	url, stop, err := startServer(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	samples := manyReconnects
	if o.quick {
		samples = fewReconnects
	}
	readers := slices.DeleteFunc(lastingReaders(), func(r lastingReader) bool {
		return r.name == floorName || r.name != quickestReader && !o.wants("reconnect", "cut", r.name)
	})
	return reconnectInTurn(ctx, url+"/reconnect", readers, samples)
}

func reconnectInTurn(ctx context.Context, url string, readers []lastingReader, samples int) ([]reconnectRow, error) {
	rows := make([]reconnectRow, len(readers))
	clients := make([]*http.Client, len(readers))
	for i, r := range readers {
		rows[i].Reader = r.name
		clients[i] = &http.Client{Transport: &http.Transport{}}
	}
	for n := range samples + 1 {
		for i, r := range readers {
			d, err := reconnectOnce(ctx, r, clients[i], url)
			if err != nil {
				return rows, fmt.Errorf("reconnect of %s: %w", r.name, err)
			}
			if n > 0 { // the first of each warms up
				rows[i].Samples = append(rows[i].Samples, d)
			}
		}
	}
	for _, row := range rows {
		slices.Sort(row.Samples)
	}
	return rows, nil
}

// reconnectOnce opens a stream with a client that has not failed yet, and
// leaves when the second event is there.
func reconnectOnce(ctx context.Context, r lastingReader, hc *http.Client, url string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var at [2]time.Time
	events := 0
	got := func() {
		if events < len(at) {
			at[events] = time.Now()
		}
		if events++; events == len(at) {
			cancel()
		}
	}
	err := r.read(ctx, hc, url, got)
	switch {
	case events >= len(at):
		return at[1].Sub(at[0]), nil
	case err == nil:
		err = errors.New("the client stopped")
	}
	return 0, fmt.Errorf("%d of 2 events: %w", events, err)
}

// reconnectShortfalls names what takes longer than it may, with the tolerance
// of every target.
func reconnectShortfalls(rows []reconnectRow) []string {
	base := quickestMedian(rows)
	if base == 0 {
		return nil
	}
	var short []string
	for _, row := range rows {
		reader, err := lastingReaderOf(row.Reader)
		ratio := float64(row.quantile(0.5)) / float64(base)
		if err == nil && reader.ours && ratio > maxReconnectRatio*tolerance {
			short = append(short, fmt.Sprintf("first reconnect, %s: %.2f times %s, at most %g",
				row.Reader, ratio, quickestReader, maxReconnectRatio))
		}
	}
	return short
}

func quickestMedian(rows []reconnectRow) time.Duration {
	for _, row := range rows {
		if row.Reader == quickestReader {
			return row.quantile(0.5)
		}
	}
	return 0
}

// writeReconnect prints the rows as a table.
func writeReconnect(w *strings.Builder, rows []reconnectRow) {
	fmt.Fprintf(w, "| first reconnect, %v schedule | samples | median ms | min ms | p90 ms | times launchdarkly |\n", retryAfter)
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|")
	base := quickestMedian(rows)
	for _, row := range rows {
		ratio := "" // without the other there is none
		if base > 0 {
			ratio = fmt.Sprintf("%.2f", float64(row.quantile(0.5))/float64(base))
		}
		fmt.Fprintf(w, "| %s | %d | %.2f | %.2f | %.2f | %s |\n", row.Reader, len(row.Samples),
			milliseconds(row.quantile(0.5)), milliseconds(row.quantile(0)), milliseconds(row.quantile(0.9)), ratio)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
