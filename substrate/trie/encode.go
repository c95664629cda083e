package trie

import "github.com/offchain-worker/sdk/substrate/hashing"

// AppendLeaf appends the encoding of a leaf in layout v: what a trie that is
// kept elsewhere hashes. The leaf's partial key is key from nibble from on.
func AppendLeaf(b []byte, v Version, key []byte, from int, value []byte) []byte {
	n := node{key: key, from: from, to: len(key) * 2, value: value}
	return n.appendNode(b, v, nil)
}

// AppendBranch appends the encoding, the same in both layouts, of a branch
// without a value whose children were all hashed; nil is none. Its partial key
// is the nibbles from (inclusive) to (exclusive) of key.
func AppendBranch(b []byte, key []byte, from, to int, children *[16]*hashing.Hash) []byte {
	var values [16]merkle
	var list [16]*merkle
	for i, hash := range children {
		if hash != nil {
			values[i] = merkle{size: hashing32, data: *hash}
			list[i] = &values[i]
		}
	}
	n := node{key: key, from: from, to: to}
	return n.appendNode(b, V1, &list)
}
