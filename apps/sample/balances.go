package sample

import (
	"iter"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/balances"
)

// shieldingFeeDivisor: the fee for shielding an amount is amount/571.
const shieldingFeeDivisor = 571

// ExistentialDeposit is the least balance of an account, in planck.
var ExistentialDeposit = scale.NewU128(500)

// enclaveEndowment is what the enclave account has from the start, so that it
// exists when the first fee comes.
var enclaveEndowment = scale.NewU128(1000)

// Errors of the calls, besides those of [balances.Ledger].
var (
	ErrEnclaveOnly = stf.NewError(3, "EnclaveOnly", "only the enclave account may do this")
	ErrWrongShard  = stf.NewError(4, "WrongShard", "the call names another shard")
	ErrMaintenance = stf.NewError(5, "Maintenance", "the shard is in maintenance")
)

// Balances holds the shard's private balances.
type Balances struct {
	balances.Ledger

	proxies *SessionProxies
	notes   *Notes
	endowed iter.Seq2[stf.AccountID, stf.Balance]
}

// Genesis endows the enclave account, and those of [NewEndowed].
func (b *Balances) Genesis(h stf.Hook) error {
	for who, amount := range b.endowed {
		if err := b.Mint(h, who, amount); err != nil {
			return err
		}
	}
	return b.Mint(h, h.EnclaveAccount(), enclaveEndowment)
}

// Noop does nothing. Its fee is paid.
func (b *Balances) Noop(stf.Call) error { return nil }

// BalanceTransfer moves amount to another account.
func (b *Balances) BalanceTransfer(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	if err := b.proxies.spend(ctx, amount); err != nil {
		return err
	}
	if err := b.Transfer(ctx, ctx.Sender(), to, amount); err != nil {
		return err
	}
	ctx.Emit(balances.Transfer{From: ctx.Sender(), To: to, Amount: amount})
	return b.notes.record(ctx, ctx.Sender(), to)
}

// BalanceTransferWithNote is a transfer that carries a text for the two, which
// is in what is noted of the call.
func (b *Balances) BalanceTransferWithNote(ctx stf.Call, to stf.AccountID, amount stf.Balance, _ []byte) error {
	return b.BalanceTransfer(ctx, to, amount)
}

// BalanceShieldThroughEnclaveBridgePallet credits funds that arrived on the
// parentchain, less a fee for the enclave account. Only the enclave does this.
// What is below the existential deposit is refused for every account alike:
// the outcome, which whoever paid may read, must not tell whether it exists.
func (b *Balances) BalanceShieldThroughEnclaveBridgePallet(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	if ctx.Sender() != ctx.EnclaveAccount() {
		return ErrEnclaveOnly
	}
	fee, _ := amount.Div64(shieldingFeeDivisor)
	credit := amount.SaturatingSub(fee)
	if credit.Less(ExistentialDeposit) {
		return balances.ErrExistentialDeposit
	}
	if err := b.Mint(ctx, ctx.EnclaveAccount(), fee); err != nil {
		return err
	}
	if err := b.Mint(ctx, who, credit); err != nil {
		return err
	}
	return b.notes.record(ctx, who)
}

// BalanceUnshieldThroughEnclaveBridgePallet takes amount from the sender and
// has it paid to the beneficiary on the parentchain.
func (b *Balances) BalanceUnshieldThroughEnclaveBridgePallet(ctx stf.Call, beneficiary stf.AccountID, amount stf.Balance, shard [32]byte) error {
	if shard != ctx.Shard() {
		return ErrWrongShard
	}
	if err := b.proxies.spend(ctx, amount); err != nil {
		return err
	}
	if err := b.Burn(ctx, ctx.Sender(), amount); err != nil {
		return err
	}
	ctx.Unshield(beneficiary, amount)
	ctx.Emit(balances.Unshielded{From: ctx.Sender(), Beneficiary: beneficiary, Amount: amount})
	return b.notes.record(ctx, ctx.Sender(), beneficiary)
}

// SomeValue answers 42.
func (b *Balances) SomeValue(stf.Query) (uint32, error) { return 42, nil }

// UndistributedFees answers with what the enclave account has collected, less
// some noise: the difference between two blocks would else tell how many calls
// ran and what they cost. The noise is that of the block, so that asking again
// does not average it out and all workers answer alike.
func (b *Balances) UndistributedFees(q stf.Query, asset *AssetID) (stf.Balance, error) {
	if asset != nil {
		return stf.Balance{}, nil
	}
	thousandths := q.Random("undistributed fees").Below(10_000) // of a transfer's fee: up to ten
	noise, _ := unitParts(q.Genesis(), thousandths).Div64(10)
	return b.Account.Get(q, q.EnclaveAccount()).Free.SaturatingSub(noise), nil
}
