package enclave

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// publish adds an extrinsic that publishes roots, with the event that an
// enclave of a fingerprint deposits.
func (b *builder) publish(who *keyring.Pair, fingerprint integritee.Fingerprint, p *roots.Publication) *builder {
	call, err := Effect{Publish: p}.Call(b.w.meta, testShard)
	if err != nil {
		b.w.t.Fatal(err)
	}
	args := p.Call(testShard)
	e := integritee.EventPublishedHash{EnclaveFingerprint: fingerprint, Hash: args.Hash, Data: args.Data}
	return b.signed(who, call, event{bridgePallet, "PublishedHash", indexed{e, args.ExtraTopics}}, success)
}

// publications lists the blocks whose publication is owed.
func (w *world) publications() []header.Number {
	var out []header.Number
	for _, e := range w.core.Pending() {
		if e.Publish != nil {
			out = append(out, e.Publish.Number)
		}
	}
	return out
}

func publishing(every uint32) func(*Config) {
	return func(c *Config) { c.PublishInterval, c.ConfirmInterval = every, 1<<31 }
}

// TestPublicationsAreOwed: at multiples of the interval once the worker is
// registered, each until this account is proven to have published exactly it.
func TestPublicationsAreOwed(t *testing.T) {
	w := newWorld(t, publishing(4))
	other := pair(t, "//OtherWorker")
	for range 4 {
		w.block().run() // block 4 is before the registration
	}
	w.block().register(w.worker).run()
	for range 2 {
		w.block().run()
	}
	if got := w.publications(); got != nil {
		t.Fatalf("owed: %v", got)
	}
	w.block().run()
	if got := w.publications(); !slices.Equal(got, []header.Number{8}) {
		t.Fatalf("owed: %v", got)
	}
	owed := w.core.Pending()[0].Publish
	r, ok := w.core.View().Roots(8)
	if !ok || *owed != r.Publish() || r.State != w.core.View().StateRoot() || r.Receipts != trie.EmptyRoot {
		t.Fatalf("owed %+v, the roots are %+v", owed, r)
	}
	wrong := *owed
	wrong.History[0]++
	call, err := Effect{Publish: owed}.Call(w.meta, testShard)
	if err != nil {
		t.Fatal(err)
	}
	for name, build := range map[string]func(*builder){
		"by somebody else":         func(b *builder) { b.publish(other, testFingerprint, owed) },
		"of something else":        func(b *builder) { b.publish(w.worker, testFingerprint, &wrong) },
		"without an event":         func(b *builder) { b.signed(w.worker, call, success) },
		"a call that does nothing": func(b *builder) { b.signed(w.worker, w.call("System", "remark", []byte("hi")), success) },
	} {
		b := w.block()
		build(b)
		b.run()
		if got := w.publications(); !slices.Contains(got, 8) {
			t.Fatalf("%s: %v are owed", name, got)
		}
	}
	w.block().signed(w.worker, call, failed).run()
	if got := w.core.Pending()[0]; got.Publish.Number != 8 || got.Attempts != 1 {
		t.Fatalf("after a failure: %+v", got)
	}
	// A restart forgets neither what is owed nor how often it failed.
	restored, err := Restore(w.cfg, bytes.NewReader(snapshot(t, w.core)))
	if err != nil {
		t.Fatal(err)
	}
	if got := restored.Pending(); len(got) != len(w.core.Pending()) || got[0].Attempts != 1 || *got[0].Publish != *owed {
		t.Fatalf("restored: %+v", got)
	}
	if again, ok := restored.View().Roots(8); !ok || again != r {
		t.Errorf("restored roots %+v, want %+v", again, r)
	}
	w.block().publish(w.worker, testFingerprint, owed).run()
	if got := w.publications(); slices.Contains(got, 8) {
		t.Fatalf("after it is published, owed: %v", got)
	}
}

// TestOldPublicationsGiveWay: however long nothing can be published, a few are
// owed, the newest.
func TestOldPublicationsGiveWay(t *testing.T) {
	w := newWorld(t, publishing(1))
	w.block().register(w.worker).run()
	for range 10 {
		w.block().run()
	}
	if got := w.publications(); !slices.Equal(got, []header.Number{8, 9, 10, 11}) {
		t.Errorf("owed: %v", got)
	}
	// One that is published and one that gives way in the same block.
	w.block().publish(w.worker, testFingerprint, w.core.Pending()[3].Publish).run()
	if got := w.publications(); !slices.Equal(got, []header.Number{8, 9, 10, 12}) {
		t.Errorf("owed: %v", got)
	}
}

// TestPublishedRootsAreCompared: those by enclaves with the fingerprint in
// force, and no others.
func TestPublishedRootsAreCompared(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ReceiptBlocks = 5 })
	other := pair(t, "//OtherWorker")
	w.block().invoke([]byte("garbage")).run()
	w.block().run()
	r, _ := w.core.View().Roots(1)
	if r.Receipts == trie.EmptyRoot {
		t.Fatal("no receipts")
	}
	good := r.Publish()
	c := w.block().publish(other, testFingerprint, &good).run()
	if len(c.Published) != 1 || c.Published[0] != (Published{other.AccountID(), good, VerdictSame}) || len(c.Alarms) != 0 {
		t.Fatalf("the same roots: %+v, alarms %v", c.Published, c.Alarms)
	}
	if c := w.block().publish(other, integritee.Fingerprint{9}, &roots.Publication{Number: 1}).run(); len(c.Published) != 0 {
		t.Errorf("of another program: %+v", c.Published)
	}
	for name, change := range map[string]func(p *roots.Publication){
		"state":    func(p *roots.Publication) { p.State[0]++ },
		"receipts": func(p *roots.Publication) { p.Receipts[0]++ },
		"history":  func(p *roots.Publication) { p.History[0]++ },
	} {
		r, _ := w.core.View().Roots(w.core.View().Number() - 1)
		bad := r.Publish()
		change(&bad)
		c := w.block().publish(other, testFingerprint, &bad).run()
		if len(c.Published) != 1 || c.Published[0].Verdict != VerdictDiffers || len(c.Alarms) != 1 || c.Alarms[0].Kind != AlarmRoots {
			t.Errorf("another %s: %+v, alarms %v", name, c.Published, c.Alarms)
		}
		decoded, err := DecodeCommit(c.Encode())
		if err != nil || len(decoded.Published) != 1 || decoded.Published[0] != c.Published[0] {
			t.Errorf("%s: decoded %+v, %v", name, decoded.Published, err)
		}
	}
	for name, n := range map[string]header.Number{"forgotten": 1, "not there yet": 1000} {
		p := good
		p.Number = n
		c := w.block().publish(other, testFingerprint, &p).run()
		if len(c.Published) != 1 || c.Published[0].Verdict != VerdictUnknown || len(c.Alarms) != 0 {
			t.Errorf("%s: %+v, alarms %v", name, c.Published, c.Alarms)
		}
	}
	if _, ok := w.core.View().Roots(1); ok {
		t.Error("roots are kept beyond the limit")
	}
	if n := w.core.View().OldestRoots(); n != w.core.View().Number()-4 {
		t.Errorf("the oldest roots are of block %d at block %d", n, w.core.View().Number())
	}
}

// TestRootsOfEachBlock: a view has the roots of all blocks that are kept, the
// history is what RULES and docs say, and views before stay as they were.
func TestRootsOfEachBlock(t *testing.T) {
	w := newWorld(t)
	first := w.core.View()
	start, ok := first.Roots(0)
	want := roots.StartHistory(testShard, w.start.Header.Hash(), first.StateRoot())
	if !ok || start.History != want || start.State != first.StateRoot() || start.Shard != testShard || start.Genesis != w.chain.GenesisHash() {
		t.Fatalf("at the start: %+v", start)
	}
	alice := pair(t, "//Alice")
	w.fund(alice, unit)
	for range 3 {
		w.block().invoke(w.transfer(alice, alice, 1, 9)).run()
	}
	v := w.core.View()
	for n := header.Number(1); n <= v.Number(); n++ {
		r, ok := v.Roots(n)
		receipts, ok2 := w.cfg.App.ReceiptsRoot(v.state, n)
		want = roots.NextHistory(want, n, w.chain.At(n).Hash, r.State, receipts)
		if !ok || !ok2 || r.Receipts != receipts || r.History != want || r.Block != w.chain.At(n).Hash || r.Time == 0 {
			t.Errorf("block %d: %+v, want history %v", n, r, want)
		}
	}
	if r, _ := v.Roots(v.Number()); r.State != v.StateRoot() || r.Block != v.Hash() || r.Time != uint64(v.Now()) {
		t.Errorf("of the last block: %+v", r)
	}
	if _, ok := first.Roots(1); ok {
		t.Error("an old view learned of a later block")
	}
}

// TestSnapshotWithForeignRoots: a snapshot whose roots are not those of its
// own blocks is refused.
func TestSnapshotWithForeignRoots(t *testing.T) {
	w := newWorld(t)
	w.block().run()
	for name, change := range map[string]func(h *rootsHistory){
		"another number": func(h *rootsHistory) { h.first++ },
		"another block":  func(h *rootsHistory) { h.blocks[1].Block = hashing.Hash{1} },
		"another state":  func(h *rootsHistory) { h.blocks[1].State = hashing.Hash{1} },
		"too few":        func(h *rootsHistory) { h.blocks = h.blocks[:1] },
	} {
		before := w.core.history
		w.core.history.blocks = slices.Clone(before.blocks)
		change(&w.core.history)
		_, err := Restore(w.cfg, bytes.NewReader(snapshot(t, w.core)))
		w.core.history = before
		if !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPublishInterval(t *testing.T) {
	w := newWorld(t)
	for _, n := range []uint32{3, 6, 100} {
		cfg := w.cfg
		cfg.PublishInterval = n
		if _, err := New(cfg, w.start); !errors.Is(err, ErrFatal) {
			t.Errorf("an interval of %d: %v", n, err)
		}
	}
}

// TestPublishedOfAnotherLayout: an event of another layout is fatal, like any other.
func TestPublishedOfAnotherLayout(t *testing.T) {
	w := newWorld(t)
	b := w.block().signed(w.user, w.call("System", "remark", []byte{}), event{bridgePallet, "PublishedHash", scale.U128{}}, success)
	if _, err := w.core.Execute(b.seal()); !errors.Is(err, ErrFatal) {
		t.Error(err)
	}
}
