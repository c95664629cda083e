// Package gate is business logic that looks at the parentchain: only accounts
// that own enough there may register, and what anybody sends to the shard's
// bonding account is counted.
package gate

import (
	_ "embed"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Minimum is what an account must own on the parentchain, in planck.
var Minimum = stf.Balance{Lo: 100_000_000_000_000}

// What is read of the parentchain: names and Go types with the layout of its
// runtime, which workers check against the runtime's metadata.
var (
	Account   = stf.NewChainMap[stf.AccountID, system.AccountInfo]("System", "Account", stf.Blake2_128Concat)
	Transfers = stf.NewChainEvent[Transfer]("Balances", "Transfer")
)

// Transfer is the event Balances.Transfer of the parentchain.
type Transfer struct {
	From, To stf.AccountID
	Amount   stf.Balance
}

// Gate is the module.
type Gate struct {
	Members stf.Map[stf.AccountID, stf.BlockNumber] // since when
	Count   stf.Value[uint32]
	Sent    stf.Map[stf.AccountID, stf.Balance] // to the bonding account, by whom
}

// The module's errors.
var (
	ErrTooPoor = stf.NewError(1, "TooPoor", "the account owns too little on the parentchain")
	ErrMember  = stf.NewError(2, "Member", "the account is registered")
)

// Register makes the sender a member.
func (g *Gate) Register(ctx stf.Call) error {
	who := ctx.Sender()
	if g.Members.Contains(ctx, who) {
		return ErrMember
	}
	info, _ := Account.Get(ctx, who)
	if info.Data.Free.Less(Minimum) {
		return ErrTooPoor
	}
	g.Members.Set(ctx, who, ctx.BlockNumber())
	g.Count.Set(ctx, g.Count.Get(ctx)+1)
	return nil
}

// RegisterReads declares what Register reads: it knows the call's sender and
// arguments, and no state. The node that proves the value learns of it.
func (g *Gate) RegisterReads(r stf.Reads) error {
	Account.Declare(r, r.Sender())
	return nil
}

// onTransfer runs for each transfer on the parentchain.
func (g *Gate) onTransfer(t stf.Trigger, e Transfer) error {
	if e.To != stf.AccountID(t.Shard()) { // the bonding account
		return nil
	}
	g.Sent.Set(t, e.From, g.Sent.Get(t, e.From).SaturatingAdd(e.Amount))
	return nil
}

// Since is a getter of the owner: the block of the registration.
func (g *Gate) Since(q stf.Query, who stf.AccountID) (stf.BlockNumber, error) {
	since, ok := g.Members.Lookup(q, who)
	if !ok {
		return 0, stf.ErrNone
	}
	return since, nil
}

// Given is a getter of the owner: what it sent to the bonding account.
func (g *Gate) Given(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	return g.Sent.Get(q, who), nil
}

// Total is a public getter: the number of members.
func (g *Gate) Total(q stf.Query) (uint32, error) { return g.Count.Get(q), nil }

//go:embed calls.lock
var lock string

// New declares the app.
func New() (*stf.App, error) {
	g := &Gate{}
	return stf.NewApp(stf.Config{
		Name: "gate",
		Lock: lock,
		Docs: docs,
		// Funds that are shielded count like any other transfer.
		Shield: func(stf.Call, stf.AccountID, stf.Balance) error { return nil },
		Modules: []stf.ModuleDecl{stf.Module("Gate", g, stf.At(1),
			stf.Calls(stf.Method("Register", 0)),
			stf.Getters(stf.Method("Since", 0), stf.Method("Given", 1)),
			stf.Public(stf.Method("Total", 0)),
			stf.Errors(ErrTooPoor, ErrMember),
			stf.OnChainEvent(Transfers, g.onTransfer)),
		},
	})
}
