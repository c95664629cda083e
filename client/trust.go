package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/offchain-worker/sdk/internal/approval"
	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/tee"
)

// Trust says what a worker must show before anything is encrypted to it. The zero
// value refuses every worker.
//
// With Registry set, a worker is checked like this. Its TLS key is stated to be
// that of an account which is registered in Teerex.SovereignEnclaves. Its
// evidence, or the one that the chain has verified at its registration, vouches
// for account, trust config, shard, public keys and TLS key; what it tells of
// them in its binding document is what is vouched for. The trust config is of
// Registry's chain, and the evidence is recent. What the evidence claims of
// platform and program is accepted by Policy.
//
// An original Rust worker shows no evidence: its TLS key is its account's, and
// the registration has to be attested. With Policy or TrustConfig it is refused.
type Trust struct {
	// Registry is the chain; usually a [Chain]. It is believed.
	Registry Registry
	// Fingerprint, if set, is the measurement that the registered enclave must have.
	Fingerprint *Fingerprint
	// Shard, if set, is the shard that the worker must be of.
	Shard *ShardID
	// TrustConfig, if set, is the hash of the trust config that the shard must have
	// ([TrustConfig.Hash]). Without it any config of the chain and of class
	// production is taken.
	TrustConfig *Hash
	// Policy is what evidence is appraised by. Nil accepts genuine SGX and TDX
	// evidence of Fingerprint, or without it of the program that the chain has for
	// the shard, on machines that the zero [tee.TCBPolicy] accepts; and where
	// nobody has collateral to verify a quote of SGX with, the chain's word for it.
	Policy *tee.Policy
	// Approvals are programs for which the shard's upgrade keys have signed: those
	// for which enough have are accepted beside those of Policy and Fingerprint, and
	// without these instead of the program that the chain has. They need TrustConfig,
	// of which the keys are part.
	Approvals []*Approval
	// Verifiers check evidence; nil are those of Intel's and AMD's roots, for the
	// present time, without collateral but that which comes with the evidence.
	Verifiers []tee.Verifier
	// MaxAge is how many blocks ago the evidence may have been made; 0 is
	// [DefaultMaxAge].
	MaxAge BlockNumber
	// AcceptUnattested accepts registrations that skipped attestation, and asks for
	// no evidence: the account's signature stands for all that evidence vouches for
	// otherwise. That proves nothing, since anybody can make an account.
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

// DefaultMaxAge is a day of 6 s blocks. Workers make their evidence anew after
// less than a third of that.
const DefaultMaxAge BlockNumber = 14_400

// Registry is a parentchain as far as [Trust] asks it.
type Registry interface {
	// Enclave returns the registration of an account, nil if there is none.
	Enclave(ctx context.Context, who AccountID) (*Enclave, error)
	// InForce returns the fingerprint of the program that a shard is to be run by.
	InForce(ctx context.Context, shard ShardID) (Fingerprint, error)
	// Genesis returns the hash of block 0.
	Genesis() Hash
	// BlockHash returns the hash of a block; the zero hash if there is none yet.
	BlockHash(ctx context.Context, n BlockNumber) (Hash, error)
	// Finalized returns the number of the last final block.
	Finalized(ctx context.Context) (BlockNumber, error)
}

var _ Registry = (*Chain)(nil)

// TrustConfig is what a shard takes for granted: chain, start, class, upgrade
// keys. Its JSON form is the file that workers are given as --trust-config.
type TrustConfig = trustconfig.Config

// ErrTrustConfig means that a trust config cannot be used.
var ErrTrustConfig = trustconfig.ErrInvalid

// ParseTrustConfig reads the JSON form; unknown keys are refused. Errors wrap
// [ErrTrustConfig].
func ParseTrustConfig(b []byte) (TrustConfig, error) { return trustconfig.Parse(b) }

// Subject is what is known of a worker after [DialWorker]. With
// Trust.InsecureDev it is empty.
type Subject struct {
	Account  *AccountID // the worker's account on the parentchain
	Enclave  *Enclave   // its registration
	Verified bool       // whether the rules of [Trust] were applied, and passed
	Basis    Basis      // whose word it is
	// Binding is what is vouched for, and TrustConfig the whole of what it has the
	// hash of; nil of an original Rust worker.
	Binding     *tee.Binding
	TrustConfig *TrustConfig
	// Age is how many blocks ago the evidence was made.
	Age BlockNumber
	// Claims are those of genuine evidence; nil if there is none.
	Claims *tee.Claims

	keys *binding.Keys // the shard's, as bound; nil of an original Rust worker
}

// Epoch returns the epoch of the keys to which operations are encrypted, 0 of a shard
// whose keys were never rotated; false if they are not vouched for.
func (s *Subject) Epoch() (uint32, bool) {
	if s.keys == nil {
		return 0, false
	}
	return s.keys.Epoch, true
}

// Basis says what vouches for a worker.
type Basis uint8

// The bases.
const (
	ByNothing      Basis = iota // it was not accepted, or not checked
	ByAccount                   // the signature of an account that anybody can have made
	ByRegistration              // evidence that the chain has verified
	ByEvidence                  // evidence that this client has verified and appraised
)

// String returns a word for it.
func (b Basis) String() string {
	switch b {
	case ByAccount:
		return "account"
	case ByRegistration:
		return "registration"
	case ByEvidence:
		return "evidence"
	}
	return "nothing"
}

// Approval is a statement of a shard's upgrade keys, as ocw approve makes it.
type Approval = approval.File

// ParseApproval reads the JSON form; unknown keys are refused.
func ParseApproval(b []byte) (*Approval, error) { return approval.Parse(b) }

var errApprovals = errors.New("client: Trust.Approvals needs Trust.TrustConfig, of which the upgrade keys are part")

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
	case len(t.Approvals) > 0 && t.TrustConfig == nil:
		return errApprovals
	case u.Scheme == "ws" && !t.Sealed:
		return fmt.Errorf("%w: %s: %w", ErrNotTrusted, worker, ErrNoTLS)
	}
	return nil
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
	// ReportData is what the evidence vouches for that was registered.
	ReportData tee.ReportData
	Debug      bool // debug build: its memory can be read from outside
	Proxied    bool // registered by somebody else (Teerex.ProxiedEnclaves)
	Signer     integritee.AnySigner
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
		ReportData: s.ReportData.D, Debug: s.BuildMode == integritee.SgxDebug, Proxied: proxied}
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
