package main

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestFetch(t *testing.T) {
	date := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", date.Format(http.TimeFormat))
		switch r.URL.Path {
		case "/number":
			_, _ = w.Write([]byte(`{"price": 70000, "text": "340282366920938463463374607431768211455"}`))
		case "/long":
			_, _ = w.Write(make([]byte, maxAnswer+1))
		case "/moved":
			http.Redirect(w, r, "/number", http.StatusFound)
		case "/undated":
			w.Header()["Date"] = nil
			_, _ = w.Write([]byte(`{"price": 1}`))
		default:
			_, _ = w.Write([]byte(`{"price": 1.5}`))
		}
	}))
	defer server.Close()
	pinned := x509.NewCertPool()
	pinned.AddCert(server.Certificate())

	for field, want := range map[string]string{"price": "70000", "text": "340282366920938463463374607431768211455"} {
		value, observed, err := fetch(t.Context(), server.URL+"/number", pinned, field)
		if err != nil || value.String() != want || !observed.Equal(date) {
			t.Errorf("%s: %v at %v, %v", field, value, observed, err)
		}
	}
	for _, c := range []struct {
		url, field, want string
		roots            *x509.CertPool
	}{
		{server.URL + "/number", "price", "certificate", x509.NewCertPool()}, // another root
		{strings.Replace(server.URL, "https", "http", 1), "price", "no https", pinned},
		{server.URL + "/number", "missing", "no whole number", pinned},
		{server.URL + "/fraction", "price", "no whole number", pinned},
		{server.URL + "/long", "price", "longer", pinned},
		{server.URL + "/moved", "price", "status 302", pinned},
		{server.URL + "/undated", "price", "what time", pinned},
	} {
		if _, _, err := fetch(t.Context(), c.url, c.roots, c.field); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.url, c.field, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":"1"}`, `{"a":-1}`, `{"a":1.5}`, `{"a":""}`, `[]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if value, err := parse(b, "a"); err == nil && !strings.Contains(string(b), strings.TrimLeft(value.String(), "0")) {
			t.Errorf("%q is read as %v", b, value)
		}
	})
}
