package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// dangers is what a terminal would obey, hide or turn round.
const dangers = "\x1b[31m\a\b\x00\x7f\u009b2J\u202e\u2066\u200b\u2028\ufeff\u061c\U000e0041"

func TestShownEscapesWhatATerminalObeysOrHides(t *testing.T) {
	const want = `\u001b[31m\u0007\u0008\u0000\u007f\u009b2J\u202e\u2066\u200b\u2028\ufeff\u061c\udb40\udc41`
	if got := shown(dangers); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, text := range []string{`a "b" \ c`, "größe 東京 👩\u200d👧 \u200cx"} { // with joiners
		if got := shown(text); got != text {
			t.Errorf("got %q, want it as it is: %q", got, text)
		}
	}
	if got := string(appendShown(nil, "a\tb\r\n\x9b", "\n\t")); got != "a\tb\\r\n\ufffd" {
		t.Errorf("got %q", got)
	}
}

func FuzzShown(f *testing.F) {
	f.Add(dangers)
	f.Add("\x9b2J\xff \u00e9")
	f.Fuzz(func(t *testing.T, s string) {
		for _, text := range []string{shown(s), string(appendQuoted(nil, s))} {
			if bad := unfit(text, ""); bad >= 0 {
				t.Fatalf("%q has %U", text, bad)
			}
		}
		var got string
		if err := json.Unmarshal(appendQuoted(nil, s), &got); err != nil || utf8.ValidString(s) && got != s {
			t.Fatalf("%q is quoted as %s: %v", s, appendQuoted(nil, s), err)
		}
	})
}

// unfit returns a character of text that must not reach a terminal, or -1.
func unfit(text, keep string) rune {
	for i, r := range text {
		switch {
		case strings.ContainsRune(keep, r):
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return r
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"): // a byte of a terminal that reads Latin 1
			return r
		}
	}
	return -1
}
