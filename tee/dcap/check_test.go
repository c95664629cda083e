package dcap_test

import (
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

func TestCheck(t *testing.T) {
	k := dcaptest.New("test", tee.SGX, noon)
	p, err := dcap.PlatformOf(k.Quote(), k.Root(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if want := (dcap.Platform{Kind: tee.SGX, FMSPC: k.PCK.FMSPC, CA: dcap.CAPlatform}); p != want {
		t.Fatalf("got %+v, want %+v", p, want)
	}
	for _, test := range []struct {
		name   string
		before func(k *dcaptest.Kit)
		after  func(c *dcap.Collateral)
		p      dcap.Platform
		want   error
	}{
		{"good", nil, nil, p, nil},
		{"of a TD", nil, nil, dcap.Platform{Kind: tee.TDX, FMSPC: p.FMSPC, CA: p.CA}, dcap.ReasonTCBInfoKind},
		{"of another FMSPC", nil, nil, dcap.Platform{Kind: tee.SGX, CA: p.CA}, dcap.ReasonFMSPC},
		{"of the other CA", nil, nil, dcap.Platform{Kind: tee.SGX, FMSPC: p.FMSPC, CA: dcap.CAProcessor}, dcap.ReasonCRLIssuer},
		{"incomplete", nil, func(c *dcap.Collateral) { c.TCBInfo = nil }, p, dcap.ReasonCollateral},
		{"no CA", nil, func(c *dcap.Collateral) { c.PCKCRLChain = nil }, p, dcap.ReasonChain},
		{"no CA but a signer", nil, func(c *dcap.Collateral) { c.PCKCRLChain = c.TCBInfoChain }, p, dcap.ReasonCertRole},
		{"CA revoked", (*dcaptest.Kit).RevokeCA, nil, p, dcap.ReasonRevokedCA},
		{"signer revoked", (*dcaptest.Kit).RevokeSigner, nil, p, dcap.ReasonRevokedSigner},
		{"PCK CRL forged", nil, func(c *dcap.Collateral) { c.PCKCRL[len(c.PCKCRL)-1] ^= 1 }, p, dcap.ReasonCRLSignature},
		{"root CRL forged", nil, func(c *dcap.Collateral) { c.RootCRL[len(c.RootCRL)-1] ^= 1 }, p, dcap.ReasonCRLSignature},
		{"TCB info forged", nil, func(c *dcap.Collateral) { c.TCBInfoSignature[0] ^= 1 }, p, dcap.ReasonTCBInfoSignature},
		{"QE identity forged", nil, func(c *dcap.Collateral) { c.QEIdentitySignature[0] ^= 1 }, p, dcap.ReasonQEIdentitySignature},
		{"outdated", func(k *dcaptest.Kit) {
			k.TCBInfo.IssueDate = noon.AddDate(0, 0, -3)
			k.TCBInfo.NextUpdate = noon.AddDate(0, 0, -2)
		}, nil, p, dcap.ReasonTCBInfoTime},
	} {
		k := dcaptest.New("test", tee.SGX, noon)
		if test.before != nil {
			test.before(k)
		}
		c := k.Collateral()
		if test.after != nil {
			test.after(c)
		}
		until, err := c.Check(test.p, k.Root(), noon)
		if !errors.Is(err, test.want) || err == nil && !until.Equal(noon.AddDate(0, 0, 29)) || err != nil && !until.IsZero() {
			t.Errorf("%s: got %v, %v, want %v", test.name, until, err, test.want)
		}
	}
}

func TestNewer(t *testing.T) {
	base := dcaptest.New("test", tee.SGX, noon).Collateral()
	for _, test := range []struct {
		name   string
		change func(k *dcaptest.Kit)
		want   bool
	}{
		{"the same", func(*dcaptest.Kit) {}, false},
		{"number", func(k *dcaptest.Kit) { k.TCBInfo.TCBEvaluationDataNumber++; k.QEIdentity.TCBEvaluationDataNumber++ }, true},
		{"one number", func(k *dcaptest.Kit) { k.TCBInfo.TCBEvaluationDataNumber++ }, false},
		{"older number, newer date", func(k *dcaptest.Kit) {
			k.TCBInfo.TCBEvaluationDataNumber--
			k.TCBInfo.IssueDate = noon
		}, false},
		{"TCB info", func(k *dcaptest.Kit) { k.TCBInfo.IssueDate = noon }, true},
		{"QE identity", func(k *dcaptest.Kit) { k.QEIdentity.IssueDate = noon }, true},
		{"PCK CRL", func(k *dcaptest.Kit) { k.PCKCRL.ThisUpdate = noon }, true},
		{"newer and older", func(k *dcaptest.Kit) { k.PCKCRL.ThisUpdate = noon; k.TCBInfo.IssueDate = noon.AddDate(0, 0, -2) }, false},
		{"older", func(k *dcaptest.Kit) { k.TCBInfo.IssueDate = noon.AddDate(0, 0, -2) }, false},
		{"rubbish", func(k *dcaptest.Kit) { k.TCBInfo.Version = 1 }, false},
	} {
		k := dcaptest.New("test", tee.SGX, noon)
		test.change(k)
		if got := k.Collateral().Newer(base); got != test.want {
			t.Errorf("%s: got %v", test.name, got)
		}
	}
	if !base.Newer(&dcap.Collateral{}) {
		t.Error("no collateral is not older than some")
	}
}
