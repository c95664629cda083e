package roots

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// ShieldingKey is the public key of a shard, for which a worker vouches: a
// client that cannot look at the worker's TLS certificate, such as a web page,
// needs it, because who ends its TLS could hand out a key of his own.
type ShieldingKey struct {
	Genesis hashing.Hash       `json:"genesis"` // of the parentchain
	Shard   integritee.ShardID `json:"shard"`
	Number  header.Number      `json:"number"` // the worker's last block
	N       Bytes              `json:"n"`      // modulus, 384 bytes, little-endian
	E       Bytes              `json:"e"`      // exponent, 4 bytes, little-endian
	Signature
}

// payload returns what is signed: "ocw/shielding-key/1", genesis, shard, block
// number (u32), modulus and exponent.
func (k *ShieldingKey) payload() []byte {
	b := append([]byte(labelShieldingKey), k.Genesis[:]...)
	b = append(b, k.Shard[:]...)
	b = scale.AppendU32(b, uint32(k.Number))
	return append(append(b, k.N...), k.E...)
}

// Sign signs the key with a worker's account key.
func (k *ShieldingKey) Sign(pair *keyring.Pair) { k.Signature = sign(k.payload(), pair) }

// Verify checks the signature. Errors wrap [ErrSignature] or [ErrMalformed].
func (k *ShieldingKey) Verify() error {
	const modulus, exponent = 384, 4
	if len(k.N) != modulus || len(k.E) != exponent {
		return ErrMalformed
	}
	return k.verify(k.payload())
}
