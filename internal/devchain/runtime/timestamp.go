package runtime

import (
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
)

// Timestamp is the pallet Timestamp, index 3.
type Timestamp struct {
	Now       pallet.Value[uint64] // ms since 1970
	DidUpdate pallet.Value[bool]   // within a block only

	onSet func(ctx *Context, now uint64) error // nil for nothing
}

// minimumPeriod is the least time between two blocks in ms. It lets instant
// blocks follow each other without their clock running far ahead.
const minimumPeriod = 1

func (t *Timestamp) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Timestamp", Index: 3, Module: t, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"Set": 0}),
		Constants: []pallet.Constant{{Name: "MinimumPeriod", Value: uint64(minimumPeriod), Doc: "The minimum period between blocks, in milliseconds."}},
	}
}

// Set is the inherent that opens every block.
func (t *Timestamp) Set(ctx *Context, args struct {
	Now scale.CompactU64 `metadata:"now,T::Moment"`
}) error {
	if ctx.origin.kind != originNone {
		return errBadOrigin
	}
	now, last := uint64(args.Now), t.Now.Get(ctx)
	if t.DidUpdate.Exists(ctx) || last != 0 && now < last+minimumPeriod {
		return InvalidBadMandatory
	}
	t.Now.Set(ctx, now)
	t.DidUpdate.Set(ctx, true)
	if t.onSet != nil {
		return t.onSet(ctx, now)
	}
	return nil
}
