package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestNothingIsLogged has a server that goes on after its answer, of which
// net/http keeps a log.
func TestNothingIsLogged(t *testing.T) {
	told := make(chan struct{})
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		<-told
	}))
	defer open.Close()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		defer close(told)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		// The client closes the connection once it has told of the rest.
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\n\r\nmore")
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	cmd := exec.CommandContext(t.Context(), "sse", "tail", "--once", "http://"+l.Addr().String(), open.URL)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(stderr.String()) {
		if !strings.HasPrefix(line, "sse: ") {
			t.Errorf("a line that is none of the command's: %q", line)
		}
	}
}
