package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/wellspring-go/sse"
	"github.com/wellspring-go/sse/recording"
)

// A recorder writes what happens to a source into a recording, each step at
// once, so that the file always ends with a whole one. Its times are rounded
// to milliseconds, which do not add up to an error.
type recorder struct {
	out  *recording.Writer
	shut func() error
	file *stepFile // if out writes to a regular file

	mu     sync.Mutex
	fail   func(error)
	err    error         // of the file
	start  time.Time     // of the first request; zero before it
	told   time.Duration // from start to the last step
	asked  bool          // a request is under way since begun
	begun  time.Duration
	open   bool
	lastID string // what the next request would carry, as the recording tells
	events uint64
	opens  uint64
}

// createRecording returns a recorder that writes the file path, which must
// not exist unless force is set or it is no regular file. flag is the one that
// names the path. Until a server answers, an old file is left as it is; if none
// does, so that there is nothing to replay, a new one is removed in the end.
func createRecording(flag, path string, force bool) (*recorder, error) {
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	info, err := os.Stat(path)
	exists := err == nil
	special := exists && !info.Mode().IsRegular()
	if force || special {
		mode = os.O_WRONLY | os.O_CREATE
	}
	file, err := os.OpenFile(path, mode, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist) && flag == outputFlag:
		return nil, usagef("%s %s: the file exists (--force replaces it)", flag, path)
	case errors.Is(err, fs.ErrExist):
		return nil, usagef("%s %s: the file exists", flag, path)
	case err != nil:
		return nil, usagef("%s: %w", flag, err)
	}
	f := &stepFile{flag: flag, file: file, regular: !special, created: !exists, old: force && !special}
	r := newRecorder(f, f.close)
	if f.regular {
		r.file = f
	}
	return r, nil
}

// newRecorder returns a recorder that writes to w, and at its end calls shut.
func newRecorder(w io.Writer, shut func() error) *recorder {
	return &recorder{out: recording.NewWriter(w), shut: shut}
}

// A stepFile is a file that never ends with half of what one Write was given,
// if it is a regular one.
type stepFile struct {
	flag string
	file interface {
		io.WriteCloser
		Name() string
		Truncate(size int64) error
	}
	regular  bool
	created  bool   // it was not there before
	old      bool   // it may still hold what it held before
	answered bool   // what is written next is an answer, or follows one
	held     []byte // what was written while it is old
	size     int64
}

func (f *stepFile) Write(b []byte) (int, error) {
	if f.old && !f.answered {
		f.held = append(f.held, b...)
		return len(b), nil
	}
	if f.old {
		if err := f.file.Truncate(0); err != nil {
			return 0, codeError{exitOutput, fmt.Errorf("%s: %w", f.flag, err)}
		}
		b = append(f.held, b...)
		f.old, f.held = false, nil
	}
	n, err := f.file.Write(b)
	if err != nil {
		if f.regular {
			f.file.Truncate(f.size) //nolint:errcheck // the error at hand is the cause
		}
		return n, codeError{exitOutput, fmt.Errorf("%s: %w", f.flag, err)}
	}
	f.size += int64(n)
	return n, nil
}

func (f *stepFile) close() error {
	err := f.file.Close()
	if f.created && !f.answered {
		err = cmp.Or(err, os.Remove(f.file.Name()))
	}
	return err
}

// watch makes o record what happens; the hooks that o has are still called,
// after it is recorded. fail is called, once, if the file cannot be written.
func (r *recorder) watch(o *sse.Options, fail func(error)) {
	r.fail = fail
	prepare, onOpen, onEvent, onComment, onRetry, onClose := o.Prepare, o.OnOpen, o.OnEvent, o.OnComment, o.OnRetry, o.OnClose
	o.Prepare = func(req *http.Request, prev sse.CloseEvent) error {
		if prepare != nil {
			if err := prepare(req, prev); err != nil {
				return err
			}
		}
		r.request(time.Now())
		return nil
	}
	o.OnOpen = func(ev sse.OpenEvent) {
		r.opened(time.Now(), ev)
		if onOpen != nil {
			onOpen(ev)
		}
	}
	o.OnEvent = func(ev sse.Event) {
		r.event(time.Now(), ev)
		if onEvent != nil {
			onEvent(ev)
		}
	}
	o.OnComment = func(text string) {
		r.step(time.Now(), recording.Step{Kind: recording.Comment, Text: text})
		if onComment != nil {
			onComment(text)
		}
	}
	o.OnRetry = func(d time.Duration) {
		r.step(time.Now(), recording.Step{Kind: recording.Retry, Retry: d})
		if onRetry != nil {
			onRetry(d)
		}
	}
	o.OnClose = func(ev sse.CloseEvent) {
		r.closed(time.Now(), ev)
		switch {
		case onClose != nil:
			onClose(ev)
		case ev.Retriable:
			ev.Connect()
		}
	}
}

// request notes that a request is sent.
func (r *recorder) request(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.start.IsZero() {
		r.start = at
	}
	r.asked, r.begun = true, at.Sub(r.start).Round(time.Millisecond)
}

func (r *recorder) opened(at time.Time, ev sse.OpenEvent) {
	header := maps.Clone(ev.Header)
	header.Del("Content-Encoding") // what is recorded is decoded
	r.mu.Lock()
	r.open, r.lastID = true, ev.LastEventID
	r.opens++
	r.mu.Unlock()
	r.answer(at, recording.Step{Kind: recording.Open, Status: ev.Status, Header: header})
}

func (r *recorder) event(at time.Time, ev sse.Event) {
	r.mu.Lock()
	r.lastID = ev.ID
	r.events++
	r.mu.Unlock()
	r.step(at, recording.Step{Kind: recording.Event, Event: ev})
}

func (r *recorder) closed(at time.Time, ev sse.CloseEvent) {
	r.mu.Lock()
	open, asked := r.open, r.asked
	// At a local end the last event may still be handled, and the id be that
	// before it.
	setID := !ev.IsLocal && ev.LastEventID != r.lastID
	r.open, r.asked = false, false
	r.mu.Unlock()
	switch {
	case open:
		if ev.Final != nil {
			r.event(at, *ev.Final)
		} else if setID {
			r.step(at, recording.Step{Kind: recording.ID, Event: sse.Event{ID: ev.LastEventID}})
		}
		r.step(at, recording.Step{Kind: recording.End, Cause: endCause(ev)})
	case !asked || ev.IsLocal: // nothing that the server did
	case ev.Status == http.StatusSwitchingProtocols || ev.Status >= http.StatusOK: // others are no answers
		r.answer(at, recording.Step{Kind: recording.Open, Status: ev.Status, Header: refusalHeader(ev)})
		r.step(at, recording.Step{Kind: recording.End, Cause: recording.EOF})
	default:
		r.answer(at, recording.Step{Kind: recording.Fail, Cause: failCause(ev.Err)})
	}
}

// refusalHeader returns what led to a refusal. A 200 without a type would be
// replayed with one if nothing said that there was none.
func refusalHeader(ev sse.CloseEvent) http.Header {
	header := maps.Clone(ev.Header)
	if ev.Status == http.StatusOK && header != nil && header["Content-Type"] == nil {
		header["Content-Type"] = []string{""}
	}
	return header
}

// answer records what a request led to.
func (r *recorder) answer(at time.Time, s recording.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Wait = max(r.begun-r.told, 0)
	r.told += s.Wait
	s.After = max(at.Sub(r.start).Round(time.Millisecond)-r.told, 0)
	r.told += s.After
	r.write(s)
}

// step records what happened on a connection.
func (r *recorder) step(at time.Time, s recording.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Wait = max(at.Sub(r.start).Round(time.Millisecond)-r.told, 0)
	r.told += s.Wait
	r.write(s)
}

// write writes a step. mu is held, but not while fail is called.
func (r *recorder) write(s recording.Step) {
	if r.err != nil {
		return
	}
	if s.Kind == recording.Open && r.file != nil {
		r.file.answered = true
	}
	if r.err = r.out.Write(s); r.err == nil {
		return
	}
	err := r.err
	r.mu.Unlock()
	defer r.mu.Lock()
	r.fail(err)
}

// saved reports whether there is something to replay in the file, once it is
// closed.
func (r *recorder) saved() bool { return r.file == nil || r.file.answered }

// close finishes the file.
func (r *recorder) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.shut()
	if r.err != nil {
		return r.err
	}
	if coded := (codeError{}); err != nil && !errors.As(err, &coded) {
		err = codeError{exitOutput, err}
	}
	return err
}

// endCause says how a connection ended.
func endCause(ev sse.CloseEvent) recording.Cause {
	switch {
	case ev.IsLocal:
		return recording.Local
	case ev.Err == io.EOF:
		return recording.EOF
	case errors.Is(ev.Err, sse.ErrIdle):
		return recording.Timeout
	case errors.Is(ev.Err, sse.ErrTooLong):
		return recording.TooLong
	}
	return recording.Reset
}

// failCause says why a request was not answered.
func failCause(err error) recording.Cause {
	var network net.Error
	var op *net.OpError
	var name *net.DNSError
	var untrusted *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, sse.ErrIdle), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return recording.Timeout
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &op) && op.Op == "dial", errors.As(err, &name),
		errors.As(err, &untrusted), errors.As(err, &noTLS), errors.As(err, &alert), isCertificateError(err):
		return recording.Refused
	}
	return recording.Reset
}

func isCertificateError(err error) bool {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}
