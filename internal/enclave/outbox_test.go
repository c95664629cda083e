package enclave

import (
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// confirmed lists the blocks whose confirmation is owed.
func (w *world) confirmed() []header.Number {
	var out []header.Number
	for _, e := range w.core.Pending() {
		if e.Confirm != nil {
			out = append(out, e.Confirm.Number)
		}
	}
	return out
}

func (w *world) payouts() []Effect {
	var out []Effect
	for _, e := range w.core.Pending() {
		if e.Payout != nil {
			out = append(out, e)
		}
	}
	return out
}

func TestWhichBlocksAreConfirmed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ConfirmInterval = 10 })
	other := pair(t, "//OtherWorker")
	failing := invokeCall(w, testShard, []byte("x"))
	blocks := []struct {
		build func(b *builder)
		want  bool
	}{
		1: {func(b *builder) { b.invoke(nil) }, false}, // not registered
		2: {func(b *builder) { b.register(other) }, false},
		3: {func(b *builder) { b.invoke(nil).register(w.worker) }, false}, // registers here: only later blocks
		4: {func(b *builder) {}, false},
		5: {func(b *builder) { b.invoke([]byte("garbage")) }, true},
		6: {func(b *builder) { b.shield(testShard, nil, 5) }, true},
		7: {func(b *builder) { b.signed(w.user, failing, failed) }, true}, // names the shard and failed
		8: {func(b *builder) { b.hook(invoked(testShard)) }, true},
		9: {func(b *builder) {
			b.invokeFor(integritee.ShardID{1}, nil).shield(integritee.ShardID{1}, nil, 5)
		}, false},
		10: {func(b *builder) {}, true}, // sign of life
		11: {func(b *builder) { b.register(w.worker) }, false},
		12: {func(b *builder) { b.invoke(nil).confirm(other, &Confirm{Number: 1}) }, true},
	}
	var want []header.Number
	for n, c := range blocks[1:] {
		b := w.block()
		c.build(b)
		b.run()
		if c.want {
			want = append(want, header.Number(n+1))
		}
		if got := w.confirmed(); !slices.Equal(got, want) {
			t.Fatalf("after block %d: %v are owed, want %v", n+1, got, want)
		}
	}
	if n, ok := w.core.Registered(); !ok || n != 3 {
		t.Errorf("registered at %d, %v", n, ok)
	}
}

func TestConfirmAll(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ConfirmAll = true })
	w.block().run()
	w.block().register(w.worker).run()
	w.block().run()
	w.block().run()
	if got := w.confirmed(); !slices.Equal(got, []header.Number{3, 4}) {
		t.Errorf("owed: %v", got)
	}
}

// TestConfirmationsLeaveWhenProven: nobody else's confirmation counts, none of
// another block, shard or of a failed extrinsic (RULES 23).
func TestConfirmationsLeaveWhenProven(t *testing.T) {
	w := newWorld(t)
	other := pair(t, "//OtherWorker")
	w.block().register(w.worker).run()
	w.block().invoke(nil).run()
	owed := w.core.Pending()[0].Confirm
	call, err := Effect{Confirm: owed}.Call(w.meta, testShard)
	if err != nil {
		t.Fatal(err)
	}
	wrongShard := w.call(bridgePallet, "confirm_processed_parentchain_block", integritee.ConfirmArgs{Shard: integritee.ShardID{1}, BlockHash: owed.Hash, BlockNumber: owed.Number})
	otherEvent := event{bridgePallet, "ProcessedParentchainBlock", integritee.EventProcessedParentchainBlock{Shard: integritee.ShardID{1}, BlockHash: owed.Hash}}
	for name, build := range map[string]func(*builder){
		"by somebody else": func(b *builder) { b.confirm(other, owed) },
		"of another block": func(b *builder) {
			b.confirm(w.worker, &Confirm{Number: owed.Number, Hash: w.chain.At(1).Hash, Root: owed.Root})
		},
		"of another shard":         func(b *builder) { b.signed(w.worker, wrongShard, otherEvent, success) },
		"without an event":         func(b *builder) { b.signed(w.worker, call, success) },
		"a call that does nothing": func(b *builder) { b.signed(w.worker, w.call("System", "remark", []byte("hi")), success) },
	} {
		b := w.block()
		build(b)
		b.run()
		if got := w.confirmed(); !slices.Equal(got, []header.Number{2}) {
			t.Fatalf("%s: %v are owed", name, got)
		}
	}
	c := w.block().signed(w.worker, call, failed).run()
	if got := w.core.Pending(); len(got) != 1 || got[0].Attempts != 1 {
		t.Fatalf("after a failure: %+v", got)
	}
	if len(c.Own) != 1 || c.Own[0].Success || len(c.Own[0].Failure) == 0 {
		t.Errorf("own extrinsics: %+v", c.Own)
	}
	c = w.block().confirm(w.worker, owed).run()
	if got := w.core.Pending(); len(got) != 0 {
		t.Fatalf("after the confirmation: %+v", got)
	}
	if len(c.Own) != 1 || !c.Own[0].Success || c.Own[0].Nonce != w.nonce-1 || len(c.Alarms) != 0 {
		t.Errorf("own extrinsics: %+v, alarms %+v", c.Own, c.Alarms)
	}
	// A second one does no harm, a wrong root is an alarm.
	w.block().confirm(w.worker, owed).run()
	w.block().invoke(nil).run()
	wrong := *w.core.Pending()[0].Confirm
	wrong.Root[0] ^= 1
	if c := w.block().confirm(w.worker, &wrong).run(); len(c.Alarms) != 1 || c.Alarms[0].Kind != AlarmOwnConfirmation {
		t.Errorf("alarms: %+v", c.Alarms)
	}
}

// TestEqualUnshieldsBothPay: upstream pays equal calls once only (P section 8,
// 12), we pay each.
func TestEqualUnshieldsBothPay(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 100*unit)
	w.block().invoke(w.unshield(alice, bob, unit, 0)).invoke(w.unshield(alice, bob, unit, 1)).shield(testShard, nil, unit).shield(testShard, nil, unit).run()
	seen := map[string]bool{}
	for _, e := range w.payouts() {
		seen[e.Payout.CallHash.String()] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d call hashes for 2 unshields and 2 refunds", len(seen))
	}
	// Own failed attempts are counted.
	p := w.payouts()[1]
	w.block().pay(w.worker, testShard, p.Payout, failed).pay(pair(t, "//OtherWorker"), testShard, p.Payout, failed).run()
	if got := w.payouts()[1]; got.Attempts != 1 || got.ID != p.ID {
		t.Errorf("after a failure: %+v", got)
	}
}

func TestPayoutsComeBeforeConfirmations(t *testing.T) {
	w := newWorld(t)
	alice := pair(t, "//Alice")
	w.block().register(w.worker).run()
	w.fund(alice, 10*unit)
	w.block().invoke(w.unshield(alice, alice, unit, 0)).run()
	list := w.core.Pending()
	if len(list) != 3 || list[0].Confirm == nil || list[1].Payout == nil || list[2].Confirm == nil {
		t.Fatalf("pending: %+v", list)
	}
	for i := 1; i < len(list); i++ {
		if list[i-1].ID.Compare(list[i].ID) >= 0 {
			t.Errorf("IDs do not ascend: %v", list)
		}
	}
}

// TestReceiptsStayOutsideOtherWorkers: what concerns this worker alone does
// not reach the state.
func TestStateDoesNotDependOnTheWorker(t *testing.T) {
	w := newWorld(t)
	watcher := w.cfg
	watcher.Account, watcher.ConfirmAll, watcher.ReceiptBlocks, watcher.Parallelism = keyring.AccountID{}, true, 1, 1
	c2, err := New(watcher, w.start)
	if err != nil {
		t.Fatal(err)
	}
	if err := c2.pretend(1, w.meta); err != nil {
		t.Fatal(err)
	}
	alice := pair(t, "//Alice")
	w.block().register(w.worker).run()
	w.fund(alice, 10*unit)
	w.block().invoke(w.unshield(alice, alice, unit, 0)).invoke([]byte{1}).run()
	w.block().confirm(w.worker, w.core.Pending()[0].Confirm).run()
	replay(t, c2, w.blocks, 1, nil)
	if a, b := w.core.View().StateRoot(), c2.View().StateRoot(); a != b {
		t.Errorf("roots %v and %v", a, b)
	}
	if got := c2.Pending(); len(got) != 1 || got[0].Payout == nil {
		t.Errorf("a core without an account owes %+v", got)
	}
}

func TestOutcomeOfRefund(t *testing.T) {
	w := newWorld(t)
	c := w.block().shield(testShard, []byte("?"), unit).run()
	env := stf.Env{Shard: testShard, Secret: testKeys().prf(labelPRFApp)}
	id := stf.Identity{Block: 1, Index: c.Receipts[0].Index}
	if got, want := w.payouts()[0].Payout.CallHash, env.CallHash(id, 0); got != want {
		t.Errorf("call hash %v, want %v", got, want)
	}
}
