// Package sveltekit opens streams that servers made with sveltekit-sse send.
//
// Up to its version 0.12 such a server names each stream in the response
// header x-sse-id, percent-encodes every data line, and closes the stream
// unless it gets a beacon, an empty POST, from time to time. Later versions
// need no beacons; from 0.13.0 to 0.13.11 they still encode, and nothing in
// the response tells, so that [Config] has to.
//
// The ids of sveltekit-sse begin with 1 on every connection and the server
// does not read Last-Event-ID: a stream cannot be resumed but only opened
// again, and events must not be told apart by their ids. As its events do have
// ids, a POST counts as one that can be repeated; set Options.OnClose or
// Options.Retry if opening the stream again does harm.
package sveltekit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/wellspring-go/sse"
)

const (
	idHeader        = "X-Sse-Id"
	idQuery         = "x-sse-id"
	defaultInterval = 5 * time.Second
)

// A Config says how to read the streams of a server. The zero value fits every
// version but 0.13.0 to 0.13.11.
type Config struct {
	// Client makes the source and sends the beacons; nil means
	// sse.DefaultClient.
	Client *sse.Client
	// Beacon is the interval of the beacons, which are sent to servers that
	// name the stream. 0 means 5 s; negative sends none.
	Beacon time.Duration
	// Decode percent-decodes the data of every event. It is always done when
	// the server names the stream.
	Decode bool
}

// Source returns a source with the zero Config and the background context.
func Source(url string, o sse.Options) *sse.EventSource {
	return Config{}.Source(context.Background(), url, o)
}

// Source returns a source for url, which ends with ctx too.
//
// Data that is percent-encoded is decoded before o.Transform sees it; if it
// does not decode it is delivered as it is and o.OnError is told. Beacons are
// sent with the header of the stream's request, from one interval after the
// open until the connection ends, before OnClose. What becomes of them has no
// effect on the stream, as the server's answer proves nothing.
func (c Config) Source(ctx context.Context, url string, o sse.Options) *sse.EventSource {
	client := cmp.Or(c.Client, sse.DefaultClient)
	st := &stream{config: c, client: client, options: o}
	o.Prepare = st.prepare
	o.CheckResponse = st.checkResponse
	o.OnOpen = st.onOpen
	o.OnClose = st.onClose
	o.Transform = st.transform
	return client.SourceContext(ctx, url, o)
}

// A stream has what a source's hooks share. They run one at a time, which is
// why there is no lock.
type stream struct {
	config  Config
	client  *sse.Client
	options sse.Options // the caller's

	header http.Header   // of the latest attempt
	sent   *http.Request // what the response answers, after redirects
	named  bool          // by the server, on this connection
	stop   func()        // ends the beacons; nil if there are none
}

// prepare is the first hook of an attempt, also of one that Reconnect makes,
// for which there is no OnClose.
func (s *stream) prepare(req *http.Request, prev sse.CloseEvent) error {
	s.stopBeacons()
	s.named = false
	if s.options.Prepare != nil {
		if err := s.options.Prepare(req, prev); err != nil {
			return err
		}
	}
	s.header = req.Header.Clone() // before the client's Jar adds to it
	return nil
}

func (s *stream) checkResponse(resp *http.Response) error {
	s.sent = resp.Request
	if s.options.CheckResponse != nil {
		return s.options.CheckResponse(resp)
	}
	return sse.CheckResponse(resp)
}

func (s *stream) onOpen(ev sse.OpenEvent) {
	if id := ev.Header.Get(idHeader); id != "" {
		s.named = true
		if s.config.Beacon >= 0 {
			s.startBeacons(id)
		}
	}
	if s.options.OnOpen != nil {
		s.options.OnOpen(ev)
	}
}

func (s *stream) onClose(ev sse.CloseEvent) {
	s.stopBeacons()
	switch {
	case s.options.OnClose != nil:
		s.options.OnClose(ev)
	case ev.Retriable:
		ev.Connect()
	}
}

func (s *stream) transform(ev sse.Event) (sse.Event, error) {
	if s.config.Decode || s.named {
		data, err := decode(ev.Data)
		if err != nil {
			s.report(fmt.Errorf("sveltekit: event %q (id %q): %w", ev.Name, ev.ID, err))
		} else {
			ev.Data = data
		}
	}
	if s.options.Transform != nil {
		changed, err := s.options.Transform(ev)
		if err == nil {
			return changed, nil
		}
		s.report(err) // not returned: that would deliver ev with its data encoded
	}
	return ev, nil
}

// report does what the source does with an error of a Transform.
func (s *stream) report(err error) {
	if s.client.Logger != nil {
		s.client.Logger.WarnContext(s.sent.Context(), "sse: trouble", "err", err.Error())
	}
	if s.options.OnError != nil {
		s.options.OnError(err)
	}
}

// decode is JavaScript's decodeURIComponent.
func decode(data string) (string, error) {
	decoded, err := url.PathUnescape(data)
	if err != nil {
		return "", fmt.Errorf("data is not percent-encoded: %w", err)
	}
	if !utf8.ValidString(decoded) {
		return "", errors.New("data is not percent-encoded UTF-8")
	}
	return decoded, nil
}

// startBeacons sends a beacon each interval until stop is called.
func (s *stream) startBeacons(id string) {
	interval := cmp.Or(s.config.Beacon, defaultInterval)
	ctx, cancel := context.WithCancel(s.sent.Context())
	send := s.beacon(ctx, id, interval)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				send()
			case <-ctx.Done():
				return
			}
		}
	}()
	s.stop = func() {
		cancel()
		<-gone
	}
}

func (s *stream) stopBeacons() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// beacon returns what sends one: an empty POST to the stream's URL, the query
// replaced by the stream's name.
func (s *stream) beacon(ctx context.Context, id string, timeout time.Duration) func() {
	target := *s.sent.URL
	target.RawQuery = url.Values{idQuery: {id}}.Encode()
	header := s.header.Clone()
	for _, key := range []string{"Accept", "Content-Type", "Last-Event-Id"} { // of the stream, not of its beacons
		header.Del(key)
	}
	client := *cmp.Or(s.client.HTTP, http.DefaultClient)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Timeout = timeout
	return func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), http.NoBody)
		if err != nil {
			return // the stream's own request had this URL
		}
		req.Header = header.Clone()
		req.Host = s.sent.Host
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
		}
	}
}
