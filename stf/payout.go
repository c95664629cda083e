package stf

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
)

// PayoutID names a payout for ever: the block whose execution asked for it,
// and its position among the payouts of that block.
type PayoutID struct {
	Block BlockNumber
	Index uint32
}

// Compare orders IDs by age.
func (id PayoutID) Compare(o PayoutID) int {
	return cmp.Or(cmp.Compare(id.Block, o.Block), cmp.Compare(id.Index, o.Index))
}

// hookIndex stands for the index of an event in the identity of what hooks and
// triggers unshield: no block has so many events.
const hookIndex = math.MaxUint32

// Effects are what the hooks and triggers of one block ask of the parentchain.
type Effects struct {
	list  []Effect
	taken int
}

// add keeps the effects of a hook that succeeded.
func (e *Effects) add(more []Effect) {
	if len(more) > 0 { // then there is an e
		e.list = append(e.list, more...)
	}
}

// Take returns what was added since the last time.
func (e *Effects) Take() []Effect {
	fresh := e.list[e.taken:]
	e.taken = len(e.list)
	return fresh
}

// Clone returns a copy, for a trial.
func (e *Effects) Clone() *Effects { return &Effects{slices.Clone(e.list), e.taken} }

// OpenPayout records an unshield until the parentchain has settled it. It is
// part of the state, because what becomes of the payout can change the state:
// workers that disagree on what is owed show it in their state roots at once.
func (a *App) OpenPayout(o *state.Overlay, id PayoutID, u Unshield) {
	a.system.Payouts.Set(plain{o}, id, u)
}

// ClosePayout forgets a payout that was made or refunded.
func (a *App) ClosePayout(o *state.Overlay, id PayoutID) { a.system.Payouts.Delete(plain{o}, id) }

// Payouts iterates over the open payouts, in no order of meaning.
func (a *App) Payouts(kv pallet.ReadKV) iter.Seq2[PayoutID, Unshield] {
	return a.system.Payouts.All(plainReader{kv})
}

// Refund credits an unshield that will never be paid to whom it was taken
// from. The outcome is Returned, or NotReturned if the app refuses, and then
// nothing was changed. It never panics.
func (a *App) Refund(o *state.Overlay, env Env, u Unshield, id Identity) Result {
	refund := a.cfg.Refund
	if refund == nil {
		refund = a.cfg.Shield
	}
	if refund == nil {
		return refusal(NotReturned, nil)
	}
	op := &Operation{Call: DecodedCall{Sender: env.EnclaveAccount}, Identity: id}
	res := a.runOn(o, &env, op, a.cfg.GasPerCall, func(ctx Call) error {
		err := refund(ctx, u.From, u.Amount)
		if err == nil && len(ctx.f.effects) > 0 {
			panic("stf: a refund cannot unshield") // it would go round for ever
		}
		return err
	})
	if !res.Outcome.OK() {
		return Result{Outcome: Outcome{Code: NotReturned}, Gas: res.Gas, Err: res.Err}
	}
	res.Outcome.Code = Returned
	return res
}
