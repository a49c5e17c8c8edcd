package recording

import (
	"bufio"
	"bytes"
)

// maxDirective is the length of a line that is still looked at as a whole. Of
// longer ones the parser gets one piece after the other.
const maxDirective = 8192

// A lineReader reads lines that end with LF, CR or CRLF, as those of an event
// stream.
type lineReader struct {
	r       bufio.Reader
	buf     []byte
	n       int   // the number of the line
	afterCR bool  // an LF now belongs to the line before
	inside  bool  // the line is longer than what was returned of it
	err     error // of r, due when what came before it is returned
}

// next returns the next line with an LF at its end, or a piece of it, and
// whether it is the first one. The last line of a file may lack its end.
func (l *lineReader) next() (line []byte, first bool, err error) {
	if l.err != nil {
		return nil, false, l.err
	}
	first = !l.inside
	if first {
		l.n++
	}
	l.buf = l.buf[:0]
	for {
		if _, l.err = l.r.Peek(1); l.err != nil {
			if len(l.buf) > 0 {
				break
			}
			return nil, false, l.err
		}
		b, _ := l.r.Peek(l.r.Buffered())
		if l.afterCR && b[0] == '\n' {
			b = b[1:]
			l.discard(1)
		}
		l.afterCR = false
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			l.buf = append(l.buf, b...)
			l.discard(len(b))
			if l.inside = len(l.buf) > maxDirective; l.inside {
				break
			}
			continue
		}
		l.afterCR = b[i] == '\r'
		l.buf = append(append(l.buf, b[:i]...), '\n')
		l.discard(i + 1)
		l.inside = false
		break
	}
	if l.n == 1 && first {
		return bytes.TrimPrefix(l.buf, []byte("\uFEFF")), first, nil
	}
	return l.buf, first, nil
}

func (l *lineReader) discard(n int) {
	l.r.Discard(n) //nolint:errcheck // never more than is buffered
}
