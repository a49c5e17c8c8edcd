package interop

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestTheTailExampleShowsWhatSvelteKitSends(t *testing.T) {
	t.Parallel()
	url := current.URL(t, "/events")
	program := filepath.Join(t.TempDir(), "tail.exe")
	if out, err := goTool(t.Context(), "build", "-o", program, "./examples/tail").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-X", "POST", url)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// As its ids make the POST resumable it goes on after the clean end.
	var printed strings.Builder
	interrupted := false
	for lines := bufio.NewScanner(io.TeeReader(stdout, &printed)); lines.Scan(); {
		if !interrupted && strings.Contains(lines.Text(), "ended cleanly") {
			interrupted = true
			if runtime.GOOS == "windows" { // has no interrupt to send
				cancel()
			} else if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil && runtime.GOOS != "windows" {
		t.Errorf("after an interrupt: %v", err)
	}
	wantInOrder(t, printed.String(),
		"status 200",
		"price (id 1)", `{"symbol":"ACME","value":12.5,"tags":["a","b"]}`,
		"halt (id 2)", `{"symbol":"ACME","reason":"news \"pending\"\n"}`,
		"lines (id 3)", "first\n", "second\n", "fourth\n",
		"lines (id 4)", "lines (id 5)", "ends with one",
		"crlf (id 6)", "first\n", "second\n",
		"cr (id 7)", "first\n", "second\n",
		"cr (id 8)", "kept",
		"unicode (id 9)", "😀 漢字",
		"unicode (id 10)", "in front", "unicode (id 11)", "in",
		"größe (id 12)", "a name outside ASCII",
		"spaces (id 13)", "  two in front, two behind  ",
		"colon (id 14)", ": not a comment",
		"percent (id 15)", "100%25 a+b %E2%82%AC",
		"empty (id 16)", "message (id 17)", "an empty name",
		"message (id 18)", "the default name", "error (id 19)", "an ordinary name",
		"retriable", "ended cleanly",
	)
}

func TestTheTailExampleExitsByWhatTheServerSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path string
		code int
		want []string
	}{
		{"/status/204", 0, []string{"204"}},
		{"/status/401", 1, []string{"fatal", "401 Unauthorized"}},
		{"/html", 1, []string{"fatal", "text/html"}},
	} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errLimit)
		out, err := goTool(ctx, "run", "./examples/tail", "-X", "POST", current.URL(t, c.path)).Output()
		cancel()
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.path, code, c.code)
		}
		wantInOrder(t, string(out), c.want...)
	}
}

// goTool returns a go command in the root of the repository.
func goTool(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = ".."
	return cmd
}

func wantInOrder(t *testing.T, out string, parts ...string) {
	t.Helper()
	rest := out
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("%q is missing, or not where it should be:\n%s", part, out)
			return
		}
		rest = after
	}
}
