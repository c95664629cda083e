// Package auction is sealed-bid auctions. Bids are backed by funds that were
// shielded, and nobody but the bidder ever sees one that lost.
package auction

import (
	"github.com/offchain-worker/sdk/examples/ledger"
	"github.com/offchain-worker/sdk/stf"
)

// Limits of auctions.
const (
	MaxItem    = 500 // bytes
	MaxMinutes = 366 * 24 * 60
	minute     = 60_000 // ms
)

// escrow holds what bids are backed by. Nobody can sign for it.
var escrow = stf.ModuleAccount("examples/auction/escrow")

// AuctionID counts auctions from 0.
type AuctionID uint32

// Auction is what everybody may know from the start.
type Auction struct {
	Seller stf.AccountID
	Item   string
	// Reserve is the lowest bid, and the lowest price.
	Reserve stf.Balance
	// SecondPrice: the winner pays what the second best has bid, or the reserve.
	SecondPrice bool
	Closes      stf.Moment
}

// Standing is what nobody may know before the auction has closed. Each bid
// writes it, and it is always of the same length, so that the gas of a bid does
// not tell its bidder how good it is.
type Standing struct {
	Bidder stf.AccountID // of the best bid
	Best   stf.Balance   // 0 without bids
	Second stf.Balance   // the best of all others, 0 without
	Price  stf.Balance   // that was paid
	Closed bool
}

// Auctions is the module.
type Auctions struct {
	Next      stf.Value[AuctionID]
	Auctions  stf.Map[AuctionID, Auction]
	Standings stf.Map[AuctionID, Standing]
	Bids      stf.DoubleMap[AuctionID, stf.AccountID, stf.Balance]

	funds *ledger.Funds
}

// Opened is an event that tells the seller the auction's number.
type Opened struct{ Auction AuctionID }

// The module's errors.
var (
	ErrNoAuction    = stf.NewError(1, "NoAuction", "there is no such auction")
	ErrLimits       = stf.NewError(2, "Limits", "item or time are too long or too short, or the reserve is 0")
	ErrClosed       = stf.NewError(3, "Closed", "the auction has closed")
	ErrSeller       = stf.NewError(4, "Seller", "sellers do not bid")
	ErrReserve      = stf.NewError(5, "Reserve", "the bid is below the reserve")
	ErrNotHigher    = stf.NewError(6, "NotHigher", "the bid is not above the bidder's last one")
	ErrInsufficient = stf.NewError(7, "Insufficient", "the bidder has too little to back the bid")
)

// Open begins an auction that closes after so many full minutes.
func (a *Auctions) Open(ctx stf.Call, item string, reserve stf.Balance, secondPrice bool, minutes uint32) error {
	if item == "" || len(item) > MaxItem || reserve.IsZero() || minutes == 0 || minutes > MaxMinutes {
		return ErrLimits
	}
	id := a.Next.Get(ctx)
	closes := (ctx.Now()/minute + stf.Moment(minutes)) * minute
	a.Next.Set(ctx, id+1)
	a.Auctions.Set(ctx, id, Auction{ctx.Sender(), item, reserve, secondPrice, closes})
	a.Standings.Set(ctx, id, Standing{})
	ctx.Emit(Opened{id})
	return ctx.As(escrow, func(ctx stf.Call) error {
		a.schedule(ctx, id, closes)
		return nil
	})
}

// Bid makes a bid, or raises the sender's. What it is above the last one is
// taken from the sender's funds until the auction is over. It cannot be
// lowered or taken back. Of equal bids the first one counts.
func (a *Auctions) Bid(ctx stf.Call, auction AuctionID, amount stf.Balance) error {
	who := ctx.Sender()
	terms, ok := a.Auctions.Lookup(ctx, auction)
	switch {
	case !ok:
		return ErrNoAuction
	case ctx.Now() >= terms.Closes:
		return ErrClosed
	case who == terms.Seller:
		return ErrSeller
	case amount.Less(terms.Reserve):
		return ErrReserve
	}
	last := a.Bids.Get(ctx, auction, who)
	more, ok := amount.Sub(last)
	if !ok || more.IsZero() {
		return ErrNotHigher
	}
	if !a.funds.Move(ctx, who, escrow, more) {
		return ErrInsufficient
	}
	a.Bids.Set(ctx, auction, who, amount)
	s := a.Standings.Get(ctx, auction)
	switch {
	case who == s.Bidder:
		s.Best = amount
	case s.Best.Less(amount):
		s.Bidder, s.Best, s.Second = who, amount, s.Best
	case s.Second.Less(amount):
		s.Second = amount
	}
	a.Standings.Set(ctx, auction, s)
	return nil
}

// Mine is a getter of the bidder: its bid, until it is refunded or has won.
func (a *Auctions) Mine(q stf.Query, who stf.AccountID, auction AuctionID) (stf.Balance, error) {
	return a.Bids.Get(q, auction, who), nil
}

// Outcome is what seller and winner learn.
type Outcome struct {
	Winner stf.AccountID
	Price  stf.Balance
}

// Outcome is a getter of the seller and the winner: nothing for others, before
// the auction has closed, and if nobody has bid.
func (a *Auctions) Outcome(q stf.Query, who stf.AccountID, auction AuctionID) (Outcome, error) {
	s := a.Standings.Get(q, auction)
	if !s.Closed || s.Best.IsZero() || who != s.Bidder && who != a.Auctions.Get(q, auction).Seller {
		return Outcome{}, stf.ErrNone
	}
	return Outcome{s.Bidder, s.Price}, nil
}

// Info is what everybody may know.
type Info struct {
	Auction
	// Closed: the winner has paid. Refunds may need some more blocks.
	Closed bool
	Sold   bool
}

// Info is a public getter.
func (a *Auctions) Info(q stf.Query, auction AuctionID) (Info, error) {
	terms, ok := a.Auctions.Lookup(q, auction)
	if !ok {
		return Info{}, stf.ErrNone
	}
	s := a.Standings.Get(q, auction)
	return Info{terms, s.Closed, s.Closed && !s.Best.IsZero()}, nil
}
