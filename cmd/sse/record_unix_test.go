//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A signal ends a recording with a whole step, and the program with its code.
func TestRecordFinishesTheFileOnASignal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\ndata: half\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		// A pipe with a name is written like a file, and tells how far it is.
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sse", "record", server.URL, "-o", pipe)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if lines.Text() == "data: 1" {
				break
			}
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		rest := ""
		for lines.Scan() {
			rest += lines.Text() + "\n"
		}
		if i := strings.LastIndex(rest, ":@ end local\n\n"); i < 0 || i+len(":@ end local\n\n") != len(rest) || strings.Contains(rest, "half") {
			t.Errorf("%v: the recording goes on with %q", sig, rest)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != want {
			t.Errorf("%v: %v, want exit code %d", sig, err, want)
		}
		if !strings.HasPrefix(stderr.String(), "sse: recorded 1 event over 1 connection in ") {
			t.Errorf("%v: stderr %q", sig, stderr.String())
		}
	}
}
