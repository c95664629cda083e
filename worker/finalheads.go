package worker

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/substrate/header"
)

// joinFinality is how long a worker that joins waits for the snapshot's block to be proven final.
const joinFinality = 30 * time.Second

// finalHeads proves headers final up to the head, with a light client of its
// own, and keeps those at which workers may have published: of each power of two
// the last multiples.
type finalHeads struct {
	finality finality
	last     [32][4]lightclient.FinalHeader
}

func (h *finalHeads) add(list []lightclient.FinalHeader) error {
	for _, f := range list {
		for k := range min(bits.TrailingZeros32(uint32(f.Number()))+1, len(h.last)) {
			ring := &h.last[k]
			copy(ring[1:], ring[:])
			ring[0] = f
		}
	}
	return nil
}

func (h *finalHeads) find(n header.Number) (lightclient.FinalHeader, bool) {
	if n == 0 {
		return lightclient.FinalHeader{}, false
	}
	ring := &h.last[bits.TrailingZeros32(uint32(n))]
	for _, f := range ring {
		if f.Number() == n {
			return f, true
		}
	}
	return lightclient.FinalHeader{}, false
}

// sync proves all that the node calls final.
func (h *finalHeads) sync(ctx context.Context, w *Worker) error {
	if h.finality == nil {
		f, start, err := w.newFinality(ctx)
		if err != nil {
			return err
		}
		h.finality = f
		w.chain.add(start, w.trust.StartHash)
	}
	return w.chain.syncHeads(ctx, h.finality, h.add)
}

// wait waits until block n is proven final.
func (h *finalHeads) wait(ctx context.Context, w *Worker, n header.Number) (lightclient.FinalHeader, error) {
	ctx, stop := context.WithTimeout(ctx, joinFinality)
	defer stop()
	for {
		if f, ok := h.find(n); ok {
			return f, nil
		}
		if h.finality.state().Number >= n {
			return lightclient.FinalHeader{}, fmt.Errorf("a snapshot of block %d, which is too old for block %d", n, h.finality.state().Number)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return lightclient.FinalHeader{}, fmt.Errorf("a snapshot of block %d, of which there is no proof of finality: %w", n, err)
		}
		if err := h.sync(ctx, w); err != nil {
			return lightclient.FinalHeader{}, err
		}
	}
}
