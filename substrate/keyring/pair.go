package keyring

import (
	"errors"
)

// ErrInvalidURI is wrapped by errors about secret URIs. None of them quotes
// the URI.
var ErrInvalidURI = errors.New("keyring: invalid secret URI")

// Pair is a key pair. It is immutable and safe for concurrent use. Printing
// or logging it shows the scheme and the account only.
type Pair struct {
	scheme Scheme
	public []byte
}

// FromURI derives a key pair from a secret URI.
func FromURI(scheme Scheme, uri string) (*Pair, error) { return nil, errors.New("not yet") }

// FromSeed returns the key pair of a 32-byte seed (mini secret).
func FromSeed(scheme Scheme, seed [32]byte) (*Pair, error) { return nil, errors.New("not yet") }

// NewMnemonic returns a fresh English mnemonic of 12, 15, 18, 21 or 24 words.
func NewMnemonic(words int) (string, error) { return "", errors.New("not yet") }

// Scheme returns the pair's signature scheme.
func (p *Pair) Scheme() Scheme { return p.scheme }

// Public returns a copy of the public key: 32 bytes, for ecdsa 33 (compressed).
func (p *Pair) Public() []byte { return append([]byte(nil), p.public...) }

// AccountID returns the pair's account.
func (p *Pair) AccountID() AccountID { return AccountID{} }

// Sign signs msg.
func (p *Pair) Sign(msg []byte) MultiSignature { return MultiSignature{} }

// Seed returns the 32-byte seed from which [FromSeed] makes the same pair;
// false if there is none (sr25519 after a soft junction).
func (p *Pair) Seed() ([32]byte, bool) { return [32]byte{}, false }
