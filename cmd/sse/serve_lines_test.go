package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wellspring-go/sse"
)

// feedLines returns a feed of what is written to in, and a client of it.
func feedLines(t *testing.T, keep int) (in *io.PipeWriter, f *lineFeed, client *http.Client) {
	t.Helper()
	r, in := io.Pipe()
	f = newLineFeed(r, "stdin", "", keep, func() {}, func(err error) { t.Error(err) })
	return in, f, serveStreams(t, f)
}

// follow counts the data that a source brings from now on.
func follow(client *http.Client, id string) (source *sse.EventSource, got *[]string) {
	got = new([]string)
	source = (&sse.Client{HTTP: client}).Source("http://lines", sse.Options{
		Method: http.MethodGet, LastEventID: id, Retry: sse.NoRetry,
		OnEvent:   func(ev sse.Event) { *got = append(*got, ev.ID+"="+ev.Data) },
		OnComment: func(text string) { *got = append(*got, text) },
	})
	go source.Run()
	synctest.Wait()
	return source, got
}

func wantLines(t *testing.T, what string, got *[]string, want ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	*got = nil
}

func TestLinesGoToAllClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _, client := feedLines(t, 3)
		fmt.Fprint(in, "a\r\n\n")
		first, one := follow(client, "")
		wantLines(t, "the lines before the first client", one, "1=a", "2=")
		fmt.Fprint(in, "c\nd\n")
		_, late := follow(client, "")
		_, resumed := follow(client, "3")
		_, lost := follow(client, "0")
		_, unknown := follow(client, "99")
		_, strange := follow(client, "x")
		wantLines(t, "the first client", one, "3=c", "4=d")
		wantLines(t, "a late client", late, "2=", "3=c", "4=d")
		wantLines(t, "a client that resumes", resumed, "4=d")
		wantLines(t, "a client with id 0", lost, "2=", "3=c", "4=d")
		wantLines(t, "a client with an id to come", unknown, "2=", "3=c", "4=d")
		wantLines(t, "a client with an id of another feed", strange, "2=", "3=c", "4=d")
		fmt.Fprint(in, "e\nf\n")
		_, lost = follow(client, "1")
		wantLines(t, "a client that comes too late for some", lost, " 2 lines are no longer kept (--keep 3)", "4=d", "5=e", "6=f")
		for _, got := range []*[]string{one, late, resumed, unknown, strange} {
			wantLines(t, "all", got, slices.Concat(map[*[]string][]string{resumed: nil}[got], []string{"5=e", "6=f"})...)
		}
		fmt.Fprint(in, "last, without its end")
		in.Close()
		wantLines(t, "the last", one, "7=last, without its end")
		<-first.Done()
		if err := first.Err(); err != io.EOF {
			t.Errorf("a stream ended with %v, want a clean end", err)
		}
		if got := ask(t, client, "7"); got != "204 " {
			t.Errorf("a client that has all: %q, want a 204", got)
		}
		if got := ask(t, client, ""); got != "200 id:5data:eid:6data:fid:7data:last,withoutitsend" {
			t.Errorf("a client after the end: %q", got)
		}
	})
}

// The input waits for the first client, and for clients that are connected,
// but not while there are none.
func TestLinesWaitForClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _, client := feedLines(t, 2)
		written := 0
		go func() {
			defer in.Close()
			for written = range 10000 {
				fmt.Fprintf(in, "%d %s\n", written+1, strings.Repeat("x", 1000))
			}
			written++
		}()
		synctest.Wait()
		if written > 3 {
			t.Errorf("%d lines were read before a client came", written)
		}
		source, got := follow(client, "")
		<-source.Done()
		if len(*got) != 10000 || !strings.HasPrefix((*got)[9999], "10000=10000 ") {
			t.Errorf("a client got %d lines", len(*got))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		in, f, client := feedLines(t, 2)
		source, _ := follow(client, "")
		source.Close()
		<-source.Done()
		fmt.Fprint(in, "1\n2\n3\n4\n")
		synctest.Wait()
		if f.first != 3 {
			t.Errorf("%d is the first line kept, want 3", f.first)
		}
		in.Close()
	})
}

// A client that reads nothing holds up the others for a while only.
func TestLinesCutOffAStuckClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _, client := feedLines(t, 2)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://lines", nil)
		stuck, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer stuck.Body.Close()
		source, got := follow(client, "")
		began := time.Now()
		for i := range 20 {
			fmt.Fprintf(in, "%d %s\n", i+1, strings.Repeat("x", 1<<16))
		}
		in.Close()
		<-source.Done()
		if took := time.Since(began); len(*got) != 20 || took != stuckAfter {
			t.Errorf("the other client got %d lines in %v, want 20 in %v", len(*got), took, stuckAfter)
		}
		if _, err := io.Copy(io.Discard, stuck.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the stuck client read %v, want a cut", err)
		}
	})
}

func TestLinesTellWhenAllWasServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ended := make(chan time.Duration, 9)
		end := func() { ended <- time.Since(began) }
		f := newLineFeed(strings.NewReader("a\n"), "stdin", "", 1, end, nil)
		client := serveStreams(t, f)
		time.Sleep(time.Minute) // without a client it does not end
		ask(t, client, "")
		if got := <-ended; got != time.Minute+lastGrace {
			t.Errorf("told after %v, want %v", got, time.Minute+lastGrace)
		}
		ask(t, client, "1")
		if got := <-ended; got != time.Minute+lastGrace {
			t.Errorf("told after %v, want at once after a 204", got)
		}
	})
}

func TestLinesNameWhatFailed(t *testing.T) {
	for want, r := range map[string]io.Reader{
		"stdin: a line of more than 16 MiB": strings.NewReader(strings.Repeat("x", maxLine+1)),
		"stdin: disk full":                  iotest.ErrReader(errFull),
	} {
		failed := make(chan error)
		newLineFeed(r, "stdin", "", 1, nil, func(err error) { failed <- err })
		if err := <-failed; err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// What fails while it serves ends the program.
func TestServeEndsWithItsInput(t *testing.T) {
	var stdout, stderr strings.Builder
	code := run([]string{"serve", "-"}, strings.NewReader(strings.Repeat("x", maxLine+1)), &stdout, &stderr)
	if want := "sse: stdin: a line of more than 16 MiB\n"; code != exitInternal || stderr.String() != want || !strings.HasPrefix(stdout.String(), "http://127.0.0.1:") {
		t.Errorf("code %d, stdout %q, stderr %q, want %d, a URL, %q", code, stdout.String(), stderr.String(), exitInternal, want)
	}
}

// What comes after a restart are other lines, whatever their numbers.
func TestLinesOfAnotherRunAreNotSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		old, run := runPrefix(began), runPrefix(began.Add(time.Millisecond))
		client := serveStreams(t, newLineFeed(strings.NewReader("a\nb\n"), "stdin", run, 9, func() {}, nil))
		_, resumed := follow(client, run+"1")
		_, earlier := follow(client, old+"1")
		_, plain := follow(client, "1")
		wantLines(t, "a client of this run", resumed, run+"2=b")
		wantLines(t, "a client of the run before", earlier, run+"1=a", run+"2=b")
		wantLines(t, "a client with a number alone", plain, run+"1=a", run+"2=b")
		if got := order([]string{old + "9", run + "1", run + "2", run + "10"}); got != grows {
			t.Errorf("order %v, want %v", got, grows)
		}
	})
}
