package shop

import (
	"fmt"
	"testing"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/stf/stftest/randomtest"
)

func open(t *testing.T) *stftest.Shard {
	app, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return stftest.New(t, app)
}

func TestBuy(t *testing.T) {
	shard := open(t)
	alice, bob := shard.User("alice"), shard.User("bob")
	alice.Shield(150)

	alice.Must((*Seats).Buy, 7)
	alice.Refused(ErrTaken, (*Seats).Buy, 7)
	if out := bob.Call((*Seats).Buy, 8).Outcome; out.Code != stf.FeeUnpaid {
		t.Error(out)
	}

	if free := stftest.Ask[stf.Balance](alice, (*Wallet).Balance); free.Lo != 48 { // 150, a seat, two fees
		t.Error(free)
	}

	receipts := shard.Receipts()
	if n := len(receipts); n != 4 || len(receipts[1].Events) != 1 {
		t.Errorf("%d receipts: %v", n, receipts)
	}
}

func TestHooksAndVersions(t *testing.T) {
	shard := open(t)
	alice := shard.User("alice")
	alice.Shield(1_000)
	alice.Must((*Seats).Buy, 1)
	if out := alice.Call((*Seats).Return, 1).Outcome; out.Code != stf.UnknownCall {
		t.Error("a call is known before its block")
	}
	shard.Blocks(1_000)
	alice.Must((*Seats).Return, 1)

	if news := stftest.Ask[string](alice, (*Seats).News); news != "the price goes up" {
		t.Errorf("the hook wrote %q", news)
	}
}

// TestSeats: whatever is called, seats that are free and seats that are owned
// are 100.
func TestSeats(t *testing.T) {
	randomtest.Run(t, New, func(shard *stftest.Shard) {
		users := []*stftest.User{shard.User("alice"), shard.User("bob"), shard.User("carol")}
		for _, u := range users {
			u.Shield(10_000)
		}
		shard.Env.Number = 1_001
		shard.Check("100 seats", func(stf.Query) error {
			n := stftest.Ask[uint32](users[0], (*Seats).Free)
			for _, u := range users {
				n += uint32(len(stftest.Ask[[]uint32](u, (*Seats).Mine)))
			}
			if n != 100 {
				return fmt.Errorf("there are %d", n)
			}
			return nil
		})
	})
}

// TestWorkers: another worker, and one that was restarted, come to the same.
func TestWorkers(t *testing.T) {
	shard := open(t)
	shard.User("alice").Shield(1_000)
	shard.NextBlock()
	other, err := New()
	if err != nil {
		t.Fatal(err)
	}
	shard.Join(other)
	shard.User("alice").Must((*Seats).Buy, 1)
	again, err := New()
	if err != nil {
		t.Fatal(err)
	}
	shard.Restart(again)
	shard.NextBlock()
}

// TestCashOut asks for a payout on the parentchain.
func TestCashOut(t *testing.T) {
	shard := open(t)
	alice := shard.User("alice")
	alice.Shield(150)
	unshield := alice.Must((*Wallet).CashOut, alice, 100).Effects[0].Unshield
	if unshield.Amount.Lo != 100 || unshield.Beneficiary != alice.ID {
		t.Error(unshield)
	}

	if out := shard.Refund(*unshield).Outcome; out.Code != stf.Returned {
		t.Error(out)
	}
}

// TestGift: who is given a seat has it, and who gives it pays.
func TestGift(t *testing.T) {
	shard := open(t)
	alice, bob := shard.User("alice"), shard.User("bob")
	alice.Shield(250)
	alice.Must((*Seats).Gift, bob, 3)
	alice.Refused(ErrTaken, (*Seats).Gift, bob, 3)
	if seats := stftest.Ask[[]uint32](bob, (*Seats).Mine); len(seats) != 1 || seats[0] != 3 {
		t.Error(seats)
	}
	if free := stftest.Ask[stf.Balance](alice, (*Wallet).Balance); free.Lo != 148 { // 250, a seat, two fees
		t.Error(free)
	}
}

// TestHold: a seat is held for 50 blocks, and who holds it buys it.
func TestHold(t *testing.T) {
	shard := open(t)
	alice, bob := shard.User("alice"), shard.User("bob")
	alice.Shield(250)
	bob.Shield(250)
	alice.Must((*Seats).Hold, 1)
	alice.Must((*Seats).Hold, 2)
	bob.Refused(ErrTaken, (*Seats).Buy, 1)
	alice.Must((*Seats).Buy, 1)
	shard.Blocks(50)

	if done := shard.Tasks(); len(done) != 1 || !done[0].Outcome.OK() {
		t.Error(done)
	}
	bob.Must((*Seats).Buy, 2)
}

// TestGuarantee: a call that fails leaves its nonce and fee and nothing else.
func TestGuarantee(t *testing.T) {
	shard := open(t)
	alice := shard.User("alice")
	alice.Shield(50)
	alice.Refused(ErrPoor, (*Seats).Buy, 1)
	if n := shard.Nonce(alice.ID); n != 1 {
		t.Error(n)
	}
}
