package state

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/tidwall/btree"

	"github.com/offchain-worker/sdk/substrate/header"
)

// State is the committed state of a shard. It is not safe for concurrent use;
// its snapshots are.
type State struct {
	items  *btree.BTreeG[*item]
	base   *commitment   // to an earlier state
	behind []pending     // changes since; only appended to, snapshots have it too
	next   *commitment   // to all of that; nil until somebody wants it
	last   header.Number // highest block that changed anything
	bytes  int64         // of all keys and values
}

// New returns an empty state. prfKey keys the commitment: every worker of the
// shard derives the same one from the root seed, nobody else knows it.
func New(prfKey [32]byte) *State {
	return &State{items: newItems(), base: &commitment{prfKey: prfKey}}
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
		if block < s.last {
			if old, ok := s.items.Get(probe(c.Key)); ok != (c.Value != nil) || ok && !bytes.Equal(old.entry().Value, c.Value) {
				panic(fmt.Sprintf("state: block %d after block %d", block, s.last))
			}
			continue
		}
		if c.Value == nil {
			if old, ok := s.items.Delete(probe(c.Key)); ok {
				s.changed(block, pending{item: old, deleted: true}, -old.bytes())
			}
			continue
		}
		it := newItem(c.Key, c.Value, block)
		old, ok := s.items.Set(it)
		switch {
		case !ok:
			s.changed(block, pending{item: it}, it.bytes())
		case bytes.Equal(old.entry().Value, c.Value):
			s.items.Set(old) // it keeps its block
		default:
			s.changed(block, pending{item: it}, it.bytes()-old.bytes())
		}
	}
}

func (s *State) changed(block header.Number, p pending, bytes int64) {
	s.behind, s.next = append(s.behind, p), nil
	s.bytes += bytes
	s.last = block
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
	return &Snapshot{items: s.items.Copy(), bytes: s.bytes, commitment: s.commit()}
}

// Snapshot is an immutable view, safe for concurrent use. It implements
// [Reader].
type Snapshot struct {
	items      *btree.BTreeG[*item]
	bytes      int64
	commitment *commitment
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
