package state

import (
	"encoding/binary"
	"iter"

	"github.com/offchain-worker/sdk/scale"
)

// A state at rest is two lists of parts, which [Restore] reads again. The
// entries, in key order:
//
//	(key Vec<u8>, value Vec<u8>, block u32)…
//
// then the branches of the commitment, of which each is
//
//	bitmap u16, bitmap of those children that are entries u16, partial key Vec<u8>
//	with a nibble a byte, a hash of 32 bytes for each child, then its child branches
//
// Which entry belongs where follows from the order of their paths. The first
// part begins with a byte that says what the root is: 0 nothing; 1 an entry,
// whose hash follows; 2 a branch, which follows, without the branches whose
// places begin at nibble cutDepth or later. Those are the other parts, in order.

const (
	rootNothing = 0
	rootEntry   = 1
	rootBranch  = 2
)

// cutDepth makes at most 256 parts, which are read on all cores.
const cutDepth = 2

// partTarget is the length in bytes from which a part of entries is closed.
const partTarget = 1 << 20

// EntryParts iterates over the encoded entries, in parts of about 1 MiB, which
// are valid until the next one.
func (s *Snapshot) EntryParts() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var part []byte
		more := true
		s.items.Scan(func(it *item) bool {
			part = scale.AppendBytes(part, it.key())
			part = scale.AppendBytes(part, it.entry().Value)
			part = scale.AppendU32(part, uint32(it.block))
			if len(part) >= partTarget {
				more = yield(part)
				part = part[:0]
			}
			return more
		})
		if more && len(part) > 0 {
			yield(part)
		}
	}
}

// CommitmentParts iterates over the encoded commitment, in at least one part
// and at most 257, which are valid until the next one. A state of n entries
// takes some 45·n bytes.
func (s *Snapshot) CommitmentParts() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		root := s.commitment.get()
		switch {
		case root.item != nil:
			yield(append([]byte{rootEntry}, root.hash[:]...))
			return
		case root.branch == nil:
			yield([]byte{rootNothing})
			return
		}
		var rest []*branch
		part := appendTop([]byte{rootBranch}, root.branch, 0, &rest)
		for more := yield(part); more && len(rest) > 0; rest = rest[1:] {
			part = appendBranches(part[:0], rest[0])
			more = yield(part)
		}
	}
}

// appendTop appends a branch whose place begins at nibble depth and those below
// it that belong to the first part, and adds the others to rest.
func appendTop(b []byte, n *branch, depth int, rest *[]*branch) []byte {
	b = n.append(b)
	depth += len(n.partial) + 1
	for i := range n.kids {
		switch below := n.kids[i].branch; {
		case below == nil:
		case depth >= cutDepth:
			*rest = append(*rest, below)
		default:
			b = appendTop(b, below, depth, rest)
		}
	}
	return b
}

// appendBranches appends a branch and all below it.
func appendBranches(b []byte, n *branch) []byte {
	b = n.append(b)
	for i := range n.kids {
		if below := n.kids[i].branch; below != nil {
			b = appendBranches(b, below)
		}
	}
	return b
}

func (n *branch) append(b []byte) []byte {
	var entries uint16
	i := 0
	for nibble := range 16 {
		if n.bitmap>>nibble&1 == 1 {
			if n.kids[i].item != nil {
				entries |= 1 << nibble
			}
			i++
		}
	}
	b = binary.LittleEndian.AppendUint16(b, n.bitmap)
	b = binary.LittleEndian.AppendUint16(b, entries)
	b = scale.AppendString(b, n.partial)
	for i := range n.kids {
		b = append(b, n.kids[i].hash[:]...)
	}
	return b
}
