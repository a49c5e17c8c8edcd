package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadmeKeepsWhatIsAround(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	before := "# A title\n\n<!-- bench:begin -->\n<!-- bench:end -->\n\nThe rest.\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "# A title\n\n<!-- bench:begin -->\n\n| a table |\n\n<!-- bench:end -->\n\nThe rest.\n"
	for range 2 { // the second time changes nothing
		if err := writeReadme(options{readme: path}, "bench", "| a table |\n"); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestReadmeNeedsMarkers(t *testing.T) {
	for _, doc := range []string{"", "<!-- bench:begin -->\n", "<!-- bench:end -->\n<!-- bench:begin -->\n"} {
		path := filepath.Join(t.TempDir(), "README.md")
		if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := replaceBetween(path, "bench", "text"); err == nil {
			t.Errorf("%q was written to", doc)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != doc {
			t.Errorf("%q became %q, %v", doc, got, err)
		}
	}
}

func TestRootReadmeIsTheWorkspaces(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := rootReadme(inner); err == nil {
		t.Error("found one without a go.work")
	}
	if err := os.WriteFile(filepath.Join(dir, "go.work"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := rootReadme(inner); err != nil || got != filepath.Join(dir, "README.md") {
		t.Errorf("got %q, %v", got, err)
	}
}
