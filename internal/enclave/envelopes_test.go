package enclave

import (
	"bytes"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// sealed returns plain in a hybrid envelope for the world's shard.
func (w *world) sealed(e shielding.Envelope, plain []byte, where shielding.Binding) []byte {
	w.t.Helper()
	ct, err := testKeys().Hybrid(e).Public().Seal(plain, where)
	if err != nil {
		w.t.Fatal(err)
	}
	return ct
}

var testBinding = shielding.Binding{Shard: testShard, Fingerprint: testFingerprint}

// TestEnvelopes mixes all envelopes in one block: shieldings, calls that depend on
// each other, and what cannot be opened.
func TestEnvelopes(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	a, b := alice.AccountID(), bob.AccountID()
	transfer := func(nonce uint32) []byte { return top(alice, sample.BalanceTransfer(a, b, amount(unit)), nonce) }
	foreign := testBinding
	foreign.Shard[0] ^= 1
	old := testBinding
	old.Fingerprint[0] ^= 1
	shields := [][]byte{w.sealed(shielding.X25519, a[:], testBinding), w.sealed(shielding.X25519MLKEM768, a[:], testBinding), w.encrypt(a[:]), w.sealed(shielding.X25519, a[:], foreign)}
	invokes := [][]byte{
		w.sealed(shielding.X25519, transfer(0), testBinding),
		w.encrypt(transfer(1)),
		w.sealed(shielding.X25519MLKEM768, transfer(2), testBinding),
		w.sealed(shielding.X25519, transfer(3), foreign),
		w.sealed(shielding.X25519MLKEM768, transfer(3), old),
		append([]byte{1, 3}, shields[0][2:]...), // no such envelope
		w.sealed(shielding.X25519, transfer(3), testBinding),
		bytes.Repeat([]byte{1}, shielding.MaxChunks*shielding.KeySize+1),
	}
	block := w.block()
	leaves := []hashing.Hash{integritee.LeafTimestampSet(w.now)}
	for i, ct := range shields {
		block.shield(testShard, ct, 5*unit)
		if i < 3 { // what cannot be opened is none, and goes back
			leaves = append(leaves, integritee.LeafShieldFunds(testShard, ct, amount(5*unit)))
		}
	}
	for _, ct := range invokes {
		block.invoke(ct)
		leaves = append(leaves, integritee.IndirectLeafInvoke(integritee.Request{Shard: testShard, Cyphertext: ct}))
	}
	c := block.run()
	ok, bad := stf.Success, stf.Invalid
	if got, want := outcomes(c)[4:], []stf.Code{ok, ok, ok, bad, bad, bad, ok, stf.TooLong}; !slices.Equal(got, want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	if got := outcomes(c)[:4]; !slices.Equal(got[:3], []stf.Code{ok, ok, ok}) || got[3] == ok {
		t.Errorf("outcomes of shieldings: %v", got)
	}
	if got := w.account(alice); got.Nonce != 4 {
		t.Errorf("nonce %d", got.Nonce)
	}
	if want := integritee.MerkleRoot(leaves); c.ConfirmationRoot != want {
		t.Errorf("root %v, want %v", c.ConfirmationRoot, want)
	}
}

// TestHybridKeys pins how the keys are derived: who replays a history needs the
// same for ever. They are others in another epoch, or with another RSA key.
func TestHybridKeys(t *testing.T) {
	k := testKeys()
	for e, want := range map[shielding.Envelope]string{
		shielding.X25519:         "0x83b4dfbaed89223fcdd4d41e70547e956f6a13b0b6774cf893a49129535185a4",
		shielding.X25519MLKEM768: "0x11491b5dfaa83fe059f92733e2e79a7736afd0764ab9675138692d7ba61df7d3",
	} {
		public := k.Hybrid(e).Public().Bytes()
		if got := hashing.Blake2b256(public).String(); got != want {
			t.Errorf("%v: %s, want %s", e, got, want)
		}
		next := *k
		next.Epoch++
		if bytes.Equal(next.Hybrid(e).Public().Bytes(), public) {
			t.Errorf("%v: the same key in the next epoch", e)
		}
	}
}
