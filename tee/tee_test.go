package tee_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

func TestAppraise(t *testing.T) {
	m, rd := tee.Measurement{1}, tee.ReportData{2}
	good := tee.Policy{Kinds: []tee.Kind{tee.SGX}, Measurements: []tee.Measurement{m}}
	claims := tee.Claims{Kind: tee.SGX, Measurement: m, ReportData: rd}
	tests := []struct {
		name   string
		policy tee.Policy
		change func(*tee.Claims)
		want   []error
	}{
		{"accepted", good, func(*tee.Claims) {}, nil},
		{"zero policy", tee.Policy{}, func(*tee.Claims) {}, []error{tee.ErrKind, tee.ErrMeasurement}},
		{"kind", good, func(c *tee.Claims) { c.Kind = tee.Sim }, []error{tee.ErrKind}},
		{"measurement", good, func(c *tee.Claims) { c.Measurement[5] = 1 }, []error{tee.ErrMeasurement}},
		{"debug", good, func(c *tee.Claims) { c.Debug = true }, []error{tee.ErrDebug}},
		{"report data", good, func(c *tee.Claims) { c.ReportData[63] = 1 }, []error{tee.ErrReportData}},
		{"everything", good, func(c *tee.Claims) { *c = tee.Claims{Debug: true} }, []error{tee.ErrKind, tee.ErrMeasurement, tee.ErrDebug, tee.ErrReportData}},
		{"hardware against the dev policy", tee.InsecureDev(m), func(*tee.Claims) {}, []error{tee.ErrKind}},
	}
	for _, test := range tests {
		c := claims
		test.change(&c)
		err := test.policy.Appraise(&c, rd)
		if (err == nil) != (test.want == nil) {
			t.Errorf("%s: got %v", test.name, err)
		}
		for _, want := range test.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v too", test.name, err, want)
			}
		}
	}
}

func TestVerifyWithoutVerifier(t *testing.T) {
	if c, err := tee.Verify(tee.Evidence{Kind: tee.SGX}); c != nil || !errors.Is(err, tee.ErrNotGenuine) {
		t.Errorf("got %v, %v", c, err)
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
