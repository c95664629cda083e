package worker

import (
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/scale"
)

// TestGroupedCommits: a worker that catches up stores many blocks with one
// fsync, comes to the state of one that stored each, and finds all of them
// after a restart.
func TestGroupedCommits(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	first := n.start(n.config("1", t.TempDir()))
	n.ready(first)
	s := n.session(first)
	n.shield(s, alice.AccountID(), 100*unit)
	n.invoke(s, alice, 0, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), scale.NewU128(unit)))
	const blocks = 5 * store.MaxGroup
	for range blocks {
		if _, err := n.chain.Seal(n.ctx); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	second := n.start(n.config("2", dir))
	n.ready(second)
	n.sameState(first, second)
	var m dto.Metric
	if err := second.metrics.syncs.Write(&m); err != nil {
		t.Fatal(err)
	}
	committed := second.Status().Number
	// What came after the catch-up, 2*maxLag blocks before its end included, is
	// stored one by one.
	if syncs := m.GetHistogram().GetSampleCount(); committed < blocks || syncs > uint64(committed)-blocks/2 {
		t.Errorf("%d blocks, %d fsyncs", committed, syncs)
	}
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	at := second.Status()
	again := n.start(n.config("2", dir))
	n.ready(again)
	if got := again.Status(); got.Number < at.Number {
		t.Errorf("block %d after the restart, was at %d", got.Number, at.Number)
	}
	if err := again.metrics.blocks.Write(&m); err != nil {
		t.Fatal(err)
	}
	if redone := m.GetCounter().GetValue(); redone > blocks/4 {
		t.Errorf("%v blocks were executed again", redone)
	}
	n.sameState(first, again)
}
