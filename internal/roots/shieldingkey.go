package roots

import (
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// ShieldingKey has the public keys of a shard, for which a worker vouches: a
// client that cannot look at the worker's TLS certificate, such as a web page,
// needs it, because who ends its TLS could hand out a key of his own.
type ShieldingKey struct {
	Genesis hashing.Hash       `json:"genesis"` // of the parentchain
	Shard   integritee.ShardID `json:"shard"`
	Number  header.Number      `json:"number"` // the worker's last block
	N       Bytes              `json:"n"`      // modulus, 384 bytes, little-endian
	E       Bytes              `json:"e"`      // exponent, 4 bytes, little-endian
	HybridKeys
	Signature
}

// HybridKeys are a shard's public keys for the hybrid envelopes, under the
// envelopes' names.
type HybridKeys struct {
	X25519         Bytes `json:"x25519"`          // 32 bytes
	X25519MLKEM768 Bytes `json:"x25519-mlkem768"` // 1,216 bytes
}

// Of returns the key for an envelope, nil if it is not hybrid.
func (k *HybridKeys) Of(e shielding.Envelope) Bytes {
	switch e {
	case shielding.X25519:
		return k.X25519
	case shielding.X25519MLKEM768:
		return k.X25519MLKEM768
	}
	return nil
}

// Parse returns the key for an envelope. Errors wrap [shielding.ErrInvalidKey].
func (k *HybridKeys) Parse(e shielding.Envelope) (*shielding.HybridPublicKey, error) {
	return shielding.ParseHybridPublicKey(e, k.Of(e))
}

// payload returns what is signed: "ocw/shielding-key/2", genesis, shard, block
// number (u32), modulus, exponent and the keys of the hybrid envelopes.
func (k *ShieldingKey) payload() []byte {
	b := append([]byte(labelShieldingKey), k.Genesis[:]...)
	b = append(b, k.Shard[:]...)
	b = scale.AppendU32(b, uint32(k.Number))
	return slices.Concat(b, k.N, k.E, k.X25519, k.X25519MLKEM768)
}

// Sign signs the key with a worker's account key.
func (k *ShieldingKey) Sign(pair *keyring.Pair) { k.Signature = sign(k.payload(), pair) }

// Verify checks the signature. Errors wrap [ErrSignature] or [ErrMalformed].
func (k *ShieldingKey) Verify() error {
	const modulus, exponent, x25519, mlkem = 384, 4, 32, 1216
	if len(k.N) != modulus || len(k.E) != exponent || len(k.X25519) != x25519 || len(k.X25519MLKEM768) != mlkem {
		return ErrMalformed
	}
	return k.verify(k.payload())
}
