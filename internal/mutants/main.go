// Command mutants checks that the tests notice faults: it applies each fault
// of its table to the library, one at a time, and runs the one test that is
// named for it, which has to fail.
//
//	go run ./internal/mutants                 all
//	go run ./internal/mutants -only 'redirect|cursor'
//
// The checkout is not touched: a fault reaches the compiler as an overlay. A
// fault that fits nowhere, or in two places, or does not compile, a test that
// does not exist, or fails on the library as it is, and a fault that its test
// does not notice fail the run.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A mutant is one fault and the test that has to notice it.
type mutant struct {
	name string
	file string // slash-separated, below the root of the module
	old  string // occurs exactly once in file
	new  string
	test string // of the package of file
	// hangs is set if the test shows the fault by not ending. Of others a
	// timeout says only that the machine is busy.
	hangs bool
}

func (m mutant) folder() string { return filepath.Dir(filepath.FromSlash(m.file)) }

// apply returns the faulty text of the file.
func (m mutant) apply(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(text, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("its old text is %d times in %s, want once", n, m.file)
	}
	if m.old == m.new {
		return nil, errors.New("it changes nothing")
	}
	return bytes.Replace(text, []byte(m.old), []byte(m.new), 1), nil
}

// A check runs mutants against one checkout.
type check struct {
	root    string
	temp    string
	timeout time.Duration // of one test
	workers int
	log     *log.Logger
}

func main() {
	out := log.New(os.Stdout, "", 0)
	only := flag.String("only", "", "run the mutants whose name matches this expression")
	workers := flag.Int("j", 2, "how many mutants run at the same time")
	timeout := flag.Duration("timeout", 20*time.Second, "after which a test that hangs has failed")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		out.Fatalf("-only: %v", err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	temp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		out.Fatal(err)
	}
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !pattern.MatchString(m.name) })
	root, err := moduleRoot(ctx)
	if err == nil {
		c := &check{root: root, temp: temp, timeout: *timeout, workers: max(*workers, 1), log: out}
		err = c.run(ctx, chosen)
	}
	cancel()
	if err = errors.Join(err, os.RemoveAll(temp)); err != nil {
		out.Fatalf("mutants: %v", err)
	}
}

// moduleRoot returns the folder of the module that the working folder is in.
func moduleRoot(ctx context.Context) (string, error) {
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(file)))
	if _, err := os.Stat(filepath.Join(root, "internal", "mutants")); err != nil {
		return "", fmt.Errorf("run it in the root of the module: %w", err)
	}
	return root, nil
}

// run runs the mutants, and first their tests without any.
func (c *check) run(ctx context.Context, all []mutant) error {
	if len(all) == 0 {
		return errors.New("none of that name")
	}
	start := time.Now()
	if bad := c.misfits(all); bad > 0 {
		return fmt.Errorf("%d of %d do not fit the code", bad, len(all))
	}
	if err := c.unchanged(ctx, all); err != nil {
		return err
	}
	var mu sync.Mutex
	var caught, survived, broken int
	c.each(len(all), func(i int) {
		m := all[i]
		begin := time.Now()
		how, err := c.try(ctx, m, "mutant"+strconv.Itoa(i))
		took := time.Since(begin).Seconds()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			broken++
			c.log.Printf("BROKEN    %s (%s): %v", m.name, m.file, err)
		case how == timedOut && !m.hangs:
			broken++
			c.log.Printf("BROKEN    %s (%s): %s did not end in time", m.name, m.file, m.test)
		case how == passed:
			survived++
			c.log.Printf("SURVIVED  %s (%s): %s passes, in %.1fs", m.name, m.file, m.test, took)
		default:
			caught++
			c.log.Printf("caught by %s in %.1fs (%s): %s", m.test, took, how, m.name)
		}
	})
	c.log.Printf("mutants: %d caught, %d survived, %d broken, in %.0fs", caught, survived, broken, time.Since(start).Seconds())
	if caught != len(all) {
		return fmt.Errorf("%d of %d not caught", len(all)-caught, len(all))
	}
	return nil
}

// misfits counts, and tells of, the mutants that cannot be applied.
func (c *check) misfits(all []mutant) int {
	bad := 0
	names := map[string]bool{}
	for _, m := range all {
		_, err := m.apply(c.root)
		if err == nil && names[m.name] {
			err = errors.New("its name is there twice")
		}
		names[m.name] = true
		if err != nil {
			bad++
			c.log.Printf("BROKEN    %s: %v", m.name, err)
		}
	}
	return bad
}

// unchanged runs each test that is named once, without a mutant.
func (c *check) unchanged(ctx context.Context, all []mutant) error {
	type named struct{ folder, test string }
	var tests []named
	binaries := map[string]string{}
	for _, m := range all {
		if binaries[m.folder()] == "" {
			binary, err := c.build(ctx, m.folder(), "unchanged"+strconv.Itoa(len(binaries)), "")
			if err != nil {
				return fmt.Errorf("without a mutant, %w", err)
			}
			binaries[m.folder()] = binary
		}
		if n := (named{m.folder(), m.test}); !slices.Contains(tests, n) {
			tests = append(tests, n)
		}
	}
	errs := make([]error, len(tests))
	begin := time.Now()
	c.each(len(tests), func(i int) {
		how, output, err := c.test(ctx, tests[i].folder, binaries[tests[i].folder], tests[i].test)
		if err == nil && how != passed {
			err = fmt.Errorf("%s %s without a mutant:\n%s", tests[i].test, how, output)
		}
		errs[i] = err
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.log.Printf("without a mutant: %d tests pass, in %.0fs", len(tests), time.Since(begin).Seconds())
	return nil
}

// each calls f for 0 to n-1, in as many goroutines as there are workers, and
// waits for all.
func (c *check) each(n int, f func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range c.workers {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// try builds the tests with the mutant in and runs the one that is named.
// files is a name for what that leaves in the temporary folder meanwhile.
func (c *check) try(ctx context.Context, m mutant, files string) (result, error) {
	text, err := m.apply(c.root)
	if err != nil {
		return "", err
	}
	faulty := filepath.Join(c.temp, files+".go")
	if err := os.WriteFile(faulty, text, 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(c.root, filepath.FromSlash(m.file)): faulty},
	})
	if err != nil {
		return "", err
	}
	list := filepath.Join(c.temp, files+".json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	binary, err := c.build(ctx, m.folder(), files, list)
	if err != nil {
		return "", err
	}
	how, _, err := c.test(ctx, m.folder(), binary, m.test)
	return how, errors.Join(err, os.Remove(binary))
}

// build compiles the tests of a folder and returns the binary.
func (c *check) build(ctx context.Context, folder, name, overlay string) (string, error) {
	binary := filepath.Join(c.temp, name+".test.exe")
	args := []string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = filepath.Join(c.root, folder)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c in %s: %w\n%s", folder, err, output)
	}
	if _, err := os.Stat(binary); err != nil { // go test -c is content with no tests
		return "", fmt.Errorf("no tests in %s", folder)
	}
	return binary, nil
}

// A result is how a test ended, as a word for the reader.
type result string

const (
	passed   result = "passes"
	failed   result = "fails"
	panicked result = "panics"
	timedOut result = "times out"
	leaked   result = "leaks" // the test passes, the TestMain around it does not
)

// test runs one test of a binary.
func (c *check) test(ctx context.Context, folder, binary, name string) (result, []byte, error) {
	// The test ends itself. What does not do even that is not taken for caught.
	limit, cancel := context.WithTimeout(ctx, c.timeout+20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(limit, binary, "-test.v", "-test.run=^"+name+"$", "-test.timeout="+c.timeout.String())
	cmd.Dir = filepath.Join(c.root, folder)
	cmd.WaitDelay = time.Second
	inGroup(cmd)
	defer endGroup(cmd)
	output, err := cmd.CombinedOutput()
	if limit.Err() != nil {
		return "", output, fmt.Errorf("%s did not end: %w", name, limit.Err())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", output, err
	}
	how, err := judge(name, string(output), err != nil)
	return how, output, err
}

// judge reads what a test binary wrote.
func judge(name, output string, bad bool) (result, error) {
	ended := func(how string) bool { return strings.Contains("\n"+output, "\n--- "+how+": "+name+" ") }
	switch {
	case !strings.Contains("\n"+output, "\n=== RUN   "+name+"\n"):
		return "", fmt.Errorf("%s did not run: is there such a test?\n%s", name, output)
	case ended("SKIP"):
		return "", fmt.Errorf("%s was skipped", name)
	case !bad && ended("PASS"):
		return passed, nil
	case strings.Contains(output, "panic: test timed out after "):
		return timedOut, nil
	case bad && ended("PASS"):
		return leaked, nil
	case strings.Contains(output, "\npanic: ") || strings.Contains(output, "\nfatal error: "):
		return panicked, nil
	case bad && ended("FAIL"):
		return failed, nil
	}
	return "", fmt.Errorf("%s ended in a way that says nothing:\n%s", name, output)
}
