package sse_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/internal/rows"
)

const mebibyte = 1 << 20

// A childJob is what a copy of the test binary is to do in a process of its
// own, so that peak memory and CPU time are those of the client alone.
type childJob struct {
	URL    string // to be read as a stream
	Limit  int    // MaxEventSize
	Warm   bool   // with as many small events before that the heap has its size
	Lines  int    // or an event of so many data lines is to be parsed
	Single bool   // as one line of as many bytes
	Bytes  int    // in reads of so many bytes
	Times  int
}

// A childResult is what came of it. CPU is the parent's to know.
type childResult struct {
	Growth int64 // of the peak, in bytes
	Read   uint64
	Events uint64
	Err    string
	CPU    time.Duration `json:"-"`
}

const childEnv = "SSE_TEST_CHILD"

// TestReliabilityChild is the child's side of the tests below.
func TestReliabilityChild(t *testing.T) {
	text := os.Getenv(childEnv)
	if text == "" {
		return // it is only for children of the other tests
	}
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	var result childResult
	if job.URL != "" {
		result = job.stream()
	} else {
		job.parse(t)
	}
	line, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%s=%s\n", childEnv, line)
}

// inChild has the job done by a child.
func inChild(t *testing.T, job childJob) childResult {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReliabilityChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+string(text), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	_, line, ok := strings.Cut(string(out), "\n"+childEnv+"=")
	line, _, _ = strings.Cut(line, "\n")
	var result childResult
	if err != nil || !ok || json.Unmarshal([]byte(line), &result) != nil {
		t.Fatalf("the child %s ended with %v; output:\n%s", text, err, out)
	}
	result.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return result
}

// stream reads a stream to its end.
func (j childJob) stream() (result childResult) {
	client := &sse.Client{HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	read := func(path string) (sse.Stats, error) {
		src := client.Source(j.URL+path, sse.Options{Method: "GET", MaxEventSize: j.Limit, Retry: sse.NoRetry})
		for _, err := range src.All() {
			if err != nil {
				break
			}
		}
		<-src.Done()
		return src.Stats(), src.Err()
	}
	read("?1") //nolint:errcheck // net/http and the runtime have what they need from now on
	base := resetPeakMemory()
	if j.Warm { // garbage that is yet to be collected is no growth
		read("?500000") //nolint:errcheck // as above
		base = peakMemory()
	}
	stats, err := read("")
	return childResult{Growth: peakMemory() - base, Read: stats.Bytes, Events: stats.Events, Err: fmt.Sprint(err)}
}

// peakMemory returns the peak resident size of the process where Linux tells
// it. The race detector multiplies it, so there, and elsewhere, it is what the
// runtime has asked of the system.
func peakMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil && !underRace() {
		_, line, _ := strings.Cut(string(status), "VmHWM:")
		line, _, _ = strings.Cut(line, "kB")
		if n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64); err == nil {
			return n << 10
		}
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.Sys)
}

// resetPeakMemory makes the peak that of now, if the system can, and returns
// it. What the start of the process took must not hide what comes.
func resetPeakMemory() int64 {
	debug.FreeOSMemory()
	if os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) != nil {
		return 0 // then all that the process has counts as growth
	}
	return peakMemory()
}

func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// serveBytes serves event streams that begin with head, go on with pattern
// again and again for size bytes, and end. pattern gets the count of those
// before it, or is the same each time.
func serveBytes(t *testing.T, head string, size int, pattern func(i int) string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if n, err := strconv.Atoi(r.URL.RawQuery); err == nil {
			io.WriteString(w, strings.Repeat("id: 1234567\ndata: x\n\n", n))
			return
		}
		io.WriteString(w, head)
		var chunk []byte
		for sent, i := 0, 0; sent < size; sent += len(chunk) {
			for chunk = chunk[:0]; len(chunk) < 64<<10; i++ {
				chunk = append(chunk, pattern(i)...)
			}
			if _, err := w.Write(chunk); err != nil {
				return // it has read enough
			}
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func always(s string) func(int) string { return func(int) string { return s } }

// TestMemoryOfOversizeEventsIsBounded sends what has no end, up to 300 MiB,
// also in the scaled run: reading stops long before.
func TestMemoryOfOversizeEventsIsBounded(t *testing.T) {
	const size = 300 * mebibyte
	xs := strings.Repeat("x", 1<<10)
	most := map[int]int64{}
	for name, c := range map[string]struct {
		head, pattern string
		wire          int // received bytes for each one that counts
	}{
		"a line":             {"data: ", xs, 1},
		"a line of an id":    {"id: ", xs, 1},
		"a line of a name":   {"data: 1\nevent: ", xs, 1},
		"short data lines":   {"", "data: x\n", 4},
		"empty data lines":   {"", "data\n", 5},
		"characters to mend": {"data: ", "\xff\xfe\x80\xff", 1},
	} {
		for _, limit := range []int{0, 64 << 10} {
			if limit == 0 && underRace() && c.wire > 1 {
				continue // takes a minute
			}
			effective, bound := limit, int64(2*mebibyte)
			if limit == 0 {
				effective, bound = 16*mebibyte, 48*mebibyte
			}
			if underRace() {
				bound += 2 * mebibyte // spans are coarser there
			}
			got := inChild(t, childJob{URL: serveBytes(t, c.head, size, always(c.pattern)), Limit: limit})
			t.Logf("%s, limit %d: grew by %d KiB, read %d KiB", name, limit, got.Growth>>10, got.Read>>10)
			if !strings.Contains(got.Err, "larger than") {
				t.Errorf("%s, limit %d: ended with %s", name, limit, got.Err)
			}
			if most := uint64(effective*c.wire + 1<<20); got.Read > most {
				t.Errorf("%s, limit %d: went on reading, %d bytes, want %d at most", name, limit, got.Read, most)
			}
			if got.Growth > bound {
				t.Errorf("%s, limit %d: memory grew by %d KiB, want less than %d", name, limit, got.Growth>>10, bound>>10)
			}
			most[limit] = max(most[limit], got.Growth)
		}
	}
	rows.Note(t, "P4", "at most %.1f MiB of growth under the 16 MiB limit", float64(most[0])/mebibyte)
	rows.Note(t, "S2", "300 MiB offered, 6 kinds: peak grows by %.1f MiB at most (16 MiB limit), %.2f MiB (64 KiB limit); ErrTooLong, reading stops",
		float64(most[0])/mebibyte, float64(most[64<<10])/mebibyte)
}

func TestMemoryIsConstantForWhatIsDropped(t *testing.T) {
	size, names := rows.Size(64, 300)*mebibyte, 1_000_000
	if underRace() {
		size, names = 16*mebibyte, 200_000
	}
	xs := strings.Repeat("x", 100)
	var most int64
	for name, c := range map[string]struct {
		head    string
		pattern func(int) string
		size    int
		events  int
	}{
		"comments":               {"", always(": " + xs + "\n"), size, 0},
		"a comment":              {":", always(xs), size, 0},
		"unknown fields":         {"", always("field: " + xs + "\n"), size, 0},
		"an unknown field":       {"field: ", always(xs), size, 0},
		"a name of a field":      {"", always(xs), size, 0},
		"unknown fields by name": {"", func(i int) string { return fmt.Sprint("f", i, ": ", xs, "\n") }, size, 0},
		"names of events":        {"", func(i int) string { return fmt.Sprintf("event: n%07d\ndata: x\n\n", i) }, 25 * names, names},
		"ids":                    {"", func(i int) string { return fmt.Sprintf("id: %07d\n\n", i) }, size / 4, 0},
	} {
		got := inChild(t, childJob{URL: serveBytes(t, c.head, c.size, c.pattern), Warm: c.events > 0 || name == "ids"})
		t.Logf("%s: grew by %d KiB, read %d KiB, %d events", name, got.Growth>>10, got.Read>>10, got.Events)
		if got.Err != io.EOF.Error() || got.Read < uint64(c.size) || got.Events < uint64(c.events) {
			t.Errorf("%s: ended with %s after %d bytes, %d events", name, got.Err, got.Read, got.Events)
		}
		if got.Growth > 8*mebibyte {
			t.Errorf("%s: memory grew by %d KiB, want less than 8 MiB", name, got.Growth>>10)
		}
		most = max(most, got.Growth)
	}
	rows.Note(t, "S3", "%d MiB each of 6 kinds, a quarter of ids, and %d event names: peak grows by %.2f MiB at most", size/mebibyte, names, float64(most)/mebibyte)
}

// parse parses the same input again and again. It is made on the fly, for one
// in memory would not be cached alike at each size.
func (j childJob) parse(t *testing.T) {
	t.Helper()
	line := []byte("data: x\n")
	for range j.Times {
		var input io.Reader = &repeated{pattern: line, left: j.Lines * len(line)}
		want := 2*j.Lines - 1
		if j.Single {
			want = j.Lines * len(line)
			input = io.MultiReader(strings.NewReader("data: "), &repeated{pattern: []byte("xxxxxxxx"), left: want})
		}
		input = io.MultiReader(input, strings.NewReader("\n\n"))
		if j.Bytes > 0 {
			input = &sizedReads{r: input, n: j.Bytes}
		}
		ev, err := sse.NewParser(input).Next()
		if err != nil || len(ev.Data) != want {
			t.Fatalf("%d bytes of data, %v, want %d", len(ev.Data), err, want)
		}
	}
}

// repeated is a pattern, again and again.
type repeated struct {
	pattern []byte
	left    int
	at      int
}

func (r *repeated) Read(b []byte) (n int, err error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(b) >= len(r.pattern) && r.at == 0 {
		n = min(r.left, len(b)/len(r.pattern)*len(r.pattern))
		k := copy(b[:n], r.pattern)
		for k < n { // as bytes.Repeat does it
			k += copy(b[k:n], b[:k])
		}
	} else {
		n = min(copy(b, r.pattern[r.at:]), r.left)
		r.at = (r.at + n) % len(r.pattern)
	}
	r.left -= n
	return n, nil
}

// TestCPUTimeIsLinear measures children from the start to the end, less what
// one takes that does nothing.
func TestCPUTimeIsLinear(t *testing.T) {
	const few, many = 10_000, 640_000
	idle := inChild(t, childJob{}).CPU
	var most float64
	for name, c := range map[string]struct {
		job   childJob
		times int // that the large input is parsed
	}{
		"data lines":                 {childJob{}, 12},
		"data lines in 1-byte reads": {childJob{Bytes: 1}, 3},
		"a line in 1-byte reads":     {childJob{Bytes: 1, Single: true}, 4},
		"a line":                     {childJob{Single: true}, 60},
	} {
		ratio := 0.0
		tries := 3 // the least of what a busy machine makes of it
		if underRace() {
			tries = 1 // ten times as slow
		}
		for try := range tries {
			small, large := c.job, c.job
			small.Lines, small.Times = few, c.times*many/few
			large.Lines, large.Times = many, c.times
			s, l := inChild(t, small).CPU, inChild(t, large).CPU
			r := float64(max(l-idle, 0)) / float64(max(s-idle, time.Millisecond)) * many / few
			t.Logf("%s: %v, against %v for as much in small events: %.0f times the time", name, l, s, r)
			if try == 0 || r < ratio {
				ratio = r
			}
			if ratio <= 100 {
				break
			}
		}
		if ratio > 128 {
			t.Errorf("%s: 64 times the input costs %.0f times the CPU time", name, ratio)
		}
		most = max(most, ratio)
	}
	rows.Note(t, "P5", "64 times the input: %.0f times the time", most)
	rows.Note(t, "S12", "64 times the input, 4 shapes: %.0f times the CPU time at most", most)
}

// TestRepeatedIsWhatItSays keeps the measurements above honest.
func TestRepeatedIsWhatItSays(t *testing.T) {
	for _, n := range []int{1, 3, 7, 64} {
		got, err := io.ReadAll(&sizedReads{r: &repeated{pattern: []byte("data\n"), left: 50}, n: n})
		if want := bytes.Repeat([]byte("data\n"), 10); err != nil || !bytes.Equal(got, want) {
			t.Errorf("reads of %d: %q, %v", n, got, err)
		}
	}
}
