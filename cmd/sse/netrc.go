package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// A machine is an entry of a netrc file.
type machine struct {
	name     string // "" is any
	user     string
	password string
}

// readNetrc reads $NETRC, or else .netrc in the home directory, for --netrc.
func readNetrc(ctx context.Context) ([]machine, error) {
	path := os.Getenv("NETRC")
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, usagef("--netrc: %w", err)
		}
		name := ".netrc"
		if runtime.GOOS == "windows" {
			name = "_netrc"
		}
		path = filepath.Join(home, name)
	}
	text, err := readNamed(ctx, "--netrc", path, mostText)
	if err != nil {
		return nil, err
	}
	machines, err := parseNetrc(string(text))
	if err != nil {
		return nil, usagef("--netrc: %s: %w", path, err)
	}
	return machines, nil
}

// parseNetrc reads the format as curl does: comments begin with #, words may
// stand in double quotes with \" and \\ in them. The default entry ends the
// list, whatever follows. Errors never quote a word, which may be a password.
func parseNetrc(text string) ([]machine, error) {
	var machines []machine
	n := 0
	macro := false // in one, up to the next empty line
	key := ""      // that waits for its value
	keyLine := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if macro {
			macro = line != ""
			continue
		}
		words, err := netrcWords(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		for _, word := range words {
			switch {
			case key == "" && word == "default":
				machines = append(machines, machine{})
			case key == "" && word == "macdef":
				macro = true
			case key == "":
				key, keyLine = word, n
				continue
			case !setNetrc(&machines, key, word):
				return nil, fmt.Errorf("line %d: want machine, default, login, password, account or macdef", keyLine)
			}
			key = ""
			if macro {
				break // what follows is its name
			}
		}
	}
	if key != "" {
		return nil, fmt.Errorf("line %d: the last word has no value", keyLine)
	}
	return machines, nil
}

// setNetrc sets what key says, and reports whether it is known.
func setNetrc(machines *[]machine, key, value string) bool {
	if key == "machine" {
		*machines = append(*machines, machine{name: value})
		return value != ""
	}
	if len(*machines) == 0 {
		return false
	}
	last := &(*machines)[len(*machines)-1]
	switch key {
	case "login":
		last.user = cmp.Or(last.user, value)
	case "password":
		last.password = cmp.Or(last.password, value)
	case "account":
	default:
		return false
	}
	return true
}

// netrcWords splits a line.
func netrcWords(line string) (words []string, err error) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		if line[0] != '"' {
			end := strings.IndexAny(line, " \t")
			if end < 0 {
				end = len(line)
			}
			words = append(words, line[:end])
			line = line[end:]
			continue
		}
		var word strings.Builder
		i := 1
		for ; i < len(line) && line[i] != '"'; i++ {
			if line[i] == '\\' && i+1 < len(line) {
				i++
			}
			word.WriteByte(line[i])
		}
		if i >= len(line) {
			return nil, errors.New("the quote has no end")
		}
		words = append(words, word.String())
		line = line[i+1:]
	}
}
