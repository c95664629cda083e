package simulation

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// cut is what a power cut leaves at one operation of the file system.
type cut struct {
	point   int
	op      string
	disk    *store.MemFS
	durable header.Number // the last block that was acknowledged as stored
	highest header.Number // the last one that was executed
	at      header.Number // that counted
	written map[header.Number]hashing.Hash
	dice    dice
}

// TestPowerCut has a worker go through 1,000 blocks and cuts the power at each
// operation by which its store changes the disk: each write, sync, rename,
// creation, removal. Twice: once all that was not synced is gone, once some of
// it is there, or garbage. The worker must come back at a block boundary, no
// earlier than what it had stored, and go on as if nothing had been.
func TestPowerCut(t *testing.T) {
	blocks, seed := header.Number(1000), *seedFlag
	if testing.Short() {
		blocks = 120
	}
	t.Logf("seed %d", seed)
	l, err := newSampleLogic()
	if err != nil {
		t.Fatal(err)
	}
	h := testHistory(t, seed, 4, l)
	chain := newChainOf()
	chain.ended = true // nobody's time to wait for
	for range blocks {
		b, err := h.next(h.n(5))
		if err != nil {
			t.Fatal(err)
		}
		chain.add(b)
	}

	cuts := make(chan cut)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	whole := 0 // cuts after which the worker went on to the end
	for range max(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for c := range cuts {
				all := c.dice.in(100)
				err := h.recover(c, chain, all, blocks)
				mu.Lock()
				if err != nil && failed == nil {
					failed = fmt.Errorf("seed %d, power cut %d, at %s of block %d: %w", seed, c.point, c.op, c.at, err)
				}
				if all {
					whole++
				}
				mu.Unlock()
			}
		})
	}
	w := newSimulated(h, 0, seed, chain)
	w.habits = habits{name: "is cut off", parallelism: 1, group: 7, segment: 20, snapshot: 40}
	points, ops := 0, map[string]int{}
	w.fs.Before = func(op, name string) store.Fault {
		for _, r := range []*rand.Rand{nil, rand.New(rand.NewPCG(seed, uint64(points)))} {
			cuts <- cut{points, op + " " + name, w.fs.AfterCrash(r), w.durable, w.highest, w.at(), maps.Clone(w.written), newDice(seed, 1000+uint64(points))}
		}
		points++
		ops[op]++
		return store.Works
	}
	// The first half block by block at the head of the chain, the second in
	// catch-up, with several blocks in one record.
	half := blocks / 2
	for n := header.Number(1); n <= half && err == nil; n++ {
		err = w.follow(n, n)
	}
	if err == nil {
		err = w.follow(blocks, blocks)
	}
	close(cuts)
	wg.Wait()
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	if err := h.compareEnd(w); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d blocks with %d operations, %d points of power cuts (%v), %d recoveries, of which %d went on to the end", blocks, h.operations, points, ops, 2*points, whole)
}

// recover starts a worker from what a power cut has left and has it go on for
// some blocks, or to the end. In one of four the power goes once more while it
// recovers or a little later.
func (h *history) recover(c cut, chain *chainOf, toEnd bool, last header.Number) error {
	w := newSimulated(h, 0, 0, chain)
	w.habits = habits{name: "recovers", parallelism: 1, group: 3, segment: 5, snapshot: 20}
	w.dice, w.fs, w.durable, w.highest, w.written = c.dice, c.disk, c.durable, c.highest, c.written
	if w.in(4) {
		left := w.n(8)
		w.fs.Before = func(string, string) store.Fault {
			if left--; left == 0 {
				return store.PowerCut
			}
			return store.Works
		}
	}
	w.trouble = 0 // beside that
	goal := min(last, c.highest+3)
	if toEnd {
		goal = last
	}
	now := goal + header.Number(w.n(2)*100) // at the head of the chain, or far behind it
	if err := w.finish(goal, now); err != nil || goal < last {
		return err
	}
	return h.compareEnd(w)
}
