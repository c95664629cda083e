package worker

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
)

// TestGarbageInvocations puts on chain what is no call: every block is
// confirmed, and the next call works.
func TestGarbageInvocations(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 10*unit)
	key, err := s.Worker.ShieldingKey(n.ctx)
	if err != nil {
		t.Fatal(err)
	}
	encrypt := func(plain []byte) []byte {
		t.Helper()
		c, err := key.Encrypt(plain)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	random := func(n int) []byte {
		b := make([]byte, n)
		rand.Read(b)
		return b
	}
	wrong, err := shielding.Generate()
	if err != nil {
		t.Fatal(err)
	}
	call := sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit/10))
	fingerprint := integritee.Fingerprint(w.platform.Measurement())
	top := func(c []byte, nonce uint32, f integritee.Fingerprint, shard integritee.ShardID) []byte {
		return integritee.SignCall(c, nonce, f, shard, alice).IndirectCall()
	}
	wrongKey, err := wrong.Public().Encrypt(rand.Reader, top(call, 0, fingerprint, n.shard()))
	if err != nil {
		t.Fatal(err)
	}
	forged := top(call, 0, fingerprint, n.shard())
	forged[len(forged)-1] ^= 1
	bob := pair("//Bob")
	garbage := map[string][]byte{
		"empty": {}, "random bytes": random(384), "wrong length": random(383), "wrong key": wrongKey,
		"encrypted garbage": encrypt(random(200)),
		"unknown call":      encrypt(top(append([]byte{222}, call[1:]...), 0, fingerprint, n.shard())),
		"wrong signature":   encrypt(forged),
		"wrong nonce":       encrypt(top(call, 7, fingerprint, n.shard())),
		"wrong mrenclave":   encrypt(top(call, 0, integritee.Fingerprint{1}, n.shard())),
		"wrong shard":       encrypt(top(call, 0, fingerprint, integritee.ShardID{1})),
		"direct call":       encrypt(append([]byte{integritee.TOPDirectCall}, top(call, 0, fingerprint, n.shard())[1:]...)),
		"3 MB of chunks":    bytes.Repeat(encrypt(random(318)), 3<<20/384),
	}
	nonce := uint32(0)
	for _, cyphertext := range garbage {
		n.send(bob, nonce, "EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: n.shard(), Cyphertext: cyphertext}})
		nonce++
	}
	n.send(bob, nonce, "EnclaveBridge", "shield_funds", integritee.ShieldFundsArgs{Shard: n.shard(), AccountEncrypted: random(384), Amount: amount(unit)})
	if out := n.invoke(s, alice, 0, call); !out.Succeeded() {
		t.Errorf("the next call: %+v", out)
	}
	// Confirmations are sent in order, so those of the other blocks are there.
	confirmed := n.confirmations()
	concerned := append(n.events("EnclaveBridge", "IndirectInvocationRegistered"), n.events("EnclaveBridge", "ShieldFunds")...)
	if len(concerned) != len(garbage)+3 {
		t.Errorf("%d operations on chain", len(concerned))
	}
	for _, e := range concerned {
		if confirmed[e.number] != 1 {
			t.Errorf("block %d is confirmed %d times", e.number, confirmed[e.number])
		}
	}
	if b := n.balances(s, alice); b.nonce != 1 {
		t.Errorf("alice has nonce %d", b.nonce)
	}
}
