package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// serveVariable in the environment makes this program the server: its memory
// and its goroutines must not be counted with those of the clients.
const serveVariable = "SSE_BENCH_SERVE"

// startServer runs this program again as the server and returns its URL. The
// server ends with stop, with ctx, or with this process.
func startServer(ctx context.Context) (url string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), serveVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = sync.OnceFunc(func() {
		in.Close()
		_ = cmd.Wait() // a server that was told to end, or killed with ctx, has nothing to say
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the server did not start: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

// serve is the server's side of startServer: it prints its URL and returns
// when in ends.
func serve(in io.Reader, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens as long as the process lives
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/corpus/{name}", serveCorpus)
	idleRoutes(mux)
	reconnectRoutes(mux)
	growthRoutes(mux)
	commandRoute(mux)
	server := &http.Server{Handler: mux}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if _, err := fmt.Fprintf(out, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// served holds corpora by length: making one takes longer than sending it.
var served struct {
	sync.Mutex
	byLength map[int][]*corpus
}

func servedCorpus(name string, length int) *corpus {
	served.Lock()
	defer served.Unlock()
	all, ok := served.byLength[length]
	if !ok {
		all = shortCorpora(length)
		if served.byLength == nil {
			served.byLength = make(map[int][]*corpus)
		}
		served.byLength[length] = all
	}
	for _, c := range all {
		if c.name == name {
			return c
		}
	}
	return nil
}

// serveCorpus sends one corpus, shortened to the query's length if it has
// one, and ends.
func serveCorpus(w http.ResponseWriter, r *http.Request) {
	length, err := strconv.Atoi(r.URL.Query().Get("length"))
	if err != nil || length <= 0 {
		length = corpusLength
	}
	c := servedCorpus(r.PathValue("name"), length)
	if c == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	chunks := c.chunks
	if chunks == nil {
		chunks = func(int) int { return 64 << 10 }
	}
	for i, rest := 0, c.bytes; len(rest) > 0; i++ {
		n := min(len(rest), chunks(i))
		if _, err := w.Write(rest[:n]); err != nil {
			return // the client has had enough
		}
		if err := flush.Flush(); err != nil {
			return
		}
		rest = rest[n:]
	}
}
