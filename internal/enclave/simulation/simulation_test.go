package simulation

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/substrate/header"
)

var (
	operationsFlag = flag.Int("simulation.operations", 0, "operations of the simulation; 0: 40,000, or 4,000 with -short")
	seedFlag       = flag.Uint64("simulation.seed", 1, "seed of the simulation")
)

// chainOf is the chain as workers see it, and the virtual time: as many blocks
// as are made have come, one every six seconds.
type chainOf struct {
	mu      sync.Mutex
	changed *sync.Cond
	blocks  []*block // block 1 first
	times   [workerCount]header.Number
	ended   bool
}

func newChainOf() *chainOf {
	c := new(chainOf)
	c.changed = sync.NewCond(&c.mu)
	return c
}

// ahead bounds how many blocks are made before the last worker's time comes to
// them. It is no part of the simulation: nobody sees it.
const ahead = 256

// add puts a block on top; false once the simulation has ended.
func (c *chainOf) add(b *block) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks = append(c.blocks, b)
	c.changed.Broadcast()
	for !c.ended && int(slices.Min(c.times[:]))+ahead < len(c.blocks) {
		c.changed.Wait()
	}
	return !c.ended
}

// wait lets a worker's time go on to t; false once the simulation has ended.
func (c *chainOf) wait(worker int, t header.Number) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times[worker] = t
	c.changed.Broadcast()
	for !c.ended && len(c.blocks) < int(t) {
		c.changed.Wait()
	}
	return !c.ended
}

func (c *chainOf) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.changed.Broadcast()
}

func (c *chainOf) get(from, to header.Number) []*block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocks[from-1 : to]
}

// TestSimulation has five workers follow a chain of random operations, half of
// them for the sample app, half for an app that does everything.
func TestSimulation(t *testing.T) {
	operations := *operationsFlag
	if operations == 0 {
		operations = 40_000
		if testing.Short() {
			operations = 4_000
		}
	}
	t.Run("sample", func(t *testing.T) {
		l, err := newSampleLogic()
		simulate(t, l, err, *seedFlag, 1, operations/2)
	})
	t.Run("workbench", func(t *testing.T) {
		l, err := newWorkbenchLogic()
		simulate(t, l, err, *seedFlag, 2, operations/2)
	})
}

func simulate(t *testing.T, l logic, err error, seed, stream uint64, operations int) {
	t.Logf("seed %d", seed)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h := testHistory(t, seed, stream, l)
	workers, err := h.run(seed, operations, nil)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	executed := 0
	for i, w := range workers {
		executed += w.executed
		if err := h.compareEnd(w); err != nil {
			t.Errorf("seed %d, worker %d: %v", seed, i, err)
		}
		t.Logf("worker %d, which %s: %d blocks executed, %d power cuts, %d failures of the disk, %d restarts, %d torn tails, %d snapshots",
			i, w.name, w.executed, w.crashes, w.failures, w.restarts, w.torn, w.snapshots)
	}
	for _, code := range slices.Sorted(maps.Keys(h.outcomes)) {
		t.Logf("%8d %v", h.outcomes[code], code)
	}
	t.Logf("%d operations in %d blocks, %d block executions by %d workers, no difference; seed %d, %v", h.operations, h.core.View().Number(), executed, workerCount,
		seed, time.Since(began).Round(time.Second))
}

// run has the workers follow the history. change, if not nil, may change them
// before. The error is that of whatever failed first.
func (h *history) run(seed uint64, operations int, change func(*simulated)) (workers [workerCount]*simulated, err error) {
	d := newDice(seed, 50)
	sizes := blockSizes(d, operations)
	chain := newChainOf()
	var wg sync.WaitGroup
	var once sync.Once
	fail := func(e error) {
		if e != nil {
			once.Do(func() { err = e })
			chain.end()
		}
	}
	for i := range workers {
		w := newSimulated(h, i, seed, chain)
		if workers[i] = w; change != nil {
			change(w)
		}
		wg.Go(func() { fail(w.run(header.Number(len(sizes)))) })
	}
	fail(makeBlocks(h, chain, sizes, d))
	wg.Wait()
	return workers, err
}

// TestDifferenceIsFound has one worker do one thing differently in one block.
func TestDifferenceIsFound(t *testing.T) {
	l, err := newWorkbenchLogic()
	if err != nil {
		t.Fatal(err)
	}
	other, err := (&workbench{wrongAt: 23}).compile()
	if err != nil {
		t.Fatal(err)
	}
	_, err = testHistory(t, 1, 3, l).run(1, 1500, func(w *simulated) {
		if w.index == 2 {
			w.app = other
		}
	})
	if err == nil || !strings.Contains(err.Error(), "worker 2,") || !strings.Contains(err.Error(), "block 23: the state root differs") {
		t.Errorf("got %v", err)
	}
}

// makeBlocks makes the chain, and changes meanwhile what the whole process has
// of processors and memory management: no two workers execute a block under the
// same conditions.
func makeBlocks(h *history, chain *chainOf, sizes []int, d dice) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for i, n := range sizes {
		if i%50 == 0 {
			runtime.GOMAXPROCS(pick(d, []int{1, 2, 2, 3, 4, 8}))
			debug.SetGCPercent(pick(d, []int{50, 100, 100, 200, 400}))
		}
		b, err := h.next(n)
		if err != nil {
			return err
		}
		if i%500 == 0 || i == len(sizes)-1 {
			if err := h.logic.check(h.core.View()); err != nil {
				return fmt.Errorf("block %d: %w", i+1, err)
			}
		}
		if i%2000 == 1999 {
			h.log("%d of %d blocks, %d operations", i+1, len(sizes), h.operations)
		}
		if !chain.add(b) {
			return nil
		}
	}
	return nil
}

// blockSizes returns how many operations each block has, so many together.
func blockSizes(d dice, operations int) (sizes []int) {
	for operations > 0 {
		n := 0
		switch d.n(10) {
		case 0:
		case 1, 2, 3:
			n = 1 + d.n(8)
		case 4:
			n = 1 + d.n(150)
		default:
			n = 1 + d.n(80)
		}
		n = min(n, operations)
		sizes, operations = append(sizes, n), operations-n
	}
	return sizes
}

// compareEnd compares a worker at its end with what its chain says of it: what
// it owes, neither less nor more.
func (h *history) compareEnd(w *simulated) error {
	payouts, confirms := map[enclave.EffectID]bool{}, []header.Number(nil)
	for _, e := range w.core.Pending() {
		if e.Payout != nil {
			payouts[e.ID] = true
		} else {
			confirms = append(confirms, e.Confirm.Number)
		}
	}
	var want []header.Number
	for _, c := range h.owed[w.index] {
		want = append(want, c.Number)
	}
	if !slices.Equal(confirms, want) {
		return fmt.Errorf("owes confirmations of %v, want %v", confirms, want)
	}
	if n := min(len(h.model.open), 1024); len(payouts) != n { // as many are watched at a time
		return fmt.Errorf("owes %d payouts, want %d", len(payouts), n)
	}
	for id := range payouts {
		if _, ok := h.model.open[id]; !ok {
			return errors.New("owes a payout that is over")
		}
	}
	return h.logic.check(w.core.View())
}
