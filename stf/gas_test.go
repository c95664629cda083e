package stf

import (
	"math/rand/v2"
	"testing"
)

// TestBudget has calls take all that they get, nothing, or something between:
// each gets its equal share at least, and all together no more than the block has.
func TestBudget(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	for range 1000 {
		perCall, perBlock, calls := 1+rng.Uint64N(1000), 1+rng.Uint64N(20_000), 1+rng.IntN(40)
		a := &App{cfg: Config{GasPerCall: perCall, GasPerBlock: perBlock}}
		b := a.NewBudget(calls)
		share, used := min(perCall, perBlock/uint64(calls)), uint64(0)
		for i := range calls {
			limit := b.next()
			if limit < share || limit > perCall {
				t.Fatalf("call %d of %d gets %d: its share is %d, the ceiling %d", i, calls, limit, share, perCall)
			}
			gas := rng.Uint64N(3) * limit / 2
			used += gas
			b.spend(gas)
		}
		if used > perBlock {
			t.Fatalf("%d calls used %d of %d", calls, used, perBlock)
		}
	}
	if got := (&App{cfg: Config{GasPerCall: 5, GasPerBlock: 7}}).NewBudget(0).next(); got != 5 {
		t.Errorf("a call that was not counted gets %d", got)
	}
}
