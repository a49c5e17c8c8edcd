// Package sse reads Server-Sent Events: it opens event streams, with POST
// unless told otherwise, parses them exactly as WHATWG HTML, section 9.2,
// says, hands the events to channels, iterators and callbacks, and keeps
// reading across disconnects.
//
// A [Source] opens when it is first consumed. Each time a connection ends, or
// an attempt to make one fails, [Options.OnClose] is called with a
// [CloseEvent] that says what happened: status, cause, whether this side did
// it, and whether the retry policy finds it worth another attempt. Calling its
// Connect connects again, after the right delay; returning without doing so
// leaves the source closed. Without OnClose the policy decides.
//
// Events are whole or absent, in order, and handed over before the last event
// id moves, so that a server that honours Last-Event-ID loses none and repeats
// none across any cut. A POST that brought events without ids cannot be
// resumed and is not repeated by itself.
//
// A source runs on one goroutine, started when it is needed, or on the
// consumer's while that is a loop over [EventSource.All] alone. It ends with
// [EventSource.Close], the context, an ending that is not followed by another
// attempt, or by leaving a loop over All; [EventSource.Done] is closed when it
// is gone.
package sse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// A Client holds what many sources share. The zero value is ready to use. Its
// fields must not change once it has a source.
type Client struct {
	// HTTP sends the requests; nil means http.DefaultClient. Its Timeout
	// bounds the wait for a response head, never the stream. Without a
	// CheckRedirect of its own, redirects are followed only within the origin
	// and if they keep method and body.
	HTTP *http.Client
	// Header is sent with every request; Options.Header wins key by key.
	Header http.Header
	// Prepare is called before Options.Prepare, which see.
	Prepare func(req *http.Request, prev CloseEvent) error
	// Logger gets one record for each open, each close with what follows it
	// and when, and each OnError; nil means none.
	Logger *slog.Logger
}

// DefaultClient is the Client of [Source] and [SourceContext].
var DefaultClient = &Client{}

// Errors that CloseEvent.Err, EventSource.Err and the errors of loops wrap if
// a response was refused; a [*ResponseError] in the chain has the details.
var (
	ErrStatus      = errors.New("sse: refused by status")
	ErrContentType = errors.New("sse: not an event stream")
	ErrRedirect    = errors.New("sse: redirect refused")
	ErrEncoding    = errors.New("sse: content encoding that cannot be decoded")
)

// A ResponseError is a response that carries no event stream.
type ResponseError struct {
	Method     string // as sent
	URL        string // without user, password and query values
	Status     int
	StatusText string
	Header     http.Header
	Body       []byte // at most the first 4 KiB
	Err        error  // wraps ErrStatus, ErrContentType, ErrRedirect or ErrEncoding
}

// CheckResponse is the check that a response head must pass, unless
// Options.CheckResponse is set: status 200 and the media type
// text/event-stream (WHATWG HTML, 9.2.3). It does not read the body. Its error
// is a [*ResponseError].
func CheckResponse(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return newResponseError(resp, ErrStatus)
	}
	header := resp.Header.Get("Content-Type")
	media, _, _ := strings.Cut(header, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch media {
	case "text/event-stream":
		return nil
	case "":
		return newResponseError(resp, fmt.Errorf("%w: server names no content type (want text/event-stream)", ErrContentType))
	case "text/html", "application/xhtml+xml":
		return newResponseError(resp, fmt.Errorf("%w: server answered %s (want text/event-stream): is the URL behind a login page?", ErrContentType, media))
	}
	return newResponseError(resp, fmt.Errorf("%w: server answered %s (want text/event-stream)", ErrContentType, clipToken(media)))
}

func newResponseError(resp *http.Response, err error) *ResponseError {
	e := &ResponseError{
		Status:     resp.StatusCode,
		StatusText: statusText(resp),
		Header:     resp.Header,
		Err:        err,
	}
	if resp.Request != nil {
		e.Method = methodOf(resp.Request.Method)
		if resp.Request.URL != nil {
			e.URL = redactURL(resp.Request.URL)
		}
	}
	return e
}

// methodOf spells out net/http's empty method.
func methodOf(method string) string {
	if method == "" {
		return http.MethodGet
	}
	return method
}

// statusText returns the reason phrase, or the registered one where the
// server sent none (HTTP/2 has none to send).
func statusText(resp *http.Response) string {
	if _, text, _ := strings.Cut(resp.Status, " "); text != "" {
		return text
	}
	return http.StatusText(resp.StatusCode)
}

// Error says what the server answered, to what, and what to try.
func (e *ResponseError) Error() string {
	text := e.Unwrap().Error()
	if e.Unwrap() == ErrStatus { //nolint:errorlint // the bare sentinel is what has nothing to say yet
		text = "sse: server answered " + statusLine(e.Status)
	}
	text += e.hint()
	if e.URL != "" {
		text += fmt.Sprintf(" (%s %s)", e.Method, e.URL)
	}
	return text
}

func (e *ResponseError) hint() string {
	if !errors.Is(e, ErrStatus) {
		return ""
	}
	switch e.Status {
	case http.StatusMethodNotAllowed:
		if e.Method == http.MethodGet {
			return ": 405 to GET: set Options.Method to POST"
		}
		return ": 405 to " + cmp.Or(e.Method, "the method") + ": set Options.Method to GET"
	case http.StatusUnsupportedMediaType:
		return ": does Content-Type in Options.Header fit Options.Body?"
	case http.StatusUnauthorized, http.StatusForbidden:
		return ": are the credentials in Options.Header, or put in by Options.Prepare, still good?"
	case http.StatusNotAcceptable:
		return ": does the server want another Accept in Options.Header?"
	case http.StatusBadRequest:
		if strings.HasPrefix(e.URL, "http://") {
			return ": if the port speaks TLS, the URL must begin with https://"
		}
	}
	return ""
}

// Unwrap returns Err, or ErrStatus if that is nil.
func (e *ResponseError) Unwrap() error { return cmp.Or(e.Err, ErrStatus) }

// Format prints Error for every verb, so that no header value and no body gets
// into a log by way of %+v.
func (e ResponseError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

// MarshalText returns Error, for a log in JSON that holds it in another value.
func (e ResponseError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// LogValue returns Error.
func (e ResponseError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// String names the client without what it sends.
func (c Client) String() string {
	return fmt.Sprintf("sse.Client(header %s)", headerNames(c.Header))
}

// Format prints String for every verb.
func (c Client) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue returns String.
func (c Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// check names what of the client can never be sent.
func (c *Client) check() error { return checkHeader("Client.Header", c.Header) }

// Source returns a source for url that ends with Close. It is not opened
// before it is consumed; a bad url or bad options are its first close.
func (c *Client) Source(url string, o Options) *EventSource {
	return c.SourceContext(context.Background(), url, o)
}

// SourceContext is Source with a context, whose end closes the source.
func (c *Client) SourceContext(ctx context.Context, url string, o Options) *EventSource {
	return newSource(ctx, c, url, o)
}

// Source returns a source for url, of the [DefaultClient].
func Source(url string, o Options) *EventSource { return DefaultClient.Source(url, o) }

// SourceContext is [Source] with a context, whose end closes the source.
func SourceContext(ctx context.Context, url string, o Options) *EventSource {
	return DefaultClient.SourceContext(ctx, url, o)
}
