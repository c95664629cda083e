// Package shielding is the encryption of requests to a shard: RSA-3072 with
// OAEP over SHA-256, in independent chunks, and the JSON form of the public
// key. Start at [Generate], [ParsePublicKey], [PublicKey.Encrypt] and
// [PrivateKey.Decrypt].
//
// The format gives confidentiality only: chunks are not bound to each other,
// so anyone may reorder, drop or splice them, and anyone may encrypt. What a
// plaintext means is decided by the signature inside it. Ciphertexts and
// public keys are not trusted.
//
// Source: integritee-protocol.md section 2 (PKCS #1 v2.2, RSAES-OAEP, hash
// and MGF1 SHA-256, empty label).
package shielding

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
)

// Sizes.
const (
	// KeySize is the size of the modulus and of a cipher chunk in bytes.
	KeySize = 384
	// MaxChunkPlaintext is the most that one chunk carries, in bytes.
	MaxChunkPlaintext = KeySize - 2*sha256.Size - 2
	// MaxChunks is the most chunks of an operation (RULES 10).
	MaxChunks = 16
)

// maxKeyJSON bounds the text of a public key in bytes. The canonical form has
// at most 1,560.
const maxKeyJSON = 16 << 10

// Errors that callers can test for.
var (
	// ErrUndecryptable stands for every cryptographic failure, without
	// saying which, so that it is no oracle.
	ErrUndecryptable = errors.New("shielding: undecryptable")
	// ErrTooLong means more chunks than allowed; nothing was decrypted.
	ErrTooLong = errors.New("shielding: ciphertext too long")
	// ErrInvalidKey is wrapped by errors about keys.
	ErrInvalidKey = errors.New("shielding: invalid key")
)

// PublicKey is a shard's public encryption key. It is immutable and safe for
// concurrent use.
type PublicKey struct {
	key rsa.PublicKey
}

func checkPublic(n *big.Int, e uint64) error {
	switch {
	case n.BitLen() != KeySize*8 || n.Bit(0) == 0:
		return fmt.Errorf("%w: modulus is not an odd number of %d bits", ErrInvalidKey, KeySize*8)
	case e < 3 || e%2 == 0 || e > math.MaxInt32:
		return fmt.Errorf("%w: exponent is not an odd number from 3 to 2^31-1", ErrInvalidKey)
	}
	return nil
}

// ParsePublicKey reads the JSON form: {"n":[384 numbers],"e":[4 numbers]},
// bytes in little-endian order. The modulus has 3072 bits, the exponent is an
// odd number from 3 to 2^31-1. Other fields are ignored.
func ParsePublicKey(b []byte) (*PublicKey, error) {
	if len(b) > maxKeyJSON {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrInvalidKey, maxKeyJSON)
	}
	var j struct{ N, E []uint16 } // []uint8 would be base64
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidKey, err)
	}
	n, err := fromNumbers(j.N, KeySize)
	if err != nil {
		return nil, fmt.Errorf("%w: n: %w", ErrInvalidKey, err)
	}
	le, err := fromNumbers(j.E, 4)
	if err != nil {
		return nil, fmt.Errorf("%w: e: %w", ErrInvalidKey, err)
	}
	slices.Reverse(n)
	modulus, e := new(big.Int).SetBytes(n), binary.LittleEndian.Uint32(le)
	if err := checkPublic(modulus, uint64(e)); err != nil {
		return nil, err
	}
	return &PublicKey{rsa.PublicKey{N: modulus, E: int(e)}}, nil
}

func fromNumbers(numbers []uint16, want int) ([]byte, error) {
	if len(numbers) != want {
		return nil, fmt.Errorf("%d numbers instead of %d", len(numbers), want)
	}
	out := make([]byte, want)
	for i, v := range numbers {
		if v > math.MaxUint8 {
			return nil, fmt.Errorf("number %d is no byte", v)
		}
		out[i] = byte(v)
	}
	return out, nil
}

// Parts returns modulus and exponent, KeySize and 4 bytes, little-endian.
func (k *PublicKey) Parts() (n, e []byte) {
	n = k.key.N.FillBytes(make([]byte, KeySize))
	slices.Reverse(n)
	return n, binary.LittleEndian.AppendUint32(nil, uint32(k.key.E))
}

// MarshalJSON returns the JSON form without spaces, n before e.
func (k *PublicKey) MarshalJSON() ([]byte, error) {
	n, e := k.Parts()
	numbers := func(b []byte) []uint16 {
		out := make([]uint16, len(b))
		for i, v := range b {
			out[i] = uint16(v)
		}
		return out
	}
	return json.Marshal(struct {
		N []uint16 `json:"n"`
		E []uint16 `json:"e"`
	}{numbers(n), numbers(e)})
}

// Equal reports whether both keys are the same.
func (k *PublicKey) Equal(other *PublicKey) bool { return k.key.Equal(&other.key) }

// Encrypt encrypts plaintext in chunks of up to 318 bytes to 384 bytes each;
// an empty plaintext gives an empty ciphertext. It reads from rand, which is
// crypto/rand.Reader outside of tests. It fails if rand does.
func (k *PublicKey) Encrypt(rand io.Reader, plaintext []byte) ([]byte, error) {
	out := make([]byte, 0, CiphertextLen(len(plaintext)))
	for chunk := range slices.Chunk(plaintext, MaxChunkPlaintext) {
		c, err := rsa.EncryptOAEP(sha256.New(), rand, &k.key, chunk, nil)
		if err != nil {
			return nil, fmt.Errorf("shielding: encrypt: %w", err)
		}
		out = append(out, c...)
	}
	return out, nil
}

// CiphertextLen returns the length of the encryption of n bytes.
func CiphertextLen(n int) int {
	return (n + MaxChunkPlaintext - 1) / MaxChunkPlaintext * KeySize
}
