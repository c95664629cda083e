package worker

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/store"
)

// TestStartUpFaults cuts the power, and has an operation of the disk fail once
// without and once with effect, all over the first start of a worker, from the
// making of its account to the first blocks of a new shard. The next start comes
// through, with the keys that the chain knows of, if it knows any.
func TestStartUpFaults(t *testing.T) {
	t.Parallel()
	all := startUpFault(t, store.Works, 1<<30)
	if all < 40 {
		t.Fatalf("a start has %d operations of the disk", all)
	}
	t.Logf("%d operations", all)
	for i, fault := range []store.Fault{store.PowerCut, store.FailsBefore, store.FailsAfter} {
		stride := 1
		switch {
		case testing.Short():
			stride = 13
		case i > 0:
			stride = 3
		}
		for point := 1 + i; point <= all; point += stride {
			t.Run(fmt.Sprintf("fault=%d/at=%d", fault, point), func(t *testing.T) {
				t.Parallel()
				startUpFault(t, fault, point)
			})
		}
	}
}

// startUpFault has a start meet a fault, and another one come through. It
// returns how many operations the first one had.
func startUpFault(t *testing.T, fault store.Fault, point int) int {
	n := newNetwork(t, devchain.Config{})
	disk, ops := &store.MemFS{}, atomic.Int64{}
	hit := make(chan struct{})
	disk.Before = func(string, string) store.Fault {
		if ops.Add(1) != int64(point) {
			return store.Works
		}
		close(hit)
		return fault
	}
	cfg := n.config("1", t.TempDir())
	cfg.fs = disk
	if w, err := Start(n.ctx, cfg); err == nil {
		cut := hit
		if fault != store.PowerCut {
			cut = nil // it may go on by itself
		}
		select {
		case <-cut:
		case <-w.Ready():
		case <-w.Done():
		case <-n.ctx.Done():
			t.Fatalf("neither ready nor ended: %+v", w.Status())
		}
		_ = w.Stop() // with the fault, or without
	}
	select {
	case <-hit:
	default:
		return int(ops.Load()) // there are fewer operations in some starts
	}
	disk.Before = nil
	if fault == store.PowerCut {
		cfg.fs = disk.Crash(rand.New(rand.NewPCG(uint64(point), 7)))
	}
	n.ready(n.start(cfg))
	return int(ops.Load())
}
