package runtime

import (
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Utility is the pallet Utility, index 9: calls that run others.
type Utility struct{}

// batchedCallsLimit is how many calls a batch may hold.
const batchedCallsLimit = 10922

// The events of Utility.
type (
	BatchInterrupted struct {
		Index uint32
		Error system.DispatchError
	}
	BatchCompleted           struct{}
	BatchCompletedWithErrors struct{}
	ItemCompleted            struct{}
	ItemFailed               struct{ Error system.DispatchError }
	DispatchedAs             struct{ Result DispatchResult }
)

var errTooManyCalls = pallet.NewError(0, "TooManyCalls", "Too many calls batched.")

func (u *Utility) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Utility", Index: 9, Module: u, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"Batch": 0, "AsDerivative": 1, "BatchAll": 2, "DispatchAs": 3, "ForceBatch": 4, "WithWeight": 5}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: BatchInterrupted{}, Docs: []string{"Batch of dispatches did not complete fully. Index of first failing dispatch given, as well as the error."}},
			{Index: 1, Prototype: BatchCompleted{}, Docs: []string{"Batch of dispatches completed fully with no error."}},
			{Index: 2, Prototype: BatchCompletedWithErrors{}, Docs: []string{"Batch of dispatches completed but has errors."}},
			{Index: 3, Prototype: ItemCompleted{}, Docs: []string{"A single item within a Batch of dispatches has completed with no error."}},
			{Index: 4, Prototype: ItemFailed{}, Docs: []string{"A single item within a Batch of dispatches has completed with error."}},
			{Index: 5, Prototype: DispatchedAs{}, Docs: []string{"A call was dispatched."}},
		},
		Errors:    []*pallet.Error{errTooManyCalls},
		Constants: []pallet.Constant{{Name: "batched_calls_limit", Value: uint32(batchedCallsLimit), Doc: "The limit on the number of batched calls."}},
	}
}

type batchArgs = struct {
	Calls []RuntimeCall `metadata:"calls,Vec<<T as Config>::RuntimeCall>"`
}

// batchOrigin returns the origin of a batch.
func batchOrigin(ctx *Context, calls []RuntimeCall) (Origin, error) {
	if ctx.origin.kind == originNone {
		return Origin{}, errBadOrigin
	}
	if len(calls) > batchedCallsLimit {
		return Origin{}, errTooManyCalls
	}
	return ctx.origin, nil
}

// Batch runs calls until one fails. It succeeds itself.
func (u *Utility) Batch(ctx *Context, args batchArgs) error {
	origin, err := batchOrigin(ctx, args.Calls)
	if err != nil {
		return err
	}
	for i := range args.Calls {
		if err := ctx.dispatch(origin, &args.Calls[i]); err != nil {
			ctx.deposit(BatchInterrupted{uint32(i), ctx.rt.DispatchError(err)})
			return nil
		}
		ctx.deposit(ItemCompleted{})
	}
	ctx.deposit(BatchCompleted{})
	return nil
}

// BatchAll runs all calls or none. A BatchAll within it is filtered out, unless
// root runs it.
func (u *Utility) BatchAll(ctx *Context, args batchArgs) error {
	origin, err := batchOrigin(ctx, args.Calls)
	if err != nil {
		return err
	}
	origin = origin.filtered(func(c *RuntimeCall) bool { return !ctx.rt.is(c, "Utility", "batch_all") })
	for i := range args.Calls {
		if err := ctx.dispatch(origin, &args.Calls[i]); err != nil {
			return err
		}
		ctx.deposit(ItemCompleted{})
	}
	ctx.deposit(BatchCompleted{})
	return nil
}

// ForceBatch runs all calls, whichever fail.
func (u *Utility) ForceBatch(ctx *Context, args batchArgs) error {
	origin, err := batchOrigin(ctx, args.Calls)
	if err != nil {
		return err
	}
	failed := false
	for i := range args.Calls {
		if err := ctx.dispatch(origin, &args.Calls[i]); err != nil {
			failed = true
			ctx.deposit(ItemFailed{ctx.rt.DispatchError(err)})
		} else {
			ctx.deposit(ItemCompleted{})
		}
	}
	if failed {
		ctx.deposit(BatchCompletedWithErrors{})
	} else {
		ctx.deposit(BatchCompleted{})
	}
	return nil
}

// derivationPrefix begins what derivative and multisig accounts are hashes of.
const derivationPrefix = "modlpy/utilisuba"

// Derivative returns the account of an index that belongs to an account.
func Derivative(who keyring.AccountID, index uint16) keyring.AccountID {
	return keyring.AccountID(hashing.Blake2b256(scale.AppendU16(append([]byte(derivationPrefix), who[:]...), index)))
}

// AsDerivative runs a call on behalf of a derivative account of the sender.
func (u *Utility) AsDerivative(ctx *Context, args struct {
	Index uint16
	Call  RuntimeCall `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	return ctx.dispatch(ctx.origin.as(Derivative(who, args.Index)), &args.Call)
}

// DispatchAs runs a call on behalf of any origin; root only. It succeeds
// whatever becomes of the call.
func (u *Utility) DispatchAs(ctx *Context, args struct {
	AsOrigin OriginCaller `metadata:"as_origin,Box<T::PalletsOrigin>"`
	Call     RuntimeCall  `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	err := ctx.dispatchUnfiltered(args.AsOrigin.origin(), &args.Call)
	ctx.deposit(DispatchedAs{ctx.result(err)})
	return nil
}

// WithWeight runs a call as root with another weight, which is ignored here.
func (u *Utility) WithWeight(ctx *Context, args struct {
	Call   RuntimeCall `metadata:"call,Box<<T as Config>::RuntimeCall>"`
	Weight system.Weight
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	return ctx.dispatchUnfiltered(Root(), &args.Call)
}
