// Package token is a private token: nobody but the owner knows what an account
// has, and nobody but the two of them what it allows another one to spend.
package token

import (
	_ "embed"

	"github.com/offchain-worker/sdk/examples/ledger"
	"github.com/offchain-worker/sdk/stf"
)

// Token is the module.
type Token struct {
	ledger.Ledger
	// Allowances are by owner and spender.
	Allowances stf.DoubleMap[stf.AccountID, stf.AccountID, stf.Balance]

	issuer stf.AccountID
}

// The events of the calls, which only who made the call can see.
type (
	// Moved tells of a transfer.
	Moved struct {
		From, To stf.AccountID
		Amount   stf.Balance
	}
	// Approved tells what a spender may spend from now on.
	Approved struct {
		Spender stf.AccountID
		Amount  stf.Balance
	}
)

// The module's errors.
var (
	ErrNotIssuer    = stf.NewError(1, "NotIssuer", "only the issuer may do this")
	ErrInsufficient = stf.NewError(2, "Insufficient", "the account has less than the amount")
	ErrNotAllowed   = stf.NewError(3, "NotAllowed", "the allowance is less than the amount")
	ErrChanged      = stf.NewError(4, "Changed", "the allowance is not what the owner took it for")
	ErrOverflow     = stf.NewError(5, "Overflow", "the supply would not fit in 128 bits")
)

// Mint creates tokens. Only the issuer may.
func (t *Token) Mint(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	if ctx.Sender() != t.issuer {
		return ErrNotIssuer
	}
	if !t.Credit(ctx, to, amount) {
		return ErrOverflow
	}
	return nil
}

// Burn destroys tokens of the sender.
func (t *Token) Burn(ctx stf.Call, amount stf.Balance) error {
	if !t.Debit(ctx, ctx.Sender(), amount) {
		return ErrInsufficient
	}
	return nil
}

// Transfer moves tokens of the sender.
func (t *Token) Transfer(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	return t.transfer(ctx, ctx.Sender(), to, amount)
}

// Approve lets a spender spend an amount. was is what it may spend now: if it
// has just spent some of that, the call fails, and the owner can think again.
// Otherwise it could spend both the old amount and the new one.
func (t *Token) Approve(ctx stf.Call, spender stf.AccountID, was, amount stf.Balance) error {
	owner := ctx.Sender()
	if t.Allowances.Get(ctx, owner, spender) != was {
		return ErrChanged
	}
	t.Allowances.Set(ctx, owner, spender, amount)
	ctx.Emit(Approved{spender, amount})
	return nil
}

// TransferFrom moves tokens of an account that allows it to the sender.
func (t *Token) TransferFrom(ctx stf.Call, from, to stf.AccountID, amount stf.Balance) error {
	left, ok := t.Allowances.Get(ctx, from, ctx.Sender()).Sub(amount)
	if !ok {
		return ErrNotAllowed
	}
	t.Allowances.Set(ctx, from, ctx.Sender(), left)
	return t.transfer(ctx, from, to, amount)
}

func (t *Token) transfer(ctx stf.Call, from, to stf.AccountID, amount stf.Balance) error {
	if !t.Move(ctx, from, to, amount) {
		return ErrInsufficient
	}
	ctx.Emit(Moved{from, to, amount})
	return nil
}

// Balance is a getter of the owner: what it has.
func (t *Token) Balance(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	return t.Of(q, who), nil
}

// Allowance is a getter of the owner: what it allows a spender.
func (t *Token) Allowance(q stf.Query, owner, spender stf.AccountID) (stf.Balance, error) {
	return t.Allowances.Get(q, owner, spender), nil
}

// Allowed is a getter of the spender: what an owner allows it.
func (t *Token) Allowed(q stf.Query, spender, owner stf.AccountID) (stf.Balance, error) {
	return t.Allowances.Get(q, owner, spender), nil
}

// Nonce is a getter of the owner: what its next call must carry.
func (t *Token) Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }

// Supply is a public getter: how many tokens there are.
func (t *Token) Supply(q stf.Query) (stf.Balance, error) { return t.Total.Get(q), nil }

// Issuer is a public getter: who may mint.
func (t *Token) Issuer(stf.Query) (stf.AccountID, error) { return t.issuer, nil }

//go:embed calls.lock
var lock string

// Issued returns the module. The issuer is part of what all workers of a shard
// must have alike.
func Issued(issuer stf.AccountID) *Token { return &Token{issuer: issuer} }

// Declare declares the module under the name Token.
func (t *Token) Declare(index uint8) stf.ModuleDecl {
	return stf.Module("Token", t, stf.At(index),
		stf.Calls(
			stf.Method("Mint", 0, "to", "amount"),
			stf.Method("Burn", 1, "amount"),
			stf.Method("Transfer", 2, "to", "amount"),
			stf.Method("Approve", 3, "spender", "was", "amount"),
			stf.Method("TransferFrom", 4, "from", "to", "amount"),
		),
		stf.Getters(
			stf.Method("Balance", 0, "who"),
			stf.Method("Allowance", 1, "owner", "spender"),
			stf.Method("Allowed", 2, "spender", "owner"),
			stf.Method("Nonce", 3, "who"),
		),
		stf.Public(stf.Method("Supply", 0), stf.Method("Issuer", 1)),
		stf.Events(Moved{}, Approved{}),
		stf.Errors(ErrNotIssuer, ErrInsufficient, ErrNotAllowed, ErrChanged, ErrOverflow))
}

// New declares the app.
func New(issuer stf.AccountID) (*stf.App, error) {
	return stf.NewApp(stf.Config{Name: "token", Lock: lock, Docs: docs, Modules: []stf.ModuleDecl{Issued(issuer).Declare(1)}})
}
