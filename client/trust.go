package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"

	"github.com/offchain-worker/sdk/internal/integritee"
)

// Trust says what a worker must show before anything is asked of it. The zero
// value refuses every worker.
//
// With Registry set, the key of the worker's TLS certificate must be vouched
// for by an account in Teerex.SovereignEnclaves: either it is that account's
// own ed25519 key (Rust workers), or the certificate carries the account's
// signature over the key. Unless AcceptUnattested is set, the registration
// must be attested: one that was entered without attestation proves nothing,
// since anybody could have made it.
type Trust struct {
	// Registry looks up registered enclaves; usually a [Chain].
	Registry Registry
	// Fingerprint, if set, is the measurement that the registered enclave must have.
	Fingerprint *Fingerprint
	// AcceptUnattested accepts registrations that skipped attestation.
	AcceptUnattested bool
	// Sealed has everything sealed that the worker is asked, and its answers: for a
	// worker behind something that ends TLS, such as a load balancer. It is checked
	// by its signed sealing key then, and not by a certificate. A worker that
	// offers none is refused.
	Sealed bool
	// InsecureDev accepts any worker and any certificate, and needs no
	// Registry. For development only: whoever sits in the middle reads all
	// queries and can hand out a key of his own.
	InsecureDev bool
}

// Registry knows the enclaves that are registered on a parentchain.
type Registry interface {
	// Enclave returns the registration of an account, nil if there is none.
	Enclave(ctx context.Context, who AccountID) (*Enclave, error)
}

// Subject is what is known of a worker after [DialWorker]. With
// Trust.InsecureDev it is empty.
type Subject struct {
	Account  *AccountID // the worker's account on the parentchain
	Enclave  *Enclave   // its registration
	Verified bool       // whether the rules of [Trust] were applied
}

var errNoRegistry = errors.New("client: Trust needs a Registry, or InsecureDev")

// check refuses what cannot work before a connection is made.
func (t Trust) check(worker string) error {
	u, err := url.Parse(worker)
	if err != nil || u.Host == "" {
		return fmt.Errorf("client: %q is no worker URL, want wss://host:port", worker)
	}
	switch {
	case u.Scheme != "ws" && u.Scheme != "wss":
		return fmt.Errorf("client: %q is no worker URL, want wss://host:port", worker)
	case t.InsecureDev:
		return nil
	case t.Registry == nil:
		return errNoRegistry
	case u.Scheme == "ws" && !t.Sealed:
		return fmt.Errorf("%w: %s is not encrypted", ErrNotTrusted, worker)
	}
	return nil
}

// verify applies the rules to the key that the TLS handshake has proven.
func (t Trust) verify(ctx context.Context, state *tls.ConnectionState) (Subject, error) {
	if t.InsecureDev {
		return Subject{}, nil
	}
	if state == nil || len(state.PeerCertificates) == 0 {
		return Subject{}, errors.New("it shows no certificate")
	}
	account, err := certificateAccount(state.PeerCertificates[0])
	if err != nil {
		return Subject{}, err
	}
	return t.verifyAccount(ctx, account)
}

// verifyAccount applies the rules to an account that vouches for the worker.
func (t Trust) verifyAccount(ctx context.Context, account AccountID) (Subject, error) {
	if t.InsecureDev {
		return Subject{}, nil
	}
	enclave, err := t.Registry.Enclave(ctx, account)
	if err != nil {
		return Subject{}, fmt.Errorf("look up %v in the enclave registry: %w", account, err)
	}
	if enclave == nil {
		return Subject{}, fmt.Errorf("its account %v is no registered enclave", account)
	}
	if t.Fingerprint != nil && enclave.Fingerprint != *t.Fingerprint {
		return Subject{}, fmt.Errorf("its account %v is registered with fingerprint %v, want %v", account, enclave.Fingerprint, *t.Fingerprint)
	}
	if !enclave.Attested() && !t.AcceptUnattested {
		return Subject{}, fmt.Errorf("its account %v is registered without valid attestation", account)
	}
	return Subject{Account: &account, Enclave: enclave, Verified: true}, nil
}

// Enclave is one registration in the pallet Teerex.
type Enclave struct {
	// Account registered the enclave, and signs for it if it is sovereign.
	Account     AccountID
	Fingerprint Fingerprint
	// Timestamp is when it was attested, in milliseconds since 1970.
	Timestamp uint64
	URL       string // of the worker's trusted RPC service, "" if none was given
	Method    AttestationMethod
	Status    integritee.SgxStatus
	Debug     bool // debug build: its memory can be read from outside
	Proxied   bool // registered by somebody else (Teerex.ProxiedEnclaves)
	Signer    integritee.AnySigner
}

// AttestationMethod says how an enclave was attested on chain.
type AttestationMethod uint8

// The attestation methods.
const (
	AttestationSkipped AttestationMethod = iota
	AttestationIAS
	AttestationDCAP
)

// String returns skip, ias or dcap.
func (m AttestationMethod) String() string {
	switch m {
	case AttestationIAS:
		return "ias"
	case AttestationDCAP:
		return "dcap"
	}
	return "skip"
}

// Attested reports whether the chain has verified evidence of a production
// enclave at least as far that it did not find it invalid or revoked.
func (e *Enclave) Attested() bool {
	return e.Method != AttestationSkipped && !e.Debug &&
		e.Status != integritee.SgxInvalid && e.Status != integritee.SgxGroupRevoked
}

func enclaveOf(who AccountID, m integritee.MultiEnclave, proxied bool) (*Enclave, error) {
	s := m.Sgx
	if s == nil {
		return nil, fmt.Errorf("%w: enclave of an unknown kind", ErrProtocol)
	}
	e := &Enclave{Account: who, Fingerprint: m.Fingerprint(), Timestamp: s.Timestamp, Status: s.Status,
		Debug: s.BuildMode == integritee.SgxDebug, Proxied: proxied}
	if s.URL != nil {
		e.URL = string(*s.URL)
	}
	switch {
	case s.AttestationMethod.Dcap != nil:
		e.Method = AttestationDCAP
	case s.AttestationMethod.Ias != nil:
		e.Method = AttestationIAS
	}
	key := [32]byte(s.ReportData.D[:32])
	e.Signer = integritee.AnySigner{Known: &integritee.MultiSigner{Ed25519: &key}}
	return e, nil
}
