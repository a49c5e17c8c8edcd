package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newMan returns the command man.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR|-",
		Short: "write the manual pages into a folder, or one to stdout",
		Example: `  sse man - | man -l -
  sse man /usr/local/share/man/man1`,
		Args: wantArgs(1, "one DIR, or - for stdout"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			if args[0] == "-" {
				_, err := io.WriteString(cmd.OutOrStdout(), manualPage(root))
				return written(err)
			}
			for _, cmd := range append(root.Commands(), root) {
				if !cmd.IsAvailableCommand() {
					continue
				}
				path := filepath.Join(args[0], pageName(cmd)+".1")
				if err := os.WriteFile(path, []byte(manualPage(cmd)), 0o644); err != nil {
					return codeError{exitOutput, fmt.Errorf("man: %w", err)}
				}
			}
			return nil
		},
	}
}

// pageName returns the name of a command's manual page.
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manualPage returns the manual page of a command, in roff. It has no date, so
// that it is the same whenever it is made.
func manualPage(cmd *cobra.Command) string {
	var b strings.Builder
	name := pageName(cmd)
	fmt.Fprintf(&b, ".TH %q \"1\" \"\" \"sse\" \"sse manual\"\n", roff(strings.ToUpper(name)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s", synopsis(cmd))
	text := cmd.Long
	if cmd.Name() == "tail" {
		text = manual
	}
	if text == "" {
		text = sentence(cmd.Short)
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", strings.ReplaceAll(roff(text), "\n\n", "\n.PP\n"))
	if options := manualOptions(cmd.Flags()); options != "" {
		fmt.Fprintf(&b, ".SH OPTIONS\n%s", options)
	}
	fmt.Fprintln(&b, ".SH EXIT STATUS")
	for _, status := range exitStatus {
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", status.code, roff(status.means))
	}
	fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(strings.TrimRight(cmd.Example, "\n")))
	others := []string{`\fBsse\fR(1)`}
	if !cmd.HasParent() {
		others = nil
		for _, cmd := range cmd.Commands() {
			if cmd.IsAvailableCommand() {
				others = append(others, `\fB`+roff(pageName(cmd))+`\fR(1)`)
			}
		}
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(others, ", "))
	return b.String()
}

// synopsis returns the command lines of a command.
func synopsis(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return "\\fBsse\\fR URL... [flags]\n.br\n\\fBsse\\fR COMMAND\n"
	}
	line := `\fB` + cmd.CommandPath() + `\fR`
	if _, args, ok := strings.Cut(cmd.Use, " "); ok {
		line += " " + roff(args)
	}
	if manualOptions(cmd.Flags()) != "" {
		line += " [flags]"
	}
	return line + "\n"
}

// manualOptions tells of each flag.
func manualOptions(fs *pflag.FlagSet) string {
	var b strings.Builder
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		tag := `\fB` + roff("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			tag = `\fB` + roff("-"+f.Shorthand) + `\fR, ` + tag
		}
		arg, text := pflag.UnquoteUsage(f)
		if arg != "" {
			tag += ` \fI` + roff(arg) + `\fR`
		}
		// The others are what a flag that is not given says.
		if !slices.Contains([]string{"", "0", "0s", "false", "[]"}, f.DefValue) {
			text += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(&b, ".TP\n%s\n%s\n", tag, roff(text))
	})
	return b.String()
}

var roffEscapes = strings.NewReplacer(
	`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "\n.", "\n\\&.")

// roff returns text so that it reads, and can be copied, as it is.
func roff(text string) string {
	return strings.TrimPrefix(roffEscapes.Replace("\n"+text), "\n")
}

// newCompletion returns the command completion.
func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "print the completion script of a shell",
		Example: `  source <(sse completion bash)
  sse completion zsh > "${fpath[1]}/_sse"
  sse completion fish > ~/.config/fish/completions/sse.fish
  sse completion powershell | Out-String | Invoke-Expression`,
		Args:      wantArgs(1, "one shell: bash, zsh, fish or powershell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return written(root.GenBashCompletionV2(out, true))
			case "zsh":
				return written(root.GenZshCompletion(out))
			case "fish":
				return written(root.GenFishCompletion(out, true))
			case "powershell":
				return written(root.GenPowerShellCompletionWithDesc(out))
			}
			return usagef("completion: %q is none of bash, zsh, fish, powershell", args[0])
		},
	}
}
