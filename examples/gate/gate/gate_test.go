package gate_test

import (
	"testing"

	"github.com/offchain-worker/sdk/examples/gate/gate"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/system"
)

func TestGate(t *testing.T) {
	app, err := gate.New()
	if err != nil {
		t.Fatal(err)
	}
	shard := stftest.New(t, app)
	alice, bob := stftest.Account("alice"), stftest.Account("bob")
	register := func(who stf.AccountID) stf.Outcome { return shard.Call(append([]byte{1, 0}, who[:]...)).Outcome }
	refused := func(code uint8) stf.Outcome {
		return stf.Outcome{Code: stf.ModuleError, Module: 1, Error: code}
	}

	// What the parentchain stores: Alice is rich, Bob does not exist.
	shard.SetStorage(gate.Account.Key(alice), system.AccountInfo{Data: system.AccountData{Free: gate.Minimum}})
	for _, c := range []struct {
		who  stf.AccountID
		want stf.Outcome
	}{{alice, stf.Outcome{}}, {alice, refused(2)}, {bob, refused(1)}} {
		if got := register(c.who); got != c.want {
			t.Errorf("register: %v, want %v", got, c.want)
		}
	}

	// Two transfers on the parentchain, one of them to the shard.
	bonding := stf.AccountID(shard.Env.Shard)
	for _, to := range []stf.AccountID{bonding, alice} {
		if failed := shard.Event("Balances", "Transfer", gate.Transfer{From: bob, To: to, Amount: stf.Balance{Lo: 7}}); failed != nil {
			t.Error(failed)
		}
	}
	var since stf.BlockNumber
	var given stf.Balance
	var total uint32
	shard.Trusted(append([]byte{1, 0}, alice[:]...), &since)
	shard.Trusted(append([]byte{1, 1}, bob[:]...), &given)
	shard.Public([]byte{1, 0}, &total)
	if since != 1 || given.Lo != 7 || total != 1 {
		t.Errorf("since %d, given %v, total %d; want 1, 7 and 1", since, given, total)
	}
}
