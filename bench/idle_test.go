package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestIdleClientHoldsStreamsOfEachReader(t *testing.T) {
	for _, r := range lastingReaders() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			row, err := runIdleClient(t.Context(), idleJob{Reader: r.name, Streams: 5})
			if err != nil {
				t.Fatal(err)
			}
			if row.Reader != r.name || row.Streams != 5 || row.Goroutines < 3 || row.Heap <= 0 {
				t.Errorf("got %+v, want 5 streams that hold what net/http does, or more", row)
			}
		})
	}
}

func TestIdleClientWaitsForTheBurst(t *testing.T) {
	t.Parallel()
	row, err := runIdleClient(t.Context(), idleJob{Reader: "EventSource.All", Streams: 2, Burst: 100})
	if err != nil {
		t.Fatal(err)
	}
	if row.Burst != 100 || row.Goroutines < 3 {
		t.Errorf("got %+v, want idle streams", row)
	}
}

func TestIdleClientNoticesAStreamThatEnds(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	row, err := holdIdle(idleJob{Reader: floorName, Streams: 1, URL: srv.URL})
	if err == nil {
		t.Errorf("got %+v of a stream that ended, want an error", row)
	}
}

func TestIdleShortfallsNameWhatFallsShort(t *testing.T) {
	floor := idleRow{Reader: floorName, Streams: manyStreams, Goroutines: 3, Heap: 14 << 10, Stack: 12 << 10}
	within := floor
	within.Reader, within.Goroutines, within.Heap, within.Stack = "OnEvent", 4, 16<<10+200, 16<<10
	above := floor
	above.Reader, above.Goroutines, above.Heap, above.Stack = "EventSource.All", 5, 17<<10, 17<<10
	peer := above
	peer.Reader = quickestReader
	before := idleRow{Reader: "OnEvent", Streams: fewStreams, Heap: 16 << 10}
	after := before
	after.Burst, after.Heap = burstSize, 96<<10

	got := idleShortfalls([]idleRow{floor, within, above, peer, before, after})
	want := []string{
		"idle stream, EventSource.All, 10000 streams: goroutines 2.00, at most 1",
		"idle stream, EventSource.All, 10000 streams: heap 3.00 KiB, at most 2 KiB",
		"idle stream, EventSource.All, 10000 streams: stack 5.00 KiB, at most 4 KiB",
		"idle stream, OnEvent, 1000 streams, after an event of 256 KiB: heap 80.00 KiB, at most 64 KiB",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	var table strings.Builder
	writeIdle(&table, []idleRow{floor, within})
	want = []string{
		"| net/http floor | 10000 | 3.00 | 14.00 | 12.00 | 0.0 |",
		"| OnEvent | 10000 | +1.00 | +2.20 | +4.00 | +0.0 |",
	}
	for _, line := range want {
		if !strings.Contains(table.String(), line+"\n") {
			t.Errorf("no %q in\n%s", line, table.String())
		}
	}
}
