package runtime

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// The deposits of Multisig in planck, and its limit, as the Integritee network
// has them.
const (
	MultisigDepositBase   = 20_088_000_000_000
	MultisigDepositFactor = 32_000_000_000
	maxSignatories        = 10
)

// Multisig is the pallet Multisig, index 6: calls that several accounts agree
// on.
type Multisig struct {
	Multisigs pallet.DoubleMap[keyring.AccountID, CallHash, MultisigOperation] `pallet:"hasher=Twox64Concat,optional"`

	balances *Balances
}

// CallHash is the BLAKE2b-256 hash of a call.
type CallHash [32]byte

// MultisigOperation is an operation that waits for approvals.
type MultisigOperation struct {
	When      Timepoint           `metadata:"when,Timepoint<BlockNumber>"`
	Deposit   scale.U128          `metadata:"deposit,Balance"`
	Depositor keyring.AccountID   `metadata:"depositor,AccountId"`
	Approvals []keyring.AccountID // ascending
}

// MetadataPath is the type's path in runtime metadata.
func (MultisigOperation) MetadataPath() []string { return []string{"pallet_multisig", "Multisig"} }

// Timepoint is the extrinsic that began an operation.
type Timepoint struct {
	Height header.Number
	Index  uint32
}

// MetadataPath is the type's path in runtime metadata.
func (Timepoint) MetadataPath() []string { return []string{"pallet_multisig", "Timepoint"} }

// The events of Multisig.
type (
	NewMultisig struct {
		Approving, Multisig keyring.AccountID
		CallHash            CallHash
	}
	MultisigApproval struct {
		Approving keyring.AccountID
		Timepoint Timepoint
		Multisig  keyring.AccountID
		CallHash  CallHash
	}
	MultisigExecuted struct {
		Approving keyring.AccountID
		Timepoint Timepoint
		Multisig  keyring.AccountID
		CallHash  CallHash
		Result    DispatchResult
	}
	MultisigCancelled struct {
		Cancelling keyring.AccountID
		Timepoint  Timepoint
		Multisig   keyring.AccountID
		CallHash   CallHash
	}
)

var (
	errMinimumThreshold      = pallet.NewError(0, "MinimumThreshold", "Threshold must be 2 or greater.")
	errAlreadyApproved       = pallet.NewError(1, "AlreadyApproved", "Call is already approved by this signatory.")
	errTooFewSignatories     = pallet.NewError(3, "TooFewSignatories", "There are too few signatories in the list.")
	errTooManySignatories    = pallet.NewError(4, "TooManySignatories", "There are too many signatories in the list.")
	errSignatoriesOutOfOrder = pallet.NewError(5, "SignatoriesOutOfOrder", "The signatories were provided out of order; they should be ordered.")
	errSenderInSignatories   = pallet.NewError(6, "SenderInSignatories", "The sender was contained in the other signatories; it shouldn't be.")
	errMultisigNotFound      = pallet.NewError(7, "NotFound", "Multisig operation not found in storage.")
	errNotOwner              = pallet.NewError(8, "NotOwner", "Only the account that originally created the multisig is able to cancel it or update its deposits.")
	errNoTimepoint           = pallet.NewError(9, "NoTimepoint", "No timepoint was given, yet the multisig operation is already underway.")
	errWrongTimepoint        = pallet.NewError(10, "WrongTimepoint", "A different timepoint was given to the multisig operation that is underway.")
	errUnexpectedTimepoint   = pallet.NewError(11, "UnexpectedTimepoint", "A timepoint was given, yet no multisig operation is underway.")
	multisigErrors           = []*pallet.Error{
		errMinimumThreshold, errAlreadyApproved,
		pallet.NewError(2, "NoApprovalsNeeded", "Call doesn't need any (more) approvals."),
		errTooFewSignatories, errTooManySignatories, errSignatoriesOutOfOrder, errSenderInSignatories, errMultisigNotFound, errNotOwner,
		errNoTimepoint, errWrongTimepoint, errUnexpectedTimepoint,
		pallet.NewError(12, "MaxWeightTooLow", "The maximum weight information provided was too low."),
		pallet.NewError(13, "AlreadyStored", "The data to be stored is already stored."),
	}
)

func (m *Multisig) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Multisig", Index: 6, Module: m, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"AsMultiThreshold_1": 0, "AsMulti": 1, "ApproveAsMulti": 2, "CancelAsMulti": 3}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: NewMultisig{}, Docs: []string{"A new multisig operation has begun."}},
			{Index: 1, Prototype: MultisigApproval{}, Docs: []string{"A multisig operation has been approved by someone."}},
			{Index: 2, Prototype: MultisigExecuted{}, Docs: []string{"A multisig operation has been executed."}},
			{Index: 3, Prototype: MultisigCancelled{}, Docs: []string{"A multisig operation has been cancelled."}},
		},
		Errors: multisigErrors,
		Constants: []pallet.Constant{
			{Name: "DepositBase", Value: scale.NewU128(MultisigDepositBase), Doc: "The base amount of currency needed to reserve for creating a multisig execution or to store a dispatch call for later."},
			{Name: "DepositFactor", Value: scale.NewU128(MultisigDepositFactor), Doc: "The amount of currency needed per unit threshold when creating a multisig execution."},
			{Name: "MaxSignatories", Value: uint32(maxSignatories), Doc: "The maximum amount of signatories allowed in the multisig."},
		},
	}
}

// MultisigAccount returns the account of a set of accounts, in any order, of
// which threshold must agree.
func MultisigAccount(threshold uint16, accounts ...keyring.AccountID) keyring.AccountID {
	accounts = slices.SortedFunc(slices.Values(accounts), compareAccounts)
	raw := append([]byte(derivationPrefix), scale.MustMarshal(accounts)...)
	return keyring.AccountID(hashing.Blake2b256(scale.AppendU16(raw, threshold)))
}

func compareAccounts(a, b keyring.AccountID) int { return bytes.Compare(a[:], b[:]) }

// account checks who the others are and returns the account of all.
func (m *Multisig) account(who keyring.AccountID, others []keyring.AccountID, threshold uint16) (id keyring.AccountID, err error) {
	switch {
	case len(others) == 0:
		return id, errTooFewSignatories
	case len(others) >= maxSignatories:
		return id, errTooManySignatories
	}
	for i, other := range others {
		if i > 0 && compareAccounts(others[i-1], other) >= 0 {
			return id, errSignatoriesOutOfOrder
		}
		if other == who {
			return id, errSenderInSignatories
		}
	}
	return MultisigAccount(threshold, append(slices.Clip(others), who)...), nil
}

// AsMultiThreshold_1 runs a call on behalf of an account that each of several
// accounts may use. It deposits no event of its own.
func (m *Multisig) AsMultiThreshold_1(ctx *Context, args struct {
	OtherSignatories []keyring.AccountID `metadata:"other_signatories,Vec<T::AccountId>"`
	Call             RuntimeCall         `metadata:"call,Box<<T as Config>::RuntimeCall>"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	id, err := m.account(who, args.OtherSignatories, 1)
	if err != nil {
		return err
	}
	return ctx.dispatch(Signed(id), &args.Call)
}

// AsMulti approves a call, and runs it if that was the last approval.
func (m *Multisig) AsMulti(ctx *Context, args struct {
	Threshold        uint16
	OtherSignatories []keyring.AccountID `metadata:"other_signatories,Vec<T::AccountId>"`
	MaybeTimepoint   *Timepoint          `metadata:"maybe_timepoint,Option<Timepoint<BlockNumberFor<T>>>"`
	Call             RuntimeCall         `metadata:"call,Box<<T as Config>::RuntimeCall>"`
	MaxWeight        system.Weight
}) error {
	return m.operate(ctx, args.Threshold, args.OtherSignatories, args.MaybeTimepoint, CallHash(args.Call.hash()), &args.Call)
}

// ApproveAsMulti approves a call, of which only the hash is known.
func (m *Multisig) ApproveAsMulti(ctx *Context, args struct {
	Threshold        uint16
	OtherSignatories []keyring.AccountID `metadata:"other_signatories,Vec<T::AccountId>"`
	MaybeTimepoint   *Timepoint          `metadata:"maybe_timepoint,Option<Timepoint<BlockNumberFor<T>>>"`
	CallHash         CallHash            `metadata:"call_hash,[u8; 32]"`
	MaxWeight        system.Weight
}) error {
	return m.operate(ctx, args.Threshold, args.OtherSignatories, args.MaybeTimepoint, args.CallHash, nil)
}

// operate approves a call. call may be nil.
func (m *Multisig) operate(ctx *Context, threshold uint16, others []keyring.AccountID, at *Timepoint, hash CallHash, call *RuntimeCall) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	if threshold < 2 {
		return errMinimumThreshold
	}
	id, err := m.account(who, others, threshold)
	if err != nil {
		return err
	}
	op, running := m.Multisigs.Lookup(ctx, id, hash)
	switch {
	case !running && at != nil:
		return errUnexpectedTimepoint
	case !running:
		deposit := scale.NewU128(MultisigDepositBase + MultisigDepositFactor*uint64(threshold))
		if err := m.balances.reserve(ctx, who, deposit); err != nil {
			return err
		}
		m.Multisigs.Set(ctx, id, hash, MultisigOperation{When: ctx.timepoint(), Deposit: deposit, Depositor: who, Approvals: []keyring.AccountID{who}})
		ctx.deposit(NewMultisig{who, id, hash})
		return nil
	case at == nil:
		return errNoTimepoint
	case *at != op.When:
		return errWrongTimepoint
	}
	place, approved := slices.BinarySearchFunc(op.Approvals, who, compareAccounts)
	approvals, needed := len(op.Approvals), false
	if !approved && approvals < int(threshold) {
		needed = true
		approvals++
	}
	switch {
	case call != nil && approvals >= int(threshold):
		m.Multisigs.Delete(ctx, id, hash)
		m.balances.unreserve(ctx, op.Depositor, op.Deposit)
		err := ctx.dispatch(Signed(id), call)
		ctx.deposit(MultisigExecuted{who, *at, id, hash, ctx.result(err)})
	case needed:
		op.Approvals = slices.Insert(op.Approvals, place, who)
		m.Multisigs.Set(ctx, id, hash, op)
		ctx.deposit(MultisigApproval{who, *at, id, hash})
	default:
		return errAlreadyApproved
	}
	return nil
}

// CancelAsMulti gives an operation up, and its deposit back.
func (m *Multisig) CancelAsMulti(ctx *Context, args struct {
	Threshold        uint16
	OtherSignatories []keyring.AccountID `metadata:"other_signatories,Vec<T::AccountId>"`
	Timepoint        Timepoint           `metadata:"timepoint,Timepoint<BlockNumberFor<T>>"`
	CallHash         CallHash            `metadata:"call_hash,[u8; 32]"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	if args.Threshold < 2 {
		return errMinimumThreshold
	}
	id, err := m.account(who, args.OtherSignatories, args.Threshold)
	if err != nil {
		return err
	}
	op, ok := m.Multisigs.Lookup(ctx, id, args.CallHash)
	switch {
	case !ok:
		return errMultisigNotFound
	case op.When != args.Timepoint:
		return errWrongTimepoint
	case op.Depositor != who:
		return errNotOwner
	}
	m.balances.unreserve(ctx, who, op.Deposit)
	m.Multisigs.Delete(ctx, id, args.CallHash)
	ctx.deposit(MultisigCancelled{who, op.When, id, args.CallHash})
	return nil
}

// timepoint is the extrinsic that is being executed.
func (c *Context) timepoint() Timepoint {
	t := Timepoint{Height: c.number()}
	if i := c.block.phase.ApplyExtrinsic; i != nil {
		t.Index = *i
	}
	return t
}
