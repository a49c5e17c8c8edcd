// Package cursor keeps the last event id of a source where its next run finds
// it. [Memory] keeps it in the process, [File] in a file.
package cursor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Memory is a cursor that lives as long as the process. Its zero value is
// empty and ready to use, by any goroutine.
type Memory struct {
	mu sync.Mutex
	id string
}

// Load returns the id that was saved last.
func (m *Memory) Load(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id, nil
}

// Save makes id the one that Load returns.
func (m *Memory) Save(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.id = id
	return nil
}

// File is the path of a file that holds a cursor: the id and a line end. A
// missing file is an empty cursor; its folder must exist. A process killed at
// any moment leaves the old id or the new one, and at most one file beside it,
// the path with ".tmp" appended, which the next Save overwrites. The file is
// for one process at a time, and readable by its user only.
type File string

// Load returns the id that was saved last. A file that does not end with the
// line end was not written by Save, or has been damaged since, and is an
// error.
func (f File) Load(ctx context.Context) (string, error) {
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	if f == "" {
		return "", errors.New("cursor: the path of the file is empty")
	}
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	id, ok := strings.CutSuffix(string(b), "\n")
	if !ok || strings.ContainsAny(id, "\r\n") {
		return "", fmt.Errorf("cursor: %s is damaged: it is not one line with its end", string(f))
	}
	return id, nil
}

// Save replaces the file by one that holds id, and returns when both the file
// and its folder are on disk. After an error the file holds what it held, or,
// if only the folder could not be written to disk, id.
func (f File) Save(ctx context.Context, id string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if strings.ContainsAny(id, "\r\n") {
		return fmt.Errorf("cursor: id %q holds a line end", id)
	}
	defer lock(string(f)).Unlock()
	temp := string(f) + ".tmp"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := writeSynced(file, id+"\n"); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, string(f)); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(string(f)))
}

// saving has a lock for each path, as all Saves of a path write the same
// temporary file.
var saving sync.Map

func lock(path string) *sync.Mutex {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	mu, _ := saving.LoadOrStore(path, new(sync.Mutex))
	m := mu.(*sync.Mutex)
	m.Lock()
	return m
}

func writeSynced(file *os.File, text string) error {
	_, err := file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
