package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestVersionSaysWhatWasBuilt(t *testing.T) {
	by := " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	for _, test := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"nothing known", nil, "sse (devel)" + by},
		{"installed", &debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}}, "sse v0.1.0" + by},
		{"from a checkout", &debug.BuildInfo{
			Main:     debug.Module{Version: "(devel)"},
			Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}},
		}, "sse (devel) (0123456789ab, changed)" + by},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := versionOf(test.info); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
