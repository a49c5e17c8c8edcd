package main

import (
	"time"
	"unicode/utf8"
)

// A topAction is what a key asks for beyond the view.
type topAction int

const (
	actNone topAction = iota
	actReconnect
	actRedraw
	actQuit
	actInterrupt
)

// key handles a key: a character, or one of the names in topScreen.key. It is
// called with t.mu held.
func (v *topView) key(key string, t *tally, now time.Time) topAction {
	if key == "ctrl-c" {
		return actInterrupt
	}
	if v.typing {
		v.write(key)
		return actNone
	}
	switch key {
	case "q":
		return actQuit
	case "r":
		return actReconnect
	case "ctrl-l":
		return actRedraw
	case " ":
		v.pause(t, now)
	case "c":
		t.clear(now)
		v.frozen, v.pinned = nil, 0
	case "?":
		v.help, v.scroll = !v.help, 0
	case "esc":
		v.back()
	default:
		v.move(key, t, now)
	}
	return actNone
}

// pause makes the view stand still, or go on.
func (v *topView) pause(t *tally, now time.Time) {
	if v.frozen != nil {
		v.frozen = nil
		return
	}
	v.frozen, v.frozenAt = t.clone(), now
}

// back leaves what was entered last.
func (v *topView) back() {
	switch {
	case v.help:
		v.help, v.scroll = false, 0
	case v.detail:
		v.detail, v.scroll = false, 0
	default:
		v.filter = topFilter{serial: v.filter.serial}
	}
}

// write takes a key while a filter is typed.
func (v *topView) write(key string) {
	switch key {
	case "esc":
		v.typing, v.refused = false, ""
	case "enter":
		if err := v.filter.set(v.typed); err != nil {
			v.refused = "no regular expression"
			return
		}
		v.typing, v.refused = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(v.typed)
		v.typed, v.refused = v.typed[:len(v.typed)-n], ""
	case "ctrl-u":
		v.typed, v.refused = "", ""
	default:
		if utf8.RuneCountInString(key) == 1 && len(v.typed) < maxNameBytes {
			v.typed, v.refused = v.typed+key, ""
		}
	}
}

// move takes the keys that differ between the table and an event.
func (v *topView) move(key string, t *tally, now time.Time) {
	if v.frozen != nil {
		t, now = v.frozen, v.frozenAt
	}
	step := map[string]int{
		"up": -1, "k": -1, "down": 1, "j": 1, "home": -1 << 20, "end": 1 << 20,
		"pgup": -max(1, v.height-8), "pgdn": max(1, v.height-8),
	}[key]
	if v.help || v.detail {
		v.scroll = max(0, v.scroll+step)
		if v.detail && !v.help {
			v.browse(key, t)
		}
		return
	}
	switch key {
	case "s":
		v.order = (v.order + 1) % orders
	case "/":
		v.typing, v.typed = true, v.filter.text
	default:
		rows := v.rows(t, now)
		if len(rows) == 0 || step == 0 && key != "enter" {
			return
		}
		v.selected = rows[max(0, min(v.at(rows)+step, len(rows)-1))].name
		if key == "enter" {
			v.detail, v.pinned, v.scroll = true, 0, 0
		}
	}
}

// browse goes to an older or newer event of the name.
func (v *topView) browse(key string, t *tally) {
	all, i := v.looked(t)
	switch key {
	case "p", "left":
		i = min(i+1, len(all)-1)
	case "n", "right":
		i--
	default:
		return
	}
	v.pinned, v.scroll = 0, 0
	if i > 0 {
		v.pinned = all[i].seq
	}
}
