package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"
)

// columns are the columns of the table that fit the width: the widths, 0 for
// those left out.
type columns struct {
	name, count, rate, graph, seen, bytes int
}

// fit returns the columns for a width. What says least goes first.
func fit(width int) columns {
	for _, c := range []columns{
		{20, 9, 8, 60, 5, 9},
		{20, 9, 8, 30, 5, 9},
		{20, 9, 8, 20, 5, 9},
		{16, 9, 8, 10, 5, 9},
		{12, 9, 8, 10, 5, 0},
		{12, 9, 8, 10, 0, 0},
		{12, 9, 8, 0, 0, 0},
		{8, 9, 0, 0, 0, 0},
	} {
		rest := 0
		for _, w := range []int{c.count, c.rate, c.graph, c.seen, c.bytes} {
			if w > 0 {
				rest += 1 + w
			}
		}
		if 1+c.name+rest <= width {
			c.name = width - 1 - rest
			return c
		}
	}
	return columns{name: max(0, width-1)}
}

// cells puts the texts of a row into the columns.
func (c columns) cells(name, count, rate, graph, seen, bytes string) string {
	var b strings.Builder
	b.WriteString(" " + pad(name, c.name))
	for _, cell := range []struct {
		text  string
		width int
		left  bool
	}{{count, c.count, false}, {rate, c.rate, false}, {graph, c.graph, true}, {seen, c.seen, false}, {bytes, c.bytes, false}} {
		switch {
		case cell.width == 0:
		case cell.left:
			b.WriteString(" " + pad(cell.text, cell.width))
		default:
			b.WriteString(" " + padLeft(cell.text, cell.width))
		}
	}
	return b.String()
}

// head names the columns; what rows are sorted by is in capitals. part says
// which rows there are, if not all.
func (c columns) head(order topOrder, part string) screenLine {
	titles := [...]string{"name", "count", "rate", "seen"}
	titles[order] = strings.ToUpper(titles[order])
	return screenLine{{c.cells(titles[0]+part, titles[1], titles[2], "last minute", titles[3], "bytes"), styleFaint}}
}

// row is the row of a name.
func (c columns) row(n *nameTally, now time.Time, age time.Duration, isSelected bool) screenLine {
	name := shownText(n.name)
	if n.name == othersName {
		name = "(other names)"
	}
	graph := ""
	if c.graph > 0 {
		graph = sparkline(n.rate.columns(age, c.graph))
	}
	text := c.cells(name, countText(n.events), rateText(n.rate.perSecond(age)), graph,
		agoText(now.Sub(n.last)), bytesText(n.bytes))
	s := stylePlain
	if isSelected {
		s = styleSelected
	}
	return screenLine{{text, s}}
}

// sparkline draws numbers as bars; the largest is a whole one, and only 0 is
// none.
func sparkline(numbers []uint64) string {
	var top uint64
	for _, n := range numbers {
		top = max(top, n)
	}
	var b strings.Builder
	for _, n := range numbers {
		if n == 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune('▁' + rune((n*8+top-1)/top) - 1)
	}
	return b.String()
}

// countText writes a number in at most 9 columns.
func countText(n uint64) string {
	if n >= 10_000_000 {
		return scaled(float64(n), 1000, "", "k", "M", "G", "T")
	}
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rateText writes a rate in at most 8 columns.
func rateText(r float64) string {
	switch {
	case r == 0:
		return "0/s"
	case r < 0.1:
		return "<0.1/s"
	case r < 10:
		return strconv.FormatFloat(r, 'f', 1, 64) + "/s"
	}
	return scaled(r, 1000, "", "k", "M", "G", "T") + "/s"
}

// bytesText writes a size in at most 9 columns.
func bytesText(n uint64) string {
	return scaled(float64(n), 1024, " B", " KiB", " MiB", " GiB", " TiB", " PiB")
}

// scaled writes n with the largest unit that leaves at least 1; only numbers
// below 10 of units above the first have a decimal.
func scaled(n, base float64, units ...string) string {
	i := 0
	for ; n >= base-0.5 && i < len(units)-1; i++ {
		n /= base
	}
	if i > 0 && n < 9.95 {
		return strconv.FormatFloat(n, 'f', 1, 64) + units[i]
	}
	return strconv.FormatFloat(n, 'f', 0, 64) + units[i]
}

// agoText writes a duration in at most 5 columns.
func agoText(d time.Duration) string {
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

func manyText(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return countText(n) + " " + noun + "s"
}

// shownText is shown, with what would take a tab's width as spaces.
func shownText(s string) string { return shown(strings.ReplaceAll(s, "\t", "    ")) }

func textWidth(s string) int { return displaywidth.String(s) }

// clip cuts s to a width.
func clip(s string, width int) string {
	if textWidth(s) <= width {
		return s
	}
	return displaywidth.TruncateString(s, max(0, width), "…")
}

// pad makes s as wide as width.
func pad(s string, width int) string {
	s = clip(s, width)
	return s + strings.Repeat(" ", max(0, width-textWidth(s)))
}

// padLeft is pad with the space before s.
func padLeft(s string, width int) string {
	s = clip(s, width)
	return strings.Repeat(" ", max(0, width-textWidth(s))) + s
}
