package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
)

// idIn returns the id in a state file of the stream.
func idIn(t *testing.T, path string, s *stream) string {
	t.Helper()
	f, err := openState(path, s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.close()
	return f.entry.ID
}

func testStream(url string) *stream {
	return &stream{url: url, shown: url, options: sse.Options{Method: http.MethodGet}}
}

func TestStateIsSavedOftenButNotForEachEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		flushes := 0
		s := testStream("http://test/")
		f, err := openState(path, s, func() error { flushes++; return nil }, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		source := sse.Source(s.url, sse.Options{Cursor: f})
		f.handled(source, sse.Event{ID: "1"}, false)
		synctest.Wait()
		if got := idIn(t, path, s); got != "1" {
			t.Errorf("the file holds %q, want 1 at once", got)
		}
		f.handled(source, sse.Event{ID: "2"}, false)
		f.handled(source, sse.Event{ID: "3"}, false)
		f.handled(source, sse.Event{ID: "3"}, false)
		synctest.Wait()
		if got := idIn(t, path, s); got != "1" {
			t.Errorf("the file holds %q, want 1 for a while", got)
		}
		time.Sleep(stateEvery)
		synctest.Wait()
		if got := idIn(t, path, s); got != "3" || flushes != 2 {
			t.Errorf("the file holds %q after %d flushes, want 3 after 2", got, flushes)
		}
		f.handled(source, sse.Event{ID: "4"}, true)
		if got := idIn(t, path, s); got != "4" {
			t.Errorf("the file holds %q, want 4 now", got)
		}
		f.handled(source, sse.Event{ID: "5"}, false)
		f.close()
		if got := idIn(t, path, s); got != "5" {
			t.Errorf("the file holds %q, want 5 at the end", got)
		}
	})
}

func TestStateOfNoSensibleSizeIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, []byte(strings.Repeat(" ", stateSize)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openState(path, testStream("http://test/"), nil, nil)
	var usage usageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "is no state file: larger than") {
		t.Errorf("%v, want a usageError", err)
	}
}

func TestStateStaysIfTheOutputFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := testStream("http://test/")
	f, err := openState(path, s, func() error { return errors.New("full") }, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.handled(sse.Source(s.url, sse.Options{Cursor: f}), sse.Event{ID: "1"}, true)
	f.close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file (%v)", err)
	}
}

func TestStateStaysAtAnIDThatCannotBeSentBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := testStream("http://test/")
	f, err := openState(path, s, func() error { return nil }, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	source := sse.Source(s.url, sse.Options{Cursor: f})
	f.handled(source, sse.Event{ID: "1"}, true)
	f.handled(source, sse.Event{ID: "a\x01b"}, true)
	f.close()
	if got := idIn(t, path, s); got != "1" {
		t.Errorf("the file holds %q, want 1", got)
	}
}

func TestStateIsOfOneURLWhoeverAsks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := testStream("http://user:old@test/?channel=1#x")
	f, err := openState(path, s, func() error { return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.handled(sse.Source(s.url, sse.Options{Cursor: f}), sse.Event{ID: "1"}, true)
	f.close()
	if got := idIn(t, path, testStream("http://user:new@test/?channel=1")); got != "1" {
		t.Errorf("the file holds %q, want 1", got)
	}
	_, err = openState(path, testStream("http://test/?channel=2"), nil, nil)
	var usage usageError
	if !errors.As(err, &usage) || !strings.HasPrefix(err.Error(), "--state: ") {
		t.Errorf("another channel: %v, want a usageError", err)
	}
}
