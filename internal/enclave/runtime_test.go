package enclave

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/internal/runtimecode/gencode"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/substrate/trie"
)

var runtimeUpdated = []header.DigestItem{{Kind: header.DigestRuntimeEnvironmentUpdated}}

// codeOf generates a runtime with the dev chain's metadata.
func codeOf(t testing.TB, specVersion uint32, systemVersion uint8) []byte {
	t.Helper()
	code, err := gencode.Generate(system.RuntimeVersion{
		SpecName: "generated", ImplName: "generated", SpecVersion: specVersion, TransactionVersion: 1, SystemVersion: systemVersion,
		APIs: []system.RuntimeAPI{{ID: hashing.Blake2b64([]byte("Core")), Version: 5}},
	}, map[uint32][]byte{14: testRuntime().MetadataBytes(14)})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// upgrade adds a block with these changes of the state and the digest item.
func (w *world) upgrade(storage map[string][]byte) *Commit {
	w.t.Helper()
	b := w.block()
	b.block.Storage, b.block.Digest = storage, runtimeUpdated
	return b.run()
}

// proof is the chain's read proof of the code at its last block.
func (w *world) proof() [][]byte { return w.chain.Prove(w.core.View().Number(), CodeKeys()...) }

// learn gives the core the runtime that its chain proves.
func (w *world) learn() *Runtime {
	w.t.Helper()
	code, err := w.core.ProveCode(w.proof())
	if err != nil {
		w.t.Fatal(err)
	}
	rt, err := code.Execute(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.core.UseRuntime(rt); err != nil {
		w.t.Fatal(err)
	}
	return rt
}

// TestRuntimeByProof offers proofs that are none, then the true one, and
// restarts in between.
func TestRuntimeByProof(t *testing.T) {
	w := newWorld(t)
	old, code := codeOf(t, 2, 1), codeOf(t, 3, 1)
	w.upgrade(map[string][]byte{":code": old})
	w.learn()
	oldProof := w.proof()
	if c := w.upgrade(map[string][]byte{":code": code, "other": bytes.Repeat([]byte{1}, 40)}); !c.NewRuntime || c.CodeHash != hashing.Blake2b256(old) {
		t.Fatalf("the block of the upgrade: %v, code %v", c.NewRuntime, c.CodeHash)
	}
	if _, known := w.core.CodeHash(); known || !w.core.NeedsRuntime() || w.core.Runtime() != nil {
		t.Fatal("the former runtime is still in force")
	}
	good := w.proof()
	n := w.core.View().Number()
	flipped := func() [][]byte {
		p := w.proof()
		longest := 0
		for i := range p {
			if len(p[i]) > len(p[longest]) {
				longest = i
			}
		}
		p[longest] = bytes.Clone(p[longest])
		p[longest][100] ^= 1
		return p
	}
	before := snapshot(t, w.core)
	for name, proof := range map[string][][]byte{
		"none":              nil,
		"the old code":      oldProof,
		"a changed code":    flipped(),
		"truncated":         good[:len(good)-1],
		"padded":            append(good[:len(good):len(good)], []byte("more")),
		"an item twice":     append(good[:len(good):len(good)], good[0]),
		"over-complete":     w.chain.Prove(n, append(CodeKeys(), []byte("other"))...),
		"another key":       w.chain.Prove(n, []byte("other")),
		"with the old code": append(good[:len(good):len(good)], old),
	} {
		if _, err := w.core.ProveCode(proof); !errors.Is(err, ErrCodeProof) || errors.Is(err, ErrFatal) {
			t.Errorf("%s: %v", name, err)
		}
		if !w.core.NeedsRuntime() || !bytes.Equal(snapshot(t, w.core), before) {
			t.Fatalf("%s: something has changed", name)
		}
	}

	proven, err := w.core.ProveCode(good)
	if err != nil || proven.Hash() != hashing.Blake2b256(code) {
		t.Fatalf("%v, %v", proven, err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := proven.Execute(stopped); !errors.Is(err, context.Canceled) || errors.Is(err, ErrFatal) {
		t.Errorf("stopped: %v", err)
	}
	rt, err := proven.Execute(t.Context())
	if err != nil || rt.Version().SpecVersion != 3 || rt.Metadata() == nil || rt.CodeHash() != proven.Hash() {
		t.Fatalf("%+v, %v", rt, err)
	}
	otherCode, err := VerifyCode(w.cfg.Trust.LightClient(), w.chain.At(n-1).Header.StateRoot, oldProof)
	if err != nil {
		t.Fatal(err)
	}
	other, err := otherCode.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.core.UseRuntime(other); !errors.Is(err, ErrOtherRuntime) || !w.core.NeedsRuntime() {
		t.Errorf("the old runtime: %v", err)
	}
	if err := w.core.UseRuntime(rt); err != nil {
		t.Fatal(err)
	}
	if c := w.block().run(); c.CodeHash != rt.CodeHash() || c.NewRuntime {
		t.Errorf("the block after it: %+v", c)
	}

	// After a restart the hash is known, and what was kept of it is taken.
	again, err := Restore(w.cfg, bytes.NewReader(snapshot(t, w.core)))
	if err != nil {
		t.Fatal(err)
	}
	if hash, known := again.CodeHash(); !known || hash != rt.CodeHash() || !again.NeedsRuntime() {
		t.Errorf("after a restart: %v, %v", hash, known)
	}
	kept, err := DecodeRuntime(rt.CodeHash(), rt.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.UseRuntime(kept); err != nil {
		t.Error(err)
	}
}

// TestRestartAtUpgrade reads the record of an upgrade's block from the log:
// which code is in force is not known then, and that of the log's last block
// is.
func TestRestartAtUpgrade(t *testing.T) {
	w := newWorld(t)
	restarted := w.newCore()
	adopt := func(c *Commit) {
		t.Helper()
		decoded, err := DecodeCommit(c.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if err := restarted.Adopt(decoded); err != nil {
			t.Fatal(err)
		}
	}
	adopt(w.upgrade(map[string][]byte{":code": codeOf(t, 2, 1)}))
	if _, known := restarted.CodeHash(); known || !restarted.NeedsRuntime() {
		t.Error("the code of the block before is still in force")
	}
	rt := w.learn()
	adopt(w.block().run())
	if hash, known := restarted.CodeHash(); !known || hash != rt.CodeHash() || !restarted.NeedsRuntime() {
		t.Errorf("code %v, %v", hash, known)
	}
	if !bytes.Equal(snapshot(t, w.core), snapshot(t, restarted)) {
		t.Error("another snapshot after a restart")
	}
}

// TestUnusableCode has a chain without code, and chains whose code cannot be
// executed: nobody can go on there.
func TestUnusableCode(t *testing.T) {
	w := newWorld(t)
	if _, err := VerifyCode(w.cfg.Trust.LightClient(), w.chain.At(0).Header.StateRoot, w.chain.Prove(0, CodeKeys()...)); !errors.Is(err, ErrNoCode) || !errors.Is(err, ErrFatal) {
		t.Errorf("no code: %v", err)
	}
	for name, code := range map[string][]byte{"empty": {}, "no module": bytes.Repeat([]byte("x"), 100), "half a module": codeOf(t, 2, 1)[:5000]} {
		w.upgrade(map[string][]byte{":code": code})
		proven, err := w.core.ProveCode(w.proof())
		if err != nil {
			t.Fatal(err)
		}
		if rt, err := proven.Execute(t.Context()); !errors.Is(err, ErrRuntimeCode) || !errors.Is(err, ErrFatal) {
			t.Errorf("%s: %v, %v", name, rt, err)
		}
		if !w.core.NeedsRuntime() {
			t.Errorf("%s: a runtime came out of it", name)
		}
		if err := w.core.pretend(1, w.meta); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCodeChangedWithoutSign overwrites `:code` as a chain's root can. A worker
// that has to prove its code then says so.
func TestCodeChangedWithoutSign(t *testing.T) {
	w := newWorld(t)
	w.upgrade(map[string][]byte{":code": codeOf(t, 2, 1)})
	w.learn()
	b := w.block()
	b.block.Storage = map[string][]byte{":code": codeOf(t, 3, 1)}
	b.run()
	if _, err := w.core.ProveCode(w.proof()); !errors.Is(err, ErrFatal) || errors.Is(err, ErrCodeProof) {
		t.Errorf("got %v", err)
	}
}

// TestEventsTellOfUpgrades: parachains of former years upgrade without a digest
// item.
func TestEventsTellOfUpgrades(t *testing.T) {
	para, err := runtime.Shared(runtime.Options{Role: runtime.Para})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []event{
		{systemPallet, "CodeUpdated", struct{}{}},
		{"ParachainSystem", "ValidationFunctionApplied", runtime.ValidationFunctionApplied{RelayChainBlockNum: 7}},
	} {
		w := newWorldOf(t, para.Metadata)
		if c := w.block().run(); c.NewRuntime {
			t.Errorf("%s: a new runtime before", e.name)
		}
		b := w.block()
		b.hook(e)
		b.block.Storage = map[string][]byte{":code": codeOf(t, 7, 1)}
		if c := b.run(); !c.NewRuntime || !w.core.NeedsRuntime() {
			t.Errorf("%s: the upgrade went unseen", e.name)
		}
		if rt := w.learn(); rt.Version().SpecVersion != 7 {
			t.Errorf("version %d", rt.Version().SpecVersion)
		}
	}
}

// TestPendingCode follows a runtime of system version 3: set_code writes
// `:pending_code`, without a digest item; the next block is executed by that,
// and moves it to `:code`.
func TestPendingCode(t *testing.T) {
	w := newWorld(t)
	now, next := codeOf(t, 2, 3), codeOf(t, 3, 3)
	w.upgrade(map[string][]byte{":code": now})
	w.learn()
	if c := w.block().run(); c.NewRuntime {
		t.Error("a new runtime without a sign")
	}
	b := w.block()
	b.block.Storage = map[string][]byte{":pending_code": next}
	if c := b.run(); !c.NewRuntime || !w.core.NeedsRuntime() {
		t.Fatal("the pending code went unseen")
	}
	if _, err := w.core.ProveCode(w.chain.Prove(w.core.View().Number(), []byte(":code"))); !errors.Is(err, ErrCodeProof) {
		t.Errorf("a proof without the pending code: %v", err)
	}
	if rt := w.learn(); rt.Version().SpecVersion != 3 {
		t.Errorf("version %d", rt.Version().SpecVersion)
	}
	if c := w.upgrade(map[string][]byte{":code": next, ":pending_code": nil}); c.CodeHash != hashing.Blake2b256(next) {
		t.Error("the block that moves the code was not read by it")
	}
	if rt := w.learn(); rt.Version().SpecVersion != 3 || rt.CodeHash() != hashing.Blake2b256(next) {
		t.Errorf("version %d", rt.Version().SpecVersion)
	}
	if c := w.block().run(); c.NewRuntime || c.CodeHash != hashing.Blake2b256(next) {
		t.Errorf("the block after it: %+v", c)
	}
}

// TestExtrinsicsLayout: extrinsics roots have layout V1 from system version 2 on.
func TestExtrinsicsLayout(t *testing.T) {
	for version, want := range map[uint8]trie.Version{0: trie.V0, 1: trie.V0, 2: trie.V1, 3: trie.V1} {
		w := newWorld(t)
		w.upgrade(map[string][]byte{":code": codeOf(t, 2, version)})
		if got := w.learn().ExtrinsicsLayout(); got != want {
			t.Errorf("system version %d: %v", version, got)
		}
	}
}

// record is an encoded runtime with the hash of its code.
func record(t testing.TB) (hashing.Hash, []byte) {
	chain := lightclienttest.New(t, lightclienttest.Options{Storage: map[string][]byte{":code": codeOf(t, 2, 1)}})
	code, err := VerifyCode(DevTrustConfig(chain.GenesisHash(), testShard, "x").LightClient(), chain.At(0).Header.StateRoot, chain.Prove(0, CodeKeys()...))
	if err != nil {
		t.Fatal(err)
	}
	rt, err := code.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return code.Hash(), rt.Encode()
}

func TestDecodeRuntimeRefuses(t *testing.T) {
	hash, good := record(t)
	format := bytes.Clone(good)
	format[0]++
	for name, r := range map[string]struct {
		hash hashing.Hash
		b    []byte
	}{
		"nothing": {hash, nil}, "another code": {hashing.Hash{1}, good}, "another format": {hash, format},
		"trailing": {hash, append(bytes.Clone(good), 0)}, "truncated": {hash, good[:len(good)-1]},
	} {
		if rt, err := DecodeRuntime(r.hash, r.b); !errors.Is(err, ErrRuntime) || rt != nil {
			t.Errorf("%s: %v, %v", name, rt, err)
		}
	}
}

// FuzzDecodeRuntime reads any record of a runtime: no panic, and what is read
// encodes to the same bytes.
func FuzzDecodeRuntime(f *testing.F) {
	hash, good := record(f)
	f.Add(good)
	f.Add(good[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		rt, err := DecodeRuntime(hash, b)
		if err != nil {
			if !errors.Is(err, ErrRuntime) {
				t.Error(err)
			}
			return
		}
		if !bytes.Equal(rt.Encode(), b) {
			t.Error("it encodes to other bytes")
		}
	})
}
