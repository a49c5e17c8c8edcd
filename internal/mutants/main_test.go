package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The table is kept right by go test alone: what no longer fits the code is
// told without a build for each mutant.
func TestEachMutantFitsTheCodeAndNamesATest(t *testing.T) {
	if len(mutants) < 30 {
		t.Errorf("%d mutants, want at least 30", len(mutants))
	}
	tests := map[string]string{}
	names := map[string]bool{}
	for _, m := range mutants {
		if _, err := m.apply("../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if names[m.name] {
			t.Errorf("%s: is there twice", m.name)
		}
		names[m.name] = true
		if tests[m.folder()] == "" {
			tests[m.folder()] = testsIn(t, filepath.Join("../..", m.folder()))
		}
		if !strings.Contains(tests[m.folder()], "\nfunc "+m.test+"(t *testing.T) {\n") {
			t.Errorf("%s: no test %s in %s", m.name, m.test, m.folder())
		}
	}
}

func testsIn(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return strings.ReplaceAll(all.String(), "\r\n", "\n")
}

func TestOnlyWhatTheTestNoticedIsCaught(t *testing.T) {
	const run = "=== RUN   TestX\n"
	for output, want := range map[string]struct {
		bad bool
		how result // "" for an error
	}{
		run + "--- PASS: TestX (0.00s)\nPASS\n":                                {false, passed},
		run + "--- FAIL: TestX (0.00s)\nFAIL\n":                                {true, failed},
		run + "--- FAIL: TestX (0.00s)\npanic: nil map\n":                      {true, panicked},
		run + "fatal error: all goroutines are asleep - deadlock!\n":           {true, panicked},
		run + "panic: test timed out after 20s\n":                              {true, timedOut},
		run + "--- PASS: TestX (0.00s)\nPASS\nleft behind by the tests:\n":     {true, leaked},
		run + "--- SKIP: TestX (0.00s)\nPASS\n":                                {false, ""},
		run:                                                                    {true, ""},
		"testing: warning: no tests to run\nPASS\n":                            {false, ""},
		"=== RUN   TestXY\n--- FAIL: TestXY (0.00s)\nFAIL\n":                   {true, ""},
		"panic: before any test\n":                                             {true, ""},
		"noise\n" + run + "=== RUN   TestX/a\n    --- FAIL: TestX/a (0.00s)\n": {true, ""},
	} {
		how, err := judge("TestX", output, want.bad)
		if how != want.how || (err != nil) != (want.how == "") {
			t.Errorf("%q: %q, %v, want %q", output, how, err, want.how)
		}
	}
}
