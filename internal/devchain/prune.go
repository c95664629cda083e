package devchain

import (
	"fmt"

	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// A chain that runs for days would keep every state it ever had. As in Substrate
// nodes, Config.StatePruning and Config.BlocksPruning say how far behind the last
// final block states and bodies are kept. Of what is pruned, headers and
// justifications stay.

// DefaultStatePruning is for chains that run for days: the states of 18 hours of
// blocks each second, which take some 190 MB when the blocks are empty.
const DefaultStatePruning = 1 << 16

// pruned says what of a block is gone.
type pruned struct{ state, body bool }

// window is how far the chain is pruned.
type window struct {
	states, bodies header.Number // the first ones that are kept
	beside         []*Block      // blocks that were not, or are no longer, in the best chain
}

// errDiscarded is what nodes answer for a state that is gone.
func errDiscarded(b *Block) error {
	return fmt.Errorf("UnknownBlock: State already discarded for %s", b.Hash)
}

// prune drops what is out of the window behind the last final block. Callers
// hold mu.
func (c *Chain) prune() {
	first := func(keep int) header.Number {
		if n := int64(c.final) + 1 - int64(keep); keep > 0 && n > 0 {
			return header.Number(n)
		}
		return 0
	}
	states, bodies := first(c.cfg.StatePruning), first(c.cfg.BlocksPruning)
	for ; c.window.states < states; c.window.states++ {
		c.drop(c.blocks[c.window.states], pruned{state: true})
	}
	for ; c.window.bodies < bodies; c.window.bodies++ {
		c.drop(c.blocks[c.window.bodies], pruned{body: true})
	}
	// Of blocks beside the best chain nobody asks once the chain is final there.
	if c.cfg.StatePruning == 0 || len(c.window.beside) == 0 {
		return
	}
	kept := c.window.beside[:0]
	for _, b := range c.window.beside {
		switch {
		case c.onBest(b):
		case b.Number() < states:
			c.drop(c.byHash[b.Hash], pruned{state: true, body: c.cfg.BlocksPruning > 0})
		default:
			kept = append(kept, b)
		}
	}
	clear(c.window.beside[len(kept):])
	c.window.beside = kept
}

// drop replaces a block by a copy without some parts. Callers hold mu.
func (c *Chain) drop(b *Block, what pruned) {
	left := *b
	if what.state {
		left.State, left.pruned.state = trie.Trie{}, true
	}
	if what.body {
		left.Extrinsics, left.pruned.body = nil, true
	}
	c.byHash[b.Hash] = &left
	if c.onBest(b) {
		c.blocks[b.Number()] = &left
	}
}
