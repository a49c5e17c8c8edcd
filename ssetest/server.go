// Package ssetest is for testing programs that read event streams.
//
// A [Server] follows a script of replies, over the real net/http on both
// sides. Made by [New], it has an in-memory network: inside a testing/synctest
// bubble all waiting is free, and an hour of back-off takes no time. Made by
// [NewTCP], it follows the same script on a loopback socket, with real resets.
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := ssetest.New(t,
//			ssetest.Stream(ssetest.Emit(sse.Event{Data: "1", ID: "a"}), ssetest.Reset()),
//			ssetest.Status(503, "busy"),
//			ssetest.Stream(ssetest.Emit(sse.Event{Data: "2", ID: "b"}), ssetest.Hold()),
//		)
//		got := ssetest.Collect(t, srv.Source(sse.Options{}).All(), 2)
//		...
//	})
package ssetest

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
)

const host = "sse.test"

// A Server answers requests by a script, one reply each, and remembers them.
// It lives until the test ends, and fails the test if a request finds no reply
// left, or a reply is never asked for. Its methods may be called by any
// goroutine.
type Server struct {
	tb     testing.TB
	url    string
	client *sse.Client
	over   chan struct{} // closed when the test ends, with mu held

	handlers sync.WaitGroup

	mu       sync.Mutex
	script   []Reply
	always   *Reply
	requests []Request
	ended    time.Time // when the last reply ended
}

// A Request is what a [Server] was asked.
type Request struct {
	At          time.Time
	Gap         time.Duration // since the reply before it ended
	Method      string
	URL         string // path and query
	Body        string
	LastEventID string
	Header      http.Header
}

// New returns a server on an in-memory network, which only its own Client and
// Source reach. In a synctest bubble it must be made inside, with the bubble's
// t.
func New(tb testing.TB, replies ...Reply) *Server {
	tb.Helper()
	n := newNetwork()
	return newServer(tb, n, n.dial, "http://"+host, replies)
}

// NewTCP returns a server on a loopback socket, which any client reaches at
// its URL. [Reset] and [Refuse] need its own Client or Source. It cannot be
// used in a synctest bubble.
func NewTCP(tb testing.TB, replies ...Reply) *Server {
	tb.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatalf("ssetest: %v", err)
	}
	lo := &loopback{TCPListener: l, meters: map[string]*meter{}}
	return newServer(tb, lo, lo.dial, "http://"+l.Addr().String(), replies)
}

type connKey struct{}

func newServer(tb testing.TB, l net.Listener, dial func(context.Context) (net.Conn, error), url string, replies []Reply) *Server {
	tb.Helper()
	s := &Server{tb: tb, url: url, over: make(chan struct{}), script: replies}
	hs := &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Hour,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if err := s.refusal(); err != nil {
				return nil, err
			}
			return dial(ctx)
		},
		// A connection per request, so that each Refuse meets the attempt that
		// it is meant for. DisableKeepAlives would show in the requests.
		MaxIdleConnsPerHost: -1,
	}
	s.client = &sse.Client{HTTP: &http.Client{Transport: transport}}
	served := make(chan struct{})
	go func() {
		defer close(served)
		hs.Serve(l) //nolint:errcheck // always an error, of the Close below
	}()
	register(tb, s)
	tb.Cleanup(func() {
		s.mu.Lock()
		close(s.over) // no handler begins from here on
		s.mu.Unlock()
		hs.Close()
		<-served
		s.handlers.Wait()
		transport.CloseIdleConnections()
		unregister(tb)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.script) > 0 && !tb.Failed() {
			tb.Errorf("ssetest: the last %d replies were never asked for: %v\n%s", len(s.script), s.script, s.seen())
		}
	})
	return s
}

// URL returns the server's URL, without a path.
func (s *Server) URL() string { return s.url }

// Client returns a client that reaches the server.
func (s *Server) Client() *sse.Client { return s.client }

// Source returns a source of the server's stream. When the test ends it is
// closed and waited for.
func (s *Server) Source(o sse.Options) *sse.EventSource {
	src := s.client.Source(s.url, o)
	s.tb.Cleanup(func() {
		src.Close()
		<-src.Done()
	})
	return src
}

// Then appends replies to the script.
func (s *Server) Then(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, replies...)
}

// Always makes r the reply to every request that finds the script at its end.
func (s *Server) Always(r Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = &r
}

// Requests returns the requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// refusal returns the error of the next reply if it is one to refuse with.
func (s *Server) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.always
	if len(s.script) > 0 {
		next = &s.script[0]
	}
	if next == nil || next.Err == nil {
		return nil
	}
	if len(s.script) > 0 {
		s.script = s.script[1:]
	}
	s.ended = time.Now()
	return next.Err
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.handlers.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	p := &player{server: s, http: r, w: w, rc: http.NewResponseController(w)}
	reply := s.next(r, string(body), p)
	err = p.play(reply)
	s.mu.Lock()
	s.ended = time.Now()
	s.mu.Unlock()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// begin reports whether the test still runs, and makes its end wait for the
// handler if so.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.over:
		return false
	default:
		s.handlers.Add(1)
		return true
	}
}

// next notes a request and returns the reply to it.
func (s *Server) next(r *http.Request, body string, p *player) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	req := Request{
		At: time.Now(), Method: r.Method, URL: r.URL.RequestURI(), Body: body,
		LastEventID: r.Header.Get("Last-Event-ID"), Header: r.Header.Clone(),
	}
	if !s.ended.IsZero() {
		req.Gap = req.At.Sub(s.ended)
	}
	s.requests = append(s.requests, req)
	p.request = req
	switch {
	case len(s.script) > 0:
		reply := s.script[0]
		s.script = s.script[1:]
		return reply
	case s.always != nil:
		return *s.always
	}
	s.tb.Errorf("ssetest: request %d found no reply left in the script\n%s", len(s.requests), s.seen())
	// A status that no policy finds worth another attempt.
	return Status(http.StatusNotImplemented, "ssetest: no reply left in the script")
}

// seen lists the requests for a failure message. mu is held.
func (s *Server) seen() string {
	var b strings.Builder
	fmt.Fprintf(&b, "requests seen: %d", len(s.requests))
	for i, r := range s.requests {
		fmt.Fprintf(&b, "\n  %d: %s %s, after %v, last event id %q, body %q", i, r.Method, r.URL, r.Gap, r.LastEventID, r.Body)
	}
	return b.String()
}

// A player plays one reply.
type player struct {
	server  *Server
	request Request
	http    *http.Request
	w       http.ResponseWriter
	rc      *http.ResponseController
}

func (p *player) play(r Reply) error {
	if err := p.pause(r.after); err != nil {
		return err
	}
	h := p.w.Header()
	maps.Copy(h, r.Header)
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	if _, ok := h["Content-Type"]; !ok && r.body == "" && (r.Status == 0 || len(r.Steps) > 0) {
		h.Set("Content-Type", "text/event-stream")
	}
	if r.body != "" {
		// With its header at once, and so that the type is found from it.
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", http.DetectContentType([]byte(r.body)))
		}
	}
	p.w.WriteHeader(status)
	if r.body != "" {
		if _, err := io.WriteString(p.w, r.body); err != nil {
			return err
		}
	}
	if len(r.Steps) > 0 && !r.silent {
		if err := p.rc.Flush(); err != nil {
			return err
		}
	}
	for _, step := range r.Steps {
		if err := step.run(p); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) emit(e sse.Event) error {
	text, err := encode(e)
	if err != nil {
		p.server.tb.Errorf("ssetest: %v", err)
		return err
	}
	return p.write(text)
}

func (p *player) write(s string) error {
	if _, err := io.WriteString(p.w, s); err != nil {
		return err
	}
	return p.rc.Flush()
}

// await waits until c is ready, but not longer than the client and the test.
func (p *player) await(c <-chan time.Time) error {
	select {
	case <-c:
		return nil
	case <-p.http.Context().Done():
		return errAborted
	case <-p.server.over:
		return errAborted
	}
}

func (p *player) reset(drain bool) error {
	if c, ok := p.http.Context().Value(connKey{}).(interface{ reset(drain bool) }); ok {
		c.reset(drain)
	}
	return errAborted
}

// encode writes an event for the wire.
func encode(e sse.Event) (string, error) {
	switch {
	case strings.ContainsAny(e.Name, "\r\n"):
		return "", fmt.Errorf("event name %q cannot be written: it holds a line end", e.Name)
	case strings.ContainsAny(e.ID, "\r\n\x00"):
		return "", fmt.Errorf("event id %q cannot be written: it holds a line end or NUL", e.ID)
	}
	var b strings.Builder
	if e.ID != "" {
		b.WriteString("id: " + e.ID + "\n")
	}
	if e.Name != "" && e.Name != "message" {
		b.WriteString("event: " + e.Name + "\n")
	}
	for _, line := range lines(e.Data) {
		b.WriteString("data: " + line + "\n")
	}
	b.WriteString("\n")
	return b.String(), nil
}

// lines splits at every line end that the parser knows, so that nothing
// written can turn into a field of its own.
func lines(s string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s), "\n")
}
