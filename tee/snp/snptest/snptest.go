// Package snptest makes reports of a synthetic AMD with one machine, which
// [snp.Verifier] takes if it is told to, for tests. Start at [New].
package snptest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"math/big"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	sevtest "github.com/google/go-sev-guest/testing"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/snp"
)

// AMD is a synthetic AMD with one machine. It is not safe for concurrent use.
type AMD struct {
	Signer *sevtest.AmdSigner
	Chip   [64]byte
	TCB    kds.TCBParts
	Report []byte               // 1184 bytes, unsigned
	CRL    *x509.RevocationList // template
	VLEK   bool                 // reports are signed by a cloud provider's key
	at     time.Time
}

// New returns a machine whose certificates and CRL are valid at a time. It panics
// if the library for SEV-SNP fails, as everything here does.
func New(at time.Time) *AMD {
	a := &AMD{at: at, Chip: [64]byte{1, 63: 2}, TCB: kds.TCBParts{BlSpl: 3, TeeSpl: 1, SnpSpl: 8, UcodeSpl: 115}}
	created := at.AddDate(-1, 0, 0)
	b := &sevtest.AmdSignerBuilder{
		Keys: sevtest.DefaultAmdKeys(), ProductName: "Milan-B1", CSPID: "cloud",
		ArkCreationTime: created, AskCreationTime: created, AsvkCreationTime: created, VcekCreationTime: created, VlekCreationTime: created,
		VcekCustom: sevtest.CertOverride{Extensions: sevtest.CustomExtensions(a.TCB, a.Chip[:], "", "Milan-B1")},
		VlekCustom: sevtest.CertOverride{Extensions: sevtest.CustomExtensions(a.TCB, nil, "cloud", "Milan-B1")},
	}
	var err error
	if a.Signer, err = b.TestOnlyCertChain(); err != nil {
		panic("snptest: " + err.Error())
	}
	a.CRL = &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at.AddDate(0, 0, -1), NextUpdate: at.AddDate(0, 0, 29)}
	raw := sevtest.CreateRawReport(&sevtest.TestReportOptions{})
	r := raw[:abi.ReportSize]
	binary.LittleEndian.PutUint32(r[4:], 7)           // guest SVN
	binary.LittleEndian.PutUint64(r[8:], 1<<17|1<<16) // policy: reserved bit that is one, SMT
	copy(r[0x90:], []byte{0xaa, 47: 0xbb})            // launch digest
	copy(r[0xc0:], []byte{0xcc, 31: 0xdd})            // host data
	copy(r[0x1a0:], a.Chip[:])
	tcb, err := kds.ComposeTCBParts(a.TCB)
	if err != nil {
		panic("snptest: " + err.Error())
	}
	for _, at := range []int{0x38, 0x180, 0x1e0, 0x1f0} {
		binary.LittleEndian.PutUint64(r[at:], uint64(tcb))
	}
	a.Report = r
	return a
}

// Sign returns the report about rd, signed.
func (a *AMD) Sign(rd tee.ReportData) []byte {
	r := append([]byte(nil), a.Report...)
	copy(r[0x50:], rd[:])
	if a.VLEK {
		binary.LittleEndian.PutUint32(r[0x48:], abi.ComposeSignerInfo(abi.SignerInfo{SigningKey: abi.VlekReportSigner}))
	}
	x, y, err := a.Signer.Sign(abi.SignedComponent(r))
	if err == nil {
		err = abi.SetSignature(x, y, r)
	}
	if err != nil {
		panic("snptest: " + err.Error())
	}
	return r
}

// Collateral returns the machine's certificates and the CRL.
func (a *AMD) Collateral() *snp.Collateral {
	table, err := a.Signer.CertTableBytes()
	if err != nil {
		panic("snptest: " + err.Error())
	}
	ark := *a.Signer.Ark
	ark.SubjectKeyId = []byte{1} // the library asks for one
	crl, err := x509.CreateRevocationList(rand.Reader, a.CRL, &ark, a.Signer.Keys.Ark)
	if err != nil {
		panic("snptest: " + err.Error())
	}
	return &snp.Collateral{Certificates: table, CRL: crl}
}

// Chains is what a verifier has to trust.
func (a *AMD) Chains() map[string]snp.Chain {
	return map[string]snp.Chain{"Milan": {ARK: a.Signer.Ark, ASK: a.Signer.Ask, ASVK: a.Signer.Asvk}}
}

// Verifier trusts this AMD, at the time of New.
func (a *AMD) Verifier() *snp.Verifier {
	return &snp.Verifier{Chains: a.Chains(), Now: func() time.Time { return a.at }}
}

// Revoke puts a certificate into the CRL.
func (a *AMD) Revoke(cert *x509.Certificate) {
	a.CRL.RevokedCertificateEntries = append(a.CRL.RevokedCertificateEntries,
		x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: a.CRL.ThisUpdate})
}
