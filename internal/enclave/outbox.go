package enclave

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// EffectID names an effect for ever: the block that gave rise to it and its
// position among the effects of that block. IDs ascend in sending order.
type EffectID struct {
	Block header.Number
	Index uint32
}

// Compare orders IDs.
func (id EffectID) Compare(other EffectID) int {
	return cmp.Or(cmp.Compare(id.Block, other.Block), cmp.Compare(id.Index, other.Index))
}

// Effect is an extrinsic owed to the parentchain: exactly one of Confirm,
// Payout and Publish is set.
type Effect struct {
	ID EffectID
	// Attempts counts the attempts of this worker that are proven to have failed.
	Attempts uint32
	// Unpayable counts those among them that the parentchain refused because
	// of the transfer itself, and not because of who asked for it.
	Unpayable uint32
	Confirm   *Confirm
	Payout    *Payout
	// Publish asks for EnclaveBridge.publish_hash. It is done once this worker's
	// account is proven to have published the same; a newer one replaces it.
	Publish *roots.Publication
}

// TombstoneAfter is how often a payout is tried before its worker gives it up
// and uses its call hash for nothing, so that the amount is refunded (RULES
// 22). With pauses that double it is tried for about 60 blocks.
const TombstoneAfter = 6

// Tombstone reports whether the payout is given up.
func (e Effect) Tombstone() bool { return e.Payout != nil && e.Unpayable >= TombstoneAfter }

// Confirm asks for EnclaveBridge.confirm_processed_parentchain_block. It is
// done once this worker's account is proven to have confirmed the block.
type Confirm struct {
	Number header.Number
	Hash   hashing.Hash
	Root   hashing.Hash // trusted_calls_merkle_root
}

// Payout asks for EnclaveBridge.unshield_funds. It is over once its call hash
// is proven used: by whoever paid it, or else it is refunded inside.
type Payout struct {
	Beneficiary keyring.AccountID
	Amount      stf.Balance
	CallHash    hashing.Hash
	From        stf.AccountID // inside; private
}

// Call returns the encoded call of the effect for a runtime: pallet index,
// call index, arguments. That of a tombstone pays nothing. The error wraps
// metadata.ErrNotFound if the runtime has no such call.
func (e Effect) Call(m *metadata.Metadata, shard integritee.ShardID) ([]byte, error) {
	l := layoutOf(m)
	var name [2]string
	var args any
	switch {
	case e.Confirm != nil:
		name, args = l.calls[callConfirm], l.confirmCall(shard, e.Confirm)
	case e.Publish != nil:
		name, args = publishCall, e.Publish.Call(shard)
	default:
		amount := e.Payout.Amount
		if e.Tombstone() {
			amount = stf.Balance{}
		}
		name, args = l.calls[callUnshield], l.unshieldCall(shard, e.Payout, amount)
	}
	index, ok := m.CallIndex(name[0], name[1])
	if !ok {
		return nil, fmt.Errorf("%w: call %s.%s", metadata.ErrNotFound, name[0], name[1])
	}
	return scale.Append(index[:], args)
}

// maxOpenPayouts is how many payouts are watched at a time, the oldest; the
// others wait. It bounds the read proof that each block needs. It decides in
// which block a payout that nobody should have touched yet is refunded, so
// it is part of every shard's history.
const maxOpenPayouts = 1024

// outbox holds what is owed, by ascending ID.
type outbox struct {
	entries []*Effect
	payouts []*Effect // those of entries
	// publications are those of entries, a few.
	publications []*Effect
	confirms     map[hashing.Hash]*Effect // by block hash
}

func (o *outbox) add(e Effect) {
	if o.confirms == nil {
		o.confirms = map[hashing.Hash]*Effect{}
	}
	p := &e
	o.entries = append(o.entries, p)
	switch {
	case e.Confirm != nil:
		o.confirms[e.Confirm.Hash] = p
	case e.Publish != nil:
		o.publications = append(o.publications, p)
	default:
		o.payouts = append(o.payouts, p)
	}
}

func (o *outbox) find(id EffectID) *Effect {
	i, ok := slices.BinarySearchFunc(o.entries, id, func(e *Effect, id EffectID) int { return e.ID.Compare(id) })
	if !ok {
		return nil
	}
	return o.entries[i]
}

// open returns the payouts that are watched and may be sent.
func (o *outbox) open() []*Effect { return o.payouts[:min(len(o.payouts), maxOpenPayouts)] }

// apply makes the changes of a commit. IDs that are not there are ignored.
func (o *outbox) apply(commit *Commit) {
	for _, id := range commit.Failed {
		if e := o.find(id); e != nil {
			e.Attempts++
		}
	}
	for _, id := range commit.Unpayable {
		if e := o.find(id); e != nil {
			e.Unpayable++
		}
	}
	if len(commit.Settled) > 0 {
		gone := map[*Effect]bool{}
		for _, id := range commit.Settled {
			if e := o.find(id); e != nil {
				gone[e] = true
				if e.Confirm != nil {
					delete(o.confirms, e.Confirm.Hash)
				}
			}
		}
		isGone := func(e *Effect) bool { return gone[e] }
		o.entries = slices.DeleteFunc(o.entries, isGone)
		o.payouts = slices.DeleteFunc(o.payouts, isGone)
		o.publications = slices.DeleteFunc(o.publications, isGone)
	}
	for _, e := range commit.Added {
		o.add(e)
	}
}

// list returns copies of the entries. What they point to is never changed.
func (o *outbox) list() []Effect { return copies(o.entries) }

// ready returns copies of the entries that may be sent.
func (o *outbox) ready() []Effect {
	waiting := map[*Effect]bool{}
	for _, e := range o.payouts[len(o.open()):] {
		waiting[e] = true
	}
	if len(waiting) == 0 {
		return o.list()
	}
	return copies(slices.DeleteFunc(slices.Clone(o.entries), func(e *Effect) bool { return waiting[e] }))
}

func copies(list []*Effect) []Effect {
	out := make([]Effect, len(list))
	for i, e := range list {
		out[i] = *e
	}
	return out
}
