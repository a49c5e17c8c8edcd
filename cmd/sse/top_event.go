package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"
)

// looked returns the kept events of the selected name that pass the filter,
// newest first, and which of them is to be shown.
func (v *topView) looked(t *tally) (all []*keptEvent, i int) {
	n := t.names[v.selected]
	if n == nil {
		return nil, 0
	}
	for back := range n.n {
		if e := n.newest(back); v.filter.matches(e) {
			all = append(all, e)
		}
	}
	if v.pinned == 0 {
		return all, 0
	}
	for i < len(all)-1 && all[i].seq > v.pinned {
		i++
	}
	return all, i
}

// event shows one event of the selected name.
func (v *topView) event(t *tally, at time.Time, room int) []screenLine {
	all, i := v.looked(t)
	if len(all) == 0 {
		return []screenLine{{{clip(shownText(v.selected), v.width/2), styleStrong}, {"  no event is kept", styleFaint}}}[:min(1, room)]
	}
	e := all[i]
	place := "newest"
	if i > 0 {
		place = fmt.Sprintf("%d before the newest", i)
	}
	name := clip(shownText(e.name), max(8, v.width/2))
	head := []screenLine{
		{{name, styleStrong}, {fmt.Sprintf("  event %s, %s of %d kept", countText(e.seq), place, len(all)), stylePlain}},
		{{e.at.Format("15:04:05.000") + "  " + bytesText(uint64(e.size)), stylePlain}},
	}
	if age := at.Sub(e.at); age >= time.Second {
		head[1] = append(head[1], screenText{"  " + agoText(age) + " ago", stylePlain})
	}
	if len(e.id) > 0 {
		head[1] = append(head[1], screenText{"  id " + clip(shownText(string(e.id)), max(8, v.width/2)), stylePlain})
	}
	if len(t.streams) > 1 {
		head[1] = append(head[1], screenText{"  " + shownText(t.streams[e.stream].shown), styleFaint})
	}
	head = append(head, screenLine{{strings.Repeat("─", v.width), styleFaint}})
	if room <= 6 { // the text matters more
		head = head[:min(1, room)]
	}
	return append(head, v.scrolled(e.body(v.width), room-len(head))...)
}

// maxNesting is the depth down to which JSON is indented. A line costs as
// many spaces as it is deep, so that without a bound a short text would make
// a huge one.
const maxNesting = 40

// body returns the data as lines of at most width: JSON indented, the rest as
// it is.
func (e *keptEvent) body(width int) []screenLine {
	text, isJSON := eventJSON(e.data)
	var all []screenLine
	for row := range strings.SplitSeq(text, "\n") {
		row = shownText(row)
		var key string
		if isJSON {
			key = jsonKey.FindString(row)
		}
		for first := true; first || row != ""; first = false {
			var part string
			part, row = cutAt(row, width)
			if first && len(key) <= len(part) {
				all = append(all, screenLine{{key, styleKeyword}, {part[len(key):], stylePlain}})
				continue
			}
			all = append(all, screenLine{{part, stylePlain}})
		}
	}
	if e.size > len(e.data) {
		all = append(all, screenLine{{fmt.Sprintf("and %s more, which are not kept", bytesText(uint64(e.size-len(e.data)))), styleFaint}})
	}
	return all
}

// jsonKey is the key that a line of indented JSON begins with.
var jsonKey = regexp.MustCompile(`^ *"(?:[^"\\]|\\.)*":`)

// eventJSON returns JSON indented; what is none, or is nested too deep, as it
// is.
func eventJSON(data []byte) (text string, isJSON bool) {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	var b bytes.Buffer
	if deepest > maxNesting || json.Indent(&b, data, "", "  ") != nil {
		return string(data), false
	}
	return b.String(), true
}

// cutAt cuts off as much of s as fits the width, and no less than a
// character.
func cutAt(s string, width int) (part, rest string) {
	used, end := 0, 0
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		if used += g.Width(); used > width && end > 0 {
			break
		}
		end += len(g.Value())
	}
	return s[:end], s[end:]
}
