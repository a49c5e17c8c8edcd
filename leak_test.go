package sse_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

// TestMain compares goroutines, live heap and, on Linux, open files before and
// after all tests of the package. In bubbles synctest does so after each test.
func TestMain(m *testing.M) {
	flag.Parse()
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // the poller's files stay
		l.Close()
	}
	goroutines, files, before := goroutinesNow(), filesNow(), heap()
	code := m.Run()
	if fuzzing := flag.Lookup("test.fuzz").Value.String() != "" || flag.Lookup("test.fuzzworker").Value.String() == "true"; code == 0 && !fuzzing {
		left := leftOver(goroutines, files)
		if left == "" {
			left = leakedNow()
		}
		if grown := heap() - before; left == "" && grown > 16<<20 {
			left = fmt.Sprintf("%d MiB of heap", grown>>20)
		}
		if left != "" {
			fmt.Fprintf(os.Stderr, "left behind by the tests:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leakedNow asks the runtime for goroutines that nothing can wake any more. It
// knows only in a build with GOEXPERIMENT=goroutineleakprofile.
func leakedNow() string {
	profile := pprof.Lookup("goroutineleak")
	if profile == nil {
		return ""
	}
	var b strings.Builder
	if err := profile.WriteTo(&b, 1); err != nil {
		return err.Error()
	}
	if profile.Count() == 0 {
		return ""
	}
	return b.String()
}

// leftOver waits for what ends by itself and returns what does not.
func leftOver(goroutines map[string]string, files map[string]int) string {
	var left []string
	for range 100 {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		left = nil
		for id, stack := range goroutinesNow() {
			if _, ok := goroutines[id]; !ok {
				left = append(left, stack)
			}
		}
		for file, n := range filesNow() {
			if n > files[file] {
				left = append(left, fmt.Sprintf("%d open files %s", n-files[file], file))
			}
		}
		if left == nil {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	return strings.Join(left, "\n\n")
}

// goroutinesNow returns the stacks of all goroutines but signal handlers, by
// their ids.
func goroutinesNow() map[string]string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	stacks := map[string]string{}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if !strings.Contains(stack, "os/signal.") {
			id, _, _ := strings.Cut(stack, " [")
			stacks[id] = stack
		}
	}
	return stacks
}

var inode = regexp.MustCompile(`\[\d+\]`)

// filesNow counts the open files of the process by what they are; none where
// that cannot be asked.
func filesNow() map[string]int {
	files := map[string]int{}
	if runtime.GOOS != "linux" {
		return files
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return files
	}
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			files[inode.ReplaceAllString(target, "")]++
		}
	}
	return files
}

// noteLog collects what hooks and consumers note, for a test to look at while
// they go on.
type noteLog struct {
	mu    sync.Mutex
	lines []string
}

func (n *noteLog) add(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *noteLog) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines)
}

func (n *noteLog) String() string { return strings.Join(n.all(), " ") }

// thisGoroutine returns an id of the goroutine that calls it.
func thisGoroutine() string {
	buf := make([]byte, 64)
	id, _, _ := strings.Cut(string(buf[:runtime.Stack(buf, false)]), " [")
	return id
}

// countedConn tells when it is closed.
type countedConn struct {
	net.Conn
	open *atomic.Int64
	over atomic.Bool
}

func (c *countedConn) Close() error {
	if !c.over.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

func TestNoSocketIsLeftAfterDone(t *testing.T) {
	var open, dialed atomic.Int64
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		dialed.Add(1)
		return &countedConn{Conn: c, open: &open}, nil
	}}
	defer transport.CloseIdleConnections()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	client := &sse.Client{HTTP: &http.Client{Transport: transport}}
	for _, path := range []string{"/stream", "/refused"} {
		src := client.Source(srv.URL+path, sse.Options{})
		events := src.SelectAll().Events()
		if path == "/stream" {
			ssetest.Take(t, events, 1)
		}
		for dialed.Load() == 0 {
			runtime.Gosched()
		}
		src.Close()
		<-src.Done()
	}
	// net/http closes them a moment after it was told to.
	for deadline := time.Now().Add(5 * time.Second); open.Load() > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections of %d are still open 5 s after Done", open.Load(), dialed.Load())
		}
	}
}

// TestHookPanicIsNotSwallowed has a copy of the test binary panic in a hook on
// the source's own goroutine.
func TestHookPanicIsNotSwallowed(t *testing.T) {
	const env = "SSE_TEST_PANIC"
	if os.Getenv(env) != "" {
		srv := ssetest.New(t, streamOf(numberedEvents(1, 1), ssetest.Hold()))
		srv.Source(sse.Options{OnEvent: func(sse.Event) { panic("from a hook") }}).Run()
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHookPanicIsNotSwallowed$")
	cmd.Env = append(os.Environ(), env+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: from a hook") {
		t.Fatalf("a program whose hook panics ended with %v, want a crash that shows the panic; output:\n%s", err, out)
	}
}
