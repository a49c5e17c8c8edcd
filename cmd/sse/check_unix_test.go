//go:build unix

package main

import (
	"testing"

	"github.com/hinshun/vt10x"
)

func TestCheckInATerminalTellsWhatItDoesAndColoursLevels(t *testing.T) {
	_, url := serveFeed(t, "== 200\nretry: 0\nid: 1\ndata: x\n\n")
	x := startTerminal(t, 80, 60, []string{"sse", "check", url})
	x.waitFor("sse: watching "+url+" for 10 s", "sse: connecting again, to see whether it resumes", "1 fail")
	if code := x.exit(); code != exitInternal {
		t.Errorf("exit code %d", code)
	}
	for text, color := range map[string]vt10x.Color{"ok    status": vt10x.Green, "warn  cache-control": vt10x.Yellow} {
		if got := x.look(text).FG; got != color {
			t.Errorf("%q is in colour %v, want %v", text, got, color)
		}
	}
	if got := x.look("fail  retry").FG; got != vt10x.Red && got != vt10x.LightRed {
		t.Errorf("a fail is in colour %v, want red", got)
	}
}

func TestCheckInATerminalHonoursNoColor(t *testing.T) {
	_, url := serveFeed(t, "== 200\ndata: x\n\n")
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		x := startTerminal(t, 80, 60, []string{"sse", "check", "--retry", "never", url}, withEnv(env))
		x.waitFor("not judged")
		x.exit()
		if got := x.look("warn").FG; got != vt10x.DefaultFG {
			t.Errorf("%s: warn is in colour %v", env, got)
		}
	}
}

func TestCheckIsInterruptedByCtrlC(t *testing.T) {
	_, url := serveFeed(t, "== 200\ndata: x\n\n@hold\n")
	x := startTerminal(t, 80, 24, []string{"sse", "check", "--for", "1h", url})
	x.waitFor("sse: watching")
	x.press(keyCtrlC)
	if code := x.exit(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}

func TestParseInATerminalIsPrettyAndInterruptedByCtrlC(t *testing.T) {
	x := startTerminal(t, 80, 24, []string{"sse", "parse"})
	x.press("event: price\rdata: a\x16\x1bb\r\r")
	x.waitFor(`a\u001bb`)
	x.press(keyCtrlC)
	if code := x.exit(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}
