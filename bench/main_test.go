package main

import (
	"os"
	"testing"
)

// TestMain makes the test's binary the server that startServer runs, and the
// client of idle streams.
func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	idleClient()
	commandLoop()
	os.Exit(m.Run())
}
