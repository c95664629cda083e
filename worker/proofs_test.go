package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// TestProofsOfARealWorker: a client has its answers and receipts proven, finds
// what it paid for by its place, and what it keeps verifies offline.
func TestProofsOfARealWorker(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("worker", t.TempDir()))
	n.ready(w)
	s := n.session(w)
	n.shield(s, ferdie.AccountID(), 5*unit)
	out := n.invoke(s, ferdie, 0, sample.BalanceTransfer(ferdie.AccountID(), alice.AccountID(), scale.U128{Lo: unit}))

	getter := client.SignGetter(sample.GetterAccountInfo(ferdie.AccountID()), ferdie.AccountID(), ferdie)
	a, err := s.Worker.Answer(n.ctx, n.shard(), getter)
	if err != nil {
		t.Fatal(err)
	}
	var info sample.AccountInfo
	if err := scale.Unmarshal(*a.Value, &info); err != nil || info.Nonce != 1 || len(a.Entries) == 0 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := a.Replay(n.app); err != nil {
		t.Error(err)
	}
	if a.Account != w.account.AccountID() || a.Time == 0 || a.Number < out.Inclusion.Number {
		t.Errorf("%+v", a.Roots)
	}
	// Its roots are those that the worker gives to anybody.
	r, err := s.Worker.Roots(n.ctx, &a.Number)
	if err != nil || r.Roots != a.Roots {
		t.Errorf("%+v, %v, want %+v", r, err, a.Roots)
	}
	if last, err := s.Worker.Roots(n.ctx, nil); err != nil || last.Number < a.Number {
		t.Errorf("%+v, %v", last, err)
	}
	if far := a.Number + 1000; true {
		if _, err := s.Worker.Roots(n.ctx, &far); err == nil || !strings.Contains(err.Error(), "are not kept: those of blocks 0 to") {
			t.Errorf("roots of a block to come: %v", err)
		}
	}

	// The shielding key is vouched for by the same account.
	var key roots.ShieldingKey
	var plain string
	rpc := n.dialRPC(w)
	if err := rpc.Call(n.ctx, "ocw_getShieldingKey", []any{}, &key); err != nil {
		t.Fatal(err)
	}
	if err := rpc.Call(n.ctx, "author_getShieldingKey", []any{}, &plain); err != nil {
		t.Fatal(err)
	}
	if v, err := integritee.ParseReturnValue(plain); err != nil || !bytes.Contains(v.Value, fmt.Appendf(nil, `{"n":[%d,%d,`, key.N[0], key.N[1])) {
		t.Errorf("another key: %x, %v", key.N, err)
	}
	if key.Account != a.Account || key.Genesis != a.Genesis || key.Shard != a.Shard || key.Number < a.Number || key.Verify() != nil {
		t.Errorf("%+v, %v", key, key.Verify())
	}

	p, err := s.ProveReceipt(n.ctx, out)
	if err != nil || p == nil || p.Number != out.Inclusion.Number || p.Block != hashing.Hash(out.Inclusion.Block) {
		t.Fatalf("%+v, %v", p, err)
	}
	b, err := json.Marshal(roots.File{Receipt: p})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := roots.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if receipt, err := kept.Receipt.Verify(); err != nil || !receipt.Outcome.OK() || *receipt.OperationHash != out.Operation {
		t.Errorf("%+v, %v", receipt, err)
	}

	// Garbage, paid by Alice: she finds that it failed, and nobody else anything.
	call, err := s.Chain.Compose(n.ctx, "EnclaveBridge", "invoke", struct {
		Shard      client.ShardID
		Cyphertext []byte
	}{n.shard(), []byte("garbage")})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := s.Chain.Submit(n.ctx, call, alice)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	in, err := sub.Finalized(n.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Worker.AwaitBlock(n.ctx, in.Number); err != nil {
		t.Fatal(err)
	}
	list, err := s.Worker.Receipts(n.ctx, stf.NewReceiptsQuery(n.shard(), stf.ReceiptPlace{Block: &in.Number}, alice))
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	receipt, err := list[0].Verify()
	if err != nil || receipt.Outcome != (stf.Outcome{Code: stf.Invalid}) {
		t.Errorf("%+v, %v", receipt, err)
	}
	id := receipt.Identity()
	if list, err := s.Worker.Receipts(n.ctx, stf.NewReceiptsQuery(n.shard(), stf.ReceiptPlace{Operation: &id}, alice)); err != nil || len(list) != 1 {
		t.Errorf("by its identity: %+v, %v", list, err)
	}
	if list, err := s.Worker.Receipts(n.ctx, stf.NewReceiptsQuery(n.shard(), stf.ReceiptPlace{Block: &in.Number}, ferdie)); err != nil || len(list) != 0 {
		t.Errorf("somebody else's: %+v, %v", list, err)
	}

	stranger := client.SignGetter(sample.GetterAccountInfo(ferdie.AccountID()), alice.AccountID(), alice)
	if _, err := s.Worker.Answer(n.ctx, n.shard(), stranger); err == nil || errors.Is(err, client.ErrSignature) {
		t.Errorf("a getter that alice must not ask: %v", err)
	}
}
