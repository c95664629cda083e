package shop

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

func open(t testing.TB) (*stf.App, *stftest.Shard) {
	app, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return app, stftest.New(t, app)
}

// call makes a call of who, with arguments as in a command line.
func call(t testing.TB, app *stf.App, shard *stftest.Shard, who stf.AccountID, name string, args ...string) stf.Result {
	raw, err := app.ParseCall(name, who, args)
	if err != nil {
		t.Fatal(err)
	}
	return shard.Call(raw)
}

func TestBuy(t *testing.T) {
	app, shard := open(t)
	alice, bob := stftest.Account("alice"), stftest.Account("bob")
	shard.Shield(alice, stf.Balance{Lo: 150})

	if out := call(t, app, shard, alice, "Seats.Buy", "7").Outcome; !out.OK() {
		t.Error(app.Reason(out))
	}
	if out := call(t, app, shard, alice, "Seats.Buy", "7").Outcome; app.Reason(out) != "Seats.Taken: the seat is sold" {
		t.Error(app.Reason(out))
	}
	if out := call(t, app, shard, bob, "Seats.Buy", "8").Outcome; out.Code != stf.FeeUnpaid {
		t.Error(out)
	}

	getter, _, err := app.ParseGetter("Wallet.Balance", alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	var free stf.Balance
	if shard.Trusted(getter, &free); free.Lo != 48 { // 150, a seat, two fees
		t.Error(free)
	}

	receipts := shard.Receipts()
	if n := len(receipts); n != 4 || len(receipts[1].Events) != 1 {
		t.Errorf("%d receipts: %v", n, receipts)
	}
}

func TestHooksAndVersions(t *testing.T) {
	app, shard := open(t)
	alice := stftest.Account("alice")
	shard.Shield(alice, stf.Balance{Lo: 1_000})
	call(t, app, shard, alice, "Seats.Buy", "1")
	raw, err := app.ParseCall("Seats.Return", alice, []string{"1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, known := shard.Decode(raw); known {
		t.Error("a call is known before its block")
	}
	for shard.Env.Number < 1_001 {
		shard.NextBlock()
	}
	var news string
	if shard.Public([]byte{2, 1}, &news); news != "the price goes up" {
		t.Errorf("the hook wrote %q", news)
	}
	if out := shard.Call(raw).Outcome; !out.OK() {
		t.Error(app.Reason(out))
	}
}

// TestSeats: whatever is bought and returned, seats that are free and seats
// that are owned are 100.
func TestSeats(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		app, shard := open(t)
		who := []stf.AccountID{stftest.Account("alice"), stftest.Account("bob")}
		for _, w := range who {
			shard.Shield(w, stf.Balance{Lo: 10_000})
		}
		shard.Env.Number = 1_001
		for range rapid.IntRange(1, 30).Draw(r, "calls") {
			name := rapid.SampledFrom([]string{"Seats.Buy", "Seats.Return"}).Draw(r, "call")
			seat := rapid.SampledFrom([]string{"0", "1", "2", "100"}).Draw(r, "seat")
			call(t, app, shard, rapid.SampledFrom(who).Draw(r, "who"), name, seat)
		}
		var free uint32
		shard.Public([]byte{2, 0}, &free)
		for _, w := range who {
			var mine []uint32
			shard.Trusted(append([]byte{2, 0}, w[:]...), &mine)
			free += uint32(len(mine))
		}
		if free != 100 {
			r.Errorf("%d seats", free)
		}
	})
}

// TestCashOut asks for a payout on the parentchain.
func TestCashOut(t *testing.T) {
	app, shard := open(t)
	alice := stftest.Account("alice")
	shard.Shield(alice, stf.Balance{Lo: 150})
	res := call(t, app, shard, alice, "Wallet.CashOut", alice.String(), "100")
	if !res.Outcome.OK() || len(res.Effects) != 1 {
		t.Fatal(app.Reason(res.Outcome), res.Effects)
	}
	unshield := res.Effects[0].Unshield
	if unshield.Amount.Lo != 100 || unshield.Beneficiary != alice {
		t.Error(unshield)
	}

	if out := shard.Refund(*unshield).Outcome; out.Code != stf.Returned {
		t.Error(out)
	}
}

// TestGift: who is given a seat has it, and who gives it pays.
func TestGift(t *testing.T) {
	app, shard := open(t)
	alice, bob := stftest.Account("alice"), stftest.Account("bob")
	shard.Shield(alice, stf.Balance{Lo: 250})
	for i, want := range []string{"executed", "Seats.Taken: the seat is sold"} {
		if out := call(t, app, shard, alice, "Seats.Gift", bob.String(), "3").Outcome; app.Reason(out) != want {
			t.Errorf("gift %d: %s", i, app.Reason(out))
		}
	}
	var seats []uint32
	if shard.Trusted(append([]byte{2, 0}, bob[:]...), &seats); len(seats) != 1 || seats[0] != 3 {
		t.Error(seats)
	}
	var free stf.Balance
	if shard.Trusted(append([]byte{1, 0}, alice[:]...), &free); free.Lo != 148 { // 250, a seat, two fees
		t.Error(free)
	}
}

// TestHold: a seat is held for 50 blocks, and who holds it buys it.
func TestHold(t *testing.T) {
	app, shard := open(t)
	alice, bob := stftest.Account("alice"), stftest.Account("bob")
	shard.Shield(alice, stf.Balance{Lo: 250})
	shard.Shield(bob, stf.Balance{Lo: 250})
	call(t, app, shard, alice, "Seats.Hold", "1")
	call(t, app, shard, alice, "Seats.Hold", "2")
	if out := call(t, app, shard, bob, "Seats.Buy", "1").Outcome; app.Reason(out) != "Seats.Taken: the seat is sold" {
		t.Error(app.Reason(out))
	}
	if out := call(t, app, shard, alice, "Seats.Buy", "1").Outcome; !out.OK() {
		t.Error(app.Reason(out))
	}
	for range 50 {
		shard.NextBlock()
	}

	if done := shard.Tasks(); len(done) != 1 || !done[0].Outcome.OK() {
		t.Error(done)
	}
	if out := call(t, app, shard, bob, "Seats.Buy", "2").Outcome; !out.OK() {
		t.Error(app.Reason(out))
	}
}

// TestGuarantee: a call that fails leaves its nonce and fee and nothing else.
func TestGuarantee(t *testing.T) {
	app, shard := open(t)
	alice := stftest.Account("alice")
	shard.Shield(alice, stf.Balance{Lo: 50})
	if out := call(t, app, shard, alice, "Seats.Buy", "1").Outcome; app.Reason(out) != "Wallet.Poor: the account has less than that" {
		t.Error(app.Reason(out))
	}
	if n := shard.Nonce(alice); n != 1 {
		t.Error(n)
	}
}
