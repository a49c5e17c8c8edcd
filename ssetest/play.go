package ssetest

import (
	"maps"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/wellspring-go/sse/recording"
)

// Play returns a server, made by [New], that replays the recording in a file
// (see package recording): its connections in order, with their statuses,
// headers, events, waits and cuts, and the attempts that failed. The waits
// between them are the client's. Where the recording stopped, as the client
// had enough, the stream ends cleanly. Requests beyond the recording get a
// 204.
func Play(tb testing.TB, file string) *Server {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatalf("ssetest: %v", err)
	}
	defer f.Close()
	var replies []Reply
	lastID := ""
	for s, err := range recording.NewReader(f).All() {
		if err != nil {
			tb.Fatalf("ssetest: %s: %v", file, err)
		}
		switch s.Kind {
		case recording.Open:
			replies = append(replies, opened(s))
		case recording.Fail:
			replies = append(replies, failed(s))
		default:
			last := &replies[len(replies)-1]
			last.Steps = append(last.Steps, played(s, lastID)...)
		}
		if s.Kind == recording.Event || s.Kind == recording.ID {
			lastID = s.Event.ID
		}
	}
	if len(replies) == 0 {
		tb.Fatalf("ssetest: %s: neither an event nor a directive in it", file)
	}
	srv := New(tb, replies...)
	srv.Always(Reply{Status: http.StatusNoContent})
	return srv
}

// opened returns the reply that begins with an Open.
func opened(s recording.Step) Reply {
	r := Reply{Status: s.Status, Header: http.Header{"Content-Type": nil}, after: s.After}
	if s.Status == http.StatusOK {
		r.Header.Set("Content-Type", "text/event-stream")
	}
	maps.Copy(r.Header, s.Header)
	if r.Header.Get("Content-Type") == "" {
		r.Header["Content-Type"] = nil // none, where net/http would find one
	}
	return r
}

// failed returns the reply to a request that is not answered.
func failed(s recording.Step) Reply {
	switch s.Cause {
	case recording.Refused:
		return Refuse(nil)
	case recording.Timeout:
		return Unanswered(Hold())
	default:
		return Unanswered(Wait(s.After), ResetUnread())
	}
}

// played returns the steps of a reply that a step of a connection makes.
func played(s recording.Step, lastID string) []Step {
	var steps []Step
	if s.Wait > 0 {
		steps = append(steps, Wait(s.Wait))
	}
	switch {
	case s.Kind != recording.End:
		steps = append(steps, Raw(string(s.Append(nil, lastID))))
	case s.Cause == recording.Reset:
		steps = append(steps, Reset())
	case s.Cause == recording.Timeout:
		steps = append(steps, Hold())
	}
	return steps
}

// pause waits before a reply begins.
func (p *player) pause(d time.Duration) error {
	if d == 0 {
		return nil
	}
	return Wait(d).run(p)
}
