package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// A request is what every attempt sends, whatever the URL.
type request struct {
	method      string
	header      http.Header // a name without values removes the header
	host        string      // if -H has one: net/http ignores it in a header
	body        []byte
	credentials string // the flag that they are from, or ""
}

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// makeRequest returns what the request flags say, and --from-curl where they
// say nothing.
func (c *connection) makeRequest(cmd *cobra.Command) (r request, err error) {
	r.header = http.Header{}
	if c.curl != nil {
		r.header = c.curl.header.Clone()
	}
	own, err := c.readHeaders(cmd)
	if err != nil {
		return r, err
	}
	maps.Copy(r.header, own)
	c.lastEventID = cmp.Or(c.lastEventID, r.header.Get("Last-Event-ID"))
	r.header.Del("Last-Event-ID")
	if err := c.checkLastEventID(); err != nil {
		return r, err
	}
	contentType := ""
	if r.body, contentType, err = c.readBody(cmd); err != nil {
		return r, err
	}
	if _, given := r.header["Content-Type"]; len(r.body) > 0 && !given {
		r.header.Set("Content-Type", contentType)
	}
	if _, given := r.header["User-Agent"]; !given {
		r.header.Set("User-Agent", userAgent())
	}
	if r.method, err = c.methodFor(len(c.data)+len(c.json) > 0 || c.curl != nil && c.curl.contentType != ""); err != nil {
		return r, err
	}
	if err := c.authorize(cmd, &r, own); err != nil {
		return r, err
	}
	r.host = r.header.Get("Host")
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding"} { // net/http's own
		r.header.Del(name)
	}
	return r, nil
}

// userAgent returns what requests say of their sender, instead of net/http's
// name.
func userAgent() string {
	info, _ := debug.ReadBuildInfo()
	return userAgentOf(info)
}

func userAgentOf(info *debug.BuildInfo) string {
	if info == nil || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "sse"
	}
	return "sse/" + info.Main.Version
}

var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110, 5.6.2

func (c *connection) methodFor(body bool) (string, error) {
	// No method has small letters, and they are accepted of fetch and curl
	// users alike.
	method := strings.ToUpper(c.method)
	switch {
	case method == "" && body:
		return http.MethodPost, nil
	case method == "":
		return http.MethodGet, nil
	case !token.MatchString(method):
		return "", usagef("-X %q: not a method", c.method)
	}
	return method, nil
}

func (c *connection) checkLastEventID() error {
	const most = 4 << 10 // what the library sends back
	switch id := c.lastEventID; {
	case len(id) > most:
		return usagef("--last-event-id: longer than 4 KiB")
	case strings.ContainsFunc(id, isControl), strings.Trim(id, " \t") != id:
		return usagef("--last-event-id %q: cannot be sent: it holds control characters, or space around it", id)
	}
	return nil
}

// isControl reports what a header value must not hold (RFC 9110, 5.5).
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }

// readBody returns the body and the type that it is sent as if no header says
// otherwise.
func (c *connection) readBody(cmd *cobra.Command) (body []byte, contentType string, err error) {
	switch {
	case len(c.data)+len(c.json) > 1:
		return nil, "", usagef("-d and --json: more than one body")
	case len(c.data) == 1:
		if body, err = c.readData(cmd, "-d", c.data[0]); err != nil {
			return nil, "", err
		}
		// {"a":1} or [1]: a bare 1 may be a form as well.
		if start := bytes.TrimLeft(body, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') && json.Valid(body) {
			return body, jsonType, nil
		}
		return body, formType, nil
	case len(c.json) == 1:
		if body, err = c.readData(cmd, "--json", c.json[0]); err != nil {
			return nil, "", err
		}
		return body, jsonType, checkJSON(body)
	case c.curl != nil:
		return c.curl.body, c.curl.contentType, nil
	}
	return nil, "", nil
}

// checkJSON keeps encoding/json's words to itself, which quote the body.
func checkJSON(body []byte) error {
	var syntax *json.SyntaxError
	var value json.RawMessage
	if err := json.Unmarshal(body, &value); errors.As(err, &syntax) {
		return usagef("--json: the body is not JSON (byte %d of %d); -d sends anything", syntax.Offset, len(body))
	}
	return nil
}

// readData returns what DATA, @FILE or @- stands for.
func (c *connection) readData(cmd *cobra.Command, flag, data string) ([]byte, error) {
	path, ok := strings.CutPrefix(data, "@")
	if !ok {
		return []byte(data), nil
	}
	return c.readFile(cmd, flag, path, mostBody)
}

// A device has no end, and would fill the memory.
const (
	mostText = 1 << 20 // bytes of headers, certificates and the like
	mostBody = 64 << 20
)

// readFile reads a file that a flag names, of at most so many bytes; "-" is
// stdin, which only one flag can read.
func (c *connection) readFile(cmd *cobra.Command, flag, path string, most int64) ([]byte, error) {
	if path != "-" {
		return readNamed(cmd.Context(), flag, path, most)
	}
	if c.stdinUser != "" {
		return nil, usagef("%s: %s has read stdin already", flag, c.stdinUser)
	}
	c.stdinUser = flag
	return interruptible(cmd.Context(), func() ([]byte, error) {
		text, err := readLimited(cmd.InOrStdin(), "stdin", most)
		if err != nil {
			return nil, usagef("%s: %w", flag, err)
		}
		return text, nil
	})
}

// readNamed reads a file that a flag names, as readFile does, but never stdin.
func readNamed(ctx context.Context, flag, path string, most int64) ([]byte, error) {
	return interruptible(ctx, func() ([]byte, error) {
		text, err := readPath(path, most)
		if err != nil {
			return nil, usagef("%s: %w", flag, err)
		}
		return text, nil
	})
}

func readPath(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	return readLimited(file, path, most)
}

// readLimited reads at most so many bytes; more are an error, which calls r by
// name.
func readLimited(r io.Reader, name string, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	var path *os.PathError
	switch {
	case err != nil && !errors.As(err, &path): // which has a name
		return nil, fmt.Errorf("%s: %w", name, err)
	case err != nil:
		return nil, err
	case int64(len(text)) > most:
		return nil, fmt.Errorf("%s is larger than %d MiB", name, most>>20)
	}
	return text, nil
}

// interruptible calls f, and returns without it, with the context's cause, if
// the context ends: what reads from a terminal or a FIFO may never return.
func interruptible(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := f()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// readHeaders returns the headers of -H. Errors never quote a line: it may be
// a secret with the colon missing.
func (c *connection) readHeaders(cmd *cobra.Command) (http.Header, error) {
	h := http.Header{}
	for i, line := range c.headers {
		path, isFile := strings.CutPrefix(line, "@")
		lines := []string{line}
		if isFile {
			text, err := c.readFile(cmd, "-H", path, mostText)
			if err != nil {
				return nil, err
			}
			lines = strings.Split(string(text), "\n")
		}
		for j, line := range lines {
			if isFile && strings.TrimSpace(line) == "" {
				continue
			}
			name, values, err := parseHeader(line)
			if err == nil {
				for k := range values {
					if values[k], err = expand("-H "+name, values[k], strings.TrimSpace); err != nil {
						return nil, err
					}
				}
				err = addHeader(h, name, values)
			}
			switch {
			case err != nil && isFile:
				return nil, usagef("-H @%s, line %d: %w", path, j+1, err)
			case err != nil && len(c.headers) > 1:
				return nil, usagef("-H, number %d: %w", i+1, err)
			case err != nil:
				return nil, usagef("-H: %w", err)
			}
		}
	}
	return h, nil
}

// parseHeader reads "Name: value"; "Name;" for an empty value and "Name:" for
// none are curl's.
func parseHeader(line string) (name string, values []string, err error) {
	line = strings.TrimSpace(line)
	name, value, ok := strings.Cut(line, ":")
	if before, empty := strings.CutSuffix(line, ";"); !ok && empty {
		name, ok, values = before, true, []string{""}
	} else if value = strings.TrimSpace(value); value != "" {
		values = []string{value}
	}
	if name = strings.TrimSpace(name); !ok || !token.MatchString(name) {
		return "", nil, errors.New("want 'Name: value', or @FILE with such lines")
	}
	return http.CanonicalHeaderKey(name), values, nil
}

// addHeader adds values to h; none remove what h has.
func addHeader(h http.Header, name string, values []string) error {
	for _, value := range values {
		if strings.ContainsFunc(value, isControl) {
			return errors.New("the value of " + name + " holds a control character")
		}
	}
	if len(values) == 0 {
		h[name] = []string{}
		return nil
	}
	h[name] = append(h[name], values...)
	return nil
}

var reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

// expand replaces each ${NAME} in the value of a flag by what the environment
// has, passed through escape, and each $${ by ${.
func expand(flag, s string, escape func(string) string) (string, error) {
	var failed error
	s = reference.ReplaceAllStringFunc(s, func(match string) string {
		if strings.HasPrefix(match, "$$") {
			return match[1:]
		}
		name := strings.TrimSuffix(match[2:], "}")
		if len(name)+3 != len(match) || !isVariable(name) { // which may be part of a secret
			failed = usagef("%s: ${ begins ${NAME}; for ${ itself write $${", flag)
			return ""
		}
		value, ok := os.LookupEnv(name)
		if !ok {
			failed = usagef("%s: the environment has no variable %s", flag, name)
		}
		return escape(value)
	})
	return s, failed
}

// percentEncoded is for what may stand in any part of a URL.
func percentEncoded(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

var isVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString
