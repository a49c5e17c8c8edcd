package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan returns the command man.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR|-",
		Short: "write the manual pages into a folder, or one to stdout",
		Example: `  sse man - | man -l -
  sse man /usr/local/share/man/man1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			header := &doc.GenManHeader{Title: "SSE", Section: "1", Source: "sse", Manual: "sse manual"}
			if args[0] == "-" {
				return written(doc.GenMan(root, header, cmd.OutOrStdout()))
			}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return codeError{exitOutput, fmt.Errorf("man: %w", err)}
			}
			return nil
		},
	}
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
		Args:      cobra.ExactArgs(1),
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
