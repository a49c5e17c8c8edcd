package main

import (
	"hash/fnv"
	"strings"
	"time"
	"unicode/utf8"
)

// The colours, as parameters of the escape sequence SGR.
const (
	colorDim    = "2"
	colorKey    = "34"
	colorString = "32"
	colorNumber = "36"
	colorWord   = "35"
)

// nameColors are those of event names: none is red, as no name is an alarm.
var nameColors = []string{"1;32", "1;33", "1;34", "1;35", "1;36", "1;92", "1;93", "1;94", "1;95", "1;96"}

// nameColor returns the colour of an event name, the same in every run.
func nameColor(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return nameColors[h.Sum32()%uint32(len(nameColors))]
}

// appendPretty appends an event for people: time, origin, name and id, then
// the data, on the same line if it is of one line and fits, else indented
// below. What a terminal would obey or hide is written as escapes.
func (p *printer) appendPretty(b []byte, from string, at time.Time, ev *chosen) []byte {
	width := -1 // of the space that is not there before the first part
	part := func(color, text string) {
		if width >= 0 {
			b = append(b, ' ')
		}
		start := len(b)
		b = appendShown(b, text, "")
		width += 1 + utf8.RuneCount(b[start:])
		if p.colored {
			text := string(b[start:])
			b = appendColored(b[:start], color, text)
		}
	}
	if p.timestamps {
		part(colorDim, at.Format("15:04:05.000"))
	}
	if from != "" {
		part(colorDim, from)
	}
	part(nameColor(ev.Name), ev.Name)
	if ev.ID != "" {
		part(colorDim, "#"+ev.ID)
	}
	if ev.Data == "" {
		return append(b, '\n')
	}
	var ok bool
	if _, text := ev.value.(string); !text {
		p.json, ok = appendCompact(p.json[:0], ev.Data)
	}
	switch {
	case ok:
		compact := string(p.json)
		if p.json = p.json[:0]; cap(p.json) > outputRoom {
			p.json = nil
		}
		if width+1+utf8.RuneCountInString(compact) > p.columns() && isNested(compact) {
			b = append(b, '\n', ' ', ' ')
			b = appendValue(b, compact, "  ", p.colored)
		} else {
			b = appendValue(append(b, ' '), compact, "", p.colored)
		}
	case strings.Contains(ev.Data, "\n"):
		for line := range strings.SplitSeq(ev.Data, "\n") {
			b = appendShown(append(b, '\n', ' ', ' '), line, "")
		}
	default:
		b = appendShown(append(b, ' '), ev.Data, "")
	}
	return append(b, '\n')
}

// isNested reports whether the compact JSON value is an object or array with
// something in it.
func isNested(value string) bool { return len(value) > 2 && (value[0] == '{' || value[0] == '[') }

func appendColored(b []byte, color, text string) []byte {
	b = append(b, "\x1b["...)
	b = append(b, color...)
	b = append(b, 'm')
	b = append(b, text...)
	return append(b, "\x1b[0m"...)
}

// appendValue appends the compact JSON value, as appendCompact has it. With a
// margin each member stands on a line of its own, indented by the margin and
// two spaces more for each level; without, all is one line.
func appendValue(b []byte, value, margin string, colored bool) []byte {
	depth := 0
	newline := func() {
		if margin == "" {
			return
		}
		b = append(b, '\n')
		b = append(b, margin...)
		for range depth {
			b = append(b, ' ', ' ')
		}
	}
	for i := 0; i < len(value); {
		switch c := value[i]; c {
		case '{', '[':
			b = append(b, c)
			if i++; value[i] == c+2 { // the closing one, in ASCII
				b = append(b, c+2)
				i++
				continue
			}
			depth++
			newline()
		case '}', ']':
			depth--
			newline()
			b = append(b, c)
			i++
		case ',':
			b = append(b, c)
			newline()
			i++
		case ':':
			b = append(b, c)
			if margin != "" {
				b = append(b, ' ')
			}
			i++
		default:
			end := tokenEnd(value, i)
			token := value[i:end]
			if colored {
				b = appendColored(b, tokenColor(value, i, end), token)
			} else {
				b = append(b, token...)
			}
			i = end
		}
	}
	return b
}

// tokenEnd returns where the string, number or word at i ends.
func tokenEnd(value string, i int) int {
	if value[i] == '"' {
		return stringEnd(value, i)
	}
	if end := strings.IndexAny(value[i:], ",:]}"); end >= 0 {
		return i + end
	}
	return len(value)
}

func tokenColor(value string, i, end int) string {
	switch c := value[i]; {
	case c == '"' && end < len(value) && value[end] == ':':
		return colorKey
	case c == '"':
		return colorString
	case c == '-' || isDigit(c):
		return colorNumber
	}
	return colorWord
}
