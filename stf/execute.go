package stf

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
)

// Operation is a trusted call whose signature was verified.
type Operation struct {
	Call     DecodedCall
	Nonce    uint32
	Delegate *AccountID // who signed, if not the sender
	CallHash Hash       // BLAKE2b-256 of SCALE(TrustedCallSigned)
	Identity Identity
	// Declared is what [App.Declare] says of the call, admitted in its block.
	Declared *Declared
	// Budget is that of the block; nil leaves the ceiling of one call alone.
	Budget *Budget

	limit uint64 // gas, from the budget
}

// Execute runs an operation from the delegate's authority on: authority,
// refused before, nonce, fee, filter, call (RULES 11, 12). A refusal leaves
// the state as it was but for what RULES 12 remembers; after the fee, nonce
// and fee stay and everything else is undone on error or panic. It never
// panics. The overlay's base must hold the state after the operations before.
func (a *App) Execute(o *state.Overlay, env Env, op Operation) (res Result) {
	own := o.Child()
	x := &struct {
		env Env
		op  Operation
	}{env, op} // frames refer to both
	defer func() {
		// The framework itself panics only on a state that this app did not
		// write; then nothing is kept.
		if p := recover(); p != nil {
			res = Result{Outcome: Outcome{Code: Panicked}, Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	x.op.limit = a.cfg.GasPerCall
	if op.Budget != nil {
		x.op.limit = op.Budget.next()
		defer func() { op.Budget.spend(res.Gas) }()
	}
	res = a.execute(own, &x.env, &x.op)
	own.Merge()
	return res
}

func (a *App) execute(o *state.Overlay, env *Env, op *Operation) Result {
	e := a.calls[a.pathOf(op.Call.Path)]
	if e == nil || env.Number < e.since {
		return refusal(UnknownCall, ErrUnknownCall)
	}
	if op.Delegate != nil && !a.mayCall(o, env, op) {
		return refusal(NotAuthorized, nil)
	}
	w := plain{o}
	if a.system.Refused.Contains(w, nonceOf{op.Call.Sender, op.Nonce}, op.CallHash) {
		return refusal(FailedBefore, nil)
	}
	// The last nonce is never used: the next one would be 0 again.
	if nonce := a.system.Nonces.Get(w, op.Call.Sender); op.Nonce != nonce || nonce == math.MaxUint32 {
		if op.Nonce >= nonce { // else the nonce has passed it already
			a.system.refuse(w, op, env.Number)
		}
		return refusal(BadNonce, nil)
	}
	run := func(ctx Call) error {
		if err := op.Declared.Err(); err != nil {
			return err
		}
		ctx.Charge(GasDeclare * uint64(len(op.Declared.Keys())))
		args, err := e.call.Decode(scale.NewDecoder(op.Call.Args))
		if err != nil {
			return err // not for a call from DecodeCall
		}
		return e.call.Run(ctx, args)
	}
	if a.cfg.Legacy {
		return a.executeLegacy(o, env, op, run)
	}
	var fee Result
	if a.cfg.Fee != nil {
		fee = a.runOn(o, env, op, a.cfg.GasPerCall, func(ctx Call) error { return a.fee(ctx, op) })
	}
	if !fee.Outcome.OK() {
		a.system.refuse(w, op, env.Number)
		return refusal(FeeUnpaid, fee.Err)
	}
	a.system.pass(w, op)

	if res := a.filter(o, env, op); !res.Outcome.OK() {
		res.Events = fee.Events
		return res
	}
	res := a.runOn(o, env, op, op.limit, run)
	res.Events = append(fee.Events, res.Events...)
	return res
}

// executeLegacy runs a call whose nonce counts only if it succeeds. One that
// fails could be sent again by anybody, so it is remembered like one whose fee
// was not paid (RULES 25).
func (a *App) executeLegacy(o *state.Overlay, env *Env, op *Operation, run func(Call) error) Result {
	res := a.filter(o, env, op)
	if res.Outcome.OK() {
		res = a.runOn(o, env, op, op.limit, run)
	}
	if res.Outcome.OK() {
		a.system.pass(plain{o}, op)
	} else {
		a.system.refuse(plain{o}, op, env.Number)
	}
	return res
}

func refusal(code Code, err error) Result { return Result{Outcome: Outcome{Code: code}, Err: err} }

// runOn runs fn, with so much gas, in a child of o, which is merged if fn succeeds
// and dropped with its events and effects if not.
func (a *App) runOn(o *state.Overlay, env *Env, op *Operation, gas uint64, fn func(Call) error) Result {
	child := o.Child()
	f := a.newWritingFrame(env, child, op)
	f.limit = gas
	outcome, err := a.end(f, func() error { return fn(Call{base{f}}) })
	if !outcome.OK() {
		return Result{Outcome: outcome, Gas: f.gas, Err: err}
	}
	child.Merge()
	return Result{Gas: f.gas, Events: f.events, Effects: f.effects}
}

// end runs fn in a frame and says how it ended.
func (a *App) end(f *frame, fn func() error) (outcome Outcome, err error) {
	err, panicked := f.run(func() error {
		err := fn()
		if err != nil {
			outcome = a.outcome(err) // in the frame, since it asks methods of the app's error
		}
		return err
	})
	switch {
	case panicked:
		outcome = Outcome{Code: Panicked}
	case err == errOutOfGas && f.limit < a.cfg.GasPerCall:
		outcome = Outcome{Code: BlockFull}
	case err == errOutOfGas, f.failed != nil:
		outcome = a.outcome(err) // whatever fn made of it
	}
	return outcome, err
}

// outcome gives an error its numbers.
func (a *App) outcome(err error) Outcome {
	if err == errOutOfGas {
		return Outcome{Code: OutOfGas}
	}
	var chain *chainError
	if errors.As(err, &chain) {
		return Outcome{Code: chain.code}
	}
	if m, code, ok := a.errors.ModuleError(err); ok {
		return Outcome{Code: ModuleError, Module: m, Error: code}
	}
	return Outcome{Code: Failed}
}

func (a *App) fee(ctx Call, op *Operation) error {
	err := a.cfg.Fee(ctx, op.Call)
	if err == nil && len(ctx.f.effects) > 0 {
		panic("stf: a fee cannot unshield")
	}
	return err
}

func (a *App) mayCall(o *state.Overlay, env *Env, op *Operation) (ok bool) {
	if a.cfg.MayCall == nil {
		return false
	}
	f := a.newFrame(env, o)
	err, _ := f.run(func() error {
		ok = a.cfg.MayCall(Query{base{f}}, op.Call, *op.Delegate)
		return nil
	})
	return ok && err == nil
}

// filter returns a result with the outcome of the app's filter.
func (a *App) filter(o *state.Overlay, env *Env, op *Operation) Result {
	if a.cfg.Filter == nil {
		return Result{}
	}
	f := a.newFrame(env, o)
	outcome, err := a.end(f, func() error { return a.cfg.Filter(Query{base{f}}, op.Call) })
	return Result{Outcome: outcome, Err: err}
}

// Shield credits amount to who: what the framework does itself for a
// ShieldFunds event. On any error nothing is credited. It never panics.
//
// The result holds neither gas nor events: whoever pays a shielding may have
// copied the encrypted beneficiary, and must not learn about that account.
func (a *App) Shield(o *state.Overlay, env Env, who AccountID, amount Balance, id Identity) Result {
	if a.cfg.Shield == nil {
		return refusal(NotCredited, nil)
	}
	op := &Operation{Call: DecodedCall{Sender: env.EnclaveAccount}, Identity: id}
	if a.shieldPath != nil {
		raw := scale.AppendU128(slices.Concat(a.shieldPath, env.EnclaveAccount[:], who[:]), amount)
		op.Call = a.DecodeCall(scale.NewDecoder(raw))
	}
	r := a.runOn(o, &env, op, a.cfg.GasPerCall, func(ctx Call) error { return a.cfg.Shield(ctx, who, amount) })
	return Result{Outcome: r.Outcome, Effects: r.Effects, Err: r.Err}
}
