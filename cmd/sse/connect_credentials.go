package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// authorize puts the credentials that the flags give into r. own are the
// headers of -H.
func (c *connection) authorize(cmd *cobra.Command, r *request, own http.Header) error {
	var given []string
	if own.Get("Authorization") != "" {
		given = append(given, "-H Authorization")
	}
	if c.bearerEnv != "" {
		given = append(given, "--bearer-env")
	}
	if c.user != "" {
		given = append(given, "-u")
	}
	if len(given) > 1 {
		return usagef("%s: give one of them", strings.Join(given, " and "))
	}
	switch {
	case len(given) == 1:
		r.credentials = given[0]
	case own.Get("Cookie") != "":
		r.credentials = "-H Cookie"
	case r.header.Get("Authorization")+r.header.Get("Cookie") != "":
		r.credentials = "--from-curl"
	}
	switch {
	case c.bearerEnv != "":
		value := strings.TrimSpace(os.Getenv(c.bearerEnv))
		if value == "" {
			return usagef("--bearer-env: the environment has no token in %s", c.bearerEnv)
		}
		if strings.ContainsFunc(value, isControl) {
			return usagef("--bearer-env: the token in %s holds a control character", c.bearerEnv)
		}
		r.header.Set("Authorization", "Bearer "+value)
	case c.user != "":
		user, password, err := c.login(cmd)
		if err != nil {
			return err
		}
		r.header.Set("Authorization", basic(user, password))
	}
	return nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// login returns user and password of -u; it asks for a missing password.
func (c *connection) login(cmd *cobra.Command) (user, password string, err error) {
	user, password, ok := strings.Cut(c.user, ":")
	if user, err = expand("-u", user, strings.TrimSpace); err != nil {
		return "", "", err
	}
	if ok {
		password, err = expand("-u", password, strings.TrimSpace)
		return user, password, err
	}
	in, isFile := cmd.InOrStdin().(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) {
		return "", "", usagef("-u: no password, and no terminal to ask for it; write USER:PASS or USER:${VAR}, or USER: for none")
	}
	text, err := askPassword(cmd.Context(), in, cmd.ErrOrStderr())
	return user, string(text), err
}

// askPassword asks for a password on a terminal. The echo is off before the
// question is there. Ctrl-C and Ctrl-D are no answer.
func askPassword(ctx context.Context, in *os.File, out io.Writer) ([]byte, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, usagef("-u: the terminal cannot ask for a password: %w", err)
	}
	answer, err := interruptible(ctx, func() ([]byte, error) {
		text, err := term.NewTerminal(readWriter{in, out}, "").ReadPassword("Password: ")
		if err == io.EOF {
			err = signalError{os.Interrupt}
		}
		return []byte(text), err
	})
	return answer, errors.Join(err, term.Restore(int(in.Fd()), before))
}

type readWriter struct {
	io.Reader
	io.Writer
}

// netrcLogin returns what --netrc has for the host of u.
func (c *connection) netrcLogin(u *url.URL) (machine, bool) {
	if u.User != nil {
		return machine{}, false
	}
	i := slices.IndexFunc(c.machines, func(m machine) bool {
		return m.name == "" || strings.EqualFold(m.name, u.Hostname())
	})
	if i < 0 {
		return machine{}, false
	}
	return c.machines[i], true
}
