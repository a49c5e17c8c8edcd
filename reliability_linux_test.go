package sse_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/internal/rows"
)

// TestDescriptorsChild runs out of file descriptors, in a process of its own.
func TestDescriptorsChild(t *testing.T) {
	url, ok := strings.CutPrefix(os.Getenv(killedEnv), "descriptors ")
	if !ok {
		return
	}
	limit := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var open []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		open = append(open, f)
	}
	src := sse.Source(url, sse.Options{
		Retry: sse.RetryPolicy{BackOff: quick},
		OnClose: func(ev sse.CloseEvent) {
			if !ev.IsLocal && (!errors.Is(ev.Err, syscall.EMFILE) || !ev.Retriable) {
				t.Errorf("got %v, want a retriable EMFILE", ev)
			}
			if ev.Attempt == 3 {
				for _, f := range open {
					f.Close()
				}
			}
			ev.Connect()
		},
	})
	for ev, err := range src.All() {
		if err != nil || ev.ID != "0" {
			t.Errorf("got %v, %v", ev, err)
		}
		break
	}
	if n := src.Stats().Closes; n != 4 { // three failures, and the end
		t.Errorf("%d closes", n)
	}
}

// F11: running out of file descriptors is an outage like others.
func TestDescriptorsMayRunOut(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDescriptorsChild$", "-test.v")
	cmd.Env = append(os.Environ(), killedEnv+"=descriptors "+quietHub(t).url)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestDescriptorsChild") {
		t.Errorf("%v\n%s", err, out)
	}
	rows.Note(t, "F11", "no descriptor left for 3 attempts: retriable, then delivered")
}
