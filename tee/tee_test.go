package tee_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

func TestVerifyWithoutVerifier(t *testing.T) {
	if c, err := tee.Verify(tee.Evidence{Kind: tee.SGX}); c != nil || !errors.Is(err, tee.ErrNotGenuine) {
		t.Errorf("got %v, %v", c, err)
	}
}

// TestEvidence makes the largest evidence that is read.
func TestEvidence(t *testing.T) {
	quote := make([]byte, 5000)
	e, err := tee.NewEvidence(tee.SGX, quote, make([]byte, tee.MaxEvidence-16-len(quote)))
	if err != nil || len(scale.MustMarshal(e)) > tee.MaxEvidence {
		t.Errorf("got %d bytes, %v", len(scale.MustMarshal(e)), err)
	}
	if e, err := tee.NewEvidence(tee.SGX, quote, make([]byte, tee.MaxEvidence-15-len(quote))); err == nil || e.Quote != nil {
		t.Errorf("one more: got %v", err)
	}
}

// TestReportData changes every field of a binding: each changes the hash, and
// the account stands in the first half.
func TestReportData(t *testing.T) {
	account := keyring.AccountID{7}
	base := tee.Binding{Purpose: tee.PurposeServe}
	seen := map[tee.ReportData]bool{base.ReportData(account): true}
	for i, change := range []func(*tee.Binding){
		func(b *tee.Binding) { b.Purpose = tee.PurposeJoin },
		func(b *tee.Binding) { b.TrustConfig = hashing.Hash{1} },
		func(b *tee.Binding) { b.Shard = [32]byte{1} },
		func(b *tee.Binding) { b.Keys = hashing.Hash{1} },
		func(b *tee.Binding) { b.TLSKey = hashing.Hash{1} },
		func(b *tee.Binding) { b.Block = hashing.Hash{1} },
		func(b *tee.Binding) { b.BlockNumber = 1 },
		func(b *tee.Binding) { b.Session = hashing.Hash{1} },
	} {
		b := base
		change(&b)
		rd := b.ReportData(account)
		if seen[rd] {
			t.Errorf("change %d does not show", i)
		}
		seen[rd] = true
		if keyring.AccountID(rd[:32]) != account {
			t.Errorf("change %d: the account is not in front", i)
		}
	}
	// Other implementations compute the same: the layout is frozen.
	if got, want := fmt.Sprintf("%x", base.ReportData(account)), wantReportData; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Computed by Python's hashlib: account, then blake2b-256 of 0x44,
// "ocw/report-data/1", 02 and 196 zero bytes.
const wantReportData = "0700000000000000000000000000000000000000000000000000000000000000" +
	"67ea3c4203e0d0b99ac8abc09050db0ff9103c3d0984b62ca9fc13a49c0b0f6d"

// TestDeriveSealingKey compares with HMACs that Python made by RFC 5869: what was
// sealed has to open with the next version.
func TestDeriveSealingKey(t *testing.T) {
	secret := make([]byte, 16)
	for i := range secret {
		secret[i] = byte(i)
	}
	for kind, want := range map[tee.Kind]string{
		tee.SGX: "14fcd2b8b3258c078d658f4b2b10ef6e130da2a98108d0c016db4d04eee6d376",
		tee.TDX: "a759b1f12ec7b59c30a14b08b2a684d2c744490d167ecd4ef3cd0bd9a3df9118",
		tee.SNP: "8be01b134ab17333f711aa72504de3d2d19a91870d3d06870510b62b643e7f89",
		tee.Sim: "fa7cc63a7bde92584f40f5d839f26e0d95c5abe42e5b21cd2cf632526efea66d",
	} {
		if key, err := tee.DeriveSealingKey(kind, secret, tee.Measurement{9}, "x"); err != nil || fmt.Sprintf("%x", key) != want {
			t.Errorf("%s: got %x, %v", kind, key, err)
		}
	}
}
