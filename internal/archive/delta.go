package archive

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A delta says how to make a text out of another one, the reference: pairs of
// literal bytes and of bytes to copy from the reference.
//
//	delta = uvarint(length of the text) (uvarint(n) n bytes uvarint(m) [uvarint(offset)])…
//
// General compression gains nothing more: hashes, keys, signatures and
// ciphertexts do not compress, and what repeats is what the block before had.

const (
	// refSize is how much of a reference is used, in bytes.
	refSize = 64 << 10
	// A copy costs up to 6 bytes, so shorter matches are not worth it.
	minMatch = 8
	// maxGrowth bounds what a delta can become: its own size and this many
	// times the reference, so that few bytes cannot fill the memory.
	maxGrowth = 4
)

// deltaTable finds places in a reference.
type deltaTable struct {
	ref []byte
	at  [1 << tableBits]uint16 // position+1 of some place with that hash; 0: none
}

const tableBits = 15

func deltaHash(b []byte) uint32 {
	return uint32(binary.LittleEndian.Uint64(b) * 0x9e3779b97f4a7c15 >> (64 - tableBits))
}

// newDeltaTable prepares a reference, of which it uses the first refSize bytes.
func newDeltaTable(ref []byte) *deltaTable {
	t := &deltaTable{ref: ref[:min(len(ref), refSize-1)]}
	for i := len(t.ref) - minMatch; i >= 0; i-- {
		t.at[deltaHash(t.ref[i:])] = uint16(i + 1)
	}
	return t
}

// match returns a place in the reference that begins like b, and for how long.
func (t *deltaTable) match(b []byte) (pos, n int) {
	p := int(t.at[deltaHash(b)]) - 1
	if p < 0 || binary.LittleEndian.Uint64(t.ref[p:]) != binary.LittleEndian.Uint64(b) {
		return 0, 0
	}
	limit := min(len(t.ref)-p, len(b))
	for n = minMatch; n+8 <= limit; n += 8 {
		if x := binary.LittleEndian.Uint64(t.ref[p+n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return p, n + bits.TrailingZeros64(x)/8
		}
	}
	for n < limit && t.ref[p+n] == b[n] {
		n++
	}
	return p, n
}

// encode returns the delta that makes text. ok is false where that does not pay.
func (t *deltaTable) encode(text []byte) (delta []byte, ok bool) {
	out := binary.AppendUvarint(make([]byte, 0, len(text)/2+16), uint64(len(text)))
	literal := 0 // where the present one starts
	for i := 0; i+minMatch <= len(text); {
		p, n := t.match(text[i:])
		if n == 0 {
			i++
			continue
		}
		for i > literal && p > 0 && text[i-1] == t.ref[p-1] {
			i, p, n = i-1, p-1, n+1
		}
		out = binary.AppendUvarint(out, uint64(i-literal))
		out = append(out, text[literal:i]...)
		out = binary.AppendUvarint(out, uint64(n))
		out = binary.AppendUvarint(out, uint64(p))
		i += n
		literal = i
	}
	if literal < len(text) {
		out = binary.AppendUvarint(out, uint64(len(text)-literal))
		out = append(out, text[literal:]...)
		out = append(out, 0)
	}
	return out, len(out) < len(text)-len(text)/8 && len(text) <= len(out)+maxGrowth*len(t.ref)
}

// applyDelta returns the text that a delta makes. Only one encoding of each
// delta is read; what is not used of it is an error.
func applyDelta(ref, delta []byte) ([]byte, error) {
	bad := func(what string) error { return fmt.Errorf("%w: delta: %s", ErrMalformed, what) }
	ref = ref[:min(len(ref), refSize-1)]
	short := false
	next := func() uint64 {
		v, n := binary.Uvarint(delta)
		if n <= 0 || n > 1 && delta[n-1] == 0 {
			short = true
			return 0
		}
		delta = delta[n:]
		return v
	}
	most := uint64(len(delta) + maxGrowth*len(ref))
	size := next()
	if short || size > most || size > MaxEntry {
		return nil, bad("too long")
	}
	out := make([]byte, 0, size)
	for len(delta) > 0 {
		n := next()
		if short || n > uint64(len(delta)) || n > size-uint64(len(out)) {
			return nil, bad("literal")
		}
		out = append(out, delta[:n]...)
		delta = delta[n:]
		n = next()
		if short || n > size-uint64(len(out)) {
			return nil, bad("copy")
		}
		if n == 0 {
			break
		}
		p := next()
		if short || p > uint64(len(ref)) || n > uint64(len(ref))-p {
			return nil, bad("copy from outside")
		}
		out = append(out, ref[p:p+n]...)
	}
	if len(delta) > 0 || uint64(len(out)) != size {
		return nil, bad("length")
	}
	return out, nil
}
