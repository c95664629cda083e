package enclave

import (
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// remarkedEvent is System.Remarked.
type remarkedEvent struct {
	Sender keyring.AccountID
	Hash   hashing.Hash
}

func remarkOf(who *keyring.Pair, text []byte) event {
	return event{systemPallet, "Remarked", remarkedEvent{who.AccountID(), hashing.Blake2b256(text)}}
}

// TestClaims finds claims of one shard under one trust config, by both calls, in
// the order of their events, and nothing else.
func TestClaims(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	trust := w.cfg.Trust.Hash()
	data := ClaimData(testShard, trust)
	if len(data) > integritee.MaxPublishDataBytes {
		t.Errorf("%d bytes, the pallet takes %d", len(data), integritee.MaxPublishDataBytes)
	}
	call := func(data []byte, keys hashing.Hash, remark bool) []byte {
		b, err := ClaimCall(w.meta, data, keys, remark)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	text := func(keys hashing.Hash) []byte { return append(slices.Clone(data), keys[:]...) }
	published := func(data []byte, keys hashing.Hash) event {
		return event{bridgePallet, "PublishedHash", indexed{integritee.EventPublishedHash{EnclaveFingerprint: testFingerprint, Hash: keys, Data: data},
			[]hashing.Hash{hashing.Hash(testFingerprint)}}}
	}
	otherShard, otherTrust := ClaimData(integritee.ShardID{9}, trust), ClaimData(testShard, hashing.Hash{9})
	b := w.block().
		signed(alice, call(otherShard, hashing.Hash{1}, false), published(otherShard, hashing.Hash{1}), success).
		signed(alice, call(otherTrust, hashing.Hash{2}, false), published(otherTrust, hashing.Hash{2}), success).
		signed(bob, call(data, hashing.Hash{3}, true), remarkOf(bob, text(hashing.Hash{3})), success).
		signed(alice, call(data, hashing.Hash{4}, false), published(data, hashing.Hash{4}), success).
		signed(alice, call(data, hashing.Hash{5}, true), failed). // no event
		signed(alice, call(data, hashing.Hash{6}, true), remarkOf(bob, text(hashing.Hash{6})), success).
		signed(alice, call(data, hashing.Hash{7}, true), remarkOf(alice, text(hashing.Hash{8})), success).
		signed(alice, call(append(slices.Clone(data), 0), hashing.Hash{9}, true), remarkOf(alice, append(append(slices.Clone(data), 0), make([]byte, 32)...)), success)
	b.hook(published(data, hashing.Hash{10})) // a scheduled call publishes, too
	claims, newRuntime, err := w.core.Runtime().Claims(b.seal(), data)
	if err != nil || newRuntime {
		t.Fatalf("%v, %v", newRuntime, err)
	}
	fingerprint := testFingerprint
	want := []Claim{{Keys: hashing.Hash{3}, Sender: bob.AccountID()}, {Keys: hashing.Hash{4}, Fingerprint: &fingerprint}, {Keys: hashing.Hash{10}, Fingerprint: &fingerprint}}
	if !slices.EqualFunc(claims, want, func(a, b Claim) bool {
		return a.Keys == b.Keys && a.Sender == b.Sender && (a.Fingerprint == nil) == (b.Fingerprint == nil) && (a.Fingerprint == nil || *a.Fingerprint == *b.Fingerprint)
	}) {
		t.Errorf("got %+v", claims)
	}
	for name, b := range map[string]*builder{
		"event": w.block().add(nil, event{systemPallet, "CodeUpdated", struct{}{}}),
		"digest": func() *builder {
			b := w.block()
			b.block.Digest = []header.DigestItem{{Kind: header.DigestRuntimeEnvironmentUpdated}}
			return b
		}(),
	} {
		if _, newRuntime, err := w.core.Runtime().Claims(b.seal(), data); err != nil || !newRuntime {
			t.Errorf("%s: no sign of another runtime (%v)", name, err)
		}
	}
}

// FuzzClaims looks for claims in any extrinsic and events: no panic.
func FuzzClaims(f *testing.F) {
	w := newWorld(f)
	data := ClaimData(testShard, w.cfg.Trust.Hash())
	alice := pair(f, "//Alice")
	for _, remark := range []bool{false, true} {
		call, err := ClaimCall(w.meta, data, hashing.Hash{1}, remark)
		if err != nil {
			f.Fatal(err)
		}
		v := w.block().signed(alice, call, remarkOf(alice, append(slices.Clone(data), make([]byte, 32)...)), success).seal()
		f.Add(v.Extrinsics()[1], v.Events())
	}
	f.Fuzz(func(t *testing.T, raw, events []byte) {
		w := newWorld(t)
		v := w.chain.Next(w.client, lightclienttest.Block{Extrinsics: [][]byte{raw}, Events: events}, w.core.RequiredKeys(1)...)
		claims, _, err := w.core.Runtime().Claims(v, data)
		if err != nil && claims != nil {
			t.Error("claims with an error")
		}
	})
}
