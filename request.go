package sse

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// identity asks for no compression. If nothing were said net/http would ask for
// gzip: a caching proxy was seen to withhold every event of a compressed
// stream.
const identity = "identity"

// maxIDLength is the longest last event id that is sent back. Servers commonly
// refuse a request with 8 KiB of header.
const maxIDLength = 4 << 10

// newRequest returns the request of one attempt, before Prepare.
func (s *EventSource) newRequest(ctx context.Context, lastEventID string) (*http.Request, error) {
	var body io.Reader
	if len(s.o.Body) > 0 {
		body = bytes.NewReader(s.o.Body)
	}
	req, err := http.NewRequestWithContext(ctx, s.o.Method, s.url, body)
	if err != nil {
		return nil, err
	}
	h := http.Header{
		"Accept":          {"text/event-stream"},
		"Cache-Control":   {"no-cache"},
		"Accept-Encoding": {identity},
	}
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	for _, header := range []http.Header{s.client.Header, s.o.Header} {
		for key, values := range header {
			h[http.CanonicalHeaderKey(key)] = append([]string(nil), values...)
		}
	}
	// Also a preset one goes once the server has cleared the id.
	h.Del("Last-Event-ID")
	if lastEventID != "" {
		h.Set("Last-Event-ID", lastEventID)
	}
	req.Header = h
	return req, nil
}

// checkRequest refuses what must not, or cannot, be sent.
func checkRequest(req *http.Request) error {
	switch {
	case !isToken(req.Method):
		return fmt.Errorf("method %q (Options.Method) is not a token", clip(req.Method))
	case req.URL == nil:
		return errors.New("the request has no URL (Options.Prepare)")
	}
	if err := checkURL(req.URL); err != nil {
		return err
	}
	// What follows net/http would find out only after it has connected.
	for _, text := range []string{req.Host, req.URL.Host, req.URL.RequestURI()} {
		if strings.IndexFunc(text, func(r rune) bool { return r == ' ' || isControl(r) }) >= 0 {
			return errors.New("host or URL of the request (Options.Prepare) holds a space or control character")
		}
	}
	return checkHeader("Options.Header", req.Header)
}

// parseURL keeps url.Parse's error to itself: it quotes what does not parse,
// which may be a password.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err == nil:
		return u, checkURL(u)
	case strings.Contains(raw, "://"):
		return nil, fmt.Errorf("URL %q does not parse", redactText(raw))
	}
	return nil, fmt.Errorf("URL %q does not parse: it must begin with http:// or https://", redactText(raw))
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("URL %q must begin with http:// or https://", redactText(u.String()))
	case u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("URL %q has no host", redactURL(u))
	case u.Port() != "":
		if _, err := strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return fmt.Errorf("URL %q: port %s is not below 65536", redactURL(u), u.Port())
		}
	}
	return nil
}

func checkHeader(option string, h http.Header) error {
	for key, values := range h {
		if !isToken(key) {
			return fmt.Errorf("%s: name %q cannot be sent", option, clip(key))
		}
		if canonical := http.CanonicalHeaderKey(key); canonical != key && h[canonical] != nil {
			return fmt.Errorf("%s: %q and %q are the same name", option, key, canonical)
		}
		for _, v := range values {
			if i := strings.IndexFunc(v, isControl); i >= 0 {
				return fmt.Errorf("%s: the value of %q cannot be sent: control character %U at byte %d", option, key, v[i], i)
			}
		}
	}
	return nil
}

// isControl reports what a header value must not hold (RFC 9110, 5.5).
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(others, r) {
			return false
		}
	}
	return s != ""
}

// holdsControl looks at bytes, as ids are checked with every event.
func holdsControl(s string) bool {
	for i := range len(s) {
		if isControl(rune(s[i])) {
			return true
		}
	}
	return false
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// checkID says why an id cannot be sent back as Last-Event-ID, if so.
func checkID(id string) error {
	why := ""
	switch {
	case len(id) > maxIDLength:
		return fmt.Errorf("sse: event id of %d bytes cannot be sent back as Last-Event-ID: longer than 4 KiB", len(id))
	case holdsControl(id):
		why = "it holds a control character"
	case id != "" && (isBlank(id[0]) || isBlank(id[len(id)-1])):
		why = "space around it would be lost"
	default:
		return nil
	}
	return fmt.Errorf("sse: event id %q cannot be sent back as Last-Event-ID: %s", clip(id), why)
}

// send sends one request and returns the response as it comes, redirects
// followed. idle is told of the wait; cancel ends the request's context.
func (c *Client) send(req *http.Request, cancel context.CancelCauseFunc, idle *idleTimer) (*http.Response, error) {
	hc := *cmp.Or(c.HTTP, http.DefaultClient) // a copy: the caller's is shared
	if timeout := hc.Timeout; timeout > 0 {
		// net/http's own timer would cut the stream as well.
		hc.Timeout = 0
		timer := time.AfterFunc(timeout, func() {
			cancel(fmt.Errorf("sse: no response head within %v (http.Client.Timeout): %w", timeout, context.DeadlineExceeded))
		})
		defer timer.Stop()
	}
	policy := redirectPolicy(hc.CheckRedirect)
	hc.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		idle.rest() // the caller's policy may take its time
		defer idle.wait()
		return policy(req, via)
	}
	if hc.Transport == nil {
		hc.Transport = http.DefaultTransport
	}
	hc.Transport = &transport{hc.Transport, idle}
	idle.wait()
	defer idle.rest()
	resp, err := hc.Do(req)
	if err != nil {
		return nil, sendError(req, err)
	}
	return resp, nil
}

// transport watches each exchange that http.Client.Do makes.
type transport struct {
	base http.RoundTripper
	idle *idleTimer
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil || resp == nil {
		return nil, err // net/http has words for nil and nil
	}
	t.idle.wait() // anew: what follows a redirect is another silence
	if resp.Request == nil {
		resp.Request = req // not every RoundTripper sets it
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// net/http would quote a location that it cannot parse, password
		// included.
		if _, err := req.URL.Parse(resp.Header.Get("Location")); err != nil {
			resp.Body.Close()
			return nil, newResponseError(resp, fmt.Errorf("%w: its location is not a URL", ErrRedirect))
		}
	}
	return resp, nil
}

// redirectPolicy returns the http.Client.CheckRedirect of a source. The
// caller's own, if there is one, decides instead.
func redirectPolicy(callers func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	check := checkRedirect
	if callers != nil {
		check = callers
	}
	return func(req *http.Request, via []*http.Request) error {
		err := check(req, via)
		if err == nil || err == http.ErrUseLastResponse { //nolint:errorlint // as net/http compares it
			return err
		}
		if !errors.Is(err, ErrRedirect) {
			err = fmt.Errorf("%w by http.Client.CheckRedirect: %w", ErrRedirect, err)
		}
		refused := newResponseError(req.Response, err)
		refused.Method = methodOf(via[len(via)-1].Method)
		return refused
	}
}

// checkRedirect follows what keeps method, body and origin. Go would also
// forward API keys in headers, Last-Event-ID and the body to another origin,
// and to another port even Authorization.
func checkRedirect(req *http.Request, via []*http.Request) error {
	const most = 10
	prev := via[len(via)-1]
	target := redactURL(req.URL)
	switch {
	case len(via) > most:
		return fmt.Errorf("%w: more than %d in a row", ErrRedirect, most)
	case methodOf(req.Method) != methodOf(prev.Method):
		return fmt.Errorf("%w: to %s, would turn %s into %s", ErrRedirect, target, methodOf(prev.Method), methodOf(req.Method))
	case hasBody(prev) && !hasBody(req):
		return fmt.Errorf("%w: to %s, would drop the body", ErrRedirect, target)
	case !sameOrigin(prev.URL, req.URL):
		return fmt.Errorf("%w: to another origin, %s (set http.Client.CheckRedirect to decide otherwise)", ErrRedirect, target)
	}
	return nil
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// sameOrigin compares scheme, host and port (RFC 6454); an upgrade to https on
// the same host and the default ports counts as the same.
func sameOrigin(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	if from.Scheme == to.Scheme {
		return port(from) == port(to)
	}
	return from.Scheme == "http" && port(from) == "80" && to.Scheme == "https" && port(to) == "443"
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// sendError classes an error of http.Client.Do and takes secrets out of it.
func sendError(req *http.Request, err error) error {
	if cause := context.Cause(req.Context()); cause != nil {
		return cause
	}
	if outer, ok := err.(*url.Error); ok { //nolint:errorlint // Do returns just this
		err = outer.Err
	}
	var refused *ResponseError
	if errors.As(err, &refused) {
		return refused
	}
	where := redactURL(&url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host})
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		// net/http words a connection that ends in or before the head as EOF,
		// which here means a clean end.
		return fmt.Errorf("sse: %s closed the connection before the response head was complete: %w", where, io.ErrUnexpectedEOF)
	}
	err = fmt.Errorf("sse: no response from %s: %w", where, &scrubbedError{err})
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return Permanent(fmt.Errorf("%w: the port speaks plain HTTP, the URL must begin with http://", err))
	case isCertificate(err):
		return Permanent(fmt.Errorf("%w: to trust it, set TLSClientConfig of the Transport of Client.HTTP", err))
	}
	return err
}

func isCertificate(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid)
}

// readError classes what the reading of a body ended with.
func readError(err error) error {
	if err == io.EOF || errors.Is(err, ErrTooLong) || errors.Is(err, ErrEncoding) {
		return err
	}
	return &cutError{err}
}

// A cutError is the end of a stream in mid-flight.
type cutError struct{ cause error }

func (e *cutError) Error() string {
	if errors.Is(e.cause, io.ErrUnexpectedEOF) {
		return "sse: stream cut: connection closed before its end"
	}
	return "sse: stream cut: " + (&scrubbedError{e.cause}).Error()
}

func (e *cutError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

func (e *cutError) Unwrap() []error { return []error{io.ErrUnexpectedEOF, e.cause} }

// decodeBody returns the response's body as the stream's bytes. raw is the
// body itself, or what watches it.
func decodeBody(resp *http.Response, raw io.Reader) (io.Reader, error) {
	switch encoding := strings.ToLower(strings.TrimSpace(strings.Join(resp.Header.Values("Content-Encoding"), ", "))); encoding {
	case "", "identity":
		return raw, nil
	case "gzip", "x-gzip":
		return &gzipReader{raw: bufio.NewReader(raw), z: new(gzip.Reader)}, nil
	default:
		return nil, newResponseError(resp, fmt.Errorf("%w: %s", ErrEncoding, clipToken(encoding)))
	}
}

// A gzipReader decodes a body, which may be of several gzip members, as the
// bytes come: events are out as soon as the server has flushed them.
type gzipReader struct {
	raw    *bufio.Reader
	z      *gzip.Reader
	within bool // a member
}

func (g *gzipReader) Read(b []byte) (int, error) {
	for {
		if !g.within {
			// Not left to gzip, which would wait for the next member before
			// it returns the last bytes of this one.
			if err := g.z.Reset(g.raw); err != nil {
				return 0, gzipError(err)
			}
			g.z.Multistream(false)
			g.within = true
		}
		n, err := g.z.Read(b)
		if err == io.EOF {
			g.within, err = false, nil
		}
		if n > 0 || err != nil {
			return n, gzipError(err)
		}
	}
}

// gzipError marks what is wrong with the encoding rather than with the
// connection.
func gzipError(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return err
}
