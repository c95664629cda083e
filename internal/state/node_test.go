package state

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// longHistory calls each with the changes of 120 blocks, a function of nothing:
// growth to some thousand keys, changes, deletions of most, growth again.
func longHistory(each func(block header.Number, changes []Change)) {
	rng := rand.New(rand.NewPCG(4, 19))
	key := func(i uint64) []byte {
		k := binary.LittleEndian.AppendUint64([]byte("prefix of an item, 32 bytes long"), i*0x9e3779b97f4a7c15)
		return append(k, make([]byte, i%41)...)
	}
	for block := header.Number(1); block <= 120; block++ {
		o := NewOverlay(New(testKey).Snapshot())
		for range 1 + rng.IntN(200) {
			k := key(rng.Uint64N(4000))
			if block > 60 && block <= 90 && rng.IntN(8) > 0 {
				for range 8 {
					o.Delete(key(rng.Uint64N(4000)))
				}
				continue
			}
			o.Set(k, binary.LittleEndian.AppendUint64(nil, rng.Uint64())[:rng.IntN(9)])
		}
		var changes []Change
		for w := range o.writes.all {
			changes = append(changes, Change{w.key, w.value})
		}
		each(block, changes)
	}
}

// TestRootsOfLongHistory pins roots that were computed with the general trie of
// substrate/trie, before the commitment had nodes of its own.
func TestRootsOfLongHistory(t *testing.T) {
	golden := map[header.Number]struct {
		entries int
		root    string
	}{
		10:  {1092, "0xecd484b90a6be30cfe225a9c266c7344333886dffc3ff3e6989a3460a1dda700"},
		20:  {2030, "0xebf87766997c50d5c4c342d70fddeca9eb300838108ea059f10291772f27ff04"},
		30:  {2491, "0x471c64f564e6cd72c4a04653aecfc63e1b19b9ab9629259e43e43c7d168271f1"},
		40:  {2843, "0x2700ab4af9a7b24499acbc5daa576cdb9ed88d8b85e9718ec3f0b3f2dc4aa159"},
		50:  {3085, "0x06016679a96a2be21cb8c224de09e44acb25e69502dbe8b5e12d7c6dc120dda1"},
		60:  {3309, "0x6fe5a63c143fe7090457f5736606e41ce9f93582d291b630d346652376a3ed16"},
		70:  {1001, "0x66dfd2a17c393a5b813ddc7685360d29b7cfb8f50c47ec7eef2d697c410d0b3a"},
		80:  {231, "0xc3a0758dc5c8dc9dd47a1a41554e5bdf70c874418754c54fc8c251459c7e66e2"},
		90:  {92, "0x94cf590b5e2d8dce6feb9c72590e12d4ba7ae2ab8bad7a81b9d1e24e6faea5a6"},
		100: {859, "0x99ca9066e105a3d260ce32991bb206e2d6d03d81a63b465122eabe29df70ae5d"},
		110: {1400, "0x0cf424b4b464224b0f6e04959dc6910fa44ccd0d4a1c54b6bac14b987fca54bf"},
		120: {1954, "0x1f64fdc5ba998127efc7ca084cd1657a48f07d8fb51ef605bc53ad4a319481fe"},
	}
	s, late := New(testKey), New(testKey) // late computes a root every ten blocks only
	longHistory(func(block header.Number, changes []Change) {
		s.Apply(block, changes)
		late.Apply(block, changes)
		root := s.Root()
		g, ok := golden[block]
		if !ok {
			return
		}
		if root.String() != g.root || s.Len() != g.entries {
			t.Errorf("block %d: %d entries, root %v, want %d, %s", block, s.Len(), root, g.entries, g.root)
		}
		if r := late.Snapshot().Root(); r != root {
			t.Errorf("block %d: root %v of a snapshot, %v of many blocks at once", block, root, r)
		}
		if r := late.Root(); r != root {
			t.Errorf("block %d: root %v, %v of many blocks at once", block, root, r)
		}
	})
	d := New(testKey)
	d.Apply(7, []Change{{[]byte{}, []byte{}}})
	if got, want := d.Root().String(), "0xa9e1538248a735c8c1668310a97e4b0a4d2af88f464e7100f7bdf3edf12241dc"; got != want {
		t.Errorf("root of the empty key %s, want %s", got, want)
	}
}

// TestNodesAgainstTrie drives the commitment and a trie of substrate/trie by
// the same random batches, in which entries come and go.
func TestNodesAgainstTrie(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCommitter(testKey)
		var root kid
		var reference trie.Trie
		items := map[string]*item{}
		for batch := range header.Number(rapid.IntRange(1, 12).Draw(t, "batches")) {
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
			deletions := rapid.IntRange(0, 10).Draw(t, "deletions")
			var changes []pending
			for range rapid.IntRange(0, 300).Draw(t, "changes") {
				key := binary.LittleEndian.AppendUint16(nil, uint16(rng.IntN(500)))
				old, ok := items[string(key)]
				path := c.path(key)
				switch {
				case rng.IntN(10) >= deletions:
					it := newItem(key, []byte{byte(rng.Uint32())}, batch)
					leaf := c.leaf(it)
					items[string(key)], reference = it, reference.Set(path[:], leaf[:])
					changes = append(changes, pending{item: it})
				case ok:
					delete(items, string(key))
					reference = reference.Delete(path[:])
					changes = append(changes, pending{item: old, deleted: true})
				}
			}
			before, was := root, root.root()
			root = c.apply(root, changes)
			if got, want := root.root(), reference.Root(trie.V1); got != want {
				t.Fatalf("batch %d: root %v, the trie has %v", batch, got, want)
			}
			if before.root() != was || len(changes) > 0 && c.rebuilt(before, 0) != was {
				t.Fatalf("batch %d changed what was before it", batch)
			}
		}
	})
}

// rebuilt hashes a whole commitment again, from its entries.
func (c *committer) rebuilt(k kid, depth int) hashing.Hash {
	switch {
	case k.item != nil:
		t := c.touched(k.item)
		return c.leafKid(&t, depth).hash
	case k.branch == nil:
		return trie.EmptyRoot
	}
	b := *k.branch
	b.kids = slices.Clone(b.kids)
	for i := range b.kids {
		b.kids[i].hash = c.rebuilt(b.kids[i], depth+len(b.partial)+1)
	}
	return c.branchKid(&b).hash
}
