// Package binding has the document in which a worker tells in full what its
// evidence has only hashes of: the shard's trust config and the public keys. By
// it a client recomputes what the evidence must vouch for. Start at [Document].
//
// The document proves nothing by itself, and everything in it may come from a
// liar: what counts is whether its hashes are those of a [tee.Binding] for which
// evidence vouches. The package does no I/O.
package binding

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/tee"
)

// Method is the method of a worker's RPC that answers with a [Document].
const Method = "ocw_getBinding"

// Document is the answer of [Method].
type Document struct {
	// TrustConfig is the shard's trust config, encoded.
	TrustConfig roots.Bytes `json:"trustConfig" doc:"the shard's trust config: version 1 and SCALE"`
	Keys        Keys        `json:"keys"`
	// Statement is that of the worker's certificate, for who cannot see it: SCALE
	// of ratls.Statement, evidence included.
	Statement roots.Bytes `json:"statement" doc:"SCALE of account, binding, the account's signature and evidence, as in the certificate"`
	// Registration is SCALE of the [tee.Binding] for which the evidence vouches
	// that the chain has verified at the worker's registration; nil if it has none.
	Registration *roots.Bytes `json:"registration,omitempty" doc:"SCALE of the binding for which the evidence of the registration vouches"`
}

// Keys are the public keys of a worker.
type Keys struct {
	Epoch uint32 `json:"epoch"`
	// ShieldingKey is the text of author_getShieldingKey, {"n":[…],"e":[…]}.
	ShieldingKey string `json:"shieldingKey" doc:"as of author_getShieldingKey"`
	roots.HybridKeys
	Material hashing.Hash `json:"material" doc:"hash that names the secret keys"`
}

// ErrMalformed means a document that cannot be read.
var ErrMalformed = errors.New("malformed binding document")

const (
	labelPublicKeys = "ocw/public-keys/2"
	// maxShieldingKey bounds the text of a shielding key in bytes: 388 numbers.
	maxShieldingKey = 4096
)

// Hash is what a [tee.Binding] has as Keys: BLAKE2b-256 of a label, epoch (u32),
// the shielding key's text and the keys of the hybrid envelopes, as SCALE bytes
// each, and Material.
func (k Keys) Hash() hashing.Hash {
	b := scale.AppendString(scale.AppendU32([]byte(labelPublicKeys), k.Epoch), k.ShieldingKey)
	for _, e := range shielding.Hybrids {
		b = scale.AppendBytes(b, k.Of(e))
	}
	return hashing.Blake2b256(b, k.Material[:])
}

// Hybrid returns the key of a hybrid envelope. Errors wrap ErrMalformed.
func (k Keys) Hybrid(e shielding.Envelope) (*shielding.HybridPublicKey, error) {
	key, err := k.Parse(e)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return key, err
}

// Shielding returns the shielding key. Errors wrap ErrMalformed.
func (k Keys) Shielding() (*shielding.PublicKey, error) {
	if len(k.ShieldingKey) > maxShieldingKey {
		return nil, fmt.Errorf("%w: shielding key of %d bytes", ErrMalformed, len(k.ShieldingKey))
	}
	key, err := shielding.ParsePublicKey([]byte(k.ShieldingKey))
	if err != nil {
		return nil, fmt.Errorf("%w: shielding key: %w", ErrMalformed, err)
	}
	return key, nil
}

// Config returns the trust config. Errors wrap ErrMalformed.
func (d *Document) Config() (trustconfig.Config, error) {
	t, err := trustconfig.Decode(d.TrustConfig)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return t, err
}

// Registered returns the binding of the registration, nil if there is none.
// Errors wrap ErrMalformed.
func (d *Document) Registered() (*tee.Binding, error) {
	if d.Registration == nil {
		return nil, nil
	}
	var b tee.Binding
	if err := scale.Unmarshal(*d.Registration, &b); err != nil {
		return nil, fmt.Errorf("%w: binding of the registration: %w", ErrMalformed, err)
	}
	return &b, nil
}

// Register puts the binding of the registration in; nil for none.
func (d *Document) Register(b *tee.Binding) {
	d.Registration = nil
	if b != nil {
		raw := roots.Bytes(scale.MustMarshal(*b))
		d.Registration = &raw
	}
}
