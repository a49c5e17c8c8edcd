package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// shellWords splits one simple command as a POSIX shell does, with $'...' as
// in bash. Variables are taken from the environment, and are not split; all
// else that would need a shell is an error. Errors never quote the text: it
// holds credentials.
func shellWords(text string) ([]string, error) {
	s := &shell{text: strings.ReplaceAll(text, "\r\n", "\n")}
	for s.i < len(s.text) {
		if err := s.step(); err != nil {
			return nil, fmt.Errorf("line %d: %w", 1+strings.Count(s.text[:s.i], "\n"), err)
		}
	}
	s.endWord()
	return s.words, nil
}

// A shell is a reader of a command line.
type shell struct {
	text   string
	i      int // in text
	word   strings.Builder
	inWord bool
	ended  bool // by a newline
	words  []string
}

var errNoEnd = errors.New("a quote has no end")

func (s *shell) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

// step reads a character outside of quotes, or a whole quotation.
func (s *shell) step() error {
	c := s.text[s.i]
	if strings.IndexByte(" \t\n", c) < 0 && c != '#' && s.ended {
		return errors.New("a second command, or a line without \\ at the end of the one before")
	}
	s.i++
	switch c {
	case ' ', '\t':
		s.endWord()
	case '\n':
		s.endWord()
		s.ended = len(s.words) > 0
	case '#':
		if s.inWord {
			s.word.WriteByte(c)
			return nil
		}
		s.skipLine()
	case '\\':
		if s.i == len(s.text) {
			return nil
		}
		if s.text[s.i] != '\n' {
			s.inWord = true
			s.word.WriteByte(s.text[s.i])
		}
		s.i++
	case '\'':
		s.inWord = true
		end := strings.IndexByte(s.text[s.i:], '\'')
		if end < 0 {
			return errNoEnd
		}
		s.word.WriteString(s.text[s.i : s.i+end])
		s.i += end + 1
	case '"':
		s.inWord = true
		return s.doubleQuotes()
	case '$':
		s.inWord = true
		return s.dollar(false)
	case '^':
		if s.i == len(s.text) || strings.IndexByte("\"\n", s.text[s.i]) >= 0 {
			return errors.New("this is for the command prompt of Windows; copy it as cURL for bash")
		}
		fallthrough
	default:
		if strings.IndexByte("`;|&<>()", c) >= 0 {
			return fmt.Errorf("%q outside of quotes needs a shell, and there is none: give the curl command alone", c)
		}
		s.inWord = true
		s.word.WriteByte(c)
	}
	return nil
}

func (s *shell) skipLine() {
	if end := strings.IndexByte(s.text[s.i:], '\n'); end >= 0 {
		s.i += end
		return
	}
	s.i = len(s.text)
}

// doubleQuotes reads up to the closing quote.
func (s *shell) doubleQuotes() error {
	for s.i < len(s.text) {
		c := s.text[s.i]
		s.i++
		switch c {
		case '"':
			return nil
		case '`':
			return errors.New("` needs a shell, and there is none")
		case '$':
			if err := s.dollar(true); err != nil {
				return err
			}
		case '\\':
			if s.i == len(s.text) {
				return errNoEnd
			}
			c = s.text[s.i]
			if strings.IndexByte("$`\"\\\n", c) < 0 {
				s.word.WriteByte('\\')
			}
			if c != '\n' {
				s.word.WriteByte(c)
			}
			s.i++
		default:
			s.word.WriteByte(c)
		}
	}
	return errNoEnd
}

// dollar reads what follows a $.
func (s *shell) dollar(quoted bool) error {
	rest := s.text[s.i:]
	switch {
	case !quoted && strings.HasPrefix(rest, "'"):
		s.i++
		return s.ansiQuotes()
	case !quoted && strings.HasPrefix(rest, `"`): // translated, by nobody
		s.i++
		return s.doubleQuotes()
	case strings.HasPrefix(rest, "("):
		return errors.New("$( needs a shell, and there is none")
	}
	name := rest
	braced := strings.HasPrefix(rest, "{")
	if braced {
		end := strings.IndexByte(rest, '}')
		if end < 0 || !isVariable(rest[1:end]) {
			return errors.New("${ that is not ${NAME} needs a shell, and there is none")
		}
		name = rest[1:end]
		s.i += end + 1
	} else {
		end := strings.IndexFunc(rest, func(r rune) bool { return r > 'z' || !isVariable("_"+string(r)) })
		if end >= 0 {
			name = rest[:end]
		}
		if !isVariable(name) {
			s.word.WriteByte('$')
			return nil
		}
		s.i += len(name)
	}
	value, ok := os.LookupEnv(name)
	if !ok {
		return fmt.Errorf("the environment has no variable %s", name)
	}
	s.word.WriteString(value)
	return nil
}

// ansiQuotes reads up to the quote that closes $'.
func (s *shell) ansiQuotes() error {
	for s.i < len(s.text) {
		c := s.text[s.i]
		s.i++
		switch {
		case c == '\'':
			return nil
		case c == '\\' && s.i < len(s.text):
			s.ansiEscape()
		default:
			s.word.WriteByte(c)
		}
	}
	return errNoEnd
}

// ansiEscape reads what follows a backslash in $'...'.
func (s *shell) ansiEscape() {
	c := s.text[s.i]
	s.i++
	if i := strings.IndexByte("abtnvfreE\\'\"?", c); i >= 0 {
		s.word.WriteByte("\a\b\t\n\v\f\r\x1b\x1b\\'\"?"[i])
		return
	}
	switch {
	case c == 'x':
		if n, ok := s.digits(16, 2); ok {
			s.word.WriteByte(byte(n))
			return
		}
	case c == 'u', c == 'U':
		most := 4
		if c == 'U' {
			most = 8
		}
		if n, ok := s.digits(16, most); ok {
			s.word.Write(utf8.AppendRune(nil, s.pair(rune(n))))
			return
		}
	case '0' <= c && c <= '7':
		s.i--
		n, _ := s.digits(8, 3)
		s.word.WriteByte(byte(n))
		return
	}
	s.word.WriteByte('\\')
	s.word.WriteByte(c)
}

// pair returns the character that r begins, if it is the first half of one as
// JavaScript writes those beyond U+FFFF.
func (s *shell) pair(r rune) rune {
	if !utf16.IsSurrogate(r) || !strings.HasPrefix(s.text[s.i:], `\u`) {
		return r
	}
	before := s.i
	s.i += 2
	n, _ := s.digits(16, 4)
	whole := utf16.DecodeRune(r, rune(n))
	if whole == utf8.RuneError {
		s.i = before
	}
	return whole
}

// digits reads a number of up to most digits.
func (s *shell) digits(base, most int) (uint64, bool) {
	n, ok := uint64(0), false
	for range most {
		if s.i == len(s.text) {
			break
		}
		digit, err := strconv.ParseUint(s.text[s.i:s.i+1], base, 8)
		if err != nil {
			break
		}
		n, ok = n*uint64(base)+digit, true
		s.i++
	}
	return n, ok
}
