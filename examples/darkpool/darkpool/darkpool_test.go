package darkpool_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/examples/darkpool/darkpool"
	"github.com/offchain-worker/sdk/examples/world"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

var (
	issuer = stftest.Account("issuer")
	alice  = stftest.Account("alice")
	bob    = stftest.Account("bob")
	carol  = stftest.Account("carol")
	people = []stf.AccountID{alice, bob, carol}
	escrow = stf.AccountID(hashing.Blake2b256([]byte("examples/darkpool/escrow")))
)

// newWorld gives Alice, Bob and Carol 1000 planck and 100 tokens each.
func newWorld(t *testing.T) *world.World {
	app, err := darkpool.New(issuer)
	w := world.New(t, app, err)
	for _, who := range people {
		give(w, who)
	}
	return w
}

func give(w *world.World, who stf.AccountID) {
	w.Shield(who, scale.NewU128(1000))
	w.Must(issuer, "Token.Mint", who, 100)
}

// holds returns planck and tokens of an account, those of the escrow too.
func holds(w *world.World, who stf.AccountID) [2]uint64 {
	return [2]uint64{world.Ask[stf.Balance](w, who, "Funds.Balance").Lo, world.Ask[stf.Balance](w, who, "Token.Balance").Lo}
}

func orders(w *world.World, who stf.AccountID) []darkpool.Order {
	return world.Ask[[]darkpool.Order](w, who, "Pool.Orders")
}

func TestMatching(t *testing.T) {
	w := newWorld(t)
	w.Must(alice, "Pool.Place", false, 12, 10)
	w.Must(bob, "Pool.Place", false, 10, 10)
	w.Must(carol, "Pool.Place", true, 9, 5) // waits
	w.Must(carol, "Pool.Place", true, 12, 15)

	// Bob's order was the better one, and Carol paid his price for it.
	for who, want := range map[stf.AccountID][2]uint64{alice: {1060, 90}, bob: {1100, 90}, carol: {1000 - 100 - 60 - 45, 115}, escrow: {45, 5}} {
		if got := holds(w, who); got != want {
			t.Errorf("%v has %v, want %v", who, got, want)
		}
	}
	if got := orders(w, alice); !slices.Equal(got, []darkpool.Order{{Number: 0, Price: 12, Left: 5}}) {
		t.Errorf("Alice's orders: %+v", got)
	}
	for who, want := range map[stf.AccountID][]darkpool.Trade{
		alice: {{Order: 0, Price: 12, Amount: 5, Block: 1}},
		bob:   {{Order: 0, Price: 10, Amount: 10, Block: 1}},
		carol: {{Order: 1, Bought: true, Price: 10, Amount: 10, Block: 1}, {Order: 1, Bought: true, Price: 12, Amount: 5, Block: 1}},
	} {
		if got := world.Ask[[]darkpool.Trade](w, who, "Pool.Trades"); !slices.Equal(got, want) {
			t.Errorf("trades of %v: %+v, want %+v", who, got, want)
		}
	}
}

func TestCancelAndSelfTrade(t *testing.T) {
	w := newWorld(t)
	w.Must(alice, "Pool.Place", true, 10, 10)
	w.Refused(darkpool.ErrNoOrder, bob, "Pool.Cancel", 0)
	w.Must(alice, "Pool.Place", false, 10, 7) // takes back the first
	if got := orders(w, alice); !slices.Equal(got, []darkpool.Order{{Number: 1, Price: 10, Left: 7}}) || holds(w, alice) != [2]uint64{1000, 93} {
		t.Errorf("orders %+v, holds %v", got, holds(w, alice))
	}
	w.Must(bob, "Pool.Place", true, 10, 3)
	w.Must(alice, "Pool.Cancel", 1)
	w.Refused(darkpool.ErrNoOrder, alice, "Pool.Cancel", 1)
	if got := holds(w, alice); got != [2]uint64{1030, 97} || holds(w, escrow) != [2]uint64{} {
		t.Errorf("holds %v, escrow %v", got, holds(w, escrow))
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.Refused(darkpool.ErrZero, alice, "Pool.Place", true, 0, 1)
	w.Refused(darkpool.ErrZero, alice, "Pool.Place", false, 1, 0)
	w.Refused(darkpool.ErrInsufficient, alice, "Pool.Place", true, 10, 101)
	w.Refused(darkpool.ErrInsufficient, alice, "Pool.Place", true, uint64(1<<63), uint64(1<<63))
	w.Refused(darkpool.ErrInsufficient, alice, "Pool.Place", false, 1, 101)
}

// TestFullBook: a side that is full gives up its worst order for a better one,
// and one order can trade with all that wait.
func TestFullBook(t *testing.T) {
	w := newWorld(t)
	sellers := make([]stf.AccountID, darkpool.MaxOrders)
	for i := range sellers {
		sellers[i] = stftest.Account(fmt.Sprint("seller ", i))
		give(w, sellers[i])
		w.Must(sellers[i], "Pool.Place", false, 5, 1)
	}
	w.Refused(darkpool.ErrFull, bob, "Pool.Place", false, 5, 1)
	w.Must(bob, "Pool.Place", false, 4, 1)
	last := sellers[len(sellers)-1]
	if got := holds(w, last); got != [2]uint64{1000, 100} || len(orders(w, last)) != 0 {
		t.Errorf("the worst order is still there, its owner has %v", got)
	}
	w.Must(alice, "Pool.Place", true, 5, 200)
	if got := holds(w, alice); got != [2]uint64{1, 100 + darkpool.MaxOrders} {
		t.Errorf("Alice has %v", got)
	}
	if got := holds(w, sellers[0]); got != [2]uint64{1005, 99} {
		t.Errorf("the first seller has %v", got)
	}
}

// TestGasTellsNothing: what an order costs must not tell how many others wait,
// nor how much is left of the one that it trades with.
func TestGasTellsNothing(t *testing.T) {
	w := newWorld(t)
	if first, second := w.Must(alice, "Pool.Place", true, 10, 5), w.Must(bob, "Pool.Place", true, 9, 5); first.Gas != second.Gas {
		t.Errorf("the first order costs %d, the second %d", first.Gas, second.Gas)
	}
	w.Must(carol, "Pool.Place", false, 20, 1)
	some, all := w.Must(carol, "Pool.Place", false, 10, 1), w.Must(carol, "Pool.Place", false, 10, 4)
	if some.Gas != all.Gas {
		t.Errorf("trading with a part of an order costs %d, with all that is left %d", some.Gas, all.Gas)
	}
}

func TestPage(t *testing.T) { newWorld(t).Page("../README.md") }

// resting is an order of the model, which is a list in order of time.
type resting struct {
	who         stf.AccountID
	number      int
	buy         bool
	price, left uint64
}

// book is the rules written again: a list that is searched each time.
type book struct {
	list []resting
	has  map[stf.AccountID]*[2]uint64
	next map[stf.AccountID]int
}

func (b *book) back(i int) {
	o := b.list[i]
	if o.buy {
		b.has[o.who][0] += o.price * o.left
	} else {
		b.has[o.who][1] += o.left
	}
	b.list = slices.Delete(b.list, i, i+1)
}

func (b *book) place(who stf.AccountID, buy bool, price, n uint64) bool {
	if price == 0 || n == 0 || buy && b.has[who][0] < price*n || !buy && b.has[who][1] < n {
		return false
	}
	if buy {
		b.has[who][0] -= price * n
	} else {
		b.has[who][1] -= n
	}
	number := b.next[who]
	b.next[who]++
	for n > 0 {
		best := -1
		for i, o := range b.list {
			crosses := o.buy != buy && (buy && o.price <= price || !buy && o.price >= price)
			if crosses && (best < 0 || buy && o.price < b.list[best].price || !buy && o.price > b.list[best].price) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		o := &b.list[best]
		if o.who == who {
			b.back(best)
			continue
		}
		traded := min(n, o.left)
		n -= traded
		o.left -= traded
		if buy {
			b.has[o.who][0] += o.price * traded
			b.has[who][0] += (price - o.price) * traded
			b.has[who][1] += traded
		} else {
			b.has[o.who][1] += traded
			b.has[who][0] += o.price * traded
		}
		if o.left == 0 {
			b.list = slices.Delete(b.list, best, best+1)
		}
	}
	if n > 0 {
		b.list = append(b.list, resting{who, number, buy, price, n})
	}
	return true
}

// TestModel compares random orders with the rules written again: who holds
// what, which orders wait, and that nothing is created or lost.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		b := &book{has: map[stf.AccountID]*[2]uint64{}, next: map[stf.AccountID]int{}}
		for _, who := range people {
			b.has[who] = &[2]uint64{1000, 100}
		}
		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			who := rapid.SampledFrom(people).Draw(rt, "who")
			var r stf.Result
			var ok bool
			if rapid.IntRange(0, 4).Draw(rt, "kind") == 0 {
				number := rapid.IntRange(0, 5).Draw(rt, "number")
				at := slices.IndexFunc(b.list, func(o resting) bool { return o.who == who && o.number == number })
				if r, ok = w.Call(who, "Pool.Cancel", number), at >= 0; ok {
					b.back(at)
				}
			} else {
				buy, price, n := rapid.Bool().Draw(rt, "buy"), rapid.Uint64Range(0, 12).Draw(rt, "price"), rapid.Uint64Range(0, 60).Draw(rt, "n")
				r, ok = w.Call(who, "Pool.Place", buy, price, n), b.place(who, buy, price, n)
			}
			if r.Outcome.OK() != ok {
				rt.Fatalf("step %d: %v (%v), want success %v", i, r.Outcome, r.Err, ok)
			}
			sum := holds(w, escrow)
			for _, who := range people {
				got := holds(w, who)
				if got != *b.has[who] {
					rt.Fatalf("step %d: %v has %v, want %v", i, who, got, *b.has[who])
				}
				sum[0] += got[0]
				sum[1] += got[1]
				waiting := orders(w, who)
				for _, o := range b.list {
					if o.who == who && !slices.Contains(waiting, darkpool.Order{Number: uint32(o.number), Buy: o.buy, Price: o.price, Left: o.left}) {
						rt.Fatalf("step %d: %+v does not wait", i, o)
					}
				}
				if want := len(slices.DeleteFunc(slices.Clone(b.list), func(o resting) bool { return o.who != who })); len(waiting) != want {
					rt.Fatalf("step %d: %d orders of %v wait, want %d", i, len(waiting), who, want)
				}
			}
			if sum != [2]uint64{3000, 300} {
				rt.Fatalf("step %d: there are %v", i, sum)
			}
		}
	})
}
