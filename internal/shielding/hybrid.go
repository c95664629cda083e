package shielding

import (
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/offchain-worker/sdk/internal/erase"
)

// Envelope is a way to encrypt an operation to a shard.
type Envelope uint8

// The envelopes. What is not [RSA] is hybrid: HPKE (RFC 9180) in base mode with
// HKDF-SHA256 and AES-256-GCM. The numbers stand in ciphertexts.
const (
	// RSA is RSA-OAEP in chunks, the only one that the Rust worker knows.
	RSA Envelope = 0
	// X25519 encapsulates by DHKEM(X25519, HKDF-SHA256), HPKE's KEM 0x0020.
	X25519 Envelope = 1
	// X25519MLKEM768 encapsulates by X25519 and ML-KEM-768 at once (X-Wing,
	// KEM 0x647a), so that who keeps ciphertexts until there are quantum computers
	// cannot read them.
	X25519MLKEM768 Envelope = 2
)

// Hybrids are the hybrid envelopes.
var Hybrids = []Envelope{X25519, X25519MLKEM768}

// hybrids has what differs between them.
var hybrids = map[Envelope]struct {
	name           string
	kem            hpke.KEM
	private        func(secret [32]byte) (hpke.PrivateKey, error)
	public, header int // bytes of a public key, and before the ciphertext
}{
	X25519:         {"x25519", hpke.DHKEM(ecdh.X25519()), newX25519, 32, 2 + 32},
	X25519MLKEM768: {"x25519-mlkem768", hpke.MLKEM768X25519(), newXWing, 1216, 2 + 1120},
}

func newXWing(secret [32]byte) (hpke.PrivateKey, error) {
	return hpke.MLKEM768X25519().NewPrivateKey(secret[:])
}

// String returns the name: "rsa", "x25519", "x25519-mlkem768".
func (e Envelope) String() string {
	if h, ok := hybrids[e]; ok {
		return h.name
	}
	if e == RSA {
		return "rsa"
	}
	return fmt.Sprintf("envelope %d", uint8(e))
}

// ParseEnvelope is the inverse of [Envelope.String].
func ParseEnvelope(name string) (Envelope, error) {
	for _, e := range append([]Envelope{RSA}, Hybrids...) {
		if e.String() == name {
			return e, nil
		}
	}
	return 0, fmt.Errorf("shielding: no envelope %q: there are rsa, x25519 and x25519-mlkem768", name)
}

// MaxPlaintext returns the longest plaintext that fits into the envelope.
func (e Envelope) MaxPlaintext() int {
	if e == RSA {
		return MaxChunks * MaxChunkPlaintext
	}
	return classes[len(classes)-1] - lengthLen
}

// A hybrid ciphertext is
//
//	0x01, suite u8, encapsulated key, AES-256-GCM(length u16, plaintext, zeros)
//
// where length is little-endian, and that of the plaintext.
const (
	hybridVersion = 1
	lengthLen     = 2
	tagLen        = 16
)

// classes are the lengths to which length and plaintext are filled up, so that a
// ciphertext shows little of what is in it: an account in the first, nearly every
// call in the second. With what an envelope adds, none is a multiple of KeySize, by
// which RSA ciphertexts are known, and none exceeds MaxChunks of them.
var classes = []int{64, 256, 512, 1024, 2048, 4096, 4864}

// Binding is where a hybrid envelope counts: who copies it into another shard, or
// to where another program has the same keys, has nothing.
type Binding struct {
	Shard [32]byte
	// Fingerprint is the measurement that the shard's enclaves must have in the
	// block that executes the operation.
	Fingerprint [32]byte
}

// labelEnvelope begins the info of HPKE; the shard and fingerprint follow.
const labelEnvelope = "ocw/envelope/1"

func (b *Binding) info() []byte {
	return slices.Concat([]byte(labelEnvelope), b.Shard[:], b.Fingerprint[:])
}

// HybridOf returns the envelope of a ciphertext that is hybrid by its length and
// header; false means that it has to be RSA's.
func HybridOf(ciphertext []byte) (Envelope, bool) {
	if len(ciphertext)%KeySize == 0 || len(ciphertext) < 2 || ciphertext[0] != hybridVersion {
		return RSA, false
	}
	e := Envelope(ciphertext[1])
	_, ok := hybrids[e]
	return e, ok
}

// HybridKey is a private key of a hybrid envelope. It is immutable and safe for
// concurrent use. Printing or logging it shows nothing of it.
type HybridKey struct {
	envelope Envelope
	key      hpke.PrivateKey
}

// NewHybridKey makes a key of 32 secret bytes: X25519's scalar, or X-Wing's seed.
func NewHybridKey(e Envelope, secret [32]byte) (*HybridKey, error) {
	h, ok := hybrids[e]
	if !ok {
		return nil, fmt.Errorf("%w: %v is not hybrid", ErrInvalidKey, e)
	}
	key, err := h.private(secret)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalidKey, e)
	}
	return &HybridKey{e, key}, nil
}

// Public returns the public key.
func (k *HybridKey) Public() *HybridPublicKey {
	return &HybridPublicKey{k.envelope, k.key.PublicKey()}
}

// Open decrypts a ciphertext of the key's envelope. Every failure is
// ErrUndecryptable.
func (k *HybridKey) Open(ciphertext []byte, b Binding) (plaintext []byte, err error) {
	erase.Do(func() { plaintext, err = k.open(ciphertext, b) })
	return plaintext, err
}

func (k *HybridKey) open(ciphertext []byte, b Binding) ([]byte, error) {
	h := hybrids[k.envelope]
	if e, ok := HybridOf(ciphertext); !ok || e != k.envelope || len(ciphertext) < h.header+tagLen+lengthLen {
		return nil, ErrUndecryptable
	}
	r, err := hpke.NewRecipient(ciphertext[2:h.header], k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), b.info())
	if err != nil {
		return nil, ErrUndecryptable
	}
	padded, err := r.Open(nil, ciphertext[h.header:])
	if err != nil {
		return nil, ErrUndecryptable
	}
	n := int(binary.LittleEndian.Uint16(padded))
	if n > len(padded)-lengthLen {
		return nil, ErrUndecryptable
	}
	return padded[lengthLen:][:n:n], nil
}

// String returns a fixed text.
func (*HybridKey) String() string { return "hybrid private key" }

// Format writes String for every verb, so that no verb prints the key.
func (k *HybridKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue returns String.
func (k *HybridKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// HybridPublicKey is a shard's public key for a hybrid envelope. It is immutable
// and safe for concurrent use.
type HybridPublicKey struct {
	envelope Envelope
	key      hpke.PublicKey
}

// ParseHybridPublicKey reads what Bytes returned: 32 bytes for X25519, 1,216 for
// X25519MLKEM768 (ML-KEM-768's encapsulation key, then X25519's).
func ParseHybridPublicKey(e Envelope, b []byte) (*HybridPublicKey, error) {
	h, ok := hybrids[e]
	if !ok || len(b) != h.public {
		return nil, fmt.Errorf("%w: %d bytes are no key of %v", ErrInvalidKey, len(b), e)
	}
	key, err := h.kem.NewPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidKey, err)
	}
	return &HybridPublicKey{e, key}, nil
}

// Envelope returns what the key is for.
func (k *HybridPublicKey) Envelope() Envelope { return k.envelope }

// Bytes returns the key as HPKE serializes it.
func (k *HybridPublicKey) Bytes() []byte { return k.key.Bytes() }

// ErrPlaintextTooLong means that no size class holds the plaintext.
var ErrPlaintextTooLong = errors.New("shielding: plaintext too long")

// Seal encrypts plaintext, with fresh randomness of its own.
func (k *HybridPublicKey) Seal(plaintext []byte, b Binding) ([]byte, error) {
	i := slices.IndexFunc(classes, func(class int) bool { return lengthLen+len(plaintext) <= class })
	if i < 0 {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrPlaintextTooLong, len(plaintext), k.envelope.MaxPlaintext())
	}
	padded := make([]byte, classes[i])
	defer clear(padded)
	binary.LittleEndian.PutUint16(padded, uint16(len(plaintext)))
	copy(padded[lengthLen:], plaintext)
	return k.sealPadded(padded, b)
}

func (k *HybridPublicKey) sealPadded(padded []byte, b Binding) ([]byte, error) {
	enc, s, err := hpke.NewSender(k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), b.info())
	if err != nil {
		return nil, fmt.Errorf("shielding: encrypt: %w", err)
	}
	sealed, err := s.Seal(nil, padded)
	if err != nil {
		return nil, fmt.Errorf("shielding: encrypt: %w", err)
	}
	return slices.Concat([]byte{hybridVersion, byte(k.envelope)}, enc, sealed), nil
}
