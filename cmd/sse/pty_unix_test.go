//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/term"
)

// ptyPatience is how long a test waits for what must come; it is no pause.
const ptyPatience = time.Minute

// A terminal is a program in a pseudo-terminal, with an emulator that reads
// whatever the program writes.
type terminal struct {
	t        *testing.T
	cmd      *exec.Cmd
	keyboard *os.File    // the emulator's side
	line     *os.File    // the program's side
	before   *term.State // the modes of line before the program
	emulator vt10x.Terminal
	read     chan struct{} // closed when nothing more is to be read
	ended    chan struct{} // closed when the program has ended
	err      error         // how
	stalling atomic.Bool   // set by stall
	stalled  chan struct{} // closed when the emulator reads no more
	resumed  chan struct{} // closed when it may read again

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when something was read
	raw     bytes.Buffer  // all that was read
}

// A terminalOption changes how a program is started.
type terminalOption func(*terminal)

// withEnv adds to the environment.
func withEnv(env ...string) terminalOption {
	return func(x *terminal) { x.cmd.Env = append(x.cmd.Env, env...) }
}

// withStdout makes standard output w instead of the terminal.
func withStdout(w *os.File) terminalOption {
	return func(x *terminal) { x.cmd.Stdout = w }
}

// startTerminal starts a command of TestMain in a terminal. The program is
// killed if it is still there at the end of the test.
func startTerminal(t *testing.T, width, height int, args []string, options ...terminalOption) *terminal {
	t.Helper()
	x := &terminal{t: t, read: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{}), stalled: make(chan struct{}), resumed: make(chan struct{})}
	x.cmd = exec.CommandContext(t.Context(), args[0], args[1:]...)
	var err error
	x.keyboard, x.line, err = pty.Open()
	x.check(err)
	x.emulator = vt10x.New(vt10x.WithSize(width, height), vt10x.WithWriter(x.keyboard))
	x.check(pty.Setsize(x.keyboard, winsize(width, height)))
	x.before, err = term.GetState(int(x.line.Fd()))
	x.check(err)
	x.cmd.Env = append(withoutEnv("NO_COLOR", "TERM", "COLORTERM", "LC_ALL", "LINES", "COLUMNS"), "TERM=xterm-256color", "LANG=C.UTF-8", "TZ=UTC")
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = x.line, x.line, x.line
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	for _, option := range options {
		option(x)
	}
	x.check(x.cmd.Start())
	go x.readAll()
	go func() {
		defer close(x.ended)
		x.err = x.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill() // it may have ended
		<-x.ended
		x.line.Close()
		<-x.read
		x.keyboard.Close()
	})
	return x
}

// withoutEnv is the environment without some names.
func withoutEnv(names ...string) []string {
	var env []string
next:
	for _, e := range os.Environ() {
		for _, name := range names {
			if strings.HasPrefix(e, name+"=") {
				continue next
			}
		}
		env = append(env, e)
	}
	return env
}

func winsize(width, height int) *pty.Winsize {
	return &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}
}

func (x *terminal) check(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// readAll feeds the emulator until the program's side is closed.
func (x *terminal) readAll() {
	defer close(x.read)
	buf := make([]byte, 32<<10)
	var rest []byte // a character that is not complete
	for {
		n, err := x.keyboard.Read(buf)
		if bytes.IndexByte(buf[:n], 0) >= 0 && x.stalling.CompareAndSwap(true, false) {
			close(x.stalled)
			<-x.resumed
		}
		x.mu.Lock()
		x.raw.Write(buf[:n])
		rest = append(rest, buf[:n]...)
		used, _ := x.emulator.Write(rest)
		rest = append(rest[:0], rest[used:]...)
		close(x.changed)
		x.changed = make(chan struct{})
		x.mu.Unlock()
		if err != nil {
			return // EIO, when nobody has the other side open
		}
	}
}

// stall makes the terminal take no output any more, until the end of the test:
// it is full, and nobody reads.
func (x *terminal) stall() {
	x.t.Helper()
	x.t.Cleanup(func() { close(x.resumed) })
	// Opened anew, as not to wait is a mode that the program would share.
	line, err := syscall.Open(x.line.Name(), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	x.check(err)
	defer syscall.Close(line)
	x.stalling.Store(true)
	_, err = syscall.Write(line, []byte{0})
	x.check(err)
	<-x.stalled
	// The system moves what is written on later, and is busy at times: it is
	// full once nothing is taken for a while.
	for full := 0; full < 10; full++ {
		for {
			if n, err := syscall.Write(line, []byte{0}); n <= 0 || err != nil {
				break
			}
			full = 0
		}
		<-time.After(20 * time.Millisecond)
	}
}

// press sends keys as the terminal would.
func (x *terminal) press(keys string) {
	x.t.Helper()
	_, err := io.WriteString(x.keyboard, keys)
	x.check(err)
}

// Keys that are no characters.
const (
	keyEnter = "\r"
	keyEsc   = "\x1b"
	keyUp    = "\x1b[A"
	keyDown  = "\x1b[B"
	keyCtrlC = "\x03"
)

// resize changes the size of the terminal.
func (x *terminal) resize(width, height int) {
	x.t.Helper()
	x.mu.Lock()
	x.emulator.Resize(width, height)
	x.mu.Unlock()
	x.check(pty.Setsize(x.keyboard, winsize(width, height)))
}

// signal sends a signal to the program alone.
func (x *terminal) signal(sig os.Signal) {
	x.t.Helper()
	x.check(x.cmd.Process.Signal(sig))
}

// text is the screen, without spaces at the ends of lines and empty lines at
// the end.
func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var lines []string
	for text := range strings.SplitSeq(x.emulator.String(), "\n") {
		lines = append(lines, strings.TrimRight(text, " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// look returns the first character of text on the screen with its colours.
func (x *terminal) look(text string) vt10x.Glyph {
	x.t.Helper()
	for y, row := range strings.Split(x.text(), "\n") {
		if before, _, ok := strings.Cut(row, text); ok {
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.emulator.Cell(len([]rune(before)), y)
		}
	}
	x.t.Fatalf("%q is not on the screen:\n%s", text, x.text())
	return vt10x.Glyph{}
}

// wait waits until the screen is as ok wants it.
func (x *terminal) wait(what string, ok func(screen string) bool) string {
	x.t.Helper()
	late := time.After(ptyPatience)
	for {
		x.mu.Lock()
		changed := x.changed
		x.mu.Unlock()
		screen := x.text()
		if ok(screen) {
			return screen
		}
		select {
		case <-changed:
			continue
		case <-x.read:
		case <-late:
		}
		if screen = x.text(); !ok(screen) {
			written := x.written()
			x.t.Fatalf("the screen never shows %s:\n%s\nlast written: %q", what, screen, written[max(0, len(written)-1000):])
		}
		return screen
	}
}

// waitFor waits until all the texts are on the screen.
func (x *terminal) waitFor(texts ...string) string {
	x.t.Helper()
	return x.wait(strings.Join(texts, " and "), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// written is all that the program has written to the terminal.
func (x *terminal) written() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.raw.String()
}

// exit waits for the end of the program and returns its code. The terminal
// must be as it was then.
func (x *terminal) exit() int {
	x.t.Helper()
	select {
	case <-x.ended:
	case <-time.After(ptyPatience):
		x.t.Fatalf("the program does not end; screen:\n%s", x.text())
	}
	after, err := term.GetState(int(x.line.Fd()))
	x.check(err)
	x.check(x.line.Close())
	<-x.read
	var exit *exec.ExitError
	if x.err != nil && !errors.As(x.err, &exit) {
		x.t.Fatal(x.err)
	}
	code := x.cmd.ProcessState.ExitCode()
	if code < 0 {
		x.t.Fatalf("ended by a signal: %v; screen:\n%s", x.err, x.text())
	}
	if *after != *x.before {
		x.t.Errorf("terminal modes are %v, want those before, %v", after, x.before)
	}
	if x.emulator.Mode()&vt10x.ModeAltScreen != 0 {
		x.t.Error("the alternate screen is still on")
	}
	if !x.emulator.CursorVisible() {
		x.t.Error("the cursor is hidden")
	}
	return code
}
