package interop

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/wellspring-go/sse"
)

func TestParserReadsWhatSvelteKitEmits(t *testing.T) {
	t.Parallel()
	want := []sse.Event{
		{Name: "price", Data: `{"symbol":"ACME","value":12.5,"tags":["a","b"]}`},
		{Name: "halt", Data: `{"symbol":"ACME","reason":"news \"pending\"\n"}`},
		{Name: "lines", Data: "first\nsecond\n\nfourth"},
		{Name: "lines", Data: "\n"},
		{Name: "lines", Data: "ends with one\n"},
		{Name: "crlf", Data: "first\nsecond"},
		{Name: "cr", Data: "first\nsecond"},
		{Name: "cr", Data: "kept"},
		{Name: "unicode", Data: "😀 漢字 e\u0301 \U0001F468\u200D\U0001F469\u200D\U0001F467 \u2028 \u0085 \x00"},
		{Name: "unicode", Data: "\uFEFFin front"},
		{Name: "unicode", Data: "in\uFEFFside"},
		{Name: "größe", Data: "a name outside ASCII"},
		{Name: "spaces", Data: "  two in front, two behind  "},
		{Name: "colon", Data: ": not a comment"},
		{Name: "percent", Data: "100%25 a+b %E2%82%AC"},
		{Name: "empty", Data: ""},
		{Name: "message", Data: "an empty name"},
		{Name: "message", Data: "the default name"},
		{Name: "error", Data: "an ordinary name"},
	}
	got := parse(t, current.URL(t, "/events"))
	for i, ev := range got {
		if i == len(want) {
			break
		}
		want[i].ID = strconv.Itoa(i + 1)
		if ev != want[i] {
			t.Errorf("event %d: got %+q, want %+q", i, ev, want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d events, want %d", len(got), len(want))
	}
}

func TestParserReadsEncodedDataAsSent(t *testing.T) {
	t.Parallel()
	want := []sse.Event{
		{ID: "1", Name: "json", Data: "%7B%22text%22%3A%22a%20%5C%22b%5C%22%20%26%20c%22%2C%22value%22%3A1.5%7D"},
		{ID: "2", Name: "lines", Data: "first\nsecond\n\nfourth"},
	}
	got := parse(t, beacons.URL(t, "/encoded"))
	if len(got) != 9 {
		t.Fatalf("got %d events, want 9: %+q", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d: got %+q, want %+q", i, got[i], want[i])
		}
	}
}

// parse posts to url and returns the events of the answer, to its end.
func parse(t *testing.T, url string) []sse.Event {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var events []sse.Event
	for ev, err := range sse.NewParser(resp.Body).All() {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
	return events
}
