package dcaptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
)

// Keys are the private keys of a synthetic Intel and its machine.
type Keys struct {
	Root, CA, PCK, TCBSigner, Attestation *ecdsa.PrivateKey
}

// Kit makes quotes of one machine, and the collateral for them. A copy of the
// struct shares what is behind its pointers and slices. It is not safe for
// concurrent use.
type Kit struct {
	Keys Keys

	// Templates of the certificates: subject, serial, dates, extensions.
	RootCert, CACert, PCKCert, SignerCert *x509.Certificate
	// PCK is what the PCK certificate says of the machine.
	PCK dcap.PCK

	// Kind and Version say which quote is made: SGX of version 3, TDX of 4 or 5.
	Kind    tee.Kind
	Version uint16
	// TD15 makes the longer body of TD 1.5, in version 5 only.
	TD15     bool
	UserData [20]byte
	SGX      tee.SGXReport // what a quote of SGX says
	TDX      tee.TDReport  // what a quote of TDX says
	// QE is the quoting enclave's report. Its report data is filled in unless it
	// is set.
	QE     tee.SGXReport
	QEAuth []byte

	// Templates of the CRLs.
	RootCRL, PCKCRL *x509.RevocationList
	TCBInfo         TCBInfo
	QEIdentity      Identity
}

// New returns a valid kit for quotes of a kind at a time: certificates are
// valid for years around it, TCB info, QE identity and PCK CRL from a day before
// to 29 days after. The platform is up to date.
func New(seed string, kind tee.Kind, at time.Time) *Kit {
	at = at.UTC().Truncate(time.Second)
	k := &Kit{
		Keys: Keys{Root: key(seed, "root"), CA: key(seed, "ca"), PCK: key(seed, "pck"), TCBSigner: key(seed, "tcb"), Attestation: key(seed, "attestation")},
		PCK: dcap.PCK{
			PPID: sha16(seed), CPUSVN: [16]byte{5, 5, 2, 2, 3, 1, 0, 3}, TCBComponents: [16]byte{5, 5, 2, 2, 3, 1, 0, 3},
			PCESVN: 13, FMSPC: tee.FMSPC{0xd0, 0xc0, 0x6f}, ProcessorModel: 1,
		},
		Kind: kind, Version: 3,
		QEAuth: make([]byte, 32),
		QE: tee.SGXReport{CPUSVN: [16]byte{5, 5, 2, 2, 3, 1, 0, 3}, Attributes: [16]byte{0x11, 8: 0xe7},
			MRSigner: sha256.Sum256([]byte("quoting enclave")), ProdID: 1, SVN: 8},
		SGX: tee.SGXReport{Attributes: [16]byte{0x05, 8: 0xe7}, MREnclave: sha256.Sum256([]byte("enclave")), MRSigner: sha256.Sum256([]byte("signer")), ProdID: 1, SVN: 1},
	}
	if kind == tee.TDX {
		k.Version, k.QE.ProdID = 4, 2
		k.TDX = tee.TDReport{TEETCBSVN: [16]byte{5, 1, 2}, TDAttributes: [8]byte{3: 0x10}, XFAM: [8]byte{0xe7, 0, 6}, MRTD: digest("td")}
		for i := range k.TDX.RTMR {
			k.TDX.RTMR[i] = digest("rtmr" + string(rune('0'+i)))
		}
	}
	k.RootCert = template("Intel SGX Root CA", 1, at, true)
	k.CACert = template("Intel SGX PCK Platform CA", 2, at, true)
	k.SignerCert = template("Intel SGX TCB Signing", 3, at, false)
	k.PCKCert = template("Intel SGX PCK Certificate", 4, at, false)
	k.RootCRL = &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at.AddDate(0, -6, 0), NextUpdate: at.AddDate(0, 6, 0)}
	k.PCKCRL = &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at.AddDate(0, 0, -1), NextUpdate: at.AddDate(0, 0, 29)}
	k.TCBInfo = newTCBInfo(k, at)
	k.QEIdentity = newIdentity(k, at)
	return k
}

// key derives a private key.
func key(seed, name string) *ecdsa.PrivateKey {
	for i := byte(0); ; i++ {
		h := sha256.Sum256([]byte("ocw/dcaptest/1\x00" + seed + "\x00" + name + "\x00" + string(rune(i))))
		// All but one in 2^32 hashes are below the group's order.
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), h[:]); err == nil {
			return k
		}
	}
}

func sha16(s string) [16]byte {
	h := sha256.Sum256([]byte(s))
	return [16]byte(h[:])
}

func digest(s string) (d tee.Digest) {
	h := sha256.Sum256([]byte(s))
	copy(d[:], h[:])
	return d
}

func template(name string, serial int64, at time.Time, ca bool) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Synthetic Intel for tests"}},
		NotBefore:    at.AddDate(-2, 0, 0), NotAfter: at.AddDate(5, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	if ca {
		t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		// So that CRLs can be made by what has been made no CA.
		t.SubjectKeyId = []byte{byte(serial)}
	}
	return t
}

// certificate signs a template. Kits are for tests, so what cannot be signed is
// a bug of the test: it panics.
func certificate(template, issuer *x509.Certificate, subject, signer *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, subject.Public(), signer)
	if err != nil {
		panic("dcaptest: " + err.Error())
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic("dcaptest: " + err.Error())
	}
	return cert
}

func pemOf(certs ...*x509.Certificate) (b []byte) {
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// Root returns the root certificate, which stands for Intel's.
func (k *Kit) Root() *x509.Certificate {
	return certificate(k.RootCert, k.RootCert, k.Keys.Root, k.Keys.Root)
}

// RootPEM returns the root certificate for dcap.ParseRoot.
func (k *Kit) RootPEM() []byte { return pemOf(k.Root()) }

// ca returns root and PCK CA.
func (k *Kit) ca() (root, ca *x509.Certificate) {
	root = k.Root()
	return root, certificate(k.CACert, root, k.Keys.CA, k.Keys.Root)
}

// PCKChain returns the chain of a quote: PCK, its CA, root.
func (k *Kit) PCKChain() []byte {
	root, ca := k.ca()
	leaf := *k.PCKCert
	leaf.ExtraExtensions = append([]pkix.Extension{{Id: oidSGX, Value: SGXExtension(k.PCK)}}, leaf.ExtraExtensions...)
	return pemOf(certificate(&leaf, ca, k.Keys.PCK, k.Keys.CA), ca, root)
}

// RevokePCK puts the PCK certificate on the CRL of its CA.
func (k *Kit) RevokePCK() { revoke(k.PCKCRL, k.PCKCert) }

// RevokeCA puts the PCK CA on the CRL of the root.
func (k *Kit) RevokeCA() { revoke(k.RootCRL, k.CACert) }

// RevokeSigner puts the TCB signing certificate on the CRL of the root.
func (k *Kit) RevokeSigner() { revoke(k.RootCRL, k.SignerCert) }

func revoke(list *x509.RevocationList, cert *x509.Certificate) {
	list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
		x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: list.ThisUpdate})
}

var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

// SGXExtension encodes the SGX extension of a PCK certificate.
func SGXExtension(p dcap.PCK) []byte {
	type field struct {
		ID    asn1.ObjectIdentifier
		Value any
	}
	under := func(arc asn1.ObjectIdentifier, n int) asn1.ObjectIdentifier {
		return append(append(asn1.ObjectIdentifier(nil), arc...), n)
	}
	oidTCB := under(oidSGX, 2)
	var tcb []field
	for i, svn := range p.TCBComponents {
		tcb = append(tcb, field{under(oidTCB, i+1), int(svn)})
	}
	tcb = append(tcb, field{under(oidTCB, 17), int(p.PCESVN)}, field{under(oidTCB, 18), p.CPUSVN[:]})
	der, err := asn1.Marshal([]field{
		{under(oidSGX, 1), p.PPID[:]}, {oidTCB, tcb}, {under(oidSGX, 3), p.PCEID[:]}, {under(oidSGX, 4), p.FMSPC[:]},
		{under(oidSGX, 5), asn1.Enumerated(p.ProcessorModel)},
	})
	if err != nil {
		panic("dcaptest: " + err.Error())
	}
	return der
}
