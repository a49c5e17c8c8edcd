package main

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// bufferSize is what a hand loop reads at once.
const bufferSize = 64 << 10

// value returns what follows the colon, and one space, of a line that begins
// with field, which ends in a colon.
func value(line []byte, field string) ([]byte, bool) {
	if len(line) < len(field) || string(line[:len(field)]) != field {
		return nil, false
	}
	v := line[len(field):]
	if len(v) > 0 && v[0] == ' ' {
		v = v[1:]
	}
	return v, true
}

func withoutCR(line []byte) []byte {
	if len(line) > 0 && line[len(line)-1] == '\r' {
		return line[:len(line)-1]
	}
	return line
}

// room moves what is not used up, buf[from:end], to the front, and doubles
// the buffer when that leaves it full.
func room(buf []byte, from, end int) (next []byte, nextEnd int) {
	if from > 0 { // of a long line, nothing is to be moved at each read
		end = copy(buf, buf[from:end])
	}
	if end == len(buf) {
		buf = append(buf, make([]byte, len(buf))...)
	}
	return buf, end
}

// plainLoop is the floor for a reader that hands out nothing: it finds lines,
// knows the fields, counts the events and adds up their data. It keeps one
// line, allocates its buffer, and no more unless a line is longer.
func plainLoop(r io.Reader) (tally, error) {
	var t tally
	buf := make([]byte, bufferSize)
	start, scanned, end := 0, 0, 0 // of the line, of what has no line end in it, of what was read
	size, lines := 0, 0
	for {
		n, err := r.Read(buf[end:])
		end += n
		for {
			i := bytes.IndexByte(buf[scanned:end], '\n')
			if i < 0 {
				break
			}
			line := withoutCR(buf[start : scanned+i])
			start, scanned = scanned+i+1, scanned+i+1
			if len(line) == 0 {
				if lines > 0 {
					t.events, t.size = t.events+1, t.size+size+lines-1
				}
				size, lines = 0, 0
			} else if v, ok := value(line, "data:"); ok {
				size, lines = size+len(v), lines+1
			} else if v, ok := value(line, "event:"); ok {
				t.rest += len(v)
			} else if v, ok := value(line, "id:"); ok {
				t.rest += len(v)
			}
		}
		if err != nil {
			return t, ending(err)
		}
		buf, end = room(buf, start, end)
		start, scanned = 0, end
	}
}

// span is a part of the event that a loop is in, from its first byte.
type span struct{ from, to int }

func (s span) of(event []byte) []byte { return event[s.from:s.to] }

// owningLoop is the floor for a reader whose events can be kept: the same,
// and per event the data is checked and copied, with the id, into one string.
// It keeps the whole event in its buffer, so that a data line is copied once.
func owningLoop(r io.Reader) (tally, error) {
	var t tally
	var joined []byte // the data, when it has more than one line
	buf := make([]byte, bufferSize)
	block, start, scanned, end := 0, 0, 0, 0 // block is where the event begins
	var id, data span
	lines := 0
	for {
		n, err := r.Read(buf[end:])
		end += n
		for {
			i := bytes.IndexByte(buf[scanned:end], '\n')
			if i < 0 {
				break
			}
			line := withoutCR(buf[start : scanned+i])
			to := start - block + len(line) // where a value ends
			start, scanned = scanned+i+1, scanned+i+1
			if len(line) == 0 {
				if lines > 0 {
					whole := joined
					if lines == 1 {
						whole = data.of(buf[block:])
					}
					t.last = own(id.of(buf[block:]), whole)
					t.events, t.size = t.events+1, t.size+len(whole)
				}
				block, lines, id, joined = start, 0, span{}, joined[:0]
			} else if v, ok := value(line, "data:"); ok {
				switch lines {
				case 0:
					data = span{to - len(v), to}
				case 1:
					joined = append(joined, data.of(buf[block:])...)
					fallthrough
				default:
					joined = append(append(joined, '\n'), v...)
				}
				lines++
			} else if v, ok := value(line, "event:"); ok {
				t.rest += len(v)
			} else if v, ok := value(line, "id:"); ok {
				id = span{to - len(v), to}
			}
		}
		if err != nil {
			return t, ending(err)
		}
		buf, end = room(buf, block, end)
		block, start, scanned = 0, start-block, end
	}
}

// own makes the one string of an event.
func own(id, data []byte) string {
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if len(id) == 0 {
		return string(data)
	}
	var s strings.Builder
	s.Grow(len(id) + len(data))
	s.Write(id)
	s.Write(data)
	return s.String()
}

// newlines is the limit of anything that looks for line ends: it does only
// that.
func newlines(r io.Reader) (tally, error) {
	buf := make([]byte, bufferSize)
	lines := 0
	for {
		n, err := r.Read(buf)
		for rest := buf[:n]; ; lines++ {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			rest = rest[i+1:]
		}
		if err != nil {
			return tally{lines: lines}, ending(err)
		}
	}
}

// discard is the limit of anything that reads.
func discard(r io.Reader) (tally, error) {
	n, err := io.CopyBuffer(onlyWriter{io.Discard}, r, make([]byte, bufferSize))
	return tally{read: int(n)}, err
}

// onlyWriter hides io.Discard's ReadFrom, which reads 8 KiB at once.
type onlyWriter struct{ io.Writer }

// ending is the error of a loop that read to the end.
func ending(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
