package cursor_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/cursor"
	"github.com/wellspring-go/sse/internal/rows"
	"github.com/wellspring-go/sse/ssetest"
)

var (
	_ sse.Cursor = (*cursor.Memory)(nil)
	_ sse.Cursor = cursor.File("")
)

// saver names the file that a process started by the kill test saves to.
const saver = "SSE_CURSOR_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(saver); path != "" {
		saveForever(cursor.File(path))
	}
	os.Exit(m.Run())
}

// ids are what a server may name its events.
var ids = []string{
	"1", "a b", " around ", "\t", "größe 😀", "nul \x00", "\xff not UTF-8", `C:\x`, "\u2028\u0085", strings.Repeat("x", 4<<10), "",
}

func TestLoadReturnsWhatWasSavedLast(t *testing.T) {
	for name, c := range map[string]sse.Cursor{
		"Memory": new(cursor.Memory),
		"File":   cursor.File(filepath.Join(t.TempDir(), "cursor")),
	} {
		t.Run(name, func(t *testing.T) {
			if id, err := c.Load(t.Context()); id != "" || err != nil {
				t.Errorf("an empty cursor holds %q, error %v", id, err)
			}
			for _, want := range ids {
				if err := c.Save(t.Context(), want); err != nil {
					t.Errorf("save %+q: %v", want, err)
				}
				for range 2 {
					if got, err := c.Load(t.Context()); got != want || err != nil {
						t.Errorf("got %+q, error %v, want %+q", got, err, want)
					}
				}
			}
		})
	}
}

func TestAFileOutlivesItsWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	save(t, cursor.File(path), "7")
	wantID(t, cursor.File(path), "7")
	wantFiles(t, path, "cursor")
}

func TestAnIDThatHoldsALineEndIsRefused(t *testing.T) {
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	save(t, f, "old")
	for _, id := range []string{"\n", "a\nb", "a\r", "\r\n"} {
		if err := f.Save(t.Context(), id); err == nil {
			t.Errorf("%q was saved", id)
		}
	}
	wantID(t, f, "old")
	wantFiles(t, string(f), "cursor")
}

// A torn file is one whose end is missing, or was never written and reads as
// zeros.
func TestATornFileIsAnErrorAndNeverAnotherID(t *testing.T) {
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	for _, id := range ids {
		id = id[:min(len(id), 50)]
		save(t, f, id)
		whole, err := os.ReadFile(string(f))
		if err != nil {
			t.Fatal(err)
		}
		for n := range whole {
			for what, torn := range map[string]string{
				"cut":    string(whole[:n]),
				"zeroed": string(whole[:n]) + strings.Repeat("\x00", len(whole)-n),
			} {
				write(t, string(f), torn)
				if got, err := f.Load(t.Context()); err == nil {
					t.Errorf("%+q %s at byte %d: got %+q and no error", whole, what, n, got)
				}
			}
		}
		save(t, f, id) // mends it
		wantID(t, f, id)
	}
	rows.Note(t, "F19", "torn at every byte, %d ids: an error, never another id", len(ids))
}

// What a process that was killed during Save leaves beside the file.
func TestATornTemporaryFileDoesNoHarm(t *testing.T) {
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	save(t, f, "old id")
	for n := range len("a new and longer id\n") + 1 {
		write(t, string(f)+".tmp", "a new and longer id\n"[:n])
		wantID(t, f, "old id")
	}
	save(t, f, "new")
	wantID(t, f, "new")
	wantFiles(t, string(f), "cursor")
}

func TestAForeignFileIsAnError(t *testing.T) {
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	for _, text := range []string{"", "7", "7\r\n", "7\n8\n", "\n\n", "7\n8", "\r\n"} {
		write(t, string(f), text)
		if id, err := f.Load(t.Context()); err == nil {
			t.Errorf("%q: got %q and no error", text, id)
		} else if !strings.Contains(err.Error(), string(f)) {
			t.Errorf("%q: the error names no file: %v", text, err)
		}
	}
}

// failures make Save fail although the file can be read.
var failures = map[string]func(t *testing.T, path string){
	"a folder in place of the temporary file": func(t *testing.T, path string) {
		t.Helper()
		mkdir(t, path+".tmp")
	},
	"a folder with files in place of the temporary file": func(t *testing.T, path string) {
		t.Helper()
		mkdir(t, path+".tmp")
		write(t, filepath.Join(path+".tmp", "kept"), "")
	},
}

func TestAfterAFailedSaveTheFileHoldsTheOldID(t *testing.T) {
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
			save(t, f, "old")
			fail(t, string(f))
			if err := f.Save(t.Context(), "new"); err == nil {
				t.Error("Save returned no error")
			} else if !strings.Contains(err.Error(), string(f)) {
				t.Errorf("the error names no file: %v", err)
			}
			wantID(t, f, "old")
			if _, err := os.Stat(filepath.Join(string(f)+".tmp", "kept")); name == "a folder with files in place of the temporary file" && err != nil {
				t.Error(err)
			}
		})
	}
	rows.Note(t, "F19", "%d ways to fail, a full disk and a read-only folder among them: the error surfaces, the old id stays", len(failures))
}

// Save removes only what it made.
func TestAFolderInPlaceOfTheTemporaryFileStays(t *testing.T) {
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	mkdir(t, string(f)+".tmp")
	if err := f.Save(t.Context(), "new"); err == nil {
		t.Error("Save returned no error")
	}
	wantFiles(t, string(f), "cursor.tmp")
}

func TestAPathThatCannotBeIsAnError(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "")
	mkdir(t, filepath.Join(dir, "folder"))
	for name, c := range map[string]struct {
		path string
		load bool // is an error too
	}{
		"its folder is a file":         {filepath.Join(dir, "file", "cursor"), runtime.GOOS != "windows"},
		"its folder is missing":        {filepath.Join(dir, "missing", "cursor"), false}, // as the file is
		"it is a folder":               {filepath.Join(dir, "folder"), true},
		"its name is too long":         {filepath.Join(dir, strings.Repeat("x", 300)), runtime.GOOS != "windows"},
		"its name holds what none may": {filepath.Join(dir, "nul\x00"), true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := cursor.File(c.path).Save(t.Context(), "new"); err == nil {
				t.Error("Save returned no error")
			}
			if id, err := cursor.File(c.path).Load(t.Context()); id != "" || (err != nil) != c.load {
				t.Errorf("Load returned %q and %v", id, err)
			}
		})
	}
	wantFiles(t, filepath.Join(dir, "file"), "file", "folder") // no litter
}

func TestAContextThatHasEndedSavesNothing(t *testing.T) {
	errEnough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	save(t, f, "old")
	if err := f.Save(ctx, "new"); !errors.Is(err, errEnough) {
		t.Errorf("Save returned %v, want %v", err, errEnough)
	}
	if id, err := f.Load(ctx); id != "" || !errors.Is(err, errEnough) {
		t.Errorf("Load returned %q and %v, want %v", id, err, errEnough)
	}
	wantID(t, f, "old")
	wantFiles(t, string(f), "cursor")
}

func TestConcurrentSavesLeaveOneOfThem(t *testing.T) {
	const savers, saves = 8, 25
	for name, c := range map[string]sse.Cursor{
		"Memory": new(cursor.Memory),
		"File":   cursor.File(filepath.Join(t.TempDir(), "cursor")),
	} {
		t.Run(name, func(t *testing.T) {
			// Of one length in turn and another, so that a mixture would show.
			id := func(saver, n int) string { return fmt.Sprintf("%d-%d-%s", saver, n, strings.Repeat("x", saver*n%50)) }
			known := map[string]bool{"": true}
			for saver := range savers {
				for n := range saves {
					known[id(saver, n)] = true
				}
			}
			var running sync.WaitGroup
			for saver := range savers {
				running.Go(func() {
					for n := range saves {
						if err := c.Save(t.Context(), id(saver, n)); err != nil {
							t.Error(err)
						}
						if got, err := c.Load(t.Context()); err != nil || !known[got] {
							t.Errorf("Load returned %q and %v", got, err)
						}
					}
				})
			}
			running.Wait()
			got, err := c.Load(t.Context())
			lasts := make([]string, savers)
			for saver := range savers {
				lasts[saver] = id(saver, saves-1)
			}
			if err != nil || !slices.Contains(lasts, got) {
				t.Errorf("in the end Load returned %q and %v, want what one saved last", got, err)
			}
			if f, ok := c.(cursor.File); ok {
				wantFiles(t, string(f), "cursor")
			}
		})
	}
}

// Two names for one file are two ways to the same temporary file.
func TestConcurrentSavesUnderTwoNamesLeaveOneOfThem(t *testing.T) {
	dir := t.TempDir()
	long, short := strings.Repeat("long", 1000), "short"
	names := map[cursor.File]string{
		cursor.File(dir + "/cursor"):   long,
		cursor.File(dir + "/./cursor"): short,
	}
	var running sync.WaitGroup
	for f, id := range names {
		running.Go(func() {
			for range 50 {
				if err := f.Save(t.Context(), id); err != nil {
					t.Error(err)
					return
				}
				if got, err := f.Load(t.Context()); err != nil || got != long && got != short {
					t.Errorf("Load returned %.20q and %v", got, err)
					return
				}
			}
		})
	}
	running.Wait()
	wantFiles(t, dir+"/cursor", "cursor")
}

// saveForever saves ever higher numbers, and says so before and after.
func saveForever(f cursor.File) {
	ctx := context.Background()
	id, err := f.Load(ctx)
	n, _ := strconv.Atoi(id)
	for ; err == nil; n++ {
		fmt.Printf("saving %d\n", n+1) // one write each, seen also by the survivors
		if err = f.Save(ctx, strconv.Itoa(n+1)); err == nil {
			fmt.Printf("saved %d\n", n+1)
		}
	}
	fmt.Println("failed:", err)
	os.Exit(1)
}

func TestAKillAtAnyMomentLeavesTheOldIDOrTheNew(t *testing.T) {
	const kills, seed = 100, 1
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	moments := rand.New(rand.NewPCG(seed, 0))
	last, inSave, litter := 0, 0, 0
	for i := range kills {
		saving, saved := killSaver(t, program, f, 1+moments.IntN(20), time.Duration(moments.IntN(500))*time.Microsecond)
		if saving == 0 {
			t.Fatalf("kill %d: the process said nothing", i)
		}
		id, err := f.Load(t.Context())
		n, _ := strconv.Atoi(id)
		if err != nil || n != saving && n != saved && (saved != 0 || n != last) {
			t.Fatalf("kill %d: the file holds %q, error %v; saved %d, saving %d", i, id, err, saved, saving)
		}
		if n < last || n < saved {
			t.Fatalf("kill %d: the file went back from %d to %d", i, max(last, saved), n)
		}
		if saving > saved {
			inSave++
		}
		switch names := files(t, string(f)); {
		case slices.Contains(names, "cursor.tmp") && len(names) <= 2:
			litter++
		case len(names) > 1:
			t.Fatalf("kill %d: litter: %v", i, names)
		}
		last = n
	}
	t.Logf("%d ids saved, %d of %d kills during a Save, %d left a temporary file", last, inSave, kills, litter)
	if inSave == 0 {
		t.Error("no kill hit a Save")
	}
	save(t, f, "whole")
	wantFiles(t, string(f), "cursor")
}

// killSaver starts a process that saves for ever, kills it some time after it
// has said so many lines, and returns the highest number of each kind it said.
func killSaver(t *testing.T, program string, f cursor.File, lines int, after time.Duration) (saving, saved int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), saver+"="+string(f))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(stdout)
	for n := 1; said.Scan(); n++ { // to the end of what it has written
		switch verb, number, _ := strings.Cut(said.Text(), " "); verb {
		case "saving":
			saving, err = strconv.Atoi(number)
		case "saved":
			saved, err = strconv.Atoi(number)
		default:
			t.Fatalf("the process said %q", said.Text())
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == lines {
			<-time.After(after)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the process ended by itself")
	}
	return saving, saved
}

func TestTheNextRunResumesAfterWhatWasAcknowledged(t *testing.T) {
	all := []sse.Event{
		{Name: "message", Data: "a", ID: "1"},
		{Name: "message", Data: "b", ID: "2"},
		{Name: "message", Data: "c", ID: "3"},
	}
	for name, c := range map[string]sse.Cursor{
		"Memory": new(cursor.Memory),
		"File":   cursor.File(filepath.Join(t.TempDir(), "cursor")),
	} {
		t.Run(name, func(t *testing.T) {
			srv := ssetest.NewTCP(t, ssetest.ResumeFrom(all), ssetest.ResumeFrom(all))
			for ev, err := range srv.Source(sse.Options{Cursor: c}).All() {
				if err != nil {
					t.Fatal(err)
				}
				if ev.ID == "3" { // received, but not handled
					break
				}
				if err := srv.Source(sse.Options{Cursor: c}).Ack(ev); err != nil {
					t.Fatal(err)
				}
			}
			src := srv.Source(sse.Options{Cursor: c, Retry: sse.NoRetry})
			ssetest.Want(t, src.All(), all[2:])
			ssetest.WantRequests(t, srv, ssetest.Request{}, ssetest.Request{LastEventID: "2"})
		})
	}
}

func TestADamagedFileHoldsUpTheSource(t *testing.T) {
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	write(t, string(f), "torn")
	srv := ssetest.NewTCP(t)
	o := sse.Options{Cursor: f, Retry: sse.NoRetry}
	log := ssetest.Record(&o)
	if err := srv.Source(o).Run(); err == nil || err == io.EOF {
		t.Errorf("Run returned %v, want an error of the cursor", err)
	}
	if closes := log.Closes(); len(closes) != 1 || closes[0].Status != 0 || !strings.Contains(closes[0].Err.Error(), string(f)) {
		t.Errorf("got %v, want one close that names the file", closes)
	}
}

func save(t *testing.T, f cursor.File, id string) {
	t.Helper()
	if err := f.Save(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func wantID(t *testing.T, f cursor.File, want string) {
	t.Helper()
	if got, err := f.Load(t.Context()); got != want || err != nil {
		t.Errorf("the file holds %+q, error %v, want %+q", got, err, want)
	}
}

// files returns the names of what is in the folder of a path.
func files(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantFiles(t *testing.T, path string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, files(t, path)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}
