package main

import (
	"io"
	"net/http"
)

// A markTransport tells when a stream is open, and when its reader asks for
// more than its last byte: every event of it is handled then.
type markTransport struct {
	http.RoundTripper
	length    int
	open, end func()
}

func (m markTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := m.RoundTripper.RoundTrip(req)
	if err == nil {
		m.open()
		resp.Body = &markedBody{resp.Body, m.length, m.end}
	}
	return resp, err
}

type markedBody struct {
	io.ReadCloser
	left int
	end  func()
}

func (b *markedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.left--
		b.end()
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}

// A pieceTransport answers with a stream out of memory, of which each Read
// gets one piece.
type pieceTransport struct {
	stream []byte
	piece  int
}

func (p pieceTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"text/event-stream"}},
		Body:          &pieces{p.stream, p.piece},
		ContentLength: -1,
		Request:       req,
	}, nil
}

type pieces struct {
	rest  []byte
	piece int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.piece)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pieces) Close() error { return nil }
