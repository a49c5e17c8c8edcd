package main

import (
	"slices"
	"strings"
	"testing"
)

func TestNetrc(t *testing.T) {
	for text, want := range map[string][]machine{
		"":                             nil,
		"machine a login b password c": {{"a", "b", "c"}},
		"machine a\n\tlogin b\r\n\tpassword c\r\n":                            {{"a", "b", "c"}},
		"machine a password c account x login b machine d login e":            {{"a", "b", "c"}, {"d", "e", ""}},
		"# machine x\nmachine a # login y\nlogin b password #c":               {{"a", "b", ""}},
		"machine a login b password c#d":                                      {{"a", "b", "c#d"}},
		`machine a login "b c" password "d\"\\e"`:                             {{"a", "b c", `d"\e`}},
		"machine a login b macdef init\ncd x\nmachine y\n\nmachine d login e": {{"a", "b", ""}, {"d", "e", ""}},
		"default login a password b":                                          {{"", "a", "b"}},
		"machine a login b login c":                                           {{"a", "b", ""}},
	} {
		got, err := parseNetrc(text)
		if strings.HasSuffix(text, "#c") {
			if err == nil {
				t.Errorf("%q: the comment is a password", text)
			}
			continue
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q:\ngot  %q, %v\nwant %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"machine":                    "line 1: the last word has no value",
		"machine a\nlogin b hunter2": "line 2: the last word has no value",
		"login b":                    "line 1: want machine, default, login, password, account or macdef",
		"machine a\nhunter2 b":       "line 2: want machine, default, login, password, account or macdef",
		"\nmachine a login \"hunter": "line 2: the quote has no end",
		"machine \"\" login a":       "line 1: want machine, default, login, password, account or macdef",
	} {
		if _, err := parseNetrc(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
