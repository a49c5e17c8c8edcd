package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/cursor"
)

// stateEvery is how often an id is saved that nothing but printing depends on:
// each save waits for the disk, and an event that is printed twice after a
// crash is no harm.
const stateEvery = 100 * time.Millisecond

// stateSize is what a state file has at most: ids and URLs are much shorter.
const stateSize = 64 << 10

// A stateFile keeps the last event id of one stream across runs, as a line of
// JSON in a [cursor.File]. It is a [sse.Cursor]; its goroutine saves ids until
// close.
type stateFile struct {
	path  string
	entry stateEntry // with the id that the file had at the start
	first string     // the id that the stream begins after

	flush func() error // waits until what was printed is written
	fail  func(error)  // is told of an id that cannot be saved
	stop  chan struct{}
	done  chan struct{}
	wake  chan struct{}

	mu     sync.Mutex
	source *sse.EventSource
	last   sse.Event // handled last
	fresh  bool      // last is not saved yet

	saving sync.Mutex // held during a save, so that ids are saved in order
	err    error      // of the last save
}

// A stateEntry is what the file holds.
type stateEntry struct {
	Method string `json:"method"`
	URL    string `json:"url"` // without secrets, for people
	Key    string `json:"key"` // tells URLs apart that differ in what URL hides
	ID     string `json:"id"`
}

// stateOf returns the entry of a stream, without an id.
func stateOf(s *stream) stateEntry {
	method := s.options.Method
	if method == "" {
		method = http.MethodPost
	}
	address := s.url
	if u, err := url.Parse(address); err == nil {
		u.User, u.Fragment = nil, "" // who asks, and what is not sent, makes no other stream
		address = u.String()
	}
	key := sha256.Sum256([]byte(method + " " + address))
	return stateEntry{Method: method, URL: s.shown, Key: hex.EncodeToString(key[:])}
}

// openState returns the state file at path for a stream. A missing file, or one
// that has nothing in it, is a new one; the file of another stream is refused.
func openState(path string, s *stream, flush func() error, fail func(error)) (*stateFile, error) {
	f := &stateFile{
		path: path, entry: stateOf(s), flush: flush, fail: fail,
		stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	if err := f.read(); err != nil {
		return nil, usagef("--state: %w", err)
	}
	f.first = cmp.Or(s.options.LastEventID, f.entry.ID)
	go f.keep()
	return f, nil
}

// read reads the file and checks whose it is.
func (f *stateFile) read() error {
	switch stat, err := os.Stat(f.path); {
	case errors.Is(err, fs.ErrNotExist):
		_, err := os.Stat(filepath.Dir(f.path))
		return err
	case err != nil:
		return err
	case !stat.Mode().IsRegular(): // to read it may take for ever, and to save would replace it
		return fmt.Errorf("%s is no regular file", f.path)
	case stat.Size() > stateSize:
		return fmt.Errorf("%s is no state file: larger than %d KiB", f.path, stateSize>>10)
	case stat.Size() == 0:
		return nil
	}
	line, err := cursor.File(f.path).Load(context.Background())
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "cursor: "))
	}
	var entry stateEntry
	if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Key == "" {
		return fmt.Errorf("%s is no state file", f.path)
	}
	if entry.Key == f.entry.Key {
		f.entry.ID, f.last.ID = entry.ID, entry.ID
		return nil
	}
	hidden := ""
	if entry.Method == f.entry.Method && entry.URL == f.entry.URL {
		hidden = " with other values"
	}
	return fmt.Errorf("%s is of %s %s, not of %s %s%s; name another file, or remove it to start anew",
		f.path, entry.Method, entry.URL, f.entry.Method, f.entry.URL, hidden)
}

// Load returns the id that the stream begins after: that of --last-event-id,
// else the one that the file held at the start.
func (f *stateFile) Load(context.Context) (string, error) { return f.first, nil }

// Save writes id. It does so after a signal too.
func (f *stateFile) Save(ctx context.Context, id string) error {
	entry := f.entry
	entry.ID = id
	line, err := json.Marshal(entry)
	if err == nil {
		err = cursor.File(f.path).Save(context.WithoutCancel(ctx), string(line))
	}
	f.err = err
	return err
}

// handled notes that ev and all before it are handled, but for the output's
// way to its reader. It returns when that is saved, if now is set.
func (f *stateFile) handled(source *sse.EventSource, ev sse.Event, now bool) {
	f.mu.Lock()
	fresh := f.fresh || ev.ID != f.last.ID
	f.source, f.last, f.fresh = source, ev, fresh
	f.mu.Unlock()
	switch {
	case !fresh:
	case now:
		f.save()
	default:
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// keep saves what is noted, until close.
func (f *stateFile) keep() {
	defer close(f.done)
	for {
		select {
		case <-f.stop:
			return
		case <-f.wake:
			f.save()
		}
		select {
		case <-f.stop:
			return
		case <-time.After(stateEvery):
		}
	}
}

// save saves the last noted id once all output before it is written. If that
// fails the id stays.
func (f *stateFile) save() {
	f.saving.Lock()
	defer f.saving.Unlock()
	f.mu.Lock()
	source, last, fresh := f.source, f.last, f.fresh
	f.fresh = false
	f.mu.Unlock()
	if !fresh || f.flush() != nil {
		return
	}
	// An error without f.err is that of an id that cannot be sent back, of
	// which the source has told.
	if err := source.Ack(last); err != nil && f.err != nil {
		f.fail(codeError{exitOutput, fmt.Errorf("--state: %w", f.err)})
	}
}

// close saves what is noted and ends the goroutine.
func (f *stateFile) close() {
	close(f.stop)
	<-f.done
	f.save()
}
