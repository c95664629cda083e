package devchain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// By default a block is final as soon as it is there. Config.FinalityLag,
// [Chain.HoldFinality] and [Chain.SetVoters] have finality lag behind the best
// block, and [Chain.Fork] then makes blocks beside the best chain.

// Final returns the last final block.
func (c *Chain) Final() *Block {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.blocks[c.final]
}

// heads returns the best and the last final block, and a channel that is closed
// once one of them is another.
func (c *Chain) heads() (best, final *Block, changed <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.blocks[len(c.blocks)-1], c.blocks[c.final], c.next
}

// wait waits for a channel of heads.
func (c *Chain) wait(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-changed:
		return nil
	case <-c.dead:
		return c.failure()
	}
}

// WaitFinal returns the block of a number as soon as it is final.
func (c *Chain) WaitFinal(ctx context.Context, n header.Number) (*Block, error) {
	for {
		_, final, changed := c.heads()
		if n <= final.Number() {
			return c.Block(n), nil
		}
		if err := c.wait(ctx, changed); err != nil {
			return nil, err
		}
	}
}

// path returns the blocks after the last common ancestor of two blocks up to
// the second of them, ascending.
func (c *Chain) path(from, to *Block) (out []*Block) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for from.Hash != to.Hash {
		if to.Number() > from.Number() {
			out = append(out, to)
			to = c.byHash[to.Header.ParentHash]
		} else {
			from = c.byHash[from.Header.ParentHash]
		}
	}
	slices.Reverse(out)
	return out
}

// descends reports whether b is a or one of its descendants.
func (c *Chain) descends(b, a *Block) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for b.Number() > a.Number() {
		b = c.byHash[b.Header.ParentHash]
	}
	return b.Hash == a.Hash
}

// Fork makes blocks on top of block from of the best chain, which is final or
// later, one for each body: the extrinsics that follow the inherents, which
// must be valid there. On a relay chain the first of them may be one of
// [Pair.Inclusion]. They differ from all others. Once they are the longer
// chain they are the best one: the extrinsics of the blocks that were go back
// to the pool. They are not finalized before the next Seal or Finalize.
func (c *Chain) Fork(ctx context.Context, from header.Number, bodies ...[][]byte) ([]*Block, error) {
	c.sealing.Lock()
	defer c.sealing.Unlock()
	if err := c.failure(); err != nil {
		return nil, err
	}
	parent := c.Block(from)
	if parent == nil || from < c.Final().Number() {
		return nil, fmt.Errorf("devchain: no fork from block %d: block %d is final, %d is the best", from, c.Final().Number(), c.Best().Number())
	}
	var made []*Block
	for _, body := range bodies {
		if err := ctx.Err(); err != nil {
			return made, err
		}
		c.mu.Lock()
		c.forks++
		mark := header.DigestItem{Kind: header.DigestOther, Data: fmt.Appendf(nil, "fork %d", c.forks)}
		c.mu.Unlock()
		x := parent.rt.Begin(parent.State, parent.Number()+1, parent.Hash, []header.DigestItem{mark})
		all := append(c.inherents(parent, [][]byte{}), body...)
		for i, raw := range all {
			if _, err := x.Apply(raw); err != nil {
				return made, fmt.Errorf("devchain: extrinsic %d of the fork: %w", i, err)
			}
		}
		b, err := c.assemble(parent, x, all)
		if err != nil {
			return made, err
		}
		_, b.SetID = c.authorities(parent)
		if err := c.store(b); err != nil {
			return made, err
		}
		c.adopt(b, false)
		made = append(made, b)
		parent = b
	}
	return made, nil
}

// adopt adds a block that is stored, and makes it the best if its chain is the
// longest, and final if it is that, too, at once. Callers hold sealing.
func (c *Chain) adopt(b *Block, final bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byHash[b.Hash] = b
	best := c.blocks[len(c.blocks)-1]
	if b.Number() <= best.Number() {
		c.window.beside = append(c.window.beside, b)
		return
	}
	c.switchTo(b)
	if final {
		c.markFinal(b)
	}
	c.notify()
	if c.link != nil {
		c.link.changed()
	}
}

// switchTo makes a block the best one. Callers hold mu.
func (c *Chain) switchTo(b *Block) {
	best := c.blocks[len(c.blocks)-1]
	// The blocks of the new chain that are not in the best one yet.
	fresh := []*Block{b}
	for p := c.byHash[b.Header.ParentHash]; p.Number() >= header.Number(len(c.blocks)) || c.blocks[p.Number()].Hash != p.Hash; p = c.byHash[p.Header.ParentHash] {
		fresh = append(fresh, p)
	}
	slices.Reverse(fresh)
	left := c.blocks[min(fresh[0].Number(), header.Number(len(c.blocks))):]
	for _, old := range slices.Backward(left) {
		c.pool.Retract(old.Hash)
	}
	c.window.beside = append(c.window.beside, left...)
	c.blocks = append(slices.Clip(c.blocks[:fresh[0].Number()]), fresh...)
	for _, f := range fresh {
		var in []hashing.Hash
		for _, raw := range f.Extrinsics {
			in = append(in, hashing.Blake2b256(raw))
		}
		c.pool.Included(f.Hash, in)
	}
	c.pool.Advance(b.Number(), func(who keyring.AccountID) uint32 { return c.nonce(b, who) })
	if b.rt != best.rt || len(left) > 0 {
		c.revalidate(b)
	}
	if len(left) > 0 {
		c.cfg.Logger.Info("another fork is the best chain", "number", b.Number(), "hash", b.Hash, "from", fresh[0].Number()-1, "abandoned", len(left))
	}
}

// revalidate drops what a block has made invalid. Signatures are over the
// version of the runtime and the hash of a block. Callers hold mu.
func (c *Chain) revalidate(b *Block) {
	c.pool.Revalidate(func(raw []byte) bool { _, err := b.rt.Validate(b.at(), raw); return err == nil })
}

// HoldFinality stops (true) finality or lets it go on (false), from the next
// Seal on.
func (c *Chain) HoldFinality(hold bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.votes.held = hold
}

// Finalize finalizes the blocks of the best chain up to a number: that block
// and those that end an authority set get a justification. ErrNoQuorum means
// that too few authorities vote; blocks before may be final nevertheless.
func (c *Chain) Finalize(n header.Number) error {
	c.sealing.Lock()
	defer c.sealing.Unlock()
	if err := c.failure(); err != nil {
		return err
	}
	if !c.Best().rt.HasGrandpa() {
		return errors.New("devchain: a parachain's blocks are finalized by its relay chain")
	}
	if best := c.Best().Number(); n > best {
		return fmt.Errorf("devchain: block %d cannot be final, %d is the best", n, best)
	}
	err := c.finalizeTo(n)
	c.tellFinal()
	return err
}

// finalizeTo is Finalize. Callers hold sealing.
func (c *Chain) finalizeTo(n header.Number) error {
	for i := c.Final().Number() + 1; i <= n; i++ {
		b := c.Block(i)
		if i != n && !b.endsSet {
			continue
		}
		set, id := c.authorities(c.Block(i - 1))
		justification, err := c.voters.justify(set, id, b, c.votesNow())
		if err != nil {
			return err
		}
		final := *b
		final.Justification = justification
		if err := c.store(&Block{Header: b.Header, Justification: justification}); err != nil {
			return err
		}
		c.setFinal(&final)
	}
	return nil
}

// setFinal replaces a block by its justified copy, and makes it and all before
// it final.
func (c *Chain) setFinal(b *Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks[b.Number()], c.byHash[b.Hash] = b, b
	c.markFinal(b)
	c.notify()
}

// markFinal makes a block of the best chain and all before it final. Callers
// hold mu.
func (c *Chain) markFinal(b *Block) {
	for c.final < b.Number() {
		c.final++
		c.pool.Finalized(c.blocks[c.final].Hash)
	}
	c.prune()
	c.cfg.Logger.Debug("block finalized", "number", b.Number(), "hash", b.Hash, "extrinsics", len(b.Extrinsics))
}

func (c *Chain) votesNow() votes {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.votes
}
