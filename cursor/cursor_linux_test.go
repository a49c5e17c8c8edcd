package cursor_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/wellspring-go/sse/cursor"
)

func init() {
	failures["a full disk"] = func(t *testing.T, path string) {
		t.Helper()
		symlink(t, "/dev/full", path+".tmp")
	}
	failures["a disk that cannot be synced"] = func(t *testing.T, path string) {
		t.Helper()
		symlink(t, "/dev/null", path+".tmp")
	}
	failures["a folder that is read-only"] = func(t *testing.T, path string) {
		t.Helper()
		dir := filepath.Dir(path)
		chmod(t, path, 0o644)
		chmod(t, filepath.Dir(dir), 0o755)
		chmod(t, dir, 0o555)
		t.Cleanup(func() { chmod(t, dir, 0o755) })
		loseRoot(t)
	}
}

func TestAFullDiskIsTold(t *testing.T) {
	f := cursor.File(filepath.Join(t.TempDir(), "cursor"))
	symlink(t, "/dev/full", string(f)+".tmp")
	if err := f.Save(t.Context(), "new"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Save returned %v, want %v", err, syscall.ENOSPC)
	}
	wantFiles(t, string(f)) // nothing
	save(t, f, "new")       // there is room again
	wantID(t, f, "new")
}

// loseRoot makes permission bits count, which root is above, for the files
// that the test's goroutine opens.
func loseRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	const nobody = 65534
	runtime.LockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Setfsuid(0) //nolint:errcheck // the thread ends with the goroutine if it is not unlocked
	})
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
