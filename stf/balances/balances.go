// Package balances keeps what accounts have, in the form and by the rules of
// Substrate's pallet balances: free and reserved parts, and an existential deposit
// without which no account is. A module embeds [Ledger] and decides who may do
// what:
//
//	type Wallet struct{ balances.Ledger }
//
//	func (w *Wallet) Pay(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
//		return w.Transfer(ctx, ctx.Sender(), to, amount)
//	}
//
// It lists the getters AccountInfo and TotalIssuance, which the ledger has, before
// all others of its events and errors [Events] and [Errors], and emits the events
// itself. Clients of Substrate read AccountInfo, and package client takes nonces from
// it.
//
// Whoever pays somebody learns whether that account exists: from the gas, and from
// [ErrExistentialDeposit] if the amount is below the deposit.
package balances

import (
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/system"
)

// AccountInfo is nonce and balance of an account, 80 bytes as the pallet system
// has them; AccountData is the balance.
type (
	AccountInfo = system.AccountInfo
	AccountData = system.AccountData
)

// The events, with the numbers 0 to 2 of the module's.
type (
	// Transfer tells of a transfer that its sender made.
	Transfer struct {
		From, To stf.AccountID
		Amount   stf.Balance
	}
	// Unshielded tells of funds that leave for the parentchain.
	Unshielded struct {
		From, Beneficiary stf.AccountID
		Amount            stf.Balance
	}
	// Returned tells of funds that could not leave and are the account's again.
	Returned struct {
		Who    stf.AccountID
		Amount stf.Balance
	}
)

// Events lists them for the module's declaration.
func Events() stf.Option { return stf.Events(Transfer{}, Unshielded{}, Returned{}) }

// The errors of a ledger, with the numbers 0 to 2 of the module's.
var (
	ErrInsufficientBalance = stf.NewError(0, "InsufficientBalance", "the account has less than the amount")
	ErrExistentialDeposit  = stf.NewError(1, "ExistentialDeposit", "the receiving account would have less than the existential deposit")
	ErrOverflow            = stf.NewError(2, "Overflow", "the balance would exceed 128 bits")
)

// Errors lists them for the module's declaration.
func Errors() stf.Option {
	return stf.Errors(ErrInsufficientBalance, ErrExistentialDeposit, ErrOverflow)
}

// Ledger holds the accounts. The sum of all balances is Issuance. What is called
// w below is the context of a call or a hook.
type Ledger struct {
	Account  stf.Map[stf.AccountID, AccountData]
	Issuance stf.Value[stf.Balance] `pallet:"name=TotalIssuance"`

	// Deposit is the existential deposit, in the smallest unit. It is set before
	// the app is made, and all workers of a shard need the same.
	Deposit stf.Balance
}

// AccountInfo is a getter of the owner: its nonce and balance. For an account that
// does not exist these are zeros but for its flags.
func (l *Ledger) AccountInfo(q stf.Query, who stf.AccountID) (AccountInfo, error) {
	data, exists := l.Account.Lookup(q, who)
	info := AccountInfo{Nonce: q.Nonce(who), Data: data}
	if exists {
		info.Providers = 1
	}
	return info, nil
}

// TotalIssuance is a public getter: the sum of all balances.
func (l *Ledger) TotalIssuance(q stf.Query) (stf.Balance, error) { return l.Issuance.Get(q), nil }

// Transfer moves amount as the pallet's transfer_allow_death does: the sender may
// end, its rest below the existential deposit being burned, but the receiver must
// exist afterwards.
func (l *Ledger) Transfer(w stf.Writer, from, to stf.AccountID, amount stf.Balance) error {
	if amount.IsZero() {
		return nil
	}
	source := l.Account.Get(w, from)
	left, ok := source.Free.Sub(amount)
	if !ok {
		return ErrInsufficientBalance
	}
	target := l.Account.Get(w, to)
	sum, ok := target.Free.Add(amount)
	switch {
	case !ok:
		return ErrOverflow
	case sum.Less(l.Deposit):
		return ErrExistentialDeposit
	case from == to:
		return nil
	}
	l.put(w, from, source, left)
	target.Free = sum
	l.Account.Set(w, to, target)
	return nil
}

// Mint creates amount in an account, which must exist afterwards.
func (l *Ledger) Mint(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	if amount.IsZero() {
		return nil
	}
	data := l.Account.Get(w, who)
	free, ok := data.Free.Add(amount)
	issuance, ok2 := l.Issuance.Get(w).Add(amount)
	switch {
	case !ok || !ok2:
		return ErrOverflow
	case free.Less(l.Deposit):
		return ErrExistentialDeposit
	}
	data.Free = free
	l.Account.Set(w, who, data)
	l.Issuance.Set(w, issuance)
	return nil
}

// Burn destroys amount of an account, which may end like a sender in Transfer.
func (l *Ledger) Burn(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	data := l.Account.Get(w, who)
	left, ok := data.Free.Sub(amount)
	if !ok {
		return ErrInsufficientBalance
	}
	if amount.IsZero() {
		return nil
	}
	l.Issuance.Set(w, l.Issuance.Get(w).SaturatingSub(amount))
	l.put(w, who, data, left)
	return nil
}

// Reserve sets amount of an account aside, which must exist without it.
func (l *Ledger) Reserve(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	data := l.Account.Get(w, who)
	left, ok := data.Free.Sub(amount)
	if !ok || left.Less(l.Deposit) {
		return ErrInsufficientBalance
	}
	data.Free, data.Reserved = left, data.Reserved.SaturatingAdd(amount)
	l.Account.Set(w, who, data)
	return nil
}

// Refunder returns what [stf.Config].Refund takes: it credits an unshield that the
// parentchain will never pay, in full.
func (l *Ledger) Refunder() func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	return func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
		if err := l.Mint(ctx, who, amount); err != nil {
			return err
		}
		ctx.Emit(Returned{who, amount})
		return nil
	}
}

// put stores what an account has left. Below the existential deposit an account
// without reserves ends and its dust is burned; the framework keeps its nonce, so
// that nobody can replay its calls.
func (l *Ledger) put(w stf.Writer, who stf.AccountID, data AccountData, free stf.Balance) {
	if free.Less(l.Deposit) && data.Reserved.IsZero() {
		l.Account.Delete(w, who)
		if !free.IsZero() {
			l.Issuance.Set(w, l.Issuance.Get(w).SaturatingSub(free))
		}
		return
	}
	data.Free = free
	l.Account.Set(w, who, data)
}
