package recording_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What docs/recording.md shows is what the reader reads.
func TestDocumentShowsRecordings(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "recording.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```\n")
	shown, _, _ := strings.Cut(rest, "```")
	if steps, err := read(strings.NewReader(shown)); err != nil || len(steps) != 11 || len(eventsOf(t, shown)) != 2 {
		t.Errorf("the example: error %v, %d steps, %d events", err, len(steps), len(eventsOf(t, shown)))
	}
	directives := regexp.MustCompile("`(:@ [^`]+)`").FindAllStringSubmatch(string(text), -1)
	if len(directives) < 15 {
		t.Errorf("%d directives found", len(directives))
	}
	for _, match := range directives {
		line := strings.TrimSuffix(match[1], " ...")
		if _, err := read(strings.NewReader(":@ open\n" + line + "\n")); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
