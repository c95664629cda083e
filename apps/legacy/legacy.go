// Package legacy is the Integritee worker's own app as it was in 2022, for chains
// of that time (P 1.7): the private balances of package sample without fees, notes
// and session proxies. Nothing new should begin with it. Start at [New].
package legacy

import (
	_ "embed"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/balances"
)

// Name is the app's name.
const Name = "integritee-sample-2022"

// existentialDeposit is the least that an account has.
var existentialDeposit = scale.NewU128(1)

// enclaveEndowment is what the enclave account has from the start.
var enclaveEndowment = scale.NewU128(1000)

// ErrRootOnly is the error of calls that nobody may make. The others are those that
// the module has today.
var ErrRootOnly = stf.NewError(7, "RootOnly", "only root may do this, and there is none")

//go:embed calls.lock
var lock string

// New returns the app.
func New() (*stf.App, error) {
	b := new(Balances)
	return stf.NewApp(stf.Config{
		Name:   Name,
		Lock:   lock,
		Flat:   true,
		Legacy: true,
		Shield: b.credit,
		Modules: []stf.ModuleDecl{stf.Module("Balances", b, stf.At(1),
			stf.Calls(
				stf.Method("BalanceSetBalance", 0, "who", "free", "reserved"),
				stf.Method("BalanceTransfer", 1, "to", "amount"),
				stf.Method("BalanceUnshield", 2, "beneficiary", "amount", "shard"),
				stf.Method("BalanceShield", 3, "who", "amount"),
			),
			stf.Getters(
				stf.Method("FreeBalance", 0, "who"),
				stf.Method("ReservedBalance", 1, "who"),
				stf.Method("Nonce", 2, "who"),
			),
			stf.Public(stf.Method("SomeValue", 0)),
			balances.Errors(),
			stf.Errors(sample.ErrEnclaveOnly, sample.ErrWrongShard, ErrRootOnly),
		)},
	})
}

// Balances holds what accounts have.
type Balances struct {
	Free stf.Map[stf.AccountID, stf.Balance] `pallet:"optional"`
}

// Genesis endows the enclave account.
func (b *Balances) Genesis(h stf.Hook) error { return b.add(h, h.EnclaveAccount(), enclaveEndowment) }

// BalanceSetBalance is for root, which this app does not have.
func (b *Balances) BalanceSetBalance(_ stf.Call, _ stf.AccountID, _, _ stf.Balance) error {
	return ErrRootOnly
}

// BalanceTransfer moves amount to another account, which must exist afterwards.
func (b *Balances) BalanceTransfer(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	if amount.IsZero() || to == ctx.Sender() {
		return nil // whatever the amount, as the original has it
	}
	if err := b.take(ctx, ctx.Sender(), amount); err != nil {
		return err
	}
	return b.add(ctx, to, amount)
}

// BalanceUnshield takes amount from the sender and has it paid to the
// beneficiary on the parentchain.
func (b *Balances) BalanceUnshield(ctx stf.Call, beneficiary stf.AccountID, amount stf.Balance, shard [32]byte) error {
	if shard != ctx.Shard() {
		return sample.ErrWrongShard
	}
	if err := b.take(ctx, ctx.Sender(), amount); err != nil {
		return err
	}
	ctx.Unshield(beneficiary, amount)
	return nil
}

// BalanceShield credits funds that arrived on the parentchain. Only the
// enclave does this.
func (b *Balances) BalanceShield(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	if ctx.Sender() != ctx.EnclaveAccount() {
		return sample.ErrEnclaveOnly
	}
	return b.credit(ctx, who, amount)
}

// FreeBalance answers with what the owner has, None if the account does not
// exist.
func (b *Balances) FreeBalance(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	free, ok := b.Free.Lookup(q, who)
	if !ok {
		return free, stf.ErrNone
	}
	return free, nil
}

// ReservedBalance answers with nothing reserved, None if the account does not
// exist.
func (b *Balances) ReservedBalance(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	_, err := b.FreeBalance(q, who)
	return stf.Balance{}, err
}

// Nonce answers with the owner's nonce, None if the account does not exist.
func (b *Balances) Nonce(q stf.Query, who stf.AccountID) (uint32, error) {
	_, err := b.FreeBalance(q, who)
	return q.Nonce(who), err
}

// SomeValue answers 42.
func (b *Balances) SomeValue(stf.Query) (uint32, error) { return 42, nil }

// credit is also how an unshield that was not paid comes back.
func (b *Balances) credit(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	return b.add(ctx, who, amount)
}

func (b *Balances) add(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	free, ok := b.Free.Get(w, who).Add(amount)
	switch {
	case !ok:
		return balances.ErrOverflow
	case free.Less(existentialDeposit):
		return balances.ErrExistentialDeposit
	}
	b.Free.Set(w, who, free)
	return nil
}

func (b *Balances) take(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	left, ok := b.Free.Get(w, who).Sub(amount)
	switch {
	case !ok:
		return balances.ErrInsufficientBalance
	case left.Less(existentialDeposit):
		b.Free.Delete(w, who)
	default:
		b.Free.Set(w, who, left)
	}
	return nil
}

// BalanceTransfer returns the call that moves amount from one account to another.
func BalanceTransfer(from, to stf.AccountID, amount stf.Balance) []byte {
	return scale.AppendU128(accounts(1, from, to), amount)
}

// BalanceUnshield returns the call by which amount leaves the shard for the
// beneficiary's account on the parentchain.
func BalanceUnshield(from, beneficiary stf.AccountID, amount stf.Balance, shard [32]byte) []byte {
	return append(scale.AppendU128(accounts(2, from, beneficiary), amount), shard[:]...)
}

// GetterFreeBalance returns the trusted getter that is answered by a
// [stf.Balance].
func GetterFreeBalance(who stf.AccountID) []byte { return accounts(0, who) }

// GetterNonce returns the trusted getter of an account's nonce, a uint32.
func GetterNonce(who stf.AccountID) []byte { return accounts(2, who) }

func accounts(index byte, who ...stf.AccountID) []byte {
	b := []byte{index}
	for _, a := range who {
		b = append(b, a[:]...)
	}
	return b
}
