package balances_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/balances"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// wallet does what it is asked to.
type wallet struct{ balances.Ledger }

func (w *wallet) Pay(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	return w.Transfer(ctx, ctx.Sender(), to, amount)
}

func (w *wallet) Create(ctx stf.Call, amount stf.Balance) error {
	return w.Mint(ctx, ctx.Sender(), amount)
}

func (w *wallet) Destroy(ctx stf.Call, amount stf.Balance) error {
	return w.Burn(ctx, ctx.Sender(), amount)
}

func (w *wallet) SetAside(ctx stf.Call, amount stf.Balance) error {
	return w.Reserve(ctx, ctx.Sender(), amount)
}

func newShard(t stftest.TB) *stftest.Shard {
	w := &wallet{balances.Ledger{Deposit: scale.NewU128(10)}}
	app, err := stf.NewApp(stf.Config{Name: "wallet", Refund: w.Refunder(), Modules: []stf.ModuleDecl{
		stf.Module("Wallet", w, stf.At(1),
			stf.Calls(stf.Method("Pay", 0), stf.Method("Create", 1), stf.Method("Destroy", 2), stf.Method("SetAside", 3)),
			stf.Getters(stf.Method("AccountInfo", 0, "who")),
			stf.Public(stf.Method("TotalIssuance", 0)),
			balances.Events(), balances.Errors())}})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return stftest.New(t, app)
}

func info(u *stftest.User) balances.AccountInfo {
	return stftest.Ask[balances.AccountInfo](u, "Wallet.account_info")
}

func issuance(u *stftest.User) stf.Balance {
	return stftest.Ask[stf.Balance](u, "Wallet.total_issuance")
}

// TestRules goes through the rules one by one; the deposit is 10.
func TestRules(t *testing.T) {
	s := newShard(t)
	alice, bob := s.User("alice"), s.User("bob")
	state := func() string {
		a, b := info(alice), info(bob)
		return fmt.Sprint(a.Data.Free, a.Data.Reserved, a.Providers, b.Data.Free, b.Providers, issuance(alice))
	}
	for _, step := range []struct {
		user   *stftest.User
		method any
		args   []any
		err    *stf.Error
		after  string // alice's free, reserved and whether she exists, bob's, the issuance
	}{
		{alice, (*wallet).Create, []any{9}, balances.ErrExistentialDeposit, "0 0 0 0 0 0"},
		{alice, (*wallet).Create, []any{100}, nil, "100 0 1 0 0 100"},
		{alice, (*wallet).Create, []any{scale.MaxU128}, balances.ErrOverflow, "100 0 1 0 0 100"},
		{alice, (*wallet).Pay, []any{bob.ID, 9}, balances.ErrExistentialDeposit, "100 0 1 0 0 100"},
		{alice, (*wallet).Pay, []any{bob.ID, 101}, balances.ErrInsufficientBalance, "100 0 1 0 0 100"},
		{alice, (*wallet).Pay, []any{bob.ID, 0}, nil, "100 0 1 0 0 100"},
		{alice, (*wallet).Pay, []any{alice.ID, 100}, nil, "100 0 1 0 0 100"},
		{alice, (*wallet).Pay, []any{bob.ID, 30}, nil, "70 0 1 30 1 100"},
		{bob, (*wallet).Pay, []any{alice.ID, 21}, nil, "91 0 1 0 0 91"}, // dust is burned
		{alice, (*wallet).SetAside, []any{82}, balances.ErrInsufficientBalance, "91 0 1 0 0 91"},
		{alice, (*wallet).SetAside, []any{80}, nil, "11 80 1 0 0 91"},
		{alice, (*wallet).Destroy, []any{12}, balances.ErrInsufficientBalance, "11 80 1 0 0 91"},
		{alice, (*wallet).Destroy, []any{10}, nil, "1 80 1 0 0 81"}, // what is reserved keeps it
		{bob, (*wallet).Create, []any{10}, nil, "1 80 1 10 1 91"},
		{bob, (*wallet).Destroy, []any{1}, nil, "1 80 1 0 0 81"},
	} {
		if step.err != nil {
			step.user.Refused(step.err, step.method, step.args...)
		} else {
			step.user.Must(step.method, step.args...)
		}
		if got := state(); got != step.after {
			t.Fatalf("after %v: %s, want %s", step.args, got, step.after)
		}
	}
	if n := info(alice).Nonce; n != 12 {
		t.Errorf("nonce %d", n)
	}
	r := s.Refund(stf.Unshield{From: bob.ID, Amount: scale.NewU128(50)})
	if want := append([]byte{1, 2}, scale.MustMarshal(balances.Returned{Who: bob.ID, Amount: scale.NewU128(50)})...); r.Outcome.Code != stf.Returned || len(r.Events) != 1 || string(r.Events[0]) != string(want) {
		t.Errorf("a refund: %+v", r)
	}
	if got := state(); got != "1 80 1 50 1 131" {
		t.Error(got)
	}
}

// TestSum: whatever is done, the balances add up to the issuance, and no account
// without reserves is below the deposit.
func TestSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShard(t)
		users := []*stftest.User{s.User("a"), s.User("b"), s.User("c")}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			u, amount := rapid.SampledFrom(users).Draw(t, "who"), rapid.Uint64Range(0, 60).Draw(t, "amount")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				u.Call((*wallet).Create, amount)
			case 1:
				u.Call((*wallet).Destroy, amount)
			case 2:
				u.Call((*wallet).SetAside, amount)
			case 3:
				u.Call((*wallet).Pay, rapid.SampledFrom(users).Draw(t, "to").ID, amount)
			}
		}
		var sum stf.Balance
		for _, u := range users {
			d := info(u).Data
			if d.Reserved.IsZero() && !d.Free.IsZero() && d.Free.Less(scale.NewU128(10)) {
				t.Errorf("dust: %v", d.Free)
			}
			sum = sum.SaturatingAdd(d.Free).SaturatingAdd(d.Reserved)
		}
		if got := issuance(users[0]); got != sum {
			t.Errorf("issuance %v, sum %v", got, sum)
		}
	})
}
