//go:build unix

package tdx_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
	"github.com/offchain-worker/sdk/tee/tdx"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// serve serves what the kernel would, padded as it does.
func serve(t *testing.T, provider string, quote func(tee.ReportData) []byte) string {
	t.Helper()
	dir := t.TempDir()
	files, err := dcaptest.TSM(dir, provider, nil, func(rd tee.ReportData) []byte { return append(quote(rd), make([]byte, 70)...) })
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
	for _, version := range []uint16{4, 5} {
		k := dcaptest.New("tdx", tee.TDX, noon)
		k.Version, k.TD15 = version, version == 5
		p, err := tdx.Open(tdx.Config{Root: serve(t, tsm.ProviderTDX, k.Quoter()), Staple: k.Collateral().Encode})
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind() != tee.TDX || p.Measurement() != k.TDX.Measurement() || p.Debug() {
			t.Errorf("got %s, %s, %v", p.Kind(), p.Measurement(), p.Debug())
		}
		rd := tee.ReportData{1, 63: 2}
		e, err := p.Attest(rd)
		if err != nil {
			t.Fatal(err)
		}
		if trimmed, err := dcap.Trim(e.Quote); err != nil || len(trimmed) != len(e.Quote) {
			t.Errorf("the quote is padded, or %v", err)
		}
		claims, err := tee.Verify(e, &dcap.Verifier{TEE: tee.TDX, Root: k.Root(), Now: func() time.Time { return noon }})
		if err != nil {
			t.Fatal(err)
		}
		policy := tee.Policy{Kinds: []tee.Kind{tee.TDX}, Measurements: []tee.Measurement{p.Measurement()}}
		if err := policy.Appraise(claims, rd); err != nil {
			t.Error(err)
		}
	}
}

func TestBadQuotes(t *testing.T) {
	k := dcaptest.New("tdx", tee.TDX, noon)
	good := k.Quoter()
	extended := *k
	extended.TDX.RTMR[3][0] = 1
	for _, test := range []struct {
		name  string
		quote func(tee.ReportData) []byte
		want  string
	}{
		{"stale", func(tee.ReportData) []byte { return good(tee.ReportData{}) }, "other data"},
		{"registers extended", extended.Quoter(), "registers have changed"},
		{"an enclave's", dcaptest.New("tdx", tee.SGX, noon).Quoter(), "quote is of sgx"},
		{"rubbish", func(tee.ReportData) []byte { return []byte("rubbish") }, "version not supported"},
	} {
		quote := good
		p, err := tdx.Open(tdx.Config{Root: serve(t, tsm.ProviderTDX, func(rd tee.ReportData) []byte { return quote(rd) })})
		if err != nil {
			t.Fatal(err)
		}
		quote = test.quote
		if e, err := p.Attest(tee.ReportData{9}); err == nil || !strings.Contains(err.Error(), test.want) || e.Quote != nil {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}

func TestOpen(t *testing.T) {
	k := dcaptest.New("tdx", tee.TDX, noon)
	if p, err := tdx.Open(tdx.Config{Root: serve(t, tsm.ProviderSNP, k.Quoter())}); !errors.Is(err, tsm.ErrUnavailable) || p != nil {
		t.Errorf("a guest of SEV-SNP: got %v, %v", p, err)
	}
	if p, err := tdx.Open(tdx.Config{Secret: []byte("short")}); err == nil || p != nil {
		t.Errorf("short secret: got %v, %v", p, err)
	}
	k.TDX.TDAttributes[0] = 1
	if p, err := tdx.Open(tdx.Config{Root: serve(t, tsm.ProviderTDX, k.Quoter())}); err != nil || !p.Debug() {
		t.Errorf("under debug: got %v, %v", p, err)
	}
}

func TestSealingKey(t *testing.T) {
	k := dcaptest.New("tdx", tee.TDX, noon)
	open := func(secret string, quote func(tee.ReportData) []byte) *tdx.Platform {
		c := tdx.Config{Root: serve(t, tsm.ProviderTDX, quote)}
		if secret != "" {
			c.Secret = []byte(secret)
		}
		p, err := tdx.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if key, err := open("", k.Quoter()).SealingKey("x"); !errors.Is(err, tee.ErrNoSealing) || key != [32]byte{} {
		t.Errorf("got %x, %v", key, err)
	}
	other := *k
	other.TDX.RTMR[2][0]++
	a, again := open("sixteen bytes...", k.Quoter()), open("sixteen bytes...", k.Quoter())
	seen := map[[32]byte]bool{{}: true}
	for i, p := range []*tdx.Platform{a, open("another sixteen bytes", k.Quoter()), open("sixteen bytes...", other.Quoter())} {
		for _, label := range []string{"x", "y"} {
			key, err := p.SealingKey(label)
			if err != nil || seen[key] {
				t.Errorf("platform %d, label %s: got %x, %v", i, label, key, err)
			}
			seen[key] = true
		}
	}
	x, _ := a.SealingKey("x")
	if y, err := again.SealingKey("x"); err != nil || x != y {
		t.Errorf("got %x, %v, want %x", y, err, x)
	}
}
