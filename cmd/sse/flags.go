package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError is the usageError for what pflag says of a command line. What it
// quotes of flags that do not exist may be a secret, as in -bsession=1.
func flagError(_ *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usagef("unknown flag: -%s", unknown.GetSpecifiedName())
	case errors.As(err, &syntax):
		return usagef("a flag has no name")
	}
	return usageError{err}
}
