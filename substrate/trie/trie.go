// Package trie implements the base-16 Patricia trie of Substrate: state roots,
// extrinsics roots and read proofs.
//
// Start with the zero [Trie] and [Trie.Set] it; every change returns a new
// handle and leaves the old one as it was, so a snapshot is a copy of the
// handle. Nodes are shared between handles and remember their merkle values,
// so a root costs in proportion to what changed since the last one. [Verify]
// checks a read proof without any trie.
//
// Not covered: child tries (their roots are ordinary values here) and the
// compact proofs of parachain blocks. Nothing is trusted in [Verify] but the
// root; handles trust nobody because they are built by their owner.
//
// Source: sp-trie node_codec.rs and node_header.rs, trie-root.
package trie

import (
	"bytes"
	"iter"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Version is the layout of a trie's nodes.
type Version uint8

// The layouts. V0 keeps all values in the nodes. V1 moves values of 33 bytes
// and more out of the node, which then holds their hash. A chain's state has
// layout V0 if its runtime's system_version is 0, else V1; its extrinsics
// roots have V0 up to system_version 1, else V1.
const (
	V0 Version = 0
	V1 Version = 1
)

// EmptyRoot is the root of a trie without entries, in both layouts.
var EmptyRoot = hashing.Blake2b256([]byte{0})

// Trie is an immutable map from byte strings to byte strings, ordered by key.
// The zero value is empty. All methods may be called concurrently. Slices
// that are passed in are copied; slices that are returned belong to the trie
// and must not be changed. Substrate limits keys to 32767 bytes.
type Trie struct {
	root *node
	size int
}

// Len returns the number of entries.
func (t Trie) Len() int { return t.size }

// Get returns the value of key, and whether there is one. A present value is
// never nil, but may be empty.
func (t Trie) Get(key []byte) ([]byte, bool) {
	for n := t.root; n != nil; {
		if len(key)*2 < n.to || common(key, n.key, n.from, n.to) < n.to {
			return nil, false
		}
		if len(key)*2 == n.to {
			return n.value, n.value != nil
		}
		n = n.child(nibble(key, n.to))
	}
	return nil, false
}

// Next returns the smallest key greater than key, and whether there is one.
// The empty key is found by Get only: no key precedes it.
func (t Trie) Next(key []byte) ([]byte, bool) {
	if t.root == nil {
		return nil, false
	}
	next := t.root.next(key)
	return next, next != nil
}

// Set returns t with key mapped to value, which may be empty. Setting the
// value that is there already returns t itself.
func (t Trie) Set(key, value []byte) Trie {
	return t.set(key, value, false)
}

func (t Trie) set(key, value []byte, own bool) Trie {
	root, grown := t.root.set(key, value, 0, own)
	if grown {
		t.size++
	}
	t.root = root
	return t
}

// Build returns a trie with the given entries, the last one where a key occurs
// twice. It is the same as a Set for each, but several times faster.
func Build(entries iter.Seq2[[]byte, []byte]) Trie {
	var t Trie
	for key, value := range entries {
		t = t.set(key, value, true)
	}
	return t
}

// Delete returns t without key; t itself if there is no such key.
func (t Trie) Delete(key []byte) Trie {
	root, shrunk := t.root.delete(key)
	if shrunk {
		t.size--
	}
	t.root = root
	return t
}

// Root returns the merkle root in layout v. It hashes what changed since the
// last call in the same layout; calls that alternate between the layouts of
// one trie hash everything.
func (t Trie) Root(v Version) hashing.Hash {
	if t.root == nil {
		return EmptyRoot
	}
	var buf []byte
	m := t.root.merkleValue(v, &buf)
	if m.size == hashing32 {
		return hashing.Hash(m.data)
	}
	return hashing.Blake2b256(m.bytes()) // the root is hashed even if it is short
}

// OrderedRoot returns the root of the trie that maps each index, as a compact
// integer, to its item: the extrinsics root of a block whose items are its
// encoded extrinsics with their length prefixes.
func OrderedRoot(v Version, items [][]byte) hashing.Hash { return Ordered(items).Root(v) }

// Ordered returns the trie of [OrderedRoot].
func Ordered(items [][]byte) Trie {
	return Build(func(yield func(_, _ []byte) bool) {
		var key []byte
		for i, item := range items {
			key = scale.AppendCompact(key[:0], uint64(i))
			if !yield(key, item) {
				return
			}
		}
	})
}

// set returns the node for n's place with key mapped to value, and whether an
// entry was added; n itself if nothing changes. n may be nil; its place
// starts at nibble from of the key. With own, nobody else has the nodes and no
// merkle value was computed, so they are changed in place.
func (n *node) set(key, value []byte, from int, own bool) (_ *node, grown bool) {
	if n == nil {
		return newLeaf(key, value, from), true
	}
	end := len(key) * 2
	at := common(key, n.key, n.from, min(end, n.to))
	switch {
	case at < n.to: // the paths part inside n's partial key
		key = bytes.Clone(key)
		split := &node{key: key, from: n.from, to: at, children: new([16]*node)}
		split.children[nibble(n.key, at)] = n.moved(at + 1)
		if at == end {
			split.value = clone(value)
		} else {
			split.children[nibble(key, at)] = newLeaf(key, value, at+1)
		}
		return split, true
	case end == n.to:
		if n.value != nil && bytes.Equal(n.value, value) {
			return n, false
		}
		grown = n.value == nil
		if !own {
			n = n.moved(n.from)
		}
		n.value = clone(value)
		return n, grown
	}
	x := nibble(key, n.to)
	old := n.child(x)
	child, grown := old.set(key, value, n.to+1, own)
	switch {
	case child == old:
	case own && n.children != nil:
		n.children[x] = child
	default:
		n = n.withChild(x, child)
	}
	return n, grown
}

// delete returns the node for n's place without key, nil if none is left, and
// whether an entry was removed; n itself if nothing changes.
func (n *node) delete(key []byte) (_ *node, shrunk bool) {
	end := len(key) * 2
	if n == nil || end < n.to || common(key, n.key, n.from, n.to) < n.to {
		return n, false
	}
	if end == n.to {
		if n.value == nil {
			return n, false
		}
		if n.children == nil {
			return nil, true
		}
		bare := &node{key: n.key, from: n.from, to: n.to, children: n.children}
		return bare.normal(), true
	}
	x := nibble(key, n.to)
	old := n.child(x)
	child, shrunk := old.delete(key)
	if child == old {
		return n, false
	}
	return n.withChild(x, child).normal(), shrunk
}

// next returns the smallest key below n greater than key, nil if none. A key
// that is greater than another is not empty, so nil is free for this.
func (n *node) next(key []byte) []byte {
	end := len(key) * 2
	at := common(key, n.key, n.from, min(end, n.to))
	if at < n.to {
		if at == end || nibble(n.key, at) > nibble(key, at) {
			return n.least()
		}
		return nil
	}
	if n.children == nil {
		return nil
	}
	first := 0
	if end > n.to {
		first = int(nibble(key, n.to))
		if child := n.children[first]; child != nil {
			if k := child.next(key); k != nil {
				return k
			}
		}
		first++
	}
	for _, child := range n.children[first:] {
		if child != nil {
			return child.least()
		}
	}
	return nil
}

// least returns the smallest key at or below n.
func (n *node) least() []byte {
	for n.value == nil {
		for _, child := range n.children {
			if child != nil {
				n = child
				break
			}
		}
	}
	return n.key[: n.to/2 : n.to/2]
}
