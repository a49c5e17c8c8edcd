package sse

import (
	"bytes"
	"fmt"
	"io"
)

// fill reads more bytes behind those that are not parsed yet. It is called
// when no complete line is left.
func (p *Parser) fill() error {
	// Small reads are common: most find room behind a line that may go on.
	unread := p.end - p.pos
	if unread == 0 || p.tight() || p.dropLine || p.readErr != nil || p.size+unread >= p.limit() {
		if err := p.prepare(); err != nil {
			return err
		}
	}
	return p.read()
}

// read reads once, behind what is there.
func (p *Parser) read() error {
	for range maxEmptyReads {
		n, err := p.r.Read(p.buf[p.end:])
		if n > 0 {
			p.readErr = err // it belongs behind the bytes
			p.filled = p.end+n == len(p.buf)
			if p.small++; n > len(p.buf)/16 {
				p.small = 0
			}
			from := p.end
			p.end += n
			if p.cr == from {
				p.cr = p.nextCR(from)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// prepare sees to the line that is not complete, and to free space.
func (p *Parser) prepare() error {
	if p.MaxEventSize < 0 {
		return fmt.Errorf("sse: Parser.MaxEventSize is %d, want 0 or more", p.MaxEventSize)
	}
	if err := p.partial(); err != nil {
		return err
	}
	p.makeRoom()
	return p.readErr
}

// partial judges the line that is not complete: one that is over the limit
// ends the stream now, and one that is of no interest is not kept.
func (p *Parser) partial() error {
	part := p.buf[p.pos:p.end]
	switch {
	case len(part) == 0 || !p.begun:
		return nil
	case p.dropLine:
	case part[0] == ':':
		if p.OnComment != nil {
			if len(part)-1 <= p.limit() {
				return nil
			}
			p.cut = append([]byte{}, part[1:1+p.limit()]...)
		}
	default:
		name, value := splitField(part)
		if len(name) == len(part) && len(name) <= len("event") {
			return nil // it may yet become the name of a field
		}
		if len(name) < len(part) && isField(name) {
			if !p.fits(name, value) {
				return p.tooLong()
			}
			return nil
		}
	}
	p.dropLine = true
	p.pos, p.seen, p.cr = p.end, p.end, p.end
	return nil
}

// makeRoom sees to free space behind buf[pos:end], by moving the unread bytes
// down or into another buffer. The buffer grows for a long line, up to what
// MaxEventSize needs, and for a fast stream, up to maxReadBuffer; it shrinks
// when the event that made it large is gone, and when the stream has become
// slow. Each byte is moved a bounded number of times, whatever the size of the
// reads.
func (p *Parser) makeRoom() {
	unread, size := p.end-p.pos, len(p.buf)
	if unread > 0 && !p.tight() {
		return
	}
	p.own()
	want := max(size, minBuffer)
	switch most := p.limit() + minBuffer; {
	case unread > size/2 && size < most:
		want = 4 * size
		if want > most/2 {
			want = most
		}
	case p.filled && size < maxReadBuffer:
		want = max(4*size, minBuffer)
	case size > maxReadBuffer && unread < maxReadBuffer/2:
		want = maxReadBuffer
	case p.small >= smallReads && unread < size/16:
		want = max(size/4, minBuffer)
		p.small = 0
	}
	buf := p.buf
	if want != size {
		buf = make([]byte, want)
	}
	copy(buf, p.buf[p.pos:p.end])
	p.text = ""
	p.validTo, p.doubtTo = p.validTo-p.pos, p.doubtTo-p.pos
	p.buf, p.cr, p.seen, p.pos, p.end = buf, p.cr-p.pos, p.seen-p.pos, 0, unread
}

// tight reports whether to move the unread bytes is worth its price: there is
// little room behind them, or reads are large, and more room makes them larger,
// and the bytes are few next to what was parsed since they were last moved.
func (p *Parser) tight() bool {
	size, free := len(p.buf), len(p.buf)-p.end
	if p.pos == 0 {
		return free == 0
	}
	return free < size/8 || p.small == 0 && p.end-p.pos <= p.pos/4
}

func (p *Parser) nextCR(from int) int {
	if i := bytes.IndexByte(p.buf[from:p.end], '\r'); i >= 0 {
		return from + i
	}
	return p.end
}
