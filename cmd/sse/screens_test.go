package main

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the files of wanted screens anew")

// checkFile compares text with a file, or writes the file under -update.
func checkFile(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s\nwant:\n%s", path, text, want)
	}
}
