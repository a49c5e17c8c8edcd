package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	buildLimit = 5 * time.Minute
	readyLimit = 30 * time.Second
)

var (
	current = &app{name: "sveltekit"}         // sveltekit-sse 0.14.3
	beacons = &app{name: "sveltekit-beacons"} // sveltekit-sse 0.9.2
)

func TestMain(m *testing.M) {
	code := m.Run()
	current.stop()
	beacons.stop()
	os.Exit(code)
}

// app is a SvelteKit app in the folder of its name. It is built when a test
// first asks for its URL, and runs until the last test has ended.
type app struct {
	name string

	once    sync.Once
	err     error
	base    string // http://127.0.0.1:PORT
	cmd     *exec.Cmd
	drained chan struct{} // closed when the process has closed its stdout
	stderr  output
}

// URL returns the address of path, which begins with a slash, on the running
// app. If t fails, it logs what the app wrote to stderr from then on.
func (a *app) URL(t *testing.T, path string) string {
	t.Helper()
	a.once.Do(func() { a.err = a.start() })
	// Without Node there is nothing to run against. Where it has to be there, in
	// CI, its absence is a failure.
	if errors.Is(a.err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip(a.err)
	}
	if a.err != nil {
		t.Fatal(a.err)
	}
	from := len(a.stderr.String())
	t.Cleanup(func() {
		if wrote := a.stderr.String()[from:]; t.Failed() && wrote != "" {
			t.Logf("stderr of %s:\n%s", a.name, wrote)
		}
	})
	return a.base + path
}

// start builds the app if need be, runs it and waits until it listens.
func (a *app) start() error {
	dir, err := a.build()
	if err != nil {
		return fmt.Errorf("build %s: %w", a.name, err)
	}
	cmd := exec.CommandContext(context.Background(), "node", "server.mjs", "--attached")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PORT=0")
	cmd.Stderr = &a.stderr
	if _, err := cmd.StdinPipe(); err != nil { // its end ends the app, see server.mjs
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	a.cmd, a.drained = cmd, make(chan struct{})

	ready := make(chan string, 1)
	go func() {
		defer close(a.drained)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if base, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				ready <- base
			}
		}
	}()
	select {
	case a.base = <-ready:
		return nil
	case <-a.drained:
	case <-time.After(readyLimit):
	}
	a.stop()
	return fmt.Errorf("start %s: not ready: %v\n%s", a.name, a.cmd.ProcessState, a.stderr.String())
}

// stop kills the process that start made and waits for its end.
func (a *app) stop() {
	if a.cmd == nil || a.cmd.ProcessState != nil {
		return
	}
	_ = a.cmd.Process.Kill() // fails only if it has ended already
	<-a.drained
	_ = a.cmd.Wait() // "signal: killed"
}

// build returns a folder of the cache that holds the app, built. The folder
// gets its name when it is complete, so that its being there means that, and
// two runs at a time do not meet.
func (a *app) build() (string, error) {
	files, hash, err := a.files()
	if err != nil {
		return "", err
	}
	cache := os.Getenv("SSE_INTEROP_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(user, "wellspring-sse-interop")
	}
	built := filepath.Join(cache, a.name+"-"+hash)
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}

	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	removeAbandoned(cache)
	dir, err := os.MkdirTemp(cache, "building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir) // after the rename there is none of this name
	for path, data := range files {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	// NODE_ENV=production would leave out what the build needs. No package
	// needs its install script.
	if err := npm(ctx, dir, "ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		return "", err
	}
	if err := npm(ctx, dir, "run", "build"); err != nil {
		return "", err
	}
	// The build is bundled: it runs without the packages, which are large.
	for _, name := range []string{"node_modules", ".svelte-kit"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	if err := os.Rename(dir, built); err != nil {
		if _, statErr := os.Stat(built); statErr != nil {
			return "", err
		}
		// Another run was faster.
	}
	return built, nil
}

// files reads the app's sources, by slash-separated path, and hashes them.
func (a *app) files() (map[string][]byte, string, error) {
	files, hash := make(map[string][]byte), sha256.New()
	source := os.DirFS(a.name)
	err := fs.WalkDir(source, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "node_modules" || path == ".svelte-kit" || path == "build"):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		data, err := fs.ReadFile(source, path)
		files[path] = data
		fmt.Fprintf(hash, "%q %q\n", path, data)
		return err
	})
	return files, hex.EncodeToString(hash.Sum(nil)[:8]), err
}

// npm runs an npm command in dir. The error holds what it printed.
func npm(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "npm", args...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second // a grandchild may hold the pipe
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// removeAbandoned removes what builds that were killed have left in cache.
func removeAbandoned(cache string) {
	dirs, _ := filepath.Glob(filepath.Join(cache, "building-*")) // the pattern is valid
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(dir) // what stays is tried again next time
		}
	}
}

// output collects what a process writes while tests read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
