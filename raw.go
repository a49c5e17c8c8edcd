package sse

import (
	"io"
	"iter"
)

// A RawEvent is an [Event] in memory that the Parser reuses: its fields are
// valid until the next turn of the loop and must not be changed.
type RawEvent struct {
	Name, Data, ID []byte
}

// Raw returns an iterator over the events that are left, without allocating
// for them: for programs that copy events onward. It ends as [Parser.All]
// does, and the two, and Next, may follow each other at any event.
func (p *Parser) Raw() iter.Seq2[RawEvent, error] {
	return func(yield func(RawEvent, error) bool) {
		for {
			var ev RawEvent
			err := p.nextRaw(&ev)
			if err == io.EOF || !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// nextRaw is next for Raw.
func (p *Parser) nextRaw(ev *RawEvent) error {
	p.joined = reuse(p.joined)
	if p.between && p.find() && (p.block.at <= p.validTo || p.wellFormed()) {
		b := &p.block
		ev.Name, ev.Data = p.part(b.name), p.joined
		if b.lines == 1 {
			ev.Data = p.part(b.data)
		}
		if b.hasID() {
			p.setRawID(p.part(b.id))
		}
		p.skip()
	} else {
		if err := p.advance(); err != nil {
			return err
		}
		ev.Name, ev.Data = p.name, p.data
		if p.hasID {
			p.setRawID(p.id)
		}
		p.clear()
		p.settle()
	}
	if len(ev.Name) == 0 {
		p.name = append(p.name, "message"...)
		ev.Name, p.name = p.name, p.name[:0]
	}
	if !p.rawFresh {
		p.rawID, p.rawFresh = append(p.rawID[:0], p.lastID...), true
	}
	ev.ID = p.rawID
	return nil
}

func (p *Parser) setRawID(id []byte) {
	p.rawID = append(p.rawID[:0], id...)
	p.behind, p.rawFresh = true, true
	p.carried = p.carried || len(id) > 0
}

// catchUp makes lastID what Raw has seen.
func (p *Parser) catchUp() {
	if p.behind {
		p.lastID, p.behind = string(p.rawID), false
	}
}
