package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// A curlCommand is the request of a curl command line.
type curlCommand struct {
	url         string
	method      string
	header      http.Header
	body        []byte
	contentType string // of the body, if no header says otherwise; "" without a body
	cookies     []string
	proxy       string
	unixSocket  string
	cacert      string
	cert        string
	key         string
	insecure    bool
	http11      bool

	read func(path string) ([]byte, error) // a file of the body
}

// readCurl reads the command of --from-curl, once, and lets it speak where no
// flag does.
func (c *connection) readCurl(cmd *cobra.Command) error {
	if c.fromCurl == "" || c.curl != nil {
		return nil
	}
	text, err := c.readFile(cmd, "--from-curl", c.fromCurl, mostText)
	if err != nil {
		return err
	}
	curl, err := parseCurl(string(text), func(path string) ([]byte, error) {
		return interruptible(cmd.Context(), func() ([]byte, error) { return readPath(path, mostBody) })
	})
	switch {
	case err != nil && cmd.Context().Err() != nil:
		return context.Cause(cmd.Context())
	case err != nil:
		return usagef("--from-curl: %w", err)
	}
	c.curl = curl
	c.method = cmp.Or(c.method, curl.method)
	if !cmd.Flags().Changed("proxy") && c.unixSocket == "" {
		c.unixSocket, c.proxy = curl.unixSocket, curl.proxy
	}
	c.cacert = cmp.Or(c.cacert, curl.cacert)
	if c.cert == "" {
		c.cert, c.key = curl.cert, curl.key
	}
	c.insecure = c.insecure || curl.insecure
	c.http11 = c.http11 || curl.http11
	return nil
}

// parseCurl reads a curl command, and with read the files of its body. Errors
// name an option, never a value.
func parseCurl(text string, read func(path string) ([]byte, error)) (*curlCommand, error) {
	words, err := shellWords(text)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || strings.TrimSuffix(filepath.Base(words[0]), ".exe") != "curl" {
		return nil, errors.New("want a command that begins with curl")
	}
	c := &curlCommand{header: http.Header{}, read: read}
	words = words[1:]
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch {
		case word == "--":
			for _, url := range words {
				if err := c.setURL(url); err != nil {
					return nil, err
				}
			}
			words = nil
		case strings.HasPrefix(word, "--"):
			words, err = c.option(word, word[2:], words)
		case len(word) > 1 && word[0] == '-':
			words, err = c.shortOptions(word[1:], words)
		default:
			err = c.setURL(word)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, c.finish()
}

// setURL takes a URL, which is http without a scheme, as curl has it.
func (c *curlCommand) setURL(url string) error {
	if c.url != "" {
		return errors.New("the command has more than one URL")
	}
	if !schemed.MatchString(url) {
		url = "http://" + url
	}
	c.url = url
	return nil
}

// setProxy takes a proxy, which is http without a scheme, as curl has it.
func (c *curlCommand) setProxy(url string) error {
	if url != "" && !schemed.MatchString(url) {
		url = "http://" + url
	}
	c.proxy = url
	return nil
}

var curlShort = map[rune]string{
	'X': "request", 'H': "header", 'd': "data", 'u': "user", 'b': "cookie", 'A': "user-agent", 'e': "referer", 'x': "proxy", 'E': "cert",
	'k': "insecure", 'L': "location", 'N': "no-buffer", 's': "silent", 'S': "show-error", 'i': "include", 'v': "verbose", 'f': "fail", 'g': "globoff",
}

// shortOptions takes options in one word, as -sSNXPOST.
func (c *curlCommand) shortOptions(letters string, words []string) ([]string, error) {
	for i, letter := range letters {
		name, ok := curlShort[letter]
		if !ok {
			return nil, fmt.Errorf("curl's option -%c is not known here", letter)
		}
		if isCurlSwitch(name) {
			c.turnOn(name)
			continue
		}
		if rest := letters[i+1:]; rest != "" {
			words = append([]string{rest}, words...)
		}
		return c.option("-"+string(letter), name, words)
	}
	return words, nil
}

// isCurlSwitch reports whether an option has no value; most of them say what
// sse does anyway.
func isCurlSwitch(name string) bool {
	switch name {
	case "insecure", "http1.1",
		"location", "no-buffer", "silent", "show-error", "include", "verbose", "fail", "fail-with-body", "globoff", "compressed",
		"http2", "http2-prior-knowledge", "no-progress-meter", "path-as-is":
		return true
	}
	return false
}

func (c *curlCommand) turnOn(name string) {
	switch name {
	case "insecure":
		c.insecure = true
	case "http1.1":
		c.http11 = true
	}
}

// option takes the option name, written as shown, whose value is the first of
// words if it has one.
func (c *curlCommand) option(shown, name string, words []string) ([]string, error) {
	if isCurlSwitch(name) {
		c.turnOn(name)
		return words, nil
	}
	set := c.setter(name)
	switch {
	case set == nil:
		shown, _, _ = strings.Cut(shown, "=")
		return nil, fmt.Errorf("curl's option %s is not known here", shown)
	case len(words) == 0:
		return nil, fmt.Errorf("%s has no value", shown)
	}
	if err := set(words[0]); err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	return words[1:], nil
}

// setter returns what takes the value of an option; nil for an unknown one.
func (c *curlCommand) setter(name string) func(value string) error {
	text := func(to *string) func(string) error {
		return func(value string) error { *to = value; return nil }
	}
	header := func(name, before string) func(string) error {
		return func(value string) error { return addHeader(c.header, name, []string{before + value}) }
	}
	switch name {
	case "url":
		return c.setURL
	case "request":
		return text(&c.method)
	case "header":
		return c.setHeader
	case "user-agent":
		return header("User-Agent", "")
	case "referer":
		return header("Referer", "")
	case "oauth2-bearer":
		return header("Authorization", "Bearer ")
	case "user":
		return func(value string) error {
			user, password, ok := strings.Cut(value, ":")
			if !ok {
				return errors.New("no password; give sse a -u USER:PASS of its own")
			}
			return header("Authorization", "")(basic(user, password))
		}
	case "cookie":
		return func(value string) error {
			if !strings.Contains(value, "=") {
				return errors.New("want NAME=VALUE; files of cookies are not read")
			}
			c.cookies = append(c.cookies, value)
			return nil
		}
	case "data", "data-ascii", "data-raw", "data-binary", "json":
		return func(value string) error { return c.addData(name, value) }
	case "proxy":
		return c.setProxy
	case "unix-socket":
		return text(&c.unixSocket)
	case "cacert":
		return text(&c.cacert)
	case "cert":
		return text(&c.cert)
	case "key":
		return text(&c.key)
	}
	return nil
}

func (c *curlCommand) setHeader(line string) error {
	name, values, err := parseHeader(line)
	if err != nil {
		return errors.New("want 'Name: value'")
	}
	if name == "Accept-Encoding" || name == "Content-Length" {
		// A browser's br and zstd cannot be decoded; the length is that of
		// the body that is sent.
		return nil
	}
	return addHeader(c.header, name, values)
}

// addData takes a part of the body; parts are joined as curl does.
func (c *curlCommand) addData(name, value string) error {
	text := []byte(value)
	if path, ok := strings.CutPrefix(value, "@"); ok && name != "data-raw" {
		var err error
		if text, err = c.read(path); err != nil {
			return err
		}
		if name == "data" || name == "data-ascii" {
			text = []byte(strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(string(text)))
		}
	}
	switch {
	case name == "json":
		c.contentType = jsonType
	case c.contentType != "":
		c.body = append(c.body, '&')
	}
	if c.contentType == "" {
		c.contentType = formType
	}
	c.body = append(c.body, text...)
	return nil
}

func (c *curlCommand) finish() error {
	if len(c.cookies) == 0 {
		return nil
	}
	if err := addHeader(c.header, "Cookie", []string{strings.Join(c.cookies, "; ")}); err != nil {
		return fmt.Errorf("-b: %w", err)
	}
	return nil
}
