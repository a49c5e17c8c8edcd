package sse_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/ssetest"
)

const silence = 10 * time.Second

// wantIdle checks the close that silence leads to.
func wantIdle(t *testing.T, ev sse.CloseEvent, status int) {
	t.Helper()
	if !errors.Is(ev.Err, sse.ErrIdle) || errors.Is(ev.Err, context.Canceled) || ev.Status != status || !ev.Retriable || !sse.StandardRetriable(ev) || ev.IsLocal {
		t.Errorf("got %+v, want a retriable ErrIdle with status %d", ev, status)
	}
	if !containsAll(fmt.Sprint(ev.Err), "Options.IdleTimeout", "10s") {
		t.Errorf("the text %q does not name the option and its value", ev.Err)
	}
}

func TestSilenceIsFoundInTimeWhereverItBegins(t *testing.T) {
	stuck := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		time.AfterFunc(time.Hour, func() { far.Close() })
		go func() {
			for b := make([]byte, 4096); ; {
				if _, err := far.Read(b); err != nil {
					return
				}
			}
		}()
		return near, nil
	}
	// What was dialled goes on, for whoever wants the connection next.
	deaf := func(context.Context, string, string) (net.Conn, error) {
		time.Sleep(time.Hour)
		return nil, errors.New("timed out")
	}
	for name, c := range map[string]struct {
		reply  *ssetest.Reply
		dial   func(context.Context, string, string) (net.Conn, error)
		scheme string
		after  time.Duration // of signs of life
		status int
	}{
		"in the dial":          {nil, deaf, "http", 0, 0},
		"in the TLS handshake": {nil, stuck, "https", 0, 0},
		"before the head":      {ptr(ssetest.Unanswered(ssetest.Hold())), nil, "http", 0, 0},
		"after the head":       {ptr(ssetest.Stream(ssetest.Hold())), nil, "http", 0, 200},
		"after a late head":    {ptr(ssetest.Unanswered(ssetest.Wait(9*time.Second), ssetest.Raw(":"), ssetest.Hold())), nil, "http", 9 * time.Second, 200},
		"after an event":       {ptr(ssetest.Stream(ssetest.Wait(9*time.Second), ssetest.Emit(sse.Event{Data: "x", ID: "1"}), ssetest.Hold())), nil, "http", 9 * time.Second, 200},
		"in a line":            {ptr(ssetest.Stream(ssetest.Wait(9*time.Second), ssetest.Raw("da"), ssetest.Wait(9*time.Second), ssetest.Raw("ta"), ssetest.Hold())), nil, "http", 18 * time.Second, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &sse.Client{HTTP: &http.Client{Transport: &http.Transport{DialContext: c.dial}}}
				defer time.Sleep(time.Hour)
				if c.reply != nil {
					client = ssetest.New(t, *c.reply, *c.reply).Client()
				}
				for range 2 { // each attempt anew
					begin := time.Now()
					ev := closeOf(t, client, c.scheme+"://sse.test/", sse.Options{IdleTimeout: silence})
					wantIdle(t, ev, c.status)
					if took := time.Since(begin); took != c.after+silence {
						t.Errorf("found after %v, want %v", took, c.after+silence)
					}
				}
			})
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestHangingBodyOfARedirectIsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Reply{
			Status: 307, Header: http.Header{"Location": {"/there"}}, Steps: []ssetest.Step{ssetest.Raw("x"), ssetest.Hold()},
		})
		srv.Always(ssetest.Stream(ssetest.Hold()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		begin := time.Now()
		o := sse.Options{IdleTimeout: silence, OnClose: func(sse.CloseEvent) {}}
		if err := srv.Client().SourceContext(ctx, srv.URL(), o).Run(); !errors.Is(err, sse.ErrIdle) || time.Since(begin) > 2*silence {
			t.Errorf("after %v: %v, want ErrIdle", time.Since(begin), err)
		}
	})
}

func TestAnyByteIsASignOfLife(t *testing.T) {
	for name, steps := range map[string][]ssetest.Step{
		"comments":         {ssetest.Wait(9 * time.Second), ssetest.Comment("ping")},
		"bytes of comment": {ssetest.Wait(9 * time.Second), ssetest.Raw(":")},
		"bytes of data":    {ssetest.Wait(9 * time.Second), ssetest.Raw("data:"), ssetest.Wait(9 * time.Second), ssetest.Raw("x")},
		"empty lines":      {ssetest.Wait(9 * time.Second), ssetest.Raw("\n")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const turns = 9600 // a day of comments
				srv := ssetest.New(t, ssetest.Stream(slices.Repeat(steps, turns)...))
				begin := time.Now()
				ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{IdleTimeout: silence})
				if errors.Is(ev.Err, sse.ErrIdle) || time.Since(begin) < 24*time.Hour {
					t.Errorf("after %v: %v", time.Since(begin), ev)
				}
			})
		})
	}
}

func TestWithoutIdleTimeoutSilenceMayLast(t *testing.T) {
	for _, limit := range []time.Duration{0, -time.Second} {
		synctest.Test(t, func(t *testing.T) {
			const month = 30 * 24 * time.Hour
			srv := ssetest.New(t, ssetest.Unanswered(ssetest.Wait(month), ssetest.Raw(":\n"), ssetest.Wait(month)))
			if ev := closeOf(t, srv.Client(), srv.URL(), sse.Options{IdleTimeout: limit}); ev.Err.Error() != "EOF" {
				t.Errorf("IdleTimeout %v: %v", limit, ev)
			}
		})
	}
}

// slowCursor takes its time.
type slowCursor struct{ pause func() }

func (c slowCursor) Load(context.Context) (string, error) { c.pause(); return "", nil }
func (c slowCursor) Save(context.Context, string) error   { return nil }

func TestTimeInHooksIsNoSilence(t *testing.T) {
	pause := func() { time.Sleep(time.Hour) }
	for name, put := range map[string]func(*sse.Client, *sse.Options){
		"Client.Prepare":  func(c *sse.Client, _ *sse.Options) { c.Prepare = preparing(func(*http.Request) { pause() }) },
		"Options.Prepare": func(_ *sse.Client, o *sse.Options) { o.Prepare = preparing(func(*http.Request) { pause() }) },
		"Cursor.Load":     func(_ *sse.Client, o *sse.Options) { o.Cursor = slowCursor{pause} },
		"CheckRedirect": func(c *sse.Client, _ *sse.Options) {
			c.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { pause(); return nil }
		},
		"CheckResponse": func(_ *sse.Client, o *sse.Options) {
			o.CheckResponse = func(*http.Response) error { pause(); return nil }
		},
		"OnOpen": func(_ *sse.Client, o *sse.Options) { o.OnOpen = func(sse.OpenEvent) { pause() } },
		"Transform": func(_ *sse.Client, o *sse.Options) {
			o.Transform = func(ev sse.Event) (sse.Event, error) { pause(); return ev, nil }
		},
		"EndOn":     func(_ *sse.Client, o *sse.Options) { o.EndOn = func(sse.Event) bool { pause(); return false } },
		"OnEvent":   func(_ *sse.Client, o *sse.Options) { o.OnEvent = func(sse.Event) { pause() } },
		"OnComment": func(_ *sse.Client, o *sse.Options) { o.OnComment = func(string) { pause() } },
		"OnError":   func(_ *sse.Client, o *sse.Options) { o.OnError = func(error) { pause() } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := ssetest.New(t, ssetest.Redirect(307, "/there"), ssetest.Stream(ssetest.Raw(":hi\nid: 1 \ndata: x\n\n"), ssetest.Hold()))
				client, o := srv.Client(), sse.Options{Method: "GET", IdleTimeout: silence}
				put(client, &o)
				begin := time.Now()
				wantIdle(t, closeOf(t, client, srv.URL(), o), 200)
				if took := time.Since(begin); took != time.Hour+silence {
					t.Errorf("found after %v, want %v", took, time.Hour+silence)
				}
			})
		})
	}
}

func TestTimeOfConsumersIsNoSilence(t *testing.T) {
	for _, way := range []string{"selection", "loop", "nobody"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				event := ssetest.Emit(sse.Event{Data: "x", ID: "1"})
				srv := ssetest.New(t, ssetest.Stream(event, event, event, ssetest.Hold()))
				begin := time.Now()
				var took time.Duration
				src := srv.Source(sse.Options{IdleTimeout: silence, Buffer: -1, OnClose: func(ev sse.CloseEvent) {
					took = time.Since(begin)
					wantIdle(t, ev, 200)
				}})
				want := 3 * time.Hour
				switch way {
				case "selection":
					events := src.SelectAll().Events()
					for range 3 {
						time.Sleep(time.Hour)
						ssetest.Take(t, events, 1)
					}
				case "loop":
					for _, err := range src.All() {
						if err == nil {
							time.Sleep(time.Hour)
						}
					}
				case "nobody": // after the head nothing is read
					if err := src.Open(t.Context()); err != nil {
						t.Errorf("Open: %v", err)
					}
					time.Sleep(want)
					go src.Run()
				}
				<-src.Done()
				// A loop's body lets the source read on after a while.
				if way != "loop" && took != want+silence || took < silence {
					t.Errorf("%s: found after %v, want %v", way, took, want+silence)
				}
			})
		})
	}
}

// A freezingConn can go silent for good, as behind a dead router.
type freezingConn struct {
	net.Conn
	frozen atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (c *freezingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.frozen.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *freezingConn) Write(b []byte) (int, error) {
	if c.frozen.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *freezingConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// http2Streams serves an endless stream of events over HTTP/2, one every 5 s,
// and returns a client of it and the connections that it has made.
func http2Streams(t *testing.T) (client *sse.Client, made func() []*freezingConn) {
	t.Helper()
	emptyPools()
	network := newPipes()
	srv := &http.Server{ReadHeaderTimeout: time.Hour, Protocols: &http.Protocols{}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, "id: %d\ndata: x\n\n", i)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(5 * time.Second):
			case <-r.Context().Done():
			}
		}
	})}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(network)
	t.Cleanup(func() { srv.Close() })
	var mu sync.Mutex
	var conns []*freezingConn
	client = http2Client(t, func(ctx context.Context) (net.Conn, error) {
		c, err := network.dial(ctx)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, &freezingConn{Conn: c, closed: make(chan struct{})})
		return conns[len(conns)-1], nil
	})
	return client, func() []*freezingConn {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(conns)
	}
}

// emptyPools drops what every sync.Pool holds, which takes two collections.
// The HTTP/2 server of Go 1.25 keeps its channels in a pool of the process;
// one made in a bubble and used outside of it, or in another, panics.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

func TestSilentHTTP2ConnectionIsRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, made := http2Streams(t)
		const streams = 5
		var counts [streams]atomic.Int64
		for i := range streams {
			src := client.Source("http://sse.test/", sse.Options{
				Method: "GET", IdleTimeout: 4 * silence, OnEvent: func(sse.Event) { counts[i].Add(1) },
			})
			go src.Run()
			t.Cleanup(func() { src.Close(); <-src.Done() })
			time.Sleep(7 * time.Second)
		}
		if n := len(made()); n != 1 {
			t.Fatalf("%d streams on %d connections, want 1", streams, n)
		}
		made()[0].frozen.Store(true)
		time.Sleep(10 * silence)
		var before [streams]int64
		for i := range counts {
			before[i] = counts[i].Load()
		}
		time.Sleep(time.Minute)
		for i := range counts {
			if n := counts[i].Load() - before[i]; n < 10 {
				t.Errorf("stream %d has %d events in the minute after its recovery", i, n)
			}
		}
	})
}

func TestSilentHTTP2ConnectionTakesOneRequestMore(t *testing.T) {
	for _, failures := range []int{0, 1} { // that keep the next request from being sent
		t.Run(fmt.Sprintf("%d failures between", failures), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, made := http2Streams(t)
				idle := 0
				var src *sse.EventSource
				src = client.Source("http://sse.test/", sse.Options{
					Method: "GET", IdleTimeout: silence,
					Prepare: func(_ *http.Request, prev sse.CloseEvent) error {
						if errors.Is(prev.Err, sse.ErrIdle) && failures > 0 {
							failures--
							return errToken
						}
						return nil
					},
					OnEvent: func(sse.Event) {
						if idle > 0 {
							src.Close()
						}
						made()[0].frozen.Store(true)
					},
					OnClose: func(ev sse.CloseEvent) {
						if errors.Is(ev.Err, sse.ErrIdle) {
							idle++
						}
						ev.ConnectAfter(0)
					},
				})
				src.Run()
				if n := len(made()); idle != 2 || n != 2 {
					t.Errorf("silence was found %d times on %d connections, want 2 on 2", idle, n)
				}
			})
		})
	}
}

func TestSilenceClosesNoOtherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A request of the caller's leaves an idle connection in the pool of
		// the client whose stream goes silent then.
		client, made := http2Streams(t)
		get := func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://other.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.HTTP.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		get()
		src := client.Source("http://sse.test/", sse.Options{IdleTimeout: silence, OnEvent: func(sse.Event) {
			if conns := made(); len(conns) == 2 {
				conns[1].frozen.Store(true)
			}
		}})
		go src.Run()
		time.Sleep(time.Minute)
		get()
		src.Close()
		<-src.Done()
		if n := len(made()); n != 3 {
			t.Errorf("%d connections, want 3: the idle one, the silent one, its successor", n)
		}
		select {
		case <-made()[0].closed:
			t.Error("the caller's idle connection was closed")
		default:
		}
	})
}
