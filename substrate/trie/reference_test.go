package trie

import (
	"bytes"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/blake2b"
)

// The reference: the trie's definition written down as a recursion over a
// sorted list of entries, sharing nothing with the package.

type refEntry struct {
	nibbles []byte
	value   []byte
}

func refNibbles(key []byte) []byte {
	var out []byte
	for _, b := range key {
		out = append(out, b/16, b%16)
	}
	return out
}

func refRoot(v Version, entries map[string][]byte) [32]byte {
	var list []refEntry
	for k, value := range entries {
		list = append(list, refEntry{refNibbles([]byte(k)), value})
	}
	slices.SortFunc(list, func(a, b refEntry) int { return bytes.Compare(a.nibbles, b.nibbles) })
	if len(list) == 0 {
		return blake2b.Sum256([]byte{0})
	}
	return blake2b.Sum256(refNode(v, list, 0))
}

func refCompact(n int) []byte {
	switch {
	case n < 1<<6:
		return []byte{byte(n << 2)}
	case n < 1<<14:
		return binary.LittleEndian.AppendUint16(nil, uint16(n<<2|1))
	}
	return binary.LittleEndian.AppendUint32(nil, uint32(n<<2|2))
}

// refNode encodes the node that holds the entries, whose first at nibbles are
// above it.
func refNode(v Version, list []refEntry, at int) []byte {
	end := at
	for len(list[0].nibbles) > end {
		x := list[0].nibbles[end]
		if slices.ContainsFunc(list, func(e refEntry) bool { return len(e.nibbles) <= end || e.nibbles[end] != x }) {
			break
		}
		end++
	}
	partial := list[0].nibbles[at:end]
	var value []byte
	hasValue := len(list[0].nibbles) == end
	if hasValue {
		value, list = list[0].value, list[1:]
	}
	out := refHeader(len(list) > 0, hasValue, v == V1 && len(value) > 32, len(partial))
	if len(partial)%2 == 1 {
		partial = append([]byte{0}, partial...)
	}
	for i := 0; i < len(partial); i += 2 {
		out = append(out, partial[i]*16+partial[i+1])
	}
	var bitmap uint16
	var children []byte
	for x := byte(0); x < 16; x++ {
		var below []refEntry
		for _, e := range list {
			if e.nibbles[end] == x {
				below = append(below, e)
			}
		}
		if len(below) == 0 {
			continue
		}
		bitmap |= 1 << x
		child := refNode(v, below, end+1)
		if len(child) >= 32 {
			h := blake2b.Sum256(child)
			child = h[:]
		}
		children = append(append(children, refCompact(len(child))...), child...)
	}
	if bitmap != 0 {
		out = binary.LittleEndian.AppendUint16(out, bitmap)
	}
	if hasValue {
		if v == V1 && len(value) > 32 {
			h := blake2b.Sum256(value)
			out = append(out, h[:]...)
		} else {
			out = append(append(out, refCompact(len(value))...), value...)
		}
	}
	return append(out, children...)
}

func refHeader(branch, hasValue, hashed bool, nibbles int) []byte {
	var first, most int
	switch {
	case branch && !hasValue:
		first, most = 0b10<<6, 63
	case branch && hashed:
		first, most = 0b0001<<4, 15
	case branch:
		first, most = 0b11<<6, 63
	case hashed:
		first, most = 0b001<<5, 31
	default:
		first, most = 0b01<<6, 63
	}
	if nibbles < most {
		return []byte{byte(first + nibbles)}
	}
	out := []byte{byte(first + most)}
	for nibbles -= most; nibbles >= 255; nibbles -= 255 {
		out = append(out, 255)
	}
	return append(out, byte(nibbles))
}
