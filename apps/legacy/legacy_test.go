package legacy

import (
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

var alice, carol = stftest.Account("alice"), stftest.Account("carol")

func u(v uint64) stf.Balance { return scale.NewU128(v) }

func newShard(t *testing.T) (*stftest.Shard, *stf.App) {
	t.Helper()
	app, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return stftest.New(t, app), app
}

// TestLock: the lock has all that the app declares.
func TestLock(t *testing.T) {
	if _, app := newShard(t); app.Lock() != lock {
		t.Errorf("calls.lock is not up to date:\n%s", app.Lock())
	}
}

// TestRules: a nonce counts after a success only, nothing costs a fee,
// and what failed is refused for ever (P 1.7, RULES 25).
func TestRules(t *testing.T) {
	s, _ := newShard(t)
	free := func(who stf.AccountID) uint64 {
		t.Helper()
		var v stf.Balance
		s.Trusted(GetterFreeBalance(who), &v)
		return v.Lo
	}
	if r := s.Shield(alice, u(1000)); !r.Outcome.OK() {
		t.Fatal(r)
	}
	transfer := func(amount uint64, nonce uint32) stf.Result {
		c, ok := s.Decode(BalanceTransfer(alice, carol, u(amount)))
		if !ok {
			t.Fatal("no such call")
		}
		return s.Execute(stf.Operation{Call: c, Nonce: nonce})
	}
	if r := transfer(300, 0); !r.Outcome.OK() || free(alice) != 700 || free(carol) != 300 || s.Nonce(alice) != 1 {
		t.Fatalf("%+v, alice %d, carol %d, nonce %d", r.Outcome, free(alice), free(carol), s.Nonce(alice))
	}
	if r := transfer(5000, 1); r.Outcome.Code != stf.ModuleError || free(alice) != 700 || s.Nonce(alice) != 1 {
		t.Fatalf("too much: %+v, nonce %d", r.Outcome, s.Nonce(alice))
	}
	s.Shield(alice, u(10_000))
	if r := transfer(5000, 1); r.Outcome.Code != stf.FailedBefore {
		t.Errorf("the same again: %+v", r.Outcome)
	}
	if r := transfer(5001, 1); !r.Outcome.OK() || s.Nonce(alice) != 2 {
		t.Errorf("another: %+v", r.Outcome)
	}
	if r := transfer(5000, 1); r.Outcome.Code != stf.BadNonce {
		t.Errorf("after the nonce has passed: %+v", r.Outcome)
	}
	r := s.Call(BalanceUnshield(alice, carol, u(99), s.Env.Shard))
	if !r.Outcome.OK() || len(r.Effects) != 1 || r.Effects[0].Unshield.Amount != u(99) {
		t.Fatalf("unshield: %+v", r)
	}
	before := free(alice)
	if r := s.Refund(*r.Effects[0].Unshield); r.Outcome.Code != stf.Returned || free(alice) != before+99 {
		t.Errorf("refund: %+v", r)
	}
	for name, call := range map[string][]byte{
		"unshield of another shard":    BalanceUnshield(alice, carol, u(1), [32]byte{1}),
		"set_balance":                  scale.AppendU128(scale.AppendU128(accounts(0, alice, alice), u(7)), u(0)),
		"shield by somebody":           scale.AppendU128(accounts(3, alice, alice), u(7)),
		"more than there is":           BalanceUnshield(alice, carol, scale.U128{Hi: 1}, s.Env.Shard),
		"from an account that is none": BalanceTransfer(stftest.Account("none"), carol, u(1)),
	} {
		if r := s.Call(call); r.Outcome.Code != stf.ModuleError {
			t.Errorf("%s: %+v", name, r.Outcome)
		}
	}
	// All of it: the account ends, and its nonce stays.
	n := s.Nonce(alice)
	if r := transfer(free(alice), n); !r.Outcome.OK() || s.Nonce(alice) != n+1 {
		t.Errorf("all: %+v", r.Outcome)
	}
}

// TestGetters: None for an account that does not exist.
func TestGetters(t *testing.T) {
	s, app := newShard(t)
	ask := func(getter []byte) (value []byte, some bool) {
		t.Helper()
		value, some, err := app.Query(s.State(), s.Env, integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: getter, Legacy: true}})
		if err != nil {
			t.Fatal(err)
		}
		return value, some
	}
	getters := [][]byte{GetterFreeBalance(alice), accounts(1, alice), GetterNonce(alice)}
	for _, g := range getters {
		if v, some := ask(g); some || v != nil {
			t.Errorf("getter %d: %x", g[0], v)
		}
	}
	s.Shield(alice, u(5))
	for i, want := range []int{16, 16, 4} {
		if v, some := ask(getters[i]); !some || len(v) != want {
			t.Errorf("getter %d: %x, %v", i, v, some)
		}
	}
	var answer uint32
	if s.Public([]byte{0}, &answer); answer != 42 {
		t.Errorf("some_value %d", answer)
	}
}

func TestLegacyHasNoFees(t *testing.T) {
	_, err := stf.NewApp(stf.Config{Name: "x", Legacy: true, Fee: func(stf.Call, stf.DecodedCall) error { return nil }})
	if err == nil || errors.Is(err, stf.ErrNone) {
		t.Errorf("a legacy app with fees: %v", err)
	}
}
