package enclave

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// How payouts are settled (RULES 22), and why all workers settle them alike:
//
// A payout is owed from the block on whose execution asked for it; the list of
// those owed is part of the private state. In every later block the core reads,
// by proof, EnclaveBridge.ExecutedUnshieldCalls of the call hashes of the
// oldest maxOpenPayouts (in the legacy layout Teerex.ExecutedCalls). As long as it has no entry the payout stays owed. In
// the first block that has one the payout leaves the list: if an unshield_funds
// that ran in this very block carries hash, shard, beneficiary and amount, and
// deposited its event, it was paid; else the hash is spent on something else,
// and the amount is refunded inside, in this block, behind its operations.
//
// The list before block n is a function of blocks 1 to n-1; keys, proven values,
// calls and events are those of block n. So a worker that follows, one that
// replays years later and one that restarts in between ask for the same keys
// and come to the same state. What a worker itself has sent, tried or given
// up does not enter: its tombstone counts like anybody's.
//
// A payout that waits for its place in the window has not been sent by any
// worker of ours. If its hash is spent meanwhile, by whoever guessed or copied
// it, that is found when its turn comes.

// requiredKeys returns the keys that the next block needs: of the shard's
// configuration, of the open payouts, of the shard's account while the app waits
// for extrinsics, what the app reads in every block and, where a new runtime
// waits for a block, of that.
func (c *Core) requiredKeys() [][]byte {
	l := &bridgeLayout // a guess while the runtime of the next block is unknown
	if c.runtime != nil {
		l = c.runtime.layout
	}
	keys := RequiredKeys(c.cfg.Trust.Shard, c.tip.Number+1)
	seen := map[hashing.Hash]bool{}
	for _, e := range c.outbox.open() {
		if hash := e.Payout.CallHash; !seen[hash] {
			seen[hash] = true
			keys = append(keys, l.spentKey(hash))
		}
	}
	more := slices.Clone(c.everyBlock.Keys())
	if c.cfg.App.HasChainCalls() && c.cfg.App.WatchesShardAccount(c.state.Snapshot()) {
		more = append(more, accountKey(c.shardAccount))
	}
	if c.runtime != nil && c.runtime.version.SystemVersion >= pendingCodeVersion {
		more = append(more, pendingCodeKey)
	}
	for _, key := range more {
		if !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			keys = append(keys, key)
		}
	}
	return keys
}

// settlePayouts decides what became of the open payouts in the block. It
// returns those to be refunded; all that are over are in commit.Settled.
func (c *Core) settlePayouts(commit *Commit, b *lightclient.VerifiedBlock, s *scan) (refunds []*Effect, err error) {
	var ran map[hashing.Hash][]*ranPayment
	for _, e := range c.outbox.open() {
		spent, err := c.runtime.layout.isSpent(b, e.Payout.CallHash)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", commit.Number, err)
		}
		if !spent {
			continue
		}
		if ran == nil {
			ran = s.paymentsByHash()
		}
		commit.Settled = append(commit.Settled, e.ID)
		if !c.isPaid(e.Payout, ran[e.Payout.CallHash]) {
			refunds = append(refunds, e)
			commit.noteSpent(c, e.Payout, ran[e.Payout.CallHash])
		}
	}
	return refunds, nil
}

// isSpent reads by proof whether a call hash has been used.
func (l *layout) isSpent(b *lightclient.VerifiedBlock, hash hashing.Hash) (bool, error) {
	value, present, err := b.Storage(l.spentKey(hash))
	if err != nil {
		return false, fmt.Errorf("enclave: call hash of a payout: %w", err)
	}
	if !present {
		return false, nil
	}
	var count uint64
	if err := scale.Unmarshal(value, &count); err != nil {
		return false, fmt.Errorf("%w: %s.%s has an unknown layout: %w", ErrFatal, l.spent[0], l.spent[1], err)
	}
	return count > 0, nil
}

// ranPayment is an unshield_funds that ran in a block.
type ranPayment struct {
	payment
	extrinsic uint32
	counted   bool // as some payout's
}

func (s *scan) paymentsByHash() map[hashing.Hash][]*ranPayment {
	out := map[hashing.Hash][]*ranPayment{}
	for i := range s.extrinsics {
		for _, p := range s.extrinsics[i].payments {
			out[p.args.CallHash] = append(out[p.args.CallHash], &ranPayment{payment: p, extrinsic: uint32(i)})
		}
	}
	return out
}

func (c *Core) isPaid(p *Payout, ran []*ranPayment) bool {
	for _, r := range ran {
		if r.paid && !r.counted && r.args.Shard == c.cfg.Trust.Shard && r.args.Beneficiary == p.Beneficiary && r.args.Amount == p.Amount {
			r.counted = true // should two payouts ever have one hash, it paid one
			return true
		}
	}
	return false
}

// noteSpent raises an alarm for a payout whose hash was spent, unless that was
// a worker of the shard giving it up.
func (commit *Commit) noteSpent(c *Core, p *Payout, ran []*ranPayment) {
	alarm := Alarm{Kind: AlarmConsumed}
	if len(ran) > 0 {
		if r := ran[0]; r.args.Shard == c.cfg.Trust.Shard && r.args.Beneficiary == p.Beneficiary && r.args.Amount.IsZero() {
			return
		}
		alarm.Extrinsic = &ran[0].extrinsic
	}
	commit.Alarms = append(commit.Alarms, alarm)
}

// refund credits payouts that will never be made. Their receipts stand behind
// those of the block's events, in the order of the payouts, under the call
// hash as operation hash and for the account that is credited: the operation
// itself has a receipt of its own.
func (c *Core) refund(commit *Commit, o *state.Overlay, env stf.Env, refunds []*Effect, events uint32) {
	for i, e := range refunds {
		p := e.Payout
		id := stf.Identity{Block: commit.Number, Index: events + uint32(i)}
		c.step(Step{StepRefund, id})
		r := c.cfg.App.Refund(o, env, p.unshield(), id)
		if r.Outcome.Code != stf.Returned {
			commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmNotReturned})
		}
		commit.Receipts = append(commit.Receipts, stf.Receipt{
			Block: id.Block, Index: id.Index, OperationHash: &p.CallHash, Sender: &p.From, Outcome: r.Outcome, Gas: r.Gas, Events: r.Events,
		})
	}
}

// recordPayouts brings the state's list of payouts up to date with the commit.
func (c *Core) recordPayouts(commit *Commit, o *state.Overlay) {
	for _, id := range commit.Settled {
		c.cfg.App.ClosePayout(o, stf.PayoutID(id))
	}
	for _, e := range commit.Added {
		c.cfg.App.OpenPayout(o, stf.PayoutID(e.ID), e.Payout.unshield())
	}
}

func newPayout(u *stf.Unshield) *Payout {
	return &Payout{Beneficiary: u.Beneficiary, Amount: u.Amount, CallHash: u.CallHash, From: u.From}
}

func (p *Payout) unshield() stf.Unshield {
	return stf.Unshield{Beneficiary: p.Beneficiary, Amount: p.Amount, CallHash: p.CallHash, From: p.From}
}

// checkPayouts compares the outbox with the list in the state.
func (c *Core) checkPayouts() (err error) {
	defer func() {
		if p := recover(); p != nil { // by an entry that does not decode
			err = fmt.Errorf("payouts in the state: %v", p)
		}
	}()
	n := 0
	for id, u := range c.cfg.App.Payouts(c.state.Snapshot()) {
		e := c.outbox.find(EffectID(id))
		if e == nil || e.Payout == nil || e.Payout.unshield() != u {
			return fmt.Errorf("the outbox lacks payout %d of block %d, which is in the state", id.Index, id.Block)
		}
		n++
	}
	if n != len(c.outbox.payouts) {
		return fmt.Errorf("the outbox holds %d payouts, the state %d", len(c.outbox.payouts), n)
	}
	return nil
}

// checkUnshieldCalls checks that a runtime keeps the used call hashes where
// they are looked for.
func (r *runtimeInfo) checkUnshieldCalls() error {
	name := r.layout.calls[callUnshield]
	if _, ok := r.meta.CallIndex(name[0], name[1]); !ok {
		return nil
	}
	var hash hashing.Hash
	e, ok := r.meta.StorageEntry(r.layout.spent[0], r.layout.spent[1])
	if ok {
		key, err := e.Key(hash[:])
		ok = err == nil && bytes.Equal(key, r.layout.spentKey(hash)) && r.isPrimitive(e.ValueType, metadata.U64)
	}
	if !ok {
		return fmt.Errorf("%w: spec version %d has unshield_funds, but not the map %s.%s as we know it", ErrFatal, r.specVersion, r.layout.spent[0], r.layout.spent[1])
	}
	return nil
}

// RequiredKeys returns the storage keys of which the worker must prove the
// values, beside System.Events, at the block after the last adopted one: no
// others and none less. They are the same on every worker, and in an archive
// of proofs. What they will be at a later block is not known yet, for number
// further ahead they are a guess. Any goroutine may call it; the caller must
// not change the keys.
func (c *Core) RequiredKeys(_ header.Number) [][]byte { return c.view.Load().required }
