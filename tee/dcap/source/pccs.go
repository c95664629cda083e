package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
)

// Limits of a request. A PCCS that has to ask Intel first takes seconds.
const (
	requestTimeout = 30 * time.Second
	maxHeader      = 64 << 10
	maxBody        = 2 << 20 // a CRL of the largest size that is read, in hex
)

// ErrPCCS means that a PCCS did not answer with what was asked for.
var ErrPCCS = errors.New("dcap source: no collateral from the PCCS")

// PCCS asks a provisioning certificate caching service, or Intel's own service,
// by version 4 of their API. It is safe for concurrent use.
type PCCS struct {
	base    string
	rootCRL string
	client  *http.Client
}

// NewPCCS returns a source for a base URL such as https://pccs.example:8081 (the
// API's paths begin with /sgx and /tdx below it). rootCRL is the URL of the CRL
// of the root CA, in DER, PEM or hex; "" for the PCCS's own /rootcacrl, which
// Intel's service does not have. Collateral is signed, so plain HTTP tells others
// which platforms are asked about, but lets them change nothing.
func NewPCCS(base, rootCRL string) (*PCCS, error) {
	for _, s := range []string{base, rootCRL} {
		if s == "" && s != base {
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" || s == base && u.RawQuery != "" {
			return nil, fmt.Errorf("dcap source: not an HTTP URL of a PCCS: %q", s)
		}
	}
	base = strings.TrimSuffix(base, "/")
	if rootCRL == "" {
		rootCRL = base + "/sgx/certification/v4/rootcacrl"
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = maxHeader
	return &PCCS{base: base, rootCRL: rootCRL, client: &http.Client{
		Transport: transport,
		Timeout:   requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it redirects elsewhere")
		},
	}}, nil
}

// Collateral makes four requests. Errors wrap ErrPCCS; ctx ends them early.
func (s *PCCS) Collateral(ctx context.Context, p dcap.Platform) (*dcap.Collateral, error) {
	family := "sgx"
	switch {
	case p.Kind == tee.TDX:
		family = "tdx"
	case p.Kind != tee.SGX:
		return nil, fmt.Errorf("%w: nothing about %s", ErrPCCS, p.Kind)
	}
	c := &dcap.Collateral{}
	for _, part := range []struct {
		url    string
		header string // of the issuer chain
		chain  *[]byte
		set    func(b []byte) error
	}{
		{s.base + "/" + family + "/certification/v4/tcb?fmspc=" + p.FMSPC.String(), "TCB-Info-Issuer-Chain", &c.TCBInfoChain,
			func(b []byte) (err error) { c.TCBInfo, c.TCBInfoSignature, err = dcap.SplitTCBInfo(b); return err }},
		{s.base + "/" + family + "/certification/v4/qe/identity", "SGX-Enclave-Identity-Issuer-Chain", &c.QEIdentityChain,
			func(b []byte) (err error) {
				c.QEIdentity, c.QEIdentitySignature, err = dcap.SplitQEIdentity(b)
				return err
			}},
		{s.base + "/sgx/certification/v4/pckcrl?ca=" + url.QueryEscape(string(p.CA)) + "&encoding=der", "SGX-PCK-CRL-Issuer-Chain", &c.PCKCRLChain,
			func(b []byte) (err error) { c.PCKCRL, err = dcap.NormalizeCRL(b); return err }},
		{s.rootCRL, "", nil, func(b []byte) (err error) { c.RootCRL, err = dcap.NormalizeCRL(b); return err }},
	} {
		b, header, err := s.get(ctx, part.url)
		if err == nil && part.header != "" {
			*part.chain, err = issuerChain(header, part.header)
		}
		if err == nil {
			err = part.set(b)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrPCCS, part.url, err)
		}
	}
	return c, nil
}

// issuerChain reads the PEM that a header has with percent signs for what is
// not allowed there.
func issuerChain(h http.Header, name string) ([]byte, error) {
	s, err := url.PathUnescape(h.Get(name))
	if err != nil || s == "" {
		return nil, fmt.Errorf("header %s is missing or malformed", name)
	}
	return []byte(s), nil
}

func (s *PCCS) get(ctx context.Context, url string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, nil, err
	}
	if len(b) > maxBody {
		return nil, nil, fmt.Errorf("more than %d bytes", maxBody)
	}
	return b, resp.Header, nil
}
