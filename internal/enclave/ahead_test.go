package enclave

import (
	"bytes"
	"context"
	"runtime"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/pipeline"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
)

// lookAheadReplay executes the blocks of a world in a new core as a worker
// does, with up to depth blocks in a window; 0 looks into none of them. It
// returns how many blocks were opened in their turn, the wrong guesses among them.
func lookAheadReplay(t *testing.T, w *world, rt *Runtime, depth, goroutines int, want map[header.Number][]byte) (opened int) {
	t.Helper()
	cfg := w.cfg
	cfg.Watch = func(s Stage) func() {
		if s == StagePrepare {
			opened++
		}
		return func() {}
	}
	c, err := New(cfg, w.start)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pretend(1, w.meta); err != nil {
		t.Fatal(err)
	}
	type upcoming struct {
		block *lightclient.VerifiedBlock
		ahead *Ahead
	}
	window := pipeline.New[upcoming](goroutines)
	defer window.Close()
	for next := 0; next < len(w.blocks) || window.Len() > 0; {
		for next < len(w.blocks) && window.Len() < max(depth, 1) {
			u := upcoming{block: w.blocks[next]}
			if depth > 0 {
				u.ahead = c.LookAhead(u.block)
			}
			window.Put(u, 1, u.ahead.Pieces())
			next++
		}
		u, err := window.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.PrepareAhead(u.block, u.ahead)
		if err != nil {
			t.Fatal(err)
		}
		commit, err := p.Execute(u.block)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(commit.Encode(), want[commit.Number]) {
			t.Fatalf("depth %d, %d goroutines: the commit of block %d differs", depth, goroutines, commit.Number)
		}
		if err := c.Adopt(commit); err != nil {
			t.Fatal(err)
		}
		if c.NeedsRuntime() {
			if _, err := c.ProveCode(w.chain.Prove(commit.Number, CodeKeys()...)); err != nil {
				t.Fatal(err)
			}
			if err := c.UseRuntime(rt); err != nil {
				t.Fatal(err)
			}
		}
	}
	return opened
}

// TestLookAhead executes a history in which the fingerprint in force and the
// runtime change, with every reach of the look-ahead, and gets the same commits.
func TestLookAhead(t *testing.T) {
	renewed := integritee.Fingerprint{9, 9}
	w := newWorld(t, func(c *Config) { c.Approved = func(f integritee.Fingerprint) bool { return f == renewed } })
	commits, _ := history(t, w, 8, 7)
	run := func(b *builder, want ...stf.Code) {
		t.Helper()
		c := b.run()
		commits[c.Number] = c.Encode()
		if got := outcomes(c); len(got) != len(want) || len(got) > 0 && got[len(got)-1] != want[len(want)-1] {
			t.Fatalf("block %d: %v, want %v", c.Number, got, want)
		}
	}
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	id := alice.AccountID()
	signed := func(f integritee.Fingerprint, nonce uint32) []byte {
		call := sample.BalanceTransfer(id, bob.AccountID(), amount(unit/10))
		return w.encrypt(integritee.SignCall(call, nonce, f, testShard, alice).IndirectCall())
	}
	run(w.block().shield(testShard, w.encrypt(id[:]), 10*unit), stf.Success)
	run(w.block().invoke(signed(testFingerprint, 0)), stf.Success)
	// The next fingerprint is in force from the block after its configuration on.
	b := w.block().invoke(signed(testFingerprint, 1))
	b.store(shardConfigKey(testShard), scale.MustMarshal(integritee.UpgradableShardConfig{ActiveConfig: integritee.ShardConfig{EnclaveFingerprint: renewed}}))
	run(b, stf.Success)
	run(w.block().invoke(signed(testFingerprint, 2)).invoke(signed(renewed, 2)), stf.Invalid, stf.Success)
	run(w.block().invoke(signed(renewed, 3)), stf.Success)
	run(w.block())
	// The next runtime reads from the block after its announcement on.
	b = w.block().invoke(signed(renewed, 4))
	b.block.Digest = runtimeUpdated
	b.store([]byte(":code"), codeOf(t, 2, 1))
	run(b, stf.Success)
	rt := w.learn()
	run(w.block().invoke(signed(renewed, 5)), stf.Success)
	run(w.block().invoke(signed(renewed, 6)).invoke([]byte("garbage")), stf.Success, stf.Invalid)

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 4} {
		runtime.GOMAXPROCS(procs)
		for depth, wrong := range map[int]int{0: len(w.blocks), 1: 0, 2: 2, 3: 4, pipeline.Blocks: 6} {
			if got := lookAheadReplay(t, w, rt, depth, procs, commits); got != wrong {
				t.Errorf("depth %d: %d blocks were opened in their turn, want %d", depth, got, wrong)
			}
		}
	}
}

// TestLookAheadIsGivenUp closes a window while its pieces run, and executes the
// blocks without it.
func TestLookAheadIsGivenUp(t *testing.T) {
	w := newWorld(t)
	commits, _ := history(t, w, 6, 11)
	c := w.newCore()
	window := pipeline.New[*Ahead](3)
	var all []*Ahead
	for _, b := range w.blocks {
		a := c.LookAhead(b)
		all = append(all, a)
		window.Put(a, 1, a.Pieces())
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, _ = window.Take(stopped)
	window.Close()
	for i, b := range w.blocks {
		p, err := c.PrepareAhead(b, all[i]) // whatever of it has run
		if err != nil {
			t.Fatal(err)
		}
		commit, err := p.Execute(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(commit.Encode(), commits[commit.Number]) {
			t.Fatalf("the commit of block %d differs", commit.Number)
		}
		if err := c.Adopt(commit); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLookAheadOfAnotherBlock has what was opened of one block not count for
// another one, nor twice for a core.
func TestLookAheadOfAnotherBlock(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 10*unit)
	first := w.block().invoke(w.transfer(alice, bob, unit, 0)).seal()
	ahead := w.core.LookAhead(first)
	for _, do := range ahead.Pieces() {
		do()
	}
	other := w.newCore()
	f, accepted := testFingerprint, []epoch.ID{{}}
	if !ahead.fits(w.core, first, f, accepted) || ahead.fits(other, first, f, accepted) || ahead.fits(w.core, w.blocks[0], f, accepted) || ahead.fits(w.core, first, integritee.Fingerprint{1}, accepted) ||
		ahead.fits(w.core, first, f, []epoch.ID{{Number: 1}, {}}) {
		t.Error("what was opened fits where it must not")
	}
	if w.core.LookAhead(first).fits(w.core, first, f, accepted) {
		t.Error("pieces that have not run count")
	}
}
