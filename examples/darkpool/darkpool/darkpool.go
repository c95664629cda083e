// Package darkpool matches orders that nobody sees: a token is traded for the
// parentchain's currency by price and time, and only the two parties of a trade
// learn of it.
package darkpool

import (
	_ "embed"
	"errors"

	"github.com/offchain-worker/sdk/examples/ledger"
	"github.com/offchain-worker/sdk/examples/token/token"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// MaxTrades is how many of an account's last trades are kept.
const MaxTrades = 16

// escrow holds what orders are backed by. Nobody can sign for it.
var escrow = stf.AccountID(hashing.Blake2b256([]byte("examples/darkpool/escrow")))

// Trade is what one of the two parties learns.
type Trade struct {
	Order  uint32 // number of its order
	Bought bool
	Price  uint64 // planck for one token
	Amount uint64 // tokens
	Block  stf.BlockNumber
}

// History is of one account, always of the same length in storage.
type History struct {
	Orders uint32 // that were placed, and so the number of the next one
	Trades uint32
	Last   [MaxTrades]Trade // trade n is at n modulo MaxTrades
}

func (h *History) add(t Trade) {
	h.Last[h.Trades%MaxTrades] = t
	h.Trades++
}

// Pool is the module.
type Pool struct {
	Bids, Asks stf.Value[Side]
	Histories  stf.Map[stf.AccountID, History]

	funds *ledger.Funds
	token *token.Token
}

// Events, which only who made the call can see.
type (
	// Placed tells the number of an order.
	Placed struct{ Order uint32 }
	// Traded tells of a trade.
	Traded struct{ Price, Amount uint64 }
	// Cancelled tells that an order was taken back.
	Cancelled struct{ Order uint32 }
)

// The module's errors.
var (
	ErrZero         = stf.NewError(1, "Zero", "price and amount must not be 0")
	ErrInsufficient = stf.NewError(2, "Insufficient", "the account has too little to back the order")
	ErrFull         = stf.NewError(3, "Full", "too many better orders are waiting")
	ErrNoOrder      = stf.NewError(4, "NoOrder", "the account has no such order")
)

// errEscrow cannot happen: all orders are backed.
var errEscrow = errors.New("darkpool: the escrow has too little")

// Genesis makes the empty book, so that the first order costs what all cost.
func (p *Pool) Genesis(h stf.Hook) error {
	p.Bids.Set(h, Side{})
	p.Asks.Set(h, Side{})
	return nil
}

// Place makes an order: to buy or sell an amount of tokens, for each of them at
// most or at least this price. It trades at once with what waits on the other
// side, the best price first and of equal ones the oldest, at the price of
// those orders. The rest waits. Nobody trades with himself: an order of the
// sender that would be next is taken back.
func (p *Pool) Place(ctx stf.Call, buy bool, price, amount uint64) error {
	if price == 0 || amount == 0 {
		return ErrZero
	}
	who := ctx.Sender()
	if !p.move(ctx, buy, who, escrow, price, amount) {
		return ErrInsufficient
	}
	mine := p.Histories.Get(ctx, who)
	order := Resting{who, mine.Orders, price, amount}
	mine.Orders++
	ctx.Emit(Placed{order.Number})
	ours, theirs := p.Bids.Get(ctx), p.Asks.Get(ctx)
	if !buy {
		ours, theirs = theirs, ours
	}
	for range MaxOrders {
		if theirs.Count == 0 || order.Left == 0 {
			break
		}
		other := &theirs.Orders[0]
		if buy && other.Price > price || !buy && other.Price < price {
			break
		}
		if other.Owner == who {
			if err := p.giveBack(ctx, !buy, *other); err != nil {
				return err
			}
			ctx.Emit(Cancelled{other.Number})
			theirs.remove(0)
			continue
		}
		n := min(order.Left, other.Left)
		if err := p.trade(ctx, buy, &order, other, n); err != nil {
			return err
		}
		mine.add(Trade{order.Number, buy, other.Price, n, ctx.BlockNumber()})
		if other.Left == 0 {
			theirs.remove(0)
		}
	}
	if order.Left > 0 {
		switch gone, full := ours.insert(order, buy); {
		case full && gone == order:
			return ErrFull
		case full:
			if err := p.giveBack(ctx, buy, gone); err != nil {
				return err
			}
		}
	}
	p.Histories.Set(ctx, who, mine)
	if !buy {
		ours, theirs = theirs, ours
	}
	p.Bids.Set(ctx, ours)
	p.Asks.Set(ctx, theirs)
	return nil
}

// trade exchanges n tokens at the price of the order that waited.
func (p *Pool) trade(ctx stf.Call, buy bool, order, other *Resting, n uint64) error {
	buyer, seller, bid := order.Owner, other.Owner, order.Price
	if !buy {
		buyer, seller, bid = other.Owner, order.Owner, other.Price
	}
	if !p.move(ctx, true, escrow, seller, other.Price, n) || !p.move(ctx, false, escrow, buyer, 0, n) ||
		!p.move(ctx, true, escrow, buyer, bid-other.Price, n) { // what the buyer saves
		return errEscrow
	}
	order.Left -= n
	other.Left -= n
	theirs := p.Histories.Get(ctx, other.Owner)
	theirs.add(Trade{other.Number, !buy, other.Price, n, ctx.BlockNumber()})
	p.Histories.Set(ctx, other.Owner, theirs)
	ctx.Emit(Traded{other.Price, n})
	return nil
}

// Cancel takes back what is left of an order of the sender.
func (p *Pool) Cancel(ctx stf.Call, order uint32) error {
	for _, buy := range []bool{true, false} {
		item := &p.Asks
		if buy {
			item = &p.Bids
		}
		side := item.Get(ctx)
		for i, o := range side.waiting() {
			if o.Owner != ctx.Sender() || o.Number != order {
				continue
			}
			side.remove(i)
			item.Set(ctx, side)
			ctx.Emit(Cancelled{order})
			return p.giveBack(ctx, buy, o)
		}
	}
	return ErrNoOrder
}

// giveBack returns what is left of an order to its owner.
func (p *Pool) giveBack(ctx stf.Call, buy bool, o Resting) error {
	if !p.move(ctx, buy, escrow, o.Owner, o.Price, o.Left) {
		return errEscrow
	}
	return nil
}

// move moves money, that is the price of an amount, or the amount of tokens.
func (p *Pool) move(ctx stf.Call, money bool, from, to stf.AccountID, price, amount uint64) bool {
	if money {
		sum, _ := scale.NewU128(price).Mul64(amount) // fits: 64 bits each
		return p.funds.Move(ctx, from, to, sum)
	}
	return p.token.Move(ctx, from, to, scale.NewU128(amount))
}

// Order is what its owner sees of it while it waits.
type Order struct {
	Number      uint32
	Buy         bool
	Price, Left uint64
}

// Orders is a getter of the owner: the orders that wait.
func (p *Pool) Orders(q stf.Query, who stf.AccountID) ([]Order, error) {
	bids, asks := p.Bids.Get(q), p.Asks.Get(q)
	return append(owned(bids.waiting(), who, true), owned(asks.waiting(), who, false)...), nil
}

func owned(side []Resting, who stf.AccountID, buy bool) (all []Order) {
	for _, o := range side {
		if o.Owner == who {
			all = append(all, Order{o.Number, buy, o.Price, o.Left})
		}
	}
	return all
}

// Trades is a getter of the owner: its last trades, the oldest first.
func (p *Pool) Trades(q stf.Query, who stf.AccountID) (all []Trade, err error) {
	h := p.Histories.Get(q, who)
	kept := min(h.Trades, MaxTrades)
	for i := range kept {
		all = append(all, h.Last[(h.Trades-kept+i)%MaxTrades])
	}
	return all, nil
}

//go:embed calls.lock
var lock string

// New declares the app. The issuer takes tokens in custody, and mints here
// what stands for them.
func New(issuer stf.AccountID) (*stf.App, error) {
	funds, tokens := new(ledger.Funds), token.Issued(issuer)
	return stf.NewApp(stf.Config{
		Name:   "darkpool",
		Lock:   lock,
		Docs:   docs,
		Shield: funds.Shielder(),
		Modules: []stf.ModuleDecl{
			funds.Declare(1),
			tokens.Declare(2),
			stf.Module("Pool", &Pool{funds: funds, token: tokens}, stf.At(3),
				stf.Calls(stf.Method("Place", 0), stf.Method("Cancel", 1)),
				stf.Getters(stf.Method("Orders", 0), stf.Method("Trades", 1)),
				stf.Events(Placed{}, Traded{}, Cancelled{}),
				stf.Errors(ErrZero, ErrInsufficient, ErrFull, ErrNoOrder)),
		},
	})
}
