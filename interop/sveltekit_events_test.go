package interop

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

func TestEachNameHasItsSelection(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		src := from.source(t, &sse.Client{}, current.URL(t, "/events"), sse.Options{Retry: sse.NoRetry})
		prices, halts := src.Select("price"), src.Select("halt")
		want := map[string][]string{
			"lines":   {"first\nsecond\n\nfourth", "\n", "ends with one\n"},
			"crlf":    {"first\nsecond"},
			"cr":      {"first\nsecond", "kept"},
			"unicode": {"😀 漢字 e\u0301 \U0001F468\u200D\U0001F469\u200D\U0001F467 \u2028 \u0085 \x00", "\uFEFFin front", "in\uFEFFside"},
			"größe":   {"a name outside ASCII"},
			"spaces":  {"  two in front, two behind  "},
			"colon":   {": not a comment"},
			"percent": {"100%25 a+b %E2%82%AC"},
			"empty":   {""},
			"message": {"an empty name", "the default name"},
			"error":   {"an ordinary name"},
		}
		selections := map[string]*sse.Selection{}
		for name := range want {
			selections[name] = src.Select(name)
		}

		type halt struct{ Symbol, Reason string }
		type price struct {
			Symbol string
			Value  float64
			Tags   []string
		}
		var gotPrices []price
		for m, err := range sse.JSON[price](prices.All()) {
			if err != nil || m.ID != "1" {
				t.Errorf("price: id %q, error %v", m.ID, err)
			}
			gotPrices = append(gotPrices, m.Value)
		}
		if diff := cmp.Diff([]price{{"ACME", 12.5, []string{"a", "b"}}}, gotPrices); diff != "" {
			t.Errorf("prices (-want +got):\n%s", diff)
		}
		var gotHalts []halt
		for m, err := range sse.JSON[halt](halts.All()) {
			if err != nil || m.ID != "2" {
				t.Errorf("halt: id %q, error %v", m.ID, err)
			}
			gotHalts = append(gotHalts, m.Value)
		}
		if diff := cmp.Diff([]halt{{"ACME", "news \"pending\"\n"}}, gotHalts); diff != "" {
			t.Errorf("halts (-want +got):\n%s", diff)
		}
		for name, x := range selections {
			var got []string
			for _, ev := range collect(x.Events()) {
				if ev.Name != name {
					t.Errorf("the selection of %q got %+q", name, ev)
				}
				got = append(got, ev.Data)
			}
			if diff := cmp.Diff(want[name], got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", name, diff)
			}
		}
		<-src.Done()
		if err := src.Err(); err != io.EOF {
			t.Errorf("Err is %v, want io.EOF", err)
		}
	})
}

func TestWhatIsNotJSONDoesNotEndTheLoop(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		src := from.source(t, &sse.Client{}, current.URL(t, "/events"), sse.Options{Retry: sse.NoRetry})
		decoded, bad := 0, 0
		for m, err := range sse.JSON[map[string]any](src.All()) {
			var de *sse.DecodeError
			switch {
			case err == nil:
				decoded++
			case errors.As(err, &de) && de.Event == m.Event:
				bad++
			default:
				t.Error(err)
			}
		}
		if decoded != 2 || bad != 17 {
			t.Errorf("%d events decoded and %d did not, want 2 and 17", decoded, bad)
		}
	})
}

func TestAllOfABurstComesBeforeTheEndBehindIt(t *testing.T) {
	const n = 10_000
	consumers := map[string]func(*sse.EventSource, *[]sse.Event){
		"OnEvent": func(src *sse.EventSource, _ *[]sse.Event) { _ = src.Run() }, // its error is Err's
		"All": func(src *sse.EventSource, got *[]sse.Event) {
			for ev, err := range src.All() {
				if err == nil {
					*got = append(*got, ev)
				}
			}
		},
		"Events": func(src *sse.EventSource, got *[]sse.Event) {
			*got = collect(src.Select("burst").Events())
			<-src.Done()
		},
	}
	byBoth(t, func(t *testing.T, from maker) {
		for name, consume := range consumers {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var got []sse.Event
				seen := n // events that OnEvent saw when OnClose was called
				o := sse.Options{Retry: sse.NoRetry}
				if name == "OnEvent" {
					o.OnEvent = func(ev sse.Event) { got = append(got, ev) }
					o.OnClose = func(sse.CloseEvent) { seen = len(got) }
				}
				log := ssetest.Record(&o)
				src := from.source(t, &sse.Client{}, current.URL(t, "/burst?n="+strconv.Itoa(n)), o)
				consume(src, &got)

				if seen != n {
					t.Errorf("OnClose came after %d events", seen)
				}
				if len(got) != n {
					t.Fatalf("got %d events, want %d", len(got), n)
				}
				for i, ev := range got {
					if id := strconv.Itoa(i + 1); ev != (sse.Event{Name: "burst", Data: id, ID: id}) {
						t.Fatalf("event %d is %+v", i, ev)
					}
				}
				if err := src.Err(); err != io.EOF {
					t.Errorf("Err is %v, want io.EOF", err)
				}
				ssetest.WantCloses(t, log, sse.CloseEvent{Status: 200, Err: io.EOF, Events: n, LastEventID: strconv.Itoa(n)})
			})
		}
	})
}

func TestTheServerSeesTheRequestAsMade(t *testing.T) {
	type seen struct {
		Method, Body string
		Headers      map[string]string
	}
	byBoth(t, func(t *testing.T, from maker) {
		for _, c := range []struct {
			name string
			o    sse.Options
			want seen
		}{
			{
				"a JSON body",
				sse.Options{Body: []byte(`{"topic":"größe"}`)},
				seen{"POST", `{"topic":"größe"}`, map[string]string{"content-type": "application/json", "accept": "text/event-stream"}},
			},
			{
				"a body of a type of its own",
				sse.Options{Body: []byte{0, 1}, Header: http.Header{"Content-Type": {"application/octet-stream"}}},
				seen{"POST", "\x00\x01", map[string]string{"content-type": "application/octet-stream", "accept-encoding": "identity"}},
			},
			{
				"no body",
				sse.Options{},
				seen{"POST", "", map[string]string{"content-length": "0", "content-type": "", "cache-control": "no-cache", "last-event-id": ""}},
			},
			{
				"GET",
				sse.Options{Method: "GET", LastEventID: "7", Header: http.Header{"Authorization": {"Bearer x"}}},
				seen{"GET", "", map[string]string{"authorization": "Bearer x", "last-event-id": "7"}},
			},
		} {
			c.o.Retry = sse.NoRetry
			src := from.source(t, &sse.Client{}, current.URL(t, "/echo"), c.o)
			got := ssetest.Collect(t, src.Select("request").All(), 1)
			var was seen
			if err := json.Unmarshal([]byte(got[0].Data), &was); err != nil {
				t.Fatal(err)
			}
			headers := map[string]string{}
			for key := range c.want.Headers {
				headers[key] = was.Headers[key]
			}
			was.Headers = headers
			if diff := cmp.Diff(c.want, was); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	})
}

func TestThePingOfTheLibraryIsAnOrdinaryEvent(t *testing.T) {
	byBoth(t, func(t *testing.T, from maker) {
		src := from.source(t, &sse.Client{}, current.URL(t, "/silent?ping=20&key="+key(t)), sse.Options{})
		ssetest.Want(t, src.All(), []sse.Event{
			{Name: "ping", ID: "1"},
			{Name: "ping", ID: "2"},
		})
	})
}
