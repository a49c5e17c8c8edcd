package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A topView is what the user has chosen to see of a tally. It knows no
// terminal: key takes keys, and lines returns what to draw.
type topView struct {
	width, height int

	// While frozen is set it is shown instead of the tally, as of frozenAt.
	frozen   *tally
	frozenAt time.Time

	order    topOrder
	selected string // a name; if it is not shown, the first row is selected
	top      int    // the first row on the screen

	filter  topFilter
	typing  bool
	typed   string
	refused string // why the typed filter is none

	detail bool
	pinned uint64 // the event that detail shows; 0 follows the newest
	scroll int    // of the detail or the help

	help bool
}

// A topOrder is what rows are sorted by.
type topOrder int

const (
	byName topOrder = iota
	byCount
	byRate
	byLast
	orders // how many
)

// A topFilter chooses names and kept events.
type topFilter struct {
	text    string
	pattern *regexp.Regexp // nil lets all pass
	serial  uint64         // tells filters apart, see keptEvent.judged
}

// A screenLine is one line of the screen. What is right of width is not drawn.
type screenLine []screenText

type screenText struct {
	text  string // escaped
	style style
}

type style int

const (
	stylePlain style = iota
	styleFaint
	styleStrong
	styleSelected
	styleGood
	styleWarning
	styleBad
	styleKeyword
)

func (l screenLine) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return b.String()
}

// lines returns the whole screen, height lines. It is called with t.mu held.
func (v *topView) lines(t *tally, now time.Time) []screenLine {
	shown, at := t, now
	if v.frozen != nil {
		shown, at = v.frozen, v.frozenAt
	}
	head := v.header(t, shown, at)
	var foot []screenLine
	if v.height >= 6 {
		foot = []screenLine{v.footer(shown)}
	} else if v.typing {
		head = v.footer(shown)
	}
	room := max(0, v.height-1-len(foot))
	var body []screenLine
	switch {
	case v.help:
		body = v.scrolled(topHelp(), room)
	case v.detail:
		body = v.event(shown, at, room)
	default:
		body = v.streams(t, now, room/3)
		body = append(body, v.table(shown, at, room-len(body))...)
	}
	for len(body) < room {
		body = append(body, nil)
	}
	all := append(append([]screenLine{head}, body[:room]...), foot...)
	return all[:min(len(all), v.height)]
}

// header is the first line: the sums.
func (v *topView) header(live, shown *tally, at time.Time) screenLine {
	age := at.Sub(shown.started)
	l := screenLine{{"sse top", styleStrong}}
	if v.frozen != nil {
		arrived := live.seq - min(shown.seq, live.seq)
		l = append(l, screenText{"  ", stylePlain}, screenText{fmt.Sprintf(" PAUSED, %s arrived since ", countText(arrived)), styleSelected})
	}
	return append(l, screenText{fmt.Sprintf("  %s  %s  %s  in %s", manyText(shown.total.events, "event"),
		rateText(shown.total.rate.perSecond(age)), bytesText(shown.total.bytes), age.Truncate(time.Second)), stylePlain})
}

// footer is the last line: what is typed, the filter, the keys.
func (v *topView) footer(t *tally) screenLine {
	if v.typing {
		l := screenLine{{"/" + shownText(v.typed) + "_", styleStrong}}
		if v.refused != "" {
			return append(l, screenText{"  " + v.refused, styleBad})
		}
		return append(l, screenText{"  a regular expression, for names and data; enter, esc", styleFaint})
	}
	var l screenLine
	keys := "q quit  ? help  space pause  / filter  enter event  r reconnect  c clear"
	if v.filter.pattern != nil {
		l = screenLine{{"/" + shownText(v.filter.text), styleStrong}, {fmt.Sprintf("  %d of %s", len(v.rows(t, t.started)), manyText(uint64(len(t.names)), "name")), stylePlain}, {"  esc all  ", styleFaint}}
	}
	switch {
	case v.help:
		keys = "esc back  q quit  j k scroll"
	case v.detail:
		keys = "esc back  q quit  p older  n newer  j k scroll  space pause"
	}
	return append(l, screenText{keys, styleFaint})
}

// streams is the state of the streams, in at most room lines, but one at
// least.
func (v *topView) streams(t *tally, now time.Time, room int) []screenLine {
	if v.height < 4 {
		return nil
	}
	room = max(1, room)
	var all []screenLine
	for i := range t.streams {
		s := &t.streams[i]
		if len(all) == room-1 && i < len(t.streams)-1 {
			return append(all, furtherStreams(t.streams[i:]))
		}
		all = append(all, s.line(now, v.width))
		if s.trouble != "" && len(all)+len(t.streams)-i <= room {
			all = append(all, screenLine{{"  " + shownText(s.trouble), styleFaint}})
		}
	}
	return all
}

// furtherStreams says what the streams are doing that have no line.
func furtherStreams(streams []streamTally) screenLine {
	var in [streamEnded + 1]int
	for _, s := range streams {
		in[s.state]++
	}
	l := screenLine{{fmt.Sprintf("and %d more:", len(streams)), styleFaint}}
	for state, name := range [...]string{"connecting", "open", "waiting", "ended"} {
		if in[state] > 0 {
			l = append(l, screenText{fmt.Sprintf(" %d %s", in[state], name), styleFaint})
		}
	}
	return l
}

// line says what a stream is doing.
func (s *streamTally) line(now time.Time, width int) screenLine {
	state, in := "connecting", styleWarning
	switch {
	case s.state == streamOpen:
		state, in = "open", styleGood
	case s.state == streamEnded:
		state, in = "ended", styleBad
	case s.state == streamWaiting && s.retryAt.After(now):
		// rounded up, so that 0 is never waited for
		state = fmt.Sprintf("retry %ds", int64((s.retryAt.Sub(now)+time.Second-1)/time.Second))
	}
	l := screenLine{{pad(state, 11), in}}
	tail := ""
	if len(s.lastID) > 0 {
		tail = "  id " + clip(shownText(string(s.lastID)), 24)
	}
	if s.opens > 1 {
		tail += fmt.Sprintf("  opened %d times", s.opens)
	}
	return append(l, screenText{clip(shownText(s.shown), max(width-11-textWidth(tail), 12)), stylePlain}, screenText{tail, stylePlain})
}

// rows returns the names that are shown, sorted.
func (v *topView) rows(t *tally, at time.Time) []*nameTally {
	var rows []*nameTally
	for _, n := range t.names {
		if v.filter.passes(n) {
			rows = append(rows, n)
		}
	}
	age := at.Sub(t.started)
	slices.SortFunc(rows, func(a, b *nameTally) int {
		c := 0 // by name
		switch v.order {
		case byName, orders:
		case byCount:
			c = cmp.Compare(b.events, a.events)
		case byRate:
			c = cmp.Compare(b.rate.perSecond(age), a.rate.perSecond(age))
		case byLast:
			c = b.last.Compare(a.last)
		}
		return cmp.Or(c, compareNames(a.name, b.name))
	})
	return rows
}

// compareNames puts the other names last.
func compareNames(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == othersName:
		return 1
	case b == othersName:
		return -1
	}
	return strings.Compare(a, b)
}

// at returns the index of the selected row.
func (v *topView) at(rows []*nameTally) int {
	return max(0, slices.IndexFunc(rows, func(n *nameTally) bool { return n.name == v.selected }))
}

// table is a row for each name.
func (v *topView) table(t *tally, at time.Time, room int) []screenLine {
	c := fit(v.width)
	rows := v.rows(t, at)
	i := v.at(rows)
	var all []screenLine
	if v.height >= 16 {
		all = append(all, nil)
	}
	if v.height >= 6 {
		room--
	}
	room -= len(all)
	v.top = max(0, min(v.top, i, len(rows)-room), i-room+1)
	end := min(len(rows), v.top+room)
	if v.height >= 6 {
		part := ""
		if end-v.top < len(rows) {
			part = fmt.Sprintf(" %d-%d of %d", v.top+1, end, len(rows))
		}
		all = append(all, c.head(v.order, part))
	}
	switch {
	case len(t.names) == 0:
		return append(all, screenLine{{" no events yet", styleFaint}})
	case len(rows) == 0:
		return append(all, screenLine{{" nothing passes the filter", styleFaint}})
	}
	for j := v.top; j < end; j++ {
		all = append(all, c.row(rows[j], at, at.Sub(t.started), j == i))
	}
	return all
}

// passes reports whether the name, or the data of a kept event, matches.
func (f *topFilter) passes(n *nameTally) bool {
	if f.pattern == nil || f.pattern.MatchString(n.name) {
		return true
	}
	for back := range n.n {
		if f.matches(n.newest(back)) {
			return true
		}
	}
	return false
}

// matches reports whether the event matches. It remembers, since the same
// events are asked for at each redraw.
func (f *topFilter) matches(e *keptEvent) bool {
	if f.pattern == nil {
		return true
	}
	if e.judged != f.serial {
		e.judged = f.serial
		e.matches = f.pattern.Match(e.data) || f.pattern.MatchString(e.name)
	}
	return e.matches
}

// set makes text the filter: a regular expression, without regard to case
// unless it has a capital letter. "" lets all pass.
func (f *topFilter) set(text string) error {
	next := topFilter{text: text, serial: f.serial + 1}
	if text != "" {
		expr := text
		if strings.ToLower(text) == text {
			expr = "(?i)" + text
		}
		var err error
		if next.pattern, err = regexp.Compile(expr); err != nil {
			return err
		}
	}
	*f = next
	return nil
}

// scrolled returns the part of a text that scroll says.
func (v *topView) scrolled(text []screenLine, room int) []screenLine {
	v.scroll = max(0, min(v.scroll, len(text)-room))
	return text[v.scroll:min(len(text), v.scroll+room)]
}

// topHelp is the screen that says what the keys do.
func topHelp() []screenLine {
	var all []screenLine
	for text := range strings.Lines(topKeys) {
		all = append(all, screenLine{{strings.TrimSuffix(text, "\n"), stylePlain}})
	}
	return all
}

const topKeys = `
 space        pause: the view stands still, counting goes on
 /            filter: a regular expression for names and data; capitals count
              if it has any
 up down j k  select a name; scroll the text of an event
 home end     first or last; pgup pgdn go by screens
 enter        the last event of the name
 p n left right   older and newer events, of the last 50
 s            sort by name, count, rate, last seen
 r            reconnect all streams, also those that have ended
 c            clear the counts
 ctrl-l       draw the screen anew
 esc          back, or show all names again
 q            quit; ctrl-c quits with code 130

 A row counts the events of one name. Rate is that of the last 5 seconds,
 bytes are those of data, the graph has its own scale in each row. Streams
 that end for good stay on the screen; q then gives the code that sse tail
 would have given.
`
