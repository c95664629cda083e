package counter

import (
	"testing"

	"github.com/offchain-worker/sdk/stf/stftest"
)

func TestCounter(t *testing.T) {
	app, err := New()
	if err != nil {
		t.Fatal(err)
	}
	shard := stftest.New(t, app)
	alice, bob := shard.User("alice"), shard.User("bob")
	alice.Must((*Counter).Increment, 3)
	bob.Must((*Counter).Increment, 5)
	alice.Refused(ErrTooBig, (*Counter).Increment, 1001)
	alice.Must((*Counter).Increment, 1000)

	mine, nonce, sum := stftest.Ask[uint64](alice, (*Counter).Mine), stftest.Ask[uint32](alice, (*Counter).Nonce), stftest.Ask[uint64](bob, (*Counter).Sum)
	if mine != 1003 || nonce != 3 || sum != 1008 {
		t.Errorf("mine %d, nonce %d, sum %d; want 1003, 3 and 1008", mine, nonce, sum)
	}
}
