package notary_test

import (
	"testing"

	"github.com/offchain-worker/sdk/examples/notary/notary"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

func TestNotary(t *testing.T) {
	app, err := notary.New()
	if err != nil {
		t.Fatal(err)
	}
	shard := stftest.New(t, app)
	alice := stftest.Account("alice")
	lost, kept := stf.Hash{1}, stf.Hash{2}
	register := func(document stf.Hash) stf.Outcome {
		return shard.Call(append(append([]byte{1, 0}, alice[:]...), document[:]...)).Outcome
	}
	deed := func(document stf.Hash) (d notary.Deed) {
		shard.Trusted(append(append([]byte{1, 0}, alice[:]...), document[:]...), &d)
		return d
	}
	for _, document := range []stf.Hash{lost, kept} {
		if got := register(document); !got.OK() {
			t.Fatal(got)
		}
	}
	shard.NextBlock() // proves the shard's account
	shard.NextBlock() // its nonces are known
	requests := shard.Extrinsics()
	if len(requests) != 2 || deed(kept).Since != nil {
		t.Fatalf("%d requests, deed %+v", len(requests), deed(kept))
	}

	// The first is not included in time, the second one is.
	shard.Include(requests[0].ID, stf.ExtrinsicGivenUp)
	shard.Include(requests[1].ID, stf.ExtrinsicSucceeded)
	included := shard.Env.Number
	shard.NextBlock()
	if d := deed(kept); d.Since == nil || *d.Since != included {
		t.Errorf("deed: %+v", d)
	}
	if got := register(kept); got != (stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 1}) {
		t.Errorf("registered twice: %v", got)
	}
	if got := register(lost); !got.OK() {
		t.Errorf("not registered again: %v", got)
	}
}
