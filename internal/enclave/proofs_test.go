package enclave

import (
	"errors"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// signReceipt is what a worker makes of a proven receipt.
func (w *world) signReceipt(p ProvenReceipt) roots.Receipt {
	return roots.NewReceipt(roots.Sign(p.Roots, w.worker), p.Receipt, p.Proof)
}

// TestAnswers: answers verify and follow from the entries that they prove, and
// the owner's signature is not in them.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 10*unit)
	w.block().invoke(w.transfer(alice, bob, unit, 0)).run()
	v := w.core.View()
	for name, c := range map[string]struct {
		getter  integritee.Getter
		entries int
	}{
		"account":    {integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), alice), 2},
		"no account": {integritee.SignGetter(sample.GetterAccountInfo(w.user.AccountID()), w.user), 0},
		"issuance":   {integritee.Getter{Public: sample.GetterTotalIssuance()}, 1},
		"some value": {integritee.Getter{Public: sample.GetterSomeValue()}, 0},
	} {
		a, err := v.Answer(integritee.Request{Shard: testShard, Cyphertext: c.getter.AppendSCALE(nil)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		a.Sign(w.worker)
		value, some, err := v.Getter(integritee.Request{Shard: testShard, Cyphertext: c.getter.AppendSCALE(nil)})
		if err != nil || !some || a.Value == nil || string(*a.Value) != string(value) {
			t.Errorf("%s: %+v, want %x", name, a, value)
		}
		if err := a.Verify(); err != nil || !a.Asks(c.getter) {
			t.Errorf("%s: %v", name, err)
		}
		if err := a.Replay(w.cfg.App); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(a.Entries) != c.entries || a.State != v.StateRoot() || a.Number != v.Number() || a.Account != w.worker.AccountID() {
			t.Errorf("%s: %+v", name, a)
		}
	}
	// What has noise cannot be proven: it would be gone.
	a, err := v.Answer(integritee.Request{Shard: testShard, Cyphertext: integritee.Getter{Public: sample.PublicGetter((*sample.Balances).UndistributedFees, nil)}.AppendSCALE(nil)})
	if err != nil || len(a.Entries) != 0 || a.Value == nil {
		t.Errorf("undistributed fees: %+v, %v", a, err)
	}
	for name, g := range map[string]integritee.Getter{
		"somebody else's": integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), bob),
		"unknown":         {Public: []byte{99}},
	} {
		if _, err := v.Answer(integritee.Request{Shard: testShard, Cyphertext: g.AppendSCALE(nil)}); err == nil {
			t.Errorf("%s is answered", name)
		}
	}
}

// TestReceiptsByPlace: everything found in a block has a receipt that its
// owner finds by its place, with a proof, failed ones too; what nobody signed a
// call in is the payer's, without a reason; and nobody sees others'.
func TestReceiptsByPlace(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 10*unit)
	b := w.block().invoke(w.transfer(alice, bob, unit, 0)).invoke([]byte("garbage")).
		invoke(w.encrypt(top(alice, sample.Noop(alice.AccountID()), 7))).shield(testShard, nil, unit)
	// An event without a call, and one that belongs to nobody.
	b.signed(bob, b.w.call("System", "remark", []byte{}), invoked(testShard), success)
	b.hook(invoked(testShard))
	c := b.run()
	want := map[string][]stf.Code{
		"alice": {stf.Success, stf.BadNonce},
		"payer": {stf.Invalid, stf.Refunded},
		"bob":   {stf.NoCiphertext},
		"eve":   nil,
	}
	if len(c.Receipts) != 6 {
		t.Fatalf("receipts %v", outcomes(c))
	}
	n := header.Number(c.Number)
	w.block().run() // an old block's are proven by its own roots
	v := w.core.View()
	who := map[string]*keyring.Pair{"alice": alice, "payer": w.user, "bob": bob, "eve": pair(t, "//Eve")}
	for name, codes := range want {
		list, err := v.Receipts(stf.NewReceiptsQuery(testShard, stf.ReceiptPlace{Block: &n}, who[name]))
		if err != nil {
			t.Fatal(err)
		}
		var got []stf.Code
		for _, p := range list {
			signed := w.signReceipt(p)
			r, err := signed.Verify()
			if err != nil || r.Block != n || *r.Sender != who[name].AccountID() {
				t.Errorf("%s: %+v, %v", name, r, err)
				continue
			}
			got = append(got, r.Outcome.Code)
			if r.Outcome.Code == stf.Invalid && (r.Gas != 0 || len(r.Events) != 0 || r.Outcome != (stf.Outcome{Code: stf.Invalid})) {
				t.Errorf("more than failed: %+v", r)
			}
		}
		if !slices.Equal(got, codes) {
			t.Errorf("%s finds %v, want %v", name, got, codes)
		}
	}
	for i := range c.Receipts {
		id := c.Receipts[i].Identity()
		for name, p := range who {
			list, err := v.Receipts(stf.NewReceiptsQuery(testShard, stf.ReceiptPlace{Operation: &id}, p))
			own := c.Receipts[i].Sender != nil && *c.Receipts[i].Sender == p.AccountID()
			if err != nil || (len(list) == 1) != own || len(list) > 1 {
				t.Errorf("operation %d asked for by %s: %d receipts, %v", id.Index, name, len(list), err)
			}
		}
	}
	q := stf.NewReceiptQuery(testShard, *c.Receipts[0].OperationHash, alice)
	p, ok, err := v.ProveReceipt(q)
	if err != nil || !ok {
		t.Fatal(err)
	}
	signed := w.signReceipt(p)
	if r, err := signed.Verify(); err != nil || *r.OperationHash != q.OperationHash {
		t.Errorf("by hash: %+v, %v", r, err)
	}
	if _, ok, err := v.ProveReceipt(stf.NewReceiptQuery(testShard, q.OperationHash, bob)); ok || err != nil {
		t.Errorf("somebody else's by hash: %v, %v", ok, err)
	}
	bad := stf.NewReceiptsQuery(testShard, stf.ReceiptPlace{Block: &n}, bob)
	bad.Account = alice.AccountID()
	if _, err := v.Receipts(bad); !errors.Is(err, ErrNotAuthorized) {
		t.Errorf("signed by another: %v", err)
	}
	if _, err := v.Receipts(stf.NewReceiptsQuery([32]byte{1}, stf.ReceiptPlace{Block: &n}, bob)); !errors.Is(err, ErrUnknownShard) {
		t.Errorf("another shard: %v", err)
	}
}

// TestManyReceiptsOfOneAccount: an answer is bounded.
func TestManyReceiptsOfOneAccount(t *testing.T) {
	w := newWorld(t)
	b := w.block()
	for range maxReceipts + 5 {
		b.invoke([]byte("garbage"))
	}
	n := b.run().Number
	list, err := w.core.View().Receipts(stf.NewReceiptsQuery(testShard, stf.ReceiptPlace{Block: &n}, w.user))
	if err != nil || len(list) != maxReceipts {
		t.Errorf("%d receipts, %v", len(list), err)
	}
}

func FuzzReceiptsQuery(f *testing.F) {
	w := newWorld(f)
	n := w.block().invoke([]byte("garbage")).run().Number
	f.Add([]byte{})
	q := stf.NewReceiptsQuery(testShard, stf.ReceiptPlace{Block: &n}, w.user)
	f.Add(append(append(append([]byte{}, q.Shard[:]...), 1, byte(n), 0, 0, 0), q.Account[:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := stf.DecodeReceiptsQuery(b); err == nil {
			_, _ = w.core.View().Receipts(q)
		}
	})
}
