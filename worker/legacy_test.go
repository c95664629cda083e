package worker

import (
	"crypto/rand"
	"testing"

	"github.com/offchain-worker/sdk/apps/legacy"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// legacyFree asks for a private balance in the form of 2022; -1 for None.
func (n *network) legacyFree(s *client.Session, who *keyring.Pair) int64 {
	n.t.Helper()
	v, some, err := s.Worker.Get(n.ctx, n.shard(), client.SignLegacyGetter(legacy.GetterFreeBalance(who.AccountID()), who))
	if err != nil {
		n.t.Fatal(err)
	}
	if !some {
		return -1
	}
	var free stf.Balance
	if err := scale.Unmarshal(v, &free); err != nil {
		n.t.Fatal(err)
	}
	return int64(free.Lo)
}

// TestLegacyChain runs two workers on a chain of 2022: registration in its
// registry, shielding, calls and getters of that time without fees, a failed call
// whose nonce does not count, a payout, and the same state on both.
func TestLegacyChain(t *testing.T) {
	n := newNetwork(t, devchain.Config{Runtime: runtime.Options{Legacy: true}})
	var err error
	if n.app, err = legacy.New(); err != nil {
		t.Fatal(err)
	}
	one := n.start(n.config("one", t.TempDir()))
	n.ready(one)
	s := n.session(one)
	bob := pair("//BobIncognito")
	invoke := func(signer *keyring.Pair, nonce uint32, call []byte) *client.Outcome {
		t.Helper()
		out, err := s.Invoke(n.ctx, client.Invocation{Shard: n.shard(), Fingerprint: integritee.Fingerprint(n.shard()), Call: call, Nonce: nonce,
			Sender: signer.AccountID(), Signer: signer, Payer: ferdie, Legacy: true})
		if err != nil || !out.Known() {
			t.Fatalf("invoke: %+v, %v", out, err)
		}
		return out
	}
	n.shield(s, alice.AccountID(), 50*unit)
	if out := invoke(alice, 0, legacy.BalanceTransfer(alice.AccountID(), bob.AccountID(), scale.NewU128(25*unit))); !out.Succeeded() {
		t.Fatalf("transfer: %+v", out.Receipt)
	}
	tooMuch := legacy.BalanceTransfer(bob.AccountID(), alice.AccountID(), scale.NewU128(26*unit))
	if out := invoke(bob, 0, tooMuch); out.Receipt.Outcome.Code != stf.ModuleError {
		t.Errorf("too much: %+v", out.Receipt)
	}

	// The second worker finds the first in the registry and gets its keys.
	dir := t.TempDir()
	two := n.start(n.config("two", dir))
	n.ready(two)
	s2 := n.session(two)
	enclaves, err := s.Chain.Enclaves(n.ctx)
	if err != nil || len(enclaves) != 2 || enclaves[0].Account != one.Status().Account || enclaves[1].URL != two.TrustedURL() {
		t.Fatalf("registry: %+v, %v", enclaves, err)
	}

	unshield := legacy.BalanceUnshield(bob.AccountID(), keyring.AccountID{7}, scale.NewU128(15*unit), n.shard())
	if out := invoke(bob, 0, unshield); !out.Succeeded() { // the failed one did not count its nonce
		t.Fatalf("unshield: %+v", out.Receipt)
	}
	for n.ctx.Err() == nil {
		_, changed := one.published.read()
		info, err := s.Chain.Account(n.ctx, keyring.AccountID{7})
		if err != nil {
			t.Fatal(err)
		}
		if info.Data.Free == scale.NewU128(15*unit) {
			break
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
			t.Fatal("not paid")
		}
	}
	for i, s := range []*client.Session{s, s2} {
		if err := s.Worker.AwaitBlock(n.ctx, one.Status().Number); err != nil {
			t.Fatal(err)
		}
		if a, b := n.legacyFree(s, alice), n.legacyFree(s, bob); a != 25*unit || b != 10*unit {
			t.Errorf("worker %d: alice %d, bob %d", i+1, a, b)
		}
		if f := n.legacyFree(s, ferdie); f != -1 {
			t.Errorf("worker %d: ferdie, who is nobody inside, has %d", i+1, f)
		}
	}
	n.sameState(one, two)

	// Nothing can be published here: keys are compared with those of the first.
	stopped(t, two)
	wrong, err := enclave.NewKeyMaterial(two.ring.Load().Find(epoch.ID{}).Shielding, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := saveKeys(two.dir, two.platform, newOwnKeys(keysConfirmed, two.trustHash, enclave.NewKeyRing(wrong))); err != nil {
		t.Fatal(err)
	}
	cfg := n.config("two", dir)
	cfg.CleanReset = true
	n.startFailing(cfg, "are not those of shard", "its first worker")
}
