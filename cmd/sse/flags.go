package main

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError is the usageError for what pflag says of a command line, in words
// of this program. What it quotes of flags that do not exist may be a secret,
// as in -bsession=1.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var syntax *pflag.InvalidSyntaxError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		// A long flag may have been meant, as other programs take it.
		name, _, _ := strings.Cut(unknown.GetSpecifiedShortnames(), "=")
		return usagef("unknown flag: -%s%s", unknown.GetSpecifiedName(), instead(cmd, name))
	case errors.As(err, &unknown):
		return usagef("unknown flag: --%s%s", unknown.GetSpecifiedName(), instead(cmd, unknown.GetSpecifiedName()))
	case errors.As(err, &syntax):
		return usagef("a flag has no name")
	case errors.As(err, &missing):
		name := "--" + missing.GetSpecifiedName()
		if missing.GetSpecifiedShortnames() != "" {
			name = name[1:]
		}
		arg, _ := pflag.UnquoteUsage(missing.GetFlag())
		return usagef("%s needs a value: %[1]s %s", name, arg)
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		return usagef("%s %q: %s", shortest(f), invalid.GetValue(), wanted(f, invalid))
	}
	return usageError{err}
}

// shortest names a flag by its letter if it has one.
func shortest(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand
	}
	return "--" + f.Name
}

// wanted says what values a flag takes that did not take one.
func wanted(f *pflag.Flag, err *pflag.InvalidValueError) string {
	switch kind := f.Value.Type(); {
	case kind == "duration":
		return "want a duration, as 5s or 1m"
	case kind == "bool":
		return "want true or false, or no value"
	case errors.Is(err, strconv.ErrRange):
		return "the number is too large"
	case kind == "int":
		return "want a whole number"
	case kind == "uint64":
		return "want a whole number, 1 or more"
	}
	return err.Unwrap().Error()
}

// instead names the flags of cmd that are nearest to one that does not exist,
// or else where they are listed.
func instead(cmd *cobra.Command, name string) string {
	type candidate struct {
		name string
		far  int
	}
	var near []candidate
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		far := distance(name, f.Name)
		isBeginning := len(name) > 2 && strings.HasPrefix(f.Name, name)
		if !f.Hidden && (isBeginning || far <= len(name)/3) {
			near = append(near, candidate{"--" + f.Name, far})
		}
	})
	if near == nil {
		topic := "flags"
		if cmd.HasParent() && cmd.Name() != "tail" {
			topic = cmd.Name()
		}
		return " (sse help " + topic + " lists them)"
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	var names []string
	for _, c := range near[:min(len(near), 3)] {
		names = append(names, c.name)
	}
	return "; did you mean " + strings.Join(names, " or ") + "?"
}

// distance is how many letters are to be put in, left out or replaced to make
// b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of the letters of a so far, to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// flagValues are the values of flags, by the flag's name and its argument's,
// as it is not the same flag everywhere.
var flagValues = map[string][]string{
	"output FORMAT": outputFormats,
	"show KIND":     shownKinds,
	"color WHEN":    colorChoices,
	"status WHEN":   statusChoices,
	"retry WHEN":    {retryAuto, retryAlways, retryNever},
	"speed FACTOR":  {"1x", "10x", "max"},
}

// completeFlags registers the completion of the values of a command's flags
// that have none yet.
func completeFlags(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		arg, _ := pflag.UnquoteUsage(f)
		if values, ok := flagValues[f.Name+" "+arg]; ok {
			// An error would say that the command has registered its own.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
	})
}
