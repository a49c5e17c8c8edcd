package main

import (
	"strings"
	"testing"
)

func TestFlagErrorsQuoteNothing(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"-bsession=" + secret, "sse: unknown flag: -b (sse help flags lists them)\n"},
		{"-kb" + secret, "sse: unknown flag: -b (sse help flags lists them)\n"},
		{"--cookie=" + secret, "sse: unknown flag: --cookie (sse help flags lists them)\n"},
		{"--=" + secret, "sse: a flag has no name\n"},
		{"--header", "sse: --header needs a value: --header 'K: V'\n"},
		{"--retries=x", "sse: --retries \"x\": want a whole number\n"},
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
