package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// ErrProof is wrapped by the errors of [Proof.Verify]. What is wrong with the
// trie's nodes is also one of the errors of [trie.Verify].
var ErrProof = errors.New("state: proof refused")

// Limits of a proof, which comes from outside.
const (
	// MaxProofNodes is how many nodes a proof may have: one for each nibble of
	// a path.
	MaxProofNodes = 65
	// MaxProofValue bounds key and value, in bytes.
	MaxProofValue = 1 << 20
)

// Proof shows that a state holds a value under a key. It discloses the two and
// nothing of any other: the siblings in it are hashes of salted leaves at
// paths that only a worker of the shard can compute. It is encoded by scale's
// reflection.
type Proof struct {
	Key, Value []byte
	Path       hashing.Hash // of the key in the trie
	Salt       hashing.Hash
	Nodes      [][]byte // of the trie, from the root to the leaf
}

// Prove returns the proof of an entry, and whether there is one. That there is
// none cannot be proven: paths are secret, so a verifier would not know that
// what is absent is the key that was asked for. After a restart it waits for
// [Snapshot.Load], and there is no proof if that fails.
func (s *Snapshot) Prove(key []byte) (p Proof, ok bool) {
	it, ok := s.items.Get(probe(key))
	if !ok || s.Load() != nil {
		return Proof{}, false
	}
	c := newCommitter(s.commitment.prfKey)
	t := c.touched(it)
	p = Proof{Key: it.key(), Value: it.entry().Value, Path: t.path, Nodes: c.nodes(s.commitment.root, &t)}
	c.hashSalt(it)
	c.keyed.Sum(p.Salt[:0])
	return p, true
}

// nodes returns the encoded nodes from the root to an entry that is there.
func (c *committer) nodes(at kid, t *touch) (out [][]byte) {
	depth := 0
	for at.branch != nil {
		out = append(out, c.appendBranch(nil, at.branch))
		depth += len(at.branch.partial)
		at = at.branch.at(nibbleAt(&t.path, depth))
		depth++
	}
	return append(out, trie.AppendLeaf(nil, trie.V1, t.path[:], depth, t.leaf[:]))
}

// Verify checks the proof against a state root. Whose root that is, is for the
// caller to know: it must be one that a worker of the shard vouches for.
func (p *Proof) Verify(root hashing.Hash) error {
	switch {
	case len(p.Nodes) > MaxProofNodes:
		return fmt.Errorf("%w: %d nodes", ErrProof, len(p.Nodes))
	case len(p.Key) > MaxProofValue || len(p.Value) > MaxProofValue:
		return fmt.Errorf("%w: a key of %d bytes, a value of %d", ErrProof, len(p.Key), len(p.Value))
	}
	found, err := trie.Verify(root, p.Nodes, p.Path[:])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	if leaf := Leaf(p.Salt, p.Key, p.Value); !found[0].Present || hashing.Hash(found[0].Value) != leaf {
		return fmt.Errorf("%w: another key or value stands at its path", ErrProof)
	}
	return nil
}

// Leaf is the salted commitment to a key and its value: see the package's
// description.
func Leaf(salt hashing.Hash, key, value []byte) hashing.Hash {
	n := binary.LittleEndian.AppendUint32(nil, uint32(len(key)))
	return hashing.Blake2b256([]byte(leafLabel), salt[:], n, key, value)
}

// Commitment returns path and leaf of a key with the value that a block gave
// it; of a deleted key the leaf is zero. Both hide what they stand for.
func (s *Snapshot) Commitment(block header.Number, c Change) (path, leaf hashing.Hash) {
	hashes := newCommitter(s.commitment.prfKey)
	path = hashes.path(c.Key)
	if c.Value != nil {
		leaf = hashes.leaf(newItem(c.Key, c.Value, block))
	}
	return path, leaf
}
