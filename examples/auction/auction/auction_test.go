package auction_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/examples/auction/auction"
	"github.com/offchain-worker/sdk/examples/ledger"
	"github.com/offchain-worker/sdk/examples/world"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

var (
	seller = stftest.Account("seller")
	alice  = stftest.Account("alice")
	bob    = stftest.Account("bob")
	carol  = stftest.Account("carol")
	people = []stf.AccountID{seller, alice, bob, carol}
)

// newWorld gives everybody 1000.
func newWorld(t *testing.T) *world.World {
	app, err := auction.New()
	w := world.New(t, app, err)
	for _, who := range people {
		if r := w.Shield(who, scale.NewU128(1000)); !r.Outcome.OK() {
			t.Fatal(r.Outcome)
		}
	}
	return w
}

func balance(w *world.World, who stf.AccountID) uint64 {
	return world.Ask[stf.Balance](w, who, "Funds.Balance").Lo
}

// escrowed asks for the escrow's balance in its name, which only a test can.
func escrowed(w *world.World) stf.Balance {
	return world.Ask[stf.Balance](w, stf.ModuleAccount("examples/auction/escrow"), "Funds.Balance")
}

// blocks lets time pass: ten blocks are a minute.
func blocks(w *world.World, n int) {
	for range n {
		w.NextBlock()
	}
}

func TestAuction(t *testing.T) {
	for second, price := range map[bool]uint64{true: 500, false: 700} {
		w := newWorld(t)
		w.Must(seller, "Auction.Open", "painting", 100, second, 1)
		w.Must(bob, "Auction.Bid", 0, 500)
		w.Must(carol, "Auction.Bid", 0, 400)
		w.Must(alice, "Auction.Bid", 0, 600)
		w.Must(alice, "Auction.Bid", 0, 700)
		blocks(w, 9)
		if info := world.Ask[auction.Info](w, bob, "Auction.Info", 0); info.Closed || balance(w, carol) != 600 || world.Maybe[auction.Outcome](w, seller, "Auction.Outcome", 0) != nil {
			t.Errorf("before the end: %+v", info)
		}
		blocks(w, 1)
		w.Refused(auction.ErrClosed, carol, "Auction.Bid", 0, 900)
		for who, want := range map[stf.AccountID]uint64{seller: 1000 + price, alice: 1000 - price, bob: 1000, carol: 1000} {
			if got := balance(w, who); got != want {
				t.Errorf("second price %v: %v has %d, want %d", second, who, got, want)
			}
		}
		for who, knows := range map[stf.AccountID]bool{seller: true, alice: true, bob: false, carol: false} {
			got := world.Maybe[auction.Outcome](w, who, "Auction.Outcome", 0)
			if (got != nil) != knows || knows && *got != (auction.Outcome{Winner: alice, Price: scale.NewU128(price)}) {
				t.Errorf("%v learns %+v", who, got)
			}
		}
		if info := world.Ask[auction.Info](w, bob, "Auction.Info", 0); !info.Closed || !info.Sold || info.Item != "painting" {
			t.Errorf("after the end: %+v", info)
		}
	}
}

func TestTieAndReserve(t *testing.T) {
	w := newWorld(t)
	w.Must(seller, "Auction.Open", "tie", 100, true, 1)
	w.Must(seller, "Auction.Open", "one bid", 100, true, 1)
	w.Must(seller, "Auction.Open", "no bids", 100, true, 1)
	w.Must(bob, "Auction.Bid", 0, 300)
	w.Must(alice, "Auction.Bid", 0, 300)
	w.Must(carol, "Auction.Bid", 1, 300)
	blocks(w, 10)
	for id, want := range []auction.Outcome{{Winner: bob, Price: scale.NewU128(300)}, {Winner: carol, Price: scale.NewU128(100)}} {
		if got := world.Ask[auction.Outcome](w, seller, "Auction.Outcome", id); got != want {
			t.Errorf("auction %d: %+v, want %+v", id, got, want)
		}
	}
	if info := world.Ask[auction.Info](w, bob, "Auction.Info", 2); !info.Closed || info.Sold {
		t.Errorf("without bids: %+v", info)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.Must(seller, "Auction.Open", "x", 100, true, 1)
	w.Refused(auction.ErrNoAuction, alice, "Auction.Bid", 1, 100)
	w.Refused(auction.ErrSeller, seller, "Auction.Bid", 0, 100)
	w.Refused(auction.ErrReserve, alice, "Auction.Bid", 0, 99)
	w.Refused(auction.ErrInsufficient, alice, "Auction.Bid", 0, 1001)
	w.Must(alice, "Auction.Bid", 0, 200)
	w.Refused(auction.ErrNotHigher, alice, "Auction.Bid", 0, 200)
	w.Refused(auction.ErrNotHigher, alice, "Auction.Bid", 0, 150)
	w.Refused(ledger.ErrInsufficient, alice, "Funds.Withdraw", alice, 801)
	w.Refused(ledger.ErrInsufficient, alice, "Funds.Withdraw", alice, 0)
	for _, c := range [][]any{{"", 1, true, 1}, {strings.Repeat("x", auction.MaxItem+1), 1, true, 1}, {"x", 0, true, 1}, {"x", 1, true, 0}, {"x", 1, true, auction.MaxMinutes + 1}} {
		w.Refused(auction.ErrLimits, seller, "Auction.Open", c...)
	}
}

// TestGasTellsNothing: a bidder must not see in the receipt whether others
// have bid more.
func TestGasTellsNothing(t *testing.T) {
	w := newWorld(t)
	w.Must(seller, "Auction.Open", "x", 100, true, 1)
	first := w.Must(alice, "Auction.Bid", 0, 500)
	worse := w.Must(bob, "Auction.Bid", 0, 200)
	better := w.Must(carol, "Auction.Bid", 0, 600)
	if first.Gas != worse.Gas || worse.Gas != better.Gas {
		t.Errorf("bids cost %d, %d and %d", first.Gas, worse.Gas, better.Gas)
	}
}

// TestManyBids: refunds are spread over blocks, and nobody is forgotten.
func TestManyBids(t *testing.T) {
	w := newWorld(t)
	w.Must(seller, "Auction.Open", "x", 1, false, 1)
	bidders := make([]stf.AccountID, 2*auction.MaxSettled)
	for i := range bidders {
		bidders[i] = stftest.Account(fmt.Sprint("bidder ", i))
		w.Shield(bidders[i], scale.NewU128(1000))
		w.Must(bidders[i], "Auction.Bid", 0, i+1)
	}
	refunded := func() (n int) {
		for _, who := range bidders {
			if balance(w, who) == 1000 {
				n++
			}
		}
		return n
	}
	blocks(w, 10)
	for block, want := range []int{auction.MaxSettled, len(bidders) - 1, len(bidders) - 1} {
		if got := refunded(); got != want {
			t.Errorf("block %d: %d are refunded, want %d", block, got, want)
		}
		w.NextBlock()
	}
	if got := balance(w, seller); got != 1000+uint64(len(bidders)) {
		t.Errorf("the seller has %d", got)
	}
}

// TestWithdraw: what is withdrawn leaves, and comes back if it is never paid.
func TestWithdraw(t *testing.T) {
	w := newWorld(t)
	r := w.Must(alice, "Funds.Withdraw", bob, 400)
	if len(r.Effects) != 1 || r.Effects[0].Unshield == nil || r.Effects[0].Unshield.Beneficiary != bob || r.Effects[0].Unshield.Amount.Lo != 400 || balance(w, alice) != 600 {
		t.Fatalf("%+v, left %d", r.Effects, balance(w, alice))
	}
	w.Refund(*r.Effects[0].Unshield)
	if got := balance(w, alice); got != 1000 {
		t.Errorf("after the refund: %d", got)
	}
}

func TestPage(t *testing.T) { newWorld(t).Page("../README.md") }

type bid struct {
	who    stf.AccountID
	amount uint64
}

// winner is the rule written again: the highest of all bids, the first of equals,
// at its own price or the best of the others.
func winner(bids []bid, reserve uint64, second bool) (who stf.AccountID, price uint64) {
	best := -1
	for i, b := range bids {
		if best < 0 || b.amount > bids[best].amount {
			best = i
		}
	}
	if best < 0 {
		return who, 0
	}
	if price = bids[best].amount; second {
		price = reserve
		for i, b := range bids {
			if i != best {
				price = max(price, b.amount)
			}
		}
	}
	return bids[best].who, price
}

// TestModel compares random auctions with the rules written again, and the sum
// of all amounts with what was shielded after each step.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		second, reserve := rapid.Bool().Draw(rt, "second"), rapid.Uint64Range(1, 20).Draw(rt, "reserve")
		w.Must(seller, "Auction.Open", "x", reserve, second, 1)
		escrow := stftest.Account("escrow of the model")
		has := map[stf.AccountID]uint64{seller: 1000, alice: 1000, bob: 1000, carol: 1000, escrow: 0}
		var bids []bid // in order of their last raise
		open, total := true, uint64(4000)
		for i := range rapid.IntRange(1, 30).Draw(rt, "steps") {
			who := rapid.SampledFrom(people).Draw(rt, "who")
			amount := rapid.SampledFrom([]uint64{1, 5, 10, 19, 20, 21, 50, 990, 1000, 1001}).Draw(rt, "amount")
			var r stf.Result
			var ok bool
			switch rapid.SampledFrom([]string{"bid", "bid", "bid", "withdraw", "block"}).Draw(rt, "step") {
			case "bid":
				last, at := uint64(0), -1
				for j, b := range bids {
					if b.who == who {
						last, at = b.amount, j
					}
				}
				r, ok = w.Call(who, "Auction.Bid", 0, amount), open && who != seller && amount >= reserve && amount > last && has[who] >= amount-last
				if ok {
					if at >= 0 {
						bids = append(bids[:at], bids[at+1:]...)
					}
					bids = append(bids, bid{who, amount})
					has[who] -= amount - last
					has[escrow] += amount - last
				}
			case "withdraw":
				if r, ok = w.Call(who, "Funds.Withdraw", who, amount), has[who] >= amount; ok {
					has[who] -= amount
					total -= amount
				}
			case "block":
				blocks(w, rapid.IntRange(1, 4).Draw(rt, "blocks"))
				if ok = true; open && w.Env.Now >= stftest.Start+60_000 {
					open = false
					best, price := winner(bids, reserve, second)
					for _, b := range bids {
						has[b.who] += b.amount
						has[escrow] -= b.amount
					}
					if len(bids) > 0 {
						has[best] -= price
						has[seller] += price
					}
				}
			}
			if r.Outcome.OK() != ok {
				rt.Fatalf("step %d: %v (%v), want success %v", i, r.Outcome, r.Err, ok)
			}
			sum := has[escrow]
			for _, a := range people {
				if got := balance(w, a); got != has[a] {
					rt.Fatalf("step %d: %v has %d, want %d", i, a, got, has[a])
				}
				sum += has[a]
			}
			if got := escrowed(w); sum != total || got.Lo != has[escrow] {
				rt.Fatalf("step %d: sum %d of %d, in escrow %v of %d", i, sum, total, got, has[escrow])
			}
		}
	})
}
