package state

import (
	"iter"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// State is the committed state of a shard. It is not safe for concurrent use;
// its snapshots are.
type State struct{}

// New returns an empty state. prfKey keys the commitment: every worker of the
// shard derives the same one from the root seed, nobody else knows it.
func New(prfKey [32]byte) *State { return &State{} }

// Load returns a state of the given entries, in any order, as a restart reads
// them from sealed storage. It keeps the slices.
func Load(prfKey [32]byte, entries iter.Seq2[[]byte, Entry]) *State { return &State{} }

// Clone returns an independent copy in O(1).
func (s *State) Clone() *State { return s }

// Apply adopts the net changes of a block (see [Overlay.Changes]). A change
// that equals what is there counts as none. Blocks must not go backwards.
func (s *State) Apply(block header.Number, changes []Change) {}

// Root returns the commitment to all entries.
func (s *State) Root() hashing.Hash { return hashing.Hash{} }

// Len returns the number of keys.
func (s *State) Len() int { return 0 }

// Entries iterates over all entries in key order. The slices belong to s.
func (s *State) Entries() iter.Seq2[[]byte, Entry] { return nil }

// Snapshot returns an immutable view of the state as it is now, in O(1).
func (s *State) Snapshot() *Snapshot { return &Snapshot{} }

// Snapshot is an immutable view, safe for concurrent use. It implements Reader.
type Snapshot struct{}

// Get returns the value of a key.
func (s *Snapshot) Get(key []byte) ([]byte, bool) { return nil, false }

// Next returns the smallest key greater than key.
func (s *Snapshot) Next(key []byte) ([]byte, bool) { return nil, false }

// Entries iterates over all entries in key order.
func (s *Snapshot) Entries() iter.Seq2[[]byte, Entry] { return nil }

// Root returns the commitment to the snapshot's entries.
func (s *Snapshot) Root() hashing.Hash { return hashing.Hash{} }
