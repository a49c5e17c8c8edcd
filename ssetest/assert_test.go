package ssetest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// fakeTB is a test that may fail.
type fakeTB struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	fatal    bool
	cleanups []func()
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	f.fatal = true
	panic(f)
}

func (f *fakeTB) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.failures) > 0
}

func (f *fakeTB) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }

// failuresOf returns with what a test fails in which f runs, and whether it
// stops there.
func failuresOf(t *testing.T, f func(tb testing.TB)) (failures string, fatal bool) {
	t.Helper()
	fake := &fakeTB{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(fake) {
				panic(r)
			}
		}()
		f(fake)
	}()
	for _, v := range slices.Backward(fake.cleanups) {
		v()
	}
	return strings.Join(fake.failures, "\n"), fake.fatal
}

// wantWords compares a failure with words that it must hold; none: no failure.
func wantWords(t *testing.T, failure string, words ...string) {
	t.Helper()
	if (failure == "") != (len(words) == 0) {
		t.Errorf("failure %q, want %q", failure, words)
	}
	for _, word := range words {
		if !strings.Contains(failure, word) {
			t.Errorf("the failure does not say %q:\n%s", word, failure)
		}
	}
}

func numbered(n int) (events []sse.Event) {
	for i := 1; i <= n; i++ {
		events = append(events, sse.Event{Name: "message", Data: strconv.Itoa(i), ID: strconv.Itoa(i)})
	}
	return events
}

func streamOf(n int) ssetest.Reply { return ssetest.ResumeFrom(numbered(n)) }

func eachInBubble[T any](t *testing.T, cases map[string]T, f func(*testing.T, T)) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, c) })
		})
	}
}

func TestFailuresOfEventChecksSayWhatWasSeen(t *testing.T) {
	type test struct {
		check func(testing.TB, *sse.EventSource)
		words []string
		fatal bool
	}
	requests := []string{"requests seen: 1", `0: POST /, after 0s, last event id "", body "ask"`}
	changed := numbered(3)
	changed[1].Data = "two"
	eachInBubble(t, map[string]test{
		"Want":            {func(tb testing.TB, s *sse.EventSource) { ssetest.Want(tb, s.All(), numbered(3)) }, nil, false},
		"Want, of a part": {func(tb testing.TB, s *sse.EventSource) { ssetest.Want(tb, s.All(), numbered(2)) }, nil, false},
		"Want, another": {
			func(tb testing.TB, s *sse.EventSource) { ssetest.Want(tb, s.All(), changed) },
			append(requests, "event 1 differs (-want +got)", `"two"`, `"2"`), false,
		},
		"Want, too few": {
			func(tb testing.TB, s *sse.EventSource) { ssetest.Want(tb, s.All(), numbered(4)) },
			append(requests, "event 3: the stream ended", "want:", "got:", "Data:4", "Data:3"), false,
		},
		"Want, a failure": {func(tb testing.TB, s *sse.EventSource) {
			ssetest.Want(tb, func(yield func(sse.Event, error) bool) {
				for ev := range s.All() {
					yield(ev, nil)
					yield(sse.Event{}, errors.New("the failure"))
					return
				}
			}, numbered(2))
		}, append(requests, "event 1: the stream failed: the failure"), false},
		"Collect": {func(tb testing.TB, s *sse.EventSource) {
			if got := ssetest.Collect(tb, s.All(), 2); !cmp.Equal(got, numbered(2)) || s.State() != sse.Closed {
				tb.Errorf("got %v, state %v", got, s.State())
			}
		}, nil, false},
		"Collect, too few": {
			func(tb testing.TB, s *sse.EventSource) { ssetest.Collect(tb, s.All(), 4) },
			append(requests, "event 3: the stream ended", "want: 4 events", "got: [{message 1 1} {message 2 2} {message 3 3}]"), true,
		},
		"Take": {func(tb testing.TB, s *sse.EventSource) {
			ch := s.SelectAll().Events()
			if got := append(ssetest.Take(tb, ch, 2), ssetest.Take(tb, ch, 1)...); !cmp.Equal(got, numbered(3)) {
				tb.Errorf("got %v", got)
			}
		}, nil, false},
		"Take, too few": {
			func(tb testing.TB, s *sse.EventSource) { ssetest.Take(tb, s.SelectAll().Events(), 4) },
			append(requests, "event 3: the channel was closed", "want: 4 events", "got: [{message 1 1}"), true,
		},
	}, func(t *testing.T, test test) {
		failure, fatal := failuresOf(t, func(tb testing.TB) {
			test.check(tb, ssetest.New(tb, streamOf(3)).Source(sse.Options{Body: []byte("ask"), Retry: sse.NoRetry}))
		})
		if wantWords(t, failure, test.words...); fatal != test.fatal {
			t.Errorf("fatal: %v", fatal)
		}
	})
}

func TestWantClosesMatchesWhatIsSet(t *testing.T) {
	type ev = sse.CloseEvent
	refused := ev{Status: 503, StatusText: "Service Unavailable", Err: sse.ErrStatus, Retriable: true, Resumable: true, Attempt: 1, Delay: time.Minute, Method: "GET", Header: http.Header{"X-A": {"b"}}}
	final := ev{Status: 200, IsLocal: true, Err: sse.ErrClosed, Final: &sse.Event{Name: "message", Data: "2", ID: "2"}, LastEventID: "1", Events: 1}
	change := func(of ev, f func(*ev)) []ev {
		f(&of)
		if of.Final != nil {
			return []ev{refused, of}
		}
		return []ev{of, final}
	}
	type test struct {
		want  []ev
		words []string
	}
	eachInBubble(t, map[string]test{
		"all fields": {[]ev{refused, final}, nil},
		"zero":       {[]ev{{}, {}}, nil},
		"too few":    {[]ev{{}}, []string{"close 1: got 2 closes, want 1", "want 0:", "got 1:", "requests seen: 2"}},
		"too many":   {[]ev{{}, {}, {Status: 404}}, []string{"close 2: got 2 closes, want 3", "want 2:", "404"}},
		"none":       {nil, []string{"close 0"}},
		"Status":     {change(refused, func(e *ev) { e.Status = 500 }), []string{"close 0: Status: want 500, got 503", "want 0: ", "got 0: "}},
		"Err":        {change(refused, func(e *ev) { e.Err = io.EOF }), []string{"close 0: Err: want EOF, got sse: server answered 503"}},
		"Method":     {change(refused, func(e *ev) { e.Method = "POST" }), []string{`close 0: Method: want "POST", got "GET"`}},
		"Delay":      {change(refused, func(e *ev) { e.Delay = 1 }), []string{"close 0: Delay: want 1ns, got 1m0s"}},
		"Attempt":    {change(refused, func(e *ev) { e.Attempt = 2 }), []string{"close 0: Attempt"}},
		"Header":     {change(refused, func(e *ev) { e.Header = http.Header{"X-A": {"c"}} }), []string{"close 0: Header[X-A]: want [c], got [b]"}},
		"no such":    {change(refused, func(e *ev) { e.Header = http.Header{"X-C": {"c"}} }), []string{"close 0: Header[X-C]: want [c]"}},
		"Final":      {change(final, func(e *ev) { e.Final = &sse.Event{Data: "x"} }), []string{"close 1: Final"}},
		"Events":     {change(final, func(e *ev) { e.Events = 7 }), []string{"close 1: Events: want 7, got 1"}},
	}, func(t *testing.T, test test) {
		failure, _ := failuresOf(t, func(tb testing.TB) {
			o := sse.Options{Method: "GET", EndOn: func(ev sse.Event) bool { return ev.ID == "2" }, OnClose: func(ev sse.CloseEvent) { ev.Connect() }}
			o.Retry = minuteWaits
			log := ssetest.Record(&o)
			ssetest.New(tb, ssetest.Status(503, "").With("X-A", "b"), streamOf(3)).Source(o).Run()
			ssetest.WantCloses(tb, log, test.want...)
		})
		wantWords(t, failure, test.words...)
	})
}

func TestWantRequestsMatchesWhatIsSet(t *testing.T) {
	type req = ssetest.Request
	type test struct {
		want  []req
		words []string
	}
	eachInBubble(t, map[string]test{
		"all fields": {[]req{
			{Method: "POST", URL: "/a?b=c", Body: "ask", Header: http.Header{"Accept": {"text/event-stream"}}},
			{Gap: time.Minute, LastEventID: "3", At: time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)},
		}, nil},
		"zero":        {[]req{{}, {}}, nil},
		"too few":     {[]req{{}}, []string{"request 1: got 2 requests, want 1", "requests seen: 2", "after 1m0s"}},
		"too many":    {[]req{{}, {}, {}}, []string{"request 2: got 2 requests, want 3"}},
		"Method":      {[]req{{Method: "GET"}, {}}, []string{`request 0: Method: want "GET", got "POST"`, `0: POST /a?b=c`}},
		"URL":         {[]req{{URL: "/"}, {}}, []string{`request 0: URL: want "/", got "/a?b=c"`}},
		"Body":        {[]req{{}, {Body: "x"}}, []string{`request 1: Body: want "x", got "ask"`}},
		"LastEventID": {[]req{{}, {LastEventID: "2"}}, []string{`request 1: LastEventID: want "2", got "3"`, `last event id "3"`}},
		"Gap":         {[]req{{}, {Gap: time.Second}}, []string{"request 1: Gap: want 1s, got 1m0s"}},
		"Header":      {[]req{{Header: http.Header{"Accept": {"x"}}}, {}}, []string{"request 0: Header[Accept]"}},
		"no such":     {[]req{{Header: http.Header{"X-Y": {"x"}}}, {}}, []string{"request 0: Header[X-Y]: want [x]"}},
	}, func(t *testing.T, test test) {
		failure, _ := failuresOf(t, func(tb testing.TB) {
			srv := ssetest.New(tb, streamOf(3), ssetest.Status(404, ""))
			src := srv.Client().Source(srv.URL()+"/a?b=c", sse.Options{Body: []byte("ask"), Retry: minuteWaits})
			src.Run()
			ssetest.WantRequests(tb, srv, test.want...)
		})
		wantWords(t, failure, test.words...)
	})
}

func TestEquateJSONComparesDataAsValues(t *testing.T) {
	type test struct {
		a, b  sse.Event
		equal bool
	}
	for name, test := range map[string]test{
		"order and space": {sse.Event{Data: `{"a":1,"b":[2, 3]}`}, sse.Event{Data: `{ "b":[2,3],"a":1.0 }`}, true},
		"another value":   {sse.Event{Data: `{"a":1}`}, sse.Event{Data: `{"a":2}`}, false},
		"no JSON, equal":  {sse.Event{Data: `a`}, sse.Event{Data: `a`}, true},
		"no JSON":         {sse.Event{Data: `a`}, sse.Event{Data: `b`}, false},
		"one JSON":        {sse.Event{Data: `1`}, sse.Event{Data: `one`}, false},
		"the name is not": {sse.Event{Name: `1.0`}, sse.Event{Name: `1`}, false},
		"the id is not":   {sse.Event{ID: `{ }`}, sse.Event{ID: `{}`}, false},
	} {
		if cmp.Equal(test.a, test.b, ssetest.EquateJSON()) != test.equal || cmp.Equal([]sse.Event{test.a}, []sse.Event{test.b}, ssetest.EquateJSON()) != test.equal {
			t.Errorf("%s: %v and %v are equal: %v", name, test.a, test.b, !test.equal)
		}
	}
	type other struct{ Data string }
	if cmp.Equal(other{"1"}, other{"1.0"}, ssetest.EquateJSON()) {
		t.Error("it compares Data of other types too")
	}
	synctest.Test(t, func(t *testing.T) {
		src := ssetest.New(t, ssetest.Stream(ssetest.Raw("data: {\"b\":1, \"a\":2}\n\n"), ssetest.Hold())).Source(sse.Options{})
		ssetest.Want(t, src.All(), []sse.Event{{Name: "message", Data: `{"a":2,"b":1}`}}, ssetest.EquateJSON())
	})
}

func TestRecordKeepsHooksAndPolicy(t *testing.T) {
	type test struct {
		o        sse.Options
		requests int
	}
	calls := ""
	eachInBubble(t, map[string]test{
		"default policy":  {sse.Options{}, 2},
		"policy of Retry": {sse.Options{Retry: sse.NoRetry}, 1},
		"OnClose": {sse.Options{
			OnOpen:  func(sse.OpenEvent) { calls += "open " },
			OnClose: func(sse.CloseEvent) { calls += "close " },
		}, 1},
	}, func(t *testing.T, test test) {
		calls = ""
		srv := ssetest.New(t)
		srv.Then([]ssetest.Reply{ssetest.Stream(), ssetest.Status(404, "")}[:test.requests]...)
		own := test.o.OnClose != nil
		log := ssetest.Record(&test.o)
		srv.Source(test.o).Run()
		if own && calls != "open close " {
			t.Errorf("hooks called: %q", calls)
		}
		opens, closes := log.Opens(), log.Closes()
		if len(opens) != 1 || opens[0].Status != 200 || len(closes) != test.requests || closes[0].Connect != nil || closes[0].ConnectAfter != nil {
			t.Errorf("opens %v, closes %v", opens, closes)
		}
		if !cmp.Equal(closes, log.Closes(), cmp.Comparer(func(a, b error) bool { return a == b })) {
			t.Error("cmp finds closes different from themselves")
		}
		opens[0].Status, closes[0].Status = 1, 1
		if log.Opens()[0].Status != 200 || log.Closes()[0].Status != 200 {
			t.Error("Opens or Closes hands out its own slice")
		}
	})
}
