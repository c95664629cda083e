// Package snptest makes reports of a synthetic AMD with one machine, which
// [snp.Verifier] takes if it is told to, for tests. Start at [New].
package snptest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"slices"
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

// Versions are those of the firmware of [New]'s machine.
var Versions = tee.SNPVersions{Bootloader: 3, TEE: 1, SNP: 8, Microcode: 115}

// New returns a machine whose certificates and CRL are valid at a time. It panics
// if the library for SEV-SNP fails, as everything here does.
func New(at time.Time) *AMD { return NewMachine(at, [64]byte{1, 63: 2}, Versions) }

// NewMachine returns a machine of the same AMD, with another chip and firmware.
func NewMachine(at time.Time, chip [64]byte, v tee.SNPVersions) *AMD {
	a := &AMD{at: at, Chip: chip, TCB: kds.TCBParts{BlSpl: v.Bootloader, TeeSpl: v.TEE, SnpSpl: v.SNP, UcodeSpl: v.Microcode}}
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

// ChainPEM is the same in the form that [snp.ParseChains] reads.
func (a *AMD) ChainPEM() (b []byte) {
	for _, c := range []*x509.Certificate{a.Signer.Ask, a.Signer.Asvk, a.Signer.Ark} {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// Measurement is that of the guest.
func (a *AMD) Measurement() tee.Measurement {
	r := tee.SNPReport{LaunchDigest: tee.Digest(a.Report[0x90:0xc0]), HostData: [32]byte(a.Report[0xc0:0xe0])}
	return r.Measurement()
}

// DerivedKey stands for the key that the firmware derives: another one for each
// chip, launch digest, policy, family and image.
func (a *AMD) DerivedKey() [32]byte {
	return sha256.Sum256(slices.Concat([]byte("ocw/snptest/derived-key/1"), a.Report[0x1a0:0x1e0], a.Report[0x90:0xc0], a.Report[8:0x30]))
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
