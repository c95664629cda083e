package auction

import (
	"errors"

	"github.com/offchain-worker/sdk/stf"
)

// MaxSettled counts the bids that one run of the task refunds at most: what is left
// it does in the next block.
const MaxSettled = 64

// maxBlockTime is how long a block takes at most, in ms.
const maxBlockTime = 12_000

// errEscrow cannot happen. If it did, nothing of the closing would be kept.
var errEscrow = errors.New("auction: the escrow has too little")

// closing closes an auction. It runs in the escrow's name, so that nobody can read
// in a receipt how much there was to do.
var closing = stf.NewTask[AuctionID]("close")

// schedule has an auction closed when it is time. Blocks may come faster than the
// slowest, so the task looks again, each time a shorter time before.
func (a *Auctions) schedule(ctx stf.Call, id AuctionID, closes stf.Moment) {
	blocks := uint32(1)
	if now := ctx.Now(); now < closes {
		blocks = max(1, uint32((closes-now)/maxBlockTime))
	}
	closing.After(ctx, blocks, id)
}

// close has the winner pay and the others refunded.
func (a *Auctions) close(ctx stf.Call, id AuctionID) error {
	terms := a.Auctions.Get(ctx, id)
	if ctx.Now() < terms.Closes {
		a.schedule(ctx, id, terms.Closes)
		return nil
	}
	if s := a.Standings.Get(ctx, id); !s.Closed {
		if err := a.sell(ctx, id, &terms, &s); err != nil {
			return err
		}
		s.Closed = true
		a.Standings.Set(ctx, id, s)
	}
	left := MaxSettled
	for who, amount := range a.Bids.Prefix(ctx, id) {
		if left == 0 {
			a.schedule(ctx, id, terms.Closes)
			return nil
		}
		left--
		if !a.funds.Move(ctx, escrow, who, amount) {
			return errEscrow
		}
		a.Bids.Delete(ctx, id, who)
	}
	return nil
}

// sell moves the price to the seller and the rest of the bid to the winner.
func (a *Auctions) sell(ctx stf.Call, id AuctionID, terms *Auction, s *Standing) error {
	if s.Best.IsZero() {
		return nil
	}
	s.Price = s.Best
	if terms.SecondPrice {
		s.Price = terms.Reserve
		if s.Price.Less(s.Second) {
			s.Price = s.Second
		}
	}
	if !a.funds.Move(ctx, escrow, terms.Seller, s.Price) || !a.funds.Move(ctx, escrow, s.Bidder, s.Best.SaturatingSub(s.Price)) {
		return errEscrow
	}
	a.Bids.Delete(ctx, id, s.Bidder)
	return nil
}
