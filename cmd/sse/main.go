// Command sse follows, judges, records and replays event streams.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run runs one command line and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	keepSIGPIPE()
	log.SetOutput(io.Discard) // net/http tells there of faults that are known, or do no harm
	ctx, stop := untilSignal(context.Background())
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := execute(ctx, root)
	code := codeOf(ctx, err)
	if err != nil {
		printError(stderr, err)
	}
	return code
}

// printError prints what an error says, if anything. What a terminal would
// obey, from a server or in an argument, is escaped.
func printError(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "sse: ")
		_, _ = fmt.Fprintln(w, "sse: "+shown(line)) // the exit code says it too
	}
}

// newRoot returns the command tree.
func newRoot() *cobra.Command {
	cobra.EnableCommandSorting = false // as the design has them
	root := newTail(true)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newTail(false), newDemo(), newCheck(), newRecord(), newServe(), newParse(), newTop(), newCompletion(), newMan(), newVersion())
	root.SetHelpCommand(newHelp())
	for _, cmd := range root.Commands() {
		cmd.DisableFlagsInUseLine = true // helpOf says it
		completeFlags(cmd)
	}
	completeFlags(root)
	return root
}

// codeOf returns the exit code for the error of a command.
func codeOf(ctx context.Context, err error) int {
	var coded codeError
	var sig signalError
	var usage usageError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &sig), errors.As(context.Cause(ctx), &sig):
		return sig.code()
	case errors.As(err, &usage):
		return exitUsage
	case err != nil:
		return exitInternal
	}
	return exitDone
}
