package sample

import (
	_ "embed"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// LegacyName is the name of the app of 2022.
const LegacyName = "integritee-sample-2022"

// Indexes of TrustedCall and the getters in 2022 (P 1.7).
const (
	legacySetBalance = iota
	legacyTransfer
	legacyUnshield
	legacyShield
)

const (
	legacyFreeBalance = iota
	legacyReservedBalance
	legacyNonce
)

// legacyDeposit is the existential deposit of 2022.
var legacyDeposit = scale.NewU128(1)

// ErrRootOnly is the error of calls that nobody may make.
var ErrRootOnly = stf.NewError(7, "RootOnly", "only root may do this, and there is none")

//go:embed legacy.lock
var legacyLock string

// NewLegacy returns the app as it was in 2022: the same private balances
// without fees, notes, session proxies.
func NewLegacy() (*stf.App, error) {
	l := new(Legacy)
	return stf.NewApp(stf.Config{
		Name:   LegacyName,
		Lock:   legacyLock,
		Flat:   true,
		Legacy: true,
		Shield: l.credit,
		Modules: []stf.ModuleDecl{stf.Module("Balances", l, stf.At(balancesIndex),
			stf.Calls(
				stf.Method("BalanceSetBalance", legacySetBalance, "who", "free", "reserved"),
				stf.Method("BalanceTransfer", legacyTransfer, "to", "amount"),
				stf.Method("BalanceUnshield", legacyUnshield, "beneficiary", "amount", "shard"),
				stf.Method("BalanceShield", legacyShield, "who", "amount"),
			),
			stf.Getters(
				stf.Method("FreeBalance", legacyFreeBalance, "who"),
				stf.Method("ReservedBalance", legacyReservedBalance, "who"),
				stf.Method("Nonce", legacyNonce, "who"),
			),
			stf.Public(stf.Method("SomeValue", publicSomeValue)),
			stf.Errors(ErrInsufficientBalance, ErrExistentialDeposit, ErrOverflow, ErrEnclaveOnly, ErrWrongShard, ErrRootOnly),
		)},
	})
}

// Legacy holds the balances of the app of 2022.
type Legacy struct {
	Free stf.Map[stf.AccountID, stf.Balance] `pallet:"optional"`
}

// Genesis endows the enclave account.
func (l *Legacy) Genesis(h stf.Hook) error { return l.add(h, h.EnclaveAccount(), enclaveEndowment) }

// BalanceSetBalance is for root, which this app does not have.
func (l *Legacy) BalanceSetBalance(_ stf.Call, _ stf.AccountID, _, _ stf.Balance) error {
	return ErrRootOnly
}

// BalanceTransfer moves amount to another account, which must exist afterwards.
func (l *Legacy) BalanceTransfer(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	if amount.IsZero() || to == ctx.Sender() {
		return nil // whatever the amount, as the original has it
	}
	if err := l.take(ctx, ctx.Sender(), amount); err != nil {
		return err
	}
	return l.add(ctx, to, amount)
}

// BalanceUnshield takes amount from the sender and has it paid to the
// beneficiary on the parentchain.
func (l *Legacy) BalanceUnshield(ctx stf.Call, beneficiary stf.AccountID, amount stf.Balance, shard [32]byte) error {
	if shard != ctx.Shard() {
		return ErrWrongShard
	}
	if err := l.take(ctx, ctx.Sender(), amount); err != nil {
		return err
	}
	ctx.Unshield(beneficiary, amount)
	return nil
}

// BalanceShield credits funds that arrived on the parentchain. Only the
// enclave does this.
func (l *Legacy) BalanceShield(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	if ctx.Sender() != ctx.EnclaveAccount() {
		return ErrEnclaveOnly
	}
	return l.credit(ctx, who, amount)
}

// FreeBalance answers with what the owner has, None if the account does not
// exist.
func (l *Legacy) FreeBalance(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	free, ok := l.Free.Lookup(q, who)
	if !ok {
		return free, stf.ErrNone
	}
	return free, nil
}

// ReservedBalance answers with nothing reserved, None if the account does not
// exist.
func (l *Legacy) ReservedBalance(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	_, err := l.FreeBalance(q, who)
	return stf.Balance{}, err
}

// Nonce answers with the owner's nonce, None if the account does not exist.
func (l *Legacy) Nonce(q stf.Query, who stf.AccountID) (uint32, error) {
	_, err := l.FreeBalance(q, who)
	return q.Nonce(who), err
}

// SomeValue answers 42.
func (l *Legacy) SomeValue(stf.Query) (uint32, error) { return 42, nil }

// credit is also how an unshield that was not paid comes back.
func (l *Legacy) credit(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	return l.add(ctx, who, amount)
}

func (l *Legacy) add(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	free, ok := l.Free.Get(w, who).Add(amount)
	switch {
	case !ok:
		return ErrOverflow
	case free.Less(legacyDeposit):
		return ErrExistentialDeposit
	}
	l.Free.Set(w, who, free)
	return nil
}

func (l *Legacy) take(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	left, ok := l.Free.Get(w, who).Sub(amount)
	switch {
	case !ok:
		return ErrInsufficientBalance
	case left.Less(legacyDeposit):
		l.Free.Delete(w, who)
	default:
		l.Free.Set(w, who, left)
	}
	return nil
}

// LegacyBalanceTransfer returns the call of 2022 that moves amount from one
// account to another.
func LegacyBalanceTransfer(from, to stf.AccountID, amount stf.Balance) []byte {
	return scale.AppendU128(accounts(legacyTransfer, from, to), amount)
}

// LegacyBalanceUnshield returns the call of 2022 by which amount leaves the
// shard for the beneficiary's account on the parentchain.
func LegacyBalanceUnshield(from, beneficiary stf.AccountID, amount stf.Balance, shard [32]byte) []byte {
	return append(scale.AppendU128(accounts(legacyUnshield, from, beneficiary), amount), shard[:]...)
}

// LegacyGetterFreeBalance returns the trusted getter of 2022 that is answered
// by a [stf.Balance]; LegacyGetterNonce is answered by a uint32.
func LegacyGetterFreeBalance(who stf.AccountID) []byte { return accounts(legacyFreeBalance, who) }

// LegacyGetterNonce returns the trusted getter of an account's nonce.
func LegacyGetterNonce(who stf.AccountID) []byte { return accounts(legacyNonce, who) }
