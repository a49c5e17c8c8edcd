//go:build unix

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/hinshun/vt10x"
)

func TestTailInATerminal(t *testing.T) {
	_, url := serveFeed(t, priceFeed)
	x := startTerminal(t, 80, 24, []string{"sse", url})
	x.waitFor("sold", "open | ", "3 events | id 3")
	for _, name := range []string{"price", "trade"} {
		if x.look(name).FG == vt10x.DefaultFG {
			t.Errorf("%s has no colour", name)
		}
	}
	if x.look("price").FG == x.look("trade").FG {
		t.Error("two names have one colour")
	}
	x.press(keyCtrlC)
	if code := x.exit(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if text := x.text(); strings.Contains(text, "events") || !strings.Contains(text, "sold") {
		t.Errorf("the live line is still there, or the events are not:\n%s", text)
	}
}

func TestTailWithoutColours(t *testing.T) {
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		t.Run(env, func(t *testing.T) {
			_, url := serveFeed(t, priceFeed)
			x := startTerminal(t, 80, 24, []string{"sse", url, "-n", "3"}, withEnv(env))
			if code := x.exit(); code != exitDone {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(x.written(), "sold") || strings.Contains(x.written(), "\x1b") {
				t.Errorf("no events, or an escape: %q", x.written())
			}
		})
	}
}

// TestTailShowsTheNextRetry looks at the live line while the server is away.
func TestTailShowsTheNextRetry(t *testing.T) {
	_, url := serveFeed(t, "== 503 Retry-After: 300\n")
	x := startTerminal(t, 80, 24, []string{"sse", url, "--last-event-id", "7"})
	countdown := regexp.MustCompile(`(?m)^.*\b(2[89][0-9]|300)s?\b.* \| 0 events \| id 7`)
	x.wait("a countdown", countdown.MatchString)
	x.press(keyCtrlC)
	if code := x.exit(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(x.text(), "0 events") {
		t.Errorf("the live line is still there:\n%s", x.text())
	}
}

func TestTailObeysNoServer(t *testing.T) {
	for _, mode := range []string{"pretty", "data", "raw", "json"} {
		t.Run(mode, func(t *testing.T) {
			_, url := serveFeed(t, `== 200
@raw "event: \x1b]0;owned\a\u202e\ndata: \x1b[2J\u009b31m\nid: \x1b[5n\n\n"
@raw "data: end\n\n"
@hold
`)
			x := startTerminal(t, 80, 24, []string{"sse", url, "-o", mode})
			x.waitFor("end", `\u001b[2J\u009b31m`, "cannot be sent back", "2 events")
			x.press(keyCtrlC)
			x.exit()
			for _, sequence := range []string{"\x1b]0;owned", "\x1b[5n", "\x1b[2J", "\u009b", "\u202e"} {
				if strings.Contains(x.written(), sequence) {
					t.Errorf("%q reached the terminal", sequence)
				}
			}
		})
	}
}

// endless starts a server that sends events as fast as they are read.
func endless(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 1; ; i++ {
			if _, err := fmt.Fprintf(w, "id: %d\ndata: event %d\n\n", i, i); err != nil {
				return
			}
		}
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func TestTailIntoAClosedPipe(t *testing.T) {
	url := endless(t)
	x := startTerminal(t, 80, 24, []string{"sh", "-c", `{ sse "$0" -o data; echo "code $?" >&2; } | head -n 1`, url})
	x.waitFor("event 1\n", "code 0")
	if code := x.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(x.written(), "sse:") {
		t.Errorf("a closed pipe is told of: %q", x.written())
	}
}

// TestTwoInterruptsEndATailThatIsStuck has a command of --exec that goes on
// when it is told to end, and a tail that waits for it.
func TestTwoInterruptsEndATailThatIsStuck(t *testing.T) {
	_, url := serveFeed(t, priceFeed)
	// What it says is late enough for the next interrupt to be another one.
	command := fmt.Sprintf(`trap "" TERM; sleep 100 & trap 'sleep %.1f; echo go on' TERM; echo begin; wait; wait`, (2 * signalsTogether).Seconds())
	x := startTerminal(t, 80, 24, []string{"sse-fault", "tail", url, "--exec", command}, withEnv("GRACE=1h"))
	x.waitFor("begin")
	x.press(keyCtrlC)
	x.waitFor("go on")
	select {
	case <-x.ended:
		t.Fatal("it is not stuck")
	default:
	}
	x.press(keyCtrlC)
	if code := x.exit(); code != 130 {
		t.Errorf("exit code %d", code)
	}
}
