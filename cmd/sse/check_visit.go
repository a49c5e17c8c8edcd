package main

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/wellspring-go/sse"
)

// A visit is one connection to a stream, and what came over it.
type visit struct {
	head      time.Duration // from the request to the response head
	response  bool          // there was a head
	status    string        // "200 OK"
	proto     string
	header    http.Header
	encodings string // that the request offered
	redirects int    // followed

	arrivals []arrival
	events   []sentEvent
	lastID   string // in force at the end
	retry    string // the last one, in milliseconds, "" if there was none
	found    [oddities]foundOddity
	lint     lint

	end   sse.CloseEvent
	cause string        // of the end, in words
	hint  string        // what may help, if it is known
	took  time.Duration // from the request to the end
}

// An arrival is what one read of the body brought.
type arrival struct {
	at     time.Duration // since the request
	bytes  int
	events int
	beats  int  // comments
	within bool // it ends in the middle of an event
}

// A sentEvent is an event as sent: the id is its own.
type sentEvent struct {
	id  string
	sum uint64 // see sentBlock
}

// A foundOddity is how often an oddity was found, and its first place.
type foundOddity struct {
	count int
	first finding
}

// maxArrivals bounds the memory that a visit takes.
const maxArrivals = 50_000

// watch opens the stream and watches it until enough says so, for at most d.
func watch(ctx context.Context, s *stream, d time.Duration, enough func(*visit) bool) *visit {
	v := &visit{}
	v.watchBytes()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	begun := time.Now()
	var source *sse.EventSource
	o := s.options
	accepts := o.CheckResponse
	if accepts == nil {
		accepts = sse.CheckResponse
	}
	o.IdleTimeout = 0 // silence is what is to be seen
	o.CheckResponse = func(resp *http.Response) error {
		v.accept(resp, time.Since(begun))
		err := accepts(resp)
		if err == nil {
			resp.Body = &watchedBody{ReadCloser: decoded(resp), visit: v, begun: begun, enough: func() bool {
				return enough(v) || len(v.arrivals) >= maxArrivals
			}, close: func() { source.Close() }}
		}
		return err
	}
	o.OnEvent = func(sse.Event) {} // so that the body is read
	o.OnClose = func(ev sse.CloseEvent) { v.end = ev }
	source = s.client.SourceContext(ctx, s.url, o)
	_ = source.Run() // OnClose has it all
	v.took = time.Since(begun)
	if !v.end.IsLocal {
		v.lint.end()
	}
	return v
}

// watchBytes makes the lint tell the visit.
func (v *visit) watchBytes() {
	v.lint.onBlock = v.block
	v.lint.onRetry = func(ms string) { v.retry = ms }
	v.lint.onFinding = func(f finding) {
		o := &v.found[f.what]
		if o.count++; o.count == 1 {
			o.first = f
		}
	}
}

func (v *visit) accept(resp *http.Response, head time.Duration) {
	v.response, v.head, v.status, v.proto, v.header = true, head, resp.Status, resp.Proto, resp.Header.Clone()
	v.redirects, v.encodings = 0, resp.Request.Header.Get("Accept-Encoding")
	for r := resp.Request; r != nil && r.Response != nil; r = r.Response.Request {
		v.redirects++
	}
}

// accepted reports whether there was a stream.
func (v *visit) accepted() bool {
	return v.response && v.end.Status == http.StatusOK && !refused(v.end.Err)
}

func (v *visit) block(b sentBlock) {
	if b.hasID {
		v.lastID = b.id
	}
	if b.data > 0 {
		v.events = append(v.events, sentEvent{strings.ToValidUTF8(b.id, "\uFFFD"), b.sum})
	}
}

// bytes counts what was received.
func (v *visit) bytes() int {
	n := 0
	for _, a := range v.arrivals {
		n += a.bytes
	}
	return n
}

// ended reports whether the stream ended by itself, and not because enough was
// seen.
func (v *visit) ended() bool { return !v.end.IsLocal }

// decoded returns the body without gzip, which is taken away here so that what
// is watched is what an application would see.
func decoded(resp *http.Response) io.ReadCloser {
	if encoding := contentEncoding(resp.Header); encoding != "gzip" && encoding != "x-gzip" {
		return resp.Body
	}
	resp.Header.Del("Content-Encoding")
	return &gunzipped{ReadCloser: resp.Body}
}

func contentEncoding(h http.Header) string {
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ", ")))
	if encoding == "identity" {
		return ""
	}
	return encoding
}

// gunzipped decodes a body. Its first Read waits for the gzip header.
type gunzipped struct {
	io.ReadCloser
	plain *gzip.Reader
}

func (g *gunzipped) Read(b []byte) (n int, err error) {
	if g.plain == nil {
		if g.plain, err = gzip.NewReader(g.ReadCloser); err != nil {
			g.plain = nil
			return 0, err
		}
	}
	return g.plain.Read(b)
}

// A watchedBody notes what is read of a body, and when.
type watchedBody struct {
	io.ReadCloser
	visit  *visit
	begun  time.Time
	enough func() bool // asked after each read that brought something
	close  func()      // ends the source
	closed bool
}

func (w *watchedBody) Read(b []byte) (int, error) {
	if w.closed {
		return 0, os.ErrClosed
	}
	n, err := w.ReadCloser.Read(b)
	if n > 0 {
		v := w.visit
		a := arrival{at: time.Since(w.begun), bytes: n}
		events, beats := len(v.events), v.lint.beats
		_, _ = v.lint.Write(b[:n]) // it never fails
		a.events, a.beats, a.within = len(v.events)-events, v.lint.beats-beats, v.lint.within()
		v.arrivals = append(v.arrivals, a)
		if w.closed = w.enough(); w.closed {
			w.close()
		}
	}
	return n, err
}
