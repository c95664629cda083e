package trie

import (
	"math/bits"
	"sync/atomic"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// node is immutable but for its remembered merkle value. A node without
// children is a leaf and has a value; a branch without a value has at least
// two children.
//
// The partial key is the nibbles from (inclusive) to (exclusive) of key, which
// is any key at or below the node. Sharing the keys of leaves in this way
// means that splitting and joining edges copies no nibbles.
type node struct {
	key      []byte
	from, to int
	value    []byte // nil if none
	children *[16]*node
	merkle   atomic.Pointer[merkle]
}

const hashing32 = 32

// merkle is the merkle value of a node in one layout: the node's encoding if
// that is shorter than 32 bytes, else its hash.
type merkle struct {
	version Version
	size    uint8
	data    [hashing32]byte
}

func (m *merkle) bytes() []byte { return m.data[:m.size] }

// nibble returns the i-th half byte of key, the high half of a byte first.
func nibble(key []byte, i int) byte { return key[i/2] >> (4 * (1 - i&1)) & 15 }

// common returns the first nibble in [from, to) at which a and b differ, to
// if there is none. Both have at least to nibbles.
func common(a, b []byte, from, to int) int {
	i := from
	if i < to && i%2 == 1 {
		if nibble(a, i) != nibble(b, i) {
			return i
		}
		i++
	}
	for i+1 < to && a[i/2] == b[i/2] {
		i += 2
	}
	for i < to && nibble(a, i) == nibble(b, i) {
		i++
	}
	return i
}

// clone copies b; the copy is never nil, which would mean no value.
func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }

// newLeaf returns a leaf whose place starts at nibble from.
func newLeaf(key, value []byte, from int) *node {
	return &node{key: clone(key), from: from, to: len(key) * 2, value: clone(value)}
}

func (n *node) child(x byte) *node {
	if n.children == nil {
		return nil
	}
	return n.children[x]
}

// moved returns a copy of n with another start of its partial key.
func (n *node) moved(from int) *node {
	return &node{key: n.key, from: from, to: n.to, value: n.value, children: n.children}
}

// withChild returns n with the child at x replaced.
func (n *node) withChild(x byte, child *node) *node {
	c := &node{key: n.key, from: n.from, to: n.to, value: n.value, children: new([16]*node)}
	if n.children != nil {
		*c.children = *n.children
	}
	c.children[x] = child
	return c
}

// normal returns what a branch that lost its value or a child turns into: a
// leaf without children, its only child without a value. n must not be shared.
func (n *node) normal() *node {
	var only *node
	count := 0
	for _, child := range n.children {
		if child != nil {
			only = child
			count++
		}
	}
	switch {
	case count == 0:
		n.children = nil
	case count == 1 && n.value == nil:
		return only.moved(n.from)
	}
	return n
}

// The kinds of nodes by the high bits of the first byte; the low bits hold
// the number of nibbles of the partial key.
const (
	kindLeaf         = 0x40 // 6 bits
	kindBranch       = 0x80 // 6 bits, no value
	kindBranchValue  = 0xc0 // 6 bits
	kindLeafHashed   = 0x20 // 5 bits
	kindBranchHashed = 0x10 // 4 bits
)

// inlineLimit is the length from which V1 keeps a value outside its node.
const inlineLimit = 33

func (n *node) hashed(v Version) bool { return v >= V1 && len(n.value) >= inlineLimit }

// merkleValue returns the merkle value of n in layout v and remembers it. buf
// is scratch space. Two goroutines may compute the same value; either result
// stays.
func (n *node) merkleValue(v Version, buf *[]byte) *merkle {
	if m := n.merkle.Load(); m != nil && m.version == v {
		return m
	}
	*buf = n.encode(v, buf)
	m := &merkle{version: v}
	if len(*buf) < hashing32 {
		m.size = uint8(copy(m.data[:], *buf))
	} else {
		m.size = hashing32
		m.data = hashing.Blake2b256(*buf)
	}
	n.merkle.Store(m)
	return m
}

// encode returns the encoding of n in layout v, written over *buf.
func (n *node) encode(v Version, buf *[]byte) []byte {
	if n.children == nil {
		return n.appendNode((*buf)[:0], v, nil)
	}
	// The merkle values come first: computing them uses buf too.
	var children [16]*merkle
	for i, child := range n.children {
		if child != nil {
			children[i] = child.merkleValue(v, buf)
		}
	}
	return n.appendNode((*buf)[:0], v, &children)
}

func (n *node) appendNode(b []byte, v Version, children *[16]*merkle) []byte {
	nibbles := n.to - n.from
	hashed := n.hashed(v)
	switch {
	case children == nil && hashed:
		b = appendHeader(b, kindLeafHashed, 5, nibbles)
	case children == nil:
		b = appendHeader(b, kindLeaf, 6, nibbles)
	case n.value == nil:
		b = appendHeader(b, kindBranch, 6, nibbles)
	case hashed:
		b = appendHeader(b, kindBranchHashed, 4, nibbles)
	default:
		b = appendHeader(b, kindBranchValue, 6, nibbles)
	}
	b = n.appendPartial(b)
	if children != nil {
		var bitmap uint16
		for i, m := range children {
			if m != nil {
				bitmap |= 1 << i
			}
		}
		b = scale.AppendU16(b, bitmap)
	}
	if hashed {
		h := hashing.Blake2b256(n.value)
		b = append(b, h[:]...)
	} else if n.value != nil {
		b = scale.AppendBytes(b, n.value)
	}
	if children != nil {
		for _, m := range children {
			if m != nil {
				b = scale.AppendBytes(b, m.bytes())
			}
		}
	}
	return b
}

func appendHeader(b []byte, kind byte, lengthBits, nibbles int) []byte {
	most := 1<<lengthBits - 1
	if nibbles < most {
		return append(b, kind|byte(nibbles))
	}
	b = append(b, kind|byte(most))
	nibbles -= most
	for ; nibbles >= 255; nibbles -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(nibbles))
}

func (n *node) appendPartial(b []byte) []byte {
	i := n.from
	if (n.to-i)%2 == 1 {
		b = append(b, nibble(n.key, i))
		i++
	}
	if i%2 == 0 {
		return append(b, n.key[i/2:n.to/2]...)
	}
	for ; i < n.to; i += 2 {
		b = append(b, nibble(n.key, i)<<4|nibble(n.key, i+1))
	}
	return b
}

// decoded is a node of a proof, in either layout. Its slices are parts of the
// encoding.
type decoded struct {
	partial   []byte // packed nibbles; of an odd number, the first is the low half of the first byte
	nibbles   int
	hasValue  bool
	value     []byte // if hasValue and not valueHash
	valueHash []byte // 32 bytes
	children  [16][]byte
}

// partialNibble returns the i-th nibble of the partial key.
func (n *decoded) partialNibble(i int) byte { return nibble(n.partial, i+n.nibbles%2) }

// decode reads a node other than the empty one from exactly b. It accepts
// what a canonical writer can have made and nothing else.
func (n *decoded) decode(b []byte) error {
	*n = decoded{}
	d := scale.NewDecoder(b)
	first := d.U8()
	if d.Err() != nil {
		return ErrNode
	}
	lengthBits, branch, hashed := 6, false, false
	switch {
	case first&0xc0 == kindLeaf:
		n.hasValue = true
	case first&0xc0 == kindBranch:
		branch = true
	case first&0xc0 == kindBranchValue:
		branch, n.hasValue = true, true
	case first&0xe0 == kindLeafHashed:
		lengthBits, n.hasValue, hashed = 5, true, true
	case first&0xf0 == kindBranchHashed:
		lengthBits, branch, n.hasValue, hashed = 4, true, true, true
	default:
		return ErrNode
	}
	most := 1<<lengthBits - 1
	n.nibbles = int(first) & most
	if n.nibbles == most {
		for {
			more := d.U8()
			n.nibbles += int(more)
			if more < 255 || d.Err() != nil {
				break
			}
		}
	}
	n.partial = d.Fixed((n.nibbles + 1) / 2)
	if d.Err() == nil && n.nibbles%2 == 1 && n.partial[0]>>4 != 0 {
		return ErrNode
	}
	var bitmap uint16
	if branch {
		bitmap = d.U16()
	}
	if hashed {
		n.valueHash = d.Fixed(hashing32)
	} else if n.hasValue {
		n.value = d.BytesNoCopy()
	}
	for i := range n.children {
		if bitmap>>i&1 == 0 {
			continue
		}
		n.children[i] = d.BytesNoCopy()
		if size := len(n.children[i]); size == 0 || size > hashing32 {
			return ErrNode
		}
	}
	if d.Finish() != nil {
		return ErrNode
	}
	// A branch joins at least two entries.
	if count := bits.OnesCount16(bitmap); branch && (count == 0 || count == 1 && !n.hasValue) {
		return ErrNode
	}
	return nil
}
