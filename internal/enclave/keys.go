package enclave

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/blake2b"

	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// keyMaterialVersion is the first byte of encoded key material.
const keyMaterialVersion = 1

// ErrKeyMaterial is wrapped by errors about encoded key material, none of
// which quotes it.
var ErrKeyMaterial = errors.New("enclave: invalid key material")

// KeyMaterial is what the workers of a shard share, and all that they share
// (RULES 4). It shows nothing of itself when printed, logged or marshalled.
type KeyMaterial struct {
	// Epoch counts the shielding keys of the shard from 0.
	Epoch uint32
	// Shielding decrypts invocations and shieldings of this epoch.
	Shielding *shielding.PrivateKey
	// RootSeed is what the shard's other secrets are derived from. It never
	// rotates.
	RootSeed [32]byte
}

// NewKeyMaterial makes the key material of a new shard, of epoch 0, from a
// fresh shielding key and 32 bytes of a cryptographic random source.
func NewKeyMaterial(key *shielding.PrivateKey, random io.Reader) (*KeyMaterial, error) {
	k := &KeyMaterial{Shielding: key}
	if _, err := io.ReadFull(random, k.RootSeed[:]); err != nil {
		return nil, fmt.Errorf("enclave: root seed: %w", err)
	}
	return k, nil
}

// Encode returns the blob that is sealed and handed over: version 1, epoch
// u32, PKCS#8 of the shielding key as Vec<u8>, root seed 32 bytes. It is
// secret.
func (k *KeyMaterial) Encode() []byte {
	b := scale.AppendU32([]byte{keyMaterialVersion}, k.Epoch)
	b = scale.AppendBytes(b, k.Shielding.PKCS8())
	return append(b, k.RootSeed[:]...)
}

// DecodeKeyMaterial reads exactly what Encode wrote. A newer version is
// refused. Errors wrap ErrKeyMaterial.
func DecodeKeyMaterial(b []byte) (*KeyMaterial, error) {
	d := scale.NewDecoder(b)
	if v := d.U8(); d.Err() == nil && v != keyMaterialVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrKeyMaterial, v, keyMaterialVersion)
	}
	k := &KeyMaterial{Epoch: d.U32()}
	der := d.BytesNoCopy()
	d.Read(k.RootSeed[:])
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyMaterial, err)
	}
	key, err := shielding.FromPKCS8(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyMaterial, err)
	}
	k.Shielding = key
	return k, nil
}

// PublicKeys returns what everybody may know of it.
func (k *KeyMaterial) PublicKeys() binding.Keys {
	text, err := k.Shielding.Public().MarshalJSON()
	if err != nil {
		panic("enclave: " + err.Error()) // numbers have a JSON form
	}
	hybrid := roots.HybridKeys{X25519: k.Hybrid(shielding.X25519).Public().Bytes(), X25519MLKEM768: k.Hybrid(shielding.X25519MLKEM768).Public().Bytes()}
	return binding.Keys{Epoch: k.Epoch, ShieldingKey: string(text), HybridKeys: hybrid, Material: k.Hash()}
}

// Hash identifies the key material without disclosing it: BLAKE2b-256 of a
// label and the encoding. The hash of the public keys, which is published and
// compared (RULES 5), has it inside.
func (k *KeyMaterial) Hash() hashing.Hash {
	return hashing.Blake2b256([]byte(labelKeyMaterial), k.Encode())
}

// prf derives a secret from the root seed: BLAKE2b-256 of the label and what
// follows it, keyed with the seed.
func (k *KeyMaterial) prf(label string, more ...[]byte) (out [32]byte) {
	h, err := blake2b.New256(k.RootSeed[:])
	if err != nil {
		panic("enclave: " + err.Error()) // only for keys above 64 bytes
	}
	h.Write([]byte(label))
	for _, b := range more {
		h.Write(b)
	}
	h.Sum(out[:0])
	return out
}

// Hybrid returns the key of a hybrid envelope in this epoch. It is derived from
// the root seed and the RSA key of the epoch: envelope u8, epoch u32, PKCS#8. So
// whoever has destroyed an epoch's RSA key has destroyed this one, too.
func (k *KeyMaterial) Hybrid(e shielding.Envelope) *shielding.HybridKey {
	der := k.Shielding.PKCS8()
	defer clear(der)
	seed := k.prf(labelHybridKey, scale.AppendU32([]byte{byte(e)}, k.Epoch), der)
	defer clear(seed[:])
	key, err := shielding.NewHybridKey(e, seed)
	if err != nil {
		panic("enclave: " + err.Error()) // only for an envelope that is none
	}
	return key
}

// Tag returns the tag by which the shard's workers know a message about epochs as
// one of theirs: the first bytes of what is derived from the root seed, so that
// whoever has the shielding key of some epoch alone cannot make it.
func (k *KeyMaterial) Tag(m *epoch.Message, shard [32]byte, trust hashing.Hash) epoch.Tag {
	secret := k.prf(labelEpochTag, m.Tagged(shard, trust))
	return epoch.Tag(secret[:len(epoch.Tag{})])
}

// EscrowKey returns the key under which workers of the shard have each other keep
// their accounts. It is the same in all epochs.
func (k *KeyMaterial) EscrowKey() [32]byte { return k.prf(labelEscrow) }

// rootHash names the root seed without disclosing it.
func (k *KeyMaterial) rootHash() hashing.Hash { return k.prf(labelRootHash) }

// EnclaveAccount returns the account inside the shard that collects fees. It
// is no public key, so nobody can sign for it.
func (k *KeyMaterial) EnclaveAccount() keyring.AccountID { return k.prf(labelEnclaveAccount) }

const redacted = "enclave.KeyMaterial(redacted)"

// Format writes a placeholder for any verb.
func (k *KeyMaterial) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (k *KeyMaterial) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns a placeholder.
func (k *KeyMaterial) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }
