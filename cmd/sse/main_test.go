package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sse":       func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"sse-fault": runFaulty,
	})
}

// TestScripts runs the files in testdata/script; see feed_test.go for the
// commands that they have on top of testscript's.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// Scripts get no variables but testscript's. This one spares each
			// process of a test with -race a second.
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"feed":     feed,
			"requests": requests,
			"code":     code,
			"serving":  serving,
			"served":   served,
		},
	})
}
