package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

var servers sync.Map // *exec.Cmd by URL

// serving NAME [<FILE] ARGS... starts "sse serve ARGS...", with FILE as its
// stdin, and puts the URL that it prints into the variable NAME. It runs until
// it ends by itself, or the script ends.
func serving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serving NAME [<FILE] ARGS...")
	}
	name, args := args[0], args[1:]
	var stdin io.Reader
	if file, ok := strings.CutPrefix(args[0], "<"); ok {
		stdin = strings.NewReader(ts.ReadFile(file))
		args = args[1:]
	}
	cmd := exec.Command("sse", append([]string{"serve"}, args...)...)
	cmd.Dir, cmd.Stdin, cmd.Stderr = ts.MkAbs("."), stdin, os.Stderr
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	ts.Check(err)
	url = strings.TrimSuffix(url, "\n")
	ts.Setenv(name, url)
	servers.Store(url, cmd)
}

// served NAME CODE [SIGNAL] waits until the server NAME ends, or makes it end
// by an interrupt, and wants the exit code CODE.
func served(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) == 3 && args[2] != "interrupt" {
		ts.Fatalf("usage: served NAME CODE [interrupt]")
	}
	server, ok := servers.Load(ts.Getenv(args[0]))
	if !ok {
		ts.Fatalf("no server %s", args[0])
	}
	cmd := server.(*exec.Cmd)
	if len(args) == 3 {
		ts.Check(cmd.Process.Signal(os.Interrupt))
	}
	_ = cmd.Wait() // the code tells
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("exit code %s, want %s", got, args[1])
	}
}
