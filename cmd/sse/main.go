// Command sse follows, judges, records and replays event streams.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run runs one command line and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	keepSIGPIPE()
	ctx, stop := untilSignal(context.Background())
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
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

// untilSignal returns a context that the first interrupt or termination
// cancels, with a signalError as its cause. The second ends the program at
// once.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case sig := <-signals:
				if n > 0 {
					quit(signalError{sig}.code())
				}
				cancel(signalError{sig})
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// atQuit is run before a second signal ends the program: what shows a screen
// gives the terminal back here.
var atQuit atomic.Pointer[func()]

func quit(code int) {
	if giveBack := atQuit.Load(); giveBack != nil {
		(*giveBack)()
	}
	os.Exit(code)
}

// newRoot returns the command tree.
func newRoot() *cobra.Command {
	cobra.EnableCommandSorting = false // as the design has them
	root := newTail(true)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(printHelp)
	root.AddCommand(newTail(false), newDemo(), newCheck(), newRecord(), newServe(), newParse(), newTop(), newCompletion(), newMan(), newVersion())
	root.SetHelpCommand(newHelp())
	root.DisableAutoGenTag = true
	for _, cmd := range root.Commands() {
		cmd.DisableFlagsInUseLine = true // helpOf says it
		cmd.DisableAutoGenTag = true
		args := cmd.Args
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return usagef("%s: %w", cmd.Name(), err)
			}
			return nil
		}
	}
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
