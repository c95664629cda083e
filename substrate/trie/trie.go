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

import "github.com/offchain-worker/sdk/substrate/hashing"

// Version is the layout of a state trie.
type Version uint8

// The layouts. V0 keeps all values in the nodes. V1 moves values of 33 bytes
// and more out of the node, which then holds their hash.
const (
	V0 Version = 0
	V1 Version = 1
)

// EmptyRoot is the root of a trie without entries, in both layouts.
var EmptyRoot = hashing.Blake2b256([]byte{0})

// Trie is an immutable map from byte strings to byte strings, ordered by key.
// The zero value is empty. All methods may be called concurrently. Slices
// that are passed in are copied; slices that are returned belong to the trie
// and must not be changed.
type Trie struct {
	root *node
	size int
}

type node struct{}

// Len returns the number of entries.
func (t Trie) Len() int { return t.size }

// Get returns the value of key, and whether there is one. A present value is
// never nil, but may be empty.
func (t Trie) Get(key []byte) ([]byte, bool) { panic("trie: not written yet") }

// Next returns the smallest key greater than key, and whether there is one.
func (t Trie) Next(key []byte) ([]byte, bool) { panic("trie: not written yet") }

// Set returns t with key mapped to value, which may be empty.
func (t Trie) Set(key, value []byte) Trie { panic("trie: not written yet") }

// Delete returns t without key; t itself if there is no such key.
func (t Trie) Delete(key []byte) Trie { panic("trie: not written yet") }

// Root returns the merkle root in layout v.
func (t Trie) Root(v Version) hashing.Hash { panic("trie: not written yet") }

// OrderedRoot returns the root of the trie that maps each index, as a compact
// integer, to its item: the extrinsics root of a block whose items are its
// encoded extrinsics with their length prefixes.
func OrderedRoot(v Version, items [][]byte) hashing.Hash { panic("trie: not written yet") }
