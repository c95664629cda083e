package enclave

import (
	"slices"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/stf"
)

// steps collects what a core says to Config.Witness.
type steps struct {
	mu   sync.Mutex
	all  []Step
	open int // goroutines that have not said that they are done
	most int
}

func (s *steps) witness() func(Step) {
	running := false
	return func(step Step) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case step.Valid() && !running:
			running = true
			s.open++
			s.most = max(s.most, s.open)
		case !step.Valid() && running:
			running = false
			s.open--
		}
		if step.Valid() {
			s.all = append(s.all, step)
		}
	}
}

// TestWitness has a core say each step before it is taken, and when the last
// one is over, however it ended; and be careful as long as it is told to be.
func TestWitness(t *testing.T) {
	w := hostileWorld(t, func(c *stf.Config) {
		c.Shield = func(stf.Call, stf.AccountID, stf.Balance) error { return nil }
	})
	var said steps
	w.cfg.Witness, w.cfg.Careful, w.cfg.Parallelism = said.witness, 1, 4
	core := w.newCore()
	alice := pair(t, "//Alice")
	id := alice.AccountID()
	call := func(nonce uint32, index byte, args ...byte) []byte {
		return w.encrypt(top(alice, append(append([]byte{1, index}, id[:]...), args...), nonce))
	}
	exits := append([]byte{4 * 4}, "exit"...)
	w.block().invoke(call(0, 0)).invoke(call(1, 1, exits...)).invoke(call(2, 2, 1)).invoke(call(2, 3, 0)).shield(testShard, w.encrypt(id[:]), unit).run()
	w.block().invoke(call(3, 0)).run()

	at := func(kind StepKind, index uint32) Step { return Step{kind, stf.Identity{Block: 1, Index: index}} }
	// The third call cannot be decoded. What ends its goroutine costs one more turn.
	first := []Step{{StepBegin, stf.Identity{Block: 1}}, at(StepCall, 1), at(StepCall, 3)}
	want := []Step{at(StepOpen, 1), at(StepOpen, 3), at(StepOpen, 5), at(StepOpen, 7), at(StepDeclare, 7)}
	want = append(append(want, first...), first...)
	want = append(want, at(StepCall, 7), at(StepShield, 10), Step{StepEnd, stf.Identity{Block: 1}})
	if core.LookAhead(w.blocks[1]) != nil {
		t.Error("block 2 is opened ahead of block 1")
	}
	c, err := core.Execute(w.blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(said.all, want) || said.open != 0 || said.most != 1 {
		t.Errorf("steps\n%v, want\n%v; %d are not over, %d at a time", said.all, want, said.open, said.most)
	}
	if err := core.Adopt(c); err != nil {
		t.Fatal(err)
	}
	if core.LookAhead(w.blocks[1]) == nil {
		t.Error("block 2 is not opened ahead any more")
	}
}
