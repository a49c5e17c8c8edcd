package main

import (
	"io"
	"net/http"
	"time"

	"github.com/wellspring-go/sse"
)

// prompt reports whether events are handled in no time by one goroutine, so
// that nobody sees that they are printed when all that came are handled.
func (f *follower) prompt() bool {
	return f.from == "" && !f.computes() && f.stops.condition == nil && f.keeping == nil && !f.acts()
}

// hold has events that come together written together: before each wait for
// more of the stream, or soon if what is done with them may take long.
func (f *follower) hold(o *sse.Options) {
	if f.prompt() {
		f.printer.hold()
	} else {
		f.printer.delay()
	}
	accept := o.CheckResponse
	if accept == nil {
		accept = sse.CheckResponse
	}
	o.CheckResponse = func(resp *http.Response) error {
		err := accept(resp)
		if err == nil {
			resp.Body = releasingBody{resp.Body, f}
		}
		return err
	}
}

// A releasingBody releases what was printed before it waits for more, and
// notes when more came, as to ask the clock takes as long as to print.
type releasingBody struct {
	io.ReadCloser
	follower *follower
}

func (r releasingBody) Read(b []byte) (int, error) {
	r.follower.printer.release()
	n, err := r.ReadCloser.Read(b)
	if r.follower.timed {
		r.follower.came = time.Now()
	}
	return n, err
}

// isStopped reports whether err is that of a jq program which the end of the
// session stopped.
func (f *follower) isStopped(err error) bool { return err != nil && f.chooser.ctx.Err() != nil }
