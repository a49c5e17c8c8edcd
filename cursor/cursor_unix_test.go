//go:build !windows

package cursor_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wellspring-go/sse/cursor"
)

func TestAFileIsReadableByItsUserOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	save(t, cursor.File(path), "7")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if perm := info.Mode().Perm(); perm != 0o600 {
		t.Errorf("the file is %v, want 0600", perm)
	}
}
