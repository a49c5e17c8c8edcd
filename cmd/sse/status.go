package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

var statusChoices = []string{"auto", "on", "off"}

// statusEvery is how often the live line is drawn at most.
const statusEvery = 100 * time.Millisecond

// A liveLine is standard error with a live line at its end, if it is a
// terminal and the line is wanted. What is written takes the line's place; it
// comes back below.
type liveLine struct {
	w       io.Writer
	text    func(now time.Time) string
	columns func() int
	on      bool

	mu    sync.Mutex
	drawn string // what is on the screen
	stop  chan struct{}
	done  chan struct{}
}

// newLiveLine returns the line that --status asks for, which start begins to
// draw. Its text must be of printable ASCII.
func newLiveLine(when string, silent bool, stderr io.Writer, text func(now time.Time) string) (*liveLine, error) {
	l := &liveLine{w: stderr, text: text}
	tty := isTerminal(stderr)
	switch when {
	case "auto":
		l.on = tty && !silent && os.Getenv("TERM") != "dumb"
	case "on":
		if l.on = tty; !tty {
			return nil, usagef("--status on: standard error is no terminal")
		}
	case "off":
	default:
		return nil, usagef("--status %q: it is one of %s", when, strings.Join(statusChoices, ", "))
	}
	l.columns = func() int {
		width, _, err := term.GetSize(int(stderr.(*os.File).Fd()))
		if err != nil || width <= 0 {
			return 80
		}
		return width
	}
	return l, nil
}

// start begins to draw.
func (l *liveLine) start() {
	if !l.on {
		return
	}
	stop, done := make(chan struct{}), make(chan struct{})
	l.stop, l.done = stop, done
	giveUp := func() {
		if l.mu.TryLock() { // and nothing is drawn any more
			l.clear()
		}
	}
	atQuit.Store(&giveUp)
	go func() {
		defer close(done)
		ticker := time.NewTicker(statusEvery)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				l.draw(now)
			case <-stop:
				return
			}
		}
	}()
}

// draw puts the line on the screen, if it is not there as it is.
func (l *liveLine) draw(now time.Time) {
	text := l.text(now)
	// In the last column some terminals begin a new line.
	text = text[:min(len(text), max(l.columns()-1, 0))]
	l.mu.Lock()
	defer l.mu.Unlock()
	if text != l.drawn {
		l.put(text + blank(len(l.drawn)-len(text)))
		l.drawn = text
	}
}

// put writes at the beginning of the row. A terminal that is gone shows nothing.
func (l *liveLine) put(text string) { _, _ = l.w.Write([]byte("\r" + text)) }

// blank returns what clears n columns at the end of a line.
func blank(n int) string {
	n = max(n, 0)
	return strings.Repeat(" ", n) + strings.Repeat("\b", n)
}

// clear takes the line off the screen. mu is held. It does so without escapes,
// which not every terminal knows.
func (l *liveLine) clear() {
	if l.drawn != "" {
		l.put(blank(len(l.drawn)) + "\r")
		l.drawn = ""
	}
}

// Write writes to standard error.
func (l *liveLine) Write(p []byte) (int, error) { return lineAbove{l, l.w}.Write(p) }

// above returns a writer to w, which shares the terminal.
func (l *liveLine) above(w io.Writer) io.Writer {
	if !l.on {
		return w
	}
	return lineAbove{l, w}
}

type lineAbove struct {
	line *liveLine
	w    io.Writer
}

func (a lineAbove) Write(p []byte) (int, error) {
	a.line.mu.Lock()
	defer a.line.mu.Unlock()
	a.line.clear()
	return a.w.Write(p)
}

// close takes the line off the screen for good. It does not wait for a terminal
// that takes nothing once stuck is closed.
func (l *liveLine) close(stuck <-chan struct{}) {
	if l.stop == nil {
		return
	}
	close(l.stop)
	l.stop = nil
	cleared := make(chan struct{})
	go func() {
		defer close(cleared)
		<-l.done
		l.mu.Lock()
		defer l.mu.Unlock()
		l.clear()
	}()
	select {
	case <-cleared:
	case <-stuck:
	}
	atQuit.Store(nil)
}
