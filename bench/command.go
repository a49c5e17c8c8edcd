package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The command line is measured as a whole process next to a loop over All in
// another, which does what the command has to do at least, and prints nothing.
// Both read the same stream; the command's output goes to a pipe.

const (
	startups = 20
	// memoryEvents is the length of the stream over which the command's memory
	// should not grow by more than maxGrowth. Some 4 MiB come by settledAt, as
	// Go does not collect a smaller heap.
	memoryEvents      = 10_000_000
	settledAt         = 200_000
	quickMemoryEvents = 2_000_000
	maxGrowth         = 2 << 20
	maxStartup        = 3 // times an empty cobra program
)

// A commandCase is a way to print.
type commandCase struct {
	name   string
	args   []string
	loop   string
	events int
	least  float64 // of the loop's speed
}

func commandCases() []commandCase {
	return []commandCase{
		{"sse -o raw", []string{"-o", "raw"}, "all", 4_000_000, 0.6},
		{"sse -o json", []string{"-o", "json"}, "json", 1_000_000, 0.7},
		{"sse --jq .n", []string{"--jq", ".n"}, "jq", 1_000_000, 0.6},
	}
}

// A commandRow is what one case took, run by run.
type commandRow struct {
	commandCase
	took, loopTook []time.Duration
}

// speed is the median of the command's speed as a share of the loop's.
func (r commandRow) speed() float64 {
	shares := make([]float64, len(r.took))
	for i := range shares {
		shares[i] = float64(r.loopTook[i]) / float64(r.took[i])
	}
	slices.Sort(shares)
	return quantile(shares, 0.5)
}

// commandResults are what is known of the command.
type commandResults struct {
	rows           []commandRow
	startup, empty time.Duration // medians
	events         int           // of the stream that memory was measured over
	peaks          [3]int64      // most resident bytes at its first event, once settled, and at its end
}

// commandRoute serves as many events as the query asks for.
func commandRoute(mux *http.ServeMux) {
	serve := func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("events"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c := servedCorpus("tick", corpusLength)
		w.Header().Set("Content-Type", "text/event-stream")
		for ; n >= c.events; n -= c.events {
			if _, err := w.Write(c.bytes); err != nil {
				return // the client has had enough
			}
		}
		for event := range bytes.SplitAfterSeq(c.bytes, []byte("\n\n")) {
			if n--; n < 0 {
				return
			}
			if _, err := w.Write(event); err != nil {
				return
			}
		}
	}
	mux.HandleFunc("GET /command", serve)
	mux.HandleFunc("GET /command/held", func(w http.ResponseWriter, r *http.Request) {
		serve(w, r)
		if http.NewResponseController(w).Flush() == nil {
			<-r.Context().Done()
		}
	})
}

// measureCommand builds the command and the empty program and measures them.
func measureCommand(ctx context.Context, o options) (*commandResults, error) {
	dir, err := os.MkdirTemp("", "sse-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system clears up after us
	for _, pkg := range []string{"cmd/sse", "bench/emptycobra"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", dir, "github.com/wellspring-go/sse/"+pkg)
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s does not build: %w\n%s", pkg, err, out)
		}
	}
	base, stop, err := startServer(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	found := &commandResults{events: memoryEvents}
	rounds := 7
	if o.quick {
		found.events, rounds = quickMemoryEvents, 3
	}
	command := filepath.Join(dir, "sse")
	for _, c := range commandCases() {
		if !o.wants("command", "tick", c.name) {
			continue
		}
		row, err := c.measure(ctx, command, base, rounds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		found.rows = append(found.rows, row)
	}
	if o.wants("command", "start", "sse version") {
		if found.startup, found.empty, err = measureStartup(ctx, command, filepath.Join(dir, "emptycobra")); err != nil {
			return nil, err
		}
	}
	if o.wants("command", "memory", "sse -o raw") {
		found.peaks, err = measureMemory(ctx, command, commandURL(base+"/command/held", found.events), found.events)
	}
	if errors.Is(err, errNoPeak) {
		err = nil
	}
	return found, err
}

func commandURL(base string, events int) string {
	return base + "?" + url.Values{"events": {strconv.Itoa(events)}}.Encode()
}

// measure runs the command and the loop in turns.
func (c commandCase) measure(ctx context.Context, command, base string, rounds int) (commandRow, error) {
	row := commandRow{commandCase: c}
	self, err := os.Executable()
	if err != nil {
		return row, err
	}
	u := commandURL(base+"/command", c.events)
	for range rounds {
		cmd := exec.CommandContext(ctx, command, append([]string{"tail", "--once", u}, c.args...)...)
		began := time.Now()
		if err := countEvents(cmd, c); err != nil {
			return row, err
		}
		row.took = append(row.took, time.Since(began))

		loop := exec.CommandContext(ctx, self, u)
		loop.Env = append(os.Environ(), loopVariable+"="+c.loop)
		began = time.Now()
		if out, err := loop.CombinedOutput(); err != nil {
			return row, fmt.Errorf("loop: %w\n%s", err, out)
		}
		row.loopTook = append(row.loopTook, time.Since(began))
	}
	return row, nil
}

// countEvents runs cmd and counts what it prints, through a pipe.
func countEvents(cmd *exec.Cmd, c commandCase) error {
	end := "\n" // of an event
	if c.loop == "all" {
		end = "\n\n"
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	counter := eventCounter{end: end}
	for buf := make([]byte, 256<<10); err == nil; {
		var n int
		n, err = out.Read(buf)
		counter.count(buf[:n])
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	return compare("events in the output", counter.events, c.events)
}

// measureStartup returns the medians of what it takes to run either program.
func measureStartup(ctx context.Context, command, empty string) (startup, base time.Duration, err error) {
	var times [2][]time.Duration
	for range startups + 1 {
		for i, path := range []string{command, empty} {
			began := time.Now()
			if out, err := exec.CommandContext(ctx, path, "version").CombinedOutput(); err != nil {
				return 0, 0, fmt.Errorf("%s version: %w\n%s", filepath.Base(path), err, out)
			}
			times[i] = append(times[i], time.Since(began))
		}
	}
	for i := range times {
		times[i] = times[i][1:] // the first comes from the disk
		slices.Sort(times[i])
	}
	return times[0][startups/2], times[1][startups/2], nil
}

// measureMemory returns the most resident bytes of a command after the first
// event, when the collector has settled, and at the end of a stream that stays
// open: once a process has ended nobody can tell its own peak from that of the
// one that started it.
func measureMemory(ctx context.Context, command, u string, events int) (peaks [3]int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, "tail", "--once", "-o", "raw", u)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return peaks, err
	}
	if err := cmd.Start(); err != nil {
		return peaks, err
	}
	defer cmd.Wait() //nolint:errcheck // it is killed
	defer cancel()
	counter := eventCounter{end: "\n\n"}
	buf := make([]byte, 256<<10)
	for i, upTo := range []int{1, settledAt, events} {
		for counter.events < upTo {
			n, err := out.Read(buf)
			counter.count(buf[:n])
			if err != nil {
				return peaks, fmt.Errorf("after %d events: %w", counter.events, err)
			}
		}
		if peaks[i], err = peakOf(cmd.Process.Pid); err != nil {
			return peaks, err
		}
	}
	return peaks, nil
}

// An eventCounter counts ends of events in pieces of output.
type eventCounter struct {
	end    string // "\n", or "\n\n"
	events int
	last   byte
}

func (c *eventCounter) count(b []byte) {
	if len(b) == 0 {
		return
	}
	c.events += bytes.Count(b, []byte(c.end))
	if len(c.end) > 1 && c.last == '\n' && b[0] == '\n' {
		c.events++ // no two ends follow each other
	}
	c.last = b[len(b)-1]
}

// errNoPeak is what systems without /proc answer.
var errNoPeak = errors.New("no peak in the status of the process")

// peakOf reads the most resident bytes so far of a process.
func peakOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, errNoPeak
	} else if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errNoPeak
}

// commandShortfalls names what misses its target.
func commandShortfalls(found *commandResults) []string {
	if found == nil {
		return nil
	}
	var short []string
	for _, r := range found.rows {
		if got := r.speed(); got < r.least/tolerance {
			short = append(short, fmt.Sprintf("%s: %.0f%% of the loop's speed, at least %.0f%%", r.name, 100*got, 100*r.least))
		}
	}
	if found.empty > 0 {
		if ratio := float64(found.startup) / float64(found.empty); ratio > maxStartup {
			short = append(short, fmt.Sprintf("start-up of sse: %.1f times an empty cobra program's, at most %d", ratio, maxStartup))
		}
	}
	if grown := found.peaks[2] - found.peaks[0]; grown > maxGrowth {
		short = append(short, fmt.Sprintf("sse -o raw over %d events: %.1f MiB more resident than at the first, %.1f more than at event %d, at most %d",
			found.events, mebibytes(grown), mebibytes(found.peaks[2]-found.peaks[1]), settledAt, maxGrowth>>20))
	}
	return short
}

// markdown returns the results as a table; "" if there are none.
func (r *commandResults) markdown(o options) string {
	if r == nil {
		return ""
	}
	w := new(strings.Builder)
	w.WriteString(environment(time.Now(), o.cpu))
	w.WriteString("The command is a process that writes to a pipe; beside it runs one that does the least and prints nothing.\n\n")
	fmt.Fprintln(w, "| the command, to a pipe | next to a process with | events | speed | events/s |\n|---|---|--:|--:|--:|")
	for _, row := range r.rows {
		with := map[string]string{"all": "a loop of All", "json": "All and encoding/json", "jq": "All and gojq"}[row.loop]
		fmt.Fprintf(w, "| %s | %s | %d | %.0f%% | %.2gM |\n", row.name, with, row.events, 100*row.speed(),
			float64(row.events)/slices.Min(row.took).Seconds()/1e6)
	}
	if r.empty > 0 {
		fmt.Fprintf(w, "\nIt starts in %.1f ms, %.1f times an empty cobra program.\n", milliseconds(r.startup), float64(r.startup)/float64(r.empty))
	}
	if r.peaks[0] > 0 {
		fmt.Fprintf(w, "\nIts peak of memory is %.1f MiB at the first event, %.1f at event %d and %.1f at event %d.\n", mebibytes(r.peaks[0]),
			mebibytes(r.peaks[1]), settledAt, mebibytes(r.peaks[2]), r.events)
	}
	return w.String()
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
