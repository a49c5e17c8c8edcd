//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// inGroup makes cmd lead a process group.
func inGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup ends what is left of cmd's group: a test that dies leaves the
// processes that it started behind.
func endGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // mostly there is nothing left
	}
}
