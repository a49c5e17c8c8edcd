package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// An oddity is something in the bytes of an event stream that a sender hardly
// meant.
type oddity int

const (
	oddUTF8       oddity = iota // repaired: what is not UTF-8
	oddNUL                      // kept: a NUL in a line
	oddFirstMark                // dropped: the byte order mark that begins the stream
	oddMark                     // ignored: a line that begins with one
	oddField                    // ignored: a line with an unknown field
	oddSpelling                 // ignored: a field that is all but one of the four
	oddSpaces                   // ignored: a line of spaces, which does not end the event
	oddTwice                    // ignored: a name or an id that another one of the same event replaces
	oddID                       // ignored: an id with NUL
	oddRetry                    // ignored: a retry that is not digits
	oddComment                  // kept: a comment that reads like a field
	oddNoData                   // ignored: a block with a name and no data
	oddUnfinished               // ignored: what the end of the stream cuts off
	oddities
)

// ignored reports whether the standard (WHATWG HTML, 9.2.6) ignores or repairs
// it, so that something was sent in vain.
func (o oddity) ignored() bool { return o != oddNUL && o != oddFirstMark && o != oddComment }

// A finding is an oddity in its place.
type finding struct {
	what  oddity
	line  int // the first is 1
	after int // blocks that ended before it
	text  string
}

// A sentBlock is what stood between two blank lines, as sent. Without data
// lines it made no event.
type sentBlock struct {
	line         int // its first
	data         int // lines
	named, hasID bool
	id           string // the beginning, if it is longer than lintHead
	sum          uint64 // tells its data and name from others
}

// open reports whether an event was begun.
func (b sentBlock) open() bool { return b.data > 0 || b.named || b.hasID }

// lintHead is how much of a line is kept, which is enough for each id that can
// be sent back.
const lintHead = 5 << 10

// A lint reads the bytes of an event stream as they come, by its own reading
// of the standard, and tells of blocks and oddities. Its memory is bounded,
// whatever the stream holds. Either function may be nil.
type lint struct {
	onFinding func(finding)
	onBlock   func(sentBlock)
	onRetry   func(ms string)

	lf, crlf, cr int // line ends
	longest      int // line
	beats        int // comments; lines of comment in a row are one

	line    int    // complete lines
	blocks  int    // complete blocks that made an event
	head    []byte // of the line at hand
	size    int    // of the line at hand
	begun   bool   // something was written
	afterCR bool   // an LF now belongs to the CR before
	nul     bool   // in the line at hand
	invalid bool   // the line at hand is not UTF-8
	beat    bool   // the line before is a comment
	char    []byte // the beginning of a character
	sum     uint64 // of the line at hand
	block   sentBlock
}

// Write takes the next bytes. It never fails.
func (l *lint) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if l.afterCR {
			l.afterCR = false
			if p[0] == '\n' {
				l.crlf++
				p = p[1:]
				continue
			}
			l.cr++
		}
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			l.part(p)
			break
		}
		l.part(p[:end])
		// A CR ends the line at once, before it is known what follows.
		if p[end] == '\r' {
			l.afterCR = true
		} else {
			l.lf++
		}
		l.endLine()
		p = p[end+1:]
	}
	return n, nil
}

// end is called when the stream has ended.
func (l *lint) end() {
	if l.afterCR {
		l.afterCR = false
		l.cr++
	}
	if !l.begun {
		l.begun = true
		l.firstMark()
	}
	switch {
	case l.block.open():
		l.findAt(oddUnfinished, l.block.line, "the end cuts off an event, which is dropped: no blank line after it")
	case l.size > 0:
		l.find(oddUnfinished, "the end cuts off a line, which is dropped")
	}
}

// within reports whether the bytes so far end in the middle of an event or a
// line.
func (l *lint) within() bool { return l.size > 0 || l.block.open() }

func (l *lint) find(what oddity, format string, args ...any) {
	l.findAt(what, l.line+1, format, args...)
}

func (l *lint) findAt(what oddity, line int, format string, args ...any) {
	if l.onFinding != nil {
		l.onFinding(finding{what, line, l.blocks, fmt.Sprintf(format, args...)})
	}
}

// fnvPrime is that of FNV-1a.
const fnvPrime = 1099511628211

// part takes a piece of a line.
func (l *lint) part(p []byte) {
	for _, c := range p { // FNV-1a, but for where it begins
		l.sum = (l.sum ^ uint64(c)) * fnvPrime
	}
	l.size += len(p)
	l.head = append(l.head, p[:min(len(p), lintHead-len(l.head))]...)
	l.nul = l.nul || bytes.IndexByte(p, 0) >= 0
	if !l.invalid {
		l.decode(p)
	}
}

// decode looks whether the line is still UTF-8. A character may come in
// several pieces.
func (l *lint) decode(p []byte) {
	for len(l.char) > 0 && len(p) > 0 && !utf8.FullRune(l.char) {
		l.char, p = append(l.char, p[0]), p[1:]
	}
	if len(l.char) > 0 {
		if !utf8.FullRune(l.char) {
			return
		}
		l.invalid = !utf8.Valid(l.char)
		l.char = l.char[:0]
	}
	whole := len(p)
	for i := max(0, len(p)-utf8.UTFMax+1); i < len(p); i++ {
		if utf8.RuneStart(p[i]) && !utf8.FullRune(p[i:]) {
			whole = i
			break
		}
	}
	l.invalid = l.invalid || !utf8.Valid(p[:whole])
	l.char = append(l.char, p[whole:]...)
}

func (l *lint) endLine() {
	if !l.begun {
		l.begun = true
		l.firstMark()
	}
	if l.invalid || len(l.char) > 0 {
		l.find(oddUTF8, "not UTF-8: the bytes in question become U+FFFD")
	}
	l.longest = max(l.longest, l.size)
	switch {
	case l.size == 0:
		l.endBlock()
	case l.head[0] == ':':
		l.comment()
	default:
		l.field()
	}
	l.beat = l.size > 0 && l.head[0] == ':'
	l.line++
	l.head, l.char, l.size, l.sum, l.nul, l.invalid = l.head[:0], l.char[:0], 0, 0, false, false
}

const byteOrderMark = "\uFEFF"

func (l *lint) firstMark() {
	if rest, ok := bytes.CutPrefix(l.head, []byte(byteOrderMark)); ok {
		l.head, l.size = rest, l.size-len(byteOrderMark)
		l.find(oddFirstMark, "the stream begins with a byte order mark")
	}
}

func (l *lint) endBlock() {
	b := l.block
	l.block = sentBlock{}
	if b.named && b.data == 0 {
		l.findAt(oddNoData, b.line, "an event without data, which is dropped")
	}
	if b.data > 0 {
		l.blocks++
	}
	if l.onBlock != nil && b.open() {
		l.onBlock(b)
	}
}

// field looks at a complete line that is neither blank nor a comment.
func (l *lint) field() {
	name, value, _ := bytes.Cut(l.head, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	b := &l.block
	if !b.open() {
		b.line = l.line + 1
	}
	switch string(name) {
	case "data":
		b.data++
		b.sum = b.sum*fnvPrime + l.sum
	case "event":
		l.once(b.named, "name")
		b.named = true
		b.sum += l.sum
	case "id":
		if l.nul {
			l.find(oddID, "an id with NUL, which is ignored")
			return
		}
		l.once(b.hasID, "id")
		b.hasID, b.id = true, string(value)
	case "retry":
		l.retry(string(value))
	default:
		l.unknown(name)
		return
	}
	if l.nul {
		l.find(oddNUL, "a NUL")
	}
}

func (l *lint) comment() {
	if !l.beat {
		l.beats++
	}
	text := bytes.TrimLeft(l.head[1:], " ")
	for _, name := range fieldNames {
		if bytes.HasPrefix(text, []byte(name+":")) {
			l.find(oddComment, "a comment that reads like a field: %s", quoted(string(l.head)))
			return
		}
	}
}

// once finds the second name or id of an event.
func (l *lint) once(before bool, what string) {
	if before {
		l.find(oddTwice, "a second %s in one event: the one before it is ignored", what)
	}
}

func (l *lint) retry(value string) {
	if value == "" || strings.Trim(value, "0123456789") != "" {
		l.find(oddRetry, "retry: %s is not a number of milliseconds, and ignored", quoted(value))
		return
	}
	if l.onRetry != nil {
		l.onRetry(value)
	}
}

var fieldNames = []string{"data", "event", "id", "retry"}

// unknown finds a line whose field the standard does not know.
func (l *lint) unknown(name []byte) {
	if bytes.HasPrefix(name, []byte(byteOrderMark)) {
		l.find(oddMark, "a byte order mark within the stream: the line is ignored")
		return
	}
	if l.size == len(l.head) && len(bytes.TrimSpace(l.head)) == 0 {
		l.find(oddSpaces, "a line that looks blank but holds space: it does not end the event")
		return
	}
	bare := string(bytes.TrimSpace(name))
	for _, known := range fieldNames {
		if strings.EqualFold(bare, known) {
			l.find(oddSpelling, "field %s is ignored: it must be written %q", quoted(string(name)), known)
			return
		}
	}
	l.find(oddField, "unknown field %s, which is ignored", quoted(string(name)))
}

// quoted writes what a stream or a server says for people: short, in quotes
// and without anything that a terminal would act on.
func quoted(text string) string {
	const most = 40
	short := text
	if len(text) > most {
		short = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return fmt.Sprintf("%q", short)
}
