package enclave

import (
	"slices"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// settle finds in the block what becomes of the effects that are owed, and the
// extrinsics of this worker's own account.
func (c *Core) settle(commit *Commit, s *scan) {
	done := map[EffectID]bool{}
	for i := range s.extrinsics {
		x := &s.extrinsics[i]
		c.settlePayouts(commit, x, uint32(i), done)
		if x.signer == nil || *x.signer != c.cfg.Account || c.cfg.Account.IsZero() {
			continue
		}
		commit.Own = append(commit.Own, OwnExtrinsic{Hash: x.hash, Nonce: x.nonce, Success: x.status == statusSuccess, Failure: slices.Clone(x.failure)})
		switch x.status {
		case statusSuccess:
			c.settleConfirms(commit, x, uint32(i), done)
		case statusFailed:
			c.noteFailures(commit, x)
		}
	}
}

// settlePayouts looks for calls that use the call hash of a pending payout
// (RULES 22). The hash pays once, whoever uses it first: a success with the
// right event is the payout, any other success means that the hash is gone.
func (c *Core) settlePayouts(commit *Commit, x *scanned, index uint32, done map[EffectID]bool) {
	for _, p := range x.payments {
		for _, e := range c.outbox.payouts[p.args.CallHash] {
			switch right := p.args.Shard == c.cfg.Trust.Shard && p.args.Beneficiary == e.Payout.Beneficiary && p.args.Amount == e.Payout.Amount; {
			case done[e.ID] || e.Consumed:
			case right && p.paid:
				done[e.ID] = true
				commit.Settled = append(commit.Settled, e.ID)
			default:
				// Another use of the hash, or the right one without a payment,
				// which means that the hash was used before, out of sight.
				done[e.ID] = true
				commit.Consumed = append(commit.Consumed, e.ID)
				commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmConsumed, Extrinsic: &index})
			}
		}
	}
}

// settleConfirms looks for confirmations of blocks in one of our extrinsics.
func (c *Core) settleConfirms(commit *Commit, x *scanned, index uint32, done map[EffectID]bool) {
	for _, event := range x.confirms {
		e := c.outbox.confirms[event.BlockHash]
		if event.Shard != c.cfg.Trust.Shard || e == nil || done[e.ID] {
			continue
		}
		if event.TrustedCallsMerkleRoot != e.Confirm.Root {
			commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmOwnConfirmation, Extrinsic: &index})
		}
		done[e.ID] = true
		commit.Settled = append(commit.Settled, e.ID)
	}
}

// noteFailures counts failed attempts of ours.
func (c *Core) noteFailures(commit *Commit, x *scanned) {
	for _, call := range x.calls.confirms {
		if e := c.outbox.confirms[call.BlockHash]; e != nil && call.Shard == c.cfg.Trust.Shard {
			commit.Failed = append(commit.Failed, e.ID)
		}
	}
	for _, call := range x.calls.unshields {
		c.notePayoutFailure(commit, call.CallHash)
	}
}

func (c *Core) notePayoutFailure(commit *Commit, callHash hashing.Hash) {
	for _, e := range c.outbox.payouts[callHash] {
		commit.Failed = append(commit.Failed, e.ID)
	}
}
