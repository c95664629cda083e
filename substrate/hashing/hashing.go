// Package hashing has the hash functions of Substrate and its 32-byte hash
// type. All functions are pure and safe for concurrent use.
//
// Source: sp-core hashing; twox is xxHash64 with seeds 0, 1, … each written
// little-endian.
package hashing

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/sha3"
)

// Hash is a 32-byte hash (H256). Its text form is 0x and 64 hex digits.
type Hash [32]byte

// String returns 0x and 64 lower-case hex digits.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// IsZero reports whether all bytes are zero.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText returns the same as String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hex digits with or without 0x.
func (h *Hash) UnmarshalText(b []byte) error {
	v, err := ParseHash(string(b))
	if err == nil {
		*h = v
	}
	return err
}

// ParseHash reads 64 hex digits with or without 0x.
func ParseHash(s string) (h Hash, err error) {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil || len(b) != len(h) {
		return h, errors.New("hashing: want 32 bytes of hex")
	}
	return Hash(b), nil
}

// Blake2b256 returns the 32-byte BLAKE2b hash of the parts joined.
func Blake2b256(parts ...[]byte) Hash {
	if len(parts) == 1 {
		return blake2b.Sum256(parts[0])
	}
	h, _ := blake2b.New256(nil) // fails for a key only
	for _, p := range parts {
		h.Write(p)
	}
	return Hash(h.Sum(nil))
}

// Blake2b128 returns the 16-byte BLAKE2b hash of b.
func Blake2b128(b []byte) [16]byte {
	h := hashers128.Get().(*hasher128)
	defer hashers128.Put(h)
	h.Reset()
	h.Write(b)
	return [16]byte(h.Sum(h.out[:0]))
}

// hasher128 is kept for the next hash: one is taken for each access to a storage
// map, and is larger than what it hashes.
type hasher128 struct {
	hash.Hash
	out [16]byte
}

var hashers128 = sync.Pool{New: func() any {
	h, _ := blake2b.New(16, nil) // fails for a key or a bad size only
	return &hasher128{Hash: h}
}}

// Blake2b64 returns the 8-byte BLAKE2b hash of b (runtime API ids).
func Blake2b64(b []byte) (out [8]byte) {
	h, _ := blake2b.New(8, nil)
	h.Write(b)
	h.Sum(out[:0])
	return out
}

// Keccak256 returns the Keccak-256 hash (not SHA3-256) of the parts joined.
func Keccak256(parts ...[]byte) Hash {
	h := sha3.NewLegacyKeccak256()
	for _, p := range parts {
		h.Write(p)
	}
	return Hash(h.Sum(nil))
}

// Twox64 returns the 8-byte twox hash of b.
func Twox64(b []byte) (out [8]byte) {
	twox(out[:], b)
	return out
}

// Twox128 returns the 16-byte twox hash of b.
func Twox128(b []byte) (out [16]byte) {
	twox(out[:], b)
	return out
}

// Twox256 returns the 32-byte twox hash of b.
func Twox256(b []byte) (out Hash) {
	twox(out[:], b)
	return out
}

func twox(dst, b []byte) {
	for seed := uint64(0); len(dst) > 0; seed++ {
		d := xxhash.NewWithSeed(seed)
		d.Write(b)
		binary.LittleEndian.PutUint64(dst, d.Sum64())
		dst = dst[8:]
	}
}
