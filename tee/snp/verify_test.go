package snp_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/google/go-sev-guest/verify/trust"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/snp"
	"github.com/offchain-worker/sdk/tee/snp/snptest"
)

var wanted = tee.ReportData{5, 63: 6}

func TestVerify(t *testing.T) {
	for _, vlek := range []bool{false, true} {
		a := snptest.New(noon)
		a.VLEK = vlek
		claims, err := tee.Verify(tee.Evidence{Kind: tee.SNP, Quote: a.Sign(wanted), Aux: a.Collateral().Encode()}, a.Verifier())
		if err != nil {
			t.Fatal(err)
		}
		report := &tee.SNPReport{LaunchDigest: tee.Digest{0xaa, 47: 0xbb}, HostData: [32]byte{0xcc, 31: 0xdd}, Policy: 1<<17 | 1<<16, GuestSVN: 7,
			ChipID: a.Chip, Reported: tee.SNPVersions{Bootloader: 3, TEE: 1, SNP: 8, Microcode: 115}, ReportData: wanted}
		want := &tee.Claims{Kind: tee.SNP, Measurement: report.Measurement(), ReportData: wanted, SNP: report,
			TCB: &tee.TCB{At: noon, PlatformID: a.Chip[:], Expires: noon.AddDate(0, 0, 29)}}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
		policy := tee.Policy{Kinds: []tee.Kind{tee.SNP}, SNP: []tee.SNPRule{{LaunchDigest: report.LaunchDigest, MinGuestSVN: 7}},
			TCB: tee.TCBPolicy{MinSNP: &tee.SNPVersions{Bootloader: 3, TEE: 0, SNP: 8, Microcode: 115}}}
		if err := policy.Appraise(claims, wanted); err != nil {
			t.Error(err)
		}
	}
}

// entry returns where the table's entry of VCEK begins.
func entry(t *testing.T, table []byte) []byte {
	t.Helper()
	var certs abi.CertTable
	if err := certs.Unmarshal(table); err != nil || len(certs.Entries) < 3 || certs.Entries[2].GUID.String() != abi.VcekGUID {
		t.Fatalf("unexpected table: %v", err)
	}
	return table[2*abi.CertTableEntrySize:]
}

func TestReject(t *testing.T) {
	le := binary.LittleEndian
	for _, test := range []struct {
		name   string
		before func(a *snptest.AMD)
		after  func(e *tee.Evidence, c *snp.Collateral)
		want   snp.Reason
	}{
		{"short", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Quote = e.Quote[:1183] }, snp.ReasonReport},
		{"long", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Quote = append(e.Quote, 0) }, snp.ReasonReport},
		{"empty", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Quote = nil }, snp.ReasonReport},
		{"reserved bytes", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Quote[0x4c] = 1 }, snp.ReasonReport},
		{"version", func(a *snptest.AMD) { a.Report[0] = 9 }, nil, snp.ReasonVersion},
		{"launch digest", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Quote[0x90] ^= 1 }, snp.ReasonChain},
		{"report data", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Quote[0x50] ^= 1 }, snp.ReasonChain},
		{"signature", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Quote[0x2a0] ^= 1 }, snp.ReasonChain},
		{"VLEK's report by the VCEK", nil, func(e *tee.Evidence, _ *snp.Collateral) {
			le.PutUint32(e.Quote[0x48:], abi.ComposeSignerInfo(abi.SignerInfo{SigningKey: abi.VlekReportSigner}))
		}, snp.ReasonChain},
		{"another chip", func(a *snptest.AMD) { a.Report[0x1a0]++ }, nil, snp.ReasonChip},
		{"other versions", func(a *snptest.AMD) { a.Report[0x180+6]++ }, nil, snp.ReasonVersions},
		{"no table", nil, func(_ *tee.Evidence, c *snp.Collateral) { c.Certificates = nil }, snp.ReasonCertificates},
		{"no VCEK", nil, func(_ *tee.Evidence, c *snp.Collateral) { entry(t, c.Certificates)[0] ^= 1 }, snp.ReasonCertificates},
		{"entry beyond the table", nil, func(_ *tee.Evidence, c *snp.Collateral) { le.PutUint32(entry(t, c.Certificates)[20:], 1<<20) }, snp.ReasonCertificates},
		{"entry that overflows", nil, func(_ *tee.Evidence, c *snp.Collateral) {
			vcek := entry(t, c.Certificates)
			le.PutUint32(vcek[16:], 0xffffff00)
			le.PutUint32(vcek[20:], 0x200)
		}, snp.ReasonCertificates},
		{"another certificate", nil, func(_ *tee.Evidence, c *snp.Collateral) {
			copy(entry(t, c.Certificates)[16:24], c.Certificates[16:24]) // the ARK's
		}, snp.ReasonCertificates},
		{"collateral is no JSON", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Aux = []byte("{") }, snp.ReasonCollateral},
		{"collateral is huge", nil, func(e *tee.Evidence, _ *snp.Collateral) { e.Aux = make([]byte, snp.MaxCollateral+1) }, snp.ReasonCollateral},
		{"no CRL", nil, func(_ *tee.Evidence, c *snp.Collateral) { c.CRL = nil }, snp.ReasonCRL},
		{"CRL with a byte more", nil, func(_ *tee.Evidence, c *snp.Collateral) { c.CRL = append(c.CRL, 0) }, snp.ReasonCRL},
		{"CRL forged", nil, func(_ *tee.Evidence, c *snp.Collateral) { c.CRL[len(c.CRL)-1] ^= 1 }, snp.ReasonCRLSignature},
		{"CRL expired", func(a *snptest.AMD) {
			a.CRL.NextUpdate = noon.AddDate(0, 0, -1)
			a.CRL.ThisUpdate = noon.AddDate(0, 0, -2)
		}, nil, snp.ReasonCRLTime},
		{"CRL of tomorrow", func(a *snptest.AMD) { a.CRL.ThisUpdate = noon.AddDate(0, 0, 1) }, nil, snp.ReasonCRLTime},
		{"ASK revoked", func(a *snptest.AMD) { a.Revoke(a.Signer.Ask) }, nil, snp.ReasonRevoked},
		{"ASVK revoked", func(a *snptest.AMD) { a.VLEK = true; a.Revoke(a.Signer.Asvk) }, nil, snp.ReasonRevoked},
	} {
		a := snptest.New(noon)
		if test.before != nil {
			test.before(a)
		}
		e, c := &tee.Evidence{Kind: tee.SNP, Quote: a.Sign(wanted)}, a.Collateral()
		if test.after != nil {
			test.after(e, c)
		}
		if e.Aux == nil {
			e.Aux = c.Encode()
		}
		claims, err := a.Verifier().Verify(*e)
		if !errors.Is(err, test.want) || !errors.Is(err, tee.ErrNotGenuine) || claims != nil {
			t.Errorf("%s: got %v, %v, want %v", test.name, claims, err, test.want)
		}
	}
}

func TestTrust(t *testing.T) {
	a := snptest.New(noon)
	e := tee.Evidence{Kind: tee.SNP, Quote: a.Sign(wanted), Aux: a.Collateral().Encode()}
	for _, test := range []struct {
		name   string
		change func(v *snp.Verifier)
		want   error
	}{
		{"AMD's own roots", func(v *snp.Verifier) { v.Chains = nil }, snp.ReasonChain},
		{"another product line", func(v *snp.Verifier) { v.Chains = map[string]snp.Chain{"Genoa": a.Chains()["Milan"]} }, snp.ReasonProduct},
		{"before the certificates", func(v *snp.Verifier) { v.Now = func() time.Time { return noon.AddDate(-30, 0, 0) } }, snp.ReasonChain},
		{"after the certificates", func(v *snp.Verifier) { v.Now = func() time.Time { return noon.AddDate(30, 0, 0) } }, snp.ReasonChain},
		{"a CRL that is known goes first", func(v *snp.Verifier) { v.CRL = func(string, bool) []byte { return []byte("x") } }, snp.ReasonCRL},
		{"none is known", func(v *snp.Verifier) { v.CRL = func(string, bool) []byte { return nil } }, nil},
	} {
		v := a.Verifier()
		test.change(v)
		if _, err := v.Verify(e); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	if _, err := a.Verifier().Verify(tee.Evidence{Kind: tee.SGX}); !errors.Is(err, tee.ErrNotGenuine) {
		t.Errorf("got %v", err)
	}
}

// TestFlips flips each bit of what is signed.
func TestFlips(t *testing.T) {
	a := snptest.New(noon)
	quote, aux := a.Sign(wanted), a.Collateral().Encode()
	v := a.Verifier()
	step := 1
	if testing.Short() {
		step = 29
	}
	for i := 0; i < 0x2a0*8; i += step {
		quote[i/8] ^= 1 << (i % 8)
		if _, err := v.Verify(tee.Evidence{Kind: tee.SNP, Quote: quote, Aux: aux}); !errors.Is(err, tee.ErrNotGenuine) {
			t.Errorf("bit %d: got %v", i, err)
		}
		quote[i/8] ^= 1 << (i % 8)
	}
}

// TestReal verifies the report of a real Milan machine as far as its data go:
// there is no CRL of AMD among them.
func TestReal(t *testing.T) {
	at := time.Date(2023, 6, 1, 0, 0, 0, 0, time.UTC)
	vcek, err := trust.ParseCert(testdata.VcekBytes)
	if err != nil {
		t.Fatal(err)
	}
	certs := (&abi.CertTable{Entries: []abi.CertTableEntry{{GUID: guid(t, abi.VcekGUID), RawCert: vcek.Raw}}}).Marshal()
	e := tee.Evidence{Kind: tee.SNP, Quote: testdata.AttestationBytes[:abi.ReportSize], Aux: (&snp.Collateral{Certificates: certs}).Encode()}
	v := &snp.Verifier{Now: func() time.Time { return at }}
	// Everything but the CRL is in order.
	if _, err := v.Verify(e); !errors.Is(err, snp.ReasonCRL) {
		t.Errorf("got %v", err)
	}
	flipped := e
	flipped.Quote = append([]byte(nil), e.Quote...)
	flipped.Quote[0x90] ^= 1
	if _, err := v.Verify(flipped); !errors.Is(err, snp.ReasonChain) {
		t.Errorf("flipped: got %v", err)
	}
	for _, outside := range []time.Time{time.Date(2022, 9, 1, 0, 0, 0, 0, time.UTC), time.Date(2029, 10, 1, 0, 0, 0, 0, time.UTC)} {
		v.Now = func() time.Time { return outside }
		if _, err := v.Verify(e); !errors.Is(err, snp.ReasonChain) {
			t.Errorf("at %s: got %v", outside, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	a := snptest.New(noon)
	f.Add(a.Sign(wanted), a.Collateral().Encode())
	v := a.Verifier()
	f.Fuzz(func(t *testing.T, quote, aux []byte) {
		claims, err := v.Verify(tee.Evidence{Kind: tee.SNP, Quote: quote, Aux: aux})
		if err != nil && (claims != nil || !errors.Is(err, tee.ErrNotGenuine)) {
			t.Errorf("got %v, %v", claims, err)
		}
		if err == nil && claims.SNP.LaunchDigest != (tee.Digest{0xaa, 47: 0xbb}) {
			t.Errorf("forged: %+v", claims.SNP)
		}
	})
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func guid(t *testing.T, s string) (g [16]byte) {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(g) {
		t.Fatalf("%s is no GUID: %v", s, err)
	}
	return [16]byte(b)
}
