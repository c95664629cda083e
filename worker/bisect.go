package worker

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/substrate/header"
)

// errNoDifference means that the roots that were said to differ do not.
var errNoDifference = errors.New("the roots are the same now")

// difference is where the roots of two workers differ first.
type difference struct {
	block header.Number
	// exact is false if block is the oldest that both keep, and they differ there
	// already: in that one or before.
	exact    bool
	state    bool // the state roots of the block differ
	receipts bool // its receipts roots differ
}

// firstDifference finds the first block whose roots differ, among those from
// oldest to last: by the histories, of which the first that differs is that of
// the first block that does, and all behind it do. start is the shard's first
// block. Roots of each block are asked for at most once on each side.
func firstDifference(ours, theirs func(header.Number) (roots.Roots, error), start, oldest, last header.Number) (d difference, err error) {
	if oldest > last {
		return d, fmt.Errorf("there is no block of which both keep the roots: the oldest is %d, to look at is up to %d", oldest, last)
	}
	differ := func(n header.Number) (bool, error) {
		a, err := ours(n)
		if err != nil {
			return false, err
		}
		b, err := theirs(n)
		if err != nil {
			return false, err
		}
		if a.Block != b.Block {
			return false, fmt.Errorf("it has block %v as number %d, this worker has %v: it follows another chain", b.Block, n, a.Block)
		}
		d = difference{block: n, state: a.State != b.State, receipts: a.Receipts != b.Receipts}
		return a.History != b.History, nil
	}
	switch yes, err := differ(last); {
	case err != nil:
		return difference{}, err
	case !yes:
		return difference{}, errNoDifference
	}
	found := d
	lo, hi := oldest, last // all before lo are the same, hi differs
	for lo < hi {
		mid := lo + (hi-lo)/2
		yes, err := differ(mid)
		if err != nil {
			return difference{}, err
		}
		if yes {
			hi, found = mid, d
		} else {
			lo = mid + 1
		}
	}
	// At the oldest block nothing before it is known, but the shard's start.
	found.exact = found.block > oldest || found.block == start
	return found, nil
}
