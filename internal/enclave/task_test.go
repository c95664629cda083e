package enclave

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
)

// clockwork schedules what it does next.
type clockwork struct {
	Strikes stf.Map[stf.AccountID, uint32]
}

var striking = stf.NewTask[uint32]("strike")

func (c *clockwork) Wind(ctx stf.Call, after, strikes uint32) error {
	striking.After(ctx, after, strikes)
	return nil
}

// strike uses half of what a block has for tasks.
func (c *clockwork) strike(ctx stf.Call, left uint32) error {
	who := ctx.Sender()
	c.Strikes.Set(ctx, who, c.Strikes.Get(ctx, who)+1)
	ctx.Unshield(who, amount(5))
	ctx.Charge(900_000)
	if left > 1 {
		striking.After(ctx, 1, left-1)
	}
	return nil
}

// TestTasks: what was scheduled runs on every worker in the same block, however it
// came to its state, and its receipts are found by whoever scheduled it.
func TestTasks(t *testing.T) {
	m := new(clockwork)
	app, err := stf.NewApp(stf.Config{Name: "clockwork", GasPerCall: 1_000_000, TaskGasPerBlock: 2_000_000,
		Modules: []stf.ModuleDecl{stf.Module("Clock", m, stf.At(1), stf.Calls(stf.Method("Wind", 0)), stf.OnTask(striking, 0, m.strike))}})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // calls are prepared on several goroutines
	steps := map[Step]bool{}
	w := newStampedWorld(t, func(c *Config) {
		c.App, c.Trust.App = app, "clockwork"
		c.Witness = func() func(Step) {
			return func(s Step) {
				mu.Lock()
				defer mu.Unlock()
				steps[s] = true
			}
		}
	})
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	wind := func(who string, nonce, after, strikes uint32) []byte {
		p := pair(t, who)
		id := p.AccountID()
		return w.encrypt(top(p, scale.AppendU32(scale.AppendU32(append([]byte{1, 0}, id[:]...), after), strikes), nonce))
	}
	commits, snapshots := map[header.Number][]byte{}, map[header.Number][]byte{}
	var ran []uint32
	for n := header.Number(1); n <= 10; n++ {
		b := w.block()
		switch n {
		case 1:
			b.register(w.worker)
		case 2:
			b.invoke(wind("//Alice", 0, 2, 3)).invoke(wind("//Bob", 0, 2, 3))
		case 3:
			b.invoke(wind("//Alice", 1, 1, 3))
		}
		c := b.run()
		commits[n], snapshots[n] = c.Encode(), snapshot(t, w.core)
		tasks := uint32(0)
		for _, r := range c.Receipts {
			if r.Index >= stf.FirstTask {
				if r.Index != stf.FirstTask+tasks || !r.Outcome.OK() {
					t.Errorf("block %d: %+v", n, r)
				}
				tasks++
			}
		}
		ran = append(ran, tasks)
	}
	// A block has gas for two of the three that are due at 4, 5 and 6.
	if want := []uint32{0, 0, 0, 2, 2, 2, 2, 1, 0, 0}; !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	if n := len(w.payouts()); n != 9 {
		t.Errorf("%d payouts", n)
	}
	mu.Lock()
	if !steps[Step{StepTask, stf.Identity{Block: 4, Index: stf.FirstTask + 1}}] {
		t.Errorf("steps %v", steps)
	}
	mu.Unlock()
	id := stf.TaskID{Block: 4, Index: 1}
	for who, found := range map[stf.AccountID]bool{alice.AccountID(): false, bob.AccountID(): true} {
		r := findReceipt(w.core.View().receipts.found, id.Hash(testShard), who)
		if (r != nil) != found || found && r.Identity() != (stf.Identity{Block: 4, Index: stf.FirstTask + 1}) {
			t.Errorf("receipt %+v", r)
		}
	}

	replay(t, w.newCore(), w.blocks, 1, commits)
	for n := header.Number(2); n < 9; n++ {
		c, err := Restore(w.cfg, bytes.NewReader(snapshots[n]))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Load(); err != nil {
			t.Fatal(err)
		}
		joined, err := Join(w.cfg, w.joinPoint(c, n), bytes.NewReader(shared(t, c)))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*Core{c, joined} {
			if err := c.pretend(1, w.meta); err != nil {
				t.Fatal(err)
			}
			for _, b := range w.blocks[n:] {
				got, err := c.Execute(b)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Adopt(got); err != nil {
					t.Fatal(err)
				}
				want, err := DecodeCommit(commits[got.Number])
				if err != nil {
					t.Fatal(err)
				}
				if got.StateRoot != want.StateRoot || !bytes.Equal(scale.MustMarshal(got.Receipts), scale.MustMarshal(want.Receipts)) {
					t.Fatalf("from block %d: block %d has another root or other receipts", n, got.Number)
				}
			}
		}
	}
}
