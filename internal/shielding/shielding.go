// Package shielding is the encryption of requests to a shard: RSA-3072 with
// OAEP over SHA-256, in independent chunks, and the JSON form of the public
// key. Start at [Generate], [ParsePublicKey], [PublicKey.Encrypt] and
// [PrivateKey.Decrypt].
//
// The format gives confidentiality only: chunks are not bound to each other,
// so anyone may reorder, drop or splice them, and anyone may encrypt. What a
// plaintext means is decided by the signature inside it.
//
// Source: integritee-protocol.md section 2 (PKCS #1 v2.2, RSAES-OAEP, hash
// and MGF1 SHA-256, empty label).
package shielding

import (
	"errors"
	"io"
)

// Sizes in bytes.
const (
	// KeySize is the size of the modulus and of a cipher chunk.
	KeySize = 384
	// MaxChunkPlaintext is the most that one chunk carries.
	MaxChunkPlaintext = KeySize - 2*32 - 2
	// MaxChunks is the limit on operations (RULES 10).
	MaxChunks = 16
)

// Errors of Decrypt.
var (
	// ErrUndecryptable stands for every cryptographic failure, without
	// saying which, so that it is no oracle.
	ErrUndecryptable = errors.New("shielding: undecryptable")
	// ErrTooLong means more chunks than allowed; nothing was decrypted.
	ErrTooLong = errors.New("shielding: ciphertext too long")
	// ErrInvalidKey is wrapped by errors about keys.
	ErrInvalidKey = errors.New("shielding: invalid key")
)

// PublicKey is a shard's public encryption key. It is immutable.
type PublicKey struct{}

// ParsePublicKey reads the JSON form: {"n":[384 numbers],"e":[4 numbers]},
// both little-endian. The exponent is any odd number from 3 to 2^31-1.
func ParsePublicKey(b []byte) (*PublicKey, error) { return nil, ErrInvalidKey }

// MarshalJSON returns the JSON form.
func (k *PublicKey) MarshalJSON() ([]byte, error) { return nil, ErrInvalidKey }

// Encrypt encrypts plaintext in chunks of up to 318 bytes to 384 bytes each;
// an empty plaintext gives an empty ciphertext. It reads from rand.
func (k *PublicKey) Encrypt(rand io.Reader, plaintext []byte) ([]byte, error) {
	return nil, ErrInvalidKey
}

// PrivateKey is a shard's private encryption key. It is immutable and safe
// for concurrent use. Printing or logging it shows nothing of it.
type PrivateKey struct{}

// Generate makes a fresh key with exponent 65537.
func Generate() (*PrivateKey, error) { return nil, ErrInvalidKey }

// FromPKCS8 reads a key that PKCS8 wrote.
func FromPKCS8(der []byte) (*PrivateKey, error) { return nil, ErrInvalidKey }

// PKCS8 returns the key as DER of PKCS #8.
func (k *PrivateKey) PKCS8() []byte { return nil }

// Public returns the public key.
func (k *PrivateKey) Public() *PublicKey { return &PublicKey{} }

// Decrypt decrypts a ciphertext of at most maxChunks chunks.
func (k *PrivateKey) Decrypt(ct []byte, maxChunks int) ([]byte, error) {
	return nil, ErrUndecryptable
}
