package sse

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const hidden = "xxxxx"

// redactURL writes u without user, password, query values and fragment.
func redactURL(u *url.URL) string {
	r := *u
	r.Fragment, r.RawFragment = "", ""
	if r.User != nil {
		r.User = url.User(hidden)
	}
	if r.Opaque != "" { // mailto:user@host, say
		r.Opaque = hidden
	}
	r.RawQuery = redactQuery(r.RawQuery)
	return r.String()
}

// redactQuery keeps the keys; a part without "=" may be a value.
func redactQuery(query string) string {
	if query == "" {
		return ""
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		key, _, ok := strings.Cut(part, "=")
		if parts[i] = hidden; ok {
			parts[i] = key + "=" + hidden
		}
	}
	return strings.Join(parts, "&")
}

// redactText does the same to an address that may not parse. In doubt it takes
// away too much: what stands before the last @ may be a password with any
// character in it.
func redactText(raw string) string {
	if u, err := url.Parse(raw); err == nil {
		return redactURL(u)
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if ok {
		scheme += "://"
	} else {
		scheme, rest = "", raw
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = hidden + rest[at:]
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end] + "?" + hidden
	}
	return scheme + rest
}

var (
	quotations  = regexp.MustCompile(`"(\\.|[^"\\])*"`)
	addresses   = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"]+`)
	credentials = regexp.MustCompile(`[^\s"/]+:[^\s"]*@`)
)

// A scrubbedError is an error of net/http without what it quotes (locations,
// proxies, whatever a server sent in place of a response, which may be an echo)
// and with addresses redacted.
type scrubbedError struct{ err error }

func (e *scrubbedError) Error() string {
	text := quotations.ReplaceAllString(e.err.Error(), `"..."`)
	text = addresses.ReplaceAllStringFunc(text, redactText)
	return credentials.ReplaceAllString(text, hidden+"@")
}

func (e *scrubbedError) Unwrap() error { return e.err }

func (e *scrubbedError) Format(f fmt.State, _ rune) { fmt.Fprint(f, e.Error()) }

// headerNames lists the names of a header; its values are nobody's business.
func headerNames(h http.Header) string {
	return fmt.Sprint(slices.Sorted(maps.Keys(h)))
}

// clip shortens what somebody else chose.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// clipToken is clip for text outside of quotes, where control characters must
// not show.
func clipToken(s string) string { return strings.Trim(fmt.Sprintf("%q", clip(s)), `"`) }
