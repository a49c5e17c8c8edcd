package main

import (
	"strings"
	"testing"
)

func TestFlagErrorsQuoteNothing(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"-bsession=" + secret, "sse: unknown flag: -b\n"},
		{"-kb" + secret, "sse: unknown flag: -b\n"},
		{"--cookie=" + secret, "sse: unknown flag: --cookie\n"},
		{"--=" + secret, "sse: a flag has no name\n"},
		{"--header", "sse: flag needs an argument: --header\n"},
		{"--retries=x", "sse: invalid argument \"x\" for \"--retries\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\n"},
	} {
		var stdout, stderr strings.Builder
		if code := run([]string{"tail", "http://127.0.0.1:1/", c.arg}, strings.NewReader(""), &stdout, &stderr); code != exitUsage {
			t.Errorf("%s: exit code %d", c.arg, code)
		}
		if stdout.String() != "" || stderr.String() != c.want {
			t.Errorf("%s: got %q and %q, want %q", c.arg, &stdout, stderr.String(), c.want)
		}
	}
}
