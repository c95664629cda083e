// Package integritee has the wire formats of the Integritee protocol: the
// calls, events and storage of the pallets Teerex and EnclaveBridge, trusted
// operations and getters with what is signed for them, the envelope of RPC
// answers, and the hashes that confirmations are made of.
//
// Start at [Request] and [TrustedCallSigned]. Calls and getters themselves are
// opaque here: package stf knows them. Types without an AppendSCALE method are
// encoded by scale's reflection. Decoding says what the bytes say; whether an
// operation is authentic, [TrustedCallSigned.Verify] and
// [TrustedGetterSigned.Verify] answer. Nothing is trusted, nothing panics.
//
// Source: integritee-protocol.md (P) sections 1, 3 and 4; layouts as in the
// metadata of integritee-kusama, spec 560.
package integritee

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/mr-tron/base58"
)

// ErrInvalidID is wrapped by errors about text that is no shard or fingerprint.
var ErrInvalidID = errors.New("integritee: invalid identifier")

// ShardID names a shard. Its text form is base58 of the 32 bytes.
type ShardID [32]byte

// Fingerprint is the measurement of an enclave (MRENCLAVE). Its text form is
// base58 of the 32 bytes.
type Fingerprint [32]byte

// ParseShardID reads base58 of 32 bytes, or 0x and 64 hex digits.
func ParseShardID(s string) (ShardID, error) {
	b, err := parse32(s)
	if err != nil {
		return ShardID{}, fmt.Errorf("shard: %w", err)
	}
	return b, nil
}

// ParseFingerprint reads base58 of 32 bytes, or 0x and 64 hex digits.
func ParseFingerprint(s string) (Fingerprint, error) {
	b, err := parse32(s)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint: %w", err)
	}
	return b, nil
}

func parse32(s string) (out [32]byte, err error) {
	var b []byte
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		b, err = hex.DecodeString(digits)
	} else if len(s) <= 44 { // base58 of 32 bytes is no longer
		b, err = base58.Decode(s)
	}
	if err != nil || len(b) != len(out) {
		return out, fmt.Errorf("%w: want base58 or 0x-hex of 32 bytes", ErrInvalidID)
	}
	return [32]byte(b), nil
}

// String returns base58.
func (s ShardID) String() string { return base58.Encode(s[:]) }

// MarshalText returns base58.
func (s ShardID) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what [ParseShardID] accepts.
func (s *ShardID) UnmarshalText(b []byte) error {
	v, err := ParseShardID(string(b))
	if err == nil {
		*s = v
	}
	return err
}

// MetadataPath is the type's path in runtime metadata.
func (ShardID) MetadataPath() []string { return []string{"primitive_types", "H256"} }

// String returns base58.
func (f Fingerprint) String() string { return base58.Encode(f[:]) }

// MarshalText returns base58.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what [ParseFingerprint] accepts.
func (f *Fingerprint) UnmarshalText(b []byte) error {
	v, err := ParseFingerprint(string(b))
	if err == nil {
		*f = v
	}
	return err
}

// MetadataPath is the type's path in runtime metadata.
func (Fingerprint) MetadataPath() []string { return []string{"primitive_types", "H256"} }

// Request is what invoke carries and what the worker's RPC takes as hex:
// a shard and, in general, SCALE(TrustedOperation) encrypted to the shard's
// key. For state_executeGetter the field holds SCALE(Getter) in plain.
type Request struct {
	Shard      ShardID
	Cyphertext []byte
}

// MetadataPath is the type's path in runtime metadata.
func (Request) MetadataPath() []string { return []string{"enclave_bridge_primitives", "Request"} }
