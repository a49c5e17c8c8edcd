//go:build unix

package main

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPasswordIsAskedForWithoutEcho(t *testing.T) {
	f := &feedServer{}
	server := httptest.NewServer(f)
	defer server.Close()
	x := startTerminal(t, 80, 24, []string{"sse", "tail", "-u", "joe", server.URL})
	x.waitFor("Password:")
	x.press(secret + keyEnter)
	if code := x.exit(); code != exitDone {
		t.Errorf("exit code %d:\n%s", code, x.text())
	}
	if strings.Contains(x.written(), secret) {
		t.Errorf("the password shows: %q", x.written())
	}
	if got, want := string(f.log()), "GET / \"\" \"\" Authorization=Basic am9lOmh1bnRlcjI=\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The kit wants the terminal's echo back.
func TestInterruptWhileThePasswordIsAskedFor(t *testing.T) {
	x := startTerminal(t, 80, 24, []string{"sse", "tail", "-u", "joe", "http://127.0.0.1:1/"})
	x.waitFor("Password:")
	x.press(secret + keyCtrlC)
	if code := x.exit(); code != 130 {
		t.Errorf("exit code %d:\n%s", code, x.text())
	}
}
