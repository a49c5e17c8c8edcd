package recording

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// mark begins a directive, unless another @ follows, which makes it a comment
// of the server's.
const mark = ":@"

func isDirective(line []byte) bool {
	return bytes.HasPrefix(line, []byte(mark)) && !bytes.HasPrefix(line, []byte(mark+"@"))
}

// directive does what a directive says and reports whether it ends what the
// parser reads.
func (r *Reader) directive(text string) (ended bool, err error) {
	if strings.HasPrefix(text, "+") {
		return false, r.pass(text[1:])
	}
	verb, rest, _ := strings.Cut(text, " ")
	switch verb {
	case "open":
		s, err := parseOpen(rest)
		if err != nil {
			return false, err
		}
		r.understood()
		r.begin(s)
		return true, nil
	case "fail":
		s, err := parseCause(Fail, rest)
		if err != nil {
			return false, err
		}
		r.understood()
		r.add(s)
		return true, nil
	case "end":
		s, err := parseCause(End, rest)
		if err == nil && !r.open {
			err = errors.New("end, but no connection is open")
		}
		if err != nil {
			return false, err
		}
		r.end(s)
		return true, nil
	case "note":
		return false, nil
	}
	return false, fmt.Errorf("unknown directive %q, want +DURATION, open, end, fail or note", clip(verb))
}

// understood ends the connection that a directive leaves behind. The time that
// has passed belongs to the directive.
func (r *Reader) understood() {
	if r.open {
		wait := r.wait
		r.wait = 0
		r.end(Step{Kind: End, Cause: EOF})
		r.wait = wait
	}
}

func (r *Reader) pass(text string) error {
	d, err := parseDuration(text)
	if err != nil {
		return err
	}
	if d > math.MaxInt64-r.wait {
		return errors.New("the waits add up to more than a duration holds")
	}
	r.wait += d
	return nil
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || text[0] == '-' || text[0] == '+' {
		return 0, fmt.Errorf("%q is no duration like 10s, 1m30s or 250ms", clip(text))
	}
	return d, nil
}

func parseOpen(text string) (Step, error) {
	s := Step{Kind: Open, Status: 200}
	for text != "" {
		key, value, rest, err := nextSetting(text)
		if err != nil {
			return s, err
		}
		text = rest
		switch name := storedHeader(key); {
		case key == "status":
			s.Status, err = strconv.Atoi(value)
			if err != nil || !validStatus(s.Status) {
				return s, fmt.Errorf("%q is no status: want 101, or 200 to 999", clip(value))
			}
		case key == "after":
			s.After, err = parseDuration(value)
			if err != nil {
				return s, err
			}
		case name != "":
			if s.Header == nil {
				s.Header = map[string][]string{}
			}
			s.Header[name] = []string{value}
		default:
			return s, fmt.Errorf("unknown setting %q of open, want status, after or one of the headers %s", clip(key), strings.ToLower(strings.Join(headers, ", ")))
		}
	}
	return s, nil
}

func storedHeader(key string) string {
	for _, name := range headers {
		if strings.EqualFold(name, key) {
			return name
		}
	}
	return ""
}

// parseCause reads what follows end or fail. A clean end goes without saying.
func parseCause(kind Kind, text string) (Step, error) {
	s := Step{Kind: kind, Cause: EOF}
	word, text, _ := strings.Cut(strings.TrimSpace(text), " ")
	if word != "" {
		s.Cause = Cause(word)
	}
	if !s.Cause.fits(kind) {
		if kind == Fail {
			return s, fmt.Errorf("%q is no cause to fail, want refused, reset or timeout", clip(word))
		}
		return s, fmt.Errorf("%q is no end, want eof, reset, timeout, local or too-long", clip(word))
	}
	for text != "" {
		key, value, rest, err := nextSetting(text)
		if err != nil {
			return s, err
		}
		text = rest
		if kind != Fail || key != "after" {
			return s, fmt.Errorf("unknown setting %q", clip(key))
		}
		s.After, err = parseDuration(value)
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// nextSetting cuts key=value or key="value" off a directive.
func nextSetting(text string) (key, value, rest string, err error) {
	text = strings.TrimLeft(text, " ")
	key, rest, ok := strings.Cut(text, "=")
	if !ok || key == "" || strings.Contains(key, " ") {
		return "", "", "", fmt.Errorf("%q is no key=value", clip(text))
	}
	if !strings.HasPrefix(rest, `"`) {
		value, rest, _ = strings.Cut(rest, " ")
		return key, value, strings.TrimLeft(rest, " "), nil
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err == nil {
		value, err = strconv.Unquote(quoted)
	}
	rest = rest[len(quoted):]
	if err != nil || rest != "" && rest[0] != ' ' {
		return "", "", "", fmt.Errorf("the quotes of %q are not closed, or do not end the value", clip(text))
	}
	return key, value, strings.TrimLeft(rest, " "), nil
}

// clip keeps a message to one line of a screen.
func clip(s string) string {
	const limit = 60
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
