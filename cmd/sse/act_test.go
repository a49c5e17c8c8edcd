package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
)

type answer func(*http.Request) (*http.Response, error)

func (a answer) RoundTrip(req *http.Request) (*http.Response, error) { return a(req) }

func answering(code int) answer {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{"Location": {"/other"}}, Body: io.NopCloser(strings.NewReader(""))}, nil
	}
}

// forwarder returns an actor whose posts are answered in turn, the last answer
// again and again, and when they were made.
func forwarder(t *testing.T, answers ...answer) (a *actor, times *[]time.Duration) {
	t.Helper()
	a = &actor{forward: "http://test/?key=hush"}
	if err := a.startForward(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	times = new([]time.Duration)
	a.client.Transport = answer(func(req *http.Request) (*http.Response, error) {
		*times = append(*times, time.Since(began))
		return answers[min(len(*times), len(answers))-1](req)
	})
	return a, times
}

func TestForwardIsPatientWithWhatMayPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := answer(func(*http.Request) (*http.Response, error) { return nil, errors.New("lost") })
		a, times := forwarder(t, lost, answering(503), answering(429), answering(204))
		if err := a.act(t.Context(), 1, chosen{Event: sse.Event{Data: "x"}}); err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, 250 * time.Millisecond, 750 * time.Millisecond, 1750 * time.Millisecond}
		if len(*times) != len(want) {
			t.Fatalf("posts at %v, want %v", *times, want)
		}
		for i := range want {
			if (*times)[i] != want[i] {
				t.Fatalf("posts at %v, want %v", *times, want)
			}
		}
	})
}

func TestForwardGivesUp(t *testing.T) {
	for _, test := range []struct {
		name  string
		reply answer
		posts int
		text  string
	}{
		{"after some tries", answering(500), forwardTries, "--forward: event 7: http://test/?key=xxxxx answered 500 Internal Server Error"},
		{"at once if refused", answering(401), 1, "--forward: event 7: http://test/?key=xxxxx answered 401 Unauthorized"},
		{"at once if led elsewhere", answering(307), 1, "--forward: event 7: http://test/?key=xxxxx answered 307 Temporary Redirect"},
		{
			"with the cause alone", func(*http.Request) (*http.Response, error) {
				return nil, &url.Error{Op: "Post", URL: "http://test/?key=hush", Err: errors.New("lost")}
			},
			forwardTries, "--forward: event 7: http://test/?key=xxxxx: lost",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, times := forwarder(t, test.reply)
				err := a.act(t.Context(), 7, chosen{})
				var coded codeError
				if !errors.As(err, &coded) || coded.code != exitOutput {
					t.Fatalf("got %v, want the code %d", err, exitOutput)
				}
				if strings.Contains(err.Error(), "hush") || !strings.HasPrefix(err.Error(), test.text) {
					t.Errorf("got %q, want %q", err, test.text)
				}
				if len(*times) != test.posts {
					t.Errorf("%d posts, want %d", len(*times), test.posts)
				}
			})
		})
	}
}

// TestForwardGivesASilentTargetUp has a target that takes each post and never
// answers, at once or after it has failed.
func TestForwardGivesASilentTargetUp(t *testing.T) {
	silent := answer(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	})
	for name, answers := range map[string][]answer{"from the start": {silent}, "after a failure": {answering(503), silent}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := forwarder(t, answers...)
				began := time.Now()
				err := a.act(t.Context(), 7, chosen{})
				var coded codeError
				if !errors.As(err, &coded) || coded.code != exitOutput {
					t.Fatalf("got %v, want the code %d", err, exitOutput)
				}
				if want := "--forward: event 7: http://test/?key=xxxxx: not accepted within 30s"; err.Error() != want {
					t.Errorf("got %q, want %q", err, want)
				}
				if took := time.Since(began); took != forwardTimeout {
					t.Errorf("it took %v, want %v", took, forwardTimeout)
				}
			})
		})
	}
}

func TestForwardEndsWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := forwarder(t, answering(503))
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		if err := a.act(ctx, 1, chosen{}); !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
	})
}

func TestForwardSendsOnlyHeadersThatCanBeSent(t *testing.T) {
	var got http.Header
	a, _ := forwarder(t, func(req *http.Request) (*http.Response, error) {
		got = req.Header
		return answering(200)(req)
	})
	ev := chosen{Event: sse.Event{Name: "größe", ID: "a\x01b", Data: "1"}}
	if err := a.act(t.Context(), 1, ev); err != nil {
		t.Fatal(err)
	}
	if got.Get("SSE-Event") != "größe" || got.Values("SSE-ID") != nil || got.Get("Content-Type") != "application/json" {
		t.Errorf("got %v", got)
	}
}
