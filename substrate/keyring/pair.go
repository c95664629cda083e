package keyring

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"

	schnorrkel "github.com/ChainSafe/go-schnorrkel"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Pair is a key pair. It is immutable and safe for concurrent use. Printing
// or logging it shows the scheme and the account only. The zero Pair is of no
// use.
type Pair struct {
	scheme  Scheme
	public  []byte
	account AccountID
	seed    [32]byte
	seeded  bool
	sign    func(msg []byte) []byte
}

// FromSeed returns the key pair of a 32-byte seed (mini secret). It fails for
// an unknown scheme, and for ecdsa if the seed is no scalar of the curve,
// which does not happen with random seeds.
func FromSeed(scheme Scheme, seed [32]byte) (*Pair, error) {
	var p *Pair
	var err error
	switch scheme {
	case Ed25519:
		p = ed25519Pair(seed)
	case Sr25519:
		p, err = sr25519FromSeed(seed)
	case Ecdsa:
		p, err = ecdsaPair(seed)
	default:
		return nil, fmt.Errorf("keyring: unknown signature scheme %d", uint8(scheme))
	}
	if err != nil {
		return nil, err
	}
	p.seed, p.seeded = seed, true
	return p, nil
}

func ed25519Pair(seed [32]byte) *Pair {
	key := ed25519.NewKeyFromSeed(seed[:])
	public := []byte(key.Public().(ed25519.PublicKey))
	return &Pair{scheme: Ed25519, public: public, account: AccountID(public),
		sign: func(msg []byte) []byte { return ed25519.Sign(key, msg) }}
}

func sr25519FromSeed(seed [32]byte) (*Pair, error) {
	secret, err := expand(seed)
	if err != nil {
		return nil, err
	}
	return sr25519Pair(secret)
}

// expand turns an sr25519 mini secret into a secret key.
func expand(seed [32]byte) (*schnorrkel.SecretKey, error) {
	mini, err := schnorrkel.NewMiniSecretKeyFromRaw(seed)
	if err != nil {
		return nil, fmt.Errorf("keyring: sr25519: %w", err)
	}
	return mini.ExpandEd25519(), nil
}

func sr25519Pair(secret *schnorrkel.SecretKey) (*Pair, error) {
	scalar := secret.Encode()
	// The nonce half only seeds the signing nonce, together with the message
	// and fresh randomness; it need not be the one of other implementations,
	// which for soft derivation is random anyway.
	nonce := hashing.Blake2b256([]byte("offchain-worker/sr25519-nonce/v1"), scalar[:])
	key, err := sr25519.NewSecretKeyFromBytes(append(scalar[:], nonce[:]...))
	if err != nil {
		return nil, fmt.Errorf("keyring: sr25519: %w", err)
	}
	pair := key.KeyPair()
	public, err := pair.PublicKey().MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("keyring: sr25519: %w", err)
	}
	return &Pair{scheme: Sr25519, public: public, account: AccountID(public), sign: func(msg []byte) []byte {
		s, err := pair.Sign(nil, signingContext().NewTranscriptBytes(msg))
		if err != nil {
			panic("keyring: sr25519: no randomness: " + err.Error())
		}
		b, err := s.MarshalBinary()
		if err != nil {
			panic("keyring: sr25519: own signature: " + err.Error())
		}
		return b
	}}, nil
}

func ecdsaPair(seed [32]byte) (*Pair, error) {
	var scalar secp256k1.ModNScalar
	if overflow := scalar.SetBytes(&seed); overflow != 0 || scalar.IsZero() {
		return nil, fmt.Errorf("%w: seed is no secp256k1 scalar", ErrInvalidURI)
	}
	key := secp256k1.NewPrivateKey(&scalar)
	public := key.PubKey().SerializeCompressed()
	return &Pair{scheme: Ecdsa, public: public, account: AccountID(hashing.Blake2b256(public)), sign: func(msg []byte) []byte {
		h := hashing.Blake2b256(msg)
		compact := ecdsa.SignCompact(key, h[:], true) // RFC 6979, low s
		return append(compact[1:], compact[0]-compactOffset)
	}}, nil
}

// Scheme returns the pair's signature scheme.
func (p *Pair) Scheme() Scheme { return p.scheme }

// Public returns a copy of the public key: 32 bytes, for ecdsa 33 (compressed).
func (p *Pair) Public() []byte { return append([]byte(nil), p.public...) }

// AccountID returns the pair's account.
func (p *Pair) AccountID() AccountID { return p.account }

// Sign signs msg. Ed25519 and ecdsa signatures are deterministic, sr25519 ones
// are not. It panics if the system has no randomness.
func (p *Pair) Sign(msg []byte) MultiSignature { return MultiSignature{p.scheme, p.sign(msg)} }

// Seed returns the 32-byte seed from which [FromSeed] makes the same pair;
// false if there is none (sr25519 after a soft junction).
func (p *Pair) Seed() ([32]byte, bool) { return p.seed, p.seeded }

// String returns scheme and account.
func (p *Pair) String() string { return fmt.Sprintf("%s key of %s", p.scheme, p.account) }

// Format writes String for every verb, so that no verb prints the secret.
func (p *Pair) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.String()) }

// LogValue returns String.
func (p *Pair) LogValue() slog.Value { return slog.StringValue(p.String()) }
