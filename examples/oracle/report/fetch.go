package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/offchain-worker/sdk/scale"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// fetch gets a number over HTTPS from a server whose certificate leads to one
// of the pinned roots, and from no other, and the time that the server says it is.
func fetch(ctx context.Context, url string, roots *x509.CertPool, field string) (value scale.U128, observed time.Time, err error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	httpClient := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return value, observed, err
	}
	if req.URL.Scheme != "https" {
		return value, observed, errors.New("the source is no https URL")
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return value, observed, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return value, observed, fmt.Errorf("the source answers with status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return value, observed, err
	}
	if observed, err = http.ParseTime(res.Header.Get("Date")); err != nil {
		return value, observed, errors.New("the source does not say what time it is")
	}
	value, err = parse(body, field)
	return value, observed, err
}

// parse returns a field of a JSON object: a whole number, or a string with one.
func parse(body []byte, field string) (scale.U128, error) {
	if len(body) > maxAnswer {
		return scale.U128{}, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return scale.U128{}, errors.New("the answer is no JSON object")
	}
	value, err := scale.ParseU128(string(bytes.Trim(object[field], `"`)))
	if err != nil {
		return scale.U128{}, errors.New("the answer's field is no whole number")
	}
	return value, nil
}
