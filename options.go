package sse

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Options say how a source asks, what it does with events and endings, and
// when it tries again. The zero value posts an empty body, retries under the
// default policy, and waits for slow consumers.
//
// Hooks run one at a time on the goroutine that runs the source, with no lock
// held. A hook may call any method of the source that does not wait: all but
// Open, Run, the loops, and receiving from Events or Done. A panic in a hook
// is not recovered.
type Options struct {
	// Method is the request's; "" means POST.
	Method string
	// Header is added to the client's and wins key by key, also over Accept,
	// Cache-Control, Accept-Encoding and Content-Type. A key with no values
	// removes the header (Accept-Encoding is identity then).
	Header http.Header
	// Body is sent on every attempt. If it is not empty, Content-Type is
	// application/json unless Header says otherwise.
	Body []byte
	// Prepare may change anything of a request just before it is sent: put a
	// fresh token in, or change method, body or URL. prev is the last close,
	// the zero CloseEvent on the first attempt. The request's context ends
	// with the attempt. An error ends the attempt like a failed connection;
	// marked by [Permanent] it is not retriable.
	Prepare func(req *http.Request, prev CloseEvent) error
	// CheckResponse decides whether a response is an event stream; nil means
	// the function CheckResponse. An error counts like one of Prepare, but a
	// *ResponseError of the function CheckResponse is classed by its status.
	CheckResponse func(*http.Response) error
	// LastEventID is sent with the first request. A Cursor that is not empty
	// overrides it.
	LastEventID string
	// Retry says what is retriable, and when.
	Retry RetryPolicy
	// Buffer is how many events each selection queues; 0 means 16, negative
	// none.
	Buffer int
	// Overflow says what happens to an event for which a selection has no
	// room; the default is to wait.
	Overflow Overflow
	// MaxEventSize bounds the received bytes of one event's data, each line
	// charged one byte more, and of the value of any one field; 0 means
	// 16 MiB. A larger event is an ErrTooLong, which is fatal. Negative is an
	// error.
	MaxEventSize int
	// IdleTimeout is how long the server may be silent, from the start of each
	// attempt; any byte, comments too, is a sign of life. Time in hooks or in
	// waiting for consumers does not count. Longer silence is an ErrIdle,
	// which is retriable. 0 or negative means for ever.
	IdleTimeout time.Duration
	// Cursor keeps the last event id that was acknowledged with Ack across
	// restarts; nil means that nothing does. Not with DropOldest or
	// DropNewest, which would lose events for good.
	Cursor Cursor
	// Transform is applied to every event before anything else sees it. On an
	// error OnError is called and the event is delivered as it was.
	Transform func(Event) (Event, error)
	// EndOn names the terminator of the protocol ("[DONE]", an event "stop"):
	// if it returns true the event is not delivered, nor given to OnEvent, and
	// the source closes itself: IsLocal, ErrClosed, CloseEvent.Final. No end
	// of the stream that comes along with it can lead to a reconnect.
	EndOn func(Event) bool
	// OnOpen is called when a response was accepted, before its events.
	OnOpen func(OpenEvent)
	// OnEvent is called with every event before any selection gets it. If it
	// calls Close, no selection does. It does not start a source; Open, Run or
	// a consumer does.
	OnEvent func(Event)
	// OnClose is called once for each ending, and decides what follows: see
	// CloseEvent. It may block, say to refresh a token. nil means
	//	if ev.Retriable { ev.Connect() }
	OnClose func(CloseEvent)
	// OnComment is called with the text after the colon of each comment line.
	OnComment func(text string)
	// OnRetry is called with the reconnection time each time that the stream
	// sets one.
	OnRetry func(time.Duration)
	// OnError is called with trouble that closes nothing: events dropped, an
	// id that cannot be sent back, a Transform that failed, a Connect that came
	// too late, a selection that has held up the stream for 5 s.
	OnError func(error)
}

const defaultBuffer = 16

// withDefaults returns a copy that the caller cannot change any more, with
// defaults in place.
func (o Options) withDefaults() Options {
	o.Method = cmp.Or(o.Method, http.MethodPost)
	o.Header = o.Header.Clone()
	o.Body = slices.Clone(o.Body)
	o.Buffer = max(cmp.Or(o.Buffer, defaultBuffer), 0)
	if o.CheckResponse == nil {
		o.CheckResponse = CheckResponse
	}
	if o.OnClose == nil {
		o.OnClose = func(ev CloseEvent) {
			if ev.Retriable {
				ev.Connect()
			}
		}
	}
	if o.Retry.Retriable == nil {
		o.Retry.Retriable = DefaultRetriable
	}
	return o
}

// check names the option that can never work.
func (o Options) check() error {
	switch {
	case o.Method != "" && !isToken(o.Method):
		return fmt.Errorf("Options.Method %q is not a token", clip(o.Method))
	case o.MaxEventSize < 0:
		return fmt.Errorf("Options.MaxEventSize is %d, want 0 or more", o.MaxEventSize)
	case o.Overflow < Block || o.Overflow > Disconnect:
		return fmt.Errorf("Options.Overflow is %d, which is none of Block, DropOldest, DropNewest, Disconnect", o.Overflow)
	case o.Cursor != nil && (o.Overflow == DropOldest || o.Overflow == DropNewest):
		return fmt.Errorf("Options.Cursor with Options.Overflow %v would lose the events dropped for good; use Block or Disconnect", o.Overflow)
	case o.Overflow == Disconnect && o.Buffer < 0:
		return fmt.Errorf("Options.Overflow Disconnect with Options.Buffer %d would never deliver", o.Buffer)
	}
	return checkHeader("Options.Header", o.Header)
}

// checkStart refuses an id to start with that cannot be sent.
func checkStart(lastEventID string) error {
	if err := checkID(lastEventID); err != nil {
		return fmt.Errorf("Options.LastEventID: %w", err)
	}
	return nil
}

// presetID returns the Last-Event-ID that headers of the caller's hold.
func presetID(headers ...http.Header) string {
	id := ""
	for _, h := range headers {
		for key, values := range h {
			if http.CanonicalHeaderKey(key) == "Last-Event-Id" {
				id = strings.Join(values[:min(1, len(values))], "")
			}
		}
	}
	return id
}

// String says what is set, without header values and body.
func (o Options) String() string {
	return fmt.Sprintf("sse.Options(method %s, header %s, body of %s, last event id %q)",
		cmp.Or(o.Method, http.MethodPost), headerNames(o.Header), count(uint64(len(o.Body)), "byte"), o.LastEventID)
}

// Format prints String for every verb, so that no secret gets into a log by
// way of %+v.
func (o Options) Format(f fmt.State, _ rune) { io.WriteString(f, o.String()) }

// LogValue returns String.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

var (
	// ErrClosed is what ended a source that Close, EndOn or the leaving of a
	// loop closed.
	ErrClosed = errors.New("sse: closed")
	// ErrIdle is in the chain if the server was silent for IdleTimeout.
	ErrIdle = errors.New("sse: server is silent")
	// ErrSlowConsumer is in the chain if a selection had no room for an event.
	ErrSlowConsumer = errors.New("sse: consumer is too slow")
)
