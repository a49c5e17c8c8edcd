package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/recording"
	"github.com/wellspring-go/sse/ssetest"
)

// recordAll records a source that goes on until a 204, and returns the
// recording.
func recordAll(t *testing.T, client *sse.Client, url string, o sse.Options) string {
	t.Helper()
	var b bytes.Buffer
	r := newRecorder(&b, func() error { return nil })
	o.OnClose = func(ev sse.CloseEvent) {
		if ev.Status != http.StatusNoContent {
			ev.ConnectAfter(time.Second)
		}
	}
	r.watch(&o, func(err error) { t.Error(err) })
	client.SourceContext(t.Context(), url, o).Run()
	if err := r.close(); err != nil {
		t.Error(err)
	}
	return b.String()
}

func TestRecorderRecordsWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s, ms = time.Second, time.Millisecond
		gone := ssetest.Status(http.StatusNoContent, "").With("Set-Cookie", "session=secret")
		srv := ssetest.New(t,
			ssetest.Refuse(nil),
			ssetest.Unanswered(ssetest.Hold()),
			ssetest.Unanswered(ssetest.Abort()),
			ssetest.Unanswered(ssetest.Wait(40*ms), ssetest.Retry(5*s), ssetest.Wait(s), ssetest.Comment("@ end reset"),
				ssetest.Emit(sse.Event{Name: "price", Data: "a\nb", ID: "1"}), ssetest.Wait(300*time.Microsecond), ssetest.Emit(sse.Event{Data: "c"}),
				ssetest.Wait(300*time.Microsecond), ssetest.Raw("id: 2\n\ndata: half\n"), ssetest.Reset()).With("Cache-Control", "no-cache").With("Set-Cookie", "session=secret"),
			ssetest.Stream(ssetest.Raw("id\n\n"), ssetest.Hold()),
			ssetest.Status(503, "busy").With("Retry-After", "7").With("Location", "http://secret"),
			ssetest.Status(200, "hello, secret"),
			ssetest.Stream(ssetest.Emit(sse.Event{Data: strings.Repeat("x", 200)})),
			gone,
		)
		text := recordAll(t, srv.Client(), srv.URL()+"/?token=secret", sse.Options{
			IdleTimeout: 10 * s, MaxEventSize: 100, Header: http.Header{"Authorization": {"secret"}},
		})
		want := `:@ fail refused

:@ +1s
:@ fail timeout after=10s

:@ +1s
:@ fail reset

:@ +1s
:@ open status=200 cache-control=no-cache content-type=text/event-stream after=40ms
retry: 5000

:@ +1s
:@@ end reset
id: 1
event: price
data: a
data: b

data: c

:@ +1ms
id: 2

:@ end reset

:@ +1s
:@ open status=200 content-type=text/event-stream
:@ +10s
id:

:@ end timeout

:@ +1s
:@ open status=503 content-type="text/plain; charset=utf-8" retry-after=7
:@ end eof

:@ +1s
:@ open status=200 content-type="text/plain; charset=utf-8"
:@ end eof

:@ +1s
:@ open status=200 content-type=text/event-stream
:@ end too-long

:@ +1s
:@ open status=204
:@ end eof

`
		if diff := cmp.Diff(want, text); diff != "" {
			t.Errorf("recording (-want +got):\n%s", diff)
		}
	})
}

// What is recorded is decoded, and must not be replayed as what it was not.
func TestRecorderRecordsWhatWasDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var body bytes.Buffer
		z := gzip.NewWriter(&body)
		z.Write([]byte("data: 1\n\n"))
		z.Close()
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw(body.String())).With("Content-Encoding", "gzip"), ssetest.Status(http.StatusNoContent, ""))
		text := recordAll(t, srv.Client(), srv.URL(), sse.Options{})
		if want := ":@ open status=200 content-type=text/event-stream\ndata: 1\n\n:@ end eof\n\n" + endGone; text != want {
			t.Errorf("recorded %q, want %q", text, want)
		}
	})
}

func TestRecorderRecordsWhatThisSideDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Emit(sse.Event{Data: "1"}), ssetest.Emit(sse.Event{Data: "stop"})))
		var b bytes.Buffer
		r := newRecorder(&b, func() error { return nil })
		o := sse.Options{LastEventID: "7", EndOn: func(ev sse.Event) bool { return ev.Data == "stop" }}
		log := ssetest.Record(&o)
		var called []string
		o.OnEvent = func(sse.Event) { called = append(called, "event") }
		o.OnComment = func(string) { called = append(called, "comment") }
		o.OnRetry = func(time.Duration) { called = append(called, "retry") }
		o.Prepare = func(*http.Request, sse.CloseEvent) error {
			called = append(called, "prepare")
			return nil
		}
		r.watch(&o, nil)
		srv.Source(o).Run()
		want := ":@ open status=200 content-type=text/event-stream\nid: 7\ndata: 1\n\ndata: stop\n\n:@ end local\n\n"
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("recording (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"prepare", "event"}, called); diff != "" || len(log.Opens()) != 1 || len(log.Closes()) != 1 {
			t.Errorf("hooks that were there before: %d opens, %d closes (-want +got):\n%s", len(log.Opens()), len(log.Closes()), diff)
		}
	})
}

// Where the last event's handler ends it, that event's id is in force.
func TestRecorderEndsBehindTheLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const text = ":@ open status=200 content-type=text/event-stream\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n:@ end local\n\n"
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n"), ssetest.Hold()))
		var b bytes.Buffer
		r := newRecorder(&b, func() error { return nil })
		var source *sse.EventSource
		o := sse.Options{OnEvent: func(ev sse.Event) {
			if ev.ID == "2" {
				source.Close()
			}
		}}
		r.watch(&o, func(err error) { t.Error(err) })
		source = srv.Source(o)
		source.Run()
		if diff := cmp.Diff(text, b.String()); diff != "" {
			t.Errorf("recording (-want +got):\n%s", diff)
		}
	})
}

// What no server can be made to say again is an attempt that failed.
func TestRecorderRecordsAStatusThatIsNone(t *testing.T) {
	var b bytes.Buffer
	r := newRecorder(&b, func() error { return nil })
	r.fail = func(err error) { t.Error(err) }
	r.request(time.Now())
	r.closed(time.Now(), sse.CloseEvent{Status: 42})
	if want := ":@ fail reset\n\n"; b.String() != want {
		t.Errorf("recorded %q, want %q", b.String(), want)
	}
}

// Without an OnClose the policy decides, as it does without a recorder.
func TestRecorderLeavesThePolicyInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(), ssetest.Stream(), ssetest.Status(http.StatusNoContent, ""))
		var o sse.Options
		newRecorder(io.Discard, func() error { return nil }).watch(&o, nil)
		srv.Source(o).Run()
		if n := len(srv.Requests()); n != 3 {
			t.Errorf("%d requests, want 3", n)
		}
	})
}

func TestRecorderRecordsNothingOfWhatWasNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t)
		var b bytes.Buffer
		r := newRecorder(&b, func() error { return nil })
		o := sse.Options{Prepare: func(*http.Request, sse.CloseEvent) error { return sse.Permanent(errors.New("no token")) }}
		r.watch(&o, nil)
		srv.Source(o).Run()
		if b.Len() > 0 {
			t.Errorf("recorded %q", b.String())
		}
	})
	// Nor of an attempt that this side ended before the server said anything.
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Unanswered(ssetest.Hold()))
		var b bytes.Buffer
		var o sse.Options
		newRecorder(&b, func() error { return nil }).watch(&o, nil)
		source := srv.Source(o)
		time.AfterFunc(time.Second, source.Close)
		source.Run()
		if b.Len() > 0 {
			t.Errorf("recorded %q", b.String())
		}
	})
}

type failing struct{ room int }

var errFull = errors.New("disk full")

func (f *failing) Write(b []byte) (int, error) {
	if f.room--; f.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestRecorderTellsOnceOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := ssetest.New(t, ssetest.Stream(ssetest.Raw("data: 1\n\ndata: 2\n\ndata: 3\n\n"), ssetest.Hold()))
		r := newRecorder(&failing{room: 2}, func() error { return nil })
		var o sse.Options
		var source *sse.EventSource
		fails := 0
		r.watch(&o, func(err error) {
			if fails++; !errors.Is(err, errFull) {
				t.Errorf("error %v, want %v", err, errFull)
			}
			source.Close()
		})
		source = srv.Source(o)
		source.Run()
		if err := r.close(); fails != 1 || !errors.Is(err, errFull) {
			t.Errorf("told %d times; close returned %v", fails, err)
		}
	})
}

func TestRecorderCloseReturnsTheErrorOfTheFile(t *testing.T) {
	var coded codeError
	err := newRecorder(io.Discard, func() error { return errFull }).close()
	if !errors.As(err, &coded) || coded.code != exitOutput || !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v with code %d", err, errFull, exitOutput)
	}
	err = newRecorder(io.Discard, func() error { return codeError{code: exitDone} }).close()
	if !errors.As(err, &coded) || coded.code != exitDone {
		t.Errorf("error %v, want that of the output", err)
	}
}

// A fullFile is a file on a disk that has room for n bytes more.
type fullFile struct {
	*os.File
	n int
}

func (f *fullFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b[:min(len(b), f.n)])
	f.n -= n
	if n < len(b) && err == nil {
		err = errFull
	}
	return n, err
}

func TestRecordingEndsWithAWholeStep(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := &stepFile{flag: "-w", file: &fullFile{file, 10}, regular: true}
	if _, err := f.Write([]byte("whole\n")); err != nil {
		t.Fatal(err)
	}
	var coded codeError
	_, err = f.Write([]byte("half\n"))
	if !errors.As(err, &coded) || coded.code != exitOutput || err.Error() != "-w: disk full" {
		t.Errorf("error %v, want one with the flag and code %d", err, exitOutput)
	}
	if text, err := os.ReadFile(file.Name()); err != nil || string(text) != "whole\n" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// Whatever ends the program before an answer comes, the old file is there.
func TestRecordingReplacesAFileWithTheFirstAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	old := strings.Repeat("data: old\n\n", 20)
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := createRecording(outputFlag, path, true)
	if err != nil {
		t.Fatal(err)
	}
	want := func(want string) {
		t.Helper()
		if text, err := os.ReadFile(path); err != nil || string(text) != want {
			t.Errorf("the file holds %q, %v, want %q", text, err, want)
		}
	}
	r.write(recording.Step{Kind: recording.Fail, Cause: recording.Refused})
	want(old)
	r.write(recording.Step{Kind: recording.Open})
	want(":@ fail refused\n\n:@ open status=200\n")
	r.write(recording.Step{Kind: recording.End, Cause: recording.EOF})
	if err := r.close(); err != nil {
		t.Error(err)
	}
	want(":@ fail refused\n\n:@ open status=200\n:@ end eof\n\n")
}

// What cannot be cut cannot be replaced, and is told of as the output's fault.
func TestRecordingTellsWhatCannotBeReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	f := &stepFile{flag: outputFlag, file: file, regular: true, old: true, answered: true}
	var coded codeError
	if _, err := f.Write([]byte("x")); !errors.As(err, &coded) || coded.code != exitOutput || !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v, want one with code %d", err, exitOutput)
	}
}

func TestFailCause(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}
	tests := map[recording.Cause][]error{
		recording.Refused: {syscall.ECONNREFUSED, dial, &net.DNSError{}, &tls.CertificateVerificationError{}, tls.RecordHeaderError{}, tls.AlertError(40)},
		recording.Timeout: {sse.ErrIdle, context.DeadlineExceeded, &net.DNSError{IsTimeout: true}, &url.Error{Err: os.ErrDeadlineExceeded}},
		recording.Reset:   {io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, &net.OpError{Op: "read", Err: syscall.ECONNRESET}},
	}
	for want, errs := range tests {
		for _, err := range errs {
			if got := failCause(fmt.Errorf("sse: %w", err)); got != want {
				t.Errorf("%T %v: %v, want %v", err, err, got, want)
			}
		}
	}
}
