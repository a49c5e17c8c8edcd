package sse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A conn is one attempt and the connection it leads to.
type conn struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	idle     *idleTimer
	method   string
	resp     *http.Response // nil until there is one
	body     io.Reader
	openedAt time.Time // zero until the response is accepted
	brought  bool      // an event
	events   uint64
}

func (c *conn) open() bool { return !c.openedAt.IsZero() }

// cause returns why the connection was ended if somebody ended it, else err.
func (c *conn) cause(err error) error {
	cause := context.Cause(c.ctx)
	if cause == nil || cause == errSlowRefusal { //nolint:errorlint // itself
		return err
	}
	return cause
}

// head returns what there is of a response, if err says that there is one.
func (c *conn) head(err error) (status int, text string, h http.Header) {
	if c.resp != nil {
		return c.resp.StatusCode, statusText(c.resp), c.resp.Header
	}
	var refused *ResponseError
	if errors.As(err, &refused) { // a redirect
		return refused.Status, refused.StatusText, refused.Header
	}
	return 0, "", nil
}

const (
	maxRefusalBody  = 4 << 10
	maxRefusalDelay = 5 * time.Second
)

var errSlowRefusal = errors.New("sse: the body of a refusal takes too long")

// connect makes one attempt, up to the call of OnOpen.
func (s *EventSource) connect() error {
	ctx, cancel := context.WithCancelCause(s.values)
	c := &conn{ctx: ctx, cancel: cancel, method: s.o.Method, idle: newIdleTimer(s.o.IdleTimeout, cancel)}
	s.conn = c
	s.mu.Lock()
	s.state = Connecting
	s.cancel = cancel
	if s.stopping != nil {
		cancel(s.stopping)
	}
	s.reconnect = false // this is what it asked for
	s.mu.Unlock()
	if s.invalid != nil {
		return s.invalid
	}
	if err := s.exchange(c); err != nil {
		return c.cause(err)
	}
	lastEventID := s.LastEventID()
	s.refusedID = ""
	s.parser.Reset(c.body)
	s.parser.SetLastEventID(lastEventID)

	c.openedAt = time.Now()
	s.mu.Lock()
	s.state = Open
	s.stats.Opens++
	s.mu.Unlock()
	ev := OpenEvent{
		Status: c.resp.StatusCode, StatusText: statusText(c.resp), Header: c.resp.Header,
		Attempt: s.attempts, LastEventID: lastEventID,
	}
	s.logOpen(ev)
	if s.o.OnOpen != nil {
		s.o.OnOpen(ev)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.accepted && s.opened != nil {
		close(s.opened)
	}
	s.accepted = true
	return nil
}

// exchange sends the request and checks the response.
func (s *EventSource) exchange(c *conn) error {
	if err := s.loadCursor(c.ctx); err != nil {
		return err
	}
	req, err := s.request(c.ctx)
	if err != nil {
		return err
	}
	c.method = methodOf(req.Method)
	resp, err := s.client.send(req, c.cancel, c.idle) //nolint:bodyclose // drop and readRefusal close it
	if err != nil {
		return err
	}
	c.resp = resp
	err = failedHook("Options.CheckResponse", s.o.CheckResponse(resp))
	if err == nil {
		c.body, err = decodeBody(resp, &stream{s, c})
	}
	if err != nil {
		c.readRefusal(err)
		if resp.StatusCode == http.StatusNoContent && errors.Is(err, ErrStatus) {
			return io.EOF // no failure: the server says stop
		}
	}
	return err
}

// request returns the request of the next attempt, prepared and checked.
func (s *EventSource) request(ctx context.Context) (*http.Request, error) {
	req, err := s.newRequest(ctx, s.LastEventID())
	if err != nil {
		return nil, Permanent(fmt.Errorf("sse: %w", err))
	}
	var prev CloseEvent
	if s.prev != nil {
		prev = *s.prev
	}
	if s.client.Prepare != nil {
		if err := s.client.Prepare(req, prev); err != nil {
			return nil, failedHook("Client.Prepare", err)
		}
	}
	if s.o.Prepare != nil {
		if err := s.o.Prepare(req, prev); err != nil {
			return nil, failedHook("Options.Prepare", err)
		}
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if req.Header.Get("Accept-Encoding") == "" {
		req.Header.Set("Accept-Encoding", identity)
	}
	if err := checkRequest(req); err != nil {
		return nil, Permanent(fmt.Errorf("sse: %w", err))
	}
	// A silent HTTP/2 connection would be handed out by the pool for ever;
	// this makes it retire. Closing idle connections would not, as other
	// streams may sit on it.
	req.Close = req.Close || s.retire
	s.retire = false
	return req, nil
}

// failedHook names the hook that failed, but leaves alone what is a
// *ResponseError.
func failedHook(hook string, err error) error {
	var refused *ResponseError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return &hookError{hook, err}
}

// A hookError is an error of a hook. It wraps all that the hook's error does
// but io.EOF, which must not pass for a clean end: it counts as a cut.
type hookError struct {
	hook string
	err  error
}

func (e *hookError) Error() string { return "sse: " + e.hook + ": " + e.err.Error() }

func (e *hookError) Is(target error) bool {
	switch target {
	case io.EOF:
		return false
	case io.ErrUnexpectedEOF:
		return errors.Is(e.err, io.EOF) || errors.Is(e.err, target)
	}
	return errors.Is(e.err, target)
}

func (e *hookError) As(target any) bool { return errors.As(e.err, target) }

// readRefusal keeps the beginning of the body of a refused response.
func (c *conn) readRefusal(err error) {
	var refused *ResponseError
	if errors.As(err, &refused) && refused.Body == nil {
		timer := time.AfterFunc(maxRefusalDelay, func() { c.cancel(errSlowRefusal) })
		defer timer.Stop()
		refused.Body, _ = io.ReadAll(io.LimitReader(c.resp.Body, maxRefusalBody))
	}
	c.resp.Body.Close()
}

// drop lets go of the connection, if there is one.
func (s *EventSource) drop() {
	c := s.conn
	if c == nil {
		return
	}
	s.conn = nil
	c.idle.stop()
	c.cancel(ErrClosed)
	if c.resp != nil {
		c.resp.Body.Close()
	}
}

// A stream is the body of an accepted response, watched.
type stream struct {
	source *EventSource
	conn   *conn
}

func (r *stream) Read(b []byte) (int, error) {
	s := r.source
	// The parser asks for more when all it had is handed over. What is left is
	// an id whose block dispatched no event.
	s.noteID()
	r.conn.idle.wait()
	n, err := r.conn.resp.Body.Read(b)
	r.conn.idle.rest()
	if n > 0 {
		now := time.Now()
		s.mu.Lock()
		s.stats.Bytes += uint64(n)
		s.calm = now.Sub(s.stats.LastByte) > slowBody
		s.stats.LastByte, s.fresh = now, true
		s.mu.Unlock()
	}
	return n, err
}
