package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestShellWords(t *testing.T) {
	t.Setenv("NAME", "a b")
	for text, want := range map[string][]string{
		"":                                       nil,
		" \n":                                    nil,
		"a b\tc":                                 {"a", "b", "c"},
		"a \\\n  b \\\r\n c\r\n\r\n":             {"a", "b", "c"},
		`'a b'"c d"e\ f`:                         {"a bc de f"},
		`'' ""`:                                  {"", ""},
		`'a\'"\$\"\\\a"`:                         {`a\$"\\a`},
		"\"a\\\nb\" c\\\nd":                      {"ab", "cd"},
		`$'a\'\\\n\t\x41\u00e9\101'`:             {"a'\\\n\tAé" + "A"},
		`$'\u0021\U0001F600\ud83d\ude00\ud83dx'`: {"!😀😀\uFFFDx"},
		`$'\q\x'`:                                {`\q\x`},
		`$"x"`:                                   {"x"},
		`$NAME-${NAME}"$NAME"'$NAME'\$`:          {"a b-a ba b$NAME$"},
		`a$ $1 "$" $é`:                           {"a$", "$1", "$", "$é"},
		"# x\na#b # c\n# d":                      {"a#b"},
		"a^b?*~":                                 {"a^b?*~"},
		`a\`:                                     {"a"},
	} {
		got, err := shellWords(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q:\ngot  %q, %v\nwant %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"a 'hunter2":           "line 1: a quote has no end",
		"a\\\n \"hunter2":      "line 2: a quote has no end",
		"a \"hunter2\\":        "line 1: a quote has no end",
		"a $'hunter2":          "line 1: a quote has no end",
		"a $'hunter2\\'":       "line 1: a quote has no end",
		"a\n b":                "line 2: a second command, or a line without \\ at the end of the one before",
		"a | jq":               `line 1: '|' outside of quotes needs a shell, and there is none: give the curl command alone`,
		"a ; b":                `line 1: ';' outside of quotes needs a shell, and there is none: give the curl command alone`,
		"a x?b&c":              `line 1: '&' outside of quotes needs a shell, and there is none: give the curl command alone`,
		"a > hunter2":          `line 1: '>' outside of quotes needs a shell, and there is none: give the curl command alone`,
		"a `b`":                "line 1: '`' outside of quotes needs a shell, and there is none: give the curl command alone",
		"a \"`b`\"":            "line 1: ` needs a shell, and there is none",
		"a $(b)":               "line 1: $( needs a shell, and there is none",
		"a \"$(b)\"":           "line 1: $( needs a shell, and there is none",
		"a ${b:-c}":            "line 1: ${ that is not ${NAME} needs a shell, and there is none",
		"a \\\n\"$NO_SUCH\"":   "line 2: the environment has no variable NO_SUCH",
		"a ${NO_SUCH}":         "line 1: the environment has no variable NO_SUCH",
		"curl ^\"https://h^\"": "line 1: this is for the command prompt of Windows; copy it as cURL for bash",
		"curl a ^\r\n  b":      "line 1: this is for the command prompt of Windows; copy it as cURL for bash",
	} {
		if got, err := shellWords(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %q, %v, want %s", text, got, err, want)
		}
	}
}

func TestFromCurl(t *testing.T) {
	files(t, map[string]string{"body": "a\r\nb\n", "headers": ""})
	t.Setenv("KEY", secret)
	const form, json = " Content-Type=application/x-www-form-urlencoded", " Content-Type=application/json"
	for text, want := range map[string]string{
		"curl URL/x?a=b":                         `GET /x?a=b "" ""`,
		"curl -N -sSLi -k --compressed 'URL/x'":  `GET /x "" ""`,
		"/usr/bin/curl -XPUT --url URL/":         `PUT / "" ""`,
		"curl.exe --request PUT -- URL/":         `PUT / "" ""`,
		"curl URL/ -d a=b -d c":                  `POST / "" "a=b&c"` + form,
		"curl URL/ -sd a":                        `POST / "" "a"` + form,
		"curl URL/ -d @body --data-binary @body": `POST / "" "ab&a\r\nb\n"` + form,
		"curl URL/ --data-raw @body":             `POST / "" "@body"` + form,
		"curl URL/ -d ''":                        `POST / "" ""`,
		"curl URL/ --json '{' --json '}'":        `POST / "" "{}"` + json,
		"curl URL/ -X GET --data-ascii a":        `GET / "" "a"` + form,

		"curl URL/ -H 'content-type: application/json' --data-raw $'{\"a\":\"\\'\\u0021\"}'": `POST / "" "{\"a\":\"'!\"}"` + json,
		"curl URL/ -H 'A: ${KEY}' -H \"B: ${KEY}\" -H 'A: 2' -H 'C;' -H 'D:'":                `GET / "" "" A=${KEY},2 B=hunter2 C=`,

		"curl URL/ -u joe:" + secret:           `GET / "" "" Authorization=Basic am9lOmh1bnRlcjI=`,
		"curl URL/ --oauth2-bearer \"$KEY\"":   `GET / "" "" Authorization=Bearer hunter2`,
		"curl URL/ -b a=b --cookie 'c=d; e=f'": `GET / "" "" Cookie=a=b; c=d; e=f`,
		"curl URL/ -A me -e http://r":          `GET / "" "" Referer=http://r`,

		"curl URL/ -H 'Accept-Encoding: br' -H 'Content-Length: 7' -H 'last-event-id: 7'": `GET / "7" ""`,
	} {
		if got := sent(t, text, "--from-curl", "-"); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// The flags of the command line win over those of the pasted command.
func TestFlagsWinOverFromCurl(t *testing.T) {
	t.Setenv("TOKEN", "t0k")
	const pasted = "curl -X PUT -H 'Authorization: Basic x' -H 'A: 1' -H 'B: 1' -b a=b --data-raw '{}' -H 'Content-Type: application/json' http://other.test/"
	const rest = ` A=1 Authorization=Basic x B=1 Content-Type=application/json Cookie=a=b`
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, `PUT / "" "{}"` + rest},
		{[]string{"-X", "POST"}, `POST / "" "{}"` + rest},
		{[]string{"-d", "[]"}, `PUT / "" "[]"` + rest},
		{[]string{"-H", "a: 2", "-H", "B:", "-H", "Cookie:"}, `PUT / "" "{}" A=2 Authorization=Basic x Content-Type=application/json`},
		{[]string{"--bearer-env", "TOKEN"}, `PUT / "" "{}"` + strings.Replace(rest, "Basic x", "Bearer t0k", 1)},
		{[]string{"-u", "a:b"}, `PUT / "" "{}"` + strings.Replace(rest, "Basic x", "Basic YTpi", 1)},
		{[]string{"--last-event-id", "7"}, `PUT / "7" "{}"` + rest},
	} {
		if got := sent(t, pasted, append([]string{"--from-curl", "-", "URL/"}, c.args...)...); got != c.want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.args, got, c.want)
		}
	}
	proxy, asked := aProxy(t)
	path := filepath.Join(t.TempDir(), "curl")
	text := "curl http://sse.test/ -x a:b@" + strings.TrimPrefix(proxy, "http://")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, data, ev := first(t, "--from-curl", path); data == "" {
		t.Fatalf("-x: %v", ev)
	}
	if got := <-asked; got != "GET http://sse.test/ Basic YTpi" {
		t.Errorf("-x: %s", got)
	}
	if _, s, err := open(t, "", "--from-curl", path, "--proxy", ""); err != nil || s.client.HTTP.Transport.(*http.Transport).Proxy != nil {
		t.Errorf("--proxy '' over -x: %v", err)
	}
}

func TestCurlCommandsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "want a command that begins with curl",
		"wget hunter2":                "want a command that begins with curl",
		"curl -F a=hunter2 h":         "curl's option -F is not known here",
		"curl -zhunter2 h":            "curl's option -z is not known here",
		"curl -sSF hunter2 h":         "curl's option -F is not known here",
		"curl --form=hunter2 h":       "curl's option --form is not known here",
		"curl --max-time 3 h":         "curl's option --max-time is not known here",
		"curl h -H":                   "-H has no value",
		"curl h --data":               "--data has no value",
		"curl h -H hunter2":           "-H: want 'Name: value'",
		"curl h -H $'A: hunter\\x01'": "-H: the value of A holds a control character",
		"curl h -b hunter2":           "-b: want NAME=VALUE; files of cookies are not read",
		"curl h -b $'a=hunter2\\x01'": "-b: the value of Cookie holds a control character",
		"curl h -u hunter2":           "-u: no password; give sse a -u USER:PASS of its own",
		"curl h hunter2":              "the command has more than one URL",
		"curl --url h -- hunter2":     "the command has more than one URL",
	} {
		if _, err := parseCurl(text, os.ReadFile); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	files(t, nil)
	if _, err := parseCurl("curl h -d @no-such-file", os.ReadFile); err == nil || !strings.HasPrefix(err.Error(), "-d: open no-such-file: ") {
		t.Error(err)
	}
}

// FuzzCurl looks for texts that take the parser off the rails: what it makes
// of one, quoted again, is the same.
func FuzzCurl(f *testing.F) {
	for _, text := range []string{"curl 'a' -H \"b: c\" \\\n $'\\u0021'", "curl -XPOST --json '{}' h", "a\r\n#b", "${HOME} $HOME \"$'", "^\"", "\\"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := shellWords(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, word := range words {
			again.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "' ")
		}
		if got, err := shellWords(again.String()); err != nil || !slices.Equal(got, words) && !strings.Contains(again.String(), "\r\n") {
			t.Errorf("%q: %q, then %q, %v", text, words, got, err)
		}
		if strings.Contains(text, "@") {
			return // a file
		}
		if c, err := parseCurl("curl "+again.String(), os.ReadFile); err == nil && slices.Contains(slices.Collect(maps.Keys(c.header)), "") {
			t.Errorf("%q: a header without a name", text)
		}
	})
}
