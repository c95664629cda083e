package token_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/examples/token/token"
	"github.com/offchain-worker/sdk/examples/world"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/stf/stftest/randomtest"
)

var tok = token.Issued(stftest.Account("alice"))

// start returns a shard with Alice, who issues, Bob and Carol.
func start(t stftest.TB) (s *stftest.Shard, alice, bob, carol *stftest.User) {
	app, err := stf.NewApp(stf.Config{Name: "token", Modules: []stf.ModuleDecl{tok.Declare(1)}})
	if err != nil {
		t.Fatalf("%v", err)
	}
	s = stftest.New(t, app)
	s.Check("supply", supplied)
	return s, s.User("alice"), s.User("bob"), s.User("carol")
}

// supplied checks that the supply is what all have together.
func supplied(q stf.Query) error {
	var sum stf.Balance
	for _, amount := range tok.Amounts.All(q) {
		sum = sum.SaturatingAdd(amount)
	}
	if supply, _ := tok.Supply(q); supply != sum {
		return fmt.Errorf("it is %v, and all have %v", supply, sum)
	}
	return nil
}

func has(u *stftest.User) stf.Balance { return stftest.Ask[stf.Balance](u, tok.Balance) }

func TestToken(t *testing.T) {
	s, alice, bob, carol := start(t)
	alice.Must(tok.Mint, alice, 100)
	alice.Must(tok.Transfer, bob, 30)
	alice.Must(tok.Approve, bob, 0, 50)
	bob.Must(tok.TransferFrom, alice, carol, 20)
	carol.Must(tok.Burn, 5)
	if has(alice).Lo != 50 || has(bob).Lo != 30 || has(carol).Lo != 15 || stftest.Ask[stf.Balance](bob, tok.Supply).Lo != 95 {
		t.Errorf("they have %v, %v and %v", has(alice), has(bob), has(carol))
	}
	// Both sides may ask what is left of the allowance.
	if a, b := stftest.Ask[stf.Balance](alice, tok.Allowance, bob), stftest.Ask[stf.Balance](bob, tok.Allowed, alice); a.Lo != 30 || b != a {
		t.Errorf("allowance %v and %v, want 30", a, b)
	}
	if got := stftest.Ask[stf.AccountID](bob, tok.Issuer); got != alice.ID {
		t.Errorf("issuer %v", got)
	}
	s.NextBlock()
}

func TestRefusals(t *testing.T) {
	_, alice, bob, _ := start(t)
	alice.Must(tok.Mint, bob, 100)
	bob.Refused(token.ErrNotIssuer, tok.Mint, bob, 1)
	alice.Refused(token.ErrOverflow, tok.Mint, alice, scale.MaxU128)
	bob.Refused(token.ErrInsufficient, tok.Transfer, alice, 101)
	bob.Refused(token.ErrInsufficient, tok.Burn, 101)
	alice.Refused(token.ErrNotAllowed, tok.TransferFrom, bob, alice, 1)
	bob.Must(tok.Approve, alice, 0, scale.MaxU128)
	bob.Refused(token.ErrChanged, tok.Approve, alice, 0, 7)
	alice.Refused(token.ErrInsufficient, tok.TransferFrom, bob, alice, 101)
	if left := stftest.Ask[stf.Balance](alice, tok.Allowed, bob); left != scale.MaxU128 {
		t.Errorf("a failed transfer used up the allowance: %v", left)
	}
}

// TestGasTellsNothing: a receipt must not tell a sender what the receiver, or
// an owner whose tokens it spends, has.
func TestGasTellsNothing(t *testing.T) {
	_, alice, bob, carol := start(t)
	alice.Must(tok.Mint, alice, 100)
	alice.Must(tok.Mint, bob, 5)
	if rich, none := alice.Must(tok.Transfer, bob, 1), alice.Must(tok.Transfer, carol, 1); rich.Gas != none.Gas {
		t.Errorf("a transfer to an account with tokens costs %d, without %d", rich.Gas, none.Gas)
	}
	bob.Must(tok.Approve, alice, 0, 6)
	if some, all := alice.Must(tok.TransferFrom, bob, alice, 1), alice.Must(tok.TransferFrom, bob, alice, 5); some.Gas != all.Gas {
		t.Errorf("taking some costs %d, all that is there %d", some.Gas, all.Gas)
	}
}

func TestPage(t *testing.T) {
	app, err := token.New(stf.AccountID{})
	world.New(t, app, err).Page("../README.md")
}

// TestRandomCalls makes calls of all kinds, of which two workers must think the same.
func TestRandomCalls(t *testing.T) {
	start(t)
	newApp := func() (*stf.App, error) { return token.New(stftest.Account("alice")) }
	randomtest.Run(t, newApp, func(s *stftest.Shard) { s.Check("supply", supplied) })
}

// TestModel compares random calls with the plainest books there are.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, alice, bob, carol := start(rt)
		people := []*stftest.User{alice, bob, carol}
		type pair struct{ owner, spender *stftest.User }
		owns, may := map[*stftest.User]int{}, map[pair]int{}
		someone, amounts := rapid.SampledFrom(people), rapid.IntRange(0, 20)
		for i := range rapid.IntRange(1, 40).Draw(rt, "calls") {
			who, from, to, n := someone.Draw(rt, "who"), someone.Draw(rt, "from"), someone.Draw(rt, "to"), amounts.Draw(rt, "n")
			var ok bool
			var r stf.Result
			switch rapid.IntRange(0, 4).Draw(rt, "kind") {
			case 0:
				if r, ok = who.Call(tok.Mint, to, n), who == alice; ok {
					owns[to] += n
				}
			case 1:
				if r, ok = who.Call(tok.Burn, n), owns[who] >= n; ok {
					owns[who] -= n
				}
			case 2:
				if r, ok = who.Call(tok.Transfer, to, n), owns[who] >= n; ok {
					owns[who] -= n
					owns[to] += n
				}
			case 3:
				p, was := pair{who, to}, amounts.Draw(rt, "was")
				if rapid.Bool().Draw(rt, "knows") {
					was = may[p]
				}
				if r, ok = who.Call(tok.Approve, to, was, n), may[p] == was; ok {
					may[p] = n
				}
			case 4:
				p := pair{from, who}
				if r, ok = who.Call(tok.TransferFrom, from, to, n), may[p] >= n && owns[from] >= n; ok {
					may[p] -= n
					owns[from] -= n
					owns[to] += n
				}
			}
			if r.Outcome.OK() != ok {
				rt.Fatalf("call %d: %v (%v), want success %v", i, r.Outcome, r.Err, ok)
			}
			for _, u := range people {
				if got := has(u); got != scale.NewU128(uint64(owns[u])) {
					rt.Fatalf("call %d: %v has %v, want %d", i, u.ID, got, owns[u])
				}
			}
			if got := stftest.Ask[stf.Balance](to, tok.Allowance, who); got != scale.NewU128(uint64(may[pair{to, who}])) {
				rt.Fatalf("call %d: allowance %v, want %d", i, got, may[pair{to, who}])
			}
		}
		s.NextBlock()
	})
}
