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
)

var (
	issuer = stftest.Account("issuer")
	alice  = stftest.Account("alice")
	bob    = stftest.Account("bob")
	carol  = stftest.Account("carol")
)

func newWorld(t *testing.T) *world.World {
	app, err := token.New(issuer)
	return world.New(t, app, err)
}

func TestToken(t *testing.T) {
	w := newWorld(t)
	w.Must(issuer, "Token.Mint", alice, 100)
	w.Must(alice, "Token.Transfer", bob, 30)
	w.Must(alice, "Token.Approve", bob, 0, 50)
	w.Must(bob, "Token.TransferFrom", alice, carol, 20)
	w.Must(carol, "Token.Burn", 5)

	for who, want := range map[stf.AccountID]uint64{alice: 50, bob: 30, carol: 15} {
		if got := world.Ask[stf.Balance](w, who, "Token.Balance"); got != scale.NewU128(want) {
			t.Errorf("%v has %v, want %d", who, got, want)
		}
	}
	// Both sides may ask what is left of the allowance.
	if a, b := world.Ask[stf.Balance](w, alice, "Token.Allowance", bob), world.Ask[stf.Balance](w, bob, "Token.Allowed", alice); a.Lo != 30 || b != a {
		t.Errorf("allowance %v and %v, want 30", a, b)
	}
	if supply := world.Ask[stf.Balance](w, alice, "Token.Supply"); supply.Lo != 95 {
		t.Errorf("supply %v, want 95", supply)
	}
	if got := world.Ask[stf.AccountID](w, alice, "Token.Issuer"); got != issuer {
		t.Errorf("issuer %v", got)
	}
}

func TestRefusals(t *testing.T) {
	const most = "340282366920938463463374607431768211455"
	w := newWorld(t)
	w.Must(issuer, "Token.Mint", alice, 100)
	w.Refused(token.ErrNotIssuer, alice, "Token.Mint", alice, 1)
	w.Refused(token.ErrOverflow, issuer, "Token.Mint", bob, most)
	w.Refused(token.ErrInsufficient, alice, "Token.Transfer", bob, 101)
	w.Refused(token.ErrInsufficient, alice, "Token.Burn", 101)
	w.Refused(token.ErrNotAllowed, bob, "Token.TransferFrom", alice, bob, 1)
	w.Must(alice, "Token.Approve", bob, 0, most)
	w.Refused(token.ErrChanged, alice, "Token.Approve", bob, 0, 7)
	w.Refused(token.ErrInsufficient, bob, "Token.TransferFrom", alice, bob, 101)
	if left := world.Ask[stf.Balance](w, bob, "Token.Allowed", alice); left.String() != most {
		t.Errorf("a failed transfer used up the allowance: %v", left)
	}
}

// TestGasTellsNothing: a receipt must not tell a sender what the receiver, or
// an owner whose tokens it spends, has.
func TestGasTellsNothing(t *testing.T) {
	w := newWorld(t)
	w.Must(issuer, "Token.Mint", alice, 100)
	w.Must(issuer, "Token.Mint", bob, 5)
	if rich, none := w.Must(alice, "Token.Transfer", bob, 1), w.Must(alice, "Token.Transfer", carol, 1); rich.Gas != none.Gas {
		t.Errorf("a transfer to an account with tokens costs %d, without %d", rich.Gas, none.Gas)
	}
	w.Must(bob, "Token.Approve", alice, 0, 6)
	if some, all := w.Must(alice, "Token.TransferFrom", bob, alice, 1), w.Must(alice, "Token.TransferFrom", bob, alice, 5); some.Gas != all.Gas {
		t.Errorf("taking some costs %d, all that is there %d", some.Gas, all.Gas)
	}
}

func TestPage(t *testing.T) { newWorld(t).Page("../README.md") }

// TestModel compares random calls with the plainest books there are.
func TestModel(t *testing.T) {
	people := []stf.AccountID{issuer, alice, bob, carol}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		type pair struct{ owner, spender stf.AccountID }
		has, may, supply := map[stf.AccountID]int{}, map[pair]int{}, 0
		someone := rapid.SampledFrom(people)
		amounts := rapid.IntRange(0, 20)
		for i := range rapid.IntRange(1, 40).Draw(rt, "calls") {
			who, from, to, n := someone.Draw(rt, "who"), someone.Draw(rt, "from"), someone.Draw(rt, "to"), amounts.Draw(rt, "n")
			var ok bool
			var r stf.Result
			switch kind := rapid.IntRange(0, 4).Draw(rt, "kind"); kind {
			case 0:
				if r, ok = w.Call(who, "Token.Mint", to, n), who == issuer; ok {
					has[to] += n
					supply += n
				}
			case 1:
				if r, ok = w.Call(who, "Token.Burn", n), has[who] >= n; ok {
					has[who] -= n
					supply -= n
				}
			case 2:
				if r, ok = w.Call(who, "Token.Transfer", to, n), has[who] >= n; ok {
					has[who] -= n
					has[to] += n
				}
			case 3:
				p, was := pair{who, to}, amounts.Draw(rt, "was")
				if rapid.Bool().Draw(rt, "knows") {
					was = may[p]
				}
				if r, ok = w.Call(who, "Token.Approve", to, was, n), may[p] == was; ok {
					may[p] = n
				}
			case 4:
				p := pair{from, who}
				if r, ok = w.Call(who, "Token.TransferFrom", from, to, n), may[p] >= n && has[from] >= n; ok {
					may[p] -= n
					has[from] -= n
					has[to] += n
				}
			}
			if r.Outcome.OK() != ok {
				rt.Fatalf("call %d: %v (%v), want success %v", i, r.Outcome, r.Err, ok)
			}
			sum := 0
			for _, a := range people {
				if got := world.Ask[stf.Balance](w, a, "Token.Balance"); fmt.Sprint(got) != fmt.Sprint(has[a]) {
					rt.Fatalf("call %d: %v has %v, want %d", i, a, got, has[a])
				}
				sum += has[a]
			}
			if got := world.Ask[stf.Balance](w, issuer, "Token.Supply"); fmt.Sprint(got) != fmt.Sprint(supply) || sum != supply {
				rt.Fatalf("call %d: supply %v, want %d; sum %d", i, got, supply, sum)
			}
			if got := world.Ask[stf.Balance](w, to, "Token.Allowance", who); fmt.Sprint(got) != fmt.Sprint(may[pair{to, who}]) {
				rt.Fatalf("call %d: allowance %v, want %d", i, got, may[pair{to, who}])
			}
		}
	})
}
