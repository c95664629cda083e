// Package shop is the app that the snippets of docs/business-logic.md,
// docs/storage.md, docs/testing.md, docs/rpc.md and docs/upgrades.md are from: a theatre
// sells seats for funds that were shielded.
package shop

import (
	_ "embed"

	"github.com/offchain-worker/sdk/stf"
)

// Wallet is a module: what accounts have shielded.
type Wallet struct {
	Free stf.Map[stf.AccountID, stf.Balance]
}

// ErrPoor is an error of the module Wallet.
var ErrPoor = stf.NewError(1, "Poor", "the account has less than that")

// CashOut pays on the parentchain.
func (w *Wallet) CashOut(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	if err := w.take(ctx, ctx.Sender(), amount); err != nil {
		return err
	}
	ctx.Unshield(to, amount)
	return nil
}

// Balance answers the owner.
func (w *Wallet) Balance(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	return w.Free.Get(q, who), nil
}

// Nonce is what the owner's next call must carry.
func (w *Wallet) Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }

// take is for other modules of the app.
func (w *Wallet) take(ctx stf.Writer, who stf.AccountID, amount stf.Balance) error {
	return w.Free.Mutate(ctx, who, func(free *stf.Balance) error {
		left, ok := free.Sub(amount)
		if !ok {
			return ErrPoor
		}
		*free = left
		return nil
	})
}

func (w *Wallet) give(ctx stf.Writer, who stf.AccountID, amount stf.Balance) {
	w.Free.Set(ctx, who, w.Free.Get(ctx, who).SaturatingAdd(amount))
}

// credit is for funds that arrive from the parentchain.
func (w *Wallet) credit(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	w.give(ctx, who, amount)
	return nil
}

// Ticket is a stored value.
type Ticket struct {
	Paid stf.Balance
	Sold stf.BlockNumber
}

// Price is a stored value that is not zero by default.
type Price struct{ Each stf.Balance }

// StorageDefault is the price until somebody sets one.
func (Price) StorageDefault() Price { return Price{stf.Balance{Lo: 100}} }

// Seats sells seats.
type Seats struct {
	wallet *Wallet // another module: no storage of this one

	Price   stf.Value[Price]
	Left    stf.Value[uint32]                            `pallet:"default=0x64000000"`
	Message stf.Value[string]                            `pallet:"optional"`
	Owners  stf.Map[uint32, stf.AccountID]               `pallet:"hasher=Twox64Concat,optional"`
	Tickets stf.DoubleMap[stf.AccountID, uint32, Ticket] `pallet:"hasher2=Twox64Concat"`
	Held    stf.Map[uint32, stf.TaskID]                  `pallet:"hasher=Twox64Concat,optional"`
}

// Sold is an event, told to the buyer in the receipt.
type Sold struct {
	Seat uint32
	Paid stf.Balance
}

// Errors of the module Seats.
var (
	ErrTaken    = stf.NewError(1, "Taken", "the seat is sold")
	ErrNoSeat   = stf.NewError(2, "NoSeat", "seats are numbered 0 to 99")
	ErrNotYours = stf.NewError(3, "NotYours", "the seat is another's")
)

// Buy buys a seat.
func (s *Seats) Buy(ctx stf.Call, seat uint32) error {
	if seat >= 100 {
		return ErrNoSeat
	}
	if s.Owners.Contains(ctx, seat) {
		return ErrTaken
	}
	if task, held := s.Held.Lookup(ctx, seat); held {
		if !ctx.Cancel(task) {
			return ErrTaken // it is held for another
		}
		s.Held.Delete(ctx, seat)
	}
	price := s.Price.Get(ctx).Each
	if err := s.wallet.take(ctx, ctx.Sender(), price); err != nil {
		return err
	}
	s.Owners.Set(ctx, seat, ctx.Sender())
	s.Tickets.Set(ctx, ctx.Sender(), seat, Ticket{Paid: price, Sold: ctx.BlockNumber()})
	s.Left.Set(ctx, s.Left.Get(ctx)-1)
	ctx.Emit(Sold{Seat: seat, Paid: price})
	return nil
}

// releasing ends that a seat is held.
var releasing = stf.NewTask[uint32]("release")

// Hold keeps a seat for the sender, for 50 blocks.
func (s *Seats) Hold(ctx stf.Call, seat uint32) error {
	if seat >= 100 {
		return ErrNoSeat
	}
	if s.Owners.Contains(ctx, seat) || s.Held.Contains(ctx, seat) {
		return ErrTaken
	}
	s.Held.Set(ctx, seat, releasing.After(ctx, 50, seat))
	return nil
}

func (s *Seats) release(ctx stf.Call, seat uint32) error {
	s.Held.Delete(ctx, seat)
	return nil
}

// Gift buys a seat for somebody else.
func (s *Seats) Gift(ctx stf.Call, to stf.AccountID, seat uint32) error {
	price := s.Price.Get(ctx).Each
	if err := s.wallet.take(ctx, ctx.Sender(), price); err != nil {
		return err
	}
	s.wallet.give(ctx, to, price)
	return ctx.As(to, func(ctx stf.Call) error { return s.Buy(ctx, seat) })
}

// halfFrom is the block from which returned seats are paid back by half only.
const halfFrom = 2_000

// Return gives a seat back.
func (s *Seats) Return(ctx stf.Call, seat uint32) error {
	ticket, ok := s.Tickets.Lookup(ctx, ctx.Sender(), seat)
	if !ok {
		return ErrNotYours
	}
	back := ticket.Paid
	if ctx.BlockNumber() >= halfFrom {
		back, _ = back.Div64(2)
	}
	s.Tickets.Delete(ctx, ctx.Sender(), seat)
	s.Owners.Delete(ctx, seat)
	s.Left.Set(ctx, s.Left.Get(ctx)+1)
	s.wallet.give(ctx, ctx.Sender(), back)
	return nil
}

// Mine answers the owner with seats.
func (s *Seats) Mine(q stf.Query, who stf.AccountID) ([]uint32, error) {
	var seats []uint32
	for seat := range s.Tickets.Prefix(q, who) {
		seats = append(seats, seat)
	}
	return seats, nil
}

// Free answers anybody.
func (s *Seats) Free(q stf.Query) (uint32, error) { return s.Left.Get(q), nil }

// News answers anybody, or nothing.
func (s *Seats) News(q stf.Query) (string, error) {
	news, ok := s.Message.Lookup(q)
	if !ok {
		return "", stf.ErrNone
	}
	return news, nil
}

// Offer is an answer in JSON.
type Offer struct {
	Seats uint32      `json:"seats"`
	Price stf.Balance `json:"price"`
}

// offer answers everybody's question for a number of seats.
func (s *Seats) offer(q stf.Query, in struct {
	Seats uint32 `json:"seats"`
}) (Offer, error) {
	if in.Seats > s.Left.Get(q) {
		return Offer{}, ErrNoSeat
	}
	price, _ := s.Price.Get(q).Each.Mul64(uint64(in.Seats))
	return Offer{in.Seats, price}, nil
}

// EndBlock is a hook: it runs after the operations of each block.
func (s *Seats) EndBlock(h stf.Hook) error {
	if h.BlockNumber()%1000 != 0 {
		return nil
	}
	s.Message.Set(h, "the price goes up")
	return s.Price.Mutate(h, func(p *Price) error {
		p.Each = p.Each.SaturatingAdd(stf.Balance{Lo: 10})
		return nil
	})
}

//go:embed calls.lock
var lock string

// New declares the app.
func New() (*stf.App, error) {
	wallet := &Wallet{}
	seats := &Seats{wallet: wallet}
	return stf.NewApp(stf.Config{Name: "shop", Lock: lock,
		Modules: []stf.ModuleDecl{
			stf.Module("Wallet", wallet, stf.At(1),
				stf.Calls(stf.Method("CashOut", 0, "to", "amount")),
				stf.Getters(stf.Method("Balance", 0, "who").Provable(), stf.Method("Nonce", 1, "who")),
				stf.Errors(ErrPoor)),
			stf.Module("Seats", seats, stf.At(2),
				stf.Calls(stf.Method("Buy", 0, "seat"), stf.Method("Return", 1, "seat").Since(1_000), stf.Method("Gift", 2, "to", "seat"),
					stf.Method("Hold", 3, "seat")),
				stf.Getters(stf.Method("Mine", 0, "who")),
				stf.Public(stf.Method("Free", 0), stf.Method("News", 1)),
				stf.OnTask(releasing, 0, seats.release),
				stf.Events(Sold{}),
				stf.Errors(ErrTaken, ErrNoSeat, ErrNotYours)),
		},
		RPC:    []stf.RPCMethod{stf.RPC("shop_offer", seats.offer, ErrNoSeat)},
		Shield: wallet.credit,
		Fee: func(ctx stf.Call, c stf.DecodedCall) error {
			return wallet.take(ctx, c.Sender, stf.Balance{Lo: 1})
		},
	})
}
