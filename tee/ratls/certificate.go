package ratls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// StatementOID identifies the certificate extension that holds an encoded
// [Statement]. It is an arc under 2.25 (ITU-T X.667) with a random number.
var StatementOID = asn1.ObjectIdentifier{2, 25, 1846035203, 1}

// Errors that callers test for.
var (
	// ErrCertificate means that a certificate is not one of ours or is broken.
	ErrCertificate = errors.New("ratls: bad certificate")
	// ErrNoEvidence means that a certificate carries no statement.
	ErrNoEvidence = errors.New("ratls: certificate without evidence")
)

const (
	statementVersion = 1
	labelStatement   = "ocw/tls-statement/1"
	maxStatement     = tee.MaxEvidence + 1024
)

// Statement says whose a TLS key is. Its SCALE encoding is the fields in order.
type Statement struct {
	Version   uint8 // 1
	Account   keyring.AccountID
	Binding   tee.Binding            // Binding.TLSKey is the key of the certificate
	Signature keyring.MultiSignature // by Account, over label ‖ SCALE(Binding)
	Evidence  tee.Evidence           // over Binding.ReportData(Account)
}

// Self is a worker as it shows itself to others.
type Self struct {
	Account  *keyring.Pair
	TLSKey   *ecdsa.PrivateKey // P-256
	Platform tee.Platform
}

// NewTLSKey makes a P-256 key.
func NewTLSKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// TLSKeyHash returns BLAKE2b-256 of the DER of a key's SubjectPublicKeyInfo,
// which is what [tee.Binding] carries.
func TLSKeyHash(cert *x509.Certificate) hashing.Hash {
	return hashing.Blake2b256(cert.RawSubjectPublicKeyInfo)
}

func statementMessage(b tee.Binding) []byte {
	return append(scale.AppendString(nil, labelStatement), scale.MustMarshal(b)...)
}

// state makes a statement over b, whose TLSKey it fills in.
func (s *Self) state(b tee.Binding) (*Statement, error) {
	spki, err := x509.MarshalPKIXPublicKey(s.TLSKey.Public())
	if err != nil {
		return nil, err
	}
	b.TLSKey = hashing.Blake2b256(spki)
	account := s.Account.AccountID()
	evidence, err := s.Platform.Attest(b.ReportData(account))
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	return &Statement{Version: statementVersion, Account: account, Binding: b,
		Signature: s.Account.Sign(statementMessage(b)), Evidence: evidence}, nil
}

// Certificate makes a self-signed certificate whose statement vouches for b;
// its TLSKey is filled in. The certificate is valid for ever: what it says is
// as fresh as Binding.Block.
func (s *Self) Certificate(b tee.Binding) (tls.Certificate, error) {
	st, err := s.state(b)
	if err != nil {
		return tls.Certificate{}, err
	}
	return s.certificate([]pkix.Extension{{Id: StatementOID, Value: scale.MustMarshal(st)}})
}

func (s *Self) certificate(extensions []pkix.Extension) (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Integritee"}, CommonName: "Enclave"},
		DNSNames:              []string{"Enclave"},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280: no well-defined expiry
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		ExtraExtensions:       extensions,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.TLSKey.Public(), s.TLSKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: s.TLSKey, Leaf: leaf}, nil
}

// DecodeStatement reads a statement from exactly b and checks nothing.
func DecodeStatement(b []byte) (*Statement, error) {
	if len(b) > maxStatement {
		return nil, fmt.Errorf("%w: statement of %d bytes", ErrCertificate, len(b))
	}
	var s Statement
	if err := scale.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: statement: %w", ErrCertificate, err)
	}
	if s.Version != statementVersion {
		return nil, fmt.Errorf("%w: statement version %d", ErrCertificate, s.Version)
	}
	return &s, nil
}

// VerifyCertificate checks that a certificate is signed by its own P-256 key
// and carries a statement about that key, signed by the statement's account.
// It does not look at the evidence: see [Statement.Appraise]. An error wraps
// ErrCertificate or ErrNoEvidence.
func VerifyCertificate(cert *x509.Certificate) (*Statement, error) {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: its key is not on P-256", ErrCertificate)
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return nil, fmt.Errorf("%w: not signed by its own key: %w", ErrCertificate, err)
	}
	var raw []byte
	for _, e := range cert.Extensions {
		if e.Id.Equal(StatementOID) {
			raw = e.Value // crypto/x509 refuses duplicates
		}
	}
	if raw == nil {
		return nil, ErrNoEvidence
	}
	s, err := DecodeStatement(raw)
	if err != nil {
		return nil, err
	}
	if s.Binding.TLSKey != TLSKeyHash(cert) {
		return nil, fmt.Errorf("%w: its statement is about another TLS key", ErrCertificate)
	}
	if err := s.CheckSignature(); err != nil {
		return nil, err
	}
	return s, nil
}

// CheckSignature checks that the statement's account has signed it. An error
// wraps ErrCertificate.
func (s *Statement) CheckSignature() error {
	if !s.Signature.Verify(statementMessage(s.Binding), s.Account) {
		return fmt.Errorf("%w: its statement is not signed by %s", ErrCertificate, s.Account)
	}
	return nil
}

// Appraise checks the evidence of a statement: genuine, vouching for the
// statement, and accepted by the policy.
func (s *Statement) Appraise(policy tee.Policy, verifiers ...tee.Verifier) (*tee.Claims, error) {
	claims, err := tee.Verify(s.Evidence, verifiers...)
	if err != nil {
		return nil, err
	}
	if err := policy.Appraise(claims, s.Binding.ReportData(s.Account)); err != nil {
		return nil, err
	}
	return claims, nil
}

// peerStatement reads the one certificate that the peer of a connection sent.
func peerStatement(cs tls.ConnectionState) (*Statement, error) {
	if len(cs.PeerCertificates) != 1 {
		return nil, fmt.Errorf("%w: %d certificates instead of one", ErrCertificate, len(cs.PeerCertificates))
	}
	return VerifyCertificate(cs.PeerCertificates[0])
}

// Bare makes a certificate without a statement, for a worker that has nothing
// to state yet. Nobody accepts it as a worker's.
func (s *Self) Bare() (tls.Certificate, error) { return s.certificate(nil) }
