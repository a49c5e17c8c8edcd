package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// eachCommand calls f with each command, the root included.
func eachCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, child := range cmd.Commands() {
		eachCommand(child, f)
	}
}

func TestHelpFitsAScreenAndCarriesExamples(t *testing.T) {
	root := newRoot()
	root.InitDefaultHelpCmd()
	eachCommand(root, func(cmd *cobra.Command) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			help := helpOf(cmd)
			if n := strings.Count(help, "\n"); n > 24 {
				t.Errorf("%d lines, want at most 24:\n%s", n, help)
			}
			for line := range strings.Lines(help) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
					t.Errorf("%d columns, want at most %d: %s", n, helpWidth, line)
				}
			}
			if !strings.Contains(help, "\nExamples:\n  ") {
				t.Errorf("no examples:\n%s", help)
			}
			if first := cmd.Short[:1]; first != strings.ToLower(first) {
				t.Errorf("%q does not begin in lower case", cmd.Short)
			}
			if cmd.HasParent() {
				wantFlagsNamed(t, help, cmd)
			}
		})
	})
}

// wantFlagsNamed wants that the help of a command names all its flags, by
// their letters at least.
func wantFlagsNamed(t *testing.T, help string, cmd *cobra.Command) {
	t.Helper()
	words := strings.FieldsFunc(help, func(r rune) bool { return strings.ContainsRune(" ,\n", r) })
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if !slices.Contains(words, "--"+f.Name) && (f.Shorthand == "" || !slices.Contains(words, "-"+f.Shorthand)) {
			t.Errorf("--%s is not named:\n%s", f.Name, help)
		}
	})
}

func TestHelpOfFlagsExplainsEachFlagOfTail(t *testing.T) {
	text := helpOfAllFlags()
	for line := range strings.Lines(text) {
		if len(line) > helpWidth+1 {
			t.Errorf("more than %d columns: %s", helpWidth, line)
		}
	}
	newTail(false).Flags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(text, "--"+f.Name) {
			t.Errorf("--%s is not explained", f.Name)
		}
		if _, usage := pflag.UnquoteUsage(f); usage == "" {
			t.Errorf("--%s has no text", f.Name)
		}
	})
}
