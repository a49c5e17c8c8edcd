package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The lines of a document between which the results stand.
const (
	beginMarker = "<!-- bench:begin -->"
	endMarker   = "<!-- bench:end -->"
)

// replaceBetween puts text between the markers of the document at path.
func replaceBetween(path, text string) error {
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(doc, []byte(beginMarker))
	_, after, ended := bytes.Cut(rest, []byte(endMarker))
	if !ok || !ended {
		return fmt.Errorf("%s has no %s with an %s after it", path, beginMarker, endMarker)
	}
	var b bytes.Buffer
	b.Write(before)
	fmt.Fprintf(&b, "%s\n\n%s\n\n%s", beginMarker, strings.Trim(text, "\n"), endMarker)
	b.Write(after)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), info.Mode().Perm())
}

// rootReadme finds the README of the workspace, from dir upwards.
func rootReadme(dir string) (string, error) {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return filepath.Join(dir, "README.md"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.work in %s or above", dir)
		}
		dir = parent
	}
}
