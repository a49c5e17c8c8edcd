package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// The flags of TLS, sockets and proxies, as a user has them: the events, or
// one line, a hint, and the exit code.
func TestConnectionFlagsOfTail(t *testing.T) {
	t.Chdir(t.TempDir())
	url := secure(t, nil)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	proxy, _ := aProxy(t)
	proxy = strings.Replace(proxy, "//", "//joe:${PASS}@", 1)
	t.Setenv("PASS", secret)
	gone := filepath.Join(t.TempDir(), "gone")
	for _, c := range []struct {
		args   []string
		code   int
		stdout string
		stderr []string // a part of each line
	}{
		{[]string{"-k", url}, exitDone, "HTTP/2.0 nobody\n", nil},
		{[]string{"--cacert", "ca.pem", url}, exitDone, "HTTP/2.0 nobody\n", nil},
		{[]string{"-k", "--http1.1", url}, exitDone, "HTTP/1.1 nobody\n", nil},
		{[]string{url}, exitFatal, "", []string{"the certificate is not trusted: x509: ", "--cacert FILE"}},
		{[]string{"--proxy", proxy, "http://sse.test/"}, exitDone, "HTTP/1.1 nobody\n", nil},
		{[]string{"--unix-socket", gone, "sse.test"}, exitTrouble, "", []string{"no response from http://sse.test: dial unix", "--unix-socket"}},
		{[]string{"--connect-timeout", "20ms", "http://" + silent.Addr().String()}, exitTrouble, "", []string{"no response head within 20ms (--connect-timeout)"}},
	} {
		args := append([]string{"tail", "--once", "-o", "data"}, c.args...)
		var stdout, stderr strings.Builder
		if code := run(args, strings.NewReader(""), &stdout, &stderr); code != c.code || stdout.String() != c.stdout {
			t.Errorf("%q: exit code %d, %q", args, code, stdout.String())
		}
		lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
		if len(c.stderr) == 0 && stderr.Len() > 0 || len(c.stderr) > 0 && len(lines) != len(c.stderr) || strings.Contains(stderr.String(), secret) {
			t.Errorf("%q: stderr is\n%s", args, stderr.String())
			continue
		}
		for i, part := range c.stderr {
			if !strings.Contains(lines[i], part) {
				t.Errorf("%q: line %d is %q, want %q in it", args, i+1, lines[i], part)
			}
		}
	}
}
