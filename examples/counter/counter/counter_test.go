package counter

import (
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// increment is the wire form: module, call, sender, arguments.
func increment(who stf.AccountID, by uint32) []byte {
	return scale.AppendU32(append([]byte{1, 0}, who[:]...), by)
}

func TestCounter(t *testing.T) {
	app, err := New()
	if err != nil {
		t.Fatal(err)
	}
	shard := stftest.New(t, app)
	alice, bob := stftest.Account("alice"), stftest.Account("bob")

	for _, c := range []struct {
		who  stf.AccountID
		by   uint32
		want stf.Outcome
	}{
		{alice, 3, stf.Outcome{}},
		{bob, 5, stf.Outcome{}},
		{alice, 1001, stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 1}},
		{alice, 1000, stf.Outcome{}},
	} {
		if got := shard.Call(increment(c.who, c.by)).Outcome; got != c.want {
			t.Errorf("increment by %d: got %v, want %v", c.by, got, c.want)
		}
	}

	var mine, sum uint64
	var nonce uint32
	shard.Trusted(append([]byte{1, 0}, alice[:]...), &mine)
	shard.Trusted(append([]byte{1, 1}, alice[:]...), &nonce)
	shard.Public([]byte{1, 0}, &sum)
	if mine != 1003 || nonce != 3 || sum != 1008 {
		t.Errorf("mine %d, nonce %d, sum %d; want 1003, 3 and 1008", mine, nonce, sum)
	}
}
