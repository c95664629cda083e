package trie

import (
	"bytes"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Prove returns the nodes and detached values that prove what t, in layout v,
// holds or does not hold under each of keys: what state_getReadProof answers.
// No item occurs twice. Without keys the proof is empty.
func (t Trie) Prove(v Version, keys ...[]byte) [][]byte {
	p := prover{version: v, seen: make(map[hashing.Hash]bool)}
	for _, key := range keys {
		p.walk(t.root, key)
	}
	return p.items
}

type prover struct {
	version Version
	seen    map[hashing.Hash]bool // by hash: equal subtrees and values occur once
	items   [][]byte
	buf     []byte
}

func (p *prover) add(h hashing.Hash, item []byte) {
	if !p.seen[h] {
		p.seen[h] = true
		p.items = append(p.items, bytes.Clone(item))
	}
}

func (p *prover) walk(root *node, key []byte) {
	if root == nil {
		p.add(EmptyRoot, []byte{0})
		return
	}
	for n := root; n != nil; n = n.child(nibble(key, n.to)) {
		p.node(n, n == root)
		if len(key)*2 < n.to || common(key, n.key, n.from, n.to) < n.to {
			return
		}
		if len(key)*2 == n.to {
			if n.hashed(p.version) {
				p.add(hashing.Blake2b256(n.value), n.value)
			}
			return
		}
	}
}

// node adds n unless its parent holds it whole.
func (p *prover) node(n *node, root bool) {
	m := n.merkleValue(p.version, &p.buf)
	switch {
	case m.size == hashing32:
		if h := hashing.Hash(m.data); !p.seen[h] {
			p.buf = n.encode(p.version, &p.buf)
			p.add(h, p.buf)
		}
	case root:
		p.add(hashing.Blake2b256(m.bytes()), m.bytes())
	}
}
