package main

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

// A connection is what the request and connection flags say. The commands that
// open a stream share them. Its methods must not be called concurrently.
type connection struct {
	method      string
	data        []string
	json        []string
	headers     []string
	bearerEnv   string
	user        string
	netrc       bool
	fromCurl    string
	lastEventID string
	state       string // the command's to keep

	retry          string
	retries        int
	retryFor       time.Duration
	maxDelay       time.Duration
	retryStatus    string
	idle           time.Duration
	connectTimeout time.Duration
	maxEventSize   string

	cacert     string
	cert       string
	key        string
	insecure   bool
	proxy      string
	unixSocket string
	http11     bool

	curl      *curlCommand // what --from-curl names, once it was read
	stdinUser string       // the flag that has read stdin
	machines  []machine    // of the file of --netrc
	opening   *opening     // once the flags were checked
}

// An opening is what the streams of a connection share.
type opening struct {
	client *sse.Client
	request
	policy       sse.RetryPolicy
	maxEventSize int
}

// addFlags defines the flags.
func (c *connection) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&c.method, "method", "X", "", "request `METHOD` (default GET, or POST with a body)")
	fs.StringArrayVarP(&c.data, "data", "d", nil, "request body: `DATA`, @FILE or @- for stdin; sent as JSON if it is JSON, else as a form, unless -H names a Content-Type")
	fs.StringArrayVar(&c.json, "json", nil, "as -d, but `DATA` must be JSON")
	fs.StringArrayVarP(&c.headers, "header", "H", nil, "request header `'K: V'`, 'K:' for none, or @FILE with one a line; ${VAR} is taken from the environment, $${ stands for ${")
	fs.StringVar(&c.bearerEnv, "bearer-env", "", "send the token that the environment has in `VAR`")
	fs.StringVarP(&c.user, "user", "u", "", "`USER[:PASS]` for basic authentication; ${VAR} as in -H; a missing password is asked for")
	fs.BoolVar(&c.netrc, "netrc", false, "take user and password from $NETRC or ~/.netrc")
	fs.StringVar(&c.fromCurl, "from-curl", "", "take URL and request from the curl command in `FILE`, or - for stdin (a browser's \"Copy as cURL (bash)\"); other flags win")
	fs.StringVar(&c.lastEventID, "last-event-id", "", "resume after the event with this `ID`, whatever --state holds")
	fs.StringVar(&c.state, "state", "", "keep the last event id in `FILE`, and resume after it")

	fs.StringVar(&c.retry, "retry", "auto", "`WHEN` to reconnect: auto (where it is harmless and may help), always, or never")
	fs.IntVar(&c.retries, "retries", -1, "give up after `N` fruitless reconnects in a row (-1: no limit)")
	fs.DurationVar(&c.retryFor, "retry-for", 0, "give up when an outage lasts longer than `DUR`")
	fs.DurationVar(&c.maxDelay, "max-delay", 0, "wait at most `DUR` before a reconnect, also if the server asks for more (default 30s, and 10m if the server asks)")
	fs.StringVar(&c.retryStatus, "retry-status", "", "`LIST` of the refusals that are worth another attempt, as 401,500-599 (default 408,425,429,500,502-504,506-599)")
	fs.DurationVar(&c.idle, "idle", 0, "reconnect when the server is silent for longer than `DUR`, heartbeats counted")
	fs.DurationVar(&c.connectTimeout, "connect-timeout", 0, "wait at most `DUR` for a connection and its response head (default 30s for the connection alone)")
	fs.StringVar(&c.maxEventSize, "max-event-size", "", "largest event: `SIZE` as 64M (default 16M)")

	fs.StringVar(&c.cacert, "cacert", "", "trust the certificate authorities in the PEM `FILE` instead of the system's")
	fs.StringVar(&c.cert, "cert", "", "client certificate: PEM `FILE`")
	fs.StringVar(&c.key, "key", "", "private key of --cert: PEM `FILE` (default the file of --cert)")
	fs.BoolVarP(&c.insecure, "insecure", "k", false, "accept any certificate")
	fs.StringVar(&c.proxy, "proxy", "", "proxy `URL` (http, https, socks5; ${VAR} as in -H), '' for none (default: HTTP_PROXY, HTTPS_PROXY, NO_PROXY)")
	fs.StringVar(&c.unixSocket, "unix-socket", "", "connect to the Unix socket at `PATH`")
	fs.BoolVar(&c.http11, "http1.1", false, "do not use HTTP/2")
}

// A stream is one event stream to be opened.
type stream struct {
	client  *sse.Client
	url     string
	shown   string      // the URL without secrets, for output
	options sse.Options // without hooks, which belong to the command
}

// urls returns the URLs to open: args, or else the one of --from-curl.
func (c *connection) urls(cmd *cobra.Command, args []string) ([]string, error) {
	if err := c.readCurl(cmd); err != nil {
		return nil, err
	}
	switch {
	case len(args) > 0:
		return args, checkURLs(args)
	case c.curl != nil && c.curl.url != "":
		return []string{c.curl.url}, nil
	case c.curl != nil:
		return nil, usagef("--from-curl: the command has no URL, and none is given")
	}
	return nil, usagef("no URL given")
}

// stream checks the flags and returns the stream at url. Its errors are
// usageErrors that name the flag, or what ended the asking for a password.
func (c *connection) stream(cmd *cobra.Command, url string) (*stream, error) {
	o, err := c.open(cmd)
	if err != nil {
		return nil, err
	}
	u, err := c.parseURL(url)
	if err != nil {
		return nil, err
	}
	if err := c.checkProxyVariable(cmd, u); err != nil {
		return nil, err
	}
	header := o.header.Clone()
	if login, ok := c.netrcLogin(u); ok && header.Get("Authorization") == "" {
		header.Set("Authorization", basic(login.user, login.password))
	}
	return &stream{
		client: o.client,
		url:    u.String(),
		shown:  redacted(u),
		options: sse.Options{
			Method:       o.method,
			Header:       header,
			Body:         o.body,
			LastEventID:  c.lastEventID,
			Retry:        o.policy,
			IdleTimeout:  c.idle,
			MaxEventSize: o.maxEventSize,
		},
	}, nil
}

// open checks the flags, once.
func (c *connection) open(cmd *cobra.Command) (*opening, error) {
	if c.opening != nil {
		return c.opening, nil
	}
	for _, name := range []string{
		"method", "bearer-env", "user", "from-curl", "state", "retry", "retry-status", "max-event-size", "cacert", "cert", "key", "unix-socket",
	} {
		// As "$UNSET" leaves it.
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return nil, usagef("--%s: the value is empty", name)
		}
	}
	if err := c.readCurl(cmd); err != nil {
		return nil, err
	}
	var o opening
	var err error
	if o.policy, err = c.retryPolicy(cmd.Flags()); err != nil {
		return nil, err
	}
	if o.maxEventSize, err = parseSize(c.maxEventSize); err != nil {
		return nil, usagef("--max-event-size %q: %w", c.maxEventSize, err)
	}
	transport, err := c.transport(cmd)
	if err != nil {
		return nil, err
	}
	if c.netrc {
		if c.machines, err = readNetrc(cmd.Context()); err != nil {
			return nil, err
		}
	}
	if o.request, err = c.makeRequest(cmd); err != nil {
		return nil, err
	}
	o.client = &sse.Client{HTTP: &http.Client{Transport: transport, Timeout: c.connectTimeout}}
	if host := o.host; host != "" {
		o.client.Prepare = func(req *http.Request, _ sse.CloseEvent) error {
			req.Host = host
			return nil
		}
	}
	c.opening = &o
	return &o, nil
}

var schemed = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// parseURL reads the URL of the command line. Without a scheme it is http for
// localhost, IP addresses and --unix-socket, where certificates are rare, else
// https, as credentials may follow. Errors do not quote what does not parse.
func (c *connection) parseURL(raw string) (*url.URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return nil, usagef("the URL is empty")
	}
	if before, query, ok := strings.Cut(raw, "?"); ok && (c.curl == nil || raw != c.curl.url) {
		query, err := expand("URL", query, percentEncoded)
		if err != nil {
			return nil, err
		}
		raw = before + "?" + query
	}
	if !schemed.MatchString(raw) {
		scheme := "https://"
		if u, err := url.Parse("//" + raw); err == nil && (c.unixSocket != "" || isLocal(u.Hostname())) {
			scheme = "http://"
		}
		raw = scheme + raw
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, usagef("the URL does not parse: it must look like https://example.com/events")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, usagef("URL %s: it must begin with http:// or https://", redacted(u))
	case u.Hostname() == "" && u.Host+u.Path == "": // of which String leaves the slashes out
		return nil, usagef("URL %s://: it has no host", u.Scheme)
	case u.Hostname() == "":
		return nil, usagef("URL %s: it has no host", redacted(u))
	}
	if port := u.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return nil, usagef("URL %s: port %s is not below 65536", redacted(u), port)
		}
	}
	return u, nil
}

// isLocal reports whether host is localhost or an IP address.
func isLocal(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// redacted returns u without user, query values and fragment.
func redacted(u *url.URL) string {
	const hidden = "xxxxx"
	r := *u
	r.Fragment, r.RawFragment = "", ""
	if r.User != nil {
		r.User = url.User(hidden)
	}
	if r.RawQuery == "" {
		return r.String()
	}
	parts := strings.Split(r.RawQuery, "&")
	for i, part := range parts {
		key, _, ok := strings.Cut(part, "=")
		if parts[i] = hidden; ok { // without "=" it may be a value
			parts[i] = key + "=" + hidden
		}
	}
	r.RawQuery = strings.Join(parts, "&")
	return r.String()
}
