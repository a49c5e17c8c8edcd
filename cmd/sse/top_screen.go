package main

import (
	"os"
	"slices"
	"time"

	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/color"
	"golang.org/x/term"
)

// A topScreen is the terminal.
type topScreen struct {
	tcell.Screen
	drawn []screenLine
}

// screenStyles are the looks of the styles.
var screenStyles = [...]tcell.Style{
	stylePlain:    tcell.StyleDefault,
	styleFaint:    tcell.StyleDefault.Dim(true),
	styleStrong:   tcell.StyleDefault.Bold(true),
	styleSelected: tcell.StyleDefault.Reverse(true),
	styleGood:     tcell.StyleDefault.Foreground(color.Green),
	styleWarning:  tcell.StyleDefault.Foreground(color.Olive),
	styleBad:      tcell.StyleDefault.Foreground(color.Maroon),
	styleKeyword:  tcell.StyleDefault.Foreground(color.Teal),
}

// openScreen takes the terminal over, until Fini. It asks the terminal
// nothing: what is drawn needs no answer, and a terminal that gives none
// would hold up the start.
func openScreen() (*topScreen, error) {
	before, err := term.GetState(int(os.Stdout.Fd()))
	if err != nil {
		return nil, err
	}
	screen, err := tcell.NewScreen(tcell.OptNegotiation(false), tcell.OptSanitizeContent(true))
	if err != nil {
		return nil, err
	}
	if err := screen.Init(); err != nil {
		return nil, err
	}
	for i, r := range "▁▂▃▄▅▆▇█" {
		// Without Unicode, bars are digits.
		screen.RegisterRuneFallback(r, string(rune('1'+i/len("▁"))))
	}
	screen.RegisterRuneFallback('…', "~")
	screen.RegisterRuneFallback('─', "-")
	giveBack := func() {
		done := make(chan struct{})
		go func() {
			screen.Fini()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(waitForScreen):
			_ = term.Restore(int(os.Stdout.Fd()), before) // there is no other way to tell
		}
	}
	atQuit.Store(&giveBack)
	return &topScreen{Screen: screen}, nil
}

// draw shows the lines, if they are not shown already.
func (s *topScreen) draw(lines []screenLine) {
	if slices.EqualFunc(lines, s.drawn, slices.Equal) {
		return
	}
	s.drawn = lines
	s.Clear()
	width, _ := s.Size()
	for y, l := range lines {
		x := 0
		for _, part := range l {
			for text := part.text; text != "" && x < width; {
				var used int
				text, used = s.Put(x, y, text, s.look(part.style))
				x += used
			}
		}
	}
	s.Show()
}

// look is the look of a style. Without colours there are only bold, faint and
// reverse; tcell would show dark colours in reverse.
func (s *topScreen) look(as style) tcell.Style {
	if s.Colors() == 0 {
		return screenStyles[as].Foreground(color.Default)
	}
	return screenStyles[as]
}

// keyName is the name of a key for topView.key, or "".
func keyName(ev tcell.Event) string {
	key, ok := ev.(*tcell.EventKey)
	if !ok {
		return ""
	}
	if key.Key() == tcell.KeyRune {
		if key.Modifiers()&^tcell.ModShift != 0 {
			return ""
		}
		return key.Str()
	}
	return map[tcell.Key]string{
		tcell.KeyUp: "up", tcell.KeyDown: "down", tcell.KeyLeft: "left", tcell.KeyRight: "right",
		tcell.KeyHome: "home", tcell.KeyEnd: "end", tcell.KeyPgUp: "pgup", tcell.KeyPgDn: "pgdn",
		tcell.KeyEnter: "enter", tcell.KeyEscape: "esc",
		tcell.KeyBackspace: "backspace", tcell.KeyBackspace2: "backspace",
		tcell.KeyCtrlC: "ctrl-c", tcell.KeyCtrlL: "ctrl-l", tcell.KeyCtrlU: "ctrl-u",
	}[key.Key()]
}

// waitForScreen is how long the end of the program waits for a terminal that
// takes no output any more.
const waitForScreen = time.Second
