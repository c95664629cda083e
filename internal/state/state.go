package state

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/tidwall/btree"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// slot is one entry with its key, as the tree holds it.
type slot struct {
	key []byte
	Entry
}

// bytes is what key and value take.
func (s slot) bytes() int64 { return int64(len(s.key) + len(s.Value)) }

// State is the committed state of a shard. It is not safe for concurrent use;
// its snapshots are.
type State struct {
	entries *btree.BTreeG[slot]
	trie    trie.Trie
	prfKey  [32]byte
	hashes  *committer
	last    header.Number // highest block that changed anything
	bytes   int64         // of all keys and values
}

// New returns an empty state. prfKey keys the commitment: every worker of the
// shard derives the same one from the root seed, nobody else knows it.
func New(prfKey [32]byte) *State {
	return &State{
		entries: btree.NewBTreeGOptions(func(a, b slot) bool { return bytes.Compare(a.key, b.key) < 0 }, btree.Options{NoLocks: true}),
		prfKey:  prfKey,
		hashes:  newCommitter(prfKey),
	}
}

// Load returns a state of the given entries, in any order, as a restart reads
// them from sealed storage. It keeps the slices. Of a key that occurs twice
// the later entry counts.
func Load(prfKey [32]byte, entries iter.Seq2[[]byte, Entry]) *State {
	s := New(prfKey)
	for key, e := range entries {
		if old, replaced := s.entries.Set(slot{key, e}); replaced {
			s.bytes -= old.bytes()
		}
		s.bytes += slot{key, e}.bytes()
		s.last = max(s.last, e.Block)
	}
	s.trie = trie.Build(func(yield func(path, leaf []byte) bool) {
		for key, e := range s.Entries() {
			path, leaf := s.hashes.path(key), s.hashes.leaf(key, e)
			if !yield(path[:], leaf[:]) {
				return
			}
		}
	})
	return s
}

// Clone returns an independent copy in O(1). It counts as a use of s, which
// must not be used by others meanwhile.
func (s *State) Clone() *State {
	c := *s
	c.entries = s.entries.Copy()
	c.hashes = newCommitter(s.prfKey)
	return &c
}

// Apply adopts the net changes of a block (see [Overlay.Changes]) and keeps
// their slices. A change that equals what is there counts as none. It panics
// if block is below that of an earlier change: salts would repeat.
func (s *State) Apply(block header.Number, changes []Change) {
	for _, c := range changes {
		old, ok := s.entries.Get(slot{key: c.Key})
		switch {
		case c.Value == nil && !ok, c.Value != nil && ok && bytes.Equal(old.Value, c.Value):
			continue
		case block < s.last:
			panic(fmt.Sprintf("state: block %d after block %d", block, s.last))
		case c.Value == nil:
			s.entries.Delete(slot{key: c.Key})
			s.bytes -= slot{c.Key, old.Entry}.bytes()
			s.trie = s.hashes.remove(s.trie, c.Key)
			s.last = block
		default:
			e := Entry{Value: c.Value, Block: block}
			s.entries.Set(slot{c.Key, e})
			s.bytes += slot{c.Key, e}.bytes()
			if ok {
				s.bytes -= slot{c.Key, old.Entry}.bytes()
			}
			s.trie = s.hashes.set(s.trie, c.Key, e)
			s.last = block
		}
	}
}

// Root returns the commitment to all entries.
func (s *State) Root() hashing.Hash { return s.trie.Root(trie.V1) }

// Len returns the number of keys.
func (s *State) Len() int { return s.entries.Len() }

// Entries iterates over all entries in key order. The slices belong to s,
// which must not be changed meanwhile.
func (s *State) Entries() iter.Seq2[[]byte, Entry] { return entriesOf(s.entries) }

func entriesOf(t *btree.BTreeG[slot]) iter.Seq2[[]byte, Entry] {
	return func(yield func([]byte, Entry) bool) {
		t.Scan(func(e slot) bool { return yield(e.key, e.Entry) })
	}
}

// Snapshot returns an immutable view of the state as it is now, in O(1).
func (s *State) Snapshot() *Snapshot {
	return &Snapshot{entries: s.entries.Copy(), trie: s.trie, bytes: s.bytes}
}

// Snapshot is an immutable view, safe for concurrent use. It implements
// [Reader].
type Snapshot struct {
	entries *btree.BTreeG[slot]
	trie    trie.Trie
	bytes   int64
}

// Get returns the value of a key.
func (s *Snapshot) Get(key []byte) ([]byte, bool) {
	e, ok := s.entries.Get(slot{key: key})
	return e.Value, ok
}

// Next returns the smallest key greater than key.
func (s *Snapshot) Next(key []byte) (next []byte, found bool) {
	s.entries.Ascend(slot{key: key}, func(e slot) bool {
		if bytes.Equal(e.key, key) {
			return true
		}
		next, found = e.key, true
		return false
	})
	return next, found
}

// Len returns the number of keys.
func (s *Snapshot) Len() int { return s.entries.Len() }

// Bytes returns how many bytes all keys and values have together.
func (s *Snapshot) Bytes() int64 { return s.bytes }

// Entries iterates over all entries in key order. The slices belong to s.
func (s *Snapshot) Entries() iter.Seq2[[]byte, Entry] { return entriesOf(s.entries) }

// Root returns the commitment to the snapshot's entries.
func (s *Snapshot) Root() hashing.Hash { return s.trie.Root(trie.V1) }
