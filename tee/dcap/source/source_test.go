package source_test

import (
	"context"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
	"github.com/offchain-worker/sdk/tee/dcap/source"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func platformOf(t *testing.T, k *dcaptest.Kit) dcap.Platform {
	t.Helper()
	p, err := dcap.PlatformOf(k.Quote(), k.Root(), noon)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// service speaks the API of a PCCS about the collateral that it has.
type service struct {
	c      *dcap.Collateral
	family string
	crl    func(der []byte) []byte
	asked  []string
	breaks string // path that fails
	header string // header that is left out
	big    bool
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.URL.String())
	if s.breaks != "" && strings.Contains(r.URL.Path, s.breaks) {
		http.Error(w, "no", http.StatusNotFound)
		return
	}
	if s.big {
		w.Write(make([]byte, 3<<20))
		return
	}
	signed := func(header, field string, object, signature, chain []byte) {
		if header != s.header {
			w.Header().Set(header, url.PathEscape(string(chain)))
		}
		fmt.Fprintf(w, `{"%s":%s,"signature":"%x"}`, field, object, signature)
	}
	switch r.URL.String() {
	case "/" + s.family + "/certification/v4/tcb?fmspc=d0c06f000000":
		signed("Tcb-Info-Issuer-Chain", "tcbInfo", s.c.TCBInfo, s.c.TCBInfoSignature, s.c.TCBInfoChain)
	case "/" + s.family + "/certification/v4/qe/identity":
		signed("Sgx-Enclave-Identity-Issuer-Chain", "enclaveIdentity", s.c.QEIdentity, s.c.QEIdentitySignature, s.c.QEIdentityChain)
	case "/sgx/certification/v4/pckcrl?ca=platform&encoding=der":
		w.Header().Set("Sgx-Pck-Crl-Issuer-Chain", url.PathEscape(string(s.c.PCKCRLChain)))
		w.Write(s.crl(s.c.PCKCRL))
	case "/sgx/certification/v4/rootcacrl":
		w.Write(s.crl(s.c.RootCRL))
	case "/moved":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}

func serve(t *testing.T, s *service) *source.PCCS {
	t.Helper()
	if s.crl == nil {
		s.crl = func(der []byte) []byte { return []byte(hex.EncodeToString(der)) }
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	p, err := source.NewPCCS(server.URL+"/", "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPCCS(t *testing.T) {
	for _, test := range []struct {
		name   string
		kind   tee.Kind
		family string
		crl    func([]byte) []byte
	}{
		{"sgx", tee.SGX, "sgx", nil},
		{"tdx", tee.TDX, "tdx", nil},
		{"CRLs in DER", tee.SGX, "sgx", func(der []byte) []byte { return der }},
		{"CRLs in PEM", tee.SGX, "sgx", func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}) }},
	} {
		k := dcaptest.New("pccs", test.kind, noon)
		s := &service{c: k.Collateral(), family: test.family, crl: test.crl}
		got, err := serve(t, s).Collateral(t.Context(), platformOf(t, k))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(s.c, got); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", test.name, diff)
		}
		if _, err := dcap.Verify(k.Quote(), got, k.Root(), noon); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if len(s.asked) != 4 {
			t.Errorf("%s: asked for %q", test.name, s.asked)
		}
	}
}

func TestPCCSFails(t *testing.T) {
	k := dcaptest.New("pccs", tee.SGX, noon)
	p := platformOf(t, k)
	for _, test := range []struct {
		name string
		s    service
		want string
	}{
		{"no TCB info", service{breaks: "/tcb"}, "status 404"},
		{"no QE identity", service{breaks: "/qe/identity"}, "status 404"},
		{"no CRL", service{breaks: "/pckcrl"}, "status 404"},
		{"no root CRL", service{breaks: "/rootcacrl"}, "status 404"},
		{"no issuer chain", service{header: "Tcb-Info-Issuer-Chain"}, "header TCB-Info-Issuer-Chain is missing"},
		{"too much", service{big: true}, "more than"},
		{"rubbish as CRL", service{crl: func([]byte) []byte { return []byte("rubbish") }}, "neither DER, PEM nor hex"},
	} {
		test.s.c, test.s.family = k.Collateral(), "sgx"
		c, err := serve(t, &test.s).Collateral(t.Context(), p)
		if !errors.Is(err, source.ErrPCCS) || !strings.Contains(err.Error(), test.want) || c != nil {
			t.Errorf("%s: got %v, %v", test.name, c, err)
		}
	}
	server := httptest.NewServer(&service{c: k.Collateral(), family: "sgx", crl: func(b []byte) []byte { return b }})
	defer server.Close()
	moved, err := source.NewPCCS(server.URL, server.URL+"/moved")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := moved.Collateral(t.Context(), p); !errors.Is(err, source.ErrPCCS) || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := moved.Collateral(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := moved.Collateral(t.Context(), dcap.Platform{Kind: tee.SNP}); !errors.Is(err, source.ErrPCCS) {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "pccs.example", "ftp://pccs.example", "https://", "https://user:secret@pccs.example", "https://pccs.example/?a=b", "://"} {
		if _, err := source.NewPCCS(bad, ""); err == nil {
			t.Errorf("%q is taken for a URL", bad)
		}
	}
	if _, err := source.NewPCCS("https://pccs.example", "rubbish"); err == nil {
		t.Error("rubbish is taken for the URL of a CRL")
	}
}

// fixed is a source with one answer.
type fixed struct {
	c     *dcap.Collateral
	err   error
	asked int
}

func (f *fixed) Collateral(context.Context, dcap.Platform) (*dcap.Collateral, error) {
	f.asked++
	return f.c, f.err
}

func TestStore(t *testing.T) {
	k := dcaptest.New("store", tee.SGX, noon)
	p, root := platformOf(t, k), k.Root()
	good := k.Collateral()
	now := noon
	newStore := func(dir string, up source.Source) *source.Store {
		return source.NewStore(source.Config{Dir: dir, Upstream: up, Root: root, Now: func() time.Time { return now }})
	}

	// Nothing is known, and nobody to ask.
	if c := newStore("", nil).Known(p); c != nil {
		t.Errorf("got %v", c)
	}
	if _, err := newStore("", nil).Fetch(t.Context(), p); !errors.Is(err, source.ErrNoSource) {
		t.Errorf("got %v", err)
	}

	// What was fetched is known, and still is after a restart without a source.
	dir := t.TempDir()
	up := &fixed{c: good}
	s := newStore(dir, up)
	if s.Known(p) != nil || up.asked != 0 {
		t.Error("Known asks")
	}
	if c, err := s.Fetch(t.Context(), p); err != nil || c != good {
		t.Errorf("got %v, %v", c, err)
	}
	if s.Known(p) != good || up.asked != 1 {
		t.Errorf("asked %d times", up.asked)
	}
	again := newStore(dir, nil)
	if c, err := again.Fetch(t.Context(), p); err != nil || !cmp.Equal(c, good) {
		t.Errorf("got %v, %v", c, err)
	}
	v := &dcap.Verifier{TEE: tee.SGX, Root: root, Now: func() time.Time { return now }, Known: again.Known}
	if _, err := v.Verify(tee.Evidence{Kind: tee.SGX, Quote: k.Quote()}); err != nil {
		t.Error(err)
	}

	// What does not verify, or is for another platform, is not kept.
	bad := *good
	bad.TCBInfoSignature = make([]byte, 64)
	other := dcaptest.New("store", tee.SGX, noon)
	other.TCBInfo.FMSPC = "00906ea10000"
	td := dcaptest.New("store", tee.TDX, noon)
	for name, c := range map[string]*dcap.Collateral{"forged": &bad, "of another FMSPC": other.Collateral(), "of a TD": td.Collateral()} {
		up := &fixed{c: c}
		if c, err := newStore("", up).Fetch(t.Context(), p); !errors.Is(err, tee.ErrNotGenuine) || c != nil {
			t.Errorf("%s: got %v, %v", name, c, err)
		}
		s := newStore(dir, up)
		if c, err := s.Fetch(t.Context(), p); err != nil || !cmp.Equal(c, good) {
			t.Errorf("%s beside good collateral: got %v, %v", name, c, err)
		}
	}
	if c, err := newStore(dir, &fixed{err: errors.New("down")}).Fetch(t.Context(), p); err != nil || !cmp.Equal(c, good) {
		t.Errorf("source is down: got %v, %v", c, err)
	}

	// Newer collateral replaces older, and not the other way round.
	next := dcaptest.New("store", tee.SGX, noon)
	next.TCBInfo.TCBEvaluationDataNumber, next.QEIdentity.TCBEvaluationDataNumber = 18, 18
	newer := next.Collateral()
	if c, err := newStore(dir, &fixed{c: newer}).Fetch(t.Context(), p); err != nil || c != newer {
		t.Errorf("newer: got %v, %v", c, err)
	}
	if c, err := newStore(dir, &fixed{c: good}).Fetch(t.Context(), p); err != nil || !cmp.Equal(c, newer) {
		t.Errorf("older: got %v, %v", c, err)
	}

	// Out of its dates nothing is valid, and a new file is picked up.
	now = noon.AddDate(0, 2, 0)
	if _, err := newStore(dir, nil).Fetch(t.Context(), p); !errors.Is(err, source.ErrNoSource) || !errors.Is(err, tee.ErrNotGenuine) {
		t.Errorf("outdated: got %v", err)
	}
	later := dcaptest.New("store", tee.SGX, now).Collateral()
	if err := os.WriteFile(filepath.Join(dir, p.String()+".json"), later.Encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	if c := again.Known(p); !cmp.Equal(c, later) {
		t.Errorf("got %v", c)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}
