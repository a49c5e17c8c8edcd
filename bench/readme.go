package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// replaceBetween puts text between the lines NAME:begin and NAME:end, which are
// comments, of the document at path.
func replaceBetween(path, name, text string) error {
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+":begin -->", "<!-- "+name+":end -->"
	before, rest, ok := bytes.Cut(doc, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !ok || !ended {
		return fmt.Errorf("%s has no %s with an %s after it", path, begin, end)
	}
	var b bytes.Buffer
	b.Write(before)
	fmt.Fprintf(&b, "%s\n\n%s\n\n%s", begin, strings.Trim(text, "\n"), end)
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
