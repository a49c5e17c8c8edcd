//go:build unix

package main

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// A FIFO is open and nothing comes, but a signal.
func TestSignalEndsTheReadingOfAFile(t *testing.T) {
	for _, args := range [][]string{
		{"-d", "@fifo", "h"},
		{"-H", "@fifo", "h"},
		{"--from-curl", "fifo"},
		{"--from-curl", "curl"},
		{"--cacert", "fifo", "h"},
		{"--cert", "fifo", "h"},
		{"--netrc", "h"},
	} {
		t.Run(args[0]+" "+args[1], func(t *testing.T) {
			files(t, map[string]string{"curl": "curl h -d @fifo"})
			if err := syscall.Mkfifo("fifo", 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("NETRC", "fifo")
			ctx, cancel := context.WithCancelCause(t.Context())
			over := make(chan struct{})
			go func() {
				// This returns once the other end is open.
				if w, err := os.OpenFile("fifo", os.O_WRONLY, 0); err == nil {
					cancel(signalError{os.Interrupt})
					<-over
					w.Close()
				}
			}()
			c := new(connection)
			cmd := &cobra.Command{Use: "x"}
			cmd.SetContext(ctx)
			c.addFlags(cmd.Flags())
			if err := cmd.ParseFlags(args); err != nil {
				t.Fatal(err)
			}
			_, err := c.urls(cmd, cmd.Flags().Args())
			if err == nil {
				_, err = c.stream(cmd, "h")
			}
			close(over)
			if code := codeOf(ctx, err); code != 130 {
				t.Errorf("exit code %d: %v", code, err)
			}
		})
	}
}
