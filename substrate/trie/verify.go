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
// strict: every item must be needed for one of the keys.
func Verify(root hashing.Hash, proof [][]byte, keys ...[]byte) ([]ProofValue, error) {
	panic("trie: not written yet")
}
