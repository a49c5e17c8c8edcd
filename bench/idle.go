package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// An idleRow is what a client process holds per idle stream, beyond what it
// held before it opened any.
type idleRow struct {
	Reader     string
	Streams    int
	Burst      int // bytes of the event that each stream got before it fell idle; 0: a small one
	Goroutines float64
	Heap       float64 // bytes, as the rest
	Stack      float64
	RSS        float64 // 0 where the system does not tell
}

// An idleJob is what a client process is told by idleEnv.
type idleJob struct {
	Reader  string
	Streams int
	Burst   int
	URL     string
}

const (
	// idleEnv makes this binary a client of idle streams: only a process of
	// its own has nothing else in its figures.
	idleEnv = "SSE_BENCH_IDLE"
	// idleProfileEnv names a directory for a heap profile of each client.
	idleProfileEnv = "SSE_BENCH_IDLE_PROFILE"

	fewStreams  = 1_000
	manyStreams = 10_000
	burstSize   = 256 << 10

	// opening is how many connections are being made at a time, well below
	// what the listener queues.
	opening = 100
)

// idleRoutes serves streams that say one thing and then nothing.
func idleRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /idle", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		text := "id: 1\ndata: a small event\n\n"
		if burst, _ := strconv.Atoi(r.FormValue("burst")); burst > 0 {
			text += "data: " + strings.Repeat("x", burst) + "\n\n"
		}
		if sendNow(w, text) == nil {
			<-r.Context().Done()
		}
	})
}

// sendNow writes text and flushes it.
func sendNow(w http.ResponseWriter, text string) error {
	_, err := io.WriteString(w, text)
	return cmp.Or(err, http.NewResponseController(w).Flush())
}

// idleJobs returns what is to be measured, the floor first.
func idleJobs(o options) []idleJob {
	var jobs []idleJob
	for _, streams := range []int{fewStreams, manyStreams} {
		for _, r := range lastingReaders() {
			if o.quick && r.name != floorName && r.name != "EventSource.All" && r.name != "OnEvent" && r.name != "Selection.Events" {
				continue
			}
			if r.name == floorName || o.wants("idle", strconv.Itoa(streams), r.name) {
				jobs = append(jobs, idleJob{Reader: r.name, Streams: streams})
			}
		}
	}
	if !o.quick {
		for _, r := range lastingReaders() {
			if r.ours && o.wants("idle", "burst", r.name) {
				jobs = append(jobs, idleJob{Reader: r.name, Streams: fewStreams, Burst: burstSize})
			}
		}
	}
	return jobs
}

// measureIdle measures readers with many idle streams, each in a process of
// its own.
func measureIdle(ctx context.Context, o options) ([]idleRow, error) {
	var rows []idleRow
	for _, job := range idleJobs(o) {
		row, err := runIdleClient(ctx, job)
		if err != nil {
			return rows, fmt.Errorf("idle streams, %d of %s: %w", job.Streams, job.Reader, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// runIdleClient runs one client process against a server of its own, whose
// port is fresh: ports of earlier connections to it would be blocked for a
// while.
func runIdleClient(ctx context.Context, job idleJob) (idleRow, error) {
	url, stop, err := startServer(ctx)
	if err != nil {
		return idleRow{}, err
	}
	defer stop()
	job.URL = fmt.Sprintf("%s/idle?burst=%d", url, job.Burst)
	spec, err := json.Marshal(job)
	if err != nil {
		return idleRow{}, err
	}
	exe, err := os.Executable()
	if err != nil {
		return idleRow{}, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), idleEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return idleRow{}, err
	}
	var row idleRow
	err = json.Unmarshal(out, &row)
	return row, err
}

// idleClient is the client process if idleEnv asks for one; otherwise it
// returns at once. It ends the process.
func idleClient() {
	spec := os.Getenv(idleEnv)
	if spec == "" {
		return
	}
	if err := serveIdleJob(spec, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveIdleJob(spec string, w io.Writer) error {
	var job idleJob
	if err := json.Unmarshal([]byte(spec), &job); err != nil {
		return err
	}
	profiles := os.Getenv(idleProfileEnv)
	if profiles != "" {
		runtime.MemProfileRate = 1
	}
	row, err := holdIdle(job)
	if err != nil {
		return err
	}
	if profiles != "" {
		if err := writeHeapProfile(profiles, job); err != nil {
			return err
		}
	}
	return json.NewEncoder(w).Encode(row)
}

// holdIdle opens the streams, waits until they are idle, and weighs the
// process. The streams end with the process. Each takes a file descriptor, of
// which package os allows itself as many as the hard limit says.
func holdIdle(job idleJob) (idleRow, error) {
	reader, err := lastingReaderOf(job.Reader)
	if err != nil {
		return idleRow{}, err
	}
	hc := &http.Client{Transport: &http.Transport{}}
	before := weigh()
	if err := openIdle(reader, hc, job); err != nil {
		return idleRow{}, err
	}
	untilQuiet()
	after := weigh()
	n := float64(job.Streams)
	return idleRow{
		Reader: job.Reader, Streams: job.Streams, Burst: job.Burst,
		Goroutines: (after.goroutines - before.goroutines) / n,
		Heap:       (after.heap - before.heap) / n,
		Stack:      (after.stack - before.stack) / n,
		RSS:        (after.rss - before.rss) / n,
	}, nil
}

// openIdle opens the streams and waits for what each of them has to say.
func openIdle(reader lastingReader, hc *http.Client, job idleJob) error {
	perStream := 1
	if job.Burst > 0 {
		perStream = 2
	}
	late, cancel := context.WithTimeoutCause(context.Background(), time.Minute, errors.New("not open within a minute"))
	defer cancel()
	waiting, fail := context.WithCancelCause(late)
	defer fail(nil)
	events := newBarrier()
	for i := range job.Streams {
		events.wait(waiting, (i-opening)*perStream)
		// The streams get no context that could end: it would weigh.
		go func() { fail(cmp.Or(reader.read(context.Background(), hc, job.URL, events.arrive), io.EOF)) }()
	}
	events.wait(waiting, job.Streams*perStream)
	return context.Cause(waiting)
}

// untilQuiet waits until no goroutine has come or gone for a while. It has to
// look again and again: what is waited for, net/http and the runtime getting
// done with what nobody asked them for, tells no one of its end.
func untilQuiet() {
	const pause, pauses = 100 * time.Millisecond, 4
	last, same := 0, 0
	for same < pauses {
		time.Sleep(pause)
		n := runtime.NumGoroutine()
		if same++; n != last {
			last, same = n, 0
		}
	}
}

// idleShortfalls names what is beyond the tolerance above what an idle stream of
// ours may cost: 1 goroutine, 2 KiB of heap and 4 KiB of stack above
// net/http's floor, and 64 KiB of heap above that after a large event.
func idleShortfalls(rows []idleRow) []string {
	var short []string
	check := func(row idleRow, what string, value, target float64, unit string) {
		if value > target*tolerance {
			short = append(short, fmt.Sprintf("idle stream, %s, %d streams%s: %s %.2f%s, at most %g%s",
				row.Reader, row.Streams, afterBurst(row.Burst), what, value, unit, target, unit))
		}
	}
	for _, row := range rows {
		reader, err := lastingReaderOf(row.Reader)
		base, found := idleBase(rows, row)
		switch {
		case err != nil || !reader.ours || !found:
		case row.Burst > 0:
			check(row, "heap", kib(row.Heap-base.Heap), 64, " KiB")
		case row.Streams == manyStreams:
			check(row, "goroutines", row.Goroutines-base.Goroutines, 1, "")
			check(row, "heap", kib(row.Heap-base.Heap), 2, " KiB")
			check(row, "stack", kib(row.Stack-base.Stack), 4, " KiB")
		}
	}
	return short
}

// idleBase returns what a row is compared with: the floor with as many
// streams, or after a burst the same reader without.
func idleBase(rows []idleRow, row idleRow) (idleRow, bool) {
	reader := floorName
	if row.Burst > 0 {
		reader = row.Reader
	}
	for _, base := range rows {
		if base.Reader == reader && base.Streams == row.Streams && base.Burst == 0 {
			return base, true
		}
	}
	return idleRow{}, false
}

func afterBurst(burst int) string {
	if burst == 0 {
		return ""
	}
	return fmt.Sprintf(", after an event of %d KiB", burst>>10)
}

func kib(bytes float64) float64 { return bytes / 1024 }

// writeIdle prints the rows as a table, per stream: the floor as it is, the
// others above it.
func writeIdle(w *strings.Builder, rows []idleRow) {
	fmt.Fprintln(w, "| idle streams | streams | goroutines | heap KiB | stack KiB | RSS KiB |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|")
	for _, row := range rows {
		base, found := idleBase(rows, row)
		format := "| %s | %d | %+.2f | %+.2f | %+.2f | %+.1f |\n"
		if row.Reader == floorName || !found {
			base, format = idleRow{}, strings.ReplaceAll(format, "+", "")
		}
		fmt.Fprintf(w, format, row.Reader+afterBurst(row.Burst), row.Streams, row.Goroutines-base.Goroutines,
			kib(row.Heap-base.Heap), kib(row.Stack-base.Stack), kib(row.RSS-base.RSS))
	}
}
