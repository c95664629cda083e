package enclave

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// owing is a world in which alice is owed payouts to bob.
type owing struct {
	*world
	alice, bob, other *keyring.Pair
	nonce             uint32
}

func newOwing(t *testing.T, change ...func(*Config)) *owing {
	o := &owing{world: newWorld(t, change...), alice: pair(t, "//Alice"), bob: pair(t, "//Bob"), other: pair(t, "//OtherWorker")}
	o.fund(o.alice, 1000*unit)
	return o
}

// owe lets alice unshield one unit.
func (o *owing) owe() Effect {
	o.t.Helper()
	c := o.block().invoke(o.unshield(o.alice, o.bob, unit, o.nonce)).run()
	o.nonce++
	return c.Added[0]
}

func (o *owing) free() scale.U128 { o.t.Helper(); return o.account(o.alice).Data.Free }

// TestPayouts: N workers pay once, whoever is first, and only the right event
// of a successful call with the right arguments is the payout. Any other use of
// the call hash, by anybody and seen or not, refunds the amount in that very
// block (RULES 22).
func TestPayouts(t *testing.T) {
	o := newOwing(t)
	other, worker := o.other, o.worker
	tombstone := func(p *Payout) *Payout { q := *p; q.Amount = amount(0); return &q }
	cases := []struct {
		name     string
		build    func(b *builder, p *Payout)
		paid     bool
		refunded bool
		alarm    bool
	}{
		{"by this worker", func(b *builder, p *Payout) { b.pay(worker, testShard, p, paid(testShard, p), success) }, true, false, false},
		{"by another worker", func(b *builder, p *Payout) { b.pay(other, testShard, p, paid(testShard, p), success) }, true, false, false},
		{"by two in one block", func(b *builder, p *Payout) {
			b.pay(other, testShard, p, paid(testShard, p), success).pay(worker, testShard, p, success)
		}, true, false, false},
		{"paid, then given up", func(b *builder, p *Payout) {
			b.pay(other, testShard, p, paid(testShard, p), success).pay(worker, testShard, tombstone(p), success)
		}, true, false, false},
		{"failed", func(b *builder, p *Payout) { b.pay(other, testShard, p, failed) }, false, false, false},
		{"another hash", func(b *builder, p *Payout) {
			q := *p
			q.CallHash[0] ^= 1
			b.pay(other, testShard, &q, paid(testShard, &q), success)
		}, false, false, false},
		{"an event without the call", func(b *builder, p *Payout) {
			b.signed(other, b.w.call("System", "remark", []byte("")), paid(testShard, p), success)
		}, false, false, false},
		{"events of a payment that the state does not know", func(b *builder, p *Payout) {
			b.pay(other, testShard, p, paid(testShard, p), success)
			b.store(bridgeLayout.spentKey(p.CallHash), nil)
		}, false, false, false},
		{"a counter of zero", func(b *builder, p *Payout) { b.store(bridgeLayout.spentKey(p.CallHash), make([]byte, 8)) }, false, false, false},
		{"given up by a worker of the shard", func(b *builder, p *Payout) {
			b.pay(other, testShard, tombstone(p), paid(testShard, tombstone(p)), success)
		}, false, true, false},
		{"given up, then paid in vain", func(b *builder, p *Payout) {
			b.pay(other, testShard, tombstone(p), paid(testShard, tombstone(p)), success).pay(worker, testShard, p, success)
		}, false, true, false},
		{"succeeds without paying", func(b *builder, p *Payout) { b.pay(other, testShard, p, success) }, false, true, true},
		{"hash used for another amount", func(b *builder, p *Payout) {
			q := *p
			q.Amount = amount(1)
			b.pay(other, testShard, &q, paid(testShard, &q), success)
		}, false, true, true},
		{"hash used for another beneficiary", func(b *builder, p *Payout) {
			q := *p
			q.Beneficiary = keyring.AccountID{1}
			b.pay(other, testShard, &q, paid(testShard, &q), success)
		}, false, true, true},
		{"hash used by another shard", func(b *builder, p *Payout) {
			b.pay(other, integritee.ShardID{1}, p, paid(integritee.ShardID{1}, p), success)
		}, false, true, true},
		{"hash used by another shard, then by this one", func(b *builder, p *Payout) {
			b.pay(other, integritee.ShardID{1}, p, paid(integritee.ShardID{1}, p), success).pay(worker, testShard, p, success)
		}, false, true, true},
		{"right call, event of another", func(b *builder, p *Payout) {
			q := *p
			q.Amount = amount(1)
			b.pay(other, testShard, p, paid(testShard, &q), success)
		}, false, true, true},
		{"right call and event, but failed", func(b *builder, p *Payout) {
			b.pay(other, testShard, p, paid(testShard, p), failed)
			b.spend(p.CallHash)
		}, false, true, true},
		{"right call and event, without status", func(b *builder, p *Payout) {
			b.pay(other, testShard, p, paid(testShard, p))
			b.spend(p.CallHash)
		}, false, true, true},
		{"out of sight", func(b *builder, p *Payout) { b.spend(p.CallHash) }, false, true, true},
		{"by a scheduled call", func(b *builder, p *Payout) { b.hook(paid(testShard, p)); b.spend(p.CallHash) }, false, true, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := o.owe()
			before := o.free()
			b := o.block()
			c.build(b, e.Payout)
			commit := b.run()
			if pending := slices.ContainsFunc(o.payouts(), func(p Effect) bool { return p.ID == e.ID }); pending != (!c.paid && !c.refunded) {
				t.Fatalf("pending: %v", pending)
			}
			if settled := slices.Contains(commit.Settled, e.ID); settled != (c.paid || c.refunded) {
				t.Errorf("settled: %v", settled)
			}
			back, _ := o.free().Sub(before)
			if c.refunded != (back == amount(unit)) || !c.refunded && !back.IsZero() {
				t.Errorf("alice has %v more", back)
			}
			var want []stf.Receipt
			if c.refunded {
				from := o.alice.AccountID()
				want = []stf.Receipt{{Block: commit.Number, Index: b.records, OperationHash: &e.Payout.CallHash, Sender: &from, Outcome: stf.Outcome{Code: stf.Returned}}}
				if len(commit.Receipts) == 1 {
					want[0].Gas, want[0].Events = commit.Receipts[0].Gas, commit.Receipts[0].Events
				}
			}
			if !bytes.Equal(scale.MustMarshal(commit.Receipts), scale.MustMarshal(want)) {
				t.Errorf("receipts: %+v, want %+v", commit.Receipts, want)
			}
			if alarm := slices.ContainsFunc(commit.Alarms, func(a Alarm) bool { return a.Kind == AlarmConsumed }); alarm != c.alarm || len(commit.Alarms) > 1 {
				t.Errorf("alarms: %+v", commit.Alarms)
			}
			if r, err := o.core.View().Receipt(stf.NewReceiptQuery(testShard, e.Payout.CallHash, o.alice)); err != nil || (r != nil) != c.refunded {
				t.Errorf("receipt under the call hash: %+v, %v", r, err)
			}
			// Whatever came, the next block has nothing more to say of it.
			if c.paid || c.refunded {
				if commit := o.block().pay(o.worker, testShard, e.Payout, success).run(); len(commit.Settled)+len(commit.Alarms)+len(commit.Receipts) > 0 {
					t.Errorf("afterwards: settled %v, alarms %v, receipts %v", commit.Settled, commit.Alarms, commit.Receipts)
				}
			}
		})
	}
}

// TestHashSpentBefore: a hash that was used before the payout was even owed,
// say by a user who told it to a friendly enclave, gains nobody anything.
func TestHashSpentBefore(t *testing.T) {
	o := newOwing(t)
	call := sample.BalanceUnshield(o.alice.AccountID(), o.bob.AccountID(), amount(unit), testShard)
	signed := integritee.SignCall(call, 0, testFingerprint, testShard, o.alice)
	before := o.free()
	o.block().spend(signed.Hash()).run()
	o.block().invoke(o.encrypt(signed.IndirectCall())).run()
	if n := len(o.payouts()); n != 1 {
		t.Fatalf("%d payouts are owed", n)
	}
	if c := o.block().run(); len(c.Receipts) != 1 || c.Receipts[0].Outcome.Code != stf.Returned {
		t.Fatalf("receipts: %+v", c.Receipts)
	}
	if spent, _ := before.Sub(o.free()); spent != amount(3*unit/100) {
		t.Errorf("alice lost %v, want the fee", spent)
	}
}

// TestRefundOrder: refunds stand behind the block's operations, in the order of
// the payouts; an operation of the block cannot spend them yet.
func TestRefundOrder(t *testing.T) {
	o := newOwing(t)
	var owed []Effect
	for range 3 {
		owed = append(owed, o.owe())
	}
	rest := o.free()
	whole, _ := rest.Sub(amount(unit / 100)) // less the fee
	b := o.block()
	for i := range owed {
		b.spend(owed[len(owed)-1-i].Payout.CallHash)
	}
	more, _ := whole.Add(amount(1))
	b.invoke(o.encrypt(top(o.alice, sample.BalanceTransfer(o.alice.AccountID(), o.bob.AccountID(), more), o.nonce)))
	c := b.run()
	want := []stf.Code{stf.ModuleError, stf.Returned, stf.Returned, stf.Returned}
	if got := outcomes(c); !slices.Equal(got, want) {
		t.Fatalf("outcomes %v, want %v", got, want)
	}
	for i, r := range c.Receipts[1:] {
		if r.Index != b.records+uint32(i) || *r.OperationHash != owed[i].Payout.CallHash {
			t.Errorf("refund %d: %+v", i, r)
		}
	}
	if root, ok := o.cfg.App.ReceiptsRoot(o.core.View().state, c.Number); !ok || root != ptr(o.core.env(&o.core.tip, nil)).ReceiptsRootOf(c.Receipts) {
		t.Error("the receipts root does not cover the refunds")
	}
}

func ptr[T any](v T) *T { return &v }

// TestRefundOfShielding: a refund of a shielding that is not paid out either is
// credited to the sender's own account inside.
func TestRefundOfShielding(t *testing.T) {
	w := newWorld(t)
	w.block().shield(testShard, []byte("nobody"), unit).run()
	p := w.payouts()[0].Payout
	c := w.block().spend(p.CallHash).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Returned}) {
		t.Fatalf("outcomes: %v", got)
	}
	if got := w.account(w.user).Data.Free; got != amount(unit-RefundCost) {
		t.Errorf("the sender has %v inside", got)
	}
}

// TestRefundRefused: where the app cannot credit, a receipt and an alarm say so.
func TestRefundRefused(t *testing.T) {
	o := newOwing(t)
	unshield := func(value scale.U128, nonce uint32) []byte {
		return o.encrypt(top(o.alice, sample.BalanceUnshield(o.alice.AccountID(), o.bob.AccountID(), value, testShard), nonce))
	}
	// Less than the existential deposit leaves, then all the rest: her account
	// ends, and so little cannot begin one.
	o.block().invoke(unshield(amount(499), 0)).run()
	rest, _ := o.free().Sub(amount(3 * unit / 100))
	o.block().invoke(unshield(rest, 1)).run()
	p := o.payouts()
	if len(p) != 2 || !o.free().IsZero() {
		t.Fatalf("owed: %+v", p)
	}
	before := o.core.View().StateRoot()
	c := o.block().spend(p[0].Payout.CallHash).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.NotReturned}) || len(c.Alarms) != 2 || c.Alarms[1].Kind != AlarmNotReturned {
		t.Fatalf("outcomes %v, alarms %v", got, c.Alarms)
	}
	if len(o.payouts()) != 1 || before == c.StateRoot {
		t.Error("the payout is still there")
	}
}

// TestTombstone: a payout that the parentchain refuses is given up after some
// attempts of this worker; failures that are not about the payout do not count.
func TestTombstone(t *testing.T) {
	o := newOwing(t)
	fails := func(err system.DispatchError) event {
		return event{"System", "ExtrinsicFailed", struct {
			E system.DispatchError
			I system.DispatchInfo
		}{err, system.DispatchInfo{}}}
	}
	token := system.FundsUnavailable
	noFunds := fails(system.DispatchError{Token: &token})
	module := func(name string) event {
		return fails(system.DispatchError{Module: &system.ModuleError{Index: o.meta.Pallet(name).Index}})
	}
	e := o.owe()
	now := func() Effect { return o.payouts()[0] }
	callOf := func(e Effect) integritee.UnshieldFundsArgs {
		b, err := e.Call(o.meta, testShard)
		if err != nil {
			t.Fatal(err)
		}
		var a integritee.UnshieldFundsArgs
		if err := scale.Unmarshal(b[2:], &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	for i, ev := range []event{module(teerexPallet), module(bridgePallet), failed, fails(system.DispatchError{Exhausted: &struct{}{}})} {
		o.block().pay(o.worker, testShard, e.Payout, ev).run()
		if got := now(); got.Attempts != uint32(i+1) || got.Unpayable != 0 {
			t.Fatalf("attempts %d, unpayable %d after %d failures of the caller", got.Attempts, got.Unpayable, i+1)
		}
	}
	o.block().pay(o.other, testShard, e.Payout, noFunds).run() // somebody else's
	for i := range uint32(TombstoneAfter) {
		if got := now(); got.Unpayable != i || got.Tombstone() || callOf(got).Amount != amount(unit) {
			t.Fatalf("after %d failures: %+v", i, got)
		}
		ev := noFunds
		if i%2 == 1 {
			ev = module("Balances")
		}
		o.block().pay(o.worker, testShard, e.Payout, ev).run()
	}
	if !now().Tombstone() {
		t.Fatalf("not given up: %+v", now())
	}
	want := integritee.UnshieldFundsArgs{Shard: testShard, Beneficiary: e.Payout.Beneficiary, CallHash: e.Payout.CallHash}
	if got := callOf(now()); got != want {
		t.Errorf("call %+v, want %+v", got, want)
	}
	// A restart does not forget.
	restored, err := Restore(o.cfg, bytes.NewReader(snapshot(t, o.core)))
	if err != nil || !restored.Pending()[len(restored.Pending())-1].Tombstone() {
		t.Errorf("after a restart: %+v, %v", restored.Pending(), err)
	}
	before := o.free()
	q := *e.Payout
	q.Amount = amount(0)
	c := o.block().pay(o.worker, testShard, &q, paid(testShard, &q), success).run()
	if back, _ := o.free().Sub(before); back != amount(unit) || len(c.Alarms) != 0 || len(o.payouts()) != 0 {
		t.Errorf("refund %v, alarms %v, owed %v", back, c.Alarms, o.payouts())
	}
}

// manyModule unshields many times in one call, out of nothing.
type manyModule struct{ Credit stf.Value[stf.Balance] }

func (m *manyModule) Many(ctx stf.Call, n uint32) error {
	for range n {
		ctx.Unshield(ctx.Sender(), amount(unit))
	}
	return nil
}

func (m *manyModule) credit(ctx stf.Call, _ stf.AccountID, value stf.Balance) error {
	m.Credit.Set(ctx, m.Credit.Get(ctx).SaturatingAdd(value))
	return nil
}

// TestWindow: the oldest payouts are watched and sent, the others wait; what
// happens to them meanwhile is found when their turn comes.
func TestWindow(t *testing.T) {
	m := new(manyModule)
	app, err := stf.NewApp(stf.Config{Name: "many", Refund: m.credit, Modules: []stf.ModuleDecl{stf.Module("Many", m, stf.At(1), stf.Calls(stf.Method("Many", 0, "n")))}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.App, c.Trust.App = app, "many" })
	alice, other := pair(t, "//Alice"), pair(t, "//OtherWorker")
	id := alice.AccountID()
	call := func(n, nonce uint32) []byte {
		return w.encrypt(top(alice, scale.AppendU32(append([]byte{1, 0}, id[:]...), n), nonce))
	}
	c := w.block().invoke(call(maxOpenPayouts/2, 0)).invoke(call(maxOpenPayouts/2+3, 1)).run()
	if len(c.Added) != maxOpenPayouts+3 || len(w.payouts()) != maxOpenPayouts || len(w.core.RequiredKeys(c.Number+1)) != 1+maxOpenPayouts {
		t.Fatalf("%d payouts, %d to be sent, %d keys", len(c.Added), len(w.payouts()), len(w.core.RequiredKeys(c.Number+1)))
	}
	first, waiting := c.Added[0].Payout, c.Added[maxOpenPayouts].Payout
	if c := w.block().spend(waiting.CallHash).run(); len(c.Settled) != 0 {
		t.Errorf("a payout that waits was settled: %v", c.Settled)
	}
	w.block().pay(other, testShard, first, paid(testShard, first), success).run()
	if got := w.payouts(); len(got) != maxOpenPayouts || got[maxOpenPayouts-1].Payout.CallHash != waiting.CallHash {
		t.Error("the next payout did not move up")
	}
	c = w.block().run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Returned}) {
		t.Errorf("outcomes: %v", got)
	}
	restored, err := Restore(w.cfg, bytes.NewReader(snapshot(t, w.core)))
	if err != nil || fmt.Sprint(restored.RequiredKeys(0)) != fmt.Sprint(w.core.RequiredKeys(0)) {
		t.Errorf("after a restart: other keys, %v", err)
	}
}

// timerModule pays what nobody called for: in hooks of block 2 and on each
// shielding.
type timerModule struct {
	Credit stf.Map[stf.AccountID, stf.Balance]
}

// plainState lets a test read storage items of a state.
type plainState struct{ kv pallet.ReadKV }

func (p plainState) StorageReader() pallet.ReadKV { return p.kv }

var timerPayee = stf.AccountID{0xaa}

func (m *timerModule) pay(h stf.Hook, value uint64) error {
	if h.BlockNumber() == 2 {
		h.Unshield(h.EnclaveAccount(), timerPayee, amount(value))
	}
	return nil
}

func (m *timerModule) BeginBlock(h stf.Hook) error { return m.pay(h, 1) }
func (m *timerModule) EndBlock(h stf.Hook) error   { return m.pay(h, 3) }

func (m *timerModule) credit(ctx stf.Call, who stf.AccountID, value stf.Balance) error {
	m.Credit.Set(ctx, who, m.Credit.Get(ctx, who).SaturatingAdd(value))
	return nil
}

// TestPayoutsOfHooks: what hooks and triggers unshield is owed like what calls
// do, in the order of the block, each under a hash of its own; what is not paid
// goes to whom the hook named.
func TestPayoutsOfHooks(t *testing.T) {
	m := new(timerModule)
	app, err := stf.NewApp(stf.Config{Name: "timer", Shield: m.credit, Modules: []stf.ModuleDecl{stf.Module("Timer", m, stf.At(1),
		stf.OnChainEvent(chainShielded, func(tr stf.Trigger, _ integritee.EventShieldFunds) error { return m.pay(tr.Hook, 2) }))}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.App, c.Trust.App = app, "timer" })
	other, who := pair(t, "//OtherWorker"), keyring.AccountID{7}
	w.block().run()
	c := w.block().shield(testShard, w.encrypt(who[:]), unit).run()
	env, id := w.core.env(&w.core.tip, nil), stf.Identity{Block: 2, Index: 1<<32 - 1}
	if len(c.Added) != 3 || len(c.Alarms) != 0 {
		t.Fatalf("owed %+v, alarms %v", c.Added, c.Alarms)
	}
	for k, e := range c.Added {
		want := Payout{timerPayee, amount(uint64(k + 1)), env.CallHash(id, uint32(k)), env.EnclaveAccount}
		if e.Payout == nil || *e.Payout != want {
			t.Errorf("payout %d: %+v, want %+v", k, e.Payout, want)
		}
	}
	p := c.Added[0].Payout
	c = w.block().pay(other, testShard, p, paid(testShard, p), success).spend(c.Added[2].Payout.CallHash).run()
	if len(w.payouts()) != 1 || !slices.Equal(outcomes(c), []stf.Code{stf.Returned}) {
		t.Errorf("owed %+v, outcomes %v", w.payouts(), outcomes(c))
	}
	if got := m.Credit.Get(plainState{w.core.View().state}, env.EnclaveAccount); got != amount(3) {
		t.Errorf("refunded %v", got)
	}
	var commits = map[header.Number][]byte{c.Number: c.Encode()}
	replay(t, w.newCore(), w.blocks, 1, commits)
}

// TestPayoutsOfAnyWorker executes a history with payments, tombstones and thefts
// on workers that saw it in different ways: they ask for the same keys and
// come to the same roots.
func TestPayoutsOfAnyWorker(t *testing.T) {
	o := newOwing(t)
	late := o.cfg
	late.Account, late.ConfirmAll, late.Parallelism = keyring.AccountID{5}, true, 1
	var keys [][][]byte
	step := func(b *builder) {
		keys = append(keys, o.core.RequiredKeys(o.core.View().Number()+1))
		b.run()
	}
	for i := range 12 {
		b := o.block().invoke(o.unshield(o.alice, o.bob, unit, o.nonce))
		o.nonce++
		for k, e := range o.payouts() {
			switch (i + k) % 5 {
			case 0:
				b.pay(o.worker, testShard, e.Payout, paid(testShard, e.Payout), success)
			case 1:
				b.pay(o.worker, testShard, e.Payout, failed)
			case 2:
				b.pay(o.other, integritee.ShardID{9}, e.Payout, paid(integritee.ShardID{9}, e.Payout), success)
			}
		}
		step(b)
	}
	c, err := New(late, o.start)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pretend(1, o.meta); err != nil {
		t.Fatal(err)
	}
	for i, b := range o.blocks {
		if i > 0 && fmt.Sprint(c.RequiredKeys(b.Number())) != fmt.Sprint(keys[i-1]) { // block 1 funds
			t.Fatalf("block %d: other keys", b.Number())
		}
		commit, err := c.Execute(b)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := DecodeCommit(commit.Encode()) // as after a restart
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Adopt(decoded); err != nil {
			t.Fatal(err)
		}
		if err := c.checkPayouts(); err != nil {
			t.Fatal(err)
		}
		restored, err := Restore(late, bytes.NewReader(snapshot(t, c)))
		if err != nil {
			t.Fatal(err)
		}
		if err := restored.pretend(1, o.meta); err != nil {
			t.Fatal(err)
		}
		c = restored
	}
	if a, b := o.core.View().StateRoot(), c.View().StateRoot(); a != b {
		t.Errorf("roots %v and %v", a, b)
	}
}

// TestKeysMustBeProven: a block that comes without the proofs that the core
// asked for is not executed, and one with a value of another layout is fatal.
func TestKeysMustBeProven(t *testing.T) {
	o := newOwing(t)
	e := o.owe()
	sealed := o.chain.Add(o.block().block)
	final := o.chain.Finalize(o.client, sealed.Header.Number)
	v := o.chain.Verify(final[0], RequiredKeys(testShard, sealed.Header.Number)...)
	if _, err := o.core.Execute(v); !errors.Is(err, lightclient.ErrNotProven) || errors.Is(err, ErrFatal) {
		t.Errorf("without the proof: %v", err)
	}
	if _, err := o.core.Execute(o.chain.Verify(final[0], o.core.RequiredKeys(0)...)); err != nil {
		t.Fatal(err)
	}
	o = newOwing(t)
	e = o.owe()
	if _, err := o.core.Execute(o.block().store(bridgeLayout.spentKey(e.Payout.CallHash), []byte{1}).seal()); !errors.Is(err, ErrFatal) {
		t.Errorf("unknown layout: %v", err)
	}
}

// TestUnknownUnshieldMap: a runtime that keeps used hashes elsewhere cannot be followed.
func TestUnknownUnshieldMap(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(e *[]hashing.StorageHasher){
		"another hasher": func(h *[]hashing.StorageHasher) { (*h)[0] = hashing.Twox64Concat },
		"no map":         func(h *[]hashing.StorageHasher) { *h = nil },
	} {
		meta := nestedRuntime(false)
		entry, ok := meta.StorageEntry(bridgePallet, "ExecutedUnshieldCalls")
		if !ok {
			t.Fatal("no such entry")
		}
		change(&entry.Hashers)
		if err := w.core.pretend(1, meta); !errors.Is(err, ErrFatal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.core.NeedsRuntime() {
		t.Error("a refused runtime replaced the one before")
	}
}
