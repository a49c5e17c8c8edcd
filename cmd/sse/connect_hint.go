package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/wellspring-go/sse"
)

// cause says why ev ended a connection, or an attempt to make one, in the
// words of the command line: the library's own name options of Go programs.
// Nothing secret is in it, and nothing that a terminal would obey.
func (c *connection) cause(ev sse.CloseEvent) string {
	var refused *sse.ResponseError
	var certificate *tls.CertificateVerificationError
	text := ""
	switch {
	case ev.Err == nil:
	case errors.As(ev.Err, &refused) && errors.Is(refused, sse.ErrRedirect):
		text = fmt.Sprintf("redirect refused: %s to %s (%s %s)", statusLine(refused.Status), location(refused), refused.Method, refused.URL)
	case errors.As(ev.Err, &refused) && errors.Is(refused, sse.ErrStatus):
		text = fmt.Sprintf("server answered %s (%s %s)", statusLine(refused.Status), refused.Method, refused.URL)
	case ev.Err == io.EOF && ev.Status == http.StatusNoContent:
		text = "server answered 204 No Content: nothing more to stream"
	case ev.Err == io.EOF:
		text = "the stream has ended"
	case c.connectTimeout > 0 && ev.Status == 0 && errors.Is(ev.Err, context.DeadlineExceeded):
		text = fmt.Sprintf("no response head within %v (--connect-timeout)", c.connectTimeout)
	case errors.Is(ev.Err, sse.ErrIdle):
		text = fmt.Sprintf("the server was silent for %v (--idle)", c.idle)
	case errors.Is(ev.Err, sse.ErrTooLong):
		text = "an event is larger than --max-event-size"
	case errors.As(ev.Err, &certificate):
		text = fmt.Sprintf("the certificate is not trusted: %v", certificate.Err)
	default:
		text = strings.TrimPrefix(ev.Err.Error(), "sse: ")
	}
	return shown(text)
}

func statusLine(status int) string {
	return strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status)))
}

// location returns where a redirect leads to, without secrets.
func location(refused *sse.ResponseError) string {
	from, err := url.Parse(refused.URL)
	if err != nil {
		return "somewhere"
	}
	to, err := from.Parse(refused.Header.Get("Location"))
	if err != nil {
		return "what is no URL"
	}
	return redacted(to)
}

// hint names, in one line, the flag that is most likely missing or wrong after
// ev; it returns "" if it knows none.
func (c *connection) hint(ev sse.CloseEvent) string {
	switch {
	case ev.Err == nil || ev.IsLocal:
		return ""
	case errors.Is(ev.Err, sse.ErrStatus):
		return c.statusHint(ev)
	case errors.Is(ev.Err, sse.ErrContentType):
		return c.typeHint(ev)
	case errors.Is(ev.Err, sse.ErrRedirect):
		return "if that is the right place, give its URL: credentials and body are not sent to where a server points"
	case errors.Is(ev.Err, sse.ErrEncoding):
		return "ask for no compression: -H 'Accept-Encoding: identity'"
	case errors.Is(ev.Err, sse.ErrTooLong):
		return "--max-event-size SIZE allows larger events"
	case c.retry == retryAuto && !ev.Resumable && c.mayPass(ev):
		return fmt.Sprintf("a %s that brought events without ids is not repeated by itself; --retry always does", ev.Method)
	case ev.Status == 0 && ev.Err != io.EOF:
		return c.networkHint(ev.Err)
	}
	if _, ok := errors.AsType[streamError](ev.Err); ok {
		return "the server, or a proxy, broke off the HTTP/2 stream: try --http1.1"
	}
	return ""
}

// A streamError is what net/http's own, unexported one assigns itself to.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "http2: stream error" }

func (c *connection) statusHint(ev sse.CloseEvent) string {
	r := request{}
	if c.opening != nil {
		r = c.opening.request
	}
	switch ev.Status {
	case http.StatusMethodNotAllowed:
		if ev.Method == http.MethodGet {
			return "the URL may want a POST: -X POST, or -d DATA"
		}
		return "the URL may want a GET: -X GET"
	case http.StatusUnauthorized, http.StatusForbidden:
		return c.credentialsHint(r, ev.Status)
	case http.StatusProxyAuthRequired:
		return "give the proxy's credentials: --proxy 'http://USER:${VAR}@HOST:PORT'"
	case http.StatusNotAcceptable:
		return "the server may want another Accept: -H 'Accept: application/json, text/event-stream', say"
	case http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusBadRequest:
		if len(r.body) > 0 {
			return fmt.Sprintf("does the body fit? it was sent as %s; -H 'Content-Type: ...' says otherwise", cmp.Or(r.header.Get("Content-Type"), "no type"))
		}
		var refused *sse.ResponseError
		if ev.Status == http.StatusBadRequest && errors.As(ev.Err, &refused) && strings.HasPrefix(refused.URL, "http://") {
			return "if the port speaks TLS, the URL must begin with https://"
		}
	}
	return ""
}

func (c *connection) credentialsHint(r request, status int) string {
	switch {
	case r.credentials != "" && status == http.StatusForbidden:
		return fmt.Sprintf("do the credentials of %s allow this?", r.credentials)
	case r.credentials != "":
		return fmt.Sprintf("are the credentials of %s still good?", r.credentials)
	case c.netrc:
		return "does the file of --netrc have the right login for this host?"
	}
	return "give credentials: --bearer-env VAR, -u USER, --netrc, or -H 'Cookie: ${VAR}', say"
}

func (c *connection) typeHint(ev sse.CloseEvent) string {
	media, _, err := mime.ParseMediaType(ev.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return ""
	case media == "text/html" || media == "application/xhtml+xml":
		return "a login page, or not the stream's URL? credentials: --bearer-env, -u, --netrc; or take a browser's request: --from-curl FILE"
	case media == jsonType && c.opening != nil && len(c.opening.body) > 0 && !bytes.Contains(c.opening.body, []byte(`"stream"`)):
		return `many such APIs stream only if the body says so: "stream": true`
	}
	return ""
}

func (c *connection) networkHint(err error) string {
	var (
		authority x509.UnknownAuthorityError
		verify    *tls.CertificateVerificationError
		dns       *net.DNSError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &authority):
		return "trust its authority with --cacert FILE, or, for a test, any with -k"
	case errors.As(err, &verify):
		return "-k accepts any certificate, for a test"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return "is the proxy right? --proxy URL, or --proxy '' for none"
	case c.unixSocket != "":
		return "is the server listening at the path of --unix-socket?"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "is the host name right?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is the server running, and is the port right?"
	}
	return ""
}
