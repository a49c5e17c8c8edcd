package ssetest

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
)

// FuzzEncode has the parser read back what the encoder writes: the event, the
// ones around it untouched.
func FuzzEncode(f *testing.F) {
	for _, ev := range []sse.Event{
		{},
		{Data: " a"},
		{Data: "a\nb\r\nc\rd\n"},
		{Name: "price", Data: "1", ID: "7"},
		{Name: "message"},
		{Name: " ", ID: " "},
		{Name: ":", Data: ": x\n:\ndata: y\n\n", ID: "id:"},
		{Data: "\uFEFF", ID: "\uFEFF"},
		{Name: "a\nb"},
		{ID: "a\rb"},
		{ID: "a\x00b"},
		{Data: "\xff\xc3", Name: "\xe2\x82"},
		{Data: "\xef", ID: "\xbb\xbf"},
	} {
		f.Add(ev.Name, ev.Data, ev.ID)
	}
	f.Fuzz(func(t *testing.T, name, data, id string) {
		ev := sse.Event{Name: name, Data: data, ID: id}
		text, err := encode(ev)
		if bad := strings.ContainsAny(name+id, "\r\n") || strings.Contains(id, "\x00"); bad != (err != nil) {
			t.Fatalf("encode(%q) = %v, want an error: %v", ev, err, bad)
		} else if bad {
			return
		}
		before, after := sse.Event{Name: "before", Data: "1"}, sse.Event{Name: "after", Data: "2", ID: "3"}
		first, _ := encode(before)
		last, _ := encode(after)
		var got []sse.Event
		for ev, err := range sse.NewParser(strings.NewReader(first + text + last)).All() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ev)
		}
		if ev.Name == "" {
			ev.Name = "message"
		}
		ev.Data = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(ev.Data)
		if len(got) == 3 && !(utf8.ValidString(name) && utf8.ValidString(data) && utf8.ValidString(id)) {
			ev = got[1] // what becomes of bytes that are no UTF-8 is the parser's business
		}
		if diff := cmp.Diff([]sse.Event{before, ev, after}, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", first+text+last, diff)
		}
	})
}
