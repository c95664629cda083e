package stf

import (
	"fmt"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// MaxInternalDepth is how many internal calls ([Call.As], [Call.Try]) can be made
// within each other. Part of what every worker must do alike: changing it is a new
// logic version.
const MaxInternalDepth = 16

// ErrTooDeep is what an internal call ends with instead of being made within
// MaxInternalDepth others. A call that returns it ends with the outcome TooDeep.
var ErrTooDeep error = &chainError{TooDeep, fmt.Errorf("%d are within each other", MaxInternalDepth)}

// As makes an internal call: it runs fn with a context in which another account
// is the sender, usually to use calls of another module.
//
//	err := ctx.As(escrow, func(ctx stf.Call) error { return m.token.Transfer(ctx, seller, price) })
//
// If fn returns an error, what it wrote, emitted and asked for is undone, As
// returns the error, and the call goes on. A panic, and gas above the ceiling, end
// the whole call. Gas, events and the receipt are those of the call. While fn runs
// the context that As was called on cannot be used. Nothing is checked: whoever
// calls As decides that the account would agree, and that the app's Fee, Filter
// and nonces are not asked.
func (c Call) As(sender AccountID, fn func(Call) error) error {
	op := *c.f.op
	op.Call, op.Delegate = DecodedCall{Sender: sender}, nil
	return c.f.internal(&op, fn)
}

// Try is [Call.As] with the sender, delegate and encoded call of the context.
func (c Call) Try(fn func(Call) error) error { return c.f.internal(c.f.op, fn) }

// As makes an internal call like [Call.As]. A hook has no receipt, so nobody
// sees the events of what it calls.
func (h Hook) As(sender AccountID, fn func(Call) error) error {
	op := &Operation{Call: DecodedCall{Sender: sender}, Identity: Identity{h.f.env.Number, hookIndex}}
	return h.f.internal(op, fn)
}

func (f *frame) internal(op *Operation, fn func(Call) error) error {
	f.charge(GasInternal)
	if f.depth == MaxInternalDepth {
		return ErrTooDeep
	}
	r, child := f.root, f.write.Child()
	in := &frame{app: f.app, env: f.env, read: child, write: child, op: op, root: r, depth: f.depth + 1}
	events, effects, kept := len(r.events), len(r.effects), false
	f.inside = true
	defer func() { // also for a panic that somebody recovers from
		f.inside, in.closed = false, true
		if !kept {
			r.events, r.effects = r.events[:events], r.effects[:effects]
		}
	}()
	if err := fn(Call{base{in}}); err != nil {
		return err
	}
	child.Merge()
	kept = true
	return nil
}

// ModuleAccount returns the account of a name, for which nobody can sign: what a
// module keeps in its own name it spends by [Call.As]. Choose names that nobody
// else has, such as the module's path. It is
//
//	BLAKE2b-256("ocw/stf/account/1" ++ name)
func ModuleAccount(name string) AccountID {
	return AccountID(hashing.Blake2b256([]byte("ocw/stf/account/1"), []byte(name)))
}
