package trie

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Errors of Verify; all wrap ErrProof.
var (
	// ErrProof is the kind of every error of Verify.
	ErrProof = errors.New("trie: proof refused")
	// ErrIncomplete means that a node or a value on the path to a key is
	// missing, so that the proof says nothing about the key: not the same as
	// a key that is proven absent.
	ErrIncomplete = fmt.Errorf("%w: incomplete", ErrProof)
	// ErrUnused means that an item is not on the path to any of the keys.
	ErrUnused = fmt.Errorf("%w: unused item", ErrProof)
	// ErrDuplicate means that an item occurs twice.
	ErrDuplicate = fmt.Errorf("%w: item occurs twice", ErrProof)
	// ErrNode means that an item on a path is no canonical node.
	ErrNode = fmt.Errorf("%w: malformed node", ErrProof)
)

// ProofValue is what a proof says about one key. Value is not nil if Present
// and may then be empty; it is part of the proof that was verified.
type ProofValue struct {
	Value   []byte
	Present bool
}

// Verify checks a read proof against a state root, which must come from a
// header that is trusted, and returns what it says about each key, in the
// order of keys. The items may be in any order; both layouts are read. It is
// strict: every item must be needed for one of the keys. Its cost is linear
// in the size of the proof, which the caller bounds.
func Verify(root hashing.Hash, proof [][]byte, keys ...[]byte) ([]ProofValue, error) {
	c := checker{items: make(map[hashing.Hash]*proofItem, len(proof))}
	backing := make([]proofItem, len(proof))
	for i, b := range proof {
		h := hashing.Blake2b256(b)
		if c.items[h] != nil {
			return nil, fmt.Errorf("%w: item %d", ErrDuplicate, i)
		}
		backing[i].bytes = b
		c.items[h] = &backing[i]
	}
	values := make([]ProofValue, len(keys))
	for i, key := range keys {
		v, err := c.lookUp(root, key)
		if err != nil {
			return nil, fmt.Errorf("key %#x: %w", key, err)
		}
		values[i] = v
	}
	for i := range backing {
		if !backing[i].used {
			return nil, fmt.Errorf("%w: item %d", ErrUnused, i)
		}
	}
	return values, nil
}

type proofItem struct {
	bytes []byte
	used  bool
}

type checker struct {
	items map[hashing.Hash]*proofItem
	node  decoded // scratch
}

func (c *checker) take(h hashing.Hash) ([]byte, error) {
	item := c.items[h]
	if item == nil {
		return nil, fmt.Errorf("%w: %v is missing", ErrIncomplete, h)
	}
	item.used = true
	return item.bytes, nil
}

func (c *checker) lookUp(root hashing.Hash, key []byte) (ProofValue, error) {
	raw, err := c.take(root)
	if err != nil {
		return ProofValue{}, err
	}
	if len(raw) == 1 && raw[0] == 0 { // the empty trie
		return ProofValue{}, nil
	}
	for at, end := 0, len(key)*2; ; {
		n := &c.node
		if err := n.decode(raw); err != nil {
			return ProofValue{}, err
		}
		for i := range n.nibbles {
			if at == end || n.partialNibble(i) != nibble(key, at) {
				return ProofValue{}, nil
			}
			at++
		}
		if at == end {
			return c.value(n)
		}
		child := n.children[nibble(key, at)]
		at++
		switch len(child) {
		case 0:
			return ProofValue{}, nil
		case hashing32:
			if raw, err = c.take(hashing.Hash(child)); err != nil {
				return ProofValue{}, err
			}
			if len(raw) < hashing32 { // would have been put into its parent
				return ProofValue{}, ErrNode
			}
		default:
			raw = child
		}
	}
}

func (c *checker) value(n *decoded) (ProofValue, error) {
	if n.valueHash == nil {
		return ProofValue{Value: n.value, Present: n.hasValue}, nil
	}
	value, err := c.take(hashing.Hash(n.valueHash))
	if err != nil {
		return ProofValue{}, err
	}
	if len(value) < inlineLimit { // would have been put into its node
		return ProofValue{}, ErrNode
	}
	return ProofValue{Value: value, Present: true}, nil
}
