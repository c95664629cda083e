package runtime

import (
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// ExistentialDeposit is the least that an account may hold, in planck: one
// thousandth of a unit. Accounts below it are removed, with their nonce.
const ExistentialDeposit = 1_000_000_000

// Unit is one whole token in planck (12 decimals).
const Unit = 1_000_000_000_000

// Balances is the pallet Balances, index 10. Balances are kept in
// System.Account.
type Balances struct {
	TotalIssuance    pallet.Value[scale.U128]
	InactiveIssuance pallet.Value[scale.U128]
	Account          pallet.Map[keyring.AccountID, system.AccountData]   // unused: clients ask for it
	Locks            pallet.Map[keyring.AccountID, []BalanceLock]        // likewise
	Reserves         pallet.Map[keyring.AccountID, []BalanceReserveData] // likewise

	system *System
}

// BalanceLock is an item of Balances.Locks.
type BalanceLock struct {
	ID      [8]byte
	Amount  scale.U128
	Reasons LockReasons
}

// MetadataPath is the type's path in runtime metadata.
func (BalanceLock) MetadataPath() []string {
	return []string{"pallet_balances", "types", "BalanceLock"}
}

// LockReasons says what a lock prevents.
type LockReasons uint8

// SCALEVariants lists the reasons.
func (LockReasons) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Fee"}, {Index: 1, Name: "Misc"}, {Index: 2, Name: "All"}}
}

// MetadataPath is the type's path in runtime metadata.
func (LockReasons) MetadataPath() []string { return []string{"pallet_balances", "types", "Reasons"} }

// BalanceReserveData is an item of Balances.Reserves.
type BalanceReserveData struct {
	ID     [8]byte
	Amount scale.U128
}

// MetadataPath is the type's path in runtime metadata.
func (BalanceReserveData) MetadataPath() []string {
	return []string{"pallet_balances", "types", "ReserveData"}
}

// The events of Balances.
type (
	Endowed struct {
		Account     keyring.AccountID
		FreeBalance scale.U128
	}
	DustLost struct {
		Account keyring.AccountID
		Amount  scale.U128
	}
	Transfer struct {
		From, To keyring.AccountID
		Amount   scale.U128
	}
	BalanceSet struct {
		Who  keyring.AccountID
		Free scale.U128
	}
	Reserved struct {
		Who    keyring.AccountID
		Amount scale.U128
	}
	Unreserved struct {
		Who    keyring.AccountID
		Amount scale.U128
	}
	Deposit struct {
		Who    keyring.AccountID
		Amount scale.U128
	}
	Withdraw struct {
		Who    keyring.AccountID
		Amount scale.U128
	}
	Burned struct {
		Who    keyring.AccountID
		Amount scale.U128
	}
)

var (
	errInsufficientBalance = pallet.NewError(2, "InsufficientBalance", "Balance too low to send value.")
	errExistentialDeposit  = pallet.NewError(3, "ExistentialDeposit", "Value too low to create account due to existential deposit.")
	errExpendability       = pallet.NewError(4, "Expendability", "Transfer/payment would kill account.")
	balancesErrors         = []*pallet.Error{
		pallet.NewError(0, "VestingBalance", "Vesting balance too high to send value."),
		pallet.NewError(1, "LiquidityRestrictions", "Account liquidity restrictions prevent withdrawal."),
		errInsufficientBalance,
		errExistentialDeposit,
		errExpendability,
		pallet.NewError(5, "ExistingVestingSchedule", "A vesting schedule already exists for this account."),
		pallet.NewError(6, "DeadAccount", "Beneficiary account must pre-exist."),
		pallet.NewError(7, "TooManyReserves", "Number of named reserves exceed `MaxReserves`."),
		pallet.NewError(8, "TooManyHolds", "Number of holds exceed `VariantCountOf<T::RuntimeHoldReason>`."),
		pallet.NewError(9, "TooManyFreezes", "Number of freezes exceed `MaxFreezes`."),
		pallet.NewError(10, "IssuanceDeactivated", "The issuance cannot be modified since it is already deactivated."),
		pallet.NewError(11, "DeltaZero", "The delta cannot be zero."),
	}
)

func (b *Balances) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Balances", Index: 10, Module: b, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"TransferAllowDeath": 0, "ForceTransfer": 2, "TransferKeepAlive": 3, "TransferAll": 4, "ForceSetBalance": 8, "Burn": 10}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: Endowed{}, Docs: []string{"An account was created with some free balance."}},
			{Index: 1, Prototype: DustLost{}, Docs: []string{"An account was removed whose balance was non-zero but below ExistentialDeposit, resulting in an outright loss."}},
			{Index: 2, Prototype: Transfer{}, Docs: []string{"Transfer succeeded."}},
			{Index: 3, Prototype: BalanceSet{}, Docs: []string{"A balance was set by root."}},
			{Index: 4, Prototype: Reserved{}, Docs: []string{"Some balance was reserved (moved from free to reserved)."}},
			{Index: 5, Prototype: Unreserved{}, Docs: []string{"Some balance was unreserved (moved from reserved to free)."}},
			{Index: 7, Prototype: Deposit{}, Docs: []string{"Some amount was deposited (e.g. for transaction fees)."}},
			{Index: 8, Prototype: Withdraw{}, Docs: []string{"Some amount was withdrawn from the account (e.g. for transaction fees)."}},
			{Index: 11, Prototype: Burned{}, Docs: []string{"Some amount was burned from an account."}},
		},
		Errors: balancesErrors,
		Constants: []pallet.Constant{
			{Name: "ExistentialDeposit", Value: scale.NewU128(ExistentialDeposit), Doc: "The minimum amount required to keep an account open."},
			{Name: "MaxLocks", Value: uint32(50), Doc: "The maximum number of locks that should exist on an account."},
			{Name: "MaxReserves", Value: uint32(50), Doc: "The maximum number of named reserves that can exist on an account."},
			{Name: "MaxFreezes", Value: uint32(0), Doc: "The maximum number of individual freeze locks that can exist on an account at any time."},
		},
	}
}

type balance = scale.U128

var minimum = scale.NewU128(ExistentialDeposit)

// update changes an account's balances and keeps the rules of existence: an
// account whose free balance reaches the existential deposit exists, one that
// has less is removed, and what is left of it is burned as dust. It cannot be
// removed while some of it is reserved.
func (b *Balances) update(ctx *Context, who keyring.AccountID, f func(*system.AccountData) error) error {
	info := b.system.Account.Get(ctx, who)
	provided, consumed := info.Providers > 0, !info.Data.Reserved.IsZero()
	if err := f(&info.Data); err != nil {
		return err
	}
	provides, consumes := !info.Data.Free.Less(minimum), !info.Data.Reserved.IsZero()
	if provides && !provided {
		info.Providers++
		ctx.deposit(NewAccount{who})
	}
	switch {
	case consumes && !consumed:
		if info.Providers == 0 {
			return system.DispatchError{NoProviders: &struct{}{}}
		}
		info.Consumers++
	case consumed && !consumes:
		info.Consumers--
	}
	if !provides && provided {
		if info.Consumers > 0 {
			return system.DispatchError{ConsumerRemaining: &struct{}{}}
		}
		info.Providers--
		ctx.deposit(KilledAccount{who})
	}
	if provides && !provided {
		ctx.deposit(Endowed{who, info.Data.Free})
	}
	if info.Providers > 0 {
		b.system.Account.Set(ctx, who, info)
		return nil
	}
	b.system.Account.Delete(ctx, who)
	if dust := info.Data.Free; !dust.IsZero() {
		b.issue(ctx, balance{}, dust)
		ctx.deposit(DustLost{who, dust})
	}
	return nil
}

// reserve sets some of the free balance apart. What is left must keep the
// account.
func (b *Balances) reserve(ctx *Context, who keyring.AccountID, amount balance) error {
	if amount.IsZero() {
		return nil
	}
	err := b.update(ctx, who, func(d *system.AccountData) error {
		left, ok := d.Free.Sub(amount)
		if !ok {
			return errInsufficientBalance
		}
		d.Free, d.Reserved = left, d.Reserved.SaturatingAdd(amount)
		return nil
	})
	if err == nil {
		ctx.deposit(Reserved{who, amount})
	}
	return err
}

// unreserve frees what was reserved, as much as there is.
func (b *Balances) unreserve(ctx *Context, who keyring.AccountID, amount balance) {
	data := b.system.Account.Get(ctx, who).Data
	if data.Reserved.Less(amount) {
		amount = data.Reserved
	}
	if amount.IsZero() {
		return
	}
	err := b.update(ctx, who, func(d *system.AccountData) error {
		d.Free, d.Reserved = d.Free.SaturatingAdd(amount), d.Reserved.SaturatingSub(amount)
		return nil
	})
	if err != nil {
		panic("devchain: unreserve: " + err.Error()) // more free balance harms nobody
	}
	ctx.deposit(Unreserved{who, amount})
}

// reserveTo changes a deposit from old to now.
func (b *Balances) reserveTo(ctx *Context, who keyring.AccountID, old, now balance) error {
	if old.Less(now) {
		return b.reserve(ctx, who, now.SaturatingSub(old))
	}
	b.unreserve(ctx, who, old.SaturatingSub(now))
	return nil
}

// issue changes the total issuance.
func (b *Balances) issue(ctx *Context, plus, minus balance) {
	b.TotalIssuance.Set(ctx, b.TotalIssuance.Get(ctx).SaturatingAdd(plus).SaturatingSub(minus))
}

// free returns what an account can spend, all of it.
func (b *Balances) free(ctx *Context, who keyring.AccountID) balance {
	return b.system.Account.Get(ctx, who).Data.Free
}

// moveErrors are the errors of a transfer, which differ between the two traits
// that pallets move money by.
type moveErrors struct{ tooLittle, kills error }

var (
	// fungibleErrors are those of frame_support's fungible::Mutate (the calls of
	// this pallet).
	fungibleErrors = moveErrors{token(system.BelowMinimum), token(system.NotExpendable)}
	// currencyErrors are those of frame_support's Currency (EnclaveBridge).
	currencyErrors = moveErrors{errExistentialDeposit, errExpendability}
)

// move transfers money. Its event is the last one, so that it directly precedes
// what the caller deposits next (RULES 13).
func (b *Balances) move(ctx *Context, from, to keyring.AccountID, amount balance, keepAlive bool, errs moveErrors) error {
	have := b.free(ctx, from)
	left, ok := have.Sub(amount)
	if !ok {
		return token(system.FundsUnavailable)
	}
	receives, ok := b.free(ctx, to).Add(amount)
	if !ok {
		return errOverflow
	}
	if from == to {
		return nil
	}
	if receives.Less(minimum) {
		return errs.tooLittle
	}
	if keepAlive && left.Less(minimum) {
		return errs.kills
	}
	if err := b.update(ctx, from, func(d *system.AccountData) error { d.Free = left; return nil }); err != nil {
		return err
	}
	if err := b.update(ctx, to, func(d *system.AccountData) error { d.Free = receives; return nil }); err != nil {
		return err
	}
	ctx.deposit(Transfer{from, to, amount})
	return nil
}

// transferCurrency is the transfer of other pallets: nothing happens, not even
// an event, if there is nothing to move.
func (b *Balances) transferCurrency(ctx *Context, from, to keyring.AccountID, amount balance) error {
	if amount.IsZero() || from == to {
		return nil
	}
	return b.move(ctx, from, to, amount, false, currencyErrors)
}

// canPayFee reports whether a fee could be paid: it may not kill the account.
func (b *Balances) canPayFee(r pallet.Reader, who keyring.AccountID, fee balance) bool {
	left, ok := b.system.Account.Get(r, who).Data.Free.Sub(fee)
	return ok && !left.Less(minimum)
}

// payFee burns a fee.
func (b *Balances) payFee(ctx *Context, who keyring.AccountID, fee balance) error {
	if !b.canPayFee(ctx, who, fee) {
		return InvalidPayment
	}
	err := b.update(ctx, who, func(d *system.AccountData) error { d.Free = d.Free.SaturatingSub(fee); return nil })
	if err != nil {
		return err
	}
	b.issue(ctx, balance{}, fee)
	ctx.deposit(Withdraw{who, fee})
	return nil
}

// mint creates money at genesis.
func (b *Balances) mint(ctx *Context, who keyring.AccountID, amount balance) error {
	err := b.update(ctx, who, func(d *system.AccountData) (err error) {
		sum, ok := d.Free.Add(amount)
		if !ok {
			return errOverflow
		}
		d.Free = sum
		return nil
	})
	if err == nil {
		b.issue(ctx, amount, balance{})
	}
	return err
}

func lookup(a keyring.MultiAddress) (keyring.AccountID, error) {
	who, ok := a.Account()
	if !ok {
		return who, errCannotLookup
	}
	return who, nil
}

type transferArgs = struct {
	Dest  keyring.MultiAddress `metadata:"dest,AccountIdLookupOf<T>"`
	Value scale.CompactU128    `metadata:"value,T::Balance"`
}

// TransferAllowDeath transfers free balance.
func (b *Balances) TransferAllowDeath(ctx *Context, args transferArgs) error {
	return b.transfer(ctx, args, false)
}

// Transfer is TransferAllowDeath under the name that it had until 2023. It is a
// call with Options.Legacy only.
func (b *Balances) Transfer(ctx *Context, args transferArgs) error {
	return b.transfer(ctx, args, false)
}

// TransferKeepAlive transfers free balance unless that kills the sender.
func (b *Balances) TransferKeepAlive(ctx *Context, args transferArgs) error {
	return b.transfer(ctx, args, true)
}

func (b *Balances) transfer(ctx *Context, args transferArgs, keepAlive bool) error {
	from, to, err := ctx.signedFor(args.Dest)
	if err != nil {
		return err
	}
	return b.move(ctx, from, to, balance(args.Value), keepAlive, fungibleErrors)
}

// ForceTransfer is TransferAllowDeath of somebody else's balance; root only.
func (b *Balances) ForceTransfer(ctx *Context, args struct {
	Source keyring.MultiAddress `metadata:"source,AccountIdLookupOf<T>"`
	Dest   keyring.MultiAddress `metadata:"dest,AccountIdLookupOf<T>"`
	Value  scale.CompactU128    `metadata:"value,T::Balance"`
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	from, err := lookup(args.Source)
	if err != nil {
		return err
	}
	to, err := lookup(args.Dest)
	if err != nil {
		return err
	}
	return b.move(ctx, from, to, balance(args.Value), false, fungibleErrors)
}

// TransferAll transfers the whole free balance, less the existential deposit
// if the account is to stay.
func (b *Balances) TransferAll(ctx *Context, args struct {
	Dest      keyring.MultiAddress `metadata:"dest,AccountIdLookupOf<T>"`
	KeepAlive bool                 `metadata:"keep_alive,bool"`
}) error {
	from, to, err := ctx.signedFor(args.Dest)
	if err != nil {
		return err
	}
	amount := b.free(ctx, from)
	if args.KeepAlive {
		amount = amount.SaturatingSub(minimum)
	}
	return b.move(ctx, from, to, amount, args.KeepAlive, fungibleErrors)
}

// ForceSetBalance sets a free balance; root only.
func (b *Balances) ForceSetBalance(ctx *Context, args struct {
	Who     keyring.MultiAddress `metadata:"who,AccountIdLookupOf<T>"`
	NewFree scale.CompactU128    `metadata:"new_free,T::Balance"`
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	who, err := lookup(args.Who)
	if err != nil {
		return err
	}
	// Below the existential deposit counts as nothing, without dust.
	free := balance(args.NewFree)
	if free.Less(minimum) {
		free = balance{}
	}
	old := b.free(ctx, who)
	if err := b.update(ctx, who, func(d *system.AccountData) error { d.Free = free; return nil }); err != nil {
		return err
	}
	b.issue(ctx, free, old)
	ctx.deposit(BalanceSet{who, free})
	return nil
}

// Burn destroys the caller's own balance.
func (b *Balances) Burn(ctx *Context, args struct {
	Value     scale.CompactU128 `metadata:"value,T::Balance"`
	KeepAlive bool              `metadata:"keep_alive,bool"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	left, ok := b.free(ctx, who).Sub(balance(args.Value))
	if !ok || args.KeepAlive && left.Less(minimum) {
		return token(system.FundsUnavailable)
	}
	if err := b.update(ctx, who, func(d *system.AccountData) error { d.Free = left; return nil }); err != nil {
		return err
	}
	b.issue(ctx, balance{}, balance(args.Value))
	ctx.deposit(Burned{who, balance(args.Value)})
	return nil
}
