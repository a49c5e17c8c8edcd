package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
)

// A weight is what a process holds, in bytes where it has a unit.
type weight struct{ goroutines, heap, stack, rss float64 }

// weigh collects twice first: what sync.Pools hold outlives one collection.
func weigh() weight {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w := weight{goroutines: float64(runtime.NumGoroutine()), heap: float64(m.HeapAlloc), stack: float64(m.StackInuse)}
	debug.FreeOSMemory()
	w.rss = residentSize()
	return w
}

// residentSize returns the resident set size, 0 where /proc does not tell.
func residentSize() float64 {
	b, _ := os.ReadFile("/proc/self/statm")
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(string(fields[1]))
	return float64(pages * os.Getpagesize())
}

// writeHeapProfile writes what is live, named after the job.
func writeHeapProfile(dir string, job idleJob) error {
	reader := strings.NewReplacer(" ", "-", "/", "-").Replace(job.Reader)
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pb.gz", reader, job.Streams)))
	if err != nil {
		return err
	}
	return cmp.Or(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}
