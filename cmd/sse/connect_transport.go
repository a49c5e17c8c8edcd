package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// transport returns a transport as the connection flags say. It limits no
// stream: the limits here are those of making a connection.
func (c *connection) transport(cmd *cobra.Command) (*http.Transport, error) {
	limit := cmp.Or(c.connectTimeout, 30*time.Second)
	dialer := &net.Dialer{Timeout: limit}
	t := &http.Transport{
		DialContext: dialer.DialContext,
		// After the Timeout of the client, which has the words for it.
		TLSHandshakeTimeout: limit + time.Second,
		Protocols:           new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(!c.http11)
	var err error
	if t.TLSClientConfig, err = c.tlsConfig(); err != nil {
		return nil, err
	}
	if c.unixSocket != "" {
		if cmd.Flags().Changed("proxy") {
			return nil, usagef("--unix-socket and --proxy: give one of them")
		}
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", c.unixSocket)
		}
		return t, nil
	}
	t.Proxy, err = c.proxyFunc(cmd)
	return t, err
}

// proxyFunc returns the choice of a proxy. Its errors do not quote the URL,
// which may hold a password.
func (c *connection) proxyFunc(cmd *cobra.Command) (func(*http.Request) (*url.URL, error), error) {
	if c.proxy == "" {
		if cmd.Flags().Changed("proxy") {
			return nil, nil
		}
		return http.ProxyFromEnvironment, nil
	}
	raw, err := expand("--proxy", c.proxy, percentEncoded)
	if err != nil {
		return nil, err
	}
	if !schemed.MatchString(raw) {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return nil, usagef("--proxy: not a URL, as http://localhost:3128")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return http.ProxyURL(u), nil
	}
	return nil, usagef("--proxy: scheme %q: want http, https, socks5 or socks5h", u.Scheme)
}

func (c *connection) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: c.insecure}
	if c.cacert != "" {
		pem, err := os.ReadFile(c.cacert)
		if err != nil {
			return nil, usagef("--cacert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("--cacert %s: no PEM certificate in it", c.cacert)
		}
	}
	switch {
	case c.cert == "" && c.key != "":
		return nil, usagef("--key needs --cert")
	case c.cert != "":
		pair, err := tls.LoadX509KeyPair(c.cert, cmp.Or(c.key, c.cert))
		if err != nil {
			flag := "--cert"
			if c.key != "" {
				flag = "--cert, --key"
			}
			return nil, usagef("%s: %w", flag, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
