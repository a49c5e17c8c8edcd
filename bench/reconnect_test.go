package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEachClientReconnectsWithTheID(t *testing.T) {
	t.Parallel()
	url, stop, err := startServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	readers := slices.DeleteFunc(lastingReaders(), func(r lastingReader) bool { return r.name == floorName })
	rows, err := reconnectInTurn(t.Context(), url+"/reconnect", readers, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		if row.Reader != readers[i].name || len(row.Samples) != 2 || row.Samples[0] <= 0 {
			t.Errorf("got %+v, want 2 samples of %s", row, readers[i].name)
		}
	}
}

func TestReconnectOfAClientThatDoesNotIsAnError(t *testing.T) {
	t.Parallel()
	url, stop, err := startServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, err = reconnectInTurn(t.Context(), url+"/reconnect", lastingReaders()[:1], 1)
	if err == nil || !strings.Contains(err.Error(), "1 of 2 events") {
		t.Errorf("got %v of a loop that ends with its stream, want 1 of 2 events", err)
	}
}

func TestReconnectShortfallsNameWhatFallsShort(t *testing.T) {
	row := func(reader string, median time.Duration) reconnectRow {
		return reconnectRow{reader, []time.Duration{time.Millisecond, median, 9 * time.Millisecond}}
	}
	rows := []reconnectRow{
		row(quickestReader, 2*time.Millisecond),
		row("EventSource.All", 2500*time.Microsecond),
		row("OnEvent", 4*time.Millisecond),
		row("tmaxmax/go-sse", 8*time.Millisecond),
	}
	want := []string{"first reconnect, OnEvent: 2.00 times launchdarkly/eventsource, at most 1.3"}
	if got := reconnectShortfalls(rows); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := reconnectShortfalls(rows[1:]); got != nil {
		t.Errorf("got %q without the client to compare with, want nothing", got)
	}

	var table strings.Builder
	writeReconnect(&table, rows)
	if want := "| OnEvent | 3 | 4.00 | 1.00 | 4.00 | 2.00 |\n"; !strings.Contains(table.String(), want) {
		t.Errorf("no %q in\n%s", want, table.String())
	}
}
