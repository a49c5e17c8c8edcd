package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	forwardTries   = 7
	forwardWait    = 250 * time.Millisecond // before the second try; it doubles
	forwardTimeout = 30 * time.Second       // of all tries
)

// startForward checks --forward and makes the client.
func (a *actor) startForward() error {
	u, err := url.Parse(a.forward)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return usagef("--forward: want a URL that begins with http:// or https://")
	}
	a.target = u
	a.client = &http.Client{
		// A redirect would leave the data behind, or take it elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// post sends the data of an event until it is accepted.
func (a *actor) post(ctx context.Context, seq uint64, ev chosen) error {
	tries, cancel := context.WithTimeoutCause(ctx, forwardTimeout, errLate)
	defer cancel()
	var err error
	for try := range forwardTries {
		if try > 0 {
			select {
			case <-time.After(forwardWait << (try - 1)):
			case <-tries.Done():
			}
		}
		if tries.Err() != nil {
			break
		}
		var again bool
		if again, err = a.postOnce(tries, ev); err == nil {
			return nil
		} else if !again {
			break
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return codeError{exitOutput, fmt.Errorf("--forward: event %d: %w", seq, err)}
}

// errLate is the end of a try that forwardTimeout ends.
var errLate = fmt.Errorf("not accepted within %v", forwardTimeout)

// postOnce sends the data of an event. If it fails, again says whether that
// may pass.
func (a *actor) postOnce(ctx context.Context, ev chosen) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.target.String(), strings.NewReader(ev.Data))
	if err != nil {
		return false, err
	}
	req.Header.Set("User-Agent", userAgent())
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if json.Valid([]byte(ev.Data)) {
		req.Header.Set("Content-Type", "application/json")
	}
	setHeader(req.Header, "SSE-Event", ev.Name)
	setHeader(req.Header, "SSE-ID", ev.ID)
	resp, err := a.client.Do(req)
	if err != nil {
		var outer *url.Error
		for errors.As(err, &outer) { // it quotes the URL with its query
			err = outer.Err
		}
		if ctx.Err() != nil { // whatever it was doing then
			err = context.Cause(ctx)
		}
		return true, fmt.Errorf("%s: %w", redacted(a.target), err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		again = true
	default:
		again = resp.StatusCode >= 500
	}
	return again, fmt.Errorf("%s answered %d %s", redacted(a.target), resp.StatusCode, http.StatusText(resp.StatusCode))
}

// setHeader sets a header, unless it is empty or cannot be sent.
func setHeader(h http.Header, key, value string) {
	if value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		h.Set(key, value)
	}
}
