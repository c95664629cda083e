package auction

import (
	"errors"

	"github.com/offchain-worker/sdk/stf"
)

// What one block does at most, so that it stays fast whatever is due: the rest
// is done in the next ones.
const (
	// MaxSettled counts auctions that are closed and bids that are refunded.
	MaxSettled = 64
	// maxSkipped counts minutes that are gone through after a long stop.
	maxSkipped = 1_000
)

// errEscrow cannot happen. If it did, nothing of the block's closing would be
// kept, and who runs the worker would read it.
var errEscrow = errors.New("auction: the escrow has too little")

// BeginBlock closes what is due, before bids of the same block could come in.
func (a *Auctions) BeginBlock(h stf.Hook) error {
	now := minuteOf(h.Now())
	at, ok := a.Minute.Lookup(h)
	if !ok {
		at = now
	}
	left := MaxSettled
	for range maxSkipped {
		if at > now {
			break
		}
		for id := range a.Due.Prefix(h, at) {
			done, err := a.settle(h, id, &left)
			if err != nil {
				return err
			}
			if !done {
				a.Minute.Set(h, at)
				return nil
			}
			a.Due.Delete(h, at, id)
		}
		at++
	}
	a.Minute.Set(h, at)
	return nil
}

// settle has the winner pay and the others refunded, as far as there is left
// to do in this block; false if that is not far enough.
func (a *Auctions) settle(h stf.Hook, id AuctionID, left *int) (done bool, err error) {
	if s := a.Standings.Get(h, id); !s.Closed {
		if *left == 0 {
			return false, nil
		}
		*left--
		if err := a.sell(h, id, &s); err != nil {
			return false, err
		}
		s.Closed = true
		a.Standings.Set(h, id, s)
	}
	for who, amount := range a.Bids.Prefix(h, id) {
		if *left == 0 {
			return false, nil
		}
		*left--
		if !a.funds.Move(h, escrow, who, amount) {
			return false, errEscrow
		}
		a.Bids.Delete(h, id, who)
	}
	return true, nil
}

// sell moves the price to the seller and the rest of the bid to the winner.
func (a *Auctions) sell(h stf.Hook, id AuctionID, s *Standing) error {
	if s.Best.IsZero() {
		return nil
	}
	terms := a.Auctions.Get(h, id)
	s.Price = s.Best
	if terms.SecondPrice {
		s.Price = terms.Reserve
		if s.Price.Less(s.Second) {
			s.Price = s.Second
		}
	}
	if !a.funds.Move(h, escrow, terms.Seller, s.Price) || !a.funds.Move(h, escrow, s.Bidder, s.Best.SaturatingSub(s.Price)) {
		return errEscrow
	}
	a.Bids.Delete(h, id, s.Bidder)
	return nil
}
