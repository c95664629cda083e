package lightclient

import (
	"fmt"
	"maps"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// FinalHeader is a header that was proven final. Only Client.Finalize and
// ParaClient.Finalize make one, and UnprovenClient.Take, which says so; the
// zero value is no block, and its Verify never succeeds.
type FinalHeader struct {
	header   header.Header
	hash     hashing.Hash
	state    State
	unproven bool // a node's word, from UnprovenClient.Take; its Verify takes words, too
}

// Header returns the header; the caller must not change its digest.
func (f FinalHeader) Header() header.Header { return f.header }

// Hash returns the block hash.
func (f FinalHeader) Hash() hashing.Hash { return f.hash }

// Number returns the block number.
func (f FinalHeader) Number() header.Number { return f.header.Number }

// State returns the light client state as of this block: a client restored
// from it goes on with the next block, even where one proof finalized many.
// The caller must not change what it points to.
func (f FinalHeader) State() State { return f.state }

var eventsKey = hashing.StoragePrefix("System", "Events")

// Verify checks body against the extrinsics root in layout v (V0 for system
// versions 0 and 1 of the runtime, V1 from 2) and proof against the state root
// of f: a read proof of System.Events and of the extra keys, which has to be
// complete and to hold nothing else. Extrinsics are encoded with their length
// prefixes.
//
// Of a header from UnprovenClient.Take, body and storage are believed: proof is
// what EncodeWords makes.
//
// Errors wrap ErrExtrinsicsRoot or ErrStateProof. The block keeps body and
// proof; the caller must not change them afterwards.
func (f FinalHeader) Verify(v trie.Version, body, proof [][]byte, extra ...[]byte) (*VerifiedBlock, error) {
	if !f.unproven {
		if root := trie.OrderedRoot(v, body); root != f.header.ExtrinsicsRoot {
			return nil, fmt.Errorf("%w: block %d: %v, want %v", ErrExtrinsicsRoot, f.Number(), root, f.header.ExtrinsicsRoot)
		}
	}
	keys := append([][]byte{eventsKey}, extra...)
	values, err := values(f.unproven, f.header.StateRoot, proof, keys)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", f.Number(), err)
	}
	b := &VerifiedBlock{final: f, extrinsics: body, events: []byte{0}, storage: make(map[string]trie.ProofValue, len(keys))}
	if values[0].Present {
		b.events = values[0].Value
	}
	for i, key := range keys {
		b.storage[string(key)] = values[i]
	}
	return b, nil
}

// VerifiedBlock is a final block with its body, its events and some of its
// storage, all proven unless Unproven says otherwise. Only FinalHeader.Verify
// makes one, and WithStorage out of one. It is immutable.
type VerifiedBlock struct {
	final      FinalHeader
	extrinsics [][]byte
	events     []byte
	storage    map[string]trie.ProofValue
}

// WithStorage returns the same block with more of its storage: proof is a read
// proof of keys at this block, which has to be complete and to hold nothing
// else. The error wraps ErrStateProof. The block keeps what it is given.
func (b *VerifiedBlock) WithStorage(proof [][]byte, keys ...[]byte) (*VerifiedBlock, error) {
	values, err := values(b.final.unproven, b.final.header.StateRoot, proof, keys)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", b.Number(), err)
	}
	more := *b
	more.storage = maps.Clone(b.storage)
	for i, key := range keys {
		more.storage[string(key)] = values[i]
	}
	return &more, nil
}

// Unproven reports whether all this is a node's word only, taken by an
// UnprovenClient.
func (b *VerifiedBlock) Unproven() bool { return b.final.unproven }

// Header returns the header; the caller must not change its digest.
func (b *VerifiedBlock) Header() header.Header { return b.final.header }

// Hash returns the block hash.
func (b *VerifiedBlock) Hash() hashing.Hash { return b.final.hash }

// Number returns the block number.
func (b *VerifiedBlock) Number() header.Number { return b.final.header.Number }

// State returns the light client state as of this block (see FinalHeader.State).
func (b *VerifiedBlock) State() State { return b.final.state }

// Extrinsics returns the body: encoded extrinsics with their length prefixes,
// in order. The caller must not change them.
func (b *VerifiedBlock) Extrinsics() [][]byte { return b.extrinsics }

// Events returns the encoded value of System.Events after this block: a Vec
// of event records, the empty Vec where the state holds none. The caller must
// not change it.
func (b *VerifiedBlock) Events() []byte { return b.events }

// Storage returns what the state after this block holds under key, one of
// those that Verify was given; the error is ErrNotProven for any other. The
// caller must not change the value.
func (b *VerifiedBlock) Storage(key []byte) (value []byte, present bool, err error) {
	v, ok := b.storage[string(key)]
	if !ok {
		return nil, false, fmt.Errorf("%w: block %d, key %#x", ErrNotProven, b.Number(), key)
	}
	return v.Value, v.Present, nil
}
