package sse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// An Event is one event of a stream, as dispatched by the blank line that ends
// it (WHATWG HTML, 9.2.6). Events are comparable with ==. An event that is kept
// keeps up to 4 KiB of the text around it in memory too.
type Event struct {
	Name string // "message" if the stream gave none
	Data string // the data lines, joined by "\n"
	ID   string // the last event id in force, which an earlier event may have set
}

// JSON decodes e.Data into v, as json.Unmarshal does. Its error is a
// [*DecodeError].
func (e Event) JSON(v any) error {
	if err := json.Unmarshal([]byte(e.Data), v); err != nil {
		return &DecodeError{Event: e, Err: err}
	}
	return nil
}

// A DecodeError is an event whose data is not what the program decodes it as.
type DecodeError struct {
	Event Event
	Err   error // of encoding/json
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("sse: data of event %q (id %q) does not decode: %v", e.Event.Name, e.Event.ID, e.Err)
}

// Unwrap returns e.Err.
func (e *DecodeError) Unwrap() error { return e.Err }

// ErrTooLong is in the chain of the error that ends a stream with an event, or
// a single field, of more than MaxEventSize bytes.
var ErrTooLong = errors.New("sse: event too long")

const (
	defaultMaxEventSize = 16 << 20

	minBuffer     = 256      // what an idle stream costs
	maxReadBuffer = 64 << 10 // how far a fast stream alone grows the buffer, and what may stay after a large event
	maxEmptyReads = 100      // in a row, before io.ErrNoProgress
	smallReads    = 16       // in a row, before the buffer shrinks; small is less than a sixteenth of it
)

// A Parser reads events from a stream of bytes, exactly as WHATWG HTML, 9.2.5
// and 9.2.6, say: UTF-8 with replacement, one leading byte order mark dropped,
// lines ended by LF, CR or CRLF. It needs no HTTP.
//
// An event is returned as soon as its last byte is read; memory is bounded by
// MaxEventSize, whatever the stream holds. Small events that came in one read
// share one allocation, others have one or, above 4 KiB with a new name or id,
// up to three. A Parser must not be used by two goroutines at once.
type Parser struct {
	// MaxEventSize bounds, in received bytes, the data of one event, each of
	// its lines charged one byte more, and the value of any single field. 0
	// means 16 MiB; negative is an error. Set it before the first Next.
	MaxEventSize int
	// OnComment, if not nil, is called with the text after the colon of each
	// comment line, unchanged, cut to MaxEventSize bytes. Set it before the
	// first Next.
	OnComment func(text string)
	// OnRetry, if not nil, is called with the reconnection time of each retry
	// field that sets one. Set it before the first Next.
	OnRetry func(time.Duration)

	r       io.Reader
	err     error // what ended the stream; every later Next returns it
	readErr error // of r, due when the bytes before it are parsed

	buf      []byte
	pos, end int    // buf[pos:end] is not parsed yet
	seen     int    // buf[pos:seen] is known to hold no LF
	cr       int    // the first CR in buf[pos:end], or end
	begun    bool   // the question of the byte order mark is settled
	afterCR  bool   // the last line ended with the last byte read, a CR: an LF now belongs to it
	dropLine bool   // what is left of this line is of no interest
	filled   bool   // the last Read filled the buffer: a larger one would be put to use
	between  bool   // the next line begins a block, which quick may try
	behind   bool   // lastID is not yet what rawID is
	rawFresh bool   // rawID is what lastID is, or ahead of it
	carried  bool   // an id, other than an empty one, took effect on this connection
	hasRetry bool   // retry is set
	small    int    // reads in a row that brought little for the buffer's size
	cut      []byte // what OnComment will get of a dropped line

	block   block  // for quick
	text    string // a copy of buf[textAt:], which the strings of events share
	textAt  int
	validTo int // buf[pos:validTo] is UTF-8
	doubtTo int // buf[pos:doubtTo] is known to be, or not to be

	// The event under assembly (the three buffers of 9.2.6).
	name     []byte
	id       []byte
	data     []byte // in buf if borrowed, else in joined
	borrowed bool
	hasID    bool
	lines    int // data lines so far
	size     int // what they are charged

	joined   []byte // backs data that is not borrowed
	lastID   string // outdated while behind
	rawID    []byte // the last event id, if Raw set it
	lastName string
	retry    time.Duration
}

// NewParser returns a Parser that reads from r, in reads of up to 64 KiB, or
// of what is missing of a larger event.
func NewParser(r io.Reader) *Parser { return &Parser{r: r} }

// Reset makes p read a new connection's stream from r. The last event id and
// the reconnection time stay; an unfinished event, and the state of lines and
// characters, is forgotten.
func (p *Parser) Reset(r io.Reader) {
	*p = Parser{
		MaxEventSize: p.MaxEventSize, OnComment: p.OnComment, OnRetry: p.OnRetry, r: r,
		buf: p.buf, name: p.name[:0], id: p.id[:0], joined: p.joined,
		lastID: p.LastEventID(), lastName: p.lastName, rawID: p.rawID, retry: p.retry, hasRetry: p.hasRetry,
	}
}

// Next returns the next event. At the end of the stream it returns io.EOF, and
// an event that the end cut off is discarded; an error of the reader is
// returned as it is; an event over MaxEventSize is an [ErrTooLong]. Once Next
// has returned an error it returns that error until Reset.
func (p *Parser) Next() (ev Event, err error) {
	err = p.next(&ev)
	return ev, err
}

// next makes ev the next event.
func (p *Parser) next(ev *Event) error {
	p.catchUp()
	if p.between && p.quick(ev) {
		return nil
	}
	if err := p.advance(); err != nil {
		return err
	}
	*ev = p.event()
	p.settle()
	return nil
}

// settle is called behind an event that advance found.
func (p *Parser) settle() {
	p.between = !p.afterCR
	p.begin()
}

// All returns an iterator over the events that are left. It ends silently at
// the end of the stream; any other error is yielded, and ends it. A loop that
// was left may be taken up again with another.
func (p *Parser) All() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			var ev Event
			err := p.next(&ev)
			if err == io.EOF || !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// LastEventID returns the last event id in force: what the last id field set
// whose block was complete, also if that block dispatched no event.
func (p *Parser) LastEventID() string {
	p.catchUp()
	return p.lastID
}

// SetLastEventID sets what an earlier connection ended with. Call it before
// the first Next.
func (p *Parser) SetLastEventID(id string) { p.lastID, p.behind, p.rawFresh = id, false, false }

// Retry returns the reconnection time that the stream set last, and whether it
// set one. A value beyond what a time.Duration holds is clamped.
func (p *Parser) Retry() (time.Duration, bool) { return p.retry, p.hasRetry }

// advance parses up to the blank line that dispatches the next event.
func (p *Parser) advance() error {
	p.between, p.joined = false, p.joined[:0]
	for p.err == nil {
		line, ok := p.line()
		switch {
		case !ok:
			p.err = p.fill()
		case p.dropLine:
			p.endDropped()
		case len(line) > 0:
			p.err = p.field(line)
		case p.dispatch():
			return nil
		}
	}
	return p.err
}

// line returns the next line without its end, and false if it is not complete.
// A CR ends a line at once, before it is known whether an LF follows.
func (p *Parser) line() (line []byte, ok bool) {
	if !p.begun && !p.dropMark() {
		return nil, false
	}
	if p.afterCR && p.pos < p.end {
		p.afterCR = false
		if p.buf[p.pos] == '\n' {
			p.pos++
			p.seen = p.pos
		}
	}
	start := p.pos
	if i := bytes.IndexByte(p.buf[p.seen:p.cr], '\n'); i >= 0 {
		line = p.buf[start : p.seen+i]
		p.pos = p.seen + i + 1
		p.seen = p.pos
		return line, true
	}
	p.seen = p.cr
	if p.cr == p.end {
		return nil, false
	}
	line = p.buf[start:p.cr]
	p.pos = p.cr + 1
	if p.pos == p.end {
		p.afterCR = true
	} else if p.buf[p.pos] == '\n' {
		p.pos++
	}
	p.seen = p.pos
	p.cr = p.nextCR(p.pos)
	return line, true
}

// dropMark drops the byte order mark and reports whether enough bytes are there
// to know that there is one or none.
func (p *Parser) dropMark() bool {
	const mark = "\uFEFF"
	b := p.buf[p.pos:p.end]
	if len(b) < len(mark) && strings.HasPrefix(mark, string(b)) {
		return false
	}
	if bytes.HasPrefix(b, []byte(mark)) {
		p.pos += len(mark)
		p.seen = p.pos
	}
	p.begun = true
	return true
}

// field interprets one line that is not blank.
func (p *Parser) field(line []byte) error {
	if line[0] == ':' {
		p.comment(line[1:])
		return nil
	}
	name, value := splitField(line)
	if !p.fits(name, value) {
		return p.tooLong()
	}
	switch string(name) {
	case "data":
		p.addData(value)
	case "event":
		p.name = appendUTF8(p.name[:0], value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			p.id = appendUTF8(p.id[:0], value)
			p.hasID = true
		}
	case "retry":
		p.setRetry(value)
	}
	return nil
}

func (p *Parser) setRetry(value []byte) {
	if d, ok := parseRetry(value); ok {
		p.retry, p.hasRetry = d, true
		if p.OnRetry != nil {
			p.OnRetry(d)
		}
	}
}

// splitField splits a line at its first colon and drops one space after it.
func splitField(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value
}

func isField(name []byte) bool {
	switch string(name) {
	case "data", "event", "id", "retry":
		return true
	}
	return false
}

// fits reports whether the value, or the part of it that is there already,
// keeps within MaxEventSize.
func (p *Parser) fits(name, value []byte) bool {
	if string(name) == "data" {
		return p.size+len(value)+1 <= p.limit()
	}
	return len(value) <= p.limit() || !isField(name)
}

func (p *Parser) limit() int {
	if p.MaxEventSize == 0 {
		return defaultMaxEventSize
	}
	return max(0, min(p.MaxEventSize, math.MaxInt/4)) // so that no sum with it overflows
}

func (p *Parser) tooLong() error {
	return fmt.Errorf("%w: larger than %s (Options.MaxEventSize, Parser.MaxEventSize)", ErrTooLong, byteSize(p.limit()))
}

// addData appends one data line. The first one stays where it was read, which
// for most events is all there is to do.
func (p *Parser) addData(value []byte) {
	p.size += len(value) + 1
	p.lines++
	if p.lines == 1 && utf8.Valid(value) {
		p.data, p.borrowed = value, true
		return
	}
	if p.lines > 1 {
		p.own()
		p.growJoined(len(value) + 1)
		p.joined = append(p.joined, '\n')
	}
	p.joined = appendUTF8(p.joined, value)
	p.data = p.joined
}

// growJoined makes room for n bytes more, by doubling: the small steps of append
// would leave several times the final size to the garbage collector.
func (p *Parser) growJoined(n int) {
	need := len(p.joined) + n
	if need <= cap(p.joined) {
		return
	}
	size := max(need, min(2*cap(p.joined), p.limit()), minBuffer)
	p.joined = append(make([]byte, 0, size), p.joined...)
}

// own moves borrowed data out of the read buffer, which is about to be reused.
func (p *Parser) own() {
	if p.borrowed {
		p.joined = append(p.joined[:0], p.data...)
		p.data, p.borrowed = p.joined, false
	}
}

// endDropped ends a line of which partial kept nothing, or the beginning of a
// comment.
func (p *Parser) endDropped() {
	p.dropLine = false
	if p.cut != nil {
		p.comment(p.cut)
		p.cut = nil
	}
}

func (p *Parser) comment(text []byte) {
	if p.OnComment == nil {
		return
	}
	text = text[:min(len(text), p.limit())]
	p.OnComment(string(appendUTF8(nil, text)))
}

// dispatch ends a block: its id takes effect, and it reports whether the block
// makes an event, which is the case if it has a data line, be it empty.
func (p *Parser) dispatch() bool {
	if p.lines > 0 {
		return true
	}
	switch {
	case !p.hasID:
	case p.behind:
		p.setRawID(p.id)
	case string(p.id) != p.lastID:
		p.lastID, p.rawFresh = string(p.id), false
	}
	p.clear()
	return false
}

// event returns the dispatched block as an event and forgets the block. Its
// new strings are cut from one allocation, unless they are so large that a
// kept name or id would pin too much.
func (p *Parser) event() Event {
	newName := len(p.name) > 0 && string(p.name) != p.lastName
	newID := p.hasID && string(p.id) != p.lastID
	size := len(p.data)
	if newName {
		size += len(p.name)
	}
	if newID {
		size += len(p.id)
	}
	var ev Event
	if size == len(p.data) || size > maxShared {
		ev.Data = string(p.data)
		if newName {
			p.lastName = string(p.name)
		}
		if newID {
			p.lastID = string(p.id)
		}
	} else {
		var b strings.Builder
		b.Grow(size)
		b.Write(p.data)
		if newName {
			b.Write(p.name)
		}
		if newID {
			b.Write(p.id)
		}
		s := b.String()
		ev.Data, s = s[:len(p.data)], s[len(p.data):]
		if newName {
			p.lastName, s = s[:len(p.name)], s[len(p.name):]
		}
		if newID {
			p.lastID = s
		}
	}
	if newID {
		p.rawFresh = false
	}
	ev.Name, ev.ID = "message", p.lastID
	if len(p.name) > 0 {
		ev.Name = p.lastName
	}
	p.clear()
	return ev
}

// clear forgets the block, and large buffers with it.
func (p *Parser) clear() {
	p.carried = p.carried || len(p.id) > 0
	p.name, p.id, p.joined = reuse(p.name), reuse(p.id), reuse(p.joined)
	p.hasID, p.data, p.borrowed, p.lines, p.size = false, nil, false, 0, 0
}

func reuse(b []byte) []byte {
	if cap(b) > maxReadBuffer {
		return nil
	}
	return b[:0]
}

// parseRetry reads the value of a retry field: ASCII digits only, milliseconds.
func parseRetry(value []byte) (time.Duration, bool) {
	// Clamped before the multiplication, which would wrap to a negative time.
	const limit = math.MaxInt64 / int64(time.Millisecond)
	var ms int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		ms = min(ms*10+int64(c-'0'), limit)
	}
	return time.Duration(ms) * time.Millisecond, len(value) > 0
}

// byteSize writes a limit as people do.
func byteSize(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
