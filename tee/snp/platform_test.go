//go:build unix

package snp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
	"github.com/offchain-worker/sdk/tee/snp"
	"github.com/offchain-worker/sdk/tee/snp/snptest"
)

func serve(t *testing.T, provider string, aux []byte, report func(tee.ReportData) []byte) string {
	t.Helper()
	dir := t.TempDir()
	files, err := dcaptest.TSM(dir, provider, aux, report)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAttest(t *testing.T) {
	a := snptest.New(noon)
	c := a.Collateral()
	report := func(rd tee.ReportData) []byte { return a.Sign(rd) }
	crl := func() []byte { return c.CRL }
	for name, config := range map[string]snp.Config{
		"certificates of the host": {Root: serve(t, tsm.ProviderSNP, c.Certificates, report), StapleCRL: crl},
		"an empty table":           {Root: serve(t, tsm.ProviderSNP, []byte{}, report), Certificates: c.Certificates, StapleCRL: crl},
		"no table":                 {Root: serve(t, tsm.ProviderSNP, nil, report), Certificates: c.Certificates, StapleCRL: crl},
	} {
		p, err := snp.Open(config)
		if err != nil {
			t.Fatal(err)
		}
		e, err := p.Attest(wanted)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := tee.Verify(e, a.Verifier())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if claims.ReportData != wanted || claims.Measurement != p.Measurement() || p.Kind() != tee.SNP || p.Debug() {
			t.Errorf("%s: got %+v", name, claims)
		}
	}
}

func TestBadReports(t *testing.T) {
	a, other := snptest.New(noon), snptest.New(noon)
	other.Report[0xc0]++ // host data
	good := func(rd tee.ReportData) []byte { return a.Sign(rd) }
	for _, test := range []struct {
		name   string
		report func(tee.ReportData) []byte
		want   string
	}{
		{"stale", func(tee.ReportData) []byte { return good(tee.ReportData{}) }, "other data"},
		{"another guest's", func(rd tee.ReportData) []byte { return other.Sign(rd) }, "another guest"},
		{"rubbish", func(tee.ReportData) []byte { return []byte("rubbish") }, "malformed report"},
	} {
		report := good
		p, err := snp.Open(snp.Config{Root: serve(t, tsm.ProviderSNP, nil, func(rd tee.ReportData) []byte { return report(rd) })})
		if err != nil {
			t.Fatal(err)
		}
		report = test.report
		if e, err := p.Attest(wanted); err == nil || !strings.Contains(err.Error(), test.want) || e.Quote != nil {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	if p, err := snp.Open(snp.Config{Root: serve(t, tsm.ProviderTDX, nil, good)}); !errors.Is(err, tsm.ErrUnavailable) || p != nil {
		t.Errorf("a TD: got %v, %v", p, err)
	}
}

func TestSealingKey(t *testing.T) {
	a := snptest.New(noon)
	open := func(derive func() ([32]byte, error)) *snp.Platform {
		p, err := snp.Open(snp.Config{Root: serve(t, tsm.ProviderSNP, nil, func(rd tee.ReportData) []byte { return a.Sign(rd) }), DeriveKey: derive})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	derived := func(b byte) func() ([32]byte, error) { return func() ([32]byte, error) { return [32]byte{b}, nil } }
	one, two := open(derived(1)), open(derived(2))
	seen := map[[32]byte]bool{{}: true}
	for _, p := range []*snp.Platform{one, two} {
		for _, label := range []string{"x", "y"} {
			key, err := p.SealingKey(label)
			if err != nil || seen[key] {
				t.Errorf("got %x, %v", key, err)
			}
			seen[key] = true
		}
	}
	again, _ := open(derived(1)).SealingKey("x")
	if key, err := one.SealingKey("x"); err != nil || key != again {
		t.Errorf("got %x, %v, want %x", key, err, again)
	}
	none := open(func() ([32]byte, error) { return [32]byte{}, errors.New("no device") })
	if key, err := none.SealingKey("x"); !errors.Is(err, tee.ErrNoSealing) || key != [32]byte{} {
		t.Errorf("got %x, %v", key, err)
	}
}
