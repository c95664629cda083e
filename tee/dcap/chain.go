package dcap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	_ "embed" // Intel's root certificate
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"time"
)

// Limits of what is read of certificates and CRLs.
const (
	maxChain = 16 << 10 // bytes of PEM; chains have about 4 KiB
	maxCerts = 3
	maxCRL   = 1 << 20 // bytes of DER; about 30,000 entries
)

// Names of Intel's certificates (PCK certificate profile, section 1.3 to 1.5):
// they tell apart what the root signs.
const (
	namePCK         = "Intel SGX PCK Certificate"
	namePlatformCA  = "Intel SGX PCK Platform CA"
	nameProcessorCA = "Intel SGX PCK Processor CA"
	nameTCBSigner   = "Intel SGX TCB Signing"
)

//go:embed intel-sgx-root-ca.pem
var intelRootPEM []byte

// IntelRoot returns the Intel SGX Root CA, SHA-256 of its DER
// 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3.
// The certificate must not be changed.
var IntelRoot = sync.OnceValue(func() *x509.Certificate {
	block, _ := pem.Decode(intelRootPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic("dcap: Intel's root certificate: " + err.Error())
	}
	return cert
})

// ParseRoot reads the one certificate of a PEM file that is to stand in for
// Intel's root, for tests and development chains. It has to be a CA with a key
// on P-256 that signed itself.
func ParseRoot(b []byte) (*x509.Certificate, error) {
	certs, err := parseChain(b)
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 {
		return nil, because(ReasonChain, "%d certificates instead of one root", len(certs))
	}
	if err := certs[0].CheckSignatureFrom(certs[0]); err != nil {
		return nil, because(ReasonRoot, "%v", err)
	}
	return certs[0], nil
}

// parseChain reads PEM certificates with nothing but white space and zeros
// between and after them. All have keys on P-256.
func parseChain(b []byte) (certs []*x509.Certificate, err error) {
	if len(b) > maxChain {
		return nil, because(ReasonChain, "%d bytes, more than %d", len(b), maxChain)
	}
	blank := func(b []byte) []byte { return bytes.TrimLeft(b, "\x00 \t\r\n") }
	for b = blank(b); len(b) > 0; b = blank(b) {
		if !bytes.HasPrefix(b, []byte("-----BEGIN CERTIFICATE-----")) {
			return nil, because(ReasonChain, "no PEM certificate at its place %d", len(certs))
		}
		block, rest := pem.Decode(b)
		if block == nil || block.Type != "CERTIFICATE" || len(certs) == maxCerts {
			return nil, because(ReasonChain, "no PEM certificate at its place %d", len(certs))
		}
		b = rest
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, because(ReasonChain, "%v", err)
		}
		if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
			return nil, because(ReasonChain, "a certificate's key is not on P-256")
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// authority verifies with one root at one time.
type authority struct {
	root *x509.Certificate
	at   time.Time
	// expires is the first date after which something that was verified is not
	// valid any more.
	expires time.Time
}

func (a *authority) until(t time.Time) {
	if a.expires.IsZero() || t.Before(a.expires) {
		a.expires = t
	}
}

func same(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

// chain reads PEM of length certificates, the first signed by the second and so
// on; the last is the root. A chain that leaves the root out is as good. All but
// the first have to be CAs, and so has the first if firstCA.
func (a *authority) chain(b []byte, length int, firstCA bool) ([]*x509.Certificate, error) {
	certs, err := parseChain(b)
	if err != nil {
		return nil, err
	}
	if len(certs) != length && len(certs) != length-1 {
		return nil, because(ReasonChain, "%d certificates instead of %d", len(certs), length)
	}
	// The root in the chain is whoever's: it only tells whose chain it is.
	if len(certs) == length && !same(certs[length-1], a.root) {
		return nil, because(ReasonRoot, "%q", certs[length-1].Subject.CommonName)
	}
	certs = append(certs[:length-1], a.root)
	for i, cert := range certs {
		if i < length-1 {
			if err := signedBy(cert, certs[i+1]); err != nil {
				return nil, err
			}
			if ca := i > 0 || firstCA; ca != cert.IsCA {
				return nil, because(ReasonCertRole, "%q at place %d", cert.Subject.CommonName, i)
			}
		}
		if len(cert.UnhandledCriticalExtensions) > 0 {
			return nil, because(ReasonCertRole, "%q has the critical extension %v", cert.Subject.CommonName, cert.UnhandledCriticalExtensions[0])
		}
		if a.at.Before(cert.NotBefore) || a.at.After(cert.NotAfter) {
			return nil, because(ReasonCertTime, "%q is from %s to %s", cert.Subject.CommonName, day(cert.NotBefore), day(cert.NotAfter))
		}
		a.until(cert.NotAfter)
	}
	return certs, nil
}

func signedBy(cert, issuer *x509.Certificate) error {
	if !bytes.Equal(cert.RawIssuer, issuer.RawSubject) {
		return because(ReasonCertSignature, "%q is issued by %q, not %q", cert.Subject.CommonName, cert.Issuer.CommonName, issuer.Subject.CommonName)
	}
	if err := cert.CheckSignatureFrom(issuer); err != nil {
		return because(ReasonCertSignature, "%q: %v", cert.Subject.CommonName, err)
	}
	return nil
}

// pckChain verifies PCK, its CA and the root.
func (a *authority) pckChain(b []byte) (leaf, ca *x509.Certificate, err error) {
	certs, err := a.chain(b, 3, false)
	if err != nil {
		return nil, nil, err
	}
	leaf, ca = certs[0], certs[1]
	if leaf.Subject.CommonName != namePCK {
		return nil, nil, because(ReasonCertRole, "%q is no PCK certificate", leaf.Subject.CommonName)
	}
	if _, ok := caOf(ca); !ok {
		return nil, nil, because(ReasonCertRole, "%q is no PCK CA", ca.Subject.CommonName)
	}
	return leaf, ca, nil
}

// signer verifies a TCB signing certificate. Root and root CRL vouch for it.
func (a *authority) signer(b []byte, rootCRL *x509.RevocationList) (*x509.Certificate, error) {
	certs, err := a.chain(b, 2, false)
	if err != nil {
		return nil, err
	}
	if name := certs[0].Subject.CommonName; name != nameTCBSigner {
		return nil, because(ReasonCertRole, "%q is no TCB signing certificate", name)
	}
	if revoked(rootCRL, certs[0]) {
		return nil, because(ReasonRevokedSigner, "serial %x", certs[0].SerialNumber)
	}
	return certs[0], nil
}

// crl reads and verifies a revocation list in DER.
func (a *authority) crl(der []byte, issuer *x509.Certificate) (*x509.RevocationList, error) {
	if len(der) > maxCRL {
		return nil, because(ReasonCRL, "%d bytes, more than %d", len(der), maxCRL)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, because(ReasonCRL, "%v", err)
	}
	if len(list.Raw) != len(der) {
		return nil, because(ReasonCRL, "bytes follow") // crypto/x509 does not mind
	}
	if !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
		return nil, because(ReasonCRLIssuer, "%q, not %q", list.Issuer.CommonName, issuer.Subject.CommonName)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return nil, because(ReasonCRLSignature, "of %q: %v", issuer.Subject.CommonName, err)
	}
	// Delta and partitioned lists say so by critical extensions. Intel makes
	// none, and to read one as the whole list would be wrong.
	for _, e := range list.Extensions {
		if e.Critical {
			return nil, because(ReasonCRL, "of %q has the critical extension %v", issuer.Subject.CommonName, e.Id)
		}
	}
	if a.at.Before(list.ThisUpdate) || a.at.After(list.NextUpdate) {
		return nil, because(ReasonCRLTime, "of %q is from %s to %s", issuer.Subject.CommonName, day(list.ThisUpdate), day(list.NextUpdate))
	}
	a.until(list.NextUpdate)
	return list, nil
}

// revoked tells whether a list has a certificate, for whatever reason.
func revoked(list *x509.RevocationList, cert *x509.Certificate) bool {
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			return true
		}
	}
	return false
}

// verifyP256 checks a signature r ‖ s over SHA-256 of message.
func verifyP256(key *ecdsa.PublicKey, message, signature []byte) bool {
	if len(signature) != signatureLen {
		return false
	}
	hash := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(key, hash[:], r, s)
}

// day writes a time as messages show it.
func day(t time.Time) string { return strings.TrimSuffix(t.UTC().Format(time.RFC3339), "T00:00:00Z") }
