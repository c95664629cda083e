package state

import (
	"bytes"
	"fmt"
	"iter"
	"sync"

	"github.com/tidwall/btree"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// State is the committed state of a shard. It is not safe for concurrent use;
// its snapshots are.
type State struct {
	items  *btree.BTreeG[*item]
	root   kid       // of the commitment
	behind []pending // changes that it does not have yet; shared, only appended to
	prfKey [32]byte
	last   header.Number // highest block that changed anything
	bytes  int64         // of all keys and values
}

// New returns an empty state. prfKey keys the commitment: every worker of the
// shard derives the same one from the root seed, nobody else knows it.
func New(prfKey [32]byte) *State { return &State{items: newItems(), prfKey: prfKey} }

// Load returns a state of the given entries, in any order, as a restart reads
// them from sealed storage. Of a key that occurs twice the later entry counts.
// The slices are copied.
func Load(prfKey [32]byte, entries iter.Seq2[[]byte, Entry]) *State {
	s := New(prfKey)
	for key, e := range entries {
		it := newItem(key, e.Value, e.Block)
		if old, replaced := s.items.Load(it); replaced {
			s.bytes -= old.bytes()
		}
		s.bytes += it.bytes()
		s.last = max(s.last, e.Block)
	}
	s.behind = make([]pending, 0, s.items.Len())
	s.items.Scan(func(it *item) bool {
		s.behind = append(s.behind, pending{item: it})
		return true
	})
	s.Root()
	return s
}

// Clone returns an independent copy in O(1). It counts as a use of s, which
// must not be used by others meanwhile.
func (s *State) Clone() *State {
	c := *s
	c.items = s.items.Copy()
	c.behind = s.behind[:len(s.behind):len(s.behind)]
	return &c
}

// Apply adopts the net changes of a block (see [Overlay.Changes]), of which it
// copies the slices. A change that equals what is there counts as none. It
// panics if block is below that of an earlier change: salts would repeat.
func (s *State) Apply(block header.Number, changes []Change) {
	for _, c := range changes {
		old, ok := s.items.Get(probe(c.Key))
		switch {
		case c.Value == nil && !ok, c.Value != nil && ok && bytes.Equal(old.entry().Value, c.Value):
			continue
		case block < s.last:
			panic(fmt.Sprintf("state: block %d after block %d", block, s.last))
		case c.Value == nil:
			s.items.Delete(old)
			s.bytes -= old.bytes()
			s.behind = append(s.behind, pending{item: old, deleted: true})
		default:
			it := newItem(c.Key, c.Value, block)
			s.items.Set(it)
			s.bytes += it.bytes()
			if ok {
				s.bytes -= old.bytes()
			}
			s.behind = append(s.behind, pending{item: it})
		}
		s.last = block
	}
}

// Root returns the commitment to all entries.
func (s *State) Root() hashing.Hash {
	if len(s.behind) > 0 {
		s.root = newCommitter(s.prfKey).apply(s.root, s.behind)
		s.behind = nil
	}
	return s.root.root()
}

func (k *kid) root() hashing.Hash {
	if k.empty() {
		return trie.EmptyRoot
	}
	return k.hash
}

// Len returns the number of keys.
func (s *State) Len() int { return s.items.Len() }

// Entries iterates over all entries in key order. The slices belong to s,
// which must not be changed meanwhile.
func (s *State) Entries() iter.Seq2[[]byte, Entry] { return entriesOf(s.items) }

func entriesOf(t *btree.BTreeG[*item]) iter.Seq2[[]byte, Entry] {
	return func(yield func([]byte, Entry) bool) {
		t.Scan(func(it *item) bool { return yield(it.key(), it.entry()) })
	}
}

// Snapshot returns an immutable view of the state as it is now, in O(1). What
// it holds in memory beside what the state itself does is what has changed
// since.
func (s *State) Snapshot() *Snapshot {
	return &Snapshot{items: s.items.Copy(), bytes: s.bytes, prfKey: s.prfKey, root: s.root, behind: s.behind[:len(s.behind):len(s.behind)]}
}

// Snapshot is an immutable view, safe for concurrent use. It implements
// [Reader].
type Snapshot struct {
	items  *btree.BTreeG[*item]
	bytes  int64
	prfKey [32]byte

	commit sync.Once // does what is behind
	root   kid
	behind []pending
}

// Get returns the value of a key.
func (s *Snapshot) Get(key []byte) ([]byte, bool) {
	it, ok := s.items.Get(probe(key))
	if !ok {
		return nil, false
	}
	return it.entry().Value, true
}

// Next returns the smallest key greater than key.
func (s *Snapshot) Next(key []byte) (next []byte, found bool) {
	s.items.Ascend(probe(key), func(it *item) bool {
		if bytes.Equal(it.key(), key) {
			return true
		}
		next, found = it.key(), true
		return false
	})
	return next, found
}

// Len returns the number of keys.
func (s *Snapshot) Len() int { return s.items.Len() }

// Bytes returns how many bytes all keys and values have together.
func (s *Snapshot) Bytes() int64 { return s.bytes }

// Entries iterates over all entries in key order. The slices belong to s.
func (s *Snapshot) Entries() iter.Seq2[[]byte, Entry] { return entriesOf(s.items) }

// Root returns the commitment to the snapshot's entries.
func (s *Snapshot) Root() hashing.Hash {
	s.commit.Do(func() {
		if len(s.behind) > 0 {
			s.root, s.behind = newCommitter(s.prfKey).apply(s.root, s.behind), nil
		}
	})
	return s.root.root()
}
