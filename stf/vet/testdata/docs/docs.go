// Package docs has the snippets of docs/determinism.md.
package docs

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/offchain-worker/sdk/stf"
)

type Auction struct {
	Ends stf.Value[stf.Moment]
	Bids stf.Map[stf.AccountID, stf.Balance]
	Paid stf.Map[stf.AccountID, uint64]
	last stf.AccountID
}

func (a *Auction) Open(ctx stf.Call, hours uint8) error {
	end := time.Now().Add(time.Duration(hours) * time.Hour) // want `clock: time.Now`
	a.Ends.Set(ctx, stf.Moment(end.UnixMilli()))
	return nil
}

func (a *Auction) OpenAt(ctx stf.Call, hours uint8) error {
	a.Ends.Set(ctx, ctx.Now()+stf.Moment(hours)*3_600_000)
	return nil
}

func (a *Auction) Split(ctx stf.Call, winners []stf.AccountID) error {
	shares := map[stf.AccountID]uint64{}
	for _, who := range winners {
		shares[who] += 10
	}
	for who, share := range shares { // want `map: ranges over a map`
		a.Paid.Set(ctx, who, share)
	}
	for _, who := range slices.SortedFunc(maps.Keys(shares), compare) {
		a.Paid.Set(ctx, who, shares[who])
	}
	return nil
}

func compare(a, b stf.AccountID) int { return bytes.Compare(a[:], b[:]) }

func (a *Auction) Bid(ctx stf.Call, amount stf.Balance) error {
	a.last = ctx.Sender() // want `field: changes field last`
	a.Bids.Set(ctx, ctx.Sender(), amount)
	return nil
}

func (a *Auction) Repeat(ctx stf.Call, rounds uint64) error {
	n := uint64(1)
	for range rounds { // want `loop: nothing bounds rounds`
		n = n*6364136223846793005 + 1
	}
	for range rounds {
		ctx.Charge(1)
		n = n*6364136223846793005 + 1
	}
	if rounds > 1000 {
		return ErrTooMany
	}
	for range rounds {
		n = n*6364136223846793005 + 1
	}
	a.Paid.Set(ctx, ctx.Sender(), n)
	return nil
}

var ErrTooMany = stf.NewError(1, "TooMany", "at most 1000 rounds")

// table is filled by init and never again, but in a way that vet cannot see.
var table = func() [256]byte {
	//ocw:allow clock how long it takes is written nowhere
	began := time.Now()
	var t [256]byte
	for i := range t {
		t[i] = byte(i * 7)
	}
	_ = began
	return t
}()

func (a *Auction) Look(q stf.Query, i uint8) (uint8, error) { return table[i], nil }
