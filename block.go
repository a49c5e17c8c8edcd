package sse

import (
	"bytes"
	"unicode/utf8"
)

const (
	maxShared = 4 << 10       // what an event may pin of the text around it
	maxSmall  = maxShared / 8 // blocks up to this size share one copy
)

// A block is what the fast path knows of the block at buf[pos], which makes
// an event if it is of the common kind: it has data, event, id and retry
// fields, unknown fields and comments that nobody wants, in lines that end
// with LF or CRLF. Most streams have no others. What turns out not to be of
// that kind is left to advance, from its first byte on, and nothing of it has
// taken effect by then but a reconnection time, which does at once.
type block struct {
	at       int  // the line that comes next
	seen     int  // buf[at:seen] is known to hold no LF
	cr       int  // the first CR in buf[at:end], or end
	data     span // of several lines: from the first to the last
	name, id span // id.from is 0 if there is none
	lines    int  // of data
	common   bool // nothing speaks against it so far
}

// A span is a part of buf[pos:].
type span struct{ from, to int }

func (b *block) hasID() bool { return b.id.from > 0 }

// begin is called where a block begins.
func (p *Parser) begin() {
	b := &p.block
	b.at, b.seen, b.cr = p.pos, p.pos, p.cr
	b.name, b.id, b.lines, b.common = span{}, span{}, 0, true
}

// quick makes ev the next event if its block is of the common kind. It, and
// what it calls, fill in an Event of the caller's: to hand one from function to
// function would take a fifth of the time of a small event.
func (p *Parser) quick(ev *Event) bool { return p.find() && p.cutOut(ev) }

// buffered is quick, but reads nothing: it returns false as well if the next
// event is not there already, or would take long to find.
func (p *Parser) buffered(ev *Event) bool {
	switch {
	case !p.between || p.end-p.pos > maxReadBuffer:
		return false
	case p.scan():
		p.between = p.cutOut(ev)
	default:
		p.between = p.block.common
		return false
	}
	return p.between
}

// cutOut makes ev the block that was found, unless a value needs replacement
// characters.
func (p *Parser) cutOut(ev *Event) bool {
	b := &p.block
	if b.at > p.validTo && !p.wellFormed() {
		return false
	}
	if b.lines > 1 || b.at-p.pos > maxShared {
		p.assemble()
		*ev = p.event()
		p.skip()
		return true
	}
	if p.pos < p.textAt || b.at > p.textAt+len(p.text) {
		p.share()
	}
	ev.Data, ev.Name = p.shared(b.data), "message"
	if b.name.to > b.name.from {
		ev.Name = p.shared(b.name)
	}
	if b.hasID() {
		p.lastID, p.rawFresh = p.shared(b.id), false
		p.carried = p.carried || p.lastID != ""
	}
	ev.ID = p.lastID
	p.skip()
	return true
}

// find reads up to the end of the block, and reports whether it is of the
// common kind.
func (p *Parser) find() bool {
	for !p.scan() {
		if !p.block.common || !p.more() {
			return false
		}
	}
	return true
}

// skip goes on behind the block.
func (p *Parser) skip() {
	p.pos, p.seen, p.cr = p.block.at, p.block.at, p.block.cr
	p.begin()
}

// share copies the block, and if it is small what was read behind it: one
// allocation for the strings of many events. A stream that brings few at a
// time pays for these alone.
func (p *Parser) share() {
	end := p.block.at
	if end-p.pos <= maxSmall {
		end = min(p.pos+maxShared, p.end)
	}
	p.text, p.textAt = string(p.buf[p.pos:end]), p.pos
}

func (p *Parser) shared(s span) string {
	skip := p.pos - p.textAt
	return p.text[skip+s.from : skip+s.to]
}

func (p *Parser) part(s span) []byte { return p.buf[p.pos+s.from : p.pos+s.to] }

// wellFormed reports whether no value of the block needs a replacement
// character. It looks at all that was read at once, and at single values
// only where that is in vain.
func (p *Parser) wellFormed() bool {
	b := &p.block
	if b.at > p.doubtTo {
		end := p.end - cutRune(p.buf[p.pos:p.end])
		p.doubtTo = end
		if utf8.Valid(p.buf[p.pos:end]) {
			p.validTo = end
			return true
		}
	}
	return utf8.Valid(p.part(b.data)) && utf8.Valid(p.part(b.name)) && utf8.Valid(p.part(b.id))
}

// cutRune returns how many bytes at the end of b may begin a character.
func cutRune(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

// assemble makes the block the event under assembly.
func (p *Parser) assemble() {
	b := &p.block
	p.name = append(p.name[:0], p.part(b.name)...)
	p.id = append(p.id[:0], p.part(b.id)...)
	p.hasID = b.hasID()
	p.data = p.joined
	if b.lines == 1 {
		p.data = p.part(b.data)
	}
}

// scan goes on to the end of the block, and reports whether it is there. If
// it is not, and the block is still common, more bytes are needed.
func (p *Parser) scan() bool {
	b := &p.block
	buf := p.buf[:min(p.end, p.pos+p.limit())]
	for b.at < len(buf) {
		end := b.at
		if buf[end] != '\n' {
			i := bytes.IndexByte(buf[b.seen:min(len(buf), b.cr+2)], '\n')
			if i < 0 {
				b.seen, b.common = len(buf), b.cr >= len(buf)
				return false
			}
			end = b.seen + i
		}
		next := end + 1
		if b.cr < end {
			end-- // the CR of a CRLF, as the search went no further
			b.cr = p.nextCR(next)
		}
		if end == b.at {
			if b.lines > 0 {
				b.at = next
				return true
			}
			if b.hasID() {
				b.common = false
				return false
			}
			b.at = next // it makes no event
			p.skip()
			buf = p.buf[:min(p.end, p.pos+p.limit())]
			continue
		}
		if !p.take(buf[b.at:end]) {
			b.common = false
			return false
		}
		b.at, b.seen = next, next
	}
	return false
}

// take notes what a line holds, and reports whether it is a common one.
func (p *Parser) take(line []byte) bool {
	b := &p.block
	at := b.at - p.pos
	end := at + len(line)
	switch {
	case len(line) >= 5 && string(line[:5]) == "data:":
		v := span{at + value(line, 5), end}
		if b.lines > 0 {
			p.join(v)
			v.from = b.data.from
		}
		b.data = v
		b.lines++
	case len(line) >= 6 && string(line[:6]) == "event:":
		b.name = span{at + value(line, 6), end}
	case len(line) >= 3 && string(line[:3]) == "id:":
		b.id = span{at + value(line, 3), end}
		return bytes.IndexByte(line, 0) < 0
	case line[0] == ':':
		return p.OnComment == nil
	default:
		name, value := splitField(line)
		if string(name) == "retry" {
			if p.OnRetry != nil {
				return false // it may be looked at twice, or under a lock
			}
			p.setRetry(value)
			return true
		}
		return !isField(name)
	}
	return true
}

// value returns where the value behind the colon begins.
func value(line []byte, colon int) int {
	if colon < len(line) && line[colon] == ' ' {
		colon++
	}
	return colon
}

// join adds a data line to those before it.
func (p *Parser) join(line span) {
	if b := &p.block; b.lines == 1 {
		p.joined = append(p.joined[:0], p.part(b.data)...)
	}
	p.joined = append(append(p.joined, '\n'), p.part(line)...)
}

// more reads on behind a block that is not complete, and reports whether that
// was possible.
func (p *Parser) more() bool {
	b, unread, size := &p.block, p.end-p.pos, len(p.buf)
	if p.readErr != nil || unread >= p.limit() {
		return false
	}
	if unread == 0 || p.tight() {
		if unread > size/2 {
			return false
		}
		moved := p.pos
		p.makeRoom()
		moved -= p.pos
		b.at, b.seen, b.cr = b.at-moved, b.seen-moved, b.cr-moved
	}
	from := p.end
	if err := p.read(); err != nil {
		p.readErr = err
		return false
	}
	// There was no CR behind the line that comes next, or it would be here.
	if b.cr = p.cr; p.cr < from {
		b.cr = p.nextCR(from)
	}
	return true
}
