package dcap_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

func sha(n int64) *big.Int { return big.NewInt(1_000_000 + n) }

// forged is evidence on its way to the verifier.
type forged struct {
	k     *dcaptest.Kit
	quote []byte
	c     *dcap.Collateral
}

// stranger is another synthetic Intel.
func stranger(k *dcaptest.Kit) *dcaptest.Kit { return dcaptest.New("stranger", k.Kind, noon) }

// certs takes a PEM chain apart.
func certs(chain []byte) (list [][]byte) {
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		list = append(list, pem.EncodeToMemory(block))
	}
	return list
}

// requote puts another chain into a quote.
func (f *forged) requote(chain []byte) { f.quote = f.k.QuoteOf(f.k.Signed(), 5, chain) }

// reorder puts certificates of the kit's chain into the quote: 0 is the PCK
// certificate, 2 the root.
func (f *forged) reorder(places ...int) {
	list := certs(f.k.PCKChain())
	var chain []byte
	for _, i := range places {
		chain = append(chain, list[i]...)
	}
	f.requote(chain)
}

// replace changes text in TCB info and QE identity and signs them again.
func (f *forged) replace(old, new string) {
	if !strings.Contains(string(f.c.TCBInfo)+string(f.c.QEIdentity), old) {
		panic("nothing to replace: " + old)
	}
	f.c.TCBInfo = bytes.ReplaceAll(f.c.TCBInfo, []byte(old), []byte(new))
	f.c.QEIdentity = bytes.ReplaceAll(f.c.QEIdentity, []byte(old), []byte(new))
	f.k.Resign(f.c)
}

// sigData is where the signature data of a quote of SGX begins: signature 64,
// key 64, report 384, its signature 64, authentication data 2+32, type 2, size 4.
const sigData = 48 + 384 + 4

func critical() pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}
}

// extension replaces the SGX extension of the PCK certificate.
func extension(der []byte) func(*forged) {
	return func(f *forged) {
		list := certs(f.k.PCKChain())
		leaf := *f.k.PCKCert
		leaf.ExtraExtensions = nil
		if der != nil {
			leaf.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}, Value: der}}
		}
		block, _ := pem.Decode(list[1])
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			panic(err)
		}
		b, err := x509.CreateCertificate(rand.Reader, &leaf, ca, f.k.Keys.PCK.Public(), f.k.Keys.CA)
		if err != nil {
			panic(err)
		}
		f.requote(bytes.Join([][]byte{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b}), list[1], list[2]}, nil))
	}
}

// p384 is a certificate with a key of another curve in the place of the PCK's.
func p384(f *forged) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	b, err := x509.CreateCertificate(rand.Reader, f.k.PCKCert, f.k.PCKCert, key.Public(), key)
	if err != nil {
		panic(err)
	}
	list := certs(f.k.PCKChain())
	f.requote(bytes.Join([][]byte{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b}), list[1], list[2]}, nil))
}

var valid = dcaptest.New("test", tee.SGX, noon).PCK

// rejected are all the ways in which evidence is not genuine. Before Quote and
// Collateral are made the kit is changed, afterwards what they made.
var rejected = []struct {
	name   string
	kind   tee.Kind
	before func(k *dcaptest.Kit)
	after  func(f *forged)
	want   dcap.Reason
}{
	// The quote's form.
	{"empty", tee.SGX, nil, func(f *forged) { f.quote = nil }, dcap.ReasonQuote},
	{"huge", tee.SGX, nil, func(f *forged) { f.quote = append(f.quote, make([]byte, dcap.MaxQuote)...) }, dcap.ReasonQuote},
	{"header cut off", tee.SGX, nil, func(f *forged) { f.quote = f.quote[:47] }, dcap.ReasonQuote},
	{"body cut off", tee.SGX, nil, func(f *forged) { f.quote = f.quote[:48+383] }, dcap.ReasonQuote},
	{"end cut off", tee.SGX, nil, func(f *forged) { f.quote = f.quote[:len(f.quote)-1] }, dcap.ReasonQuote},
	{"end cut off, length adapted", tee.SGX, nil, func(f *forged) {
		f.quote = f.quote[:len(f.quote)-1]
		binary.LittleEndian.PutUint32(f.quote[432:], uint32(len(f.quote)-sigData))
	}, dcap.ReasonQuote},
	{"a byte follows", tee.SGX, nil, func(f *forged) { f.quote = append(f.quote, 1) }, dcap.ReasonQuote},
	{"a byte follows inside", tee.SGX, nil, func(f *forged) {
		f.quote = append(f.quote, 0)
		binary.LittleEndian.PutUint32(f.quote[432:], uint32(len(f.quote)-sigData))
	}, dcap.ReasonQuote},
	{"lengths overflow", tee.SGX, nil, func(f *forged) { binary.LittleEndian.PutUint32(f.quote[432:], 0xffffffff) }, dcap.ReasonQuote},
	{"version 2", tee.SGX, nil, func(f *forged) { f.quote[0] = 2 }, dcap.ReasonVersion},
	{"version 6", tee.TDX, nil, func(f *forged) { f.quote[0] = 6 }, dcap.ReasonVersion},
	{"TDX in version 3", tee.SGX, nil, func(f *forged) { f.quote[4] = 0x81 }, dcap.ReasonTEE},
	{"SGX in version 4", tee.TDX, nil, func(f *forged) { f.quote[4] = 0 }, dcap.ReasonTEE},
	{"body of SGX in version 5", tee.TDX, func(k *dcaptest.Kit) { k.Version = 5 }, func(f *forged) { f.quote[48] = 1 }, dcap.ReasonTEE},
	{"body of another size in version 5", tee.TDX, func(k *dcaptest.Kit) { k.Version = 5 }, func(f *forged) { f.quote[50]++ }, dcap.ReasonTEE},
	{"P-384 attestation key", tee.SGX, nil, func(f *forged) { f.quote[2] = 3 }, dcap.ReasonKeyType},
	{"another vendor", tee.SGX, nil, func(f *forged) { f.quote[12]++ }, dcap.ReasonVendor},
	{"certification by PPID", tee.SGX, nil, func(f *forged) { f.quote = f.k.QuoteOf(f.k.Signed(), 3, make([]byte, 404)) }, dcap.ReasonCertType},
	{"certification by PPID in a TD's quote", tee.TDX, nil, func(f *forged) { f.quote = f.k.QuoteOf(f.k.Signed(), 1, make([]byte, 404)) }, dcap.ReasonCertType},
	{"no report of the quoting enclave", tee.TDX, nil, func(f *forged) { f.quote[48+584+4+128] = 5 }, dcap.ReasonCertType},

	// Signatures of the quote.
	{"changed header", tee.SGX, nil, func(f *forged) { f.quote[30] ^= 1 }, dcap.ReasonSignature},
	{"changed report data", tee.SGX, nil, func(f *forged) { f.quote[48+320] ^= 1 }, dcap.ReasonSignature},
	{"changed report data of a TD", tee.TDX, nil, func(f *forged) { f.quote[48+520] ^= 1 }, dcap.ReasonSignature},
	{"changed signature", tee.SGX, nil, func(f *forged) { f.quote[sigData+5] ^= 1 }, dcap.ReasonSignature},
	{"zero signature", tee.SGX, nil, func(f *forged) { clear(f.quote[sigData : sigData+64]) }, dcap.ReasonSignature},
	{"signature by another key", tee.SGX, nil, func(f *forged) {
		copy(f.quote[sigData:], dcaptest.Sign(stranger(f.k).Keys.Attestation, f.quote[:432]))
	}, dcap.ReasonSignature},
	{"signature of another quote", tee.SGX, nil, func(f *forged) {
		f.k.SGX.ReportData[0] = 9
		copy(f.quote[sigData:sigData+64], f.k.Quote()[sigData:])
	}, dcap.ReasonSignature},
	{"attestation key not on the curve", tee.SGX, func(k *dcaptest.Kit) { k.QEAuth = nil }, func(f *forged) {
		// The quoting enclave vouches for what is no point.
		k := *f.k
		k.QE.ReportData = bound(make([]byte, 64))
		f.quote = k.Quote()
		clear(f.quote[sigData+64 : sigData+128])
	}, dcap.ReasonSignature},
	{"attestation key exchanged", tee.SGX, nil, func(f *forged) {
		s := stranger(f.k)
		copy(f.quote[sigData:], s.Quote()[sigData:sigData+128])
	}, dcap.ReasonQEBinding},
	{"changed authentication data", tee.SGX, nil, func(f *forged) { f.quote[sigData+64+64+384+64+2] ^= 1 }, dcap.ReasonQEBinding},
	{"more in the quoting enclave's report data", tee.SGX, func(k *dcaptest.Kit) {
		public, _ := k.Keys.Attestation.PublicKey.Bytes()
		k.QE.ReportData = bound(append(public[1:], k.QEAuth...))
		k.QE.ReportData[40] = 1
	}, nil, dcap.ReasonQEBinding},
	{"changed report of the quoting enclave", tee.SGX, nil, func(f *forged) { f.quote[sigData+128] ^= 1 }, dcap.ReasonQEReportSignature},
	{"changed signature of that report", tee.SGX, nil, func(f *forged) { f.quote[sigData+128+384] ^= 1 }, dcap.ReasonQEReportSignature},
	{"that report by another PCK", tee.SGX, nil, func(f *forged) {
		k := *f.k
		k.Keys.PCK = stranger(f.k).Keys.PCK
		f.quote = k.QuoteOf(k.Signed(), 5, f.k.PCKChain())
	}, dcap.ReasonQEReportSignature},

	// The certificate chain.
	{"no certificates", tee.SGX, nil, func(f *forged) { f.requote(nil) }, dcap.ReasonChain},
	{"one certificate", tee.SGX, nil, func(f *forged) { f.reorder(0) }, dcap.ReasonChain},
	{"four certificates", tee.SGX, nil, func(f *forged) { f.reorder(0, 1, 2, 2) }, dcap.ReasonChain},
	{"text in the chain", tee.SGX, nil, func(f *forged) { f.requote(append(f.k.PCKChain(), "and more"...)) }, dcap.ReasonChain},
	{"text before the chain", tee.SGX, nil, func(f *forged) { f.requote(append([]byte("more "), f.k.PCKChain()...)) }, dcap.ReasonChain},
	{"another PEM", tee.SGX, nil, func(f *forged) {
		f.requote(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}))
	}, dcap.ReasonChain},
	{"no certificate in the PEM", tee.SGX, nil, func(f *forged) {
		f.requote(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0}}))
	}, dcap.ReasonChain},
	{"long chain", tee.SGX, nil, func(f *forged) { f.c.TCBInfoChain = append(f.c.TCBInfoChain, make([]byte, 20<<10)...) }, dcap.ReasonChain},
	{"key on P-384", tee.SGX, nil, p384, dcap.ReasonChain},
	{"another root", tee.SGX, nil, func(f *forged) { f.quote = stranger(f.k).Quote() }, dcap.ReasonRoot},
	{"another root, left out", tee.SGX, nil, func(f *forged) {
		list := certs(stranger(f.k).PCKChain())
		f.requote(append(list[0], list[1]...))
	}, dcap.ReasonCertSignature},
	{"another root of our name behind our CA", tee.SGX, nil, func(f *forged) {
		list, other := certs(f.k.PCKChain()), certs(stranger(f.k).PCKChain())
		f.requote(bytes.Join([][]byte{list[0], list[1], other[2]}, nil))
	}, dcap.ReasonRoot},
	{"our root behind another CA", tee.SGX, nil, func(f *forged) {
		list, other := certs(f.k.PCKChain()), certs(stranger(f.k).PCKChain())
		f.requote(bytes.Join([][]byte{other[0], other[1], list[2]}, nil))
	}, dcap.ReasonCertSignature},
	{"PCK of another CA", tee.SGX, nil, func(f *forged) {
		list, other := certs(f.k.PCKChain()), certs(stranger(f.k).PCKChain())
		f.requote(bytes.Join([][]byte{other[0], list[1], list[2]}, nil))
	}, dcap.ReasonCertSignature},
	{"chain upside down", tee.SGX, nil, func(f *forged) { f.reorder(2, 1, 0) }, dcap.ReasonRoot},
	{"CA as PCK", tee.SGX, nil, func(f *forged) { f.reorder(1, 2) }, dcap.ReasonCertRole},
	{"PCK is a CA", tee.SGX, func(k *dcaptest.Kit) { k.PCKCert.IsCA, k.PCKCert.KeyUsage = true, x509.KeyUsageCertSign }, nil, dcap.ReasonCertRole},
	{"CA is none", tee.SGX, func(k *dcaptest.Kit) { k.CACert.IsCA = false }, nil, dcap.ReasonCertSignature},
	{"PCK of another name", tee.SGX, func(k *dcaptest.Kit) { k.PCKCert.Subject.CommonName = "Intel SGX TCB Signing" }, nil, dcap.ReasonCertRole},
	{"CA of another name", tee.SGX, func(k *dcaptest.Kit) { k.CACert.Subject.CommonName = "Intel SGX PCK CA" }, nil, dcap.ReasonCertRole},
	{"critical extension", tee.SGX, func(k *dcaptest.Kit) { k.PCKCert.ExtraExtensions = []pkix.Extension{critical()} }, nil, dcap.ReasonCertRole},
	{"PCK expired", tee.SGX, func(k *dcaptest.Kit) { k.PCKCert.NotAfter = noon.AddDate(0, 0, -1) }, nil, dcap.ReasonCertTime},
	{"PCK of tomorrow", tee.SGX, func(k *dcaptest.Kit) { k.PCKCert.NotBefore = noon.AddDate(0, 0, 1) }, nil, dcap.ReasonCertTime},
	{"CA expired", tee.SGX, func(k *dcaptest.Kit) { k.CACert.NotAfter = noon.AddDate(0, 0, -1) }, nil, dcap.ReasonCertTime},
	{"root expired", tee.SGX, func(k *dcaptest.Kit) { k.RootCert.NotAfter = noon.AddDate(0, 0, -1) }, nil, dcap.ReasonCertTime},
	{"no SGX extension", tee.SGX, nil, extension(nil), dcap.ReasonPCK},
	{"empty SGX extension", tee.SGX, nil, extension([]byte{0x30, 0}), dcap.ReasonPCK},
	{"bytes after the SGX extension", tee.SGX, nil, extension(append(dcaptest.SGXExtension(valid), 0)), dcap.ReasonPCK},
	{"SGX extension twice over", tee.SGX, nil, extension(doubled(dcaptest.SGXExtension(valid))), dcap.ReasonPCK},
	{"SGX extension cut off", tee.SGX, nil, extension(dcaptest.SGXExtension(valid)[:100]), dcap.ReasonPCK},

	// The CRLs.
	{"root CRL malformed", tee.SGX, nil, func(f *forged) { f.c.RootCRL = f.c.RootCRL[1:] }, dcap.ReasonCRL},
	{"PCK CRL malformed", tee.SGX, nil, func(f *forged) { f.c.PCKCRL = append(f.c.PCKCRL, 0) }, dcap.ReasonCRL},
	{"huge CRL", tee.SGX, nil, func(f *forged) { f.c.PCKCRL = make([]byte, 2<<20) }, dcap.ReasonCRL},
	{"delta CRL", tee.SGX, func(k *dcaptest.Kit) { k.PCKCRL.ExtraExtensions = []pkix.Extension{critical()} }, nil, dcap.ReasonCRL},
	{"root CRL changed", tee.SGX, nil, func(f *forged) { f.c.RootCRL[len(f.c.RootCRL)-1] ^= 1 }, dcap.ReasonCRLSignature},
	{"PCK CRL changed", tee.SGX, nil, func(f *forged) { f.c.PCKCRL[len(f.c.PCKCRL)-1] ^= 1 }, dcap.ReasonCRLSignature},
	{"root CRL by another root", tee.SGX, nil, func(f *forged) { f.c.RootCRL = stranger(f.k).Collateral().RootCRL }, dcap.ReasonCRLSignature},
	{"PCK CRL by another CA", tee.SGX, nil, func(f *forged) { f.c.PCKCRL = stranger(f.k).Collateral().PCKCRL }, dcap.ReasonCRLSignature},
	{"root CRL in the place of the PCK CRL", tee.SGX, nil, func(f *forged) { f.c.PCKCRL = f.c.RootCRL }, dcap.ReasonCRLIssuer},
	{"PCK CRL in the place of the root CRL", tee.SGX, nil, func(f *forged) { f.c.RootCRL = f.c.PCKCRL }, dcap.ReasonCRLIssuer},
	{"PCK CRL of the other CA", tee.SGX, nil, func(f *forged) {
		k := dcaptest.New("test", f.k.Kind, noon)
		k.CACert.Subject.CommonName = "Intel SGX PCK Processor CA"
		f.c.PCKCRL = k.Collateral().PCKCRL
	}, dcap.ReasonCRLIssuer},
	{"chain of the other CA", tee.SGX, nil, func(f *forged) {
		k := dcaptest.New("test", f.k.Kind, noon)
		k.Keys.CA = stranger(f.k).Keys.CA
		f.c.PCKCRLChain = k.Collateral().PCKCRLChain
	}, dcap.ReasonCRLIssuer},
	{"chain of the PCK CRL of another root", tee.SGX, nil, func(f *forged) { f.c.PCKCRLChain = stranger(f.k).Collateral().PCKCRLChain }, dcap.ReasonCRLIssuer},
	{"chain of the PCK CRL malformed", tee.SGX, nil, func(f *forged) { f.c.PCKCRLChain = []byte("x") }, dcap.ReasonChain},
	{"root CRL expired", tee.SGX, func(k *dcaptest.Kit) { k.RootCRL.NextUpdate = noon.AddDate(0, 0, -1) }, nil, dcap.ReasonCRLTime},
	{"root CRL of tomorrow", tee.SGX, func(k *dcaptest.Kit) { k.RootCRL.ThisUpdate = noon.AddDate(0, 0, 1) }, nil, dcap.ReasonCRLTime},
	{"PCK CRL expired", tee.SGX, func(k *dcaptest.Kit) {
		k.PCKCRL.ThisUpdate, k.PCKCRL.NextUpdate = noon.AddDate(0, 0, -31), noon.AddDate(0, 0, -1)
	}, nil, dcap.ReasonCRLTime},
	{"PCK CRL of tomorrow", tee.SGX, func(k *dcaptest.Kit) { k.PCKCRL.ThisUpdate = noon.AddDate(0, 0, 1) }, nil, dcap.ReasonCRLTime},
	{"PCK revoked", tee.SGX, (*dcaptest.Kit).RevokePCK, nil, dcap.ReasonRevokedPCK},
	{"PCK CA revoked", tee.TDX, (*dcaptest.Kit).RevokeCA, nil, dcap.ReasonRevokedCA},
	{"TCB signer revoked", tee.SGX, (*dcaptest.Kit).RevokeSigner, nil, dcap.ReasonRevokedSigner},

	// TCB info.
	{"no collateral", tee.SGX, nil, func(f *forged) { f.c = nil }, dcap.ReasonNoCollateral},
	{"no TCB info", tee.SGX, nil, func(f *forged) { f.c.TCBInfo = nil }, dcap.ReasonCollateral},
	{"no QE identity", tee.SGX, nil, func(f *forged) { f.c.QEIdentity = nil }, dcap.ReasonCollateral},
	{"no root CRL", tee.SGX, nil, func(f *forged) { f.c.RootCRL = nil }, dcap.ReasonCollateral},
	{"no PCK CRL", tee.SGX, nil, func(f *forged) { f.c.PCKCRL = nil }, dcap.ReasonCollateral},
	{"TCB info changed", tee.SGX, nil, func(f *forged) { f.c.TCBInfo = bytes.Replace(f.c.TCBInfo, []byte("17"), []byte("18"), 1) }, dcap.ReasonTCBInfoSignature},
	{"TCB info with a space", tee.SGX, nil, func(f *forged) { f.c.TCBInfo = append(f.c.TCBInfo, ' ') }, dcap.ReasonTCBInfoSignature},
	{"signature of TCB info changed", tee.SGX, nil, func(f *forged) { f.c.TCBInfoSignature[0] ^= 1 }, dcap.ReasonTCBInfoSignature},
	{"signature of TCB info cut off", tee.SGX, nil, func(f *forged) { f.c.TCBInfoSignature = f.c.TCBInfoSignature[:63] }, dcap.ReasonTCBInfoSignature},
	{"TCB info by another signer", tee.SGX, nil, func(f *forged) { f.c.TCBInfoChain = stranger(f.k).Collateral().TCBInfoChain }, dcap.ReasonRoot},
	{"TCB info by the PCK CA", tee.SGX, nil, func(f *forged) { f.c.TCBInfoChain = f.c.PCKCRLChain }, dcap.ReasonCertRole},
	{"TCB info by a certificate of another name", tee.SGX, func(k *dcaptest.Kit) { k.SignerCert.Subject.CommonName = "Intel SGX Attestation Report Signing" }, nil, dcap.ReasonCertRole},
	{"TCB signer expired", tee.SGX, func(k *dcaptest.Kit) { k.SignerCert.NotAfter = noon.AddDate(0, 0, -1) }, nil, dcap.ReasonCertTime},
	{"TCB info expired", tee.SGX, func(k *dcaptest.Kit) {
		k.TCBInfo.NextUpdate = noon.AddDate(0, 0, -1)
		k.TCBInfo.IssueDate = noon.AddDate(0, 0, -31)
	}, nil, dcap.ReasonTCBInfoTime},
	{"TCB info of tomorrow", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.IssueDate = noon.AddDate(0, 0, 1) }, nil, dcap.ReasonTCBInfoTime},
	{"TCB info of version 2", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.Version = 2 }, nil, dcap.ReasonTCBInfo},
	{"TCB info of another type", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.TCBType = 1 }, nil, dcap.ReasonTCBInfo},
	{"TCB info of another id", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.ID = "SEV" }, nil, dcap.ReasonTCBInfo},
	{"TCB info is no JSON", tee.SGX, nil, func(f *forged) { f.c.TCBInfo = []byte("{"); f.k.Resign(f.c) }, dcap.ReasonTCBInfo},
	{"TCB info without levels", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.TCBLevels = nil }, nil, dcap.ReasonTCBInfo},
	{"TCB info with 15 components", tee.SGX, func(k *dcaptest.Kit) { s := &k.TCBInfo.TCBLevels[0].TCB.SGX; *s = (*s)[:15] }, nil, dcap.ReasonTCBInfo},
	{"TDX TCB info without TDX components", tee.TDX, func(k *dcaptest.Kit) { k.TCBInfo.TCBLevels[1].TCB.TDX = nil }, nil, dcap.ReasonTCBInfo},
	{"unknown status", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.TCBLevels[0].TCBStatus = "Fine" }, nil, dcap.ReasonTCBInfo},
	{"level without status", tee.SGX, nil, func(f *forged) { f.replace(`"tcbStatus":"UpToDate"`, `"x":0`) }, dcap.ReasonTCBInfo},
	{"level without PCESVN", tee.SGX, nil, func(f *forged) { f.replace(`"pcesvn":13`, `"x":0`) }, dcap.ReasonTCBInfo},
	{"component without SVN", tee.SGX, nil, func(f *forged) { f.replace(`{"svn":5}`, `{}`) }, dcap.ReasonTCBInfo},
	{"no evaluation number", tee.SGX, nil, func(f *forged) { f.replace(`"tcbEvaluationDataNumber":17`, `"x":0`) }, dcap.ReasonTCBInfo},
	{"no dates", tee.SGX, nil, func(f *forged) { f.replace(`issueDate`, `x`) }, dcap.ReasonTCBInfo},
	{"TCB info of TDX for an enclave", tee.SGX, nil, func(f *forged) { other(f, tee.TDX, true, false) }, dcap.ReasonTCBInfoKind},
	{"TCB info of SGX for a TD", tee.TDX, nil, func(f *forged) { other(f, tee.SGX, true, false) }, dcap.ReasonTCBInfoKind},
	{"FMSPC", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.FMSPC = "00906ea10000" }, nil, dcap.ReasonFMSPC},
	{"short FMSPC", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.FMSPC = "00906e" }, nil, dcap.ReasonTCBInfo},
	{"PCE", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.PCEID = "0001" }, nil, dcap.ReasonPCEID},
	{"microcode below all levels", tee.SGX, func(k *dcaptest.Kit) { k.PCK.TCBComponents[0] = 1 }, nil, dcap.ReasonTCBLevel},
	{"last component below all levels", tee.SGX, func(k *dcaptest.Kit) {
		for i := range k.TCBInfo.TCBLevels {
			k.TCBInfo.TCBLevels[i].TCB.SGX[15].SVN = 1
		}
	}, nil, dcap.ReasonTCBLevel},
	{"PCE below all levels", tee.SGX, func(k *dcaptest.Kit) { k.PCK.PCESVN = 1 }, nil, dcap.ReasonTCBLevel},
	{"TDX microcode below all levels", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TEETCBSVN[2] = 1 }, nil, dcap.ReasonTCBLevel},
	{"TDX module of version 0 below all levels", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TEETCBSVN = [16]byte{4, 0, 2} }, nil, dcap.ReasonTCBLevel},

	// QE identity.
	{"QE identity changed", tee.SGX, nil, func(f *forged) { f.c.QEIdentity[len(f.c.QEIdentity)-1] = ' ' }, dcap.ReasonQEIdentitySignature},
	{"QE identity with TCB info's signature", tee.SGX, nil, func(f *forged) { f.c.QEIdentitySignature = f.c.TCBInfoSignature }, dcap.ReasonQEIdentitySignature},
	{"QE identity by another signer", tee.SGX, nil, func(f *forged) { f.c.QEIdentityChain = stranger(f.k).Collateral().QEIdentityChain }, dcap.ReasonRoot},
	{"QE identity expired", tee.SGX, func(k *dcaptest.Kit) {
		k.QEIdentity.IssueDate, k.QEIdentity.NextUpdate = noon.AddDate(0, 0, -31), noon.AddDate(0, 0, -1)
	}, nil, dcap.ReasonQEIdentityTime},
	{"QE identity of tomorrow", tee.SGX, func(k *dcaptest.Kit) { k.QEIdentity.IssueDate = noon.AddDate(0, 0, 1) }, nil, dcap.ReasonQEIdentityTime},
	{"QE identity of version 1", tee.SGX, func(k *dcaptest.Kit) { k.QEIdentity.Version = 1 }, nil, dcap.ReasonQEIdentity},
	{"identity of the QVE", tee.SGX, func(k *dcaptest.Kit) { k.QEIdentity.ID = "QVE" }, nil, dcap.ReasonQEIdentity},
	{"QE identity without levels", tee.SGX, func(k *dcaptest.Kit) { k.QEIdentity.TCBLevels = nil }, nil, dcap.ReasonQEIdentity},
	{"QE identity without product", tee.SGX, nil, func(f *forged) { f.replace(`isvprodid`, `x`) }, dcap.ReasonQEIdentity},
	{"QE identity with a short mask", tee.SGX, func(k *dcaptest.Kit) { k.QEIdentity.AttributesMask = "ff" }, nil, dcap.ReasonQEIdentity},
	{"level without SVN", tee.SGX, nil, func(f *forged) { f.replace(`"isvsvn":8`, `"x":0`) }, dcap.ReasonQEIdentity},
	{"identity of the TD quoting enclave for an enclave", tee.SGX, nil, func(f *forged) { other(f, tee.TDX, false, true) }, dcap.ReasonQEIdentityKind},
	{"quoting enclave of another signer", tee.SGX, func(k *dcaptest.Kit) { k.QE.MRSigner[0]++ }, nil, dcap.ReasonQE},
	{"quoting enclave of another product", tee.SGX, func(k *dcaptest.Kit) { k.QE.ProdID++ }, nil, dcap.ReasonQE},
	{"quoting enclave in debug mode", tee.SGX, func(k *dcaptest.Kit) { k.QE.Attributes[0] |= 2 }, nil, dcap.ReasonQE},
	{"quoting enclave without provisioning key", tee.SGX, func(k *dcaptest.Kit) { k.QE.Attributes[0] &^= 0x10 }, nil, dcap.ReasonQE},
	{"quoting enclave with MISCSELECT", tee.SGX, func(k *dcaptest.Kit) { k.QE.MiscSelect = 1 << 31 }, nil, dcap.ReasonQE},
	{"quoting enclave below all levels", tee.SGX, func(k *dcaptest.Kit) { k.QE.SVN = 3 }, nil, dcap.ReasonQELevel},

	// The TDX module.
	{"TDX module of an unknown version", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TEETCBSVN[1] = 3 }, nil, dcap.ReasonModule},
	{"no TDX modules", tee.TDX, func(k *dcaptest.Kit) { k.TCBInfo.TDXModuleIdentities = nil }, nil, dcap.ReasonModule},
	{"no TDX module of version 0", tee.TDX, func(k *dcaptest.Kit) { k.TCBInfo.TDXModule = nil; k.TDX.TEETCBSVN[1] = 0 }, nil, dcap.ReasonModule},
	{"TDX module of another signer", tee.TDX, func(k *dcaptest.Kit) { k.TDX.MRSignerSEAM[0] = 1 }, nil, dcap.ReasonModule},
	{"TDX module of version 0 of another signer", tee.TDX, func(k *dcaptest.Kit) { k.TDX.MRSignerSEAM[0] = 1; k.TDX.TEETCBSVN[1] = 0 }, nil, dcap.ReasonModule},
	{"TDX module in debug mode", tee.TDX, func(k *dcaptest.Kit) { k.TDX.SEAMAttributes[0] = 1 }, nil, dcap.ReasonModule},
	{"TDX module below all levels", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TEETCBSVN[0] = 1 }, nil, dcap.ReasonModuleLevel},
	{"TDX module identity without levels", tee.TDX, func(k *dcaptest.Kit) { k.TCBInfo.TDXModuleIdentities[0].TCBLevels = nil }, nil, dcap.ReasonTCBInfo},
	{"TDX module identity with a short signer", tee.TDX, func(k *dcaptest.Kit) { k.TCBInfo.TDXModuleIdentities[0].MRSigner = "00" }, nil, dcap.ReasonTCBInfo},
}

// other replaces TCB info or QE identity by that of another kind of TEE.
func other(f *forged, kind tee.Kind, info, identity bool) {
	c := dcaptest.New("test", kind, noon).Collateral()
	if info {
		f.c.TCBInfo, f.c.TCBInfoSignature = c.TCBInfo, c.TCBInfoSignature
	}
	if identity {
		f.c.QEIdentity, f.c.QEIdentitySignature = c.QEIdentity, c.QEIdentitySignature
	}
}

// bound is the report data of a quoting enclave that vouches for b.
func bound(b []byte) (rd tee.ReportData) {
	h := sha256.Sum256(b)
	copy(rd[:], h[:])
	return rd
}

// doubled repeats the elements of a SEQUENCE.
func doubled(der []byte) []byte {
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		panic(err)
	}
	b, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(append([]byte(nil), v.Bytes...), v.Bytes...)})
	if err != nil {
		panic(err)
	}
	return b
}

func TestReject(t *testing.T) {
	reasons := map[dcap.Reason]bool{}
	for _, test := range rejected {
		t.Run(test.name, func(t *testing.T) {
			k := dcaptest.New("test", test.kind, noon)
			root := k.Root()
			if test.before != nil {
				test.before(k)
				root = k.Root()
			}
			f := &forged{k: k, quote: k.Quote(), c: k.Collateral()}
			if test.after != nil {
				test.after(f)
			}
			claims, err := dcap.Verify(f.quote, f.c, root, noon)
			if !errors.Is(err, test.want) || !errors.Is(err, tee.ErrNotGenuine) || claims != nil {
				t.Errorf("got %v, %v, want %v", claims, err, test.want)
			}
			reasons[test.want] = true
		})
	}
	t.Logf("%d cases, %d reasons", len(rejected), len(reasons))
	if n := len(rejected) + len(accepted); n < 80 {
		t.Errorf("%d cases, fewer than 80", n)
	}
}

// TestZeros accepts what configfs-tsm pads with zeros, and Trim cuts them off.
func TestZeros(t *testing.T) {
	for _, kit := range kits {
		k := kit.make()
		quote := k.Quote()
		padded := append(bytes.Clone(quote), make([]byte, 3065)...)
		if _, err := dcap.Verify(padded, k.Collateral(), k.Root(), noon); err != nil {
			t.Errorf("%s: %v", kit.name, err)
		}
		if got, err := dcap.Trim(padded); err != nil || !bytes.Equal(got, quote) {
			t.Errorf("%s: got %d bytes, %v, want %d", kit.name, len(got), err, len(quote))
		}
	}
	if _, err := dcap.Trim([]byte{1, 2, 3}); !errors.Is(err, dcap.ReasonQuote) {
		t.Errorf("got %v", err)
	}
}

// TestFlips flips every bit of header and body of a quote in each format. TestRealFlips
// does so with real quotes.
func TestFlips(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, kit := range kits {
		k := kit.make()
		flipAll(t, kit.name, k.Quote(), len(k.Signed()), k.Collateral(), k.Root())
	}
}

// TestCuts cuts quotes off at every byte.
func TestCuts(t *testing.T) {
	for _, kit := range kits {
		quote := kit.make().Quote()
		for n := range quote {
			if q, err := dcap.DecodeQuote(quote[:n]); !errors.Is(err, dcap.ReasonQuote) || q != nil {
				t.Errorf("%s cut to %d bytes: got %v, %v", kit.name, n, q, err)
			}
		}
	}
}
