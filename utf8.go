package sse

import "unicode/utf8"

// appendUTF8 appends b to dst as the Encoding standard's UTF-8 decoder reads
// it: each maximal subpart of an ill-formed sequence becomes one U+FFFD.
func appendUTF8(dst, b []byte) []byte {
	if utf8.Valid(b) { // nearly always
		return append(dst, b...)
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, "\uFFFD"...)
			n = maximalSubpart(b)
		} else {
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return dst
}

// maximalSubpart returns how many bytes of b, which starts with an ill-formed
// sequence, one U+FFFD stands for: the longest prefix that could have begun a
// well-formed sequence (Unicode, table 3-7), at least one byte.
func maximalSubpart(b []byte) int {
	lo, hi, more := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		more = 1
	case c >= 0xE0 && c <= 0xEF:
		more = 2
	case c >= 0xF0 && c <= 0xF4:
		more = 3
	}
	// Only the second byte has a narrower range: it keeps out overlong forms,
	// surrogates and what lies beyond U+10FFFF.
	switch b[0] {
	case 0xE0:
		lo = 0xA0
	case 0xED:
		hi = 0x9F
	case 0xF0:
		lo = 0x90
	case 0xF4:
		hi = 0x8F
	}
	n := 1
	for n <= more && n < len(b) && lo <= b[n] && b[n] <= hi {
		lo, hi = 0x80, 0xBF
		n++
	}
	return n
}
