package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wellspring-go/sse/cursor"
)

func TestSecondRunGoesOnWhereTheFirstStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	for _, want := range []string{
		"opened at the beginning\nhandled order 1\nhandled order 2\nhandled order 3\n",
		"resumed after id 3\nhandled order 4\nhandled order 5\nhandled order 6\n",
	} {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"-n", "3", "-cursor", path}, &out); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		if _, got, _ := strings.Cut(out.String(), "\n"); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
}

func TestEventThatWasNotAcknowledgedComesAgain(t *testing.T) {
	feed := httptest.NewServer(http.HandlerFunc(count))
	defer feed.Close()
	c := &crashing{at: "2"}
	var out bytes.Buffer
	if err := handle(t.Context(), feed.URL, c, 3, &out); !errors.Is(err, errCrash) {
		t.Errorf("first run: %v, want %v", err, errCrash)
	}
	if err := handle(t.Context(), feed.URL, c, 2, &out); err != nil {
		t.Error("second run:", err)
	}
	const want = "opened at the beginning\nhandled order 1\nhandled order 2\nresumed after id 1\nhandled order 2\nhandled order 3\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
}

func TestDamagedCursorIsToldAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	if err := os.WriteFile(path, []byte("12"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"-cursor", path}, &out); code != 1 || !strings.Contains(out.String(), "damaged") {
		t.Errorf("exit code %d, output:\n%s", code, &out)
	}
}

var errCrash = errors.New("crash")

// A crashing cursor fails once, in place of a program that is killed between
// handling an event and acknowledging it.
type crashing struct {
	cursor.Memory
	at string
}

func (c *crashing) Save(ctx context.Context, id string) error {
	if id == c.at {
		c.at = ""
		return errCrash
	}
	return c.Memory.Save(ctx, id)
}
