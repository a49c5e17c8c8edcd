//go:build unix

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hinshun/vt10x"
	"golang.org/x/term"
)

// serveFeed starts a server that answers by a script, see feed, and returns
// its URL.
func serveFeed(t *testing.T, script string) (*feedServer, string) {
	t.Helper()
	f := &feedServer{replies: splitFeed(script)}
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return f, server.URL
}

const priceFeed = `== 200
id: 1
event: price
data: {"p":1}

id: 2
event: price
data: {"p":2}

id: 3
event: trade
data: sold

@hold
== 200
@hold
== 200
@hold
`

func TestTopFollowsTheKeys(t *testing.T) {
	feed, url := serveFeed(t, priceFeed)
	x := startTerminal(t, 80, 24, []string{"sse", "top", url})
	screen := x.waitFor("3 events", "open       "+url+"  id 3", " price  ", " trade  ", "last minute", "q quit")
	if lines := strings.Count(screen, "\n") + 1; lines != 24 {
		t.Errorf("%d lines, want 24:\n%s", lines, screen)
	}
	if got := x.look("open").FG; got != vt10x.Green {
		t.Errorf("open is in colour %v, want green", got)
	}
	if x.look(" price").BG == vt10x.DefaultBG || x.look(" trade").BG != vt10x.DefaultBG {
		t.Error("the first row is not selected, or the second is too")
	}

	x.press(" ")
	x.waitFor("PAUSED, 0 arrived since")
	x.press(" ")
	x.wait("no pause", func(screen string) bool { return !strings.Contains(screen, "PAUSED") })

	x.press("/TRA" + keyEnter)
	x.waitFor("/TRA  0 of 2 names", "nothing passes the filter")
	x.press("/\x15tra" + keyEnter)
	x.waitFor("/tra  1 of 2 names")
	x.press(keyEsc)
	x.waitFor(" price ", "? help  space")

	x.press(keyEnter)
	x.waitFor("event 2, newest of 2 kept", `  "p": 2`, "id 2")
	x.press("p")
	x.waitFor("event 1, 1 before the newest of 2 kept", `  "p": 1`)
	x.press(keyEsc)
	x.waitFor("last minute")
	x.press(keyDown + keyEnter)
	x.waitFor("trade  event 3", "sold")
	x.press(keyEsc)
	x.waitFor("last minute")
	x.press(keyUp + "?")
	x.waitFor("the view stands still")
	x.press("?r")
	x.waitFor("opened 2 times", "open  ")
	if log := string(feed.log()); !strings.Contains(log, `GET / "3" ""`) {
		t.Errorf("r does not resume after the last id:\n%s", log)
	}
	x.press("c")
	x.waitFor(" 0 events", "no events yet", "id 3")
	x.press("q")
	if code := x.exit(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(x.written(), "\x1b[c") {
		t.Error("the terminal is asked what it is, which holds up the start if it does not answer")
	}
	if text := x.text(); text != "" {
		t.Errorf("left on the screen: %q", text)
	}
}

func TestTopResizes(t *testing.T) {
	_, url := serveFeed(t, priceFeed)
	x := startTerminal(t, 120, 40, []string{"sse", "top", url})
	x.waitFor("3 events", "last minute")
	for _, size := range [][2]int{{40, 10}, {1, 1}, {120, 40}, {80, 24}} {
		x.resize(size[0], size[1])
		lastLine := "q quit  ? help  space pause  / filter  enter event  r reconnect  c clear"
		if size[1] < 6 {
			lastLine = "sse top"
		}
		lastLine = lastLine[:min(len(lastLine), size[0])]
		x.wait("a screen of another size", func(screen string) bool {
			lines := strings.Split(screen, "\n")
			wide := strings.Contains(screen, "last minute")
			return len(lines) == size[1] && strings.TrimSpace(lines[size[1]-1]) == strings.TrimSpace(lastLine) && wide == (size[0] >= 80)
		})
	}
	x.press("q")
	if code := x.exit(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// TestTopGivesTheTerminalBack ends in every way; exit looks at the terminal.
func TestTopGivesTheTerminalBack(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(x *terminal)
		want int
	}{
		{"ctrl-c", func(x *terminal) { x.press(keyCtrlC) }, 130},
		{"interrupt", func(x *terminal) { x.signal(os.Interrupt) }, 130},
		{"two interrupts", func(x *terminal) { x.signal(os.Interrupt); x.signal(os.Interrupt) }, 130},
		{"termination", func(x *terminal) { x.signal(syscall.SIGTERM) }, 143},
		{"hangup", func(x *terminal) { x.signal(syscall.SIGHUP) }, 129},
		{"q", func(x *terminal) { x.press("q") }, 0},
		{"q in an event", func(x *terminal) { x.press(keyEnter + "q") }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, url := serveFeed(t, priceFeed)
			x := startTerminal(t, 80, 24, []string{"sse", "top", url})
			x.waitFor("3 events")
			test.end(x)
			if code := x.exit(); code != test.want {
				t.Errorf("exit code %d, want %d", code, test.want)
			}
		})
	}
}

// TestTwoSignalsEndATopThatIsStuck has a terminal that takes no output, so
// that the first signal waits for it. The modes of the terminal come back.
func TestTwoSignalsEndATopThatIsStuck(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	}))
	defer server.Close()
	x := startTerminal(t, 80, 24, []string{"sse", "top", server.URL})
	x.waitFor("1 event")
	x.stall()
	x.signal(syscall.SIGTERM)
	select {
	case <-gone: // it has got the signal
	case <-time.After(ptyPatience):
		t.Fatal("the first signal does not end the stream")
	}
	select {
	case <-x.ended:
		t.Fatal("it is not stuck")
	case <-time.After(2 * signalsTogether): // the next is another one
	}
	x.signal(syscall.SIGTERM)
	select {
	case <-x.ended:
	case <-time.After(ptyPatience):
		t.Fatal("the second signal does not end it")
	}
	if code := x.cmd.ProcessState.ExitCode(); code != 143 {
		t.Errorf("exit code %d", code)
	}
	after, err := term.GetState(int(x.line.Fd()))
	x.check(err)
	if *after != *x.before {
		t.Errorf("terminal modes are %v, want those before, %v", after, x.before)
	}
}

func TestTopGivesTheTerminalBackAfterAPanic(t *testing.T) {
	for _, fault := range []string{"lines", "event"} {
		t.Run(fault, func(t *testing.T) {
			_, url := serveFeed(t, priceFeed)
			x := startTerminal(t, 80, 24, []string{"sse-fault", "top", url}, withEnv("FAULT="+fault))
			if code := x.exit(); code != exitInternal {
				t.Errorf("exit code %d, want %d", code, exitInternal)
			}
			_, after, ok := strings.Cut(x.written(), "\x1b[?1049l")
			if !ok || !strings.Contains(after, "sse: internal error: this is a test") || !strings.Contains(after, "top_test.go") {
				t.Errorf("the panic is not told of: %q", after)
			}
		})
	}
}

// TestTopEndsWithTheCodeOfTheStreams quits when all streams have ended.
func TestTopEndsWithTheCodeOfTheStreams(t *testing.T) {
	for _, test := range []struct {
		name, script, shows string
		args                []string
		want                int
	}{
		{"refused", "== 401\n", "401 Unauthorized", nil, exitFatal},
		{"stop", "== 204\n", "204 No Content", nil, exitDone},
		{"trouble", "== 503\n", "503 Service Unavailable", []string{"--retry", "never"}, exitTrouble},
		{"alive", "== 503 Retry-After: 100\n", "retry 100s", nil, exitDone},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, url := serveFeed(t, test.script)
			x := startTerminal(t, 80, 24, append([]string{"sse", "top", url}, test.args...))
			x.waitFor(test.shows)
			x.press("q")
			if code := x.exit(); code != test.want {
				t.Errorf("exit code %d, want %d", code, test.want)
			}
			_, after, _ := strings.Cut(x.written(), "\x1b[?1049l")
			if told := strings.Contains(after, "sse: "); told != (test.want != exitDone) {
				t.Errorf("after the screen: %q", after)
			}
		})
	}
	t.Run("the worst of several", func(t *testing.T) {
		_, trouble := serveFeed(t, "== 503\n")
		_, refused := serveFeed(t, "== 403\n")
		x := startTerminal(t, 80, 24, []string{"sse", "top", "--retry", "never", trouble, refused})
		x.waitFor("503 Service Unavailable", "403 Forbidden")
		x.press("q")
		if code := x.exit(); code != exitFatal {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestTopReconnectsWhatHasEnded(t *testing.T) {
	_, url := serveFeed(t, "== 401\n== 200\nevent: late\ndata: x\n\n@hold\n")
	x := startTerminal(t, 80, 24, []string{"sse", "top", url})
	x.waitFor("ended", "401")
	x.press("r")
	x.waitFor("open  ", " late ")
	x.press("q")
	if code := x.exit(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

func TestTopObeysNoServer(t *testing.T) {
	_, url := serveFeed(t, `== 200
@raw "event: \x1b]0;owned\a\u202e\ndata: \x1b[2J\u009b31m\nid: \x1b[5n\n\n"
@hold
`)
	x := startTerminal(t, 80, 24, []string{"sse", "top", url})
	x.waitFor(`\u001b]0;owned\u0007`, `id \u001b[5n`, `event id "\x1b[5n" cannot be sent back`)
	x.press(keyEnter)
	x.waitFor(`\u001b]0;owned\u0007\u202e`, `\u001b[2J\u009b31m`)
	x.press("q")
	x.exit()
	for _, sequence := range []string{"\x1b]0;owned", "\x1b[5n", "\u009b", "\u202e"} {
		if strings.Contains(x.written(), sequence) {
			t.Errorf("%q reached the terminal", sequence)
		}
	}
}

func TestTopWithoutColours(t *testing.T) {
	_, url := serveFeed(t, priceFeed)
	x := startTerminal(t, 80, 24, []string{"sse", "top", url}, withEnv("NO_COLOR=1"))
	x.waitFor("3 events", "open ")
	if got := x.look("open").FG; got != vt10x.DefaultFG {
		t.Errorf("open is in colour %v", got)
	}
	x.press("q")
	x.exit()
}

// TestTopWithoutUnicode wants characters that the terminal has.
func TestTopWithoutUnicode(t *testing.T) {
	_, url := serveFeed(t, priceFeed)
	x := startTerminal(t, 80, 24, []string{"sse", "top", url}, withEnv("LC_ALL=C"))
	x.wait("a graph of digits", func(screen string) bool {
		for row := range strings.Lines(screen) {
			if strings.HasPrefix(row, " price") {
				return strings.Contains(row, " 8 ")
			}
		}
		return false
	})
	x.press("q")
	x.exit()
	if i := strings.IndexFunc(x.written(), func(r rune) bool { return r > 0x7e }); i >= 0 {
		t.Errorf("no ASCII: %q", x.written()[i:])
	}
}

func TestTopOnATerminalThatIsNoScreen(t *testing.T) {
	x := startTerminal(t, 80, 24, []string{"sse", "top", "http://127.0.0.1:1"}, withEnv("TERM=dumb"))
	if code := x.exit(); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	if want := "sse: sse top fills a screen, which this terminal cannot (TERM=dumb); use sse tail\r\n"; x.written() != want {
		t.Errorf("%q, want %q", x.written(), want)
	}
}
