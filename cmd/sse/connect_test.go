package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// secret is in whatever must not show.
const secret = "hunter2"

// open parses args as a command with the connection flags alone would, and
// returns the stream at its URL.
func open(t *testing.T, stdin string, args ...string) (*connection, *stream, error) {
	t.Helper()
	c := new(connection)
	cmd := &cobra.Command{Use: "x"}
	cmd.SetContext(t.Context())
	cmd.SetIn(strings.NewReader(stdin))
	c.addFlags(cmd.Flags())
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	urls, err := c.urls(cmd, cmd.Flags().Args())
	if err != nil {
		return c, nil, err
	}
	s, err := c.stream(cmd, urls[0])
	if again, err2 := c.stream(cmd, urls[0]); err == nil && (err2 != nil || again.client != s.client) {
		t.Errorf("the second stream: %v", err2)
	}
	return c, s, err
}

// sent returns what one connection of args sends to a server whose URL is in
// the variable URL: method, path, Last-Event-ID, body and headers.
func sent(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	f := &feedServer{}
	server := httptest.NewServer(f)
	defer server.Close()
	t.Setenv("URL", server.URL)
	args = append([]string(nil), args...)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "URL/", server.URL+"/")
	}
	_, s, err := open(t, strings.ReplaceAll(stdin, "URL/", server.URL+"/"), args...)
	if err != nil {
		t.Fatal(err)
	}
	s.client.Source(s.url, s.options).Run()
	return strings.TrimSuffix(string(f.log()), "\n")
}

// files makes files in a new working directory.
func files(t *testing.T, contents map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range contents {
		if err := os.WriteFile(filepath.FromSlash(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatTheRequestFlagsSend(t *testing.T) {
	files(t, map[string]string{
		"body.json": "{\"q\": 1}\n",
		"headers":   "X-One: 1\r\n\nAuthorization: Bearer ${TOKEN}\n",
		"netrc":     "machine 127.0.0.1 login joe password \"hunter \\\"2\"",
		"default":   "machine other.test login x password y\ndefault login joe password " + secret,
	})
	t.Setenv("TOKEN", "t0k \n")
	t.Setenv("EMPTY", "")
	t.Setenv("PASS", secret+"\n")
	t.Setenv("NETRC", "netrc")
	const form, json = " Content-Type=application/x-www-form-urlencoded", " Content-Type=application/json"
	const joe = " Authorization=Basic am9lOmh1bnRlcjI="
	for name, c := range map[string]struct {
		args  []string
		stdin string
		want  string
	}{
		"nothing":                  {[]string{"URL/x?a=b"}, "", `GET /x?a=b "" ""`},
		"a method":                 {[]string{"-X", "put", "URL/"}, "", `PUT / "" ""`},
		"a body":                   {[]string{"-d", "a=b", "URL/"}, "", `POST / "" "a=b"` + form},
		"an empty body":            {[]string{"-d", "", "URL/"}, "", `POST / "" ""`},
		"a body by GET":            {[]string{"-X", "GET", "-d", "a=b", "URL/"}, "", `GET / "" "a=b"` + form},
		"a body of JSON":           {[]string{"-d", ` {"a":1}`, "URL/"}, "", `POST / "" " {\"a\":1}"` + json},
		"a list":                   {[]string{"-d", `[1]`, "URL/"}, "", `POST / "" "[1]"` + json},
		"a number":                 {[]string{"-d", `1`, "URL/"}, "", `POST / "" "1"` + form},
		"almost JSON":              {[]string{"-d", `{"a":1`, "URL/"}, "", `POST / "" "{\"a\":1"` + form},
		"variables in a body":      {[]string{"-d", `${TOKEN}`, "URL/"}, "", `POST / "" "${TOKEN}"` + form},
		"a body of a type":         {[]string{"-d", `{"a":1}`, "-H", "content-type: text/plain", "URL/"}, "", `POST / "" "{\"a\":1}" Content-Type=text/plain`},
		"a body without a type":    {[]string{"-d", `{"a":1}`, "-H", "content-type:", "URL/"}, "", `POST / "" "{\"a\":1}"`},
		"a body in a file":         {[]string{"-d", `@body.json`, "URL/"}, "", `POST / "" "{\"q\": 1}\n"` + json},
		"a body in stdin":          {[]string{"-d", `@-`, "URL/"}, "hi\n", `POST / "" "hi\n"` + form},
		"--json":                   {[]string{"--json", `1`, "URL/"}, "", `POST / "" "1"` + json},
		"--json in a file":         {[]string{"--json", `@body.json`, "URL/"}, "", `POST / "" "{\"q\": 1}\n"` + json},
		"--json in stdin":          {[]string{"--json", `@-`, "URL/"}, "{}", `POST / "" "{}"` + json},
		"a header":                 {[]string{"-H", "x-one:  1 ", "-H", "X-Two:2", "URL/"}, "", `GET / "" "" X-One=1 X-Two=2`},
		"a header twice":           {[]string{"-H", "x-one: 1", "-H", "X-One: 2", "URL/"}, "", `GET / "" "" X-One=1,2`},
		"a header, then none":      {[]string{"-H", "x-one: 1", "-H", "X-One:", "URL/"}, "", `GET / "" ""`},
		"an empty header":          {[]string{"-H", "x-one;", "URL/"}, "", `GET / "" "" X-One=`},
		"a header of a variable":   {[]string{"-H", "X-One: a${TOKEN}b${EMPTY}$TOKEN", "URL/"}, "", `GET / "" "" X-One=at0kb$TOKEN`},
		"a header with ${":         {[]string{"-H", "X-One: $${TOKEN}$", "URL/"}, "", `GET / "" "" X-One=${TOKEN}$`},
		"headers in a file":        {[]string{"-H", "@headers", "URL/"}, "", `GET / "" "" Authorization=Bearer t0k X-One=1`},
		"headers in stdin":         {[]string{"-H", "@-", "URL/"}, "X-One: 1\nX-Two: 2", `GET / "" "" X-One=1 X-Two=2`},
		"a token":                  {[]string{"--bearer-env", "TOKEN", "URL/"}, "", `GET / "" "" Authorization=Bearer t0k`},
		"a user":                   {[]string{"-u", "joe:" + secret, "URL/"}, "", `GET / "" ""` + joe},
		"a user of variables":      {[]string{"-u", "joe:${PASS}", "URL/"}, "", `GET / "" ""` + joe},
		"a user without password":  {[]string{"-u", "joe:", "URL/"}, "", `GET / "" "" Authorization=Basic am9lOg==`},
		"--netrc":                  {[]string{"--netrc", "URL/"}, "", `GET / "" "" Authorization=Basic am9lOmh1bnRlciAiMg==`},
		"--netrc and a user":       {[]string{"--netrc", "-u", "a:b", "URL/"}, "", `GET / "" "" Authorization=Basic YTpi`},
		"--netrc and a header":     {[]string{"--netrc", "-H", "Authorization: x", "URL/"}, "", `GET / "" "" Authorization=x`},
		"an id":                    {[]string{"--last-event-id", "é 7", "URL/"}, "", `GET / "é 7" ""`},
		"an id in a header":        {[]string{"-H", "last-event-id: 7", "URL/"}, "", `GET / "7" ""`},
		"two ids":                  {[]string{"-H", "last-event-id: 7", "--last-event-id", "8", "URL/"}, "", `GET / "8" ""`},
		"a length of the caller's": {[]string{"-H", "Content-Length: 7", "-d", "a=b", "URL/"}, "", `POST / "" "a=b"` + form},
		"a variable in the query":  {[]string{"URL/${TOKEN}?a=${PASS}&b=$${TOKEN}&c=${TOKEN}"}, "", "GET /$%7BTOKEN%7D?a=" + secret + "%0A&b=${TOKEN}&c=t0k%20%0A \"\" \"\""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sent(t, c.stdin, c.args...); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	t.Setenv("NETRC", "default")
	if got, want := sent(t, "", "--netrc", "URL/"), `GET / "" ""`+joe; got != want {
		t.Errorf("--netrc, default: got %s, want %s", got, want)
	}
}

func TestNetrcInTheHomeDirectory(t *testing.T) {
	files(t, map[string]string{
		".netrc": "machine 127.0.0.1 login joe password " + secret,
		"_netrc": "machine 127.0.0.1 login joe password " + secret,
	})
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NETRC", "")
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	if got := sent(t, "", "--netrc", "URL/"); !strings.Contains(got, "Basic am9l") {
		t.Error(got)
	}
	// The URL's own are not replaced.
	_, s, err := open(t, "", "--netrc", "http://a:b@127.0.0.1/")
	if err != nil || s.options.Header.Get("Authorization") != "" {
		t.Errorf("%v, %v", s.options.Header, err)
	}
}

func TestAHostOfTheCallers(t *testing.T) {
	hosts := make(chan string, 1)
	server := httptest.NewServer(hostOf(hosts))
	defer server.Close()
	_, s, err := open(t, "", "-H", "Host: example.test", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.client.Source(s.url, s.options).Run()
	if host := <-hosts; host != "example.test" {
		t.Errorf("Host: %s", host)
	}
}

func TestURLsAndWhatIsShownOfThem(t *testing.T) {
	t.Setenv("KEY", "a&b "+secret)
	for raw, want := range map[string][2]string{
		"localhost:8080/x":                          {"http://localhost:8080/x", "http://localhost:8080/x"},
		"api.localhost":                             {"http://api.localhost", "http://api.localhost"},
		"127.0.0.1:80":                              {"http://127.0.0.1:80", "http://127.0.0.1:80"},
		"192.0.2.7/a":                               {"http://192.0.2.7/a", "http://192.0.2.7/a"},
		"[::1]:8080/x":                              {"http://[::1]:8080/x", "http://[::1]:8080/x"},
		"example.com/x":                             {"https://example.com/x", "https://example.com/x"},
		"localhost.example.com:8080":                {"https://localhost.example.com:8080", "https://localhost.example.com:8080"},
		"\texample.com/x\n":                         {"https://example.com/x", "https://example.com/x"},
		"example.com/x?u=http://a/":                 {"https://example.com/x?u=http://a/", "https://example.com/x?u=xxxxx"},
		"HTTP://example.com":                        {"http://example.com", "http://example.com"},
		"http://joe:" + secret + "@h/?k=" + secret:  {"http://joe:" + secret + "@h/?k=" + secret, "http://xxxxx@h/?k=xxxxx"},
		"joe:" + secret + "@h/":                     {"https://joe:" + secret + "@h/", "https://xxxxx@h/"},
		"https://h/?" + secret + "#" + secret:       {"https://h/?" + secret + "#" + secret, "https://h/?xxxxx"},
		"https://h/?a=" + secret + "&b&c=d&" + "e=": {"https://h/?a=" + secret + "&b&c=d&e=", "https://h/?a=xxxxx&xxxxx&c=xxxxx&e=xxxxx"},
		"https://h/?a=${KEY}":                       {"https://h/?a=a%26b%20" + secret, "https://h/?a=xxxxx"},
	} {
		_, s, err := open(t, "", raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		} else if got := [2]string{s.url, s.shown}; got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
	if _, s, err := open(t, "", "--unix-socket", "sock", "api/x"); err != nil || s.url != "http://api/x" {
		t.Errorf("--unix-socket: %v, %v", s, err)
	}
}

// Each mistake is a usageError of one line that names the flag, and nothing
// secret.
func TestMistakesNameTheFlag(t *testing.T) {
	files(t, map[string]string{
		"lines": "X-One: 1\n" + secret, "netrc": "machine h login", "other": "junk junk", "pem": "no PEM", "empty": "",
		"curl": "curl -H 'A: " + secret + "' --form x " + secret, "nourl": "curl -k", "quote": "curl '" + secret,
	})
	t.Setenv("TOKEN", "")
	t.Setenv("CONTROL", secret+"\x01"+secret)
	const none = "no-such-file"
	for _, c := range []struct {
		args []string
		want string // all of it, but for what the system says of a file
	}{
		{nil, "no URL given"},
		{[]string{""}, "the URL is empty"},
		{[]string{"http://joe:" + secret + "/@h"}, "the URL does not parse: it must look like https://example.com/events"},
		{[]string{"http://a b/" + secret}, "the URL does not parse: it must look like https://example.com/events"},
		{[]string{":8080/x"}, "URL https://:8080/x: it has no host"},
		{[]string{"ftp://h/?" + secret}, "URL ftp://h/?xxxxx: it must begin with http:// or https://"},
		{[]string{"http://h:99999/"}, "URL http://h:99999/: port 99999 is not below 65536"},
		{[]string{"http:///x"}, "URL http:///x: it has no host"},
		{[]string{"http://h/?k=${NO_SUCH}"}, "URL: the environment has no variable NO_SUCH"},
		{[]string{"-X", "GE T", "h"}, `-X "GE T": not a method`},
		{[]string{"-X", "", "h"}, `--method: the value is empty`},
		{[]string{"-d", secret, "-d", secret, "h"}, "-d and --json: more than one body"},
		{[]string{"-d", secret, "--json", "1", "h"}, "-d and --json: more than one body"},
		{[]string{"--json", `{"` + secret + `": h}`, "h"}, "--json: the body is not JSON (byte 13 of 14); -d sends anything"},
		{[]string{"--json", "@empty", "h"}, "--json: the body is not JSON (byte 0 of 0); -d sends anything"},
		{[]string{"-d", "@" + none, "h"}, "-d: open no-such-file: "},
		{[]string{"--json", "@" + none, "h"}, "--json: open no-such-file: "},
		{[]string{"-d", "@-", "-H", "@-", "h"}, "-d: -H has read stdin already"},
		{[]string{"-d", "@-", "--json", "@-", "h"}, "-d and --json: more than one body"},
		{[]string{"-H", secret, "h"}, "-H: want 'Name: value', or @FILE with such lines"},
		{[]string{"-H", "", "h"}, "-H: want 'Name: value', or @FILE with such lines"},
		{[]string{"-H", "A: b", "-H", "Bearer " + secret + ": x", "h"}, "-H, number 2: want 'Name: value', or @FILE with such lines"},
		{[]string{"-H", "@lines", "h"}, "-H @lines, line 2: want 'Name: value', or @FILE with such lines"},
		{[]string{"-H", "@" + none, "h"}, "-H: open no-such-file: "},
		{[]string{"-H", "A: b\x01" + secret, "h"}, "-H: the value of A holds a control character"},
		{[]string{"-H", "A: b\r\nC: " + secret, "h"}, "-H: the value of A holds a control character"},
		{[]string{"-H", "A: ${CONTROL}", "h"}, "-H: the value of A holds a control character"},
		{[]string{"-H", "A: ${NO_SUCH}", "h"}, "-H A: the environment has no variable NO_SUCH"},
		{[]string{"-H", "A: x${" + secret, "h"}, "-H A: ${ begins ${NAME}; for ${ itself write $${"},
		{[]string{"-H", "A: ${TOKEN:-" + secret + "}", "h"}, "-H A: ${ begins ${NAME}; for ${ itself write $${"},
		{[]string{"--bearer-env", "NO_SUCH", "h"}, "--bearer-env: the environment has no token in NO_SUCH"},
		{[]string{"--bearer-env", "TOKEN", "h"}, "--bearer-env: the environment has no token in TOKEN"},
		{[]string{"--bearer-env", "CONTROL", "h"}, "--bearer-env: the token in CONTROL holds a control character"},
		{[]string{"--bearer-env", "", "h"}, "--bearer-env: the value is empty"},
		{[]string{"-u", "joe", "h"}, "-u: no password, and no terminal to ask for it; write USER:PASS or USER:${VAR}, or USER: for none"},
		{[]string{"-u", "", "h"}, "--user: the value is empty"},
		{[]string{"-u", "joe:${NO_SUCH}", "h"}, "-u: the environment has no variable NO_SUCH"},
		{[]string{"-u", "${NO_SUCH}:" + secret, "h"}, "-u: the environment has no variable NO_SUCH"},
		{[]string{"-u", "a:" + secret, "-H", "Authorization: " + secret, "h"}, "-H Authorization and -u: give one of them"},
		{[]string{"-u", "a:" + secret, "--bearer-env", "CONTROL", "h"}, "--bearer-env and -u: give one of them"},
		{[]string{"--netrc", "h"}, "--netrc: netrc: line 1: the last word has no value"},
		{[]string{"--from-curl", "curl"}, "--from-curl: curl's option --form is not known here"},
		{[]string{"--from-curl", "quote"}, "--from-curl: line 1: a quote has no end"},
		{[]string{"--from-curl", none}, "--from-curl: open no-such-file: "},
		{[]string{"--from-curl", "nourl"}, "--from-curl: the command has no URL, and none is given"},
		{[]string{"--from-curl", "-", "-d", "@-", "h"}, "--from-curl: want a command that begins with curl"},
		{[]string{"--from-curl", "", "h"}, "--from-curl: the value is empty"},
		{[]string{"--last-event-id", "a\nb", "h"}, `--last-event-id "a\nb": cannot be sent: it holds control characters, or space around it`},
		{[]string{"--last-event-id", " a", "h"}, `--last-event-id " a": cannot be sent: it holds control characters, or space around it`},
		{[]string{"--last-event-id", strings.Repeat("a", 4<<10+1), "h"}, "--last-event-id: longer than 4 KiB"},
		{[]string{"-H", "Last-Event-ID: " + strings.Repeat("a", 4<<10+1), "h"}, "--last-event-id: longer than 4 KiB"},
		{[]string{"--state", "", "h"}, "--state: the value is empty"},
		{[]string{"--retry", "sometimes", "h"}, `--retry "sometimes": want auto, always or never`},
		{[]string{"--retry", "", "h"}, `--retry: the value is empty`},
		{[]string{"--retries", "-2", "h"}, "--retries -2: want 0 or more, or -1 for no limit"},
		{[]string{"--retries", "3", "--retry", "never", "h"}, "--retry never allows no --retries and no --retry-for"},
		{[]string{"--retry-for", "3s", "--retry", "never", "h"}, "--retry never allows no --retries and no --retry-for"},
		{[]string{"--retry-for", "-3s", "h"}, "--retry-for -3s: want more than 0"},
		{[]string{"--max-delay", "-3s", "h"}, "--max-delay -3s: want more than 0"},
		{[]string{"--max-delay", "0", "h"}, "--max-delay 0s: want more than 0"},
		{[]string{"--idle", "-3s", "h"}, "--idle -3s: want more than 0"},
		{[]string{"--connect-timeout", "-3s", "h"}, "--connect-timeout -3s: want more than 0"},
		{[]string{"--retry-status", "401", "--retry", "always", "h"}, "--retry-status needs --retry auto"},
		{[]string{"--retry-status", "399", "h"}, `--retry-status: "399": want statuses of 400 to 599, as 401,500-599`},
		{[]string{"--retry-status", "401,", "h"}, `--retry-status: "": want statuses of 400 to 599, as 401,500-599`},
		{[]string{"--retry-status", "599-500", "h"}, `--retry-status: "599-500": want statuses of 400 to 599, as 401,500-599`},
		{[]string{"--retry-status", "5xx", "h"}, `--retry-status: "5xx": want statuses of 400 to 599, as 401,500-599`},
		{[]string{"--retry-status", "", "h"}, `--retry-status: the value is empty`},
		{[]string{"--max-event-size", "0", "h"}, `--max-event-size "0": want a number of bytes, as 500000, 64M or 1G`},
		{[]string{"--max-event-size", "M", "h"}, `--max-event-size "M": want a number of bytes, as 500000, 64M or 1G`},
		{[]string{"--max-event-size", "9223372036854775807K", "h"}, `--max-event-size "9223372036854775807K": want a number of bytes, as 500000, 64M or 1G`},
		{[]string{"--cacert", none, "h"}, "--cacert: open no-such-file: "},
		{[]string{"--cacert", "pem", "h"}, "--cacert pem: no PEM certificate in it"},
		{[]string{"--cert", none, "h"}, "--cert: open no-such-file: "},
		{[]string{"--cert", "pem", "--key", none, "h"}, "--cert, --key: open no-such-file: "},
		{[]string{"--cert", "pem", "h"}, "--cert: tls: failed to find any PEM data in certificate input"},
		{[]string{"--key", "pem", "h"}, "--key needs --cert"},
		{[]string{"--proxy", "ftp://joe:" + secret + "@h", "h"}, `--proxy: scheme "ftp": want http, https, socks5 or socks5h`},
		{[]string{"--proxy", "http://joe:" + secret + "/@h", "h"}, `--proxy: not a URL, as http://localhost:3128`},
		{[]string{"--proxy", "foo", "h"}, `--proxy: not a URL, as http://localhost:3128`},
		{[]string{"--proxy", "foo:", "h"}, `--proxy: not a URL, as http://localhost:3128`},
		{[]string{"--proxy", "http://foo:", "h"}, `--proxy: not a URL, as http://localhost:3128`},
		{[]string{"--proxy", "http://joe:${NO_SUCH}@h", "h"}, `--proxy: the environment has no variable NO_SUCH`},
		{[]string{"--proxy", "http://p", "--unix-socket", "s", "h"}, "--unix-socket and --proxy: give one of them"},
	} {
		t.Setenv("NETRC", "netrc")
		_, _, err := open(t, "", c.args...)
		checkMistake(t, c.args, err, c.want)
	}
	t.Setenv("NETRC", "other")
	_, _, err := open(t, "", "--netrc", "h")
	checkMistake(t, []string{"other"}, err, "--netrc: other: line 1: want machine, default, login, password, account or macdef")
	t.Setenv("NETRC", none)
	_, _, err = open(t, "", "--netrc", "h")
	checkMistake(t, []string{none}, err, "--netrc: open no-such-file: ")
}

func checkMistake(t *testing.T, args []string, err error, want string) {
	t.Helper()
	var usage usageError
	got := ""
	if err != nil {
		got = err.Error()
	}
	whole := got == want || strings.HasSuffix(want, ": ") && strings.HasPrefix(got, want)
	if !whole || !errors.As(err, &usage) || strings.Contains(got, secret) || strings.Contains(got, "\n") {
		t.Errorf("%q:\ngot  %v\nwant %s", args, err, want)
	}
}

func TestOptionsOfTheFlags(t *testing.T) {
	_, s, err := open(t, "", "--idle", "3s", "--max-event-size", "2k", "--last-event-id", "7", "h")
	if err != nil {
		t.Fatal(err)
	}
	if o := s.options; o.IdleTimeout.Seconds() != 3 || o.MaxEventSize != 2048 || o.LastEventID != "7" {
		t.Errorf("got %v, %d, %q", o.IdleTimeout, o.MaxEventSize, o.LastEventID)
	}
	for size, want := range map[string]int{"7": 7, "3M": 3 << 20, "1g": 1 << 30} {
		if n, err := parseSize(size); n != want || err != nil {
			t.Errorf("%s: %d, %v", size, n, err)
		}
	}
	c, _, err := open(t, "", "--state", "file", "h")
	if err != nil || c.state != "file" {
		t.Errorf("--state: %q, %v", c.state, err)
	}
	// The zero flags ask for what the library does by itself.
	if _, s, err := open(t, "", "h"); err != nil || s.options.Retry.Retriable != nil || s.options.MaxEventSize != 0 || s.client.HTTP.Timeout != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// What has no end, a device say, must not fill the memory.
func TestFilesThatAreTooLarge(t *testing.T) {
	files(t, map[string]string{"large": "", "huge": "", "curl": "curl h -d @huge"})
	if err := errors.Join(os.Truncate("large", 1<<20+1), os.Truncate("huge", 64<<20+1)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NETRC", "large")
	large := strings.Repeat("\n", 1<<20+1)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-d", "@huge", "h"}, "-d: huge is larger than 64 MiB"},
		{[]string{"--json", "@huge", "h"}, "--json: huge is larger than 64 MiB"},
		{[]string{"-H", "@large", "h"}, "-H: large is larger than 1 MiB"},
		{[]string{"-H", "@-", "h"}, "-H: stdin is larger than 1 MiB"},
		{[]string{"--from-curl", "large"}, "--from-curl: large is larger than 1 MiB"},
		{[]string{"--from-curl", "-"}, "--from-curl: stdin is larger than 1 MiB"},
		{[]string{"--from-curl", "curl"}, "--from-curl: -d: huge is larger than 64 MiB"},
		{[]string{"--cacert", "large", "h"}, "--cacert: large is larger than 1 MiB"},
		{[]string{"--cert", "large", "h"}, "--cert: large is larger than 1 MiB"},
		{[]string{"--netrc", "h"}, "--netrc: large is larger than 1 MiB"},
	} {
		_, _, err := open(t, large, c.args...)
		checkMistake(t, c.args, err, c.want)
	}
	if got := sent(t, large, "-d", "@-", "URL/"); len(got) < len(large) {
		t.Errorf("a body of %d bytes: sent %d", len(large), len(got))
	}
}

func TestUserAgent(t *testing.T) {
	files(t, map[string]string{"curl": "curl h -A browser", "none": "curl h -H User-Agent:"})
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"sse"}}, // a test has no version
		{[]string{"-H", "user-agent: mine"}, []string{"mine"}},
		{[]string{"-H", "User-Agent:"}, []string{}},
		{[]string{"--from-curl", "curl"}, []string{"browser"}},
		{[]string{"--from-curl", "none"}, []string{}},
		{[]string{"--from-curl", "curl", "-H", "user-agent: mine"}, []string{"mine"}},
	} {
		_, s, err := open(t, "", append(c.args, "h")...)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.options.Header["User-Agent"]; !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
	for version, want := range map[string]string{"": "sse", "(devel)": "sse", "v0.1.0": "sse/v0.1.0"} {
		if got := userAgentOf(&debug.BuildInfo{Main: debug.Module{Version: version}}); got != want {
			t.Errorf("version %q: got %s, want %s", version, got, want)
		}
	}
}

func TestForwardSendsTheUserAgentToo(t *testing.T) {
	got := ""
	a, _ := forwarder(t, func(req *http.Request) (*http.Response, error) {
		got = req.Header.Get("User-Agent")
		return answering(204)(req)
	})
	if err := a.act(t.Context(), 1, chosen{}); err != nil || got != "sse" {
		t.Errorf("got %q, %v", got, err)
	}
}
