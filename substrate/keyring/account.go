// Package keyring has the accounts, keys and signatures of Substrate chains:
// sr25519, ed25519 and ecdsa (secp256k1) key pairs from secret URIs, and the
// verification of their signatures. Start at [FromURI] and
// [MultiSignature.Verify].
//
// It stores no keys (package internal/keystore does) and knows no chain. A
// [Pair] redacts itself wherever it is printed or logged. Signing with sr25519
// and ecdsa and [NewMnemonic] are the only places that use randomness.
//
// Source: sp-core (crypto.rs, sr25519.rs, ed25519.rs, ecdsa.rs), sp-runtime
// (MultiSignature), substrate-bip39, w3f/schnorrkel.
package keyring

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/ss58"
)

// DefaultPrefix is the SS58 prefix that [AccountID.String] uses: generic
// Substrate.
const DefaultPrefix = 42

// ErrInvalidAccount is wrapped by errors about text that names no account.
var ErrInvalidAccount = errors.New("keyring: invalid account")

// AccountID is an AccountId32: an sr25519 or ed25519 public key, or the
// BLAKE2b-256 hash of a compressed ecdsa public key.
type AccountID [32]byte

// String returns the SS58 address with prefix 42.
func (a AccountID) String() string { return a.Address(DefaultPrefix) }

// Address returns the SS58 address with the prefix of a network; a reserved
// prefix gives hex.
func (a AccountID) Address(prefix uint16) string {
	s, err := ss58.Encode(prefix, a[:])
	if err != nil {
		return a.Hex()
	}
	return s
}

// Hex returns 0x and 64 lower-case hex digits.
func (a AccountID) Hex() string { return "0x" + hex.EncodeToString(a[:]) }

// IsZero reports whether all bytes are zero.
func (a AccountID) IsZero() bool { return a == AccountID{} }

// MarshalText returns the same as String.
func (a AccountID) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what [ParseAccountID] accepts.
func (a *AccountID) UnmarshalText(b []byte) error {
	v, err := ParseAccountID(string(b))
	if err == nil {
		*a = v
	}
	return err
}

// MetadataPath is the type's path in runtime metadata.
func (AccountID) MetadataPath() []string { return []string{"sp_core", "crypto", "AccountId32"} }

// ParseAccountID reads an SS58 address of any network or 0x and 64 hex digits.
func ParseAccountID(s string) (AccountID, error) {
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) != 32 {
			return AccountID{}, fmt.Errorf("%w: want 32 bytes of hex", ErrInvalidAccount)
		}
		return AccountID(b), nil
	}
	_, b, err := ss58.Decode(s)
	if err != nil {
		return AccountID{}, fmt.Errorf("%w: %w", ErrInvalidAccount, err)
	}
	if len(b) != 32 {
		return AccountID{}, fmt.Errorf("%w: address of %d bytes", ErrInvalidAccount, len(b))
	}
	return AccountID(b), nil
}

// MultiAddress is sp_runtime::MultiAddress<AccountId32, ()>: what calls take
// and extrinsics are signed by. Exactly one field is set.
type MultiAddress struct {
	_         scale.Enum
	Id        *AccountID `scale:"0"`
	Index     *struct{}  `scale:"1"` // Compact<()>, which has no bytes
	Raw       *[]byte    `scale:"2"`
	Address32 *[32]byte  `scale:"3"`
	Address20 *[20]byte  `scale:"4"`
}

// MetadataPath is the type's path in runtime metadata.
func (MultiAddress) MetadataPath() []string {
	return []string{"sp_runtime", "multiaddress", "MultiAddress"}
}

// AddressOf returns the address of an account.
func AddressOf(a AccountID) MultiAddress { return MultiAddress{Id: &a} }

// Account returns the account of Id. The other forms resolve to none: chains
// without the pallet Indices refuse them (AccountIdLookup).
func (m MultiAddress) Account() (AccountID, bool) {
	if m.Id == nil {
		return AccountID{}, false
	}
	return *m.Id, true
}
