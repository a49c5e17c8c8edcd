package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how wide help is at most.
const helpWidth = 80

const rootExamples = `  sse https://example.com/events                          watch; Ctrl-C ends it
  sse URL -e price --where '.p > 10' -q .p -n 3           three high prices
  sse URL --state last.id --exec ./handle                 go on where it ended
  sse URL -d '{"q":1}' --bearer-env TOKEN -o data | cat   POST, text alone`

const tailExamples = `  sse tail https://example.com/events -e price,alert -v
  sse tail URL --where '.p > 10' -q '"\($id) \(.p)"' --until '.last'
  sse tail URL --state last.id --forward http://localhost:9000/hook --for 1h`

// A flagGroup is flags about one thing.
type flagGroup struct {
	title string
	names []string
}

// flagGroups are the flags of tail.
var flagGroups = []flagGroup{
	{"Request", []string{"method", "data", "json", "header", "bearer-env", "user", "netrc", "from-curl", "last-event-id", "state"}},
	{"Connection", []string{
		"retry", "retries", "retry-for", "max-delay", "retry-status", "idle", "connect-timeout", "max-event-size",
		"cacert", "cert", "key", "insecure", "proxy", "unix-socket", "http1.1",
	}},
	{"Choose", []string{"event", "where", "grep", "jq"}},
	{"Print", []string{"output", "template", "timestamps", "show", "color", "silent", "verbose", "status", "write"}},
	{"Stop", []string{"count", "until", "until-event", "for", "timeout", "once"}},
	{"Act", []string{"exec", "forward"}},
}

// manual is what the manual page says of the whole.
const manual = `sse follows event streams (Server-Sent Events): it reconnects, resumes after
the last whole event, and prints events only, to standard output. sse URL is
the same as sse tail URL.

A URL without a scheme is http for localhost, IP addresses and --unix-socket,
else https.

Of the environment it reads NO_COLOR, TERM, HTTP_PROXY, HTTPS_PROXY, NO_PROXY,
NETRC, and what flags name.`

// exitStatus is what the manual pages say of the exit codes.
var exitStatus = []struct{ code, means string }{
	{"0", "the asked-for end was reached, or the reader of standard output went away"},
	{"1", "a fault of this program, or check or parse --strict found one"},
	{"2", "the command line is wrong"},
	{"3", "the server said no"},
	{"4", "trouble that may pass, but no attempt is left or allowed"},
	{"5", "the stream ended cleanly before what was asked for"},
	{"6", "the output side failed"},
	{"124", "--timeout"},
	{"129, 130, 143", "SIGHUP, SIGINT and SIGTERM; a second one ends it at once, if it does not come with the first"},
}

const exitCodes = `Exit codes: 0 done as asked, 1 fault, 2 usage, 3 the server said no, 4 trouble
that may pass, 5 ended too early, 6 output failed, 124 --timeout, 128+N signal
`

// execute runs the command line of root. Its error is also that of help which
// could not be printed, for which cobra has no place.
func execute(ctx context.Context, root *cobra.Command) error {
	var unprinted error
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		_, err := io.WriteString(cmd.OutOrStdout(), helpOf(cmd))
		unprinted = written(err)
	})
	return cmp.Or(root.ExecuteContext(ctx), unprinted)
}

// helpOf returns the help of a command, which fits a screen of 24 lines: flags
// that many commands share are named only.
func helpOf(cmd *cobra.Command) string {
	var b strings.Builder
	text := cmd.Long
	if text == "" || !cmd.HasParent() {
		text = sentence(cmd.Short)
	}
	fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(text))
	if !cmd.HasParent() {
		helpOfCommands(&b, cmd)
		fmt.Fprintf(&b, "\nExamples:\n%s\n\n%s", cmd.Example, exitCodes)
		return b.String()
	}
	shared, own := sharedFlags(cmd)
	usage := "Usage: " + cmd.UseLine()
	if slices.ContainsFunc(shared, func(flags []*pflag.Flag) bool { return flags != nil }) {
		usage = fmt.Sprintf("%-42s (sse help flags explains each flag)", usage+" [flags]")
	}
	fmt.Fprintf(&b, "%s\n\nExamples:\n%s\n", usage, strings.TrimRight(cmd.Example, "\n"))
	helpOfFlags(&b, cmd, shared, own)
	return b.String()
}

// sentence makes the short text of a command a sentence.
func sentence(short string) string {
	if short == "" {
		return ""
	}
	return strings.ToUpper(short[:1]) + short[1:] + "."
}

func helpOfCommands(b *strings.Builder, root *cobra.Command) {
	fmt.Fprintln(b, "  sse URL... [flags]  same as sse tail")
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() || cmd.Name() == "help" {
			fmt.Fprintf(b, "  sse %-14s  %s\n", cmd.Name(), cmd.Short)
		}
	}
}

// sharedFlags returns the flags of cmd that are tail's too, by group, and the
// others.
func sharedFlags(cmd *cobra.Command) (shared [][]*pflag.Flag, own *pflag.FlagSet) {
	tail := newTail(false).Flags()
	own = pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	shared = make([][]*pflag.Flag, len(flagGroups))
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		same := tail.Lookup(f.Name)
		group := slices.IndexFunc(flagGroups, func(g flagGroup) bool { return slices.Contains(g.names, f.Name) })
		switch {
		case f.Name == "help" || f.Hidden:
		case group >= 0 && same != nil && same.Usage == f.Usage:
			shared[group] = append(shared[group], f)
		default:
			own.AddFlag(f)
		}
	})
	for i, flags := range shared {
		slices.SortFunc(flags, func(f, g *pflag.Flag) int {
			return slices.Index(flagGroups[i].names, f.Name) - slices.Index(flagGroups[i].names, g.Name)
		})
	}
	return shared, own
}

// helpOfFlags tells of each flag of the command's own, and names the others.
func helpOfFlags(b *strings.Builder, cmd *cobra.Command, shared [][]*pflag.Flag, own *pflag.FlagSet) {
	if own.HasAvailableFlags() {
		fmt.Fprintf(b, "\nFlags:\n%s", own.FlagUsagesWrapped(helpWidth))
	}
	first := true
	for i, flags := range shared {
		var words []string
		for _, f := range flags {
			words = append(words, briefly(f, cmd.Name() == "tail"))
		}
		if words == nil {
			continue
		}
		if first {
			fmt.Fprintln(b)
			first = false
		}
		b.WriteString(indented(flagGroups[i].title+":", words))
	}
}

// briefly names a flag, by its letter if that is all that is wanted, or also
// in full and with its argument.
func briefly(f *pflag.Flag, full bool) string {
	text := "--" + f.Name
	if f.Shorthand != "" && full {
		text = "-" + f.Shorthand + " " + text
	} else if f.Shorthand != "" {
		text = "-" + f.Shorthand
	}
	if arg, _ := pflag.UnquoteUsage(f); arg != "" && full {
		text += " " + arg
	}
	return text
}

// indented puts words in lines after a title.
func indented(title string, words []string) string {
	const column = 12
	var b strings.Builder
	line := fmt.Sprintf("%-*s", column-1, title)
	for i, word := range words {
		if i < len(words)-1 {
			word += ","
		}
		if len(line)+1+len(word) > helpWidth {
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", column-1)
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// helpOfAllFlags tells of each flag of tail.
func helpOfAllFlags() string {
	cmd := newTail(false)
	var b strings.Builder
	for i, group := range flagGroups {
		fs := pflag.NewFlagSet(group.title, pflag.ContinueOnError)
		fs.SortFlags = false
		for _, name := range group.names {
			fs.AddFlag(cmd.Flags().Lookup(name))
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:\n%s", group.title, fs.FlagUsagesWrapped(helpWidth))
	}
	b.WriteString(`
A URL without a scheme is http for localhost, IP addresses and --unix-socket,
else https.
`)
	return b.String()
}

// newHelp returns the command help.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND | flags]",
		Short:   "explain a command, or with \"flags\" each flag of tail",
		Example: "  sse help tail\n  sse help flags",
		Args:    wantArgs(0, "one COMMAND, or flags"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) (topics []string, _ cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			add := func(name, text string) {
				if strings.HasPrefix(name, begun) {
					topics = append(topics, cobra.CompletionWithDesc(name, text))
				}
			}
			for _, c := range cmd.Root().Commands() {
				if c.IsAvailableCommand() {
					add(c.Name(), c.Short)
				}
			}
			add("flags", "each flag of tail")
			return topics, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return cmd.Root().Help()
			case args[0] == "flags":
				_, err := io.WriteString(cmd.OutOrStdout(), helpOfAllFlags())
				return written(err)
			}
			topic, _, err := cmd.Root().Find(args)
			if err != nil || topic == cmd.Root() {
				return usagef("help: there is no command %q", args[0])
			}
			return topic.Help()
		},
	}
}

// checkCommand refuses what is neither a command nor looks like a URL.
func checkCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 || args[0] == "" || strings.HasPrefix(args[0], "-") || likeURL(args[0]) {
		return nil // what is no URL is refused with its reason, as for all commands
	}
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("there is no command %q; did you mean sse %s? (If it is a host: http://%[1]s)", args[0], near[0])
	}
	return usagef("%q is no command (see sse --help) and does not look like a URL; if it is a host: http://%[1]s", args[0])
}
