package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/wellspring-go/sse"
)

func newChooser(t *testing.T, args ...string) (*chooser, error) {
	t.Helper()
	c := new(chooser)
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c, c.compile()
}

func TestChooser(t *testing.T) {
	price := sse.Event{Name: "price", ID: "7", Data: `{"p":12,"big":12345678901234567890,"s":"x\ty","list":[1,2]}`}
	text := sse.Event{Name: "message", ID: "8", Data: "not {json}"}
	for _, c := range []struct {
		args []string
		ev   sse.Event
		want []string // the data that is left
	}{
		{nil, price, []string{price.Data}},
		{[]string{"-e", "price"}, price, []string{price.Data}},
		{[]string{"-e", "price"}, text, nil},
		{[]string{"-e", "log,message"}, text, []string{text.Data}},
		{[]string{"-e", "log", "-e", "message"}, text, []string{text.Data}},
		{[]string{"-e", "!price"}, price, nil},
		{[]string{"-e", "!price"}, text, []string{text.Data}},
		{[]string{"-e", "price,!price"}, price, nil},
		{[]string{"--grep", "^not"}, price, nil},
		{[]string{"--grep", "^not"}, text, []string{text.Data}},
		{[]string{"--where", ".p > 10"}, price, []string{price.Data}},
		{[]string{"--where", ".p"}, price, nil}, // which jq takes for true
		{[]string{"--where", "empty"}, price, nil},
		{[]string{"--where", "true, error"}, price, []string{price.Data}},
		{[]string{"--where", "false, true"}, price, nil},
		{[]string{"--where", `$event == "price" and $id == "7" and ($data | startswith("{"))`}, price, []string{price.Data}},
		{[]string{"--where", ". == $data"}, text, []string{text.Data}},
		{[]string{"-q", ".p"}, price, []string{"12"}},
		{[]string{"-q", ".s"}, price, []string{"x\ty"}},
		{[]string{"-q", ".big"}, price, []string{"12345678901234567890"}},
		{[]string{"-q", "{s, n: null, l: .list}"}, price, []string{`{"l":[1,2],"n":null,"s":"x\ty"}`}},
		{[]string{"-q", ".list[]"}, price, []string{"1", "2"}},
		{[]string{"-q", "empty"}, price, nil},
		{[]string{"-q", ".p, halt, 3"}, price, []string{"12"}},
		{[]string{"-q", "ascii_upcase"}, text, []string{"NOT {JSON}"}},
		{[]string{"-q", "env, $ENV"}, text, []string{"{}", "{}"}},
		{[]string{"-q", ".p", "--where", ".p > 12"}, price, nil},
		{[]string{"-q", ".p", "--where", ".p == 12", "-e", "price", "--grep", "big"}, price, []string{"12"}},
	} {
		chooser, err := newChooser(t, c.args...)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		list, err := chooser.choose(c.ev)
		var got []string
		for _, ev := range list {
			got = append(got, ev.Data)
			if ev.Name != c.ev.Name || ev.ID != c.ev.ID || ev.mapped != (chooser.jq != "") || ev.mapped && resultText(ev.value) != ev.Data {
				t.Errorf("%q: %+v", c.args, ev)
			}
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q of %q: %q, %v, want %q", c.args, c.ev.Data, got, err, c.want)
		}
	}
}

func TestChooserTellsWhatIsWrongWithAnEvent(t *testing.T) {
	for _, c := range []struct{ flag, expr, want string }{
		{"--jq", ".a.b", "--jq: expected an object but got: number (1)"},
		{"--jq", ".a, error(\"x\\u001b\\n\")", `--jq: error: x\u001b\n`},
		{"--where", ".a.b", "--where: expected an object but got: number (1)"},
		{"--jq", "repeat(1)", "--jq: more than 65536 results of one event"},
		{"--jq", `"x" | halt_error`, "--jq: halt error: x"},
	} {
		chooser, err := newChooser(t, c.flag, c.expr)
		if err != nil {
			t.Fatal(err)
		}
		list, err := chooser.choose(sse.Event{Name: "message", Data: `{"a":1}`})
		if err == nil || err.Error() != c.want || list != nil {
			t.Errorf("%s %s: %v, %v, want %s", c.flag, c.expr, list, err, c.want)
		}
	}
}

func TestChooserRefusesFlags(t *testing.T) {
	for _, c := range []struct{ flag, value, want string }{
		{"-e", "a,", `--event "a,": a name is missing; events without one are called message`},
		{"-e", "!", `--event "!": a name is missing; events without one are called message`},
		{"--grep", "(\x1b", "--grep: missing closing ): `(\\u001b`"},
		{"--jq", ".a |", "--jq: .a |: unexpected EOF"},
		{"--jq", `"größe" }`, `--jq: "größe" }: unexpected token "}" at character 9`},
		{"--where", "nope(1)", "--where: nope(1): function not defined: nope/1"},
		{"--where", "$nope", "--where: $nope: variable not defined: $nope"},
		{"--jq", "input", "--jq: input: input(s)/0 is not allowed"},
		{"--jq", "import \"a\" as a;\n.", `--jq: import "a" as a;\n.: cannot load module: "a"`},
	} {
		_, err := newChooser(t, c.flag, c.value)
		var usage usageError
		if !errors.As(err, &usage) || err.Error() != c.want {
			t.Errorf("%s %q: %v, want %s", c.flag, c.value, err, c.want)
		}
	}
	if _, err := compileCondition("--until", "|"); err == nil || !strings.HasPrefix(err.Error(), "--until: |: ") {
		t.Errorf("%v", err)
	}
}

func TestAnEndlessProgramEndsWithTheContext(t *testing.T) {
	c, err := newChooser(t, "-q", "def f: f; f")
	if err != nil {
		t.Fatal(err)
	}
	until, err := compileCondition("--until", "def f: f; f")
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("interrupt")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, cause)
	defer cancel()
	c.ctx = ctx
	if list, err := c.choose(sse.Event{}); !errors.Is(err, cause) || list != nil {
		t.Errorf("choose: %v, %v", list, err)
	}
	if holds, err := until.holds(ctx, sse.Event{}); !errors.Is(err, cause) || holds {
		t.Errorf("holds: %v, %v", holds, err)
	}
}
