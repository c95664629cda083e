//go:build unix

package sgx_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
	"github.com/offchain-worker/sdk/tee/sgx"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func gramine(t *testing.T, seal string, quote func(tee.ReportData) []byte) string {
	t.Helper()
	dir := t.TempDir()
	files, err := dcaptest.Gramine(dir, seal, quote)
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

// TestAttest lets many attest at once: each evidence verifies and vouches for
// what was asked, with nothing but what is stapled to it.
func TestAttest(t *testing.T) {
	k := dcaptest.New("sgx", tee.SGX, noon)
	dir := gramine(t, "a", k.Quoter())
	p, err := sgx.Open(sgx.Config{Root: dir, Staple: k.Collateral().Encode})
	if err != nil {
		t.Fatal(err)
	}
	if p.Kind() != tee.SGX || p.Measurement() != k.SGX.MREnclave || p.Debug() {
		t.Errorf("got %s, %s, %v", p.Kind(), p.Measurement(), p.Debug())
	}
	verifier := &dcap.Verifier{TEE: tee.SGX, Root: k.Root(), Now: func() time.Time { return noon }}
	policy := tee.Policy{Kinds: []tee.Kind{tee.SGX}, Measurements: []tee.Measurement{p.Measurement()}}
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			rd := tee.ReportData{i, 63: 1}
			e, err := p.Attest(rd)
			if err != nil {
				t.Error(err)
				return
			}
			claims, err := tee.Verify(e, verifier)
			if err != nil {
				t.Error(err)
			} else if err := policy.Appraise(claims, rd); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	bare, err := sgx.Open(sgx.Config{Root: dir})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := bare.Attest(tee.ReportData{1}); err != nil || len(e.Aux) != 0 {
		t.Errorf("got %d bytes of collateral, %v", len(e.Aux), err)
	}
}

// TestBadQuotes has the host hand out something else.
func TestBadQuotes(t *testing.T) {
	k := dcaptest.New("sgx", tee.SGX, noon)
	good := k.Quoter()
	other := *k
	other.SGX.MREnclave[0]++
	for _, test := range []struct {
		name  string
		quote func(tee.ReportData) []byte
		want  string
	}{
		{"stale", func(tee.ReportData) []byte { return good(tee.ReportData{}) }, "other data"},
		{"another enclave's", other.Quoter(), "another enclave"},
		{"a TD's", dcaptest.New("sgx", tee.TDX, noon).Quoter(), "quote is of tdx"},
		{"rubbish", func(tee.ReportData) []byte { return []byte("rubbish") }, "malformed quote"},
		{"nothing", func(tee.ReportData) []byte { return nil }, "malformed quote"},
		{"too much", func(rd tee.ReportData) []byte { return append(good(rd), make([]byte, 20<<10)...) }, "more than"},
	} {
		quote := good
		dir := gramine(t, "a", func(rd tee.ReportData) []byte { return quote(rd) })
		p, err := sgx.Open(sgx.Config{Root: dir})
		if err != nil {
			t.Fatal(err)
		}
		quote = test.quote
		if e, err := p.Attest(tee.ReportData{9}); err == nil || !strings.Contains(err.Error(), test.want) || e.Quote != nil {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	// What configfs pads, and Gramine does not, is cut off nevertheless.
	dir := gramine(t, "a", func(rd tee.ReportData) []byte { return append(good(rd), 0, 0, 0) })
	p, err := sgx.Open(sgx.Config{Root: dir})
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.Attest(tee.ReportData{9})
	if trimmed, _ := dcap.Trim(e.Quote); err != nil || !bytes.Equal(trimmed, e.Quote) {
		t.Errorf("got %d bytes, %v", len(e.Quote), err)
	}
}

func TestDebug(t *testing.T) {
	k := dcaptest.New("sgx", tee.SGX, noon)
	k.SGX.Attributes[0] |= 2
	p, err := sgx.Open(sgx.Config{Root: gramine(t, "a", k.Quoter())})
	if err != nil || !p.Debug() {
		t.Errorf("got %v", err)
	}
}

func TestSealingKey(t *testing.T) {
	k := dcaptest.New("sgx", tee.SGX, noon)
	open := func(seal string) (*sgx.Platform, string) {
		dir := gramine(t, seal, k.Quoter())
		p, err := sgx.Open(sgx.Config{Root: dir})
		if err != nil {
			t.Fatal(err)
		}
		return p, dir
	}
	a, dir := open("a")
	again, _ := open("a")
	b, _ := open("b")
	keyOf := func(p *sgx.Platform, label string) [32]byte {
		key, err := p.SealingKey(label)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	if keyOf(a, "x") != keyOf(again, "x") {
		t.Error("the same enclave has another key")
	}
	seen := map[[32]byte]bool{{}: true}
	for _, key := range [][32]byte{keyOf(a, "x"), keyOf(a, "y"), keyOf(b, "x")} {
		if seen[key] {
			t.Error("a key twice, or zero")
		}
		seen[key] = true
	}
	path := filepath.Join(dir, "keys", "_sgx_mrenclave")
	for name, secret := range map[string][]byte{"empty": nil, "zero": make([]byte, 16), "short": []byte("fifteen bytes.."), "long": make([]byte, 100)} {
		if err := os.WriteFile(path, secret, 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := a.SealingKey("x"); err == nil || key != [32]byte{} {
			t.Errorf("%s: got %x, %v", name, key, err)
		}
	}
}

func TestUnavailable(t *testing.T) {
	none := t.TempDir()
	if err := os.WriteFile(filepath.Join(none, "attestation_type"), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"absent": t.TempDir(), "attestation off": none} {
		if p, err := sgx.Open(sgx.Config{Root: dir}); !errors.Is(err, sgx.ErrUnavailable) || p != nil || sgx.Available(dir) {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
	}
}
