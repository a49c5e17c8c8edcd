//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// screensFile shows what the command looks like. It is written by
//
//	go test ./cmd/sse -run TestScreensOfTheDocs -update
//
// which takes a while, since the rates and graphs in it are real.
var screensFile = filepath.Join("..", "..", "docs", "screens.md")

const screensHead = `# Screens

What the command ` + "`sse`" + ` looks like in a terminal of 80 columns and 24 lines. The
screens are captured from a pseudo-terminal by a test, which fails when they
change: ` + "`go test ./cmd/sse -run TestScreensOfTheDocs -update`" + ` writes them anew.
Colours are lost here.
`

// A capture is a screen of the docs.
type capture struct {
	title   string
	text    string // what is to be seen
	args    []string
	feed    func(pace bool) string // nil for no server
	actions []action               // none: until its end
}

// An action is keys to be pressed, once the screen shows something.
type action struct{ after, press string }

var captures = []capture{
	{
		"sse demo", "A feed that names events, cuts, refuses and stops; here without its colours.",
		[]string{"sse", "demo"},
		nil, nil,
	},
	{
		"sse URL", "Events as they come, and the live line below them: state, rate, total, last id.",
		[]string{"sse", "http://example.com/trades"},
		func(pace bool) string { return books.ReplaceAllString(tradesFeed(pace), "") },
		[]action{{after: "60 events | id 60"}},
	},
	{
		"sse URL, in trouble", "What happened, and what follows. The live line counts down to the next attempt.",
		[]string{"sse", "http://example.com/trades", "--max-delay", "2m"},
		troubleFeed,
		[]action{{after: "attempt 2"}, {after: " | 2 events | id 2"}},
	},
	{
		"sse URL, refused", "The end, in one line, with what to try.",
		[]string{"sse", "http://example.com/trades"},
		func(bool) string { return "== 405 Allow: POST\n" },
		nil,
	},
	{
		"sse top URL", "A row for each event name, with its own scale for the graph of the last minute.",
		[]string{"sse", "top", "http://example.com/trades"},
		tradesFeed,
		[]action{{after: "60 events"}},
	},
	{
		"sse top URL, one event", "Enter shows the last event of a name, p and n go through the last 50.",
		[]string{"sse", "top", "http://example.com/trades"},
		tradesFeed,
		[]action{{"60 events", "jj" + keyEnter}, {"trade  event 60", "p"}, {after: "1 before the newest"}},
	},
	{
		"sse top URL, paused with a filter", "Space freezes the view, / chooses names and data.",
		[]string{"sse", "top", "http://example.com/trades"},
		tradesFeed,
		[]action{{"60 events", "/acme" + keyEnter}, {"2 of 3 names", " "}, {after: "PAUSED"}},
	},
	{
		"sse top, the keys", "",
		[]string{"sse", "top", "http://example.com/trades"},
		tradesFeed,
		[]action{{"60 events", "?"}, {after: "esc back"}},
	},
}

// tradesFeed has 60 events of three names. With pace they take a while.
func tradesFeed(pace bool) string {
	var b strings.Builder
	b.WriteString("== 200\n")
	for i := 1; i <= 60; i++ {
		name, data := "trade", fmt.Sprintf(`{"symbol":"%s","price":%d.5,"volume":%d,"book":{"bid":[%[2]d.4],"ask":[%[2]d.6]}}`,
			[]string{"ACME", "INIT"}[i%2], 100+i%7, i*10)
		switch {
		case i%20 == 1:
			name, data = "heartbeat", "{}"
		case i%4 == 1:
			name, data = "quote", fmt.Sprintf(`{"symbol":"ACME","price":%d}`, 100+i%7)
		}
		fmt.Fprintf(&b, "id: %d\nevent: %s\ndata: %s\n\n", i, name, data)
		if pace {
			fmt.Fprintf(&b, "@wait %v\n", time.Duration(50+i*i%13*30)*time.Millisecond)
		}
	}
	return b.String() + "@hold\n"
}

// troubleFeed is cut, and the server stays away.
func troubleFeed(bool) string {
	return `== 200
retry: 300
id: 1
event: trade
data: {"symbol":"ACME","price":101}

id: 2
event: trade
data: {"symbol":"ACME","price":102}

@cut
== 503 Retry-After: 90
`
}

func TestScreensOfTheDocs(t *testing.T) {
	screens := make([]string, len(captures))
	t.Run("capture", func(t *testing.T) {
		for i, c := range captures {
			t.Run(c.title, func(t *testing.T) {
				t.Parallel()
				screens[i] = c.take(t)
			})
		}
	})
	b := new(strings.Builder)
	b.WriteString(screensHead)
	for i, c := range captures {
		fmt.Fprintf(b, "\n## %s\n\n", c.title)
		if c.text != "" {
			b.WriteString(c.text + "\n\n")
		}
		fmt.Fprintf(b, "```\n$ %s\n%s\n```\n", strings.Join(c.args, " "), screens[i])
	}
	if *update {
		checkFile(t, screensFile, b.String())
		return
	}
	file, err := os.ReadFile(screensFile)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := timeless(b.String()), timeless(string(file)); got != want {
		t.Errorf("docs/screens.md differs (go test -update writes it anew):\n%s\nwant:\n%s", got, want)
	}
}

// take runs the command. Its server is a proxy, so that any URL will do.
func (c capture) take(t *testing.T) string {
	t.Helper()
	var options []terminalOption
	if c.feed != nil {
		_, url := serveFeed(t, c.feed(*update))
		options = append(options, withEnv("http_proxy="+url, "HTTP_PROXY="+url))
	}
	x := startTerminal(t, 80, 24, c.args, options...)
	for _, a := range c.actions {
		x.waitFor(a.after)
		x.press(a.press)
	}
	if len(c.actions) == 0 {
		x.exit()
	}
	return x.text()
}

var (
	books  = regexp.MustCompile(`,"book":\{.*?\}`)
	moment = regexp.MustCompile(`127\.0\.0\.1:[0-9]+|  [0-9]+s ago|[0-9.]+k?/s|\b([0-9]+m)?[0-9.]+m?s\b|\bnow\b|[0-9][0-9]:[0-9:.]+`)
	bars   = regexp.MustCompile(`[\s▁▂▃▄▅▆▇█]+`)
)

// timeless is a text without what the time of a capture decides, where lines
// are broken among it.
func timeless(text string) string {
	return bars.ReplaceAllString(moment.ReplaceAllString(text, ""), "")
}
