package snp_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-sev-guest/verify/trust"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/snp"
	"github.com/offchain-worker/sdk/tee/snp/snptest"
)

// TestParseChains reads chains as AMD hands them out, and refuses others.
func TestParseChains(t *testing.T) {
	for line, c := range snp.AMD() {
		if c.ARK == nil || c.ASK == nil || c.ASVK == nil || c.ARK.Subject.CommonName != "ARK-"+line {
			t.Errorf("AMD's chain of %s: %v", line, c)
		}
	}
	if lines := slices.Sorted(maps.Keys(snp.AMD())); !slices.Equal(lines, []string{"Genoa", "Milan", "Turin"}) {
		t.Errorf("AMD's product lines: %v", lines)
	}

	a := snptest.New(noon)
	chains, err := snp.ParseChains(a.ChainPEM())
	if want := a.Chains()["Milan"]; err != nil || len(chains) != 1 || !chains["Milan"].ARK.Equal(want.ARK) || !chains["Milan"].ASK.Equal(want.ASK) || !chains["Milan"].ASVK.Equal(want.ASVK) {
		t.Fatalf("a synthetic one: %v, %v", chains, err)
	}
	encode := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	ark, ask, asvk, vcek := encode(a.Signer.Ark.Raw), encode(a.Signer.Ask.Raw), encode(a.Signer.Asvk.Raw), encode(a.Signer.Vcek.Raw)
	// Another root has the name of the true one and another key.
	forged, err := snp.ParseChains(slices.Concat(ark, ask))
	if err != nil || forged["Milan"].ASVK != nil {
		t.Errorf("without ASVK: %v, %v", forged, err)
	}
	for name, b := range map[string][]byte{
		"nothing":             nil,
		"a root alone":        ark,
		"no root":             slices.Concat(ask, asvk),
		"a chip's key":        slices.Concat(ask, ark, vcek),
		"of two lines":        slices.Concat(ark, trust.AskArkGenoaVcekBytes, trust.AskArkMilanVlekBytes),
		"two roots":           slices.Concat(ask, ark, trust.AskArkMilanVcekBytes),
		"another root's ASVK": slices.Concat(ark, bytes.TrimSpace(trust.AskArkMilanVlekBytes[:bytes.Index(trust.AskArkMilanVlekBytes, []byte("-----END"))]), []byte("\n-----END CERTIFICATE-----\n")),
		"text before":         slices.Concat([]byte("x\n"), ask, ark),
		"text behind":         slices.Concat(ask, ark, []byte("x")),
		"another block":       slices.Concat(ask, ark, pem.EncodeToMemory(&pem.Block{Type: "KEY", Bytes: []byte{1}})),
		"no certificate":      encode([]byte{1}),
	} {
		if chains, err := snp.ParseChains(b); !errors.Is(err, snp.ReasonCertificates) || chains != nil {
			t.Errorf("%s: got %v, %v", name, chains, err)
		}
	}
}

func FuzzParseChains(f *testing.F) {
	f.Add(snptest.New(noon).ChainPEM())
	f.Add(trust.AskArkTurinVlekBytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		chains, err := snp.ParseChains(b)
		if (err == nil) != (len(chains) > 0) || err != nil && !errors.Is(err, tee.ErrNotGenuine) {
			t.Errorf("got %v, %v", chains, err)
		}
		for line, c := range chains {
			if c.ARK == nil || c.ASK == nil && c.ASVK == nil {
				t.Errorf("%s: %v", line, c)
			}
		}
	})
}

// TestMachineOf tells what evidence says, genuine or not, and a key that nobody
// has signed for is not trusted.
func TestMachineOf(t *testing.T) {
	for _, vlek := range []bool{false, true} {
		a := snptest.New(noon)
		a.VLEK = vlek
		e := tee.Evidence{Kind: tee.SNP, Quote: a.Sign(wanted), Aux: a.Collateral().Encode()}
		want := snp.Machine{Line: "Milan", VLEK: vlek, Versions: tee.SNPVersions{Bootloader: 3, TEE: 1, SNP: 8, Microcode: 115}}
		if m, err := snp.MachineOf(e); err != nil || m != want {
			t.Errorf("got %+v, %v", m, err)
		}
		v := a.Verifier()
		c := v.Chains["Milan"]
		if vlek {
			c.ASVK = nil
		} else {
			c.ASK = nil
		}
		v.Chains["Milan"] = c
		if _, err := v.Verify(e); !errors.Is(err, snp.ReasonProduct) {
			t.Errorf("got %v", err)
		}
	}
	a := snptest.New(noon)
	for name, e := range map[string]tee.Evidence{
		"no report":       {Kind: tee.SNP, Aux: a.Collateral().Encode()},
		"no certificates": {Kind: tee.SNP, Quote: a.Sign(wanted), Aux: (&snp.Collateral{}).Encode()},
		"no collateral":   {Kind: tee.SNP, Quote: a.Sign(wanted)},
	} {
		if m, err := snp.MachineOf(e); err == nil || m != (snp.Machine{}) {
			t.Errorf("%s: got %+v, %v", name, m, err)
		}
	}
}
