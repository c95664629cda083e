package runtime

import (
	"errors"
	"math"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Execution is a block being executed. It is used by one goroutine.
type Execution struct {
	// SkipSignatures leaves signatures unchecked, for blocks that were checked
	// before (replay).
	SkipSignatures bool

	rt     *Runtime
	ctx    *Context
	events []system.EventRecord
	phase  system.Phase
	weight PerDispatchClass[uint64]
	length int
	count  uint32
}

// Begin opens the block of a number over the state after its parent. logs are
// the digest items that its author gives it.
func (r *Runtime) Begin(base pallet.ReadKV, number header.Number, parent hashing.Hash, logs []header.DigestItem) *Execution {
	x := &Execution{rt: r, phase: system.Phase{Initialization: &struct{}{}}}
	x.ctx = &Context{rt: r, kv: state.NewOverlay(base), block: x}
	r.System.initialize(x.ctx, number, parent, logs)
	r.Scheduler.initialize(x.ctx)
	return x
}

// MinTimestamp returns the time in ms that the next block can have at the earliest,
// given the state after its parent.
func (r *Runtime) MinTimestamp(base pallet.ReadKV) uint64 {
	if now := r.Timestamp.Now.Get(reader{base}); now != 0 {
		return now + minimumPeriod
	}
	return 1
}

// TimestampInherent returns the extrinsic that every block must have before
// those that are signed, setting the time in ms since 1970.
func (r *Runtime) TimestampInherent(now uint64) []byte {
	return r.inherent(inherentTimestamp, scale.AppendCompact(nil, now))
}

// inherent returns the extrinsic of an unsigned call.
func (r *Runtime) inherent(index [2]byte, args []byte) []byte {
	version := uint8(5)
	if r.opts.BareV4 {
		version = 4
	}
	raw, err := extrinsic.EncodeBare(version, append(index[:], args...))
	if err != nil {
		panic(err) // versions 4 and 5 exist
	}
	return raw
}

// Applied is what became of an extrinsic that is in the block.
type Applied struct {
	Err  error // why its call failed, nil if it succeeded
	Info system.DispatchInfo
}

// Apply executes an extrinsic. An error (an [*Invalid] or [ErrUndecodable])
// means that it cannot be in this block, which is then as it was before.
func (x *Execution) Apply(raw []byte) (Applied, error) {
	xt, err := x.rt.decode(raw)
	if err != nil {
		return Applied{}, err
	}
	position := x.count
	x.phase = system.Phase{ApplyExtrinsic: &position}
	if xt.Signed == nil {
		return x.applyInherent(xt, len(raw))
	}
	return x.applySigned(xt, len(raw))
}

// transaction is a decoded extrinsic with its decoded call.
type transaction struct {
	*extrinsic.Extrinsic
	call *RuntimeCall
}

func (r *Runtime) decode(raw []byte) (*transaction, error) {
	xt, err := extrinsic.Decode(raw, r.Metadata)
	if err != nil {
		return nil, undecodable(err)
	}
	if xt.General != nil {
		return nil, UnknownNoValidator // no extension of ours authorizes one
	}
	call, err := r.decodeCall(xt.Call)
	if err != nil {
		return nil, undecodable(err)
	}
	return &transaction{xt, call}, nil
}

// inherentPosition returns the place of an inherent in a block, false if t is
// none.
func (r *Runtime) inherentPosition(t *transaction) (uint32, bool) {
	list, _ := r.inherents()
	i := slices.Index(list, t.Index())
	return uint32(max(i, 0)), i >= 0
}

func (x *Execution) applyInherent(t *transaction, length int) (Applied, error) {
	position, ok := x.rt.inherentPosition(t)
	if !ok {
		return Applied{}, UnknownNoValidator
	}
	if x.count != position {
		return Applied{}, InvalidBadMandatory
	}
	if err := x.take(system.Mandatory, length); err != nil {
		return Applied{}, err
	}
	info := system.DispatchInfo{Weight: weight(extrinsicWeight), Class: system.Mandatory}
	if err := x.ctx.dispatch(Origin{}, t.call); err != nil {
		return Applied{}, InvalidBadMandatory
	}
	x.done(nil, info)
	return Applied{Info: info}, nil
}

func (x *Execution) applySigned(t *transaction, length int) (Applied, error) {
	who, fee, err := x.rt.check(x.ctx, t, length, x.ctx.number(), !x.SkipSignatures)
	if err != nil {
		return Applied{}, err
	}
	account := x.rt.System.Account.Get(x.ctx, who)
	if t.Signed.Nonce > account.Nonce {
		return Applied{}, InvalidFuture
	}
	if _, required := x.rt.inherents(); x.count < required {
		return Applied{}, InvalidBadMandatory // the inherents come first
	}
	if err := x.take(system.Normal, length); err != nil {
		return Applied{}, err
	}
	// The block keeps nonce and fee whatever the call does.
	err = x.ctx.nested(func() error {
		account.Nonce++
		x.rt.System.Account.Set(x.ctx, who, account)
		return x.rt.Balances.payFee(x.ctx, who, fee)
	})
	if err != nil {
		x.giveBack(system.Normal, length)
		return Applied{}, InvalidPayment
	}
	info := system.DispatchInfo{Weight: weight(extrinsicWeight)}
	failed := x.ctx.dispatch(Signed(who), t.call)
	x.ctx.deposit(TransactionFeePaid{Who: who, ActualFee: fee, Tip: t.Signed.Tip})
	x.done(failed, info)
	return Applied{Err: failed, Info: info}, nil
}

// done deposits the outcome of an extrinsic and counts it.
func (x *Execution) done(failed error, info system.DispatchInfo) {
	if failed != nil {
		x.ctx.deposit(ExtrinsicFailed{dispatchError(x.rt.errors, failed), info})
	} else {
		x.ctx.deposit(ExtrinsicSuccess{info})
	}
	x.count++
}

// take reserves weight and length, or says that the block is full.
func (x *Execution) take(class system.DispatchClass, length int) error {
	maxWeight, maxLength := uint64(normalWeight), NormalLength
	if class == system.Mandatory {
		maxWeight, maxLength = maxBlockWeight, MaxBlockLength
	}
	if *x.weight.of(class)+extrinsicWeight > maxWeight || x.length+length > maxLength {
		return InvalidExhausts
	}
	*x.weight.of(class) += extrinsicWeight
	x.length += length
	return nil
}

func (x *Execution) giveBack(class system.DispatchClass, length int) {
	*x.weight.of(class) -= extrinsicWeight
	x.length -= length
}

// check verifies everything about a signed extrinsic but that its nonce is not
// too high, and returns signer and fee. number is that of the block that would
// hold it.
func (r *Runtime) check(at pallet.Reader, t *transaction, length int, number header.Number, signature bool) (who keyring.AccountID, fee scale.U128, err error) {
	if _, ok := r.inherentPosition(t); ok {
		return who, fee, InvalidMandatory
	}
	s := t.Signed
	if s.Signer == nil {
		return who, fee, UnknownCannotLookup
	}
	who = *s.Signer
	if who == (keyring.AccountID{}) {
		return who, fee, InvalidBadSigner
	}
	birth := s.Era.Birth(number)
	birthHash, known := r.System.BlockHash.Lookup(at, birth)
	if !known {
		return who, fee, InvalidAncientBirth
	}
	if signature {
		payload, err := extrinsic.SignedPayload(t.Call, s.Raw, extrinsic.SignParams{
			Meta: r.Metadata, Genesis: r.System.BlockHash.Get(at, 0), SpecVersion: r.Version.SpecVersion,
			TxVersion: r.Version.TransactionVersion, EraHash: birthHash,
		})
		switch {
		case errors.Is(err, extrinsic.ErrUnsupported):
			return who, fee, UnknownCannotLookup // asks for a metadata hash, which was not built in
		case err != nil:
			return who, fee, undecodable(err)
		case !s.Signature.Verify(payload, who):
			return who, fee, InvalidBadProof
		}
	}
	account := r.System.Account.Get(at, who)
	switch {
	case account.Providers == 0 && account.Sufficients == 0:
		return who, fee, InvalidPayment
	case s.Nonce < account.Nonce || s.Nonce == math.MaxUint32:
		return who, fee, InvalidStale
	}
	fee = Fee(length).SaturatingAdd(s.Tip)
	if !r.Balances.canPayFee(at, who, fee) {
		return who, fee, InvalidPayment
	}
	return who, fee, nil
}

// Result is the outcome of a block.
type Result struct {
	Changes []state.Change // against the parent's state, ascending by key
	Digest  []header.DigestItem
	Events  []system.EventRecord
	// NewAuthorities says that the block is the last one of its authority set.
	NewAuthorities bool
}

// Finish closes the block. The Execution must not be used afterwards.
func (x *Execution) Finish() (*Result, error) {
	if _, required := x.rt.inherents(); x.count < required {
		return nil, errors.New("devchain: block without timestamp")
	}
	x.phase = system.Phase{Finalization: &struct{}{}}
	newAuthorities := x.rt.HasGrandpa() && x.rt.Grandpa.finalize(x.ctx, &x.rt.System)
	x.rt.Timestamp.DidUpdate.Delete(x.ctx)
	x.rt.System.BlockWeight.Set(x.ctx, PerDispatchClass[system.Weight]{weight(x.weight.Normal), weight(x.weight.Operational), weight(x.weight.Mandatory)})
	digest := x.rt.System.finalize(x.ctx, x.events)
	return &Result{Changes: x.ctx.kv.Changes(), Digest: digest, Events: x.events, NewAuthorities: newAuthorities}, nil
}
