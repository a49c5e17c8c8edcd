package main

import "fmt"

// judgeText is about the characters of the stream.
func judgeText(v *visit) verdict {
	const plain = "send plain UTF-8, without byte order marks"
	for _, what := range []oddity{oddUTF8, oddMark} {
		if v.found[what].count > 0 {
			return checkText.fail(plain, "%s", v.found[what])
		}
	}
	for _, what := range []oddity{oddFirstMark, oddNUL} {
		if v.found[what].count > 0 {
			return checkText.warn(plain, "%s", v.found[what])
		}
	}
	return checkText.ok("UTF-8")
}

// judgeLines is about how lines end, and how long they are.
func judgeLines(v *visit) verdict {
	const long = 1 << 20
	kinds := ""
	for _, kind := range []struct {
		name  string
		count int
	}{{"LF", v.lint.lf}, {"CRLF", v.lint.crlf}, {"CR", v.lint.cr}} {
		if kind.count > 0 && kinds != "" {
			kinds += " and "
		}
		if kind.count > 0 {
			kinds += kind.name
		}
	}
	longest := fmt.Sprintf("the longest has %s", plural(v.lint.longest, "byte"))
	switch {
	case kinds == "":
		return checkLines.skip("no complete line came")
	case v.lint.longest > long:
		return checkLines.warn("send less at once: many clients limit lines, some to 64 KiB", "ended by %s, %s", kinds, longest)
	case v.lint.cr > 0:
		return checkLines.warn("end lines with LF: many clients do not know a bare CR", "ended by %s, %s", kinds, longest)
	case v.lint.lf > 0 && v.lint.crlf > 0:
		return checkLines.warn("end all lines with LF", "ended by %s, mixed, %s", kinds, longest)
	}
	return checkLines.ok("ended by %s, %s", kinds, longest)
}

// judgeFields is about what lines say.
func judgeFields(v *visit) verdict {
	for _, f := range []struct {
		what   oddity
		fail   bool
		advice string
	}{
		{oddSpaces, true, "end events with an empty line"},
		{oddSpelling, true, "write field names in lower case, from the first column on, with the colon right after"},
		{oddID, true, "keep NUL out of ids"},
		{oddRetry, true, "send digits only, in milliseconds: retry: 3000"},
		{oddNoData, true, "give each event a data line, be it empty, or clients drop it"},
		{oddField, false, "the four fields are data, event, id and retry; what goes on over several lines has data: on each"},
		{oddTwice, false, "send one of each per event"},
		{oddComment, false, "if it is to be a field, take the colon before it away"},
	} {
		found := v.found[f.what]
		switch {
		case found.count > 0 && f.fail:
			return checkFields.fail(f.advice, "%s", found)
		case found.count > 0:
			return checkFields.warn(f.advice, "%s", found)
		}
	}
	return checkFields.ok("nothing that clients ignore")
}

func (f foundOddity) String() string {
	text := fmt.Sprintf("line %d: %s", f.first.line, f.first.text)
	if f.count > 1 {
		text += fmt.Sprintf(" (%d times)", f.count)
	}
	return text
}
