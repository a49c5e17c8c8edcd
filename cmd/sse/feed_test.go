package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// feed NAME FILE starts a server that answers by the script in FILE, one
// section for each request, and puts its URL into the variable NAME. Requests
// beyond the last section get a 204. A section begins with a line
//
//	== STATUS [Key: value; Key: value...]
//
// where the type is text/event-stream unless Content-Type says otherwise, and
// what follows is the body, line by line, flushed at each blank line, but for
//
//	@cut          end the body in the middle
//	@hold         wait until the client goes away
//	@wait 100ms   wait; for what depends on real time only
//	@raw TEXT     TEXT as a quoted Go string, nothing added, flushed
func feed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: feed NAME FILE")
	}
	f := &feedServer{replies: splitFeed(ts.ReadFile(args[1]))}
	server := httptest.NewServer(f)
	feeds.Store(server.URL, f)
	ts.Setenv(args[0], server.URL)
	ts.Defer(func() {
		server.CloseClientConnections()
		server.Close()
		feeds.Delete(server.URL)
	})
}

// requests NAME FILE writes what the server got into FILE, a line for each
// request: method, path, Last-Event-ID in quotes, body in quotes, and the
// further headers that the client set, sorted.
func requests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: requests NAME FILE")
	}
	f, ok := feeds.Load(ts.Getenv(args[0]))
	if !ok {
		ts.Fatalf("no feed %s", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), f.(*feedServer).log(), 0o600))
}

// code N COMMAND... runs a command of the PATH and wants the exit code N. What
// it prints can be looked at like that of exec.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

var feeds sync.Map // by URL

type feedServer struct {
	replies []feedReply

	mu   sync.Mutex
	next int
	seen []string
}

type feedReply struct {
	status int
	header http.Header
	lines  []string
}

func splitFeed(text string) []feedReply {
	var replies []feedReply
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		rest, ok := strings.CutPrefix(line, "== ")
		if !ok {
			last := &replies[len(replies)-1]
			last.lines = append(last.lines, line)
			continue
		}
		status, fields, _ := strings.Cut(rest, " ")
		r := feedReply{header: http.Header{"Content-Type": {"text/event-stream"}}}
		r.status, _ = strconv.Atoi(status)
		for field := range strings.SplitSeq(fields, ";") {
			if key, value, ok := strings.Cut(field, ":"); ok {
				r.header.Set(strings.TrimSpace(key), strings.TrimSpace(value))
			}
		}
		replies = append(replies, r)
	}
	return replies
}

func (f *feedServer) log() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []byte(strings.Join(f.seen, ""))
}

func (f *feedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	line := fmt.Sprintf("%s %s %q %q", r.Method, r.URL.RequestURI(), r.Header.Get("Last-Event-Id"), body)
	var headers []string
	for key, values := range r.Header {
		if !slices.Contains([]string{"Last-Event-Id", "Accept-Encoding", "Cache-Control", "Content-Length", "Accept", "User-Agent"}, key) {
			headers = append(headers, fmt.Sprintf(" %s=%s", key, strings.Join(values, ",")))
		}
	}
	slices.Sort(headers)
	f.mu.Lock()
	f.seen = append(f.seen, line+strings.Join(headers, "")+"\n")
	reply := feedReply{status: http.StatusNoContent}
	if f.next < len(f.replies) {
		reply = f.replies[f.next]
		f.next++
	}
	f.mu.Unlock()
	reply.write(w, r)
}

func (p feedReply) write(w http.ResponseWriter, r *http.Request) {
	maps.Copy(w.Header(), p.header)
	w.WriteHeader(p.status)
	out := http.NewResponseController(w)
	out.Flush()
	for _, line := range p.lines {
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "@cut":
			out.Flush()
			panic(http.ErrAbortHandler)
		case "@hold":
			out.Flush()
			<-r.Context().Done()
			return
		case "@wait":
			out.Flush()
			d, err := time.ParseDuration(rest)
			if err != nil {
				panic(err)
			}
			select {
			case <-time.After(d):
			case <-r.Context().Done():
				return
			}
		case "@raw":
			text, err := strconv.Unquote(rest)
			if err != nil {
				panic(err)
			}
			io.WriteString(w, text)
			out.Flush()
		default:
			io.WriteString(w, line+"\n")
			if line == "" {
				out.Flush()
			}
		}
	}
}
