//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// leadGroup makes a command the leader of a process group, so that a signal
// reaches all that it runs.
func leadGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup sends a signal to the group of a command.
func signalGroup(leader *os.Process, sig syscall.Signal) error {
	err := syscall.Kill(-leader.Pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
