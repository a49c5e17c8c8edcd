//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestNothingOutlivesATest: what a test started ends with it, or it would
// take the machine from all that come after.
func TestNothingOutlivesATest(t *testing.T) {
	dir := t.TempDir()
	binary, held := filepath.Join(dir, "test"), filepath.Join(dir, "held")
	script := "#!/bin/sh\necho '=== RUN   TestX'\nsleep 600 >held 2>&1 &\necho '--- FAIL: TestX (0s)'\nexit 1\n"
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(held, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { // the read ends when the last process that writes there does
		_, err := os.ReadFile(held)
		ended <- err
	}()
	c := &check{timeout: 10 * time.Second}
	if how, output, err := c.test(t.Context(), dir, binary, "TestX"); how != failed || err != nil {
		t.Fatalf("%v, %v\n%s", how, err, output)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a process that the test started is still there")
	}
}
