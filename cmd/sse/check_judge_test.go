package main

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
)

// gzipped returns text compressed and flushed, without an end.
func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Flush()
	return b.String()
}

func outcomeOf(v verdict) string { return v.Level + " " + v.Found }

func secs(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// evenly returns arrivals like a, n of them, d apart.
func evenly(d time.Duration, n int, a arrival) []arrival {
	all := make([]arrival, n)
	for i := range all {
		all[i] = a
		all[i].at = time.Duration(i) * d
	}
	return all
}

func TestJudgeBuffering(t *testing.T) {
	one, part := arrival{bytes: 20, events: 1}, arrival{bytes: 4096, events: 5, within: true}
	local := sse.CloseEvent{IsLocal: true}
	for name, tt := range map[string]struct {
		v    visit
		want string
	}{
		"nothing":              {visit{}, "skip too little came to tell: 0 events in 0 pieces"},
		"two":                  {visit{arrivals: evenly(secs(1), 2, one), end: local}, "skip too little came to tell: 2 events in 2 pieces"},
		"one by one":           {visit{arrivals: evenly(secs(1), 5, one), end: local}, "ok none seen: 5 events in 5 pieces"},
		"a fast stream":        {visit{arrivals: evenly(time.Millisecond, 500, part), end: local}, "skip too little came to tell: 2500 events in 1 piece"},
		"a backlog":            {visit{arrivals: append([]arrival{{bytes: 9000, events: 90}}, evenly(secs(1), 5, one)[1:]...), end: local}, "ok none seen: 94 events in 5 pieces"},
		"pieces in a row":      {visit{arrivals: append(evenly(secs(.04), 3, part), evenly(secs(1), 4, one)[1:]...), end: local}, "ok none seen: 18 events in 4 pieces"},
		"full buffers":         {visit{arrivals: evenly(secs(2), 4, part), end: local}, "fail 3 of 4 pieces end in the middle of an event, after 4096 bytes each: a proxy or the server collects bytes"},
		"one cut is none":      {visit{arrivals: append(evenly(secs(2), 1, part), arrival{at: secs(2), events: 1}, arrival{at: secs(4), events: 1}), end: local}, "ok none seen: 7 events in 3 pieces"},
		"buffers and time":     {visit{arrivals: []arrival{{bytes: 10, within: true}, {at: secs(2), bytes: 12, within: true}, {at: secs(4), events: 1}}, end: local}, "fail 2 of 3 pieces end in the middle of an event: a proxy or the server collects bytes"},
		"heartbeats at once":   {visit{arrivals: []arrival{{events: 1}, {at: secs(20), beats: 4}}, end: local}, "fail 4 heartbeats came at once, after a silence: a proxy or the server collects bytes"},
		"heartbeats at first":  {visit{arrivals: []arrival{{beats: 4}, {at: secs(5), beats: 1}, {at: secs(10), beats: 1}}, end: local}, "ok none seen: 0 events in 3 pieces"},
		"batches":              {visit{arrivals: evenly(secs(4), 4, arrival{events: 7}), end: local}, "warn events come in batches, up to 7 at once, every 4 s"},
		"batches at odd times": {visit{arrivals: []arrival{{events: 1}, {at: secs(1), events: 3}, {at: secs(4), events: 5}, {at: secs(9), events: 3}}, end: local}, "warn events come in batches, up to 5 at once, every 1 s to 5 s"},
		"few batches":          {visit{arrivals: append(evenly(secs(1), 7, one), arrival{at: secs(8), events: 5}, arrival{at: secs(9), events: 5}, arrival{at: secs(10), events: 5}), end: local}, "ok none seen: 22 events in 10 pieces"},
		"all at the end":       {visit{arrivals: []arrival{{at: secs(3), events: 9}}}, "warn all 9 events came at once, after 3 s, then the end"},
		"all at once":          {visit{arrivals: []arrival{{at: secs(.1), events: 9}}}, "skip too little came to tell: 9 events in 1 piece"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := outcomeOf(judgeBuffering(&tt.v)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestAdviceAgainstBufferingKnowsTheProxy(t *testing.T) {
	for want, h := range map[string]http.Header{
		"nginx: proxy_buffering off, or send X-Accel-Buffering: no":                                 {"Server": {"nginx/1.25"}},
		"turn off buffering in the proxy that Via names: \"1.1 varnish\"":                           {"Via": {"1.1 varnish"}},
		"flush after each event, turn off buffering in proxies, send X-Accel-Buffering: no (nginx)": {},
		"flush after each event, turn off buffering in proxies":                                     {"X-Accel-Buffering": {"no"}},
	} {
		if got := unbuffer(h); got != want {
			t.Errorf("%v: got %q, want %q", h, got, want)
		}
	}
}

func TestJudgeHeartbeat(t *testing.T) {
	beat, local := arrival{beats: 1}, sse.CloseEvent{IsLocal: true}
	for name, tt := range map[string]struct {
		v    visit
		want string
	}{
		"comments":          {visit{arrivals: evenly(secs(5), 5, beat), took: secs(21), end: local}, "ok longest silence 5 s, 5 comments, every 5 s"},
		"rare":              {visit{arrivals: evenly(secs(20), 3, beat), took: secs(45), end: local}, "warn longest silence 20 s, 3 comments, every 20 s: rather long, as some proxies cut after 30 s"},
		"too rare":          {visit{arrivals: evenly(secs(45), 2, beat), took: secs(60), end: local}, "warn longest silence 45 s, 2 comments, every 45 s: many proxies cut after 30 to 60 s of it"},
		"silence at last":   {visit{arrivals: evenly(secs(1), 2, beat), took: secs(40), end: local}, "warn longest silence 39 s, 2 comments, every 1 s: many proxies cut after 30 to 60 s of it"},
		"silence at first":  {visit{arrivals: []arrival{{at: secs(16), beats: 1}}, took: secs(17), end: local}, "warn longest silence 16 s, 1 comment: rather long, as some proxies cut after 30 s"},
		"nothing":           {visit{took: secs(10), end: local}, "warn none within the last 10 s"},
		"nothing after one": {visit{arrivals: []arrival{{at: secs(1), events: 1}}, took: secs(10), end: local}, "warn none within the last 9 s"},
		"busy":              {visit{arrivals: evenly(secs(1), 10, arrival{events: 1}), took: secs(10), end: local}, "ok longest silence 1 s, 0 comments: none was needed"},
		"short look":        {visit{arrivals: evenly(secs(1), 2, arrival{events: 1}), took: secs(4), end: local}, "ok longest silence 3 s, 0 comments: none was needed"},
		"ended":             {visit{arrivals: evenly(secs(1), 2, arrival{events: 1}), took: secs(9)}, "ok longest silence 8 s, 0 comments"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := outcomeOf(judgeHeartbeat(&tt.v)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestJudgeIDs(t *testing.T) {
	for name, tt := range map[string]struct {
		ids  []string
		want string
	}{
		"no event":          {nil, "skip no event came"},
		"none":              {[]string{"", ""}, "warn none on 2 events: a client that is cut off loses some"},
		"some":              {[]string{"1", "", "2"}, "warn on 2 of 3 events: after a cut the others may come again, or be lost"},
		"growing":           {[]string{"8", "9", "10"}, "ok on 3 of 3 events, unique, growing"},
		"growing, in parts": {[]string{"a-1526919030474-9", "a-1526919030474-10", "a-1526919030475-0"}, "ok on 3 of 3 events, unique, growing"},
		"falling":           {[]string{"1", "3", "2", "4"}, "warn on 4 of 4 events, unique, but they do not grow"},
		"names":             {[]string{"b", "a"}, "ok on 2 of 2 events, unique"},
		"mixed":             {[]string{"2", "x", "1"}, "ok on 3 of 3 events, unique"},
		"one":               {[]string{"1"}, "ok on 1 of 1 event, unique"},
		"twice":             {[]string{"1", "2", "1"}, `fail id "1" is on several events: a client that is cut off between them loses some`},
		"control":           {[]string{"a\x1bb"}, `fail id "a\x1bb" holds a control character`},
		"space":             {[]string{" a"}, `fail id " a" has space at its edges, which gets lost`},
		"long":              {[]string{strings.Repeat("a", 4097)}, `fail id "` + strings.Repeat("a", 40) + `..." is longer than 4 KiB`},
		"as long as can be": {[]string{strings.Repeat("a", 4096)}, "ok on 1 of 1 event, unique"},
	} {
		t.Run(name, func(t *testing.T) {
			var events []sentEvent
			for _, id := range tt.ids {
				events = append(events, sentEvent{id: id})
			}
			if got := outcomeOf(judgeIDs(events)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestJudgeHeadOfTheResponse(t *testing.T) {
	header := func(key, value string) visit { return visit{header: http.Header{key: {value}}} }
	for _, tt := range []struct {
		judge func(*visit) verdict
		v     visit
		want  string
	}{
		{judgeStatus, visit{status: "200 \x1b[2J"}, `ok 200 \x1b[2J`},
		{judgeRedirects, visit{}, "ok none"},
		{judgeRedirects, visit{redirects: 2}, "warn 2 redirects followed"},
		{judgeProtocol, visit{proto: "HTTP/1.0"}, "warn HTTP/1.0, which has no chunks: a cut looks like an end"},
		{judgeProtocol, visit{proto: "HTTP/1.1"}, "ok HTTP/1.1 (browsers open 6 connections to a host at most)"},
		{judgeProtocol, visit{proto: "HTTP/2.0"}, "ok HTTP/2.0"},
		{judgeType, visit{}, "fail none"},
		{judgeType, header("Content-Type", "text/event-stream"), "ok text/event-stream"},
		{judgeType, header("Content-Type", "text/event-stream; charset=UTF-8"), "ok text/event-stream; charset=UTF-8"},
		{judgeType, header("Content-Type", "text/event-stream; charset=latin1"), `warn "text/event-stream; charset=latin1"`},
		{judgeType, header("Content-Type", "text/event-stream; charset"), `warn "text/event-stream; charset", which is malformed`},
		{judgeType, header("Content-Type", "text/plain"), `fail "text/plain"`},
		{judgeCache, visit{}, "warn none: a cache may store, or collect, the stream"},
		{judgeCache, header("Cache-Control", "No-Cache, no-transform"), "ok no-cache, no-transform"},
		{judgeCache, header("Cache-Control", "max-age=60"), `warn "max-age=60" lets a cache store the stream`},
		{judgeHead, visit{head: secs(.012)}, "ok after 12 ms"},
		{judgeHead, visit{head: secs(2), arrivals: []arrival{{at: secs(3)}}}, "ok after 2 s"},
		{judgeHead, visit{head: secs(2), arrivals: []arrival{{at: secs(2)}}}, "warn after 2 s, and only together with the first bytes"},
		{judgeHead, visit{head: secs(3.5), arrivals: []arrival{{at: secs(9)}}}, "warn only after 3.5 s"},
		{judgeRetry, visit{}, "ok none: clients wait as long as they like (browsers a few seconds)"},
		{judgeRetry, visit{retry: "2500"}, "ok 2.5 s"},
		{judgeRetry, visit{retry: "100"}, "ok 100 ms"},
		{judgeRetry, visit{retry: "99"}, "fail 99 ms: clients hammer the server"},
		{judgeRetry, visit{retry: "0"}, "fail 0 ms: clients hammer the server"},
		{judgeRetry, visit{retry: "600000"}, "ok 10m0s"},
		{judgeRetry, visit{retry: "600001"}, "fail 600001 ms, more than 10 minutes: clients seem dead"},
		{judgeRetry, visit{retry: strings.Repeat("9", 30)}, "fail 99999999999999999999... ms, more than 10 minutes: clients seem dead"},
	} {
		if got := outcomeOf(tt.judge(&tt.v)); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestJudgeTheBytes(t *testing.T) {
	for _, tt := range []struct {
		judge func(*visit) verdict
		text  string
		want  string
	}{
		{judgeText, "data: ä\n\n", "ok UTF-8"},
		{judgeText, "data: \xff\n\n\ndata: \xff\n\n", "fail line 1: not UTF-8: the bytes in question become U+FFFD (2 times)"},
		{judgeText, "data: x\n\n\uFEFFdata: x\n\n", "fail line 3: a byte order mark within the stream: the line is ignored"},
		{judgeText, "\uFEFFdata: x\n\n", "warn line 1: the stream begins with a byte order mark"},
		{judgeText, "data: \x00\n\n", "warn line 1: a NUL"},
		{judgeLines, "", "skip no complete line came"},
		{judgeLines, "data: x\n\n", "ok ended by LF, the longest has 7 bytes"},
		{judgeLines, "data: x\r\n\r\n", "ok ended by CRLF, the longest has 7 bytes"},
		{judgeLines, "data: x\r\r:", "warn ended by CR, the longest has 7 bytes"},
		{judgeLines, "data: x\r\n\n", "warn ended by LF and CRLF, mixed, the longest has 7 bytes"},
		{judgeLines, "data: " + strings.Repeat("x", 1<<20) + "\n\n", "warn ended by LF, the longest has 1048582 bytes"},
		{judgeFields, "data: x\n\n", "ok nothing that clients ignore"},
		{judgeFields, "foo: x\n\n", `warn line 1: unknown field "foo", which is ignored`},
		{judgeFields, "foo: x\n\nData: x\n\n", `fail line 3: field "Data" is ignored: it must be written "data"`},
		{judgeFields, "data: x\n \n", "fail line 2: a line that looks blank but holds space: it does not end the event"},
		{judgeFields, "id: \x00\n\n", "fail line 1: an id with NUL, which is ignored"},
		{judgeFields, "retry: x\n\n", `fail line 1: retry: "x" is not a number of milliseconds, and ignored`},
		{judgeFields, "event: x\n\n", "fail line 1: an event without data, which is dropped"},
		{judgeFields, "event: x\nevent: y\ndata: z\n\n", "warn line 2: a second name in one event: the one before it is ignored"},
		{judgeFields, ": data: x\n\n", `warn line 1: a comment that reads like a field: ": data: x"`},
	} {
		v := &visit{}
		v.watchBytes()
		v.lint.Write([]byte(tt.text))
		if got := outcomeOf(tt.judge(v)); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
