package rpcclient

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for url, want := range map[string]string{
		"ws://127.0.0.1:9944":                               "ws://127.0.0.1:9944",
		"wss://user:SECRET@node.example/v3/SECRET?k=SECRET": "wss://node.example",
		"wss://[::1]:1/SECRET#SECRET":                       "wss://[::1]:1",
		"wss://node.example:SECRET/":                        "(a URL that is not valid)",
		"SECRET":                                            "(a URL that is not valid)",
		"mailto:SECRET":                                     "(a URL that is not valid)",
		"":                                                  "(a URL that is not valid)",
	} {
		if got := Redact(url); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
}

// TestDialErrors: no way to fail shows more of the URL than scheme and host.
func TestDialErrors(t *testing.T) {
	refuses := httptest.NewServer(http.NotFoundHandler())
	defer refuses.Close()
	redirects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/elsewhere"+r.URL.Path+"?"+r.URL.RawQuery, http.StatusFound)
	}))
	defer redirects.Close()
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	const rest = "/v3/SECRETPATH?key=SECRETQUERY"
	for name, url := range map[string]string{
		"nobody there": "ws://SECRETUSER:SECRETPASS@127.0.0.1:1" + rest,
		"refused":      "ws://SECRETUSER:SECRETPASS@" + host(refuses) + rest,
		"redirected":   "ws://SECRETUSER:SECRETPASS@" + host(redirects) + rest,
		"scheme":       "gopher://SECRETUSER:SECRETPASS@127.0.0.1" + rest,
		"port":         "ws://127.0.0.1:SECRETPASS" + rest,
		"no host":      "SECRETPASS",
		"control":      "ws://127.0.0.1/SECRET\x7fPATH",
		"escape":       "ws://127.0.0.1/SECRET%zz",
		"host escape":  "ws://SECRET%zz:1/",
	} {
		c, err := Dial(t.Context(), url, Options{})
		if err == nil {
			c.Close()
			t.Fatalf("%s: connected", name)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "SECRET") {
				t.Errorf("%s: %v", name, e)
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Dial(ctx, "ws://127.0.0.1:1"+rest, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
