package rpcclient

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Redact returns scheme and host of a URL, which is all of it that may go into
// logs and messages: user, path and query of a provider's URL are often the
// key to an account there.
func Redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return "(a URL that is not valid)"
	}
	return u.Scheme + "://" + u.Host
}

// dialError says which server could not be reached without the URL's secrets.
// The errors of net/http and net/url quote the URL, or what they could not
// parse of it, so only what is inside of them is kept.
func dialError(rawURL string, err error) error {
	if u, parseErr := url.Parse(rawURL); parseErr != nil || u.Host == "" {
		return errors.New("connect: the URL is not valid, want ws://host:port or wss://host:port")
	}
	if quoting := (*url.Error)(nil); errors.As(err, &quoting) {
		err = quoting.Err
	}
	for _, secret := range secrets(rawURL) {
		if strings.Contains(err.Error(), secret) {
			return fmt.Errorf("connect to %s: failed, and the reason is not shown because it quotes the URL's secrets", Redact(rawURL))
		}
	}
	return fmt.Errorf("connect to %s: %w", Redact(rawURL), err)
}

// secrets returns the parts of a URL that Redact leaves out, if they are long
// enough to tell them from ordinary text.
func secrets(rawURL string) (parts []string) {
	const shortest = 4
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil
	}
	password, _ := u.User.Password()
	for _, part := range append(strings.Split(u.EscapedPath(), "/"), u.User.String(), u.User.Username(), password, u.Path, u.RawQuery, u.Fragment) {
		if len(part) >= shortest {
			parts = append(parts, part)
		}
	}
	return parts
}

// otherServer puts into words that a server of another kind is at the port; other
// errors it returns as they are. resp is the answer to the handshake, or nil.
func otherServer(resp *http.Response, err error) error {
	noTLS := tls.RecordHeaderError{}
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &noTLS):
		return errors.New("the server there has no TLS: is it a parentchain node, and no worker?")
	case resp != nil && resp.StatusCode == http.StatusBadRequest:
		return errors.New("the server there has no WebSocket (HTTP status 400): is it a worker, which has TLS, and no parentchain node?")
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("the server there has no WebSocket (HTTP status %d)", resp.StatusCode)
	}
	return err
}
