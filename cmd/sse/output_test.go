package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A gate is a writer that waits for a token before each write.
type gate struct {
	bytes.Buffer
	tokens chan error
	sizes  []int
}

func (g *gate) Write(b []byte) (int, error) {
	if err := <-g.tokens; err != nil {
		return 0, err
	}
	g.sizes = append(g.sizes, len(b))
	return g.Buffer.Write(b)
}

func appendTo(o *output, text string) error {
	b, err := o.begin()
	if err == nil {
		o.end(append(b, text...))
	}
	return err
}

func TestOutputWritesAtOnceAndThenWhatCameMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{tokens: make(chan error)}
		o := newOutput(g)
		for range 3 {
			if err := appendTo(o, "line\n"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		go func() { g.tokens <- nil; g.tokens <- nil }()
		if err := o.close(); err != nil || len(g.sizes) != 2 || g.sizes[0] != 5 || g.sizes[1] != 10 {
			t.Errorf("writes of %v bytes, %v, want 5 and 10", g.sizes, err)
		}
		if err := o.close(); err != nil {
			t.Errorf("the second close: %v", err)
		}
		if err := appendTo(o, "late"); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	})
}

// A slow reader must hold up the source, in little memory, whether output is
// held or not.
func TestOutputWaitsForASlowReader(t *testing.T) {
	for _, held := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := &gate{tokens: make(chan error)}
			o := newOutput(g)
			if held {
				o.hold()
			}
			line := strings.Repeat("x", 1023) + "\n"
			const lines = 1000
			n := 0
			go func() {
				for ; n < lines; n++ {
					if appendTo(o, line) != nil {
						return
					}
					if held && n%7 == 0 {
						o.release()
					}
				}
				o.flush() //nolint:errcheck // the writer cannot fail
			}()
			synctest.Wait()
			if waiting := n * len(line); waiting < outputRoom || waiting > 4*outputRoom {
				t.Errorf("held %v: %d bytes wait for the reader", held, waiting)
			}
			close(g.tokens)
			synctest.Wait()
			if g.Len() != lines*len(line) {
				t.Errorf("held %v: %d bytes came, want %d", held, g.Len(), lines*len(line))
			}
			o.close() //nolint:errcheck // as above
		})
	}
}

// A pacedWriter takes a millisecond of its bubble's time for each write.
type pacedWriter struct{}

func (pacedWriter) Write(b []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return len(b), nil
}

func TestFlushWaitsForNoMoreThanCameBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput(pacedWriter{})
		began := time.Now()
		go func() {
			for time.Since(began) < time.Minute {
				if appendTo(o, strings.Repeat("x", 1023)+"\n") != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if err := o.flush(); err != nil || time.Since(began) > 3*time.Millisecond {
			t.Errorf("%v after %v, while others append", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		if err := o.close(); err != nil {
			t.Error(err)
		}
	})
}

func TestHeldOutputWaitsForRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		o := newOutput(&b)
		o.hold()
		for _, text := range []string{"a", "b"} {
			if err := appendTo(o, text); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if b.Len() > 0 {
			t.Errorf("%q was written before release", b.String())
		}
		o.release()
		synctest.Wait()
		if b.String() != "ab" {
			t.Errorf("release has %q written", b.String())
		}
		if err := errors.Join(appendTo(o, "c"), o.flush()); err != nil || b.String() != "abc" {
			t.Errorf("flush has %q written, %v", b.String(), err)
		}
		if err := errors.Join(appendTo(o, "d"), o.close()); err != nil || b.String() != "abcd" {
			t.Errorf("close has %q written, %v", b.String(), err)
		}
	})
}

func TestDelayedOutputWaitsForReleaseButNotLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		o := newOutput(&b)
		o.delay()
		written := func() string {
			synctest.Wait()
			o.mu.Lock()
			defer o.mu.Unlock()
			return b.String()
		}
		for i, text := range []string{"a", "b"} {
			if err := appendTo(o, text); err != nil {
				t.Fatal(err)
			}
			if len(written()) != 2*i {
				t.Errorf("%q was written at once", written())
			}
			time.Sleep(outputDelay)
			if len(written()) != 2*i+1 {
				t.Errorf("%q was written after a moment", written())
			}
			if err := appendTo(o, text); err != nil {
				t.Fatal(err)
			}
			o.release()
			if len(written()) != 2*i+2 {
				t.Errorf("release has %q written", written())
			}
			time.Sleep(2 * outputDelay) // the time of what was released runs out
		}
		if err := errors.Join(appendTo(o, "c"), o.close()); err != nil || written() != "aabbc" {
			t.Errorf("close has %q written, %v", written(), err)
		}
	})
}

func TestOutputTellsOfAFailedWrite(t *testing.T) {
	for _, held := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := &gate{tokens: make(chan error, 1)}
			g.tokens <- errors.New("disk full")
			o := newOutput(g)
			if held {
				o.hold()
			}
			if err := appendTo(o, "a"); err != nil {
				t.Fatal(err)
			}
			o.release()
			synctest.Wait()
			for what, err := range map[string]error{"begin": appendTo(o, "b"), "flush": o.flush(), "close": o.close()} {
				var coded codeError
				if !errors.As(err, &coded) || coded.code != exitOutput || err.Error() != "standard output: disk full" {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func TestAFailedWriteNamesStandardOutputOnce(t *testing.T) {
	err := outputError(&fs.PathError{Op: "write", Path: "/dev/stdout", Err: errors.New("disk full")})
	if err.Error() != "standard output: disk full" {
		t.Error(err)
	}
}

func TestAClosedPipeIsTheAskedForEnd(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	o := newOutput(w)
	if err := appendTo(o, "a"); err != nil {
		t.Fatal(err)
	}
	if err := o.close(); err != (codeError{code: exitDone}) {
		t.Errorf("%#v", err)
	}
}

// An interrupt must not wait for a reader that does not read.
func TestOutputGivesUpAMomentAfterItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{tokens: make(chan error)}
		o := newOutput(g)
		ctx, cancel := context.WithCancelCause(t.Context())
		o.bound(ctx)
		if err := appendTo(o, strings.Repeat("x", outputRoom)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cause := errors.New("interrupt")
		cancel(cause)
		began := time.Now()
		if err := o.close(); err != cause || time.Since(began) != outputGrace {
			t.Errorf("close: %v after %v", err, time.Since(began))
		}
		close(g.tokens)
	})
}

func TestOutputGivesTheRoomOfALargeEventBack(t *testing.T) {
	o := newOutput(io.Discard)
	if err := errors.Join(appendTo(o, strings.Repeat("x", 16<<20)), o.flush(), appendTo(o, "x"), o.flush(), appendTo(o, "x"), o.flush()); err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	if room := cap(o.buf) + cap(o.spare); room > 8*outputRoom {
		t.Errorf("%d bytes of room are left", room)
	}
	o.mu.Unlock()
	o.close() //nolint:errcheck // as above
}
