package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// recentBlocks is how many verified blocks are remembered: evidence that names
// an older one is stale. Nodes keep the state of as many.
const recentBlocks = 256

// chain is what this worker has verified of the parentchain, as far as the
// parts beside the core need it. It is safe for concurrent use.
type chain struct {
	node *parentchain.Client
	// trust is set once, before the first use.
	trust lightclient.Trust

	mu      sync.Mutex // guards what follows
	recent  []verified // consecutive, ascending
	changed chan struct{}
}

type verified struct {
	hash   hashing.Hash
	header header.Header
	// runtimeSince names the first block known to have the same code in its
	// state as this one: the same name means that the same code executes the next block.
	runtimeSince hashing.Hash
}

func newChain(node *parentchain.Client) *chain {
	return &chain{node: node, changed: make(chan struct{})}
}

// add appends the next verified block. A block that does not follow the last
// one starts anew: the core may begin further back than the heads were followed.
func (c *chain) add(h header.Header, hash hashing.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.recent); n > 0 && c.recent[n-1].hash != h.ParentHash {
		if h.Number <= c.recent[n-1].header.Number {
			return // known already
		}
		c.recent = nil
	}
	if len(c.recent) == recentBlocks {
		c.recent = append(c.recent[:0], c.recent[1:]...)
	}
	v := verified{hash, h, hash}
	if n := len(c.recent); n > 0 && !h.RuntimeUpdated() {
		v.runtimeSince = c.recent[n-1].runtimeSince
	}
	c.recent = append(c.recent, v)
	close(c.changed)
	c.changed = make(chan struct{})
}

// renewRuntime says that the block after the last one, if that is hash, may have
// another runtime. Mostly the header says so, but not always.
func (c *chain) renewRuntime(hash hashing.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.recent); n > 0 && c.recent[n-1].hash == hash {
		c.recent[n-1].runtimeSince = c.recent[n-1].hash
	}
}

// latest returns the last verified block; ok is false before the first.
func (c *chain) latest() (v verified, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.recent) == 0 {
		return v, false
	}
	return c.recent[len(c.recent)-1], true
}

// waitPast waits until a block after n is verified.
func (c *chain) waitPast(ctx context.Context, n header.Number) (verified, error) {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if v, ok := c.latest(); ok && v.header.Number > n {
			return v, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return verified{}, ctx.Err()
		}
	}
}

// waitStart waits until any block is verified.
func (c *chain) waitStart(ctx context.Context) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if _, ok := c.latest(); ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// checkRecent refuses a block that is too old or not on the verified chain. A
// later one than the last verified is fine (see ratls.Terms).
func (c *chain) checkRecent(hash hashing.Hash, n header.Number) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.recent) == 0 {
		return errors.New("no block verified yet")
	}
	first, last := c.recent[0].header.Number, c.recent[len(c.recent)-1].header.Number
	switch {
	case n > last:
		return nil
	case n < first:
		return fmt.Errorf("block %d is older than block %d", n, first)
	case c.recent[n-first].hash != hash:
		return fmt.Errorf("block %d is %s here", n, c.recent[n-first].hash)
	}
	return nil
}

// recentBlock is what own evidence names; zero before the first block.
func (c *chain) recentBlock() (hashing.Hash, header.Number) {
	v, _ := c.latest()
	return v.hash, v.header.Number
}

// find returns a block that is among the last verified ones.
func (c *chain) find(hash hashing.Hash) (v verified, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range slices.Backward(c.recent) {
		if v.hash == hash {
			return v, true
		}
	}
	return v, false
}

// prove reads storage, proven, in the state after the last verified block.
func (c *chain) prove(ctx context.Context, keys ...[]byte) ([]trie.ProofValue, verified, error) {
	at, ok := c.latest()
	if !ok {
		return nil, at, errors.New("no block verified yet")
	}
	values, err := c.proveAt(ctx, at, keys...)
	return values, at, err
}

// proveAt is prove for the state after a given verified block.
func (c *chain) proveAt(ctx context.Context, at verified, keys ...[]byte) ([]trie.ProofValue, error) {
	turn := c.node.Turn()
	proof, err := c.node.ReadProof(ctx, keys, at.hash)
	if err != nil {
		judge(c.node, turn, err)
		return nil, err
	}
	values, err := c.trust.Values(at.header.StateRoot, proof, keys...)
	if err != nil {
		err = fmt.Errorf("block %d: %w", at.header.Number, err)
		judge(c.node, turn, err)
		return nil, err
	}
	return values, nil
}

// decodeProven decodes a proven value into v; false if it is proven absent.
func decodeProven(p trie.ProofValue, v any) (bool, error) {
	if !p.Present {
		return false, nil
	}
	return true, scale.Unmarshal(p.Value, v)
}

// syncHeads verifies finality to what the node calls final, without bodies,
// and adds it to the chain.
// keep is given each part; its error ends this, and what it was given does not
// come again.
func (c *chain) syncHeads(ctx context.Context, f finality, keep func([]lightclient.FinalHeader) error) error {
	head, err := c.node.FinalizedHeader(ctx)
	if err != nil {
		return err
	}
	for f.state().Number < head.Number {
		hash, err := c.node.BlockHash(ctx, f.state().Number+1)
		if err != nil {
			return err
		}
		first, err := c.node.Header(ctx, hash)
		if err != nil {
			return err
		}
		final, err := f.advance(ctx, *first, nil)
		if err != nil {
			return err
		}
		for _, h := range final {
			c.add(h.Header(), h.Hash())
		}
		if err := keep(final); err != nil {
			return err
		}
	}
	return nil
}
