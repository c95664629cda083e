package keyring

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	schnorrkel "github.com/ChainSafe/go-schnorrkel"
	"github.com/cosmos/go-bip39"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// ErrInvalidURI is wrapped by errors about secret URIs. None of them quotes
// the URI.
var ErrInvalidURI = errors.New("keyring: invalid secret URI")

// DevPhrase is the mnemonic that stands for an absent one, known to everybody.
const DevPhrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"

// maxURI bounds a secret URI in bytes.
const maxURI = 2048

// FromURI derives a key pair from a secret URI:
//
//	[mnemonic | 0x and 64 hex digits] ("/" soft | "//" hard)* ["///" password]
//
// Without a mnemonic or a seed it starts from [DevPhrase]. Ed25519 and ecdsa
// have no soft junctions. A junction of digits is a number below 2^64, any
// other is text. Junctions from which Substrate and polkadot.js derive
// different keys are refused: larger numbers, a plus sign before digits, and
// 0x with hex digits. A password counts for mnemonics only. Errors wrap
// ErrInvalidURI and quote nothing of the URI.
func FromURI(scheme Scheme, uri string) (*Pair, error) {
	phrase, junctions, password, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	seed, err := phraseSeed(phrase, password)
	if err != nil {
		return nil, err
	}
	switch scheme {
	case Sr25519:
		return deriveSr25519(seed, junctions)
	case Ed25519:
		seed, err = deriveSeed("Ed25519HDKD", seed, junctions)
	case Ecdsa:
		seed, err = deriveSeed("Secp256k1HDKD", seed, junctions)
	}
	if err != nil {
		return nil, err
	}
	return FromSeed(scheme, seed)
}

// junction is one step of a derivation path.
type junction struct {
	hard bool
	code [32]byte
}

func parseURI(uri string) (phrase string, path []junction, password string, err error) {
	fail := func(what string) (string, []junction, string, error) {
		return "", nil, "", fmt.Errorf("%w: %s", ErrInvalidURI, what)
	}
	if len(uri) > maxURI {
		return fail("too long")
	}
	if !utf8.ValidString(uri) {
		return fail("not UTF-8")
	}
	rest, password, _ := strings.Cut(uri, "///")
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return rest, nil, password, nil
	}
	phrase, rest = rest[:slash], rest[slash:]
	for rest != "" {
		var j junction
		rest = rest[1:] // the slash that every step starts with
		rest, j.hard = strings.CutPrefix(rest, "/")
		code := rest
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			code = rest[:i]
		}
		rest = rest[len(code):]
		if code == "" {
			return fail("empty junction")
		}
		if j.code, err = chainCode(code); err != nil {
			return "", nil, "", err
		}
		path = append(path, j)
	}
	return phrase, path, password, nil
}

// chainCode returns the 32 bytes that a junction stands for.
func chainCode(code string) (out [32]byte, err error) {
	if digits := strings.TrimPrefix(code, "+"); strings.Trim(digits, "0123456789") == "" && digits != "" {
		n, err := strconv.ParseUint(code, 10, 64)
		if err != nil { // too large, or a plus sign, which ParseUint refuses
			return out, fmt.Errorf("%w: junction is no number below 2^64", ErrInvalidURI)
		}
		copy(out[:], scale.AppendU64(nil, n))
		return out, nil
	}
	if digits, ok := strings.CutPrefix(code, "0x"); ok && strings.Trim(digits, "0123456789abcdefABCDEF") == "" {
		return out, fmt.Errorf("%w: junction may be text or hex", ErrInvalidURI)
	}
	b := scale.AppendString(nil, code)
	if len(b) > len(out) {
		return hashing.Blake2b256(b), nil
	}
	copy(out[:], b)
	return out, nil
}

// phraseSeed returns the mini secret of a mnemonic, a hex seed or nothing.
func phraseSeed(phrase, password string) (seed [32]byte, err error) {
	if digits, ok := strings.CutPrefix(phrase, "0x"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) != len(seed) {
			return seed, fmt.Errorf("%w: want 0x and 64 hex digits", ErrInvalidURI)
		}
		return [32]byte(b), nil
	}
	if phrase == "" {
		phrase = DevPhrase
	}
	// Errors of the library quote words of the mnemonic.
	long, err := schnorrkel.SeedFromMnemonic(strings.Join(strings.Fields(phrase), " "), password)
	if err != nil {
		return seed, fmt.Errorf("%w: not a mnemonic of 12 to 24 English words", ErrInvalidURI)
	}
	return [32]byte(long[:32]), nil
}

// deriveSeed follows a path of hard junctions for ed25519 and ecdsa.
func deriveSeed(label string, seed [32]byte, path []junction) ([32]byte, error) {
	for _, j := range path {
		if !j.hard {
			return seed, fmt.Errorf("%w: soft junctions need sr25519", ErrInvalidURI)
		}
		seed = hashing.Blake2b256(scale.AppendString(nil, label), seed[:], j.code[:])
	}
	return seed, nil
}

func deriveSr25519(seed [32]byte, path []junction) (*Pair, error) {
	secret, err := expand(seed)
	if err != nil {
		return nil, err
	}
	seeded := true
	for _, j := range path {
		if j.hard {
			mini, _, err := secret.HardDeriveMiniSecretKey(nil, j.code)
			if err != nil {
				return nil, fmt.Errorf("keyring: sr25519: %w", err)
			}
			secret, seed, seeded = mini.ExpandEd25519(), mini.Encode(), true
			continue
		}
		child, err := schnorrkel.DeriveKeySimple(secret, nil, j.code)
		if err != nil {
			return nil, fmt.Errorf("keyring: sr25519: %w", err)
		}
		if secret, err = child.Secret(); err != nil {
			return nil, fmt.Errorf("keyring: sr25519: %w", err)
		}
		seed, seeded = [32]byte{}, false
	}
	p, err := sr25519Pair(secret)
	if err != nil {
		return nil, err
	}
	p.seed, p.seeded = seed, seeded
	return p, nil
}

// NewMnemonic returns a fresh English mnemonic of 12, 15, 18, 21 or 24 words.
func NewMnemonic(words int) (string, error) {
	if words%3 != 0 || words < 12 || words > 24 {
		return "", fmt.Errorf("keyring: no mnemonic has %d words", words)
	}
	entropy, err := bip39.NewEntropy(words / 3 * 32)
	if err != nil {
		return "", fmt.Errorf("keyring: mnemonic: %w", err)
	}
	phrase, err := bip39.NewMnemonic(entropy)
	if err != nil {
		return "", fmt.Errorf("keyring: mnemonic: %w", err)
	}
	return phrase, nil
}
