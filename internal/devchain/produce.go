package devchain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain/pool"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Run makes blocks until ctx ends or the chain is closed, and returns nil then.
// It returns an error once a block cannot be stored. Without it only Seal makes
// blocks.
func (c *Chain) Run(ctx context.Context) error {
	var tick <-chan time.Time
	wake := c.wake
	switch {
	case c.cfg.Manual:
		wake = nil
	case c.cfg.BlockTime > 0:
		t := time.NewTicker(c.cfg.BlockTime)
		defer t.Stop()
		tick, wake = t.C, nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.dead:
			if err := c.failure(); !errors.Is(err, ErrClosed) {
				return err
			}
			return nil
		case <-tick:
		case <-wake:
			// What is left after a full block is due at once.
			if !c.due() {
				continue
			}
		}
		if _, err := c.Seal(ctx); err != nil {
			if ctx.Err() != nil || errors.Is(err, ErrClosed) {
				return nil
			}
			return err
		}
		if c.due() {
			c.signal()
		}
	}
}

// signal wakes Run.
func (c *Chain) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// due reports whether there is something to make a block of.
func (c *Chain) due() bool {
	ready, _ := c.poolLen()
	return ready > 0 || c.link != nil && c.link.due()
}

func (c *Chain) poolLen() (ready, future int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.pool.Len()
}

// Submit puts an extrinsic (with its length prefix) into the pool and returns
// its hash. Errors are those of runtime.Validate and pool.Add.
func (c *Chain) Submit(raw []byte) (hashing.Hash, error) { return c.submit(raw, nil) }

func (c *Chain) submit(raw []byte, watch pool.Watcher) (hashing.Hash, error) {
	// Signatures are checked outside the lock; what a block in the meantime can
	// have changed is looked at again inside.
	best := c.Best()
	v, err := best.rt.Validate(best.at(), raw)
	if err != nil {
		return hashing.Hash{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return hashing.Hash{}, c.failed
	}
	now := c.blocks[len(c.blocks)-1]
	if now.rt != best.rt { // rare enough to do it under the lock
		if v, err = now.rt.Validate(now.at(), raw); err != nil {
			return hashing.Hash{}, err
		}
	}
	v.AccountNonce = c.nonce(now, v.Signer)
	if v.Nonce < v.AccountNonce {
		return hashing.Hash{}, runtime.InvalidStale
	}
	if v.Death <= now.Number()+1 {
		return hashing.Hash{}, runtime.InvalidAncientBirth
	}
	tx, err := c.pool.Add(raw, *v, watch)
	if err != nil {
		return hashing.Hash{}, err
	}
	c.signal()
	return tx.Hash, nil
}

func (c *Chain) nonce(b *Block, who keyring.AccountID) uint32 {
	return b.rt.System.Account.Get(stateReader{b.State}, who).Nonce
}

// Seal makes one block from what is ready on top of the best one, finalizes it
// or what is due, and returns its hash once it is stored. If it cannot be stored, no further block can be made.
func (c *Chain) Seal(ctx context.Context) (hashing.Hash, error) { return c.seal(ctx, opening{}) }

// opening is what an author gives a block.
type opening struct {
	inherents [][]byte // that follow the timestamp; nil leaves them to the chain
	digest    []header.DigestItem
}

func (c *Chain) seal(ctx context.Context, o opening) (hashing.Hash, error) {
	c.sealing.Lock()
	defer c.sealing.Unlock()
	c.mu.RLock()
	parent, selection, change, failed := c.blocks[len(c.blocks)-1], c.pool.Select(), c.change, c.failed
	c.mu.RUnlock()
	if failed != nil {
		return hashing.Hash{}, failed
	}
	if err := ctx.Err(); err != nil {
		return hashing.Hash{}, err
	}
	b, rejected, err := c.build(parent, selection, change, o)
	if err != nil {
		return hashing.Hash{}, err
	}
	// In the usual case one record of the log holds block and justification.
	how, atOnce := c.votesNow(), parent.Number() == c.Final().Number() && c.cfg.FinalityLag == 0
	how.held = how.held || !parent.rt.HasGrandpa()
	if atOnce = atOnce && !how.held; atOnce {
		set, _ := c.authorities(parent)
		b.Justification, err = c.voters.justify(set, b.SetID, b, how)
		if atOnce = err == nil; err != nil && !errors.Is(err, ErrNoQuorum) {
			return hashing.Hash{}, err
		}
	}
	if err := c.store(b); err != nil {
		return hashing.Hash{}, err
	}
	c.mu.Lock()
	if c.change == change {
		c.change = nil
	}
	for _, h := range rejected {
		c.pool.Reject(h)
	}
	c.mu.Unlock()
	c.adopt(b, atOnce)
	if !atOnce && !how.held && b.Number() > c.cfg.FinalityLag {
		if err := c.finalizeTo(b.Number() - c.cfg.FinalityLag); err != nil && !errors.Is(err, ErrNoQuorum) {
			return hashing.Hash{}, err
		}
	}
	c.tellFinal()
	return b.Hash, nil
}

// store writes a block, or that it is final, to the log.
func (c *Chain) store(b *Block) error {
	if c.log == nil {
		return nil
	}
	if err := c.log.Append(encodeBlock(b)); err != nil {
		err = fmt.Errorf("devchain: store block %d: %w", b.Number(), err)
		c.fail(err)
		return err
	}
	return nil
}

// timestamp returns the inherent of the block after parent.
func (c *Chain) timestamp(parent *Block) []byte {
	now := max(uint64(max(c.cfg.Clock().UnixMilli(), 0)), parent.rt.MinTimestamp(parent.State))
	return parent.rt.TimestampInherent(now)
}

// inherents returns those of the block after parent. On a relay chain more
// follows the timestamp; nil leaves it to the chain.
func (c *Chain) inherents(parent *Block, more [][]byte) [][]byte {
	list := [][]byte{c.timestamp(parent)}
	if c.link != nil {
		if validation := c.link.validation(parent); validation != nil {
			list = [][]byte{validation, list[0]}
		}
		if more == nil {
			more = c.link.inclusion(parent)
		}
	}
	return append(list, more...)
}

// tellFinal tells the other chain of a pair which block is final. Callers hold
// sealing.
func (c *Chain) tellFinal() {
	if c.link != nil {
		c.link.final(c.Final())
	}
}

// build executes the next block. rejected are the hashes of the pool's
// extrinsics that turned out to be invalid.
func (c *Chain) build(parent *Block, selection *pool.Selection, change *authorityChange, o opening) (b *Block, rejected []hashing.Hash, err error) {
	number := parent.Number() + 1
	x := parent.rt.Begin(parent.State, number, parent.Hash, o.digest)
	x.SkipSignatures = true // the pool has checked them
	if change != nil {
		if err := x.ScheduleAuthorities(change.next, change.delay); err != nil {
			c.cfg.Logger.Warn("change of authorities is not announced", "err", err)
		}
	}
	body := c.inherents(parent, o.inherents)
	for i, raw := range body {
		if _, err := x.Apply(raw); err != nil {
			return nil, nil, fmt.Errorf("devchain: inherent %d of block %d: %w", i, number, err)
		}
	}
	// A few that do not fit do not end the block: shorter ones may follow.
	const tries = 16
	full := 0
	for full < tries {
		tx := selection.Next()
		if tx == nil {
			break
		}
		_, err := x.Apply(tx.Raw)
		switch {
		case err == nil:
			body = append(body, tx.Raw)
			selection.Take()
		case errors.Is(err, runtime.InvalidExhausts):
			full++
			selection.Skip()
		default:
			rejected = append(rejected, tx.Hash)
			selection.Skip()
		}
	}
	b, err = c.assemble(parent, x, body)
	if err != nil {
		return nil, nil, err
	}
	_, b.SetID = c.authorities(parent)
	return b, rejected, nil
}

// assemble closes an execution and computes the block's header.
func (c *Chain) assemble(parent *Block, x *runtime.Execution, body [][]byte) (*Block, error) {
	result, err := x.Finish()
	if err != nil {
		return nil, err
	}
	b := &Block{Extrinsics: body, State: apply(parent.State, result.Changes), endsSet: result.NewAuthorities, rt: parent.rt}
	if code, _ := b.State.Get([]byte(":code")); slices.ContainsFunc(result.Digest, func(i header.DigestItem) bool { return i.Kind == header.DigestRuntimeEnvironmentUpdated }) {
		if b.rt, err = runtime.FromCode(code); err != nil {
			return nil, err
		}
	}
	b.Header = header.Header{
		ParentHash: parent.Hash, Number: parent.Number() + 1, StateRoot: b.State.Root(stateVersion),
		ExtrinsicsRoot: trie.OrderedRoot(extrinsicsVersion, body), Digest: result.Digest,
	}
	b.Hash = b.Header.Hash()
	return b, nil
}

func apply(t trie.Trie, changes []state.Change) trie.Trie {
	for _, ch := range changes {
		if ch.Value == nil {
			t = t.Delete(ch.Key)
		} else {
			t = t.Set(ch.Key, ch.Value)
		}
	}
	return t
}
