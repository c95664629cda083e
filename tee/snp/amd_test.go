package snp_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	sevtest "github.com/google/go-sev-guest/testing"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/snp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// amd is a synthetic AMD with one machine.
type amd struct {
	signer *sevtest.AmdSigner
	chip   [64]byte
	tcb    kds.TCBParts
	report []byte // unsigned
	crl    *x509.RevocationList
	vlek   bool
}

func newAMD(t testing.TB) *amd {
	t.Helper()
	a := &amd{chip: [64]byte{1, 63: 2}, tcb: kds.TCBParts{BlSpl: 3, TeeSpl: 1, SnpSpl: 8, UcodeSpl: 115}}
	created := noon.AddDate(-1, 0, 0)
	b := &sevtest.AmdSignerBuilder{
		Keys: sevtest.DefaultAmdKeys(), ProductName: "Milan-B1", CSPID: "cloud",
		ArkCreationTime: created, AskCreationTime: created, AsvkCreationTime: created, VcekCreationTime: created, VlekCreationTime: created,
		VcekCustom: sevtest.CertOverride{Extensions: sevtest.CustomExtensions(a.tcb, a.chip[:], "", "Milan-B1")},
		VlekCustom: sevtest.CertOverride{Extensions: sevtest.CustomExtensions(a.tcb, nil, "cloud", "Milan-B1")},
	}
	var err error
	if a.signer, err = b.TestOnlyCertChain(); err != nil {
		t.Fatal(err)
	}
	a.crl = &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon.AddDate(0, 0, -1), NextUpdate: noon.AddDate(0, 0, 29)}
	raw := sevtest.CreateRawReport(&sevtest.TestReportOptions{})
	r := raw[:abi.ReportSize]
	binary.LittleEndian.PutUint32(r[4:], 7)           // guest SVN
	binary.LittleEndian.PutUint64(r[8:], 1<<17|1<<16) // policy: reserved bit that is one, SMT
	copy(r[0x90:], []byte{0xaa, 47: 0xbb})            // launch digest
	copy(r[0xc0:], []byte{0xcc, 31: 0xdd})            // host data
	copy(r[0x1a0:], a.chip[:])
	tcb, err := kds.ComposeTCBParts(a.tcb)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0x38, 0x180, 0x1e0, 0x1f0} {
		binary.LittleEndian.PutUint64(r[at:], uint64(tcb))
	}
	a.report = r
	return a
}

// sign returns the report about rd, signed.
func (a *amd) sign(t testing.TB, rd tee.ReportData) []byte {
	t.Helper()
	r := append([]byte(nil), a.report...)
	copy(r[0x50:], rd[:])
	if a.vlek {
		binary.LittleEndian.PutUint32(r[0x48:], abi.ComposeSignerInfo(abi.SignerInfo{SigningKey: abi.VlekReportSigner}))
	}
	x, y, err := a.signer.Sign(abi.SignedComponent(r))
	if err == nil {
		err = abi.SetSignature(x, y, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (a *amd) collateral(t testing.TB) *snp.Collateral {
	t.Helper()
	table, err := a.signer.CertTableBytes()
	if err != nil {
		t.Fatal(err)
	}
	ark := *a.signer.Ark
	ark.SubjectKeyId = []byte{1} // the library asks for one
	crl, err := x509.CreateRevocationList(rand.Reader, a.crl, &ark, a.signer.Keys.Ark)
	if err != nil {
		t.Fatal(err)
	}
	return &snp.Collateral{Certificates: table, CRL: crl}
}

func (a *amd) chains() map[string]snp.Chain {
	return map[string]snp.Chain{"Milan": {ARK: a.signer.Ark, ASK: a.signer.Ask, ASVK: a.signer.Asvk}}
}

func (a *amd) verifier() *snp.Verifier {
	return &snp.Verifier{Chains: a.chains(), Now: func() time.Time { return noon }}
}

func (a *amd) revoke(cert *x509.Certificate) {
	a.crl.RevokedCertificateEntries = append(a.crl.RevokedCertificateEntries,
		x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: a.crl.ThisUpdate})
}

func guid(t *testing.T, s string) (g [16]byte) {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(g) {
		t.Fatalf("%s is no GUID: %v", s, err)
	}
	return [16]byte(b)
}
