package state

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/bits"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Receive returns the state as it was after block at, with this root, from parts
// that anybody may have made: those of [Snapshot.CommitmentParts], then those of
// [Snapshot.EntryParts]. It believes none of them. Every branch is checked
// against the root when it comes, every entry against the branches, and at the
// end there is an entry wherever they have one. So the first lie ends it, and
// what it keeps is never more than the state with that root, beside the part it
// reads. Errors wrap [ErrRestore].
func Receive(prfKey [32]byte, at header.Number, root hashing.Hash, commitments, entries iter.Seq[[]byte]) (*State, error) {
	r := receiver{c: newCommitter(prfKey), s: New(prfKey), root: kid{hash: root}}
	r.s.last = at
	err := r.readCommitment(commitments)
	if err == nil {
		err = r.readEntries(entries)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRestore, err)
	}
	if r.s.Len() > 0 {
		r.s.base.root = r.root
	}
	return r.s, nil
}

// receiver puts entries where a commitment, read before them, has their places.
type receiver struct {
	c       *committer
	s       *State
	root    kid
	missing int // entries that are still to come
	highest []byte
}

func (r *receiver) readCommitment(parts iter.Seq[[]byte]) error {
	var cuts []cut
	n := 0
	for part := range parts {
		p := &partReader{c: r.c, d: scale.NewDecoder(part), later: true}
		switch {
		case n == 0:
			p.cutDepth = cutDepth
			var err error
			if r.root, err = p.root(r.root.hash); err != nil {
				return err
			}
			cuts = p.cuts
		case n <= len(cuts):
			at := &cuts[n-1]
			p.path = at.path
			at.place.branch = p.branch(at.place.hash, at.depth)
		default:
			return errors.New("a commitment in too many parts")
		}
		if err := p.finish(); err != nil {
			return err
		}
		r.missing += p.expected
		n++
	}
	if n != 1+len(cuts) {
		return fmt.Errorf("a commitment in %d parts, not %d", n, 1+len(cuts))
	}
	return nil
}

func (r *receiver) readEntries(parts iter.Seq[[]byte]) error {
	for part := range parts {
		d := scale.NewDecoder(part)
		for d.Remaining() > 0 && d.Err() == nil {
			key, value, block := d.BytesNoCopy(), d.BytesNoCopy(), d.U32()
			if d.Err() != nil {
				break
			}
			if err := r.add(newItem(key, value, header.Number(block))); err != nil {
				return err
			}
		}
		if err := d.Finish(); err != nil {
			return err
		}
	}
	if r.missing > 0 {
		return fmt.Errorf("%d entries are missing", r.missing)
	}
	return nil
}

func (r *receiver) add(it *item) error {
	switch {
	case r.s.items.Len() > 0 && bytes.Compare(r.highest, it.key()) >= 0:
		return errors.New("entries are not sorted")
	case it.block > r.s.last:
		return fmt.Errorf("an entry of block %d in the state of block %d", it.block, r.s.last)
	}
	t := r.c.touched(it)
	place, depth := r.find(&t.path)
	if place == nil || r.c.leafKid(&t, depth).hash != place.hash {
		return fmt.Errorf("an entry of block %d is not what the commitment says", it.block)
	}
	place.item = it
	r.highest = it.key()
	r.missing--
	r.s.items.Load(it)
	r.s.bytes += it.bytes()
	return nil
}

// find returns the place where the commitment has an entry on a path, and the
// nibble at which it begins; nil if it has none.
func (r *receiver) find(path *hashing.Hash) (*kid, int) {
	at, depth := &r.root, 0
	for at.branch != nil {
		b := at.branch
		if common(path, depth, b.partial) < len(b.partial) {
			return nil, 0
		}
		depth += len(b.partial)
		nibble := nibbleAt(path, depth)
		if b.bitmap>>nibble&1 == 0 {
			return nil, 0
		}
		at = &b.kids[bits.OnesCount16(b.bitmap&(1<<nibble-1))]
		depth++
	}
	return at, depth
}
