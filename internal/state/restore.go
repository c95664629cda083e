package state

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"runtime"
	"slices"
	"sort"

	"github.com/tidwall/btree"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// ErrRestore is wrapped by errors about parts that are malformed or contradict
// each other.
var ErrRestore = errors.New("state: invalid parts")

// Restore returns the state whose [Snapshot.EntryParts] and
// [Snapshot.CommitmentParts] are given: as it was after block at, with this
// root. It reads both, and keeps the parts. All cores decode entries.
//
// What it returns has the entries, which were only decoded: the caller vouches
// for them (they come from sealed storage). The commitment is put together when it is
// first asked for, see [Snapshot.Load]: all of its branches are then checked
// against the root, and that there is an entry, and no other, wherever it has
// one. [Snapshot.Audit] checks what the entries hold.
func Restore(prfKey [32]byte, at header.Number, root hashing.Hash, entries, commitments iter.Seq[[]byte]) (*State, error) {
	s := New(prfKey)
	s.last = at
	l := loader{s: s}
	for part := range entries {
		if l.add(part); l.err != nil {
			break
		}
	}
	l.finish()
	if l.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRestore, l.err)
	}
	r := &commitmentReader{prfKey: prfKey, root: root, items: s.items.Copy(), parts: slices.Collect(commitments)}
	s.base = &commitment{prfKey: prfKey, read: func() (kid, error) {
		k, err := r.read()
		if err != nil {
			return kid{}, fmt.Errorf("%w: %w", ErrRestore, err)
		}
		return k, nil
	}}
	return s, nil
}

// loader decodes parts of entries side by side and takes them in their order.
type loader struct {
	s       *State
	queue   []chan decodedEntries
	highest []byte
	err     error
}

type decodedEntries struct {
	items []*item
	err   error
}

func (l *loader) add(part []byte) {
	if len(l.queue) >= 2*runtime.GOMAXPROCS(0) {
		l.take()
	}
	done := make(chan decodedEntries, 1)
	go func() {
		items, err := decodeEntries(part)
		done <- decodedEntries{items, err}
	}()
	l.queue = append(l.queue, done)
}

func (l *loader) finish() {
	for len(l.queue) > 0 {
		l.take()
	}
}

func (l *loader) take() {
	part := <-l.queue[0]
	l.queue = l.queue[1:]
	if l.err == nil {
		l.err = part.err
	}
	if l.err != nil {
		return
	}
	for _, it := range part.items {
		switch {
		case l.s.items.Len() > 0 && bytes.Compare(l.highest, it.key()) >= 0:
			l.err = errors.New("entries are not sorted")
		case it.block > l.s.last:
			l.err = fmt.Errorf("an entry of block %d in the state of block %d", it.block, l.s.last)
		}
		if l.err != nil {
			return
		}
		l.highest = it.key()
		l.s.items.Load(it)
		l.s.bytes += it.bytes()
	}
}

func decodeEntries(part []byte) ([]*item, error) {
	var items []*item
	d := scale.NewDecoder(part)
	for d.Remaining() > 0 && d.Err() == nil {
		key, value, block := d.BytesNoCopy(), d.BytesNoCopy(), d.U32()
		if d.Err() == nil {
			items = append(items, newItem(key, value, header.Number(block)))
		}
	}
	return items, d.Finish()
}

// located is an entry with the first nibbles of its path.
type located struct {
	prefix uint64
	item   *item
}

// prefixNibbles is how many nibbles a prefix has.
const prefixNibbles = 16

type commitmentReader struct {
	prfKey [32]byte
	root   hashing.Hash
	items  *btree.BTreeG[*item]
	parts  [][]byte
}

func (r *commitmentReader) read() (kid, error) {
	c := newCommitter(r.prfKey)
	entries := c.locate(r.items)
	if len(r.parts) == 0 || len(r.parts[0]) == 0 {
		return kid{}, errors.New("no commitment")
	}
	top := &partReader{c: c, d: scale.NewDecoder(r.parts[0]), entries: entries, cutDepth: cutDepth}
	root, err := top.root(r.root)
	if err != nil {
		return kid{}, err
	}
	if err := top.finish(); err != nil {
		return kid{}, err
	}
	if len(r.parts) != 1+len(top.cuts) {
		return kid{}, fmt.Errorf("a commitment in %d parts, not %d", len(r.parts), 1+len(top.cuts))
	}
	errs := make([]error, len(top.cuts))
	c.parallel(len(top.cuts), func(c *committer, i int) {
		cut := &top.cuts[i]
		p := &partReader{c: c, d: scale.NewDecoder(r.parts[1+i]), entries: cut.entries, path: cut.path}
		cut.place.branch = p.branch(cut.place.hash, cut.depth)
		errs[i] = p.finish()
	})
	return root, cmp.Or(errs...)
}

// locate returns all entries sorted by their paths.
func (c *committer) locate(items *btree.BTreeG[*item]) []located {
	all := make([]located, 0, items.Len())
	items.Scan(func(it *item) bool {
		all = append(all, located{item: it})
		return true
	})
	const chunk = 4096
	c.parallel((len(all)+chunk-1)/chunk, func(c *committer, n int) {
		part := all[n*chunk : min(len(all), (n+1)*chunk)]
		for i := range part {
			path := c.path(part[i].item.key())
			part[i].prefix = binary.BigEndian.Uint64(path[:])
		}
	})
	// By the first byte first, so that all cores can sort.
	var ends [257]int
	for _, e := range all {
		ends[e.prefix>>56+1]++
	}
	for b := range 256 {
		ends[b+1] += ends[b]
	}
	sorted, next := make([]located, len(all)), ends
	for _, e := range all {
		sorted[next[e.prefix>>56]] = e
		next[e.prefix>>56]++
	}
	c.parallel(256, func(c *committer, b int) {
		slices.SortFunc(sorted[ends[b]:ends[b+1]], func(x, y located) int {
			if x.prefix != y.prefix {
				return cmp.Compare(x.prefix, y.prefix)
			}
			px, py := c.path(x.item.key()), c.path(y.item.key())
			return bytes.Compare(px[:], py[:])
		})
	})
	return sorted
}

// partReader reads the branches of a part from the root on, so that each is
// checked against a hash that was checked before.
type partReader struct {
	c        *committer
	d        *scale.Decoder
	entries  []located // that are still to come
	later    bool      // they come later, and are only counted
	expected int       // how many, if so
	path     [64]byte  // nibbles to the branch being read
	cutDepth int       // places from here on are in parts of their own; 0: none
	cuts     []cut
}

// cut is a place whose branch another part begins with.
type cut struct {
	place   *kid
	path    [64]byte
	depth   int
	entries []located
}

// root reads the beginning of the first part.
func (p *partReader) root(want hashing.Hash) (kid, error) {
	root := kid{hash: want}
	switch p.d.U8() {
	case rootNothing:
		if want != trie.EmptyRoot {
			return kid{}, errors.New("an empty commitment with a root")
		}
	case rootEntry:
		var h hashing.Hash
		if p.d.Read(h[:]); p.d.Err() == nil && h != want {
			return kid{}, fmt.Errorf("the root is %v, not %v", h, want)
		}
		root.item = p.entry(0)
	case rootBranch:
		root.branch = p.branch(want, 0)
	default:
		return kid{}, errors.New("a root of no kind")
	}
	return root, nil
}

// branch reads the branch at a place that begins at nibble depth.
func (p *partReader) branch(want hashing.Hash, depth int) *branch {
	bitmap, entries, partial := p.d.U16(), p.d.U16(), p.d.BytesNoCopy()
	if p.d.Err() != nil {
		return nil
	}
	if bits.OnesCount16(bitmap) < 2 || entries&^bitmap != 0 || depth+len(partial) >= len(p.path) || slices.ContainsFunc(partial, func(n byte) bool { return n > 15 }) {
		p.d.Fail(fmt.Errorf("%w: a branch", scale.ErrInvalid))
		return nil
	}
	b := &branch{partial: string(partial), bitmap: bitmap, kids: make([]kid, bits.OnesCount16(bitmap))}
	for i := range b.kids {
		p.d.Read(b.kids[i].hash[:])
	}
	if p.d.Err() == nil && p.c.branchKid(b).hash != want {
		p.d.Fail(fmt.Errorf("%w: a branch has another hash than its place", scale.ErrInvalid))
	}
	depth += copy(p.path[depth:], partial) + 1
	i := 0
	for nibble := range 16 {
		if bitmap>>nibble&1 == 0 {
			continue
		}
		if p.d.Err() != nil {
			return nil
		}
		p.path[depth-1] = byte(nibble)
		switch k := &b.kids[i]; {
		case entries>>nibble&1 == 1:
			k.item = p.entry(depth)
		case p.cutDepth > 0 && depth >= p.cutDepth:
			n := sort.Search(len(p.entries), func(i int) bool { return p.compare(p.entries[i], depth) > 0 })
			p.cuts = append(p.cuts, cut{k, p.path, depth, p.entries[:n]})
			p.entries = p.entries[n:]
		default:
			k.branch = p.branch(k.hash, depth)
		}
		i++
	}
	return b
}

// entry takes the next entry, which must be at the place of depth nibbles.
func (p *partReader) entry(depth int) *item {
	if p.later {
		p.expected++
		return nil
	}
	if len(p.entries) == 0 || p.compare(p.entries[0], depth) != 0 {
		p.d.Fail(fmt.Errorf("%w: an entry is missing", scale.ErrInvalid))
		return nil
	}
	it := p.entries[0].item
	p.entries = p.entries[1:]
	return it
}

// compare compares an entry's path with the first depth nibbles of the reader's, as far
// as prefixes go: which is further than paths of honest entries run together.
func (p *partReader) compare(e located, depth int) int {
	for i := range min(depth, prefixNibbles) {
		if c := cmp.Compare(byte(e.prefix>>(60-4*i)&15), p.path[i]); c != 0 {
			return c
		}
	}
	return 0
}

func (p *partReader) finish() error {
	if err := p.d.Finish(); err != nil {
		return err
	}
	if len(p.entries) > 0 {
		return errors.New("an entry that the commitment does not have")
	}
	return nil
}

// Audit checks each entry against the commitment, which it loads. What it finds
// is wrapped by ErrRestore; it ends early with the context.
func (s *Snapshot) Audit(ctx context.Context) error {
	if err := s.Load(); err != nil {
		return err
	}
	a := auditor{ctx: ctx, c: newCommitter(s.commitment.prfKey)}
	root := s.commitment.get()
	return a.check(&root, 0)
}

type auditor struct {
	ctx  context.Context
	c    *committer
	path [64]byte
	done int
}

func (a *auditor) check(k *kid, depth int) error {
	if k.item != nil {
		if a.done++; a.done%1024 == 0 && a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		t := a.c.touched(k.item)
		if common(&t.path, 0, string(a.path[:depth])) < depth || a.c.leafKid(&t, depth).hash != k.hash {
			return fmt.Errorf("%w: an entry of block %d is not what the commitment says", ErrRestore, k.item.block)
		}
		return nil
	}
	if k.branch == nil {
		return nil
	}
	depth += copy(a.path[depth:], k.branch.partial) + 1
	i := 0
	for nibble := range 16 {
		if k.branch.bitmap>>nibble&1 == 1 {
			a.path[depth-1] = byte(nibble)
			if err := a.check(&k.branch.kids[i], depth); err != nil {
				return err
			}
			i++
		}
	}
	return nil
}
