package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wellspring-go/sse"
)

// ended returns how a stream from a server ended that answers with h.
func ended(t *testing.T, h http.HandlerFunc, args ...string) (cause, hint string) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	c, _, ev := first(t, append(args, server.URL+"/x?k="+secret)...)
	cause, hint = c.cause(ev), c.hint(ev)
	if both := cause + hint; strings.Contains(both, secret) || strings.ContainsAny(both, "\n\x1b") || strings.Contains(both, "Options") {
		t.Errorf("cause or hint: %q", both)
	}
	return strings.ReplaceAll(cause, server.URL, "URL"), hint
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func TestCausesAndHints(t *testing.T) {
	t.Setenv("TOKEN", secret)
	t.Setenv("NETRC", "netrc")
	files(t, map[string]string{"netrc": "machine 127.0.0.1 login joe password " + secret, "curl": "curl -b a=" + secret})
	post := []string{"-d", `{"q":"` + secret + `"}`}
	for name, c := range map[string]struct {
		args        []string
		h           http.HandlerFunc
		cause, hint string
	}{
		"405 to GET":  {nil, status(405), "server answered 405 Method Not Allowed (GET URL/x?k=xxxxx)", "the URL may want a POST: -X POST, or -d DATA"},
		"405 to POST": {post, status(405), "server answered 405 Method Not Allowed (POST URL/x?k=xxxxx)", "the URL may want a GET: -X GET"},
		"401":         {nil, status(401), "server answered 401 Unauthorized (GET URL/x?k=xxxxx)", "give credentials: --bearer-env VAR, -u USER, --netrc, or -H 'Cookie: ${VAR}', say"},
		"401, token":  {[]string{"--bearer-env", "TOKEN"}, status(401), "server answered 401 Unauthorized (GET URL/x?k=xxxxx)", "are the credentials of --bearer-env still good?"},
		"401, header": {[]string{"-H", "Authorization: ${TOKEN}"}, status(401), "server answered 401 Unauthorized (GET URL/x?k=xxxxx)", "are the credentials of -H Authorization still good?"},
		"401, curl":   {[]string{"--from-curl", "curl"}, status(401), "server answered 401 Unauthorized (GET URL/x?k=xxxxx)", "are the credentials of --from-curl still good?"},
		"401, netrc":  {[]string{"--netrc"}, status(401), "server answered 401 Unauthorized (GET URL/x?k=xxxxx)", "does the file of --netrc have the right login for this host?"},
		"403, cookie": {[]string{"-H", "Cookie: ${TOKEN}"}, status(403), "server answered 403 Forbidden (GET URL/x?k=xxxxx)", "do the credentials of -H Cookie allow this?"},
		"406":         {nil, status(406), "server answered 406 Not Acceptable (GET URL/x?k=xxxxx)", "the server may want another Accept: -H 'Accept: application/json, text/event-stream', say"},
		"415":         {post, status(415), "server answered 415 Unsupported Media Type (POST URL/x?k=xxxxx)", "does the body fit? it was sent as application/json; -H 'Content-Type: ...' says otherwise"},
		"400":         {nil, status(400), "server answered 400 Bad Request (GET URL/x?k=xxxxx)", "if the port speaks TLS, the URL must begin with https://"},
		"404":         {nil, status(404), "server answered 404 Not Found (GET URL/x?k=xxxxx)", ""},
		"503":         {nil, status(503), "server answered 503 Service Unavailable (GET URL/x?k=xxxxx)", ""},
		"599":         {nil, status(599), "server answered 599 (GET URL/x?k=xxxxx)", ""},
		"204":         {nil, status(204), "server answered 204 No Content: nothing more to stream", ""},
		"html":        {nil, status(200, "Content-Type", "text/html"), "not an event stream: server answered text/html (want text/event-stream): is the URL behind a login page? (GET URL/x?k=xxxxx)", "a login page, or not the stream's URL? credentials: --bearer-env, -u, --netrc; or take a browser's request: --from-curl FILE"},
		"json":        {post, status(200, "Content-Type", "application/json"), "not an event stream: server answered application/json (want text/event-stream) (POST URL/x?k=xxxxx)", `many such APIs stream only if the body says so: "stream": true`},
		"json by GET": {nil, status(200, "Content-Type", "application/json"), "not an event stream: server answered application/json (want text/event-stream) (GET URL/x?k=xxxxx)", ""},
		"a redirect":  {nil, status(302, "Location", "http://a:"+secret+"@h.test/?k="+secret), "redirect refused: 302 Found to http://xxxxx@h.test/?k=xxxxx (GET URL/x?k=xxxxx)", "if that is the right place, give its URL: credentials and body are not sent to where a server points"},
		"a bad one":   {nil, status(302, "Location", "http://a:"+secret+"/@h"), "redirect refused: 302 Found to what is no URL (GET URL/x?k=xxxxx)", "if that is the right place, give its URL: credentials and body are not sent to where a server points"},
		"an encoding": {nil, status(200, "Content-Type", "text/event-stream", "Content-Encoding", "br"), "content encoding that cannot be decoded: br (GET URL/x?k=xxxxx)", "ask for no compression: -H 'Accept-Encoding: identity'"},
		"an end":      {nil, status(200, "Content-Type", "text/event-stream"), "the stream has ended", ""},
		"a cut": {nil, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "stream cut: connection closed before its end", ""},
		"silence": {[]string{"--idle", "20ms"}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "the server was silent for 20ms (--idle)", ""},
		"a large event": {[]string{"--max-event-size", "10"}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write([]byte("data: 12345678901\n\n"))
		}, "an event is larger than --max-event-size", "--max-event-size SIZE allows larger events"},
		"a POST that is not repeated": {post, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write([]byte("data: 1\n\n"))
		}, "the stream has ended", "a POST that brought events without ids is not repeated by itself; --retry always does"},
	} {
		t.Run(name, func(t *testing.T) {
			cause, hint := ended(t, c.h, c.args...)
			if cause != c.cause {
				t.Errorf("cause: got  %s\nwant %s", cause, c.cause)
			}
			if hint != c.hint {
				t.Errorf("hint: got  %s\nwant %s", hint, c.hint)
			}
		})
	}
}

func TestNetworkHints(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c, _, ev := first(t, "http://"+address+"/?"+secret)
	if cause := c.cause(ev); !strings.Contains(cause, "no response from http://"+address) || strings.Contains(cause, secret) {
		t.Error(cause)
	}
	if hint := c.hint(ev); hint != refusedHint {
		t.Errorf("refused: %s", hint)
	}
	if hint := c.networkHint(&net.DNSError{IsNotFound: true}); hint != "is the host name right?" {
		t.Errorf("no such host: %s", hint)
	}
	// TLS is spoken to a plain port, and the other way round.
	server := httptest.NewServer(status(204))
	defer server.Close()
	c, _, ev = first(t, strings.Replace(server.URL, "http:", "https:", 1))
	if cause := c.cause(ev); !strings.Contains(cause, "the URL must begin with http://") {
		t.Error(cause)
	}
	if hint := c.hint(sse.CloseEvent{IsLocal: true, Err: sse.ErrClosed}) + c.hint(sse.CloseEvent{}) + c.cause(sse.CloseEvent{}); hint != "" {
		t.Error(hint)
	}
}

func TestHintForABrokenHTTP2Stream(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	c, _, ev := first(t, "-k", server.URL)
	if hint := c.hint(ev); !strings.Contains(hint, "--http1.1") {
		t.Errorf("%s; %s", c.cause(ev), hint)
	}
	c, _, ev = first(t, "-k", "--http1.1", server.URL)
	if hint := c.hint(ev); hint != "" {
		t.Errorf("--http1.1: %s; %s", c.cause(ev), hint)
	}
}
