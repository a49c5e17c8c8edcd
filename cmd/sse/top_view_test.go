package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/clipperhouse/displaywidth"

	"github.com/wellspring-go/sse"
)

// sampleTally is a tally after 70 seconds of three streams.
func sampleTally() (t *tally, now time.Time) {
	t = newTally(noon, "https://example.com/prices?key=xxxxx", "https://example.com/news", "http://localhost:8080/log")
	t.opened(0)
	t.opened(2)
	for i := range 70 * 20 {
		at := after(time.Duration(i) * 50 * time.Millisecond)
		second := float64(i) / 20
		if math.Sin(second/6) > float64(i%20)/10-1 {
			t.event(0, sse.Event{Name: "price", ID: strconv.Itoa(i), Data: fmt.Sprintf(`{"symbol":"ACME","price":%d.25,"book":{"bid":[1,2],"ask":[]}}`, 100+i%7)}, at)
		}
		if i%200 == 0 {
			t.event(0, sse.Event{Name: "heartbeat", ID: strconv.Itoa(i), Data: ""}, at)
		}
		if i == 500 {
			t.event(1, sse.Event{Name: "株価の更新について", Data: "値上がり\nしました"}, at)
			t.event(2, sse.Event{Name: "evil\x1b[2J\u202e", Data: "\x1b]0;owned\a ends"}, at)
			t.event(2, sse.Event{Name: "large", Data: strings.Repeat("0123456789", 20000)}, at)
		}
	}
	t.closed(1, "refused by status 503 Service Unavailable: GET https://example.com/news", true, after(74*time.Second))
	return t, after(70 * time.Second)
}

// render is the screen as text, cut to its width.
func render(v *topView, t *tally, now time.Time) string {
	var b strings.Builder
	for _, l := range v.lines(t, now) {
		b.WriteString(strings.TrimRight(displaywidth.TruncateString(l.String(), v.width, ""), " ") + "\n")
	}
	return b.String()
}

// press gives the view keys.
func (v *topView) press(t *tally, now time.Time, keys ...string) {
	for _, key := range keys {
		v.key(key, t, now)
	}
}

func TestTopScreens(t *testing.T) {
	for _, test := range []struct {
		name string
		keys []string
	}{
		{"table", nil},
		{"byrate", []string{"s", "s", "down"}},
		{"filter", []string{"/", "^", "p", "r", "enter"}},
		{"filterdata", []string{"/", "o", "w", "n", "e", "d", "enter"}},
		{"typing", []string{"/", "[", "a", "enter"}},
		{"event", []string{"end", "up", "enter", "p", "p"}},
		{"evil", []string{"down", "down", "home", "enter"}},
		{"large", []string{"down", "down", "enter", "end"}},
		{"help", []string{"?"}},
		{"paused", []string{" "}},
	} {
		for _, size := range [][2]int{{80, 24}, {40, 10}, {120, 40}} {
			name := fmt.Sprintf("%s-%dx%d", test.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				tally, now := sampleTally()
				v := topView{width: size[0], height: size[1]}
				v.press(tally, now, test.keys...)
				tally.event(0, sse.Event{Name: "price", Data: "{}"}, now)
				checkFile(t, filepath.Join("testdata", "top", name+".txt"), render(&v, tally, now))
			})
		}
	}
}

// TestTopFitsEveryScreen draws every view in every small size.
func TestTopFitsEveryScreen(t *testing.T) {
	tally, now := sampleTally()
	for _, keys := range [][]string{
		nil, {"?"}, {"enter"}, {"end", "enter"}, {"/", "x"}, {"/", "x", "enter"}, {" "}, {"down", "enter", "p", "end", " "},
	} {
		for width := range 90 {
			for height := range 26 {
				v := topView{width: width, height: height}
				v.press(tally, now, keys...)
				lines := v.lines(tally, now)
				if len(lines) != height {
					t.Fatalf("%dx%d %q: %d lines", width, height, keys, len(lines))
				}
				for _, l := range lines {
					if i := strings.IndexFunc(l.String(), unicode.IsControl); i >= 0 {
						t.Fatalf("%dx%d %q: a control character in %q", width, height, keys, l.String())
					}
				}
			}
		}
	}
	empty := newTally(noon)
	for _, key := range []string{"", "enter", "?", "/", " ", "c", "esc", "p", "n", "end", "r"} {
		v := topView{width: 80, height: 24}
		v.press(empty, noon, key, "down", "enter", "p")
		v.lines(empty, noon)
	}
}

func TestPausedViewStandsStill(t *testing.T) {
	tally, now := sampleTally()
	v := topView{width: 80, height: 24}
	v.press(tally, now, " ")
	before := render(&v, tally, now)
	for i := range 1234 {
		tally.event(0, sse.Event{Name: fmt.Sprint("new", i%100), Data: "x", ID: "1381"}, now)
	}
	during := render(&v, tally, now)
	if want := strings.Replace(before, "PAUSED, 0 arrived", "PAUSED, 1,234 arrived", 1); !equalButHead(during, want) || !strings.Contains(during, "PAUSED, 1,234 arrived since") {
		t.Errorf("the view changed:\n%s\nwant:\n%s", during, want)
	}
	v.press(tally, now, " ")
	if on := render(&v, tally, now); !strings.Contains(on, "new0") || strings.Contains(on, "PAUSED") {
		t.Errorf("the view does not go on:\n%s", on)
	}
}

// equalButHead compares all lines but the first.
func equalButHead(a, b string) bool {
	_, a, _ = strings.Cut(a, "\n")
	_, b, _ = strings.Cut(b, "\n")
	return a == b
}

func TestBrowsingStaysAtAnEvent(t *testing.T) {
	tally := newTally(noon, "a")
	add := func(i int) {
		tally.event(0, sse.Event{Name: "n", Data: fmt.Sprint("text", i)}, after(time.Duration(i)*time.Second))
	}
	for i := range 10 {
		add(i)
	}
	v := topView{width: 80, height: 24}
	v.press(tally, noon, "enter")
	has := func(want string) {
		t.Helper()
		if got := render(&v, tally, noon); !strings.Contains(got, want+"\n") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	has("text9")
	add(10)
	has("text10") // the newest is followed
	v.press(tally, noon, "p", "left", "p")
	has("text7")
	add(11)
	has("text7")
	v.press(tally, noon, "n")
	has("text8")
	v.press(tally, noon, "n", "right", "n", "n", "n")
	has("text11")
	v.press(tally, noon, "p")
	for i := 12; i < 100; i++ {
		add(i)
	}
	has("text50") // the oldest that is kept
	v.press(tally, noon, "esc")
	if v.detail {
		t.Error("esc does not go back")
	}
}

func TestBrowsingPassesTheFilter(t *testing.T) {
	tally := newTally(noon, "a")
	for _, data := range []string{"red 1", "blue 1", "red 2", "blue 2"} {
		tally.event(0, sse.Event{Name: "n", Data: data}, noon)
	}
	v := topView{width: 80, height: 24}
	v.press(tally, noon, "/", "r", "e", "d", "enter", "enter")
	if got := render(&v, tally, noon); !strings.Contains(got, "red 2\n") || !strings.Contains(got, "newest of 2 kept") {
		t.Errorf("the newest red is not shown:\n%s", got)
	}
	v.press(tally, noon, "p", "p", "p")
	if got := render(&v, tally, noon); !strings.Contains(got, "red 1\n") {
		t.Errorf("the oldest red is not shown:\n%s", got)
	}
}

func TestSelectionStaysAtAName(t *testing.T) {
	tally := newTally(noon, "a")
	for _, name := range []string{"b", "d", "f"} {
		tally.event(0, sse.Event{Name: name}, noon)
	}
	v := topView{width: 80, height: 24}
	v.press(tally, noon, "j")
	tally.event(0, sse.Event{Name: "a"}, noon)
	v.press(tally, noon, "k")
	if v.selected != "b" {
		t.Errorf("selected %q, want b", v.selected)
	}
	v.press(tally, noon, "end")
	if v.selected != "f" {
		t.Errorf("selected %q, want f", v.selected)
	}
	v.press(tally, noon, "s", "s", "s", "s")
	if v.order != byName {
		t.Errorf("order %v after four times s", v.order)
	}
}

// TestManyNamesScroll selects each of many names.
func TestManyNamesScroll(t *testing.T) {
	tally := newTally(noon, "a")
	for i := range 2 * maxNames {
		tally.event(0, sse.Event{Name: fmt.Sprintf("name%04d", i)}, noon)
	}
	v := topView{width: 80, height: 24}
	for i := range maxNames {
		if got := render(&v, tally, noon); !strings.Contains(got, fmt.Sprintf(" name%04d ", i)) {
			t.Fatalf("name %d is selected, but not shown:\n%s", i, got)
		}
		v.press(tally, noon, "down")
	}
	if got := render(&v, tally, noon); !strings.Contains(got, "(other names)") || !strings.Contains(got, "NAME 983-1001 of 1001 ") {
		t.Errorf("no row for the other names at the end:\n%s", got)
	}
}

func TestFilterOfCapitalsMeansCapitals(t *testing.T) {
	var f topFilter
	for _, test := range []struct {
		filter, name string
		want         bool
	}{
		{"price", "PRICE", true}, {"Price", "price", false}, {"Price", "Price", true}, {"", "x", true}, {"a.c", "abc", true},
	} {
		if err := f.set(test.filter); err != nil {
			t.Fatal(err)
		}
		if got := f.passes(&nameTally{name: test.name}); got != test.want {
			t.Errorf("filter %q passes %q: %v", test.filter, test.name, got)
		}
	}
	if err := f.set("["); err == nil || f.text != "a.c" {
		t.Errorf("[ is a filter, or ended the one before: %v, %q", err, f.text)
	}
}

func TestTopNumbers(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{countText(0), "0"},
		{countText(999), "999"},
		{countText(1000), "1,000"},
		{countText(9_999_999), "9,999,999"},
		{countText(10_000_000), "10M"},
		{countText(1_234_567_890), "1.2G"},
		{countText(math.MaxUint64), "18446744T"},
		{rateText(0), "0/s"},
		{rateText(0.04), "<0.1/s"},
		{rateText(1.25), "1.2/s"},
		{rateText(12.5), "12/s"},
		{rateText(999.7), "1.0k/s"},
		{rateText(123456), "123k/s"},
		{rateText(1.5e6), "1.5M/s"},
		{bytesText(0), "0 B"},
		{bytesText(1023), "1023 B"},
		{bytesText(1024), "1.0 KiB"},
		{bytesText(10 << 20), "10 MiB"},
		{bytesText(math.MaxUint64), "16384 PiB"},
		{agoText(-time.Second), "now"},
		{agoText(59 * time.Second), "59s"},
		{agoText(90 * time.Minute), "1h"},
		{agoText(50 * time.Hour), "2d"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
	if got := sparkline([]uint64{0, 1, 50, 100}); got != " ▁▄█" {
		t.Errorf("sparkline %q", got)
	}
}

func TestEventBody(t *testing.T) {
	for _, test := range []struct {
		name, data string
		width      int
		want       string
	}{
		{"object", `{"a":1.50,"b":{}}`, 80, "{\n  \"a\": 1.50,\n  \"b\": {}\n}"},
		{"digits stay", `123456789012345678901234567890.10`, 80, "123456789012345678901234567890.10"},
		{"no JSON", "{a\nb", 80, "{a\nb"},
		{"long lines wrap", "abcdefgh", 3, "abc\ndef\ngh"},
		{"wide characters wrap", "日本語", 5, "日本\n語"},
		{"no room at all", "日本", 0, "日\n本"},
		{"escapes", "a\x1b[31m\u202e\x9b", 80, `a\u001b[31m\u202e` + "\ufffd"},
		{"escapes in JSON", "{\"\u009b\":\"\u202e\"}", 80, "{\n  \"\\u009b\": \"\\u202e\"\n}"},
		{"too deep", strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1), 200, strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1)},
		{"brackets in strings", `["` + strings.Repeat("[", 100) + `\"["]`, 200, "[\n  \"" + strings.Repeat("[", 100) + "\\\"[\"\n]"},
		{"empty", "", 80, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := keptEvent{data: []byte(test.data), size: len(test.data)}
			var lines []string
			for _, l := range e.body(test.width) {
				lines = append(lines, l.String())
			}
			if got := strings.Join(lines, "\n"); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
