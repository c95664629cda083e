package state

import (
	"bytes"
	"math/bits"
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// The commitment is the trie of substrate/trie for what it holds here: paths
// and leaves of 32 bytes each. So every node is hashed, a branch has no value,
// and an entry's path and leaf can be computed from the entry and need not be
// kept. Nodes are immutable: each change makes new ones on the way to the root
// and hashes them at once.

// kid is what stands at one place: nothing (the zero value), an entry, or a
// branch.
type kid struct {
	hash   hashing.Hash // of the encoded node; it depends on the place
	item   *item
	branch *branch
}

func (k *kid) empty() bool { return k.item == nil && k.branch == nil }

// branch joins at least two places.
type branch struct {
	partial string // nibbles, one a byte, from its place to the branch: mostly none
	bitmap  uint16 // the nibbles after that which are taken
	kids    []kid  // in their order
}

// at returns what stands below a nibble.
func (b *branch) at(nibble byte) kid {
	if b.bitmap>>nibble&1 == 0 {
		return kid{}
	}
	return b.kids[bits.OnesCount16(b.bitmap&(1<<nibble-1))]
}

// all returns all 16 places.
func (b *branch) all() (out [16]kid) {
	i := 0
	for n := range out {
		if b.bitmap>>n&1 == 1 {
			out[n] = b.kids[i]
			i++
		}
	}
	return out
}

// touch is a change of the commitment: an entry that is there now or, if
// deleted, was. One batch has each path once, sorted.
type touch struct {
	path, leaf hashing.Hash
	item       *item
	deleted    bool
}

// nibbleAt returns the i-th half byte of a path, the high half of a byte first.
func nibbleAt(path *hashing.Hash, i int) byte { return path[i/2] >> (4 * (1 - i&1)) & 15 }

// common returns how many nibbles of partial the path has from depth on.
func common(path *hashing.Hash, depth int, partial string) int {
	for i := range len(partial) {
		if nibbleAt(path, depth+i) != partial[i] {
			return i
		}
	}
	return len(partial)
}

// leafKid returns an entry at a place that begins at nibble depth.
func (c *committer) leafKid(t *touch, depth int) kid {
	c.buf = trie.AppendLeaf(c.buf[:0], trie.V1, t.path[:], depth, t.leaf[:])
	return kid{hash: blake2b.Sum256(c.buf), item: t.item}
}

func (c *committer) appendBranch(dst []byte, b *branch) []byte {
	var packed [32]byte
	from := len(b.partial) % 2
	for i := range len(b.partial) {
		packed[(from+i)/2] |= b.partial[i] << (4 * (1 - (from+i)&1))
	}
	var children [16]*hashing.Hash
	i := 0
	for n := range children {
		if b.bitmap>>n&1 == 1 {
			children[n] = &b.kids[i].hash
			i++
		}
	}
	return trie.AppendBranch(dst, packed[:], from, from+len(b.partial), &children)
}

func (c *committer) branchKid(b *branch) kid {
	c.buf = c.appendBranch(c.buf[:0], b)
	return kid{hash: blake2b.Sum256(c.buf), branch: b}
}

// touched returns the change that sets an entry that is there already.
func (c *committer) touched(it *item) touch {
	return touch{path: c.path(it.key()), leaf: c.leaf(it), item: it}
}

// update returns what stands at a place after changes that all lead there.
func (c *committer) update(old kid, depth int, list []touch) kid {
	switch {
	case len(list) == 0:
		return old
	case old.branch != nil:
		return c.updateBranch(old.branch, depth, list)
	case old.item != nil && (len(list) > 1 || !bytes.Equal(list[0].item.key(), old.item.key())):
		t := c.touched(old.item)
		i, found := slices.BinarySearchFunc(list, t.path, func(t touch, path hashing.Hash) int { return bytes.Compare(t.path[:], path[:]) })
		if !found {
			list = slices.Insert(slices.Clone(list), i, t)
		}
	}
	if slices.ContainsFunc(list, func(t touch) bool { return t.deleted }) {
		list = slices.DeleteFunc(slices.Clone(list), func(t touch) bool { return t.deleted })
	}
	return c.build(depth, list)
}

func (c *committer) updateBranch(b *branch, depth int, list []touch) kid {
	// Sorted as they are, the first or the last leaves the partial key first.
	at := min(common(&list[0].path, depth, b.partial), common(&list[len(list)-1].path, depth, b.partial))
	if at < len(b.partial) {
		below := c.branchKid(&branch{partial: b.partial[at+1:], bitmap: b.bitmap, kids: b.kids})
		b = &branch{partial: b.partial[:at], bitmap: 1 << b.partial[at], kids: []kid{below}}
	}
	depth += len(b.partial)
	kids := b.all()
	c.updateKids(&kids, depth, list)
	return c.join(depth, b.partial, &kids)
}

// build returns what stands at a place that holds these entries alone.
func (c *committer) build(depth int, list []touch) kid {
	switch len(list) {
	case 0:
		return kid{}
	case 1:
		return c.leafKid(&list[0], depth)
	}
	first, last := &list[0].path, &list[len(list)-1].path
	var partial []byte
	for nibbleAt(first, depth) == nibbleAt(last, depth) {
		partial = append(partial, nibbleAt(first, depth))
		depth++
	}
	var kids [16]kid
	c.updateKids(&kids, depth, list)
	return c.join(depth, string(partial), &kids)
}

// join returns the branch at nibble depth, its partial key before that, over
// these places; what is left, if that is not at least two.
func (c *committer) join(depth int, partial string, places *[16]kid) kid {
	b := &branch{partial: partial}
	count, only := 0, 0
	for i := range places {
		if !places[i].empty() {
			b.bitmap |= 1 << i
			count, only = count+1, i
		}
	}
	switch count {
	case 0:
		return kid{}
	case 1:
		// It moves up, which changes its partial key.
		if it := places[only].item; it != nil {
			t := c.touched(it)
			return c.leafKid(&t, depth-len(partial))
		}
		below := places[only].branch
		return c.branchKid(&branch{partial: partial + string([]byte{byte(only)}) + below.partial, bitmap: below.bitmap, kids: below.kids})
	}
	b.kids = make([]kid, 0, count)
	for i := range places {
		if !places[i].empty() {
			b.kids = append(b.kids, places[i])
		}
	}
	return c.branchKid(b)
}

// parallelFrom is from how many changes on a second goroutine is worth it.
const parallelFrom = 128

// updateKids updates the places of a branch at nibble depth, near the root of
// large changes on several goroutines, with a committer for each.
func (c *committer) updateKids(kids *[16]kid, depth int, list []touch) {
	var ends [17]int
	at := 0
	for n := range 16 {
		for at < len(list) && nibbleAt(&list[at].path, depth) == byte(n) {
			at++
		}
		ends[n+1] = at
	}
	if depth > 0 || len(list) < parallelFrom {
		for n := range kids {
			kids[n] = c.update(kids[n], depth+1, list[ends[n]:ends[n+1]])
		}
		return
	}
	shared := *kids // so that only these are on the heap
	c.parallel(16, func(c *committer, n int) {
		shared[n] = c.update(shared[n], depth+1, list[ends[n]:ends[n+1]])
	})
	*kids = shared
}
