//go:build unix

package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestASignalEndsAllThatExecRuns has commands that run further ones. All of
// them have a pipe open, which ends with the last of them.
func TestASignalEndsAllThatExecRuns(t *testing.T) {
	for _, test := range []struct{ name, command, grace string }{
		{"by the same signal", `echo >&3; sleep 100; true`, "1h"},
		{"by force, if that is ignored", `trap "" TERM; (echo >&3; sleep 100; true) & wait`, "1ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, url := serveFeed(t, "== 200\ndata: x\n\n@hold\n")
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd := exec.CommandContext(t.Context(), "sse-fault", "tail", url, "--exec", test.command)
			cmd.Env = append(os.Environ(), "GRACE="+test.grace)
			cmd.ExtraFiles = []*os.File{w}
			err = cmd.Start()
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			if err := r.SetReadDeadline(time.Now().Add(ptyPatience)); err != nil {
				t.Fatal(err)
			}
			pipe := bufio.NewReader(r)
			if _, err := pipe.ReadByte(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 143 {
				t.Errorf("%v, want exit code 143", err)
			}
			if _, err := pipe.ReadByte(); err != io.EOF {
				t.Errorf("a command is still there: %v", err)
			}
		})
	}
}
