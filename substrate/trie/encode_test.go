package trie_test

import (
	"testing"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// TestEncodeNodes puts a root together from encoded nodes: two leaves whose
// paths part at the fourth nibble, after a partial key of three.
func TestEncodeNodes(t *testing.T) {
	value := make([]byte, 32)
	a, b := []byte{0x12, 0x34, 0x56}, []byte{0x12, 0x3f, 0xff}
	want := trie.Trie{}.Set(a, value).Set(b, value).Root(trie.V1)

	var children [16]*hashing.Hash
	for _, key := range [][]byte{a, b} {
		h := hashing.Blake2b256(trie.AppendLeaf(nil, trie.V1, key, 4, value))
		children[key[1]&15] = &h
	}
	for _, packed := range []struct {
		key      []byte
		from, to int
	}{{a, 0, 3}, {[]byte{0x01, 0x23}, 1, 4}} {
		branch := trie.AppendBranch([]byte("before"), packed.key, packed.from, packed.to, &children)
		if got := hashing.Blake2b256(branch[len("before"):]); got != want {
			t.Errorf("root %v, want %v", got, want)
		}
	}
}
