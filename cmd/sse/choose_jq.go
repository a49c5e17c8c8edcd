package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"github.com/wellspring-go/sse"
)

// maxResults is how many results a program may have of one event; a program
// that never ends would fill the memory.
const maxResults = 1 << 16

// A program is the jq expression of a flag. Its input is the event's data,
// decoded if it is JSON, else as a string; $event, $id and $data are the
// event's texts. It sees no environment, no files and no modules.
type program struct {
	flag string
	code *gojq.Code
}

// compileProgram compiles the expression of a flag. Its error is a usageError
// of one line.
func compileProgram(flag, expr string) (*program, error) {
	query, err := gojq.Parse(expr)
	if syntax, ok := errors.AsType[*gojq.ParseError](err); ok {
		if syntax.Token == "" {
			return nil, usagef("%s: %s: %s", flag, shown(expr), shown(err.Error()))
		}
		at := utf8.RuneCountInString(expr[:max(0, syntax.Offset-len(syntax.Token))]) + 1
		return nil, usagef("%s: %s: %s at character %d", flag, shown(expr), shown(err.Error()), at)
	}
	if err != nil {
		return nil, usagef("%s: %s: %s", flag, shown(expr), shown(err.Error()))
	}
	code, err := gojq.Compile(query, gojq.WithVariables([]string{"$event", "$id", "$data"}))
	if err != nil {
		return nil, usagef("%s: %s: %s", flag, shown(expr), shown(err.Error()))
	}
	return &program{flag: flag, code: code}, nil
}

// run runs the program for an event and gives its results to take, until that
// returns false. The end of ctx ends it; nil is a context without end.
func (p *program) run(ctx context.Context, ev sse.Event, take func(any) bool) error {
	input, ok := decodeJSON(ev.Data)
	if !ok {
		input = ev.Data
	}
	if ctx == nil {
		ctx = context.Background()
	}
	results := p.code.RunWithContext(ctx, input, ev.Name, ev.ID, ev.Data)
	for n := 0; ; n++ {
		v, ok := results.Next()
		if !ok {
			return nil
		}
		if err, ok := v.(error); ok {
			return p.failure(ctx, err)
		}
		if n == maxResults {
			return fmt.Errorf("%s: more than %d results of one event", p.flag, maxResults)
		}
		if !take(v) {
			return nil
		}
	}
}

// failure makes the error that ended a run one line.
func (p *program) failure(ctx context.Context, err error) error {
	var halt *gojq.HaltError
	switch {
	case errors.As(err, &halt) && halt.Value() == nil:
		return nil // by halt, which is no error
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %s", p.flag, shown(err.Error()))
}

// resultText returns a result as text: a string as it is, anything else as
// compact JSON.
func resultText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	}
	b, err := gojq.Marshal(v)
	if err != nil {
		panic("unreachable: gojq marshals what it makes")
	}
	return string(b)
}

// A condition is a jq expression that is true or not, as those of --where and
// --until.
type condition struct{ program }

// compileCondition compiles the expression of a flag.
func compileCondition(flag, expr string) (*condition, error) {
	p, err := compileProgram(flag, expr)
	if err != nil {
		return nil, err
	}
	return &condition{*p}, nil
}

// holds reports whether the condition is true for an event: whether its first
// result is true, and nothing else that jq takes for true. The end of ctx ends
// it.
func (c *condition) holds(ctx context.Context, ev sse.Event) (bool, error) {
	holds := false
	err := c.run(ctx, ev, func(v any) bool {
		holds, _ = v.(bool)
		return false
	})
	return holds, err
}
