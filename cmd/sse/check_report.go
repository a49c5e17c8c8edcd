package main

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A report is the outcome of a checkup.
type report struct {
	URL      string    `json:"url"`
	Verdict  string    `json:"verdict"` // the worst of Checks: ok, warn or fail
	Seconds  float64   `json:"seconds"` // watched
	Events   int       `json:"events"`
	Comments int       `json:"comments"`
	Bytes    int       `json:"bytes"`
	Checks   []verdict `json:"checks"`
	code     int
}

// write writes the report. Errors are those of w.
func (r *report) write(w io.Writer, format string) error {
	var text string
	switch format {
	case reportJSON:
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		text = string(line) + "\n"
	case reportJUnit:
		doc, err := xml.MarshalIndent(r.junit(), "", "  ")
		if err != nil {
			return err
		}
		text = xml.Header + string(doc) + "\n"
	default:
		text = r.text(isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
	}
	_, err := io.WriteString(w, text)
	return err
}

// reportWidth is where the lines of text end at the latest.
const reportWidth = 79

// text writes a verdict a line, wrapped, with what to do below it.
func (r *report) text(colored bool) string {
	const indent = 21
	colors := map[string]string{levelOK: "32", levelWarn: "33", levelFail: "31;1", levelSkip: "2"}
	counts := map[string]int{}
	var b strings.Builder
	for _, v := range r.Checks {
		counts[v.Level]++
		level := fmt.Sprintf("%-4s", v.Level)
		if colored {
			level = "\x1b[" + colors[v.Level] + "m" + level + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s  %-13s  ", level, v.Check)
		b.WriteString(wrapWords(v.Found, indent, reportWidth))
		if v.Advice != "" {
			b.WriteString(strings.Repeat(" ", indent) + "do: " + wrapWords(v.Advice, indent+len("do: "), reportWidth))
		}
	}
	fmt.Fprintf(&b, "\n%s, %s, %s in %s\n", plural(r.Events, "event"), plural(r.Comments, "comment"), plural(r.Bytes, "byte"),
		durationText(time.Duration(r.Seconds*float64(time.Second))))
	b.WriteString(wrapWords(shown(r.URL), 0, reportWidth))
	fmt.Fprintf(&b, "%d ok, %d warn, %d fail, %d not judged\n", counts[levelOK], counts[levelWarn], counts[levelFail], counts[levelSkip])
	return b.String()
}

// wrapWords breaks text between words, or within a very long one, and ends the
// last line. The first line begins at column indent, as do the others.
func wrapWords(text string, indent, width int) string {
	var b strings.Builder
	column := indent
	for word := range strings.FieldsSeq(shown(text)) {
		letters := []rune(word)
		if column > indent && column+1+len(letters) > width {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		}
		if column > indent {
			b.WriteByte(' ')
			column++
		}
		for column+len(letters) > width {
			b.WriteString(string(letters[:width-column]) + "\n" + strings.Repeat(" ", indent))
			letters, column = letters[width-column:], indent
		}
		b.WriteString(string(letters))
		column += len(letters)
	}
	return b.String() + "\n"
}

// The elements of a JUnit report, as CI systems read them.
type (
	junitSuites struct {
		XMLName xml.Name   `xml:"testsuites"`
		Suite   junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitMessage `xml:"skipped"`
		Failure *junitMessage `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit returns the report with a test case for each check. A warning is a
// test that passes, with the warning as its output.
func (r *report) junit() junitSuites {
	suite := junitSuite{Name: "sse check " + shown(r.URL), Tests: len(r.Checks), Time: fmt.Sprintf("%.3f", r.Seconds)}
	for _, v := range r.Checks {
		c := junitCase{Class: "sse.check", Name: v.Check, Time: "0"}
		found, advice := shown(v.Found), shown(v.Advice)
		switch v.Level {
		case levelFail:
			suite.Failures++
			c.Failure = &junitMessage{found, cmp.Or(advice, found)}
		case levelSkip:
			suite.Skipped++
			c.Skipped = &junitMessage{Message: found}
		case levelWarn:
			c.Out = "warn: " + found + "; do: " + advice
		default:
			c.Out = found
		}
		suite.Cases = append(suite.Cases, c)
	}
	return junitSuites{Suite: suite}
}
