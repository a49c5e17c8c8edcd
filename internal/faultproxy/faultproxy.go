// Package faultproxy is a TCP proxy on loopback that does to each connection
// what a script says: cut it at a byte, silence it, slow it down, change it.
// Its faults are the kernel's own, which no double in memory has.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A Kind is what happens to a connection once Fault.At bytes of the server
// have been passed on.
type Kind int

// The kinds of faults. Of all but HalfClose, Blackhole, Stall and Hang the
// server learns by an RST; of those when the client closes.
const (
	None      Kind = iota
	FIN            // closed
	RST            // reset
	HalfClose      // closed towards the client; what it sends still gets through
	Blackhole      // open, and what either side sends is swallowed
	Stall          // open, and nothing more is read from the server
	Refuse         // reset when accepted; see Down for a port that is closed
	Hang           // accepted, and nothing said; the server is not asked
)

// String returns the kind's name.
func (k Kind) String() string {
	names := [...]string{"None", "FIN", "RST", "HalfClose", "Blackhole", "Stall", "Refuse", "Hang"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// A Fault is the script of one connection. The zero value passes everything.
type Fault struct {
	Kind Kind
	// At is how many bytes of the server get through before Kind happens. With
	// 0 it happens when the client has sent its first bytes.
	At int64
	// Fragment is the largest write to the client in bytes; 0 means as it
	// comes.
	Fragment int
	// Throttle is how long to wait before each of these writes.
	Throttle time.Duration
	// Corrupt changes one byte of the server: the Corrupt-th, from 1. 0
	// changes none.
	Corrupt int64
}

// String says what the fault does.
func (f Fault) String() string {
	s := f.Kind.String()
	if f.Kind >= FIN && f.Kind <= Stall {
		s += fmt.Sprintf(" after %d bytes", f.At)
	}
	if f.Fragment > 0 {
		s += fmt.Sprintf(", in fragments of %d bytes", f.Fragment)
	}
	if f.Throttle > 0 {
		s += fmt.Sprintf(", one write per %v", f.Throttle)
	}
	if f.Corrupt > 0 {
		s += fmt.Sprintf(", byte %d corrupted", f.Corrupt)
	}
	return s
}

// A Plan returns the fault of the n-th connection, from 0.
type Plan func(n int) Fault

// Script has the connections meet faults in this order, and the ones after
// them none.
func Script(faults ...Fault) Plan {
	return func(n int) Fault {
		if n < len(faults) {
			return faults[n]
		}
		return Fault{}
	}
}

// Random has every connection meet one of kinds at a byte below limit, half
// of them in fragments of up to 64 bytes. The same seed gives the same plan.
func Random(seed uint64, limit int64, kinds ...Kind) Plan {
	return func(n int) Fault {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		f := Fault{Kind: kinds[r.IntN(len(kinds))], At: r.Int64N(limit)}
		if r.IntN(2) == 0 {
			f.Fragment = 1 + r.IntN(64)
		}
		return f
	}
}

// A Proxy listens on loopback and connects to one server. Its goroutines are
// one that accepts and two for each connection; Close ends them.
type Proxy struct {
	upstream string
	plan     Plan
	addr     string
	start    time.Time
	wg       sync.WaitGroup
	closing  context.Context // ends with the proxy
	close    context.CancelFunc
	struck   atomic.Int64

	mu       sync.Mutex
	listener net.Listener   // nil while down
	links    map[*link]bool // open
	made     []*link        // all
	log      []string
}

// New returns a proxy to the address upstream, which closes with the test.
func New(tb testing.TB, upstream string, plan Plan) *Proxy {
	tb.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{upstream: upstream, plan: plan, addr: l.Addr().String(), start: time.Now(), links: map[*link]bool{}}
	p.closing, p.close = context.WithCancel(context.WithoutCancel(tb.Context()))
	p.serve(l)
	tb.Cleanup(p.Close)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.addr }

// Struck counts the faults that have happened.
func (p *Proxy) Struck() int { return int(p.struck.Load()) }

// Conns counts the connections that were accepted.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.made)
}

// Passed returns how many bytes of the server the n-th connection has passed
// on, from 0.
func (p *Proxy) Passed(n int) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made[n].passed.Load()
}

// Log says line by line what the proxy did, and when, for a message of a test
// that fails.
func (p *Proxy) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// Strike makes the fault happen to all open connections now.
func (p *Proxy) Strike(k Kind) {
	for _, l := range p.open() {
		l.strike(k)
	}
}

// Down closes the port: the kernel refuses connections until Up. What is open
// stays so.
func (p *Proxy) Down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
		p.note("port closed")
	}
}

// Up opens the port again. Something else may have got it meanwhile, for which
// Up waits up to 2 s. After Close it returns net.ErrClosed.
func (p *Proxy) Up() error {
	var listen net.ListenConfig
	for began := time.Now(); p.closing.Err() == nil; {
		l, err := listen.Listen(p.closing, "tcp", p.addr)
		if err == nil {
			p.serve(l)
			return nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Since(began) > 2*time.Second {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.closing.Done():
		}
	}
	return net.ErrClosed
}

// Close closes the port and all connections, and waits for the goroutines. It
// may be called twice.
func (p *Proxy) Close() {
	p.close()
	p.Down()
	for _, l := range p.open() {
		l.end(false)
	}
	p.wg.Wait()
}

func (p *Proxy) open() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	var links []*link
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

// note adds a line to the log. mu is held.
func (p *Proxy) note(format string, args ...any) {
	at := time.Since(p.start).Round(10 * time.Microsecond)
	p.log = append(p.log, fmt.Sprintf("%v ", at)+fmt.Sprintf(format, args...))
}

func (p *Proxy) serve(l net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing.Err() != nil || p.listener != nil {
		l.Close()
		return
	}
	p.listener = l
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.link(c.(*net.TCPConn))
		}
	})
}

// link takes up a connection of a client.
func (p *Proxy) link(c *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing.Err() != nil {
		shut(c, false)
		return
	}
	n := len(p.made)
	l := &link{proxy: p, n: n, fault: p.plan(n), client: c}
	l.ctx, l.gone = context.WithCancel(p.closing)
	p.made = append(p.made, l)
	p.links[l] = true
	p.note("#%d accepted: %v", l.n, l.fault)
	p.wg.Go(l.run)
}

// A link is a connection of a client and, unless the fault keeps it from the
// server, the one made for it.
type link struct {
	proxy  *Proxy
	n      int
	fault  Fault
	client *net.TCPConn
	ctx    context.Context // ends with the link
	gone   context.CancelFunc
	passed atomic.Int64 // bytes of the server
	state  atomic.Int64 // the Kind that has happened

	mu     sync.Mutex
	server *net.TCPConn // nil if the fault keeps it from being made
	ended  bool
}

func (l *link) note(format string, args ...any) {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.proxy.note("#%d "+format, append([]any{l.n}, args...)...)
}

// run passes bytes both ways until the link ends.
func (l *link) run() {
	defer func() {
		l.end(false)
		l.proxy.mu.Lock()
		delete(l.proxy.links, l)
		l.proxy.mu.Unlock()
	}()
	switch l.fault.Kind {
	case Refuse:
		l.strike(RST)
		return
	case Hang:
		l.strike(Hang)
		io.Copy(io.Discard, l.client) //nolint:errcheck // its end is all there is to know
		return
	default:
	}
	var d net.Dialer
	c, err := d.DialContext(l.ctx, "tcp", l.proxy.upstream)
	if err != nil {
		l.note("no server: %v", err)
		l.end(true)
		return
	}
	server := c.(*net.TCPConn)
	l.mu.Lock()
	if l.ended {
		shut(server, true)
	} else {
		l.server = server
	}
	l.mu.Unlock()
	var down sync.WaitGroup
	down.Go(func() { l.down(server) })
	l.up(server)
	down.Wait()
}

// up passes on what the client sends.
func (l *link) up(server *net.TCPConn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := l.client.Read(buf)
		if n > 0 && l.fault.At == 0 && l.passed.Load() == 0 {
			l.strike(l.fault.Kind)
		}
		if n > 0 && Kind(l.state.Load()) != Blackhole {
			if _, err := server.Write(buf[:n]); err != nil {
				continue // down sees why; the client ends this
			}
		}
		switch {
		case err == nil:
		case err != io.EOF || Kind(l.state.Load()) != None:
			l.end(true)
			return
		default:
			server.CloseWrite() //nolint:errcheck // it is closed then
			return
		}
	}
}

// down passes on what the server sends, as far as the fault lets it.
func (l *link) down(server *net.TCPConn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := server.Read(buf)
		if l.pass(buf[:n]) != nil {
			l.end(true)
			return
		}
		switch state := Kind(l.state.Load()); {
		case state == Stall:
			<-l.ctx.Done()
			return
		case err == nil:
		case state != None: // the client is not told, and ends the link
			return
		case err == io.EOF:
			l.client.CloseWrite() //nolint:errcheck // it is closed then
			return
		default:
			l.end(true)
			return
		}
	}
}

// pass gives b to the client, up to the fault.
func (l *link) pass(b []byte) error {
	f := l.fault
	for len(b) > 0 && l.state.Load() == int64(None) {
		passed := l.passed.Load()
		n := int64(len(b))
		if f.Fragment > 0 {
			n = min(n, int64(f.Fragment))
		}
		if f.Kind != None {
			n = min(n, f.At-passed)
		}
		if n > 0 && f.Throttle > 0 {
			select {
			case <-time.After(f.Throttle):
			case <-l.ctx.Done():
				return l.ctx.Err()
			}
		}
		if i := f.Corrupt - 1 - passed; i >= 0 && i < n {
			b[i] ^= 0x20
			l.note("byte %d corrupted", f.Corrupt)
			l.proxy.struck.Add(1)
		}
		if _, err := l.client.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		if l.passed.Add(n) == f.At {
			l.strike(f.Kind)
		}
	}
	return nil
}

// strike makes k happen, if nothing has happened before.
func (l *link) strike(k Kind) {
	if k == None || !l.state.CompareAndSwap(int64(None), int64(k)) {
		return
	}
	l.note("%v, after %d bytes", k, l.passed.Load())
	l.proxy.struck.Add(1)
	switch k {
	case FIN:
		l.end(false)
	case RST, Refuse:
		l.end(true)
	case HalfClose:
		l.client.CloseWrite() //nolint:errcheck // it is closed then
	default: // up and down look at the state
	}
}

// end closes both connections. The server's is reset if a fault or an error
// ends it, and so is the client's if reset is set.
func (l *link) end(reset bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	l.gone()
	shut(l.client, reset)
	if l.server != nil {
		shut(l.server, reset || l.state.Load() != int64(None))
	}
}

// shut closes c, by an RST if reset is set.
func shut(c *net.TCPConn, reset bool) {
	if reset {
		c.SetLinger(0) //nolint:errcheck // it is closed then
	}
	c.Close() //nolint:errcheck // nothing follows
}
