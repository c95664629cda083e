package ledger

import "github.com/offchain-worker/sdk/stf"

// Funds is a module with the parentchain's own currency: what is shielded is
// credited to whom it is for, and what is withdrawn is paid on the parentchain.
// So Total is what the parentchain holds for the shard, less payouts on their
// way. Other modules move amounts by [Ledger.Move].
type Funds struct{ Ledger }

// Withdrawn tells of an amount that leaves for the parentchain.
type Withdrawn struct {
	Beneficiary stf.AccountID
	Amount      stf.Balance
}

// The errors of the module Funds.
var (
	ErrInsufficient = stf.NewError(1, "Insufficient", "the account has less than the amount, or the amount is 0")
	ErrOverflow     = stf.NewError(2, "Overflow", "the total would not fit in 128 bits")
)

// Withdraw has an amount of the sender paid to an account of the parentchain.
func (f *Funds) Withdraw(ctx stf.Call, beneficiary stf.AccountID, amount stf.Balance) error {
	if amount.IsZero() || !f.Debit(ctx, ctx.Sender(), amount) {
		return ErrInsufficient
	}
	ctx.Unshield(beneficiary, amount)
	ctx.Emit(Withdrawn{beneficiary, amount})
	return nil
}

// Balance is a getter of the owner: what it may spend.
func (f *Funds) Balance(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	return f.Of(q, who), nil
}

// Nonce is a getter of the owner: what its next call must carry.
func (f *Funds) Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }

// Shielder returns what stf.Config.Shield takes. It also takes back what the
// parentchain will never pay.
func (f *Funds) Shielder() func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	return func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
		if !f.Credit(ctx, who, amount) {
			return ErrOverflow
		}
		return nil
	}
}

// Declare declares the module under the name Funds.
func (f *Funds) Declare(index uint8) stf.ModuleDecl {
	return stf.Module("Funds", f, stf.At(index),
		stf.Calls(stf.Method("Withdraw", 0, "beneficiary", "amount")),
		stf.Getters(stf.Method("Balance", 0, "who"), stf.Method("Nonce", 1, "who")),
		stf.Events(Withdrawn{}),
		stf.Errors(ErrInsufficient, ErrOverflow))
}
