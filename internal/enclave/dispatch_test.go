package enclave

import (
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/stf"
)

// dispatching returns a function that does with a signed call, already decrypted,
// all that a block does with it but cryptography: decode, hash, check, charge the
// fee, run, and make a receipt. Each time it is the sender's next one. The call
// itself does nothing.
func dispatching(t testing.TB) func() {
	w := newWorld(t)
	alice := pair(t, "//Alice")
	w.fund(alice, 1_000_000*unit)
	plain := top(alice, sample.Noop(alice.AccountID()), 0)
	c := w.core
	n := c.tip.Number + 1
	commit := &Commit{Number: n}
	env := c.env(&tip{Number: n, ParentHash: c.tip.Hash, Now: c.tip.Now}, c.tip.ShardConfig)
	block := state.NewOverlay(c.state.Snapshot())
	nonce := uint32(0)
	return func() {
		o, err := c.decodeOperation(plain, n)
		if err != nil {
			t.Fatal(err)
		}
		op := operation{event: nonce, hash: &o.hash, sender: &o.call.Sender,
			call: &stf.Operation{Call: o.call, Nonce: nonce, CallHash: o.signed.Hash()}}
		r := c.runOperation(commit, block, env, &op, nil)
		if !r.Outcome.OK() {
			t.Fatal(r.Outcome, r.Err)
		}
		if len(commit.Receipts) == 1000 {
			commit.Receipts = commit.Receipts[:0]
		}
		commit.Receipts = append(commit.Receipts, stf.Receipt{Block: n, Index: op.event, OperationHash: op.hash, Sender: op.sender,
			Outcome: r.Outcome, Gas: r.Gas, Events: r.Events})
		nonce++
	}
}

// BenchmarkDispatch is to stay below 10 µs.
func BenchmarkDispatch(b *testing.B) {
	do := dispatching(b)
	b.ReportAllocs()
	for b.Loop() {
		do()
	}
}

// TestDispatchAllocations bounds what a call costs beside cryptography in a
// number that does not depend on the machine.
func TestDispatchAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates, too")
	}
	if got := testing.AllocsPerRun(1000, dispatching(t)); got >= 40 {
		t.Errorf("%v allocations for one call, want less than 40", got)
	}
}
