// Package ss58 writes and reads SS58 addresses: base58 of a network prefix, a
// payload and a checksum. Start at [Encode] and [Decode].
//
// It knows no networks: whether a prefix belongs to the chain at hand is for
// the caller to say. The checksum guards against typing errors only, so a
// decoded address says nothing about who wrote it.
//
// Source: sp-core crypto.rs (Ss58Codec).
package ss58

import (
	"errors"
	"fmt"

	"github.com/mr-tron/base58"
	"golang.org/x/crypto/blake2b"
)

// MaxPrefix is the largest network prefix.
const MaxPrefix = 1<<14 - 1

// ErrInvalid is wrapped by every error of this package.
var ErrInvalid = errors.New("ss58: invalid address")

// maxText bounds what Decode looks at: 2 bytes of prefix, 33 of payload and 2
// of checksum are at most 51 digits, and base58 takes quadratic time.
const maxText = 64

// checksumLen returns the bytes of checksum after a payload of n bytes, and
// whether addresses of that payload exist.
func checksumLen(n int) (int, bool) {
	switch n {
	case 1, 2, 4, 8:
		return 1, true
	case 32, 33:
		return 2, true
	}
	return 0, false
}

func checksum(body []byte) [64]byte {
	return blake2b.Sum512(append([]byte("SS58PRE"), body...))
}

// Encode returns the address of payload (1, 2, 4, 8, 32 or 33 bytes) under a
// network prefix of 0 to 16383, of which 46 and 47 are reserved.
func Encode(prefix uint16, payload []byte) (string, error) {
	n, ok := checksumLen(len(payload))
	if !ok {
		return "", fmt.Errorf("%w: payload of %d bytes", ErrInvalid, len(payload))
	}
	var body []byte
	switch {
	case prefix == 46 || prefix == 47 || prefix > MaxPrefix:
		return "", fmt.Errorf("%w: prefix %d is reserved", ErrInvalid, prefix)
	case prefix < 64:
		body = []byte{byte(prefix)}
	default:
		body = []byte{byte(prefix&0xfc>>2) | 0x40, byte(prefix>>8) | byte(prefix&3<<6)}
	}
	body = append(body, payload...)
	sum := checksum(body)
	return base58.Encode(append(body, sum[:n]...)), nil
}

// Decode reads an address: its network prefix and its payload of 1, 2, 4, 8,
// 32 or 33 bytes. Reserved prefixes, a wrong checksum and a prefix below 64
// written in two bytes are errors.
func Decode(s string) (prefix uint16, payload []byte, err error) {
	if len(s) > maxText {
		return 0, nil, fmt.Errorf("%w: longer than %d characters", ErrInvalid, maxText)
	}
	b, err := base58.Decode(s)
	if err != nil || len(b) < 3 {
		return 0, nil, fmt.Errorf("%w: not base58", ErrInvalid)
	}
	head := 1
	switch {
	case b[0] < 64:
		prefix = uint16(b[0])
	case b[0] < 128:
		prefix = uint16(b[0]&0x3f)<<2 | uint16(b[1]>>6) | uint16(b[1]&0x3f)<<8
		head = 2
		if prefix < 64 {
			return 0, nil, fmt.Errorf("%w: prefix %d in two bytes", ErrInvalid, prefix)
		}
	default:
		return 0, nil, fmt.Errorf("%w: prefix byte %#02x", ErrInvalid, b[0])
	}
	if prefix == 46 || prefix == 47 {
		return 0, nil, fmt.Errorf("%w: prefix %d is reserved", ErrInvalid, prefix)
	}
	n := 1
	if len(b)-head > 32 {
		n = 2
	}
	end := len(b) - n
	if end < head {
		return 0, nil, fmt.Errorf("%w: too short", ErrInvalid)
	}
	if want, ok := checksumLen(end - head); !ok || want != n {
		return 0, nil, fmt.Errorf("%w: payload of %d bytes", ErrInvalid, end-head)
	}
	if sum := checksum(b[:end]); string(sum[:n]) != string(b[end:]) {
		return 0, nil, fmt.Errorf("%w: wrong checksum", ErrInvalid)
	}
	return prefix, b[head:end:end], nil
}
