package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// wantArgs returns what checks that a command has the one argument that it is
// for, or none if least is 0, in words of this program.
func wantArgs(least int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > 1 {
			return usagef("%s is for %s; got %d", cmd.Name(), what, len(args))
		}
		return nil
	}
}

// noArgs is for commands without arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument; got %d", cmd.Name(), len(args))
	}
	return nil
}

// checkURLs refuses what was not meant as a URL, and would be looked up as a
// host for ever. The first may be a bare host, as is asked for with sse tail.
func checkURLs(args []string) error {
	for i, arg := range args {
		switch arg = strings.TrimSpace(arg); {
		case strings.HasPrefix(arg, "-"):
			// It is not quoted: it may be a flag with a secret.
			return usagef("argument %d begins with \"-\", as no URL does; flags stand before --", i+1)
		case i > 0 && arg != "" && !likeURL(arg):
			return usagef("%q does not look like a URL; did you mean http://%[1]s?", arg)
		}
	}
	return nil
}

// likeURL reports whether text looks like a URL, and not like a stray word.
func likeURL(text string) bool { return strings.ContainsAny(text, ".:/") || text == "localhost" }
