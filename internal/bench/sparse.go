package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/offchain-worker/sdk/internal/fabricate"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

const (
	sparseBlocks      = 1_000_000
	sparseBlocksQuick = 20_480
	sparseEvery       = 1000 // blocks for one with a call for the shard
	foreignEvery      = 10   // blocks for one with a transfer that concerns no shard
	sparseVoters      = 20
	sparseSession     = 5 * fabricate.Period
	sparseAccounts    = 20_000 // of the parentchain, which make the proofs as long as real ones
)

// sparseBench follows a chain on which the shard has little to do, and counts
// the CPU time of all but making the blocks.
func sparseBench(ctx context.Context, o *Options) ([]Result, error) {
	blocks := sparseBlocks
	switch {
	case o.Blocks > 0:
		blocks = (o.Blocks + fabricate.Period - 1) / fabricate.Period * fabricate.Period
	case o.Quick:
		blocks = sparseBlocksQuick
	}
	app, keys, err := sampleApp()
	if err != nil {
		return nil, err
	}
	c, err := fabricate.New(fabricate.Options{Authorities: sparseVoters, Session: sparseSession, Accounts: sparseAccounts})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "sparse-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	e, err := newEngine(ctx, c, app, keys, filepath.Join(dir, "store"))
	if err != nil {
		return nil, err
	}
	defer e.close()
	alice, err := newUser("//Alice")
	if err != nil {
		return nil, err
	}
	id := alice.AccountID()
	deposit, err := seal(keys, shielding.RSA, id[:])
	if err != nil {
		return nil, err
	}
	fill := func(b *fabricate.Builder) {
		switch {
		case b.Number() == 1:
			b.Shield(shard, deposit, scale.NewU128(1<<60))
		case b.Number()%sparseEvery == 0:
			ciphertext, err := alice.transfer(keys, shielding.RSA, keyring.AccountID{byte(b.Number() >> 8), byte(b.Number() >> 16), 1}, 1_000_000_000_000)
			b.Fail(err)
			b.Invoke(shard, ciphertext)
		case b.Number()%foreignEvery == 0:
			b.Foreign()
		}
	}

	var total span
	var heaps []float64
	receipts, began := 0, time.Now()
	heapEvery := max(blocks/fabricate.Period/10, 1)
	for n := 0; n*fabricate.Period < blocks; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := c.Segment(fabricate.Period, e.core.RequiredKeys(e.core.View().Number()+1), fill)
		if err != nil {
			return nil, err
		}
		took, err := timed(func() error {
			n, err := e.process(s)
			receipts += n
			return err
		})
		if err != nil {
			return nil, err
		}
		total = total.add(took)
		if (n+1)%heapEvery == 0 {
			heaps = append(heaps, float64(liveHeap())/mib)
			o.logf("sparse-blocks: %d blocks, %.1f µs of CPU each, live heap %.1f MiB, peak RSS %.0f MiB, %.0f s in all",
				(n+1)*fabricate.Period, total.cpu.Seconds()*1e6/float64((n+1)*fabricate.Period), heaps[len(heaps)-1], float64(peakRSS())/mib, time.Since(began).Seconds())
		}
	}
	done := int(e.core.View().Number())
	if want := 1 + done/sparseEvery; receipts != want {
		return nil, fmt.Errorf("%d operations were executed, want %d", receipts, want)
	}
	first, last := heaps[0], heaps[len(heaps)-1]
	growth := last / first
	note := fmt.Sprintf("for 1,000,000 blocks, from %d", done)
	return []Result{
		{Name: "sparse-blocks", Value: total.cpu.Seconds() * sparseBlocks / float64(done), Unit: "CPU s", goal: atMost(120), note: note},
		{Name: "sparse-blocks-heap", Value: last, Unit: "MiB", Baseline: &first, Ratio: &growth, goal: atMost(1.25), note: "live after GC at the end, against after a tenth"},
		{Name: "sparse-blocks-rss", Value: float64(peakRSS()) / mib, Unit: "MiB", note: "peak resident set, making the blocks included"},
	}, nil
}
