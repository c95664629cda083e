package enclave

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
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

// Effect is an extrinsic owed to the parentchain: exactly one of Confirm and
// Payout is set.
type Effect struct {
	ID EffectID
	// Attempts counts the attempts of this worker that are proven to have failed.
	Attempts uint32
	// Consumed is set for a payout whose call hash was used for something
	// else: sending it would do nothing, and it must not be sent.
	Consumed bool
	Confirm  *Confirm
	Payout   *Payout
}

// Confirm asks for EnclaveBridge.confirm_processed_parentchain_block. It is
// done once this worker's account is proven to have confirmed the block.
type Confirm struct {
	Number header.Number
	Hash   hashing.Hash
	Root   hashing.Hash // trusted_calls_merkle_root
}

// Payout asks for EnclaveBridge.unshield_funds. It is done once anybody is
// proven to have paid it.
type Payout struct {
	Beneficiary keyring.AccountID
	Amount      stf.Balance
	CallHash    hashing.Hash
}

// Call returns the encoded call of the effect for a runtime: pallet index,
// call index, arguments. The error wraps metadata.ErrNotFound if the runtime
// has no such call.
func (e Effect) Call(m *metadata.Metadata, shard integritee.ShardID) ([]byte, error) {
	name := callNames[callUnshield]
	var args any
	if e.Confirm != nil {
		name = callNames[callConfirm]
		args = integritee.ConfirmArgs{Shard: shard, BlockHash: e.Confirm.Hash, BlockNumber: e.Confirm.Number, Root: e.Confirm.Root}
	} else {
		args = integritee.UnshieldFundsArgs{Shard: shard, Beneficiary: e.Payout.Beneficiary, Amount: e.Payout.Amount, CallHash: e.Payout.CallHash}
	}
	index, ok := m.CallIndex(name[0], name[1])
	if !ok {
		return nil, fmt.Errorf("%w: call %s.%s", metadata.ErrNotFound, name[0], name[1])
	}
	return scale.Append(index[:], args)
}

// outbox holds what is owed, by ascending ID.
type outbox struct {
	entries  []*Effect
	confirms map[hashing.Hash]*Effect   // by block hash
	payouts  map[hashing.Hash][]*Effect // by call hash; more than one only if the app repeats a hash
}

func (o *outbox) add(e Effect) {
	if o.confirms == nil {
		o.confirms, o.payouts = map[hashing.Hash]*Effect{}, map[hashing.Hash][]*Effect{}
	}
	p := &e
	o.entries = append(o.entries, p)
	if e.Confirm != nil {
		o.confirms[e.Confirm.Hash] = p
	} else {
		o.payouts[e.Payout.CallHash] = append(o.payouts[e.Payout.CallHash], p)
	}
}

func (o *outbox) find(id EffectID) (int, bool) {
	return slices.BinarySearchFunc(o.entries, id, func(e *Effect, id EffectID) int { return e.ID.Compare(id) })
}

// apply makes the changes of a commit. IDs that are not there are ignored.
func (o *outbox) apply(commit *Commit) {
	for _, id := range commit.Failed {
		if i, ok := o.find(id); ok {
			o.entries[i].Attempts++
		}
	}
	for _, id := range commit.Consumed {
		if i, ok := o.find(id); ok {
			o.entries[i].Consumed = true
		}
	}
	for _, id := range commit.Settled {
		i, ok := o.find(id)
		if !ok {
			continue
		}
		e := o.entries[i]
		o.entries = slices.Delete(o.entries, i, i+1)
		if e.Confirm != nil {
			delete(o.confirms, e.Confirm.Hash)
			continue
		}
		hash := e.Payout.CallHash
		o.payouts[hash] = slices.DeleteFunc(o.payouts[hash], func(p *Effect) bool { return p == e })
		if len(o.payouts[hash]) == 0 {
			delete(o.payouts, hash)
		}
	}
	for _, e := range commit.Added {
		o.add(e)
	}
}

// list returns copies of the entries. What they point to is never changed.
func (o *outbox) list() []Effect {
	out := make([]Effect, len(o.entries))
	for i, e := range o.entries {
		out[i] = *e
	}
	return out
}
