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

// redactText does the same to an address that does not parse. In doubt it
// takes away too much.
func redactText(raw string) string {
	rest, _, cut := strings.Cut(raw, "#")
	rest, _, query := strings.Cut(rest, "?")
	if query || cut {
		rest += "?" + hidden
	}
	scheme, authority, ok := strings.Cut(rest, "://")
	if !ok {
		scheme, authority = "", rest
	} else {
		scheme += "://"
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = hidden + authority[at:]
	}
	return scheme + authority
}

var (
	addresses   = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"]+`)
	credentials = regexp.MustCompile(`[^\s"/]+:[^\s"]*@`)
)

// A scrubbedError is an error of net/http in whose text addresses are
// redacted: it quotes proxies and locations as they are.
type scrubbedError struct{ err error }

func (e *scrubbedError) Error() string {
	text := addresses.ReplaceAllStringFunc(e.err.Error(), redactText)
	return credentials.ReplaceAllStringFunc(text, func(string) string { return hidden + "@" })
}

func (e *scrubbedError) Unwrap() error { return e.err }

func (e *scrubbedError) Format(f fmt.State, _ rune) { fmt.Fprint(f, e.Error()) }

// headerNames lists the names of a header; its values are nobody's business.
func headerNames(h http.Header) string {
	return fmt.Sprint(slices.Sorted(maps.Keys(h)))
}

// clipToken shortens what a server chose, and shows it without control
// characters.
func clipToken(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.Trim(fmt.Sprintf("%q", s), `"`)
}
