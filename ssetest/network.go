package ssetest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// socketBuffer is how much a direction of an in-memory connection holds before
// its writer waits, like the buffers of a real one.
const socketBuffer = 64 << 10

// A network makes connections between one listener and its dialers.
type network struct {
	accepts chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newNetwork() *network {
	return &network{accepts: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *network) dial(ctx context.Context) (net.Conn, error) {
	up, down := newPipe(), newPipe()
	client, server := &memConn{in: down, out: up}, &memConn{in: up, out: down}
	select {
	case n.accepts <- server:
		return client, nil
	case <-n.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.accepts:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *network) Addr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return host }

// A memConn is one end of an in-memory connection. It waits on condition
// variables and timers only, which a synctest bubble sees as blocked.
type memConn struct{ in, out *pipe }

func (c *memConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *memConn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *memConn) Close() error {
	c.in.end(net.ErrClosed, syscall.EPIPE)
	c.out.end(io.EOF, net.ErrClosed)
	return nil
}

// reset makes both ends fail as an RST does. If drain is set it first waits
// for the other end to have read what was written, which a real RST may
// destroy.
func (c *memConn) reset(drain bool) {
	if drain {
		c.out.drained()
	}
	c.out.discard()
	c.in.end(net.ErrClosed, syscall.ECONNRESET)
	c.out.end(syscall.ECONNRESET, net.ErrClosed)
}

func (c *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return memAddr{} }

func (c *memConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.in.reading.set(c.in, t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.out.writing.set(c.out, t)
	return nil
}

// A pipe is one direction of a connection.
type pipe struct {
	mu               sync.Mutex
	changed          *sync.Cond
	buf              []byte
	readErr          error // what follows buf
	writeErr         error
	reading, writing deadline
}

// A deadline ends the calls of one side of a pipe.
type deadline struct {
	timer   *time.Timer
	expired bool
}

func newPipe() *pipe {
	p := &pipe{}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 || p.reading.expired {
		switch {
		case p.reading.expired:
			return 0, os.ErrDeadlineExceeded
		case p.readErr != nil:
			return 0, p.readErr
		}
		p.changed.Wait()
	}
	n := copy(b, p.buf)
	p.buf = p.buf[n:]
	p.changed.Broadcast()
	return n, nil
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 {
		room := socketBuffer - len(p.buf)
		switch {
		case p.writeErr != nil:
			return n, p.writeErr
		case p.writing.expired:
			return n, os.ErrDeadlineExceeded
		case room == 0:
			p.changed.Wait()
			continue
		}
		k := min(room, len(b))
		p.buf = append(p.buf, b[:k]...)
		b, n = b[k:], n+k
		p.changed.Broadcast()
	}
	return n, nil
}

// end sets what reads, once the buffer is empty, and writes return. The first
// end stays.
func (p *pipe) end(readErr, writeErr error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readErr == nil {
		p.readErr, p.writeErr = readErr, writeErr
	}
	if readErr == net.ErrClosed { //nolint:errorlint // the reader itself is gone
		p.buf = nil
	}
	p.changed.Broadcast()
}

func (p *pipe) drained() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) > 0 && p.readErr == nil {
		p.changed.Wait()
	}
}

func (p *pipe) discard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = nil
}

func (d *deadline) set(p *pipe, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.expired = false
	if t.IsZero() {
		return
	}
	if wait := time.Until(t); wait > 0 {
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if d.timer == timer { // else it was moved meanwhile
				d.expired = true
				p.changed.Broadcast()
			}
		})
		d.timer = timer
		return
	}
	d.expired = true
	p.changed.Broadcast()
}

// A meter tells the server's end of a loopback connection how much the
// client's end has read, so that a reset can be held back until nothing is
// left to be destroyed.
type meter struct {
	mu      sync.Mutex
	changed *sync.Cond
	written int64
	read    int64
	ours    bool // the client reports what it reads
	gone    bool
}

func newMeter() *meter {
	m := &meter{}
	m.changed = sync.NewCond(&m.mu)
	return m
}

func (m *meter) add(counter *int64, n int, gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*counter += int64(n)
	m.gone = m.gone || gone
	m.changed.Broadcast()
}

func (m *meter) drained() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.ours && m.read < m.written && !m.gone {
		m.changed.Wait()
	}
}

// A tcpServerConn counts what it writes.
type tcpServerConn struct {
	*net.TCPConn
	meter *meter
}

func (c *tcpServerConn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	c.meter.add(&c.meter.written, n, false)
	return n, err
}

func (c *tcpServerConn) reset(drain bool) {
	if drain {
		c.meter.drained()
	}
	c.SetLinger(0) //nolint:errcheck // without it Close is a FIN, and the test tells
	c.Close()
}

// A tcpClientConn counts what it reads.
type tcpClientConn struct {
	net.Conn
	meter *meter
}

func (c *tcpClientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.meter.add(&c.meter.read, n, err != nil)
	return n, err
}

func (c *tcpClientConn) Close() error {
	c.meter.add(&c.meter.read, 0, true)
	return c.Conn.Close()
}

// A loopback pairs the two ends of the connections that its own dialer makes.
type loopback struct {
	*net.TCPListener
	mu     sync.Mutex
	meters map[string]*meter // by the client's address
}

func (l *loopback) meter(clientAddr string) *meter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.meters[clientAddr] == nil {
		l.meters[clientAddr] = newMeter()
	}
	return l.meters[clientAddr]
}

func (l *loopback) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return &tcpServerConn{c, l.meter(c.RemoteAddr().String())}, nil
}

func (l *loopback) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	m := l.meter(c.LocalAddr().String())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ours = true
	return &tcpClientConn{c, m}, nil
}
