package main

import (
	"unicode/utf16"
	"unicode/utf8"
)

// plainByte tells the bytes that are shown, and stand in a JSON string, as
// they are.
var plainByte = func() (t [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// hidden reports whether a terminal obeys the character, or does not show it,
// or lets it turn round what stands next to it: control characters, bidi
// marks, separators and what has no width, but for the two joiners, which
// scripts and emoji need.
func hidden(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r < 0xa0:
		return true
	case r < 0x61c:
		return false
	}
	switch {
	case r == 0x61c, r == 0x180e, r == 0x200b, r == 0x200e, r == 0x200f,
		0x2028 <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f,
		r == 0xfeff, 0xfff9 <= r && r <= 0xfffb, 0xe0000 <= r && r <= 0xe007f:
		return true
	}
	return false
}

// appendEscape appends the character as JSON strings have it.
func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '\t':
		return append(b, `\t`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	}
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return appendHex(appendHex(b, high), low)
	}
	return appendHex(b, r)
}

func appendHex(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// appendShown appends s as a terminal may have it: what is hidden is written
// as an escape, but for the characters in keep.
func appendShown(b []byte, s, keep string) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainByte[c] || c == '"' || c == '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		broken := r == utf8.RuneError && size == 1
		if !broken && (!hidden(r) || containsByte(keep, r)) {
			i += size
			continue
		}
		b = append(b, s[done:i]...)
		if broken {
			b = utf8.AppendRune(b, r)
		} else {
			b = appendEscape(b, r)
		}
		i += size
		done = i
	}
	return append(b, s[done:]...)
}

func containsByte(s string, r rune) bool {
	for i := range len(s) {
		if rune(s[i]) == r {
			return true
		}
	}
	return false
}

// shown is appendShown for texts of one line.
func shown(s string) string { return string(appendShown(nil, s, "")) }

// appendQuoted appends s as a JSON string that a terminal may have too.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainByte[c] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		broken := r == utf8.RuneError && size == 1
		if c >= utf8.RuneSelf && !broken && !hidden(r) {
			i += size
			continue
		}
		b = append(b, s[done:i]...)
		switch {
		case broken:
			b = utf8.AppendRune(b, r)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = appendEscape(b, r)
		}
		i += size
		done = i
	}
	b = append(b, s[done:]...)
	return append(b, '"')
}
