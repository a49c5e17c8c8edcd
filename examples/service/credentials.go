package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/wellspring-go/sse"
)

// credentials are the token for the feed. Only hooks use them, and those run
// one at a time, so that there is nothing to lock.
type credentials struct {
	url   string // "": there are none
	token string // "": to be fetched
	fresh bool   // not accepted yet
}

// prepare puts the token into a request. An error is a failed attempt; whether
// it is retriable is decided in OnClose like everything else.
func (c *credentials) prepare(req *http.Request, _ sse.CloseEvent) error {
	if c.url == "" {
		return nil
	}
	if c.token == "" {
		token, err := fetch(req.Context(), c.url)
		if err != nil {
			return fmt.Errorf("token: %w", err)
		}
		c.token, c.fresh = token, true
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	return nil
}

// expire drops the token and reports whether another may help: not if this one
// is fresh.
func (c *credentials) expire() bool {
	if c.url == "" || c.fresh {
		return false
	}
	c.token = ""
	return true
}

func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return "", sse.Permanent(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	token, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(token), err
}
