package enclave

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// How a core is made of another worker's snapshot, and what it believes:
//
// Given are a block that is proven final, and the roots of that block that
// workers of the shard have published. The state is under the state root. Block
// hash, state root and receipts root of each block that is kept are under the
// history, and receipts are under the receipts root of their block. What a core
// knows beside that comes from here:
//
//	Number, Hash, ParentHash, ChainRoot  the final header
//	ShardConfig, Now                     a read proof at it (JoinKeys)
//	StateRoot                            the published roots
//	CodeHash                             nothing: it is proven anew, as at the start block
//	Registered                           the caller, who knows its own account
//	LightClient                          the client that proved the header final
//	outbox                               payouts from the state; the rest is each worker's own
//	time of earlier blocks               unknown (0): no root covers it
//
// So the snapshot can be a lie, and then it is refused, or hold less than its
// writer has: roots and receipts of fewer blocks.

// ErrJoin is wrapped by errors about a JoinPoint.
var ErrJoin = errors.New("enclave: cannot join at this block")

// JoinPoint is a block after the shard's start at which a core can begin with
// the snapshot of another worker.
type JoinPoint struct {
	// Block is the block, proven final by the caller's light client since the
	// start that the trust config names.
	Block lightclient.FinalHeader
	// Proof is a read proof of JoinKeys at the block.
	Proof [][]byte
	// Published are the roots of the block. The caller must know that workers
	// whom it believes have published them: see [roots.Agreement].
	Published roots.Publication
	// Registered is the block, at most this one, in which the worker's account
	// registered with Teerex; nil if it has not yet. See [Core.Registered].
	Registered *header.Number
}

// timestampKey is the storage key of Timestamp.Now, a u64.
var timestampKey = hashing.StoragePrefix("Timestamp", "Now")

// JoinKeys returns the storage keys of which [Join] needs the values at its block.
func JoinKeys(shard integritee.ShardID) [][]byte {
	return [][]byte{shardConfigKey(shard), timestampKey}
}

// Join returns a core as it is after a block, from what another worker of the
// shard has written by [Core.SharedSnapshotWriter] at that block. It believes
// nothing of it: see above. The core is the one of a worker that has executed all
// blocks, but for the worker's own confirmations and publications of blocks up
// to this one, which it does not owe, and the times of earlier blocks.
//
// Errors of r are returned as they are. Others wrap ErrSnapshot, if another
// snapshot may do; ErrJoin, about the block or its proof; or ErrFatal, about the
// config. What is read takes the memory of the state with the published root,
// of what the config keeps, and of one frame with what it decodes to.
func Join(cfg Config, at JoinPoint, r io.Reader) (*Core, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	t, err := at.tip(&cfg.Trust)
	if err != nil {
		return nil, fmt.Errorf("%w: block %d: %w", ErrJoin, at.Block.Number(), err)
	}
	j := joiner{c: newCore(cfg, t), want: at.Published, frameReader: frameReader{r: r}}
	j.read()
	if j.err != nil {
		return nil, j.err
	}
	if err := j.c.owePayouts(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	j.c.publish()
	return j.c, nil
}

// tip returns what the block itself proves.
func (p *JoinPoint) tip(trust *TrustConfig) (t tip, err error) {
	head, client := p.Block.Header(), p.Block.State()
	switch {
	case head.Number <= trust.StartNumber:
		return t, fmt.Errorf("the shard starts at block %d", trust.StartNumber)
	case head.Number != p.Published.Number:
		return t, fmt.Errorf("the roots are of block %d", p.Published.Number)
	case p.Registered != nil && *p.Registered > head.Number:
		return t, fmt.Errorf("a registration in block %d", *p.Registered)
	}
	if err := trust.LightClient().CheckFinal(p.Block); err != nil {
		return t, err
	}
	values, err := trust.LightClient().Values(head.StateRoot, p.Proof, JoinKeys(trust.Shard)...)
	if err != nil {
		return t, err
	}
	t = tip{Number: head.Number, Hash: p.Block.Hash(), ParentHash: head.ParentHash, ChainRoot: head.StateRoot,
		StateRoot: p.Published.State, Registered: p.Registered, LightClient: client}
	if t.ShardConfig, err = decodeShardConfig(values[0].Value, values[0].Present); err != nil {
		return t, err
	}
	if values[1].Present {
		if err := scale.Unmarshal(values[1].Value, &t.Now); err != nil {
			return t, fmt.Errorf("Timestamp.Now has an unknown layout: %w", err)
		}
	}
	return t, nil
}

// joiner reads a shared snapshot; its first error sticks.
type joiner struct {
	frameReader
	c    *Core
	want roots.Publication
}

func (j *joiner) read() {
	var head sharedHead
	frame := j.next()
	if j.err == nil && len(frame) > 0 && frame[0] != sharedVersion {
		j.fail(fmt.Errorf("version %d, this program joins with %d", frame[0], sharedVersion))
	}
	if j.err == nil {
		j.fail(scale.Unmarshal(frame, &head))
	}
	if j.err == nil {
		j.fail(head.check(&j.c.cfg, j.want.Number))
	}
	for _, section := range []func(*sharedHead){j.readRoots, j.readReceipts, j.readState, j.readEnd} {
		if j.err == nil {
			section(&head)
		}
	}
}

func (h *sharedHead) check(cfg *Config, n header.Number) error {
	start := cfg.Trust.StartNumber
	switch {
	case h.Trust != cfg.Trust.Hash():
		return errors.New("it is of another trust config")
	case h.Keys != cfg.Keys.rootHash():
		return errors.New("it is of other key material")
	case h.Number != n:
		return fmt.Errorf("it is of block %d, not %d", h.Number, n)
	case h.RootsFrom < start || h.RootsFrom > n || (h.RootsFrom == start) != h.Before.IsZero():
		return fmt.Errorf("its roots from block %d on have another beginning", h.RootsFrom)
	case h.ReceiptsFrom < h.RootsFrom || h.ReceiptsFrom > n:
		return fmt.Errorf("receipts from block %d on, with roots from %d to %d", h.ReceiptsFrom, h.RootsFrom, n)
	}
	return nil
}

// readRoots takes the roots of blocks, which have to end in the history that
// was published.
func (j *joiner) readRoots(head *sharedHead) {
	t, history := &j.c.cfg.Trust, &j.c.history
	n := head.RootsFrom
	for b := range readList[sharedRoots](&j.frameReader) {
		kept := blockRoots{Block: b.Block, State: b.State, Receipts: b.Receipts}
		switch {
		case n > head.Number:
			j.fail(fmt.Errorf("roots of block %d", n))
		case n == t.StartNumber && (b.Block != t.StartHash || b.Receipts != trie.EmptyRoot):
			j.fail(errors.New("its roots of the start block are of another one"))
		case n == t.StartNumber:
			history.begin(n, kept, roots.StartHistory(t.Shard, b.Block, b.State))
		case n == head.RootsFrom:
			history.begin(n, kept, roots.NextHistory(head.Before, n, b.Block, b.State, b.Receipts))
		default:
			history.add(kept)
		}
		if j.err != nil {
			return
		}
		n++
	}
	if j.err == nil && n != head.Number+1 {
		j.fail(fmt.Errorf("no roots of block %d", n))
	}
	if j.err != nil {
		return
	}
	last := history.last()
	if last.Block != j.c.tip.Hash || last.State != j.want.State || last.Receipts != j.want.Receipts || last.history != j.want.History {
		j.fail(errors.New("its roots are not those that were published"))
		return
	}
	last.Now = j.c.tip.Now
}

// readReceipts takes the receipts of the blocks whose roots are kept.
func (j *joiner) readReceipts(head *sharedHead) {
	env := j.c.env(&j.c.tip, nil)
	next := max(head.ReceiptsFrom, j.c.history.first) // whose receipts are to come
	missing := func(end header.Number) error {
		for ; next < end; next++ {
			if k, _ := j.c.history.find(next); k.Receipts != trie.EmptyRoot {
				return fmt.Errorf("no receipts of block %d", next)
			}
		}
		return nil
	}
	if k, ok := j.c.history.find(head.ReceiptsFrom - 1); ok && k.Receipts == trie.EmptyRoot {
		j.fail(fmt.Errorf("all receipts from block %d on, and not from the one before, which has none", head.ReceiptsFrom))
		return
	}
	before := header.Number(0)
	for b := range readList[blockReceipts](&j.frameReader) {
		if b.Block < head.ReceiptsFrom || b.Block > head.Number || b.Block <= before || len(b.Receipts) == 0 {
			j.fail(fmt.Errorf("receipts of block %d", b.Block))
			return
		}
		before = b.Block
		kept, ok := j.c.history.find(b.Block)
		if !ok {
			continue // older than what this worker keeps
		}
		j.fail(missing(b.Block))
		if j.err == nil && env.ReceiptsRootOf(b.Receipts) != kept.Receipts {
			j.fail(fmt.Errorf("receipts of block %d that are not under its root", b.Block))
		}
		if j.err != nil {
			return
		}
		j.c.receipts.add(b.Block, b.Receipts)
		next = b.Block + 1
	}
	if j.err == nil {
		j.fail(missing(head.Number + 1))
	}
	j.c.receipts.add(head.Number, nil) // forgets what is too old there
}

func (j *joiner) readState(head *sharedHead) {
	private, err := state.Receive(j.c.cfg.Keys.prf(labelPRFState), head.Number, j.want.State, j.parts(), j.parts())
	j.fail(err)
	j.c.state = private
}

func (j *joiner) readEnd(*sharedHead) {
	if n, err := io.ReadFull(j.r, make([]byte, 1)); n > 0 {
		j.fail(scale.ErrTrailing)
	} else if !errors.Is(err, io.EOF) {
		j.err = err
	}
}

// owePayouts puts the payouts that the state holds into the outbox, in the order
// in which they were asked for.
func (c *Core) owePayouts() (err error) {
	defer func() {
		if p := recover(); p != nil { // by an entry that does not decode
			err = fmt.Errorf("payouts in the state: %v", p)
		}
	}()
	var all []Effect
	for id, u := range c.cfg.App.Payouts(c.state.Snapshot()) {
		all = append(all, Effect{ID: EffectID(id), Payout: newPayout(&u)})
	}
	slices.SortFunc(all, func(a, b Effect) int { return a.ID.Compare(b.ID) })
	for _, e := range all {
		c.outbox.add(e)
	}
	return nil
}
