package shielding

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"

	"github.com/offchain-worker/sdk/internal/erase"
)

// PrivateKey is a shard's private encryption key. It is immutable and safe
// for concurrent use. Printing or logging it shows nothing of it.
type PrivateKey struct {
	key *rsa.PrivateKey
}

// Generate makes a fresh key with exponent 65537. It takes of the order of a
// second.
func Generate() (*PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, KeySize*8)
	if err != nil {
		return nil, fmt.Errorf("shielding: generate: %w", err)
	}
	return &PrivateKey{key}, nil
}

// FromPKCS8 reads a key that PKCS8 wrote, in just that form: one key has one
// encoding, so that hashes of it can be compared. It checks that the key is an
// RSA key of 3072 bits with two primes that fit together.
func FromPKCS8(der []byte) (*PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		// The library's errors do not quote the key, but nothing in them helps.
		return nil, fmt.Errorf("%w: not PKCS #8", ErrInvalidKey)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok || len(key.Primes) != 2 {
		return nil, fmt.Errorf("%w: not an RSA key of two primes", ErrInvalidKey)
	}
	if err := checkPublic(key.N, uint64(key.E)); err != nil {
		return nil, err
	}
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("%w: inconsistent", ErrInvalidKey)
	}
	k := &PrivateKey{key}
	if !bytes.Equal(k.PKCS8(), der) {
		return nil, fmt.Errorf("%w: not the canonical PKCS #8 form", ErrInvalidKey)
	}
	return k, nil
}

// PKCS8 returns the key as DER of PKCS #8.
func (k *PrivateKey) PKCS8() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		panic("shielding: own key has no PKCS #8 form: " + err.Error())
	}
	return der
}

// Public returns the public key.
func (k *PrivateKey) Public() *PublicKey { return &PublicKey{k.key.PublicKey} }

// Decrypt decrypts a ciphertext of at most maxChunks chunks of 384 bytes, the
// last of which may be cut for the purpose of counting. Longer ones are
// ErrTooLong, undecrypted; everything else that fails is ErrUndecryptable. An
// empty ciphertext has an empty plaintext.
//
// Every chunk but the last must hold as much as it can, as Encrypt makes them.
// Nothing binds chunks to each other: whoever sets a short one of his own before
// somebody else's would choose where in a message its bytes come to stand.
func (k *PrivateKey) Decrypt(ct []byte, maxChunks int) (plaintext []byte, err error) {
	erase.Do(func() { plaintext, err = k.decrypt(ct, maxChunks) })
	return plaintext, err
}

func (k *PrivateKey) decrypt(ct []byte, maxChunks int) ([]byte, error) {
	if (len(ct)+KeySize-1)/KeySize > maxChunks {
		return nil, ErrTooLong
	}
	if len(ct)%KeySize != 0 {
		return nil, ErrUndecryptable
	}
	out := make([]byte, 0, len(ct)/KeySize*MaxChunkPlaintext)
	short := false // a chunk before this one
	for chunk := range slices.Chunk(ct, KeySize) {
		p, err := rsa.DecryptOAEP(sha256.New(), nil, k.key, chunk, nil)
		if err != nil || short {
			return nil, ErrUndecryptable
		}
		short = len(p) < MaxChunkPlaintext
		out = append(out, p...)
	}
	return out, nil
}

// String returns a fixed text.
func (*PrivateKey) String() string { return "shielding private key" }

// Format writes String for every verb, so that no verb prints the key.
func (k *PrivateKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue returns String.
func (k *PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
