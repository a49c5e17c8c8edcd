package sveltekit_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
	"github.com/wellspring-go/sse/sveltekit"
)

// decodings are data as received and decoded, by JavaScript's
// decodeURIComponent.
var decodings = []struct {
	raw, want string
	bad       bool // decodeURIComponent throws
}{
	{raw: "", want: ""},
	{raw: "plain", want: "plain"},
	{raw: "a+b", want: "a+b"},
	{raw: "a%2Bb%20c", want: "a+b c"},
	{raw: "100%25", want: "100%"},
	{raw: "%2541", want: "%41"}, // once
	{raw: "%7B%22text%22%3A%22a%22%7D", want: `{"text":"a"}`},
	{raw: "%E2%82%AC %e2%82%ac", want: "€ €"},
	{raw: "%F0%9F%98%80", want: "😀"},
	{raw: "%EF%BF%BD", want: "\uFFFD"},
	{raw: "%EF%BB%BFin front", want: "\uFEFFin front"},
	{raw: "€ raw", want: "€ raw"},
	{raw: "first%0D\nsecond%0Dthird%0Afourth", want: "first\r\nsecond\rthird\nfourth"},
	{raw: "a%00b", want: "a\x00b"},
	{raw: "a%20b\n\nc%20d", want: "a b\n\nc d"},
	{raw: "%20%20two%20in%20front", want: "  two in front"},
	{raw: "100%", bad: true},
	{raw: "%", bad: true},
	{raw: "%4", bad: true},
	{raw: "%zz", bad: true},
	{raw: "% 41", bad: true},
	{raw: "%u20AC", bad: true},
	{raw: "%E2%82", bad: true},
	{raw: "%E2%82x", bad: true},
	{raw: "%FF", bad: true},
	{raw: "%C0%80", bad: true},          // overlong
	{raw: "%ED%A0%80", bad: true},       // a surrogate
	{raw: "%F4%90%80%80", bad: true},    // beyond U+10FFFF
	{raw: "%E2%82\n%AC", bad: true},     // a line at a time
	{raw: "a%20b\nc%20d %", bad: true},  // raw as a whole
	{raw: "%41 and %", bad: true},       // the same
	{raw: "x%E2%82%AC%E2", bad: true},   // cut off
	{raw: "\uFFFD%20%FF%20", bad: true}, // nothing replaced
}

func TestDataIsDecodedAsByDecodeURIComponent(t *testing.T) {
	for _, c := range []struct {
		name   string
		named  bool
		config sveltekit.Config
		decode bool
	}{
		{"by the name of the stream", true, sveltekit.Config{}, true},
		{"also without beacons", true, sveltekit.Config{Beacon: -1}, true},
		{"by Decode", false, sveltekit.Config{Decode: true}, true},
		{"by both", true, sveltekit.Config{Decode: true}, true},
		{"not without either", false, sveltekit.Config{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var steps []ssetest.Step
				var want []sse.Event
				bad := 0
				for _, d := range decodings {
					// Neither names nor ids are encoded.
					steps = append(steps, ssetest.Emit(sse.Event{Name: "n %41", Data: d.raw, ID: "i %41"}))
					ev := sse.Event{Name: "n %41", Data: d.want, ID: "i %41"}
					if d.bad || !c.decode {
						ev.Data = d.raw
					}
					if d.bad && c.decode {
						bad++
					}
					want = append(want, ev)
				}
				reply := ssetest.Stream(steps...)
				if c.named {
					reply = reply.With("x-sse-id", "a")
				}
				srv := ssetest.New(t, reply)
				var told []error
				o := sse.Options{Retry: sse.NoRetry, OnError: func(err error) { told = append(told, err) }}
				src := source(t, srv, c.config, o)
				ssetest.Want(t, src.All(), want)
				if len(told) != bad {
					t.Errorf("OnError was told %d times, want %d: %v", len(told), bad, told)
				}
			})
		})
	}
}

// A server that is upgraded in mid stream no longer encodes.
func TestDecodingIsDecidedAnewForEachConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t,
			ssetest.Stream(emit("1: %41")),
			named("a", emit("2: %41")),
			ssetest.Stream(emit("3: %41")),
			named("b", emit("4: %41"), ssetest.Hold()),
		)
		o := sse.Options{Method: "GET", OnClose: func(ev sse.CloseEvent) { ev.ConnectAfter(0) }}
		src := source(t, srv, sveltekit.Config{}, o)
		ssetest.Want(t, src.All(), []sse.Event{
			{Name: "message", Data: "1: %41"},
			{Name: "message", Data: "2: A"},
			{Name: "message", Data: "3: %41"},
			{Name: "message", Data: "4: A"},
		})
	})
}

func TestTheTransformOfTheCallerSeesDecodedData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, named("a", emit("%41"), emit("%42"), ssetest.Hold()))
		var seen []string
		src := source(t, srv, sveltekit.Config{}, sse.Options{Transform: func(ev sse.Event) (sse.Event, error) {
			seen = append(seen, ev.Data)
			ev.Name, ev.Data = "mine", ev.Data+"%43"
			return ev, nil
		}})
		ssetest.Want(t, src.All(), []sse.Event{
			{Name: "mine", Data: "A%43"}, // nor decoded again
			{Name: "mine", Data: "B%43"},
		})
		if diff := gocmp.Diff([]string{"A", "B"}, seen); diff != "" {
			t.Errorf("Transform saw (-want +got):\n%s", diff)
		}
	})
}

func TestTheTransformOfTheCallerSeesDataThatIsNotEncoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(emit("%41"), ssetest.Hold()))
		src := source(t, srv, sveltekit.Config{}, sse.Options{Transform: func(ev sse.Event) (sse.Event, error) {
			ev.Data += "!"
			return ev, nil
		}})
		ssetest.Want(t, src.All(), []sse.Event{{Name: "message", Data: "%41!"}})
	})
}

// Transform is for every event: see sse.Options.
func TestTheTransformOfTheCallerSeesDataThatDoesNotDecode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, named("a", emit("100%"), ssetest.Hold()))
		told := 0
		src := source(t, srv, sveltekit.Config{}, sse.Options{
			OnError: func(error) { told++ },
			Transform: func(ev sse.Event) (sse.Event, error) {
				ev.Name = "mine"
				return ev, nil
			},
		})
		ssetest.Want(t, src.All(), []sse.Event{{Name: "mine", Data: "100%"}})
		if told != 1 {
			t.Errorf("OnError was told %d times, want once", told)
		}
	})
}

// For the caller, the event as it was is the one that Transform was given.
func TestAnErrorOfTheCallersTransformLeavesDataDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, named("a", emit("%41"), ssetest.Hold()))
		errTransform := errors.New("no")
		var told []error
		src := source(t, srv, sveltekit.Config{}, sse.Options{
			OnError:   func(err error) { told = append(told, err) },
			Transform: func(sse.Event) (sse.Event, error) { return sse.Event{Data: "lost"}, errTransform },
		})
		ssetest.Want(t, src.All(), []sse.Event{{Name: "message", Data: "A"}})
		if len(told) != 1 || !errors.Is(told[0], errTransform) {
			t.Errorf("OnError was told %v, want %v", told, errTransform)
		}
	})
}

// A stream with nobody who asks for events is not decoded, nor told about.
func TestOnErrorIsOptional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, named("a", emit("%"), ssetest.Wait(time.Second), emit("%41"), ssetest.Hold()))
		ssetest.Want(t, source(t, srv, sveltekit.Config{}, sse.Options{}).All(), []sse.Event{
			{Name: "message", Data: "%"},
			{Name: "message", Data: "A"},
		})
	})
}
