package enclave

import (
	"errors"

	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// blockRoots are the roots after one block.
type blockRoots struct {
	Block    hashing.Hash // its hash
	Now      stf.Moment
	State    hashing.Hash
	Receipts hashing.Hash
}

// keptRoots are blockRoots with the history up to there.
type keptRoots struct {
	blockRoots
	history hashing.Hash
}

// rootsHistory keeps the roots of the last blocks, for as many as receipts are
// kept, and of the last block always.
type rootsHistory struct {
	keep  uint32
	first header.Number // of blocks[0]
	// blocks grows at the end and loses at the beginning. What is in it up to
	// its length is never written again, so views hold it as it is.
	blocks []keptRoots
}

// last returns what is known of the last block.
func (h *rootsHistory) last() *keptRoots { return &h.blocks[len(h.blocks)-1] }

// begin forgets everything and starts at block n, where the history is given.
func (h *rootsHistory) begin(n header.Number, b blockRoots, value hashing.Hash) {
	h.first, h.blocks = n, []keptRoots{{b, value}}
}

// add takes the roots of the block after the last one.
func (h *rootsHistory) add(b blockRoots) {
	n := h.first + header.Number(len(h.blocks))
	h.blocks = append(h.blocks, keptRoots{b, h.next(n, b)})
	if surplus := int64(len(h.blocks)) - int64(h.keep); surplus > 0 { // int is too short for keep on 32 bits
		h.first += header.Number(surplus)
		h.blocks = h.blocks[surplus:]
	}
}

// next returns the history after block n.
func (h *rootsHistory) next(n header.Number, b blockRoots) hashing.Hash {
	return roots.NextHistory(h.last().history, n, b.Block, b.State, b.Receipts)
}

// find returns the roots of block n, if they are kept.
func (h *rootsHistory) find(n header.Number) (*keptRoots, bool) {
	if n < h.first || n-h.first >= header.Number(len(h.blocks)) {
		return nil, false
	}
	return &h.blocks[n-h.first], true
}

// rootsAfter returns the roots of a block whose state is next.
func (c *Core) rootsAfter(commit *Commit, next *state.State) blockRoots {
	receipts, ok := c.cfg.App.ReceiptsRoot(next.Snapshot(), commit.Number)
	if !ok { // a record that is not of Execute
		receipts = trie.EmptyRoot
	}
	return blockRoots{Block: commit.Hash, Now: commit.Now, State: commit.StateRoot, Receipts: receipts}
}

// restoreHistory takes what a snapshot holds.
func (c *Core) restoreHistory(first header.Number, before hashing.Hash, list []blockRoots) error {
	if len(list) == 0 {
		return errors.New("it has no roots")
	}
	c.history.begin(first, list[0], before)
	for _, b := range list[1:] {
		c.history.add(b)
	}
	last := c.history.last()
	if n := c.history.first + header.Number(len(c.history.blocks)) - 1; n != c.tip.Number || last.Block != c.tip.Hash || last.State != c.tip.StateRoot {
		return errors.New("its roots are of other blocks")
	}
	return nil
}

// Roots returns the roots after block n; false if they are not kept any more,
// or not there yet.
func (v *View) Roots(n header.Number) (roots.Roots, bool) {
	k, ok := v.history.find(n)
	if !ok {
		return roots.Roots{}, false
	}
	return roots.Roots{Genesis: v.env.Genesis, Shard: v.env.Shard, Number: n, Block: k.Block, Time: uint64(k.Now),
		State: k.State, Receipts: k.Receipts, History: k.history}, true
}

// OldestRoots returns the number of the first block of which roots are kept.
func (v *View) OldestRoots() header.Number { return v.history.first }
