package enclave

import (
	"slices"
)

// settle finds in the block what becomes of the confirmations that are owed,
// and the extrinsics of this worker's own account.
func (c *Core) settle(commit *Commit, s *scan) {
	done := map[EffectID]bool{}
	for i := range s.extrinsics {
		x := &s.extrinsics[i]
		if x.signer == nil || *x.signer != c.cfg.Account || c.cfg.Account.IsZero() {
			continue
		}
		commit.Own = append(commit.Own, OwnExtrinsic{Hash: x.hash, Nonce: x.nonce, Success: x.status == statusSuccess, Failure: slices.Clone(x.failure)})
		switch x.status {
		case statusSuccess:
			c.settleConfirms(commit, x, uint32(i), done)
			c.settlePublications(commit, x)
		case statusFailed:
			c.noteFailures(commit, x)
		}
	}
}

// settleConfirms looks for confirmations of blocks in one of our extrinsics.
func (c *Core) settleConfirms(commit *Commit, x *scanned, index uint32, done map[EffectID]bool) {
	for _, event := range x.confirms {
		e := c.outbox.confirms[event.hash]
		if event.shard != nil && *event.shard != c.cfg.Trust.Shard || e == nil || done[e.ID] {
			continue
		}
		if event.root != e.Confirm.Root {
			commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmOwnConfirmation, Extrinsic: &index})
		}
		done[e.ID] = true
		commit.Settled = append(commit.Settled, e.ID)
	}
}

// noteFailures counts failed attempts of ours.
func (c *Core) noteFailures(commit *Commit, x *scanned) {
	for _, e := range c.outbox.publications {
		if c.runtime.publishes(x.call, c.cfg.Trust.Shard, e.Publish) {
			commit.Failed = append(commit.Failed, e.ID)
		}
	}
	for _, call := range x.calls.confirms {
		if e := c.outbox.confirms[call.BlockHash]; e != nil && (c.runtime.layout.legacy || call.Shard == c.cfg.Trust.Shard) {
			commit.Failed = append(commit.Failed, e.ID)
		}
	}
	unpayable := c.runtime.refusesTransfer(x.failure)
	for _, call := range x.calls.unshields {
		for _, e := range c.outbox.payouts {
			if e.Payout.CallHash != call.CallHash {
				continue
			}
			commit.Failed = append(commit.Failed, e.ID)
			if unpayable {
				commit.Unpayable = append(commit.Unpayable, e.ID)
			}
		}
	}
}

// refusesTransfer reports whether data of System.ExtrinsicFailed, of an
// unshield_funds, says that the funds cannot be moved. All other failures are
// about the caller, such as an enclave that is not registered any more, or
// about the block: they say nothing of the payout.
func (r *runtimeInfo) refusesTransfer(data []byte) bool {
	index, ok := r.meta.EventIndex(systemPallet, "ExtrinsicFailed")
	if !ok || len(data) < 2 {
		return false
	}
	_, event, _ := r.meta.Event(index)
	if len(event.Fields) == 0 {
		return false
	}
	for _, v := range r.meta.Type(event.Fields[0].Type).Variants {
		if v.Index != data[0] {
			continue
		}
		switch v.Name {
		case "Token", "Arithmetic", "ConsumerRemaining", "NoProviders", "TooManyConsumers":
			return true
		case "Module":
			p := r.meta.PalletByIndex(data[1]) // first field in all layouts
			return p != nil && p.Name != bridgePallet && p.Name != teerexPallet
		}
	}
	return false
}
