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
	// Keys are those that operations are to be encrypted to now.
	Keys Keys `json:"keys"`
	// Epochs are the hashes of all keys for which the evidence vouches, Keys among
	// them.
	Epochs Epochs `json:"epochs" doc:"hashes of the public keys of the epochs for which the evidence vouches"`
	// Statement is that of the worker's certificate, for who cannot see it: SCALE
	// of ratls.Statement, evidence included.
	Statement roots.Bytes `json:"statement" doc:"SCALE of account, binding, the account's signature and evidence, as in the certificate"`
	// Registrations are for what the evidence vouches that the chain has verified at
	// the worker's registration: the last one, and one that is on its way. None if it
	// has none.
	Registrations []Registration `json:"registrations,omitempty"`
}

// Registration is for what the evidence of a registration vouches.
type Registration struct {
	Binding roots.Bytes `json:"binding" doc:"SCALE of the binding"`
	Epochs  Epochs      `json:"epochs" doc:"hashes of the public keys that it is about"`
}

// Epochs are hashes of the public keys of some epochs, by ascending epoch.
type Epochs []hashing.Hash

// Hash is what a [tee.Binding] has as Keys: BLAKE2b-256 of a label and Vec<H256>;
// zero for none.
func (e Epochs) Hash() hashing.Hash {
	if len(e) == 0 {
		return hashing.Hash{}
	}
	return hashing.Blake2b256([]byte(labelEpochs), scale.MustMarshal([]hashing.Hash(e)))
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
	labelEpochs     = "ocw/bound-epochs/1"
	// maxShieldingKey bounds the text of a shielding key in bytes: 388 numbers.
	maxShieldingKey = 4096
)

// Hash names the keys: BLAKE2b-256 of a label, epoch (u32), the shielding key's text
// and the keys of the hybrid envelopes, as SCALE bytes each, and Material.
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

// NewRegistration returns the registration for whose evidence vouches for b, which
// is about the keys of some epochs.
func NewRegistration(b *tee.Binding, epochs Epochs) Registration {
	return Registration{scale.MustMarshal(*b), epochs}
}

// Decode returns the binding, which is about the keys of Epochs. Errors wrap
// ErrMalformed.
func (r *Registration) Decode() (*tee.Binding, error) {
	var b tee.Binding
	if err := scale.Unmarshal(r.Binding, &b); err != nil {
		return nil, fmt.Errorf("%w: binding of the registration: %w", ErrMalformed, err)
	}
	if b.Keys != r.Epochs.Hash() {
		return nil, fmt.Errorf("%w: binding of the registration: it is not of the epochs that are named with it", ErrMalformed)
	}
	return &b, nil
}
