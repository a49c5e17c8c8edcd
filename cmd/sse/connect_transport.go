package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
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
	if t.TLSClientConfig, err = c.tlsConfig(cmd.Context()); err != nil {
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
	u, ok := proxyURL(raw)
	switch {
	case ok:
		return http.ProxyURL(u), nil
	case u != nil:
		return nil, usagef("--proxy: scheme %q: want http, https, socks5 or socks5h", u.Scheme)
	}
	return nil, usagef("--proxy: not a URL, as http://localhost:3128")
}

// proxyURL reads the URL of a proxy. It is not ok with a scheme that is not
// spoken; what is no URL with scheme and host is nil.
func proxyURL(raw string) (u *url.URL, ok bool) {
	u, err := url.Parse(raw)
	if err != nil || !schemed.MatchString(raw) || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return nil, false
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, true
	}
	return u, false
}

// checkProxyVariable refuses a proxy of the environment that net/http would
// ignore or take for a host. It is not asked for a URL that needs none.
func (c *connection) checkProxyVariable(cmd *cobra.Command, to *url.URL) error {
	ip, err := netip.ParseAddr(to.Hostname())
	if c.proxy != "" || c.unixSocket != "" || cmd.Flags().Changed("proxy") || to.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	name := strings.ToUpper(to.Scheme) + "_PROXY"
	if os.Getenv(name) == "" {
		name = strings.ToLower(name)
	}
	raw := os.Getenv(name)
	if raw == "" {
		return nil
	}
	if !schemed.MatchString(raw) {
		raw = "http://" + raw // as net/http has it
	}
	if _, ok := proxyURL(raw); !ok {
		return usagef("%s: not a proxy URL, as http://localhost:3128; --proxy '' is for none", name)
	}
	return nil
}

func (c *connection) tlsConfig(ctx context.Context) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: c.insecure}
	if c.cacert != "" {
		pem, err := readNamed(ctx, "--cacert", c.cacert, mostText)
		if err != nil {
			return nil, err
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
		flag := "--cert"
		if c.key != "" {
			flag = "--cert, --key"
		}
		cert, err := readNamed(ctx, flag, c.cert, mostText)
		if err != nil {
			return nil, err
		}
		key, err := readNamed(ctx, flag, cmp.Or(c.key, c.cert), mostText)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, usagef("%s: %w", flag, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
