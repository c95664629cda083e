package client

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// Report says what a worker shows of itself, and what speaks against it.
type Report struct {
	// Subject has what could be found out, also where the worker is refused.
	Subject
	// Evidence is the kind of platform that the evidence is said to be of; zero if
	// there is none.
	Evidence tee.Kind
	// Reasons is why it is refused, each an error of this package or one that wraps
	// it; empty if it is accepted.
	Reasons []error
}

// Accepted reports whether nothing speaks against the worker.
func (r *Report) Accepted() bool { return r.Verified }

// VerifyWorker connects to a worker and reports on it by trust, which is not
// InsecureDev. The error wraps [ErrUnavailable] if there is nobody to report on.
func VerifyWorker(ctx context.Context, url string, trust Trust) (*Report, error) {
	if trust.InsecureDev {
		return nil, errors.New("client: with Trust.InsecureDev there is nothing to report")
	}
	if err := trust.check(url); err != nil {
		return nil, err
	}
	rpc, err := dialRPC(ctx, url)
	if err != nil {
		return nil, err
	}
	defer rpc.Close()
	r, _, err := trust.judge(ctx, rpc)
	return r, err
}

// refusal is the error of several reasons, in one line.
type refusal []error

func (r refusal) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (r refusal) Unwrap() []error { return r }

// refuse adds a reason.
func (r *Report) refuse(reason error, format string, args ...any) {
	r.Reasons = append(r.Reasons, fmt.Errorf("%w: "+format, append([]any{reason}, args...)...))
}

// judge applies the rules to the worker at the other end of a connection. The key
// is that to seal to, nil if trust does not ask for it. The error is that of a
// server that was lost on the way.
func (t Trust) judge(ctx context.Context, rpc *rpcclient.Client) (*Report, *access.Key, error) {
	r := &Report{}
	if t.InsecureDev && !t.Sealed {
		return r, nil, nil
	}
	var key *access.Key
	var statement *ratls.Statement
	if t.Sealed {
		var err error
		if key, err = fetchKey(ctx, rpc); err != nil {
			r.Reasons = append(r.Reasons, err)
			return r, nil, lost(rpc, err)
		}
		if t.InsecureDev {
			return r, key, nil
		}
		r.Account = &key.Account
	} else if statement = r.readCertificate(rpc); r.Account == nil {
		return r, nil, nil
	}
	if err := t.lookUp(ctx, r); err != nil {
		return r, key, err
	}
	if statement == nil && !t.Sealed {
		t.judgeOriginal(r)
		return r, nil, nil
	}
	if err := t.judgeBound(ctx, rpc, r, statement); err != nil {
		return r, key, err
	}
	if r.Verified = len(r.Reasons) == 0; !r.Verified {
		r.Basis = ByNothing
	}
	return r, key, nil
}

// lost returns the error of a connection that is not there any more.
func lost(rpc *rpcclient.Client, err error) error {
	if rpc.Err() == nil {
		return nil
	}
	return err
}

// readCertificate finds out whose the TLS key is, which the handshake has proven
// that the worker holds. The statement is nil if it is the account's own.
func (r *Report) readCertificate(rpc *rpcclient.Client) *ratls.Statement {
	state := rpc.TLS()
	if state == nil || len(state.PeerCertificates) == 0 {
		r.refuse(ErrNoTLS, "it shows no certificate")
		return nil
	}
	cert := state.PeerCertificates[0]
	statement, err := ratls.VerifyCertificate(cert)
	switch {
	case err == nil:
		r.Account = &statement.Account
		return statement
	case isOriginal(cert):
		who := AccountID(cert.PublicKey.(ed25519.PublicKey))
		r.Account = &who
	case errors.Is(err, ratls.ErrNoEvidence):
		r.refuse(ErrNoEvidence, "its certificate names no account")
	default:
		r.Reasons = append(r.Reasons, err)
	}
	return nil
}

// isOriginal reports whether a certificate is like that of an original Rust worker,
// whose TLS key is its account's key.
func isOriginal(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(ed25519.PublicKey)
	return ok && len(key) == ed25519.PublicKeySize
}

// lookUp finds the registration. An error means that the registry does not answer.
func (t Trust) lookUp(ctx context.Context, r *Report) error {
	enclave, err := t.Registry.Enclave(ctx, *r.Account)
	if err != nil {
		return fmt.Errorf("look up %v in the enclave registry: %w", *r.Account, err)
	}
	if enclave == nil {
		r.refuse(ErrNotRegistered, "account %v", *r.Account)
		return nil
	}
	r.Enclave = enclave
	if t.Fingerprint != nil && enclave.Fingerprint != *t.Fingerprint {
		r.refuse(ErrOtherFingerprint, "account %v is registered with %v, want %v", *r.Account, enclave.Fingerprint, *t.Fingerprint)
	}
	return nil
}

// judgeOriginal is about a worker that has no evidence to show.
func (t Trust) judgeOriginal(r *Report) {
	switch {
	case t.Policy != nil || t.TrustConfig != nil:
		r.refuse(ErrNoEvidence, "an original Rust worker has none for a policy or trust config")
	case r.Enclave != nil && !r.Enclave.Attested() && !t.AcceptUnattested:
		r.refuse(ErrUnattested, "account %v", *r.Account)
	}
	if r.Verified = len(r.Reasons) == 0; r.Verified {
		r.Basis = ByRegistration
		if !r.Enclave.Attested() {
			r.Basis = ByAccount
		}
	}
}

// judgeBound is about a worker with a statement, which is nil if it has to come
// from the binding document. An error means that a server does not answer.
//
// The statement of the certificate proves whose the connection is; what counts is the
// last one that the worker has made.
func (t Trust) judgeBound(ctx context.Context, rpc *rpcclient.Client, r *Report, statement *ratls.Statement) error {
	d := new(binding.Document)
	if err := rpc.Call(ctx, binding.Method, []any{}, d); err != nil {
		r.refuse(ErrNoEvidence, "it does not tell what its evidence vouches for: %w", err)
		return lost(rpc, err)
	}
	told, err := ratls.DecodeStatement(d.Statement)
	if err == nil {
		err = told.CheckSignature()
	}
	if err == nil && told.Account != *r.Account {
		err = fmt.Errorf("%w: its statement is of account %v, its key is signed by %v", ErrCertificate, told.Account, *r.Account)
	}
	switch {
	case statement == nil && err != nil:
		r.Reasons = append(r.Reasons, err)
		return nil
	case statement == nil, err == nil && told.Binding.TLSKey == statement.Binding.TLSKey:
		// The worker may have made it anew since the handshake, for other keys of the
		// shard; that of the certificate was for the same TLS key.
		statement = told
	}
	b := &statement.Binding
	r.Binding, r.Evidence = b, statement.Evidence.Kind
	if b.Purpose != tee.PurposeServe {
		r.refuse(ErrPurpose, "%v: it does not serve the shard yet", b.Purpose)
	}
	if t.Shard != nil && b.Shard != *t.Shard {
		r.refuse(ErrOtherShard, "%v, want %v", ShardID(b.Shard), *t.Shard)
	}
	r.readKeys(d)
	if err := t.judgeConfig(ctx, r, d); err != nil {
		return err
	}
	if err := t.judgeAge(ctx, r); err != nil {
		return err
	}
	if t.AcceptUnattested {
		r.Basis = ByAccount
		// Not demanded, but told.
		claims, err := tee.Verify(statement.Evidence, t.verifiers()...)
		if err == nil && claims.ReportData == b.ReportData(*r.Account) {
			r.Claims = claims
		}
		return nil
	}
	return t.judgeEvidence(ctx, r, d, statement)
}

// readKeys takes the keys for which there is evidence.
func (r *Report) readKeys(d *binding.Document) {
	switch have := d.Keys.Hash(); {
	case d.Epochs.Hash() != r.Binding.Keys:
		r.refuse(ErrOtherKey, "epochs with hash %v, the evidence is for %v", d.Epochs.Hash(), r.Binding.Keys)
		return
	case !slices.Contains(d.Epochs, have):
		var vouched []string
		for _, h := range d.Epochs {
			vouched = append(vouched, h.String())
		}
		r.refuse(ErrOtherKey, "keys with hash %v, the evidence is for %v", have, strings.Join(vouched, ", "))
		return
	}
	if _, err := d.Keys.Shielding(); err != nil {
		r.Reasons = append(r.Reasons, err)
		return
	}
	r.keys = &d.Keys
}

// lax reports whether simulated evidence, or none, is good enough.
func (t Trust) lax() bool {
	return t.AcceptUnattested || t.Policy != nil && slices.Contains(t.Policy.Kinds, tee.Sim)
}

// judgeConfig looks at what the shard takes for granted.
func (t Trust) judgeConfig(ctx context.Context, r *Report, d *binding.Document) error {
	if pin := t.TrustConfig; pin != nil && r.Binding.TrustConfig != *pin {
		r.refuse(ErrOtherTrustConfig, "its hash is %v, want %v", r.Binding.TrustConfig, *pin)
	}
	config, err := d.Config()
	if err != nil {
		r.Reasons = append(r.Reasons, err)
		return nil
	}
	if have := config.Hash(); have != r.Binding.TrustConfig {
		r.refuse(ErrOtherTrustConfig, "it tells one with hash %v, the evidence is for %v", have, r.Binding.TrustConfig)
		return nil
	}
	r.TrustConfig = &config
	if [32]byte(config.Shard) != r.Binding.Shard {
		r.refuse(ErrOtherShard, "its trust config is for %v, its evidence for %v", config.Shard, ShardID(r.Binding.Shard))
	}
	if genesis := t.Registry.Genesis(); config.Genesis != genesis {
		r.refuse(ErrOtherChain, "with genesis %v, want %v", config.Genesis, genesis)
		return nil
	}
	start, err := t.Registry.BlockHash(ctx, config.StartNumber)
	if err != nil {
		return err
	}
	if start != config.StartHash {
		r.refuse(ErrOtherChain, "it starts at block %d with hash %v, which is %v on this chain", config.StartNumber, config.StartHash, start)
	}
	// Who has named this very config has accepted what is in it.
	if t.TrustConfig != nil || t.lax() {
		return nil
	}
	if config.Class != trustconfig.Production {
		r.refuse(ErrInsecureShard, "it is of class %v", config.Class)
	}
	if config.Insecure != 0 {
		r.refuse(ErrInsecureShard, "it has the insecure flags %d", config.Insecure)
	}
	return nil
}

// judgeAge looks at the block that the evidence names, which it is not older than.
func (t Trust) judgeAge(ctx context.Context, r *Report) error {
	b := r.Binding
	hash, err := t.Registry.BlockHash(ctx, b.BlockNumber)
	if err != nil {
		return err
	}
	if hash != b.Block {
		r.refuse(ErrStaleEvidence, "it names block %d with hash %v, which this chain does not have, or the node not yet", b.BlockNumber, b.Block)
		return nil
	}
	final, err := t.Registry.Finalized(ctx)
	if err != nil {
		return err
	}
	r.Age = final - min(b.BlockNumber, final)
	limit := t.MaxAge
	if limit == 0 {
		limit = DefaultMaxAge
	}
	if r.Age > limit {
		r.refuse(ErrStaleEvidence, "it was made %d blocks ago, at most %d are accepted", r.Age, limit)
	}
	return nil
}

// judgeEvidence verifies and appraises the evidence.
func (t Trust) judgeEvidence(ctx context.Context, r *Report, d *binding.Document, statement *ratls.Statement) error {
	onChain := r.Enclave != nil && r.Enclave.Method == AttestationDCAP
	if onChain {
		r.judgeRegistration(d)
	}
	policy, err := t.policy(ctx, r)
	if err != nil {
		return err
	}
	claims, err := tee.Verify(statement.Evidence, t.verifiers()...)
	if onChain && t.Policy == nil && errors.Is(err, dcap.ReasonNoCollateral) {
		if m := tee.Measurement(r.Enclave.Fingerprint); !slices.Contains(policy.Measurements, m) {
			r.refuse(ErrOtherFingerprint, "registered is %v, want %v", m, policy.Measurements)
		}
		r.Basis = ByRegistration
		return nil
	}
	if err != nil {
		r.refuse(ErrEvidence, "%w", err)
		return nil
	}
	r.Claims, r.Basis = claims, ByEvidence
	for _, reason := range reasons(policy.Appraise(claims, r.Binding.ReportData(*r.Account))) {
		r.refuse(ErrEvidence, "%w", reason)
		if errors.Is(reason, tee.ErrMeasurement) {
			t.explainApprovals(r, claims.Measurement)
		}
	}
	if e := r.Enclave; e != nil && Fingerprint(claims.Measurement) != e.Fingerprint {
		r.refuse(ErrOtherFingerprint, "its evidence is of %v, registered is %v", claims.Measurement, e.Fingerprint)
	}
	return nil
}

func (t Trust) verifiers() []tee.Verifier {
	if t.Verifiers != nil {
		return t.Verifiers
	}
	return verifiers.All(verifiers.Config{})
}

// reasons takes joined errors apart.
func reasons(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// judgeRegistration looks at what the evidence vouches for that the chain has
// verified.
func (r *Report) judgeRegistration(d *binding.Document) {
	if !r.Enclave.Attested() {
		r.refuse(ErrUnattested, "account %v", *r.Account)
	}
	var registered *tee.Binding
	var epochs binding.Epochs
	for i := range d.Registrations {
		b, err := d.Registrations[i].Decode()
		if err != nil {
			r.refuse(ErrOtherRegistration, "%w", err)
			return
		}
		if b.ReportData(*r.Account) == r.Enclave.ReportData {
			registered, epochs = b, d.Registrations[i].Epochs
		}
	}
	if registered == nil {
		r.refuse(ErrOtherRegistration, "it does not tell for what")
		return
	}
	for _, same := range []struct {
		what string
		is   bool
	}{
		{"purpose", registered.Purpose == tee.PurposeServe},
		{"trust config", registered.TrustConfig == r.Binding.TrustConfig},
		{"shard", registered.Shard == r.Binding.Shard},
		{"keys", slices.Contains(epochs, d.Keys.Hash())},
	} {
		if !same.is {
			r.refuse(ErrOtherRegistration, "other %s", same.what)
		}
	}
}

// policy returns what evidence is appraised by.
func (t Trust) policy(ctx context.Context, r *Report) (p tee.Policy, err error) {
	p.Kinds = []tee.Kind{tee.SGX, tee.TDX}
	switch {
	case t.Policy != nil:
		p = *t.Policy
	case t.Fingerprint != nil:
		p.Measurements = []tee.Measurement{tee.Measurement(*t.Fingerprint)}
	case len(t.Approvals) == 0:
		var program Fingerprint
		program, err = t.Registry.InForce(ctx, ShardID(r.Binding.Shard))
		p.Measurements = []tee.Measurement{tee.Measurement(program)}
	}
	for _, a := range t.Approvals {
		if r.TrustConfig == nil || a.Measurement == nil {
			continue
		}
		if _, err := a.Check(r.TrustConfig); err == nil {
			p.Measurements = append(slices.Clip(p.Measurements), a.Measurement.Measurement)
		}
	}
	return p, err
}

// explainApprovals says why the approvals of a program do not count.
func (t Trust) explainApprovals(r *Report, program tee.Measurement) {
	for _, a := range t.Approvals {
		if r.TrustConfig == nil || a.Measurement == nil || a.Measurement.Measurement != program {
			continue
		}
		if _, err := a.Check(r.TrustConfig); err != nil {
			r.refuse(ErrEvidence, "%w", err)
		}
	}
}
