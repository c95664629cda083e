package sample

import (
	"encoding/binary"
	"iter"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// shieldingFeeDivisor: the fee for shielding an amount is amount/571.
const shieldingFeeDivisor = 571

// ExistentialDeposit is the least balance of an account, in planck.
var ExistentialDeposit = scale.NewU128(500)

// enclaveEndowment is what the enclave account has from the start, so that it
// exists when the first fee comes.
var enclaveEndowment = scale.NewU128(1000)

// Errors of the calls.
var (
	ErrInsufficientBalance = stf.NewError(0, "InsufficientBalance", "the account has less than the amount")
	ErrExistentialDeposit  = stf.NewError(1, "ExistentialDeposit", "the receiving account would have less than the existential deposit")
	ErrOverflow            = stf.NewError(2, "Overflow", "the balance would exceed 128 bits")
	ErrEnclaveOnly         = stf.NewError(3, "EnclaveOnly", "only the enclave account may do this")
	ErrWrongShard          = stf.NewError(4, "WrongShard", "the call names another shard")
	ErrMaintenance         = stf.NewError(5, "Maintenance", "the shard is in maintenance")
)

// Events of the calls.
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

// Balances holds the shard's private balances.
type Balances struct {
	Account  stf.Map[stf.AccountID, AccountData]
	Issuance stf.Value[stf.Balance] `pallet:"name=TotalIssuance"`

	proxies *SessionProxies
	notes   *Notes
	endowed iter.Seq2[stf.AccountID, stf.Balance]
}

// Genesis endows the enclave account, and those of [NewEndowed].
func (b *Balances) Genesis(h stf.Hook) error {
	for who, amount := range b.endowed {
		if err := b.mint(h, who, amount); err != nil {
			return err
		}
	}
	return b.mint(h, h.EnclaveAccount(), enclaveEndowment)
}

// Noop does nothing. Its fee is paid.
func (b *Balances) Noop(stf.Call) error { return nil }

// BalanceTransfer moves amount to another account.
func (b *Balances) BalanceTransfer(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	if err := b.proxies.spend(ctx, amount); err != nil {
		return err
	}
	if err := b.transfer(ctx, ctx.Sender(), to, amount); err != nil {
		return err
	}
	ctx.Emit(Transfer{ctx.Sender(), to, amount})
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
		return ErrExistentialDeposit
	}
	if err := b.mint(ctx, ctx.EnclaveAccount(), fee); err != nil {
		return err
	}
	if err := b.mint(ctx, who, credit); err != nil {
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
	if err := b.burn(ctx, ctx.Sender(), amount); err != nil {
		return err
	}
	ctx.Unshield(beneficiary, amount)
	ctx.Emit(Unshielded{ctx.Sender(), beneficiary, amount})
	return b.notes.record(ctx, ctx.Sender(), beneficiary)
}

// giveBack credits an unshield that the parentchain will never pay, in full.
// Its fee was for the attempt.
func (b *Balances) giveBack(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	if err := b.mint(ctx, who, amount); err != nil {
		return err
	}
	ctx.Emit(Returned{who, amount})
	return nil
}

// AccountInfo answers with nonce and balance of the owner; for an account that
// does not exist with zeros but for its flags.
func (b *Balances) AccountInfo(q stf.Query, who stf.AccountID) (AccountInfo, error) {
	data, exists := b.Account.Lookup(q, who)
	info := AccountInfo{Nonce: q.Nonce(who), Data: data}
	if exists {
		info.Providers = 1
	}
	return info, nil
}

// SomeValue answers 42.
func (b *Balances) SomeValue(stf.Query) (uint32, error) { return 42, nil }

// TotalIssuance answers with the sum of all balances.
func (b *Balances) TotalIssuance(q stf.Query) (stf.Balance, error) { return b.Issuance.Get(q), nil }

// UndistributedFees answers with what the enclave account has collected, less
// some noise: the difference between two blocks would else tell how many calls
// ran and what they cost. The noise is that of the block, so that asking again
// does not average it out and all workers answer alike.
func (b *Balances) UndistributedFees(q stf.Query, asset *AssetID) (stf.Balance, error) {
	if asset != nil {
		return stf.Balance{}, nil
	}
	random := q.Random("undistributed fees")
	thousandths := binary.LittleEndian.Uint64(random[:]) % 10_000 // of a transfer's fee: up to ten
	noise, _ := transferFee(q.Genesis()).Mul64(thousandths)
	noise, _ = noise.Div64(1000)
	return b.Account.Get(q, q.EnclaveAccount()).Free.SaturatingSub(noise), nil
}

// transfer moves amount as pallet Balances' transfer_allow_death does: the
// sender may end, its rest below the existential deposit being burned, but
// the receiver must exist afterwards.
func (b *Balances) transfer(w stf.Writer, from, to stf.AccountID, amount stf.Balance) error {
	if amount.IsZero() {
		return nil
	}
	source := b.Account.Get(w, from)
	left, ok := source.Free.Sub(amount)
	if !ok {
		return ErrInsufficientBalance
	}
	target := b.Account.Get(w, to)
	sum, ok := target.Free.Add(amount)
	switch {
	case !ok:
		return ErrOverflow
	case sum.Less(ExistentialDeposit):
		return ErrExistentialDeposit
	case from == to:
		return nil
	}
	b.put(w, from, source, left)
	target.Free = sum
	b.Account.Set(w, to, target)
	return nil
}

// mint creates amount in an account, which must exist afterwards.
func (b *Balances) mint(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	if amount.IsZero() {
		return nil
	}
	data := b.Account.Get(w, who)
	free, ok := data.Free.Add(amount)
	issuance, ok2 := b.Issuance.Get(w).Add(amount)
	switch {
	case !ok || !ok2:
		return ErrOverflow
	case free.Less(ExistentialDeposit):
		return ErrExistentialDeposit
	}
	data.Free = free
	b.Account.Set(w, who, data)
	b.Issuance.Set(w, issuance)
	return nil
}

// burn destroys amount of an account.
func (b *Balances) burn(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	data := b.Account.Get(w, who)
	left, ok := data.Free.Sub(amount)
	if !ok {
		return ErrInsufficientBalance
	}
	if amount.IsZero() {
		return nil
	}
	b.Issuance.Set(w, b.Issuance.Get(w).SaturatingSub(amount))
	b.put(w, who, data, left)
	return nil
}

// reserve sets amount of an account aside, which must exist without it.
func (b *Balances) reserve(w stf.Writer, who stf.AccountID, amount stf.Balance) error {
	data := b.Account.Get(w, who)
	left, ok := data.Free.Sub(amount)
	if !ok || left.Less(ExistentialDeposit) {
		return ErrInsufficientBalance
	}
	data.Free, data.Reserved = left, data.Reserved.SaturatingAdd(amount)
	b.Account.Set(w, who, data)
	return nil
}

// put stores what an account has left. Below the existential deposit an
// account without reserves ends and its dust is burned; the framework keeps its
// nonce.
func (b *Balances) put(w stf.Writer, who stf.AccountID, data AccountData, free stf.Balance) {
	if free.Less(ExistentialDeposit) && data.Reserved.IsZero() {
		b.Account.Delete(w, who)
		if !free.IsZero() {
			b.Issuance.Set(w, b.Issuance.Get(w).SaturatingSub(free))
		}
		return
	}
	data.Free = free
	b.Account.Set(w, who, data)
}
