package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// An upgrade from the first of these to the second moves call indexes, adds a
// transaction extension, and makes inherents begin with 0x05 instead of 0x04.
var (
	oldRuntime = runtime.Options{BareV4: true, NoMetadataHash: true}
	newRuntime = runtime.Options{MoveCalls: true}
)

// rawCall is an encoded call as an argument of another one.
type rawCall []byte

func (c rawCall) AppendSCALE(b []byte) []byte { return append(b, c...) }

// DecodeSCALE is there because the codec wants both.
func (c *rawCall) DecodeSCALE(d *scale.Decoder) { *c = d.Rest() }

// call encodes a call of the chain's present runtime.
func (n *network) call(pallet, name string, args any) rawCall {
	n.t.Helper()
	c, err := encodeCall(n.chain.Best().Runtime().Metadata, pallet, name, args)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// codeOf is the code of a runtime that the present one can be upgraded to.
func (n *network) codeOf(o runtime.Options) []byte {
	n.t.Helper()
	o.SpecVersion = n.chain.Best().Runtime().Version.SpecVersion + 1
	rt, err := runtime.Shared(o)
	if err != nil {
		n.t.Fatal(err)
	}
	return rt.Code()
}

// setCode is a sudo of System.set_code.
func (n *network) setCode(code []byte) rawCall {
	return n.call("Sudo", "sudo", n.call("System", "set_code", code))
}

// invocation is an EnclaveBridge.invoke of a trusted call of alice.
func (n *network) invocation(s *client.Session, nonce uint32, call []byte) rawCall {
	n.t.Helper()
	key, err := s.Worker.ShieldingKey(n.ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	signed := integritee.SignCall(call, nonce, integritee.Fingerprint(n.shard()), n.shard(), alice)
	cyphertext, err := key.Encrypt(signed.IndirectCall())
	if err != nil {
		n.t.Fatal(err)
	}
	return n.call("EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: n.shard(), Cyphertext: cyphertext}})
}

// batch sends Utility.batch_all, signed by alice.
func (n *network) batch(calls ...rawCall) {
	n.t.Helper()
	n.send(alice, n.nextIndex(alice.AccountID()), "Utility", "batch_all", struct{ Calls []rawCall }{calls})
}

// upgrades lists the blocks that announce another runtime.
func (n *network) upgrades() (list []header.Number) {
	for i := header.Number(1); i <= n.chain.Best().Number(); i++ {
		if n.chain.Block(i).Header.RuntimeUpdated() {
			list = append(list, i)
		}
	}
	return list
}

// TestUpgrades changes the runtime of the parentchain several times under a
// running worker, with calls in all blocks around the boundaries, inside the
// extrinsic of an upgrade too, and payouts owed across it. Nothing is lost, and
// a worker that replays the history comes to the same state.
func TestUpgrades(t *testing.T) {
	n := newNetwork(t, devchain.Config{Runtime: oldRuntime})
	p := newProxy(t, n.url)
	var codes atomic.Int64
	p.tell(func(m string, params, r json.RawMessage) (json.RawMessage, bool) {
		if asksForCode(m, params) {
			codes.Add(1)
		}
		return r, true
	})
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL = p.url
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	transfer := func() []byte {
		return sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))
	}
	unshield := sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), n.shard())
	nonce := uint32(0)
	invoke := func() {
		t.Helper()
		if out := n.invoke(s, alice, nonce, transfer()); !out.Succeeded() {
			t.Fatalf("call %d: %+v", nonce, out)
		}
		nonce++
	}
	invoke()

	// What the worker sends for this payout reaches the node under the former
	// runtime only, and is lost.
	var lost atomic.Int64
	lose := func(method string, _ json.RawMessage) any {
		if method != "author_submitExtrinsic" {
			return nil
		}
		lost.Add(1)
		return hashing.Hash{}
	}
	p.swallow.Store(&lose)
	n.batch(n.invocation(s, nonce, unshield))
	nonce++
	n.until(w, "no payout was sent", func() bool { return lost.Load() >= 2 }) // the confirmation too

	// The upgrade is nested, between two invocations of one extrinsic.
	n.batch(n.invocation(s, nonce, transfer()), n.setCode(n.codeOf(newRuntime)), n.invocation(s, nonce+1, unshield))
	nonce += 2
	n.until(w, "no upgrade", func() bool {
		return len(n.upgrades()) == 1 && w.Status().Number == n.chain.Best().Number()
	})
	p.swallow.Store(nil)
	invoke()
	n.until(w, "effects of the former runtime stay", func() bool { return w.Status().Pending == 0 })

	// Another one, and back to the code of the first but for its version.
	if _, err := n.chain.ScheduleUpgrade(runtime.Options{}); err != nil {
		t.Fatal(err)
	}
	n.until(w, "no second upgrade", func() bool { return len(n.upgrades()) == 2 })
	invoke()
	n.batch(n.invocation(s, nonce, unshield), n.setCode(n.codeOf(oldRuntime)))
	nonce++
	n.until(w, "no third upgrade", func() bool { return len(n.upgrades()) == 3 })
	invoke()
	n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })

	if got := n.balances(s, alice); got.nonce != nonce {
		t.Errorf("nonce %d, %d calls were made", got.nonce, nonce)
	}
	if paid := len(n.events("EnclaveBridge", "UnshieldedFunds")); paid != 3 {
		t.Errorf("%d payouts, want 3", paid)
	}
	confirmed := n.confirmations()
	for _, at := range n.upgrades() {
		if n.chain.Block(at).Runtime().Version.SpecVersion == 3 {
			continue // nothing was in it
		}
		if confirmed[at] == 0 {
			t.Errorf("block %d of an upgrade, which holds invocations, was not confirmed: %v", at, confirmed)
		}
	}
	if first := n.upgrades()[0]; n.chain.Block(first).Extrinsics[0][1] != 4 || n.chain.Block(first + 1).Extrinsics[0][1] != 5 {
		t.Error("the inherents have not changed")
	}

	second := n.start(n.config("2", t.TempDir()))
	n.ready(second)
	n.sameState(w, second)

	// After a restart what was learnt is there: no code is fetched.
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	codes.Store(0)
	w = n.start(cfg)
	n.ready(w)
	s = n.session(w)
	invoke()
	if got := codes.Load(); got != 0 {
		t.Errorf("the code was fetched %d times after a restart", got)
	}
	n.sameState(w, second)
}

// TestRestartAtUpgrade stops a worker that has committed the block of an
// upgrade and does not know the new runtime yet; damages what it has kept; and
// has lies told about the code. It always goes on where it was.
func TestRestartAtUpgrade(t *testing.T) {
	n := newNetwork(t, devchain.Config{Runtime: oldRuntime})
	honest := n.start(n.config("honest", t.TempDir()))
	n.ready(honest)
	p := newProxy(t, n.url)
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL = p.url
	watch := &logWatch{Handler: cfg.Logger.Handler()}
	cfg.Logger = slogOf(watch)
	w := n.start(cfg)
	n.ready(w)
	s := n.session(honest)
	n.shield(s, alice.AccountID(), 100*unit)
	n.sameState(honest, w)
	call := sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))

	former := n.chain.Best()
	var oldProof []string
	for _, b := range former.State.Prove(trie.V1, enclave.CodeKeys()...) {
		oldProof = append(oldProof, "0x"+hexOf(b))
	}
	swapped := "0x" + hexOf(n.codeOf(runtime.Options{NoMetadataHash: true}))
	lies := map[string]func(items []string) []string{
		"the old code": func([]string) []string { return oldProof },
		"flipped code": func(items []string) []string {
			i := longest(items)
			items[i] = items[i][:1000] + flipDigit(items[i][1000:])
			return items
		},
		"swapped code":                           func(items []string) []string { items[longest(items)] = swapped; return items },
		"truncated proof of the code":            func(items []string) []string { return items[1:] },
		"no code":                                func(items []string) []string { i := longest(items); return slices.Delete(items, i, i+1) },
		"padded proof of the code":               func(items []string) []string { return append(items, "0x00112233") },
		"an item of the proof of the code twice": func(items []string) []string { return append(items, items[0]) },
		"empty proof of the code":                func([]string) []string { return []string{} },
	}
	codeLie := func(change func([]string) []string) { p.tell(onProof(asksForCode, change)) }
	noticed := watch.next("trouble, will retry")
	codeLie(lies["the old code"])
	if _, err := n.chain.ScheduleUpgrade(newRuntime); err != nil {
		t.Fatal(err)
	}
	n.await(noticed, "nothing was noticed")
	n.until(honest, "no upgrade", func() bool { return len(n.upgrades()) == 1 })
	boundary := n.upgrades()[0]
	// What was noticed may be another trouble than that of the upgrade.
	n.until(w, "the block of the upgrade is not committed", func() bool { return w.Status().Number == boundary })
	// Getters do not wait for the runtime.
	if got := n.balances(n.session(w), alice); got.free.Less(amount(99*unit)) || w.Status().Number != boundary {
		t.Errorf("%+v at block %d, the upgrade is in block %d", got, w.Status().Number, boundary)
	}
	if out := n.invoke(s, alice, 0, call); !out.Succeeded() {
		t.Fatalf("%+v", out)
	}
	for name, lie := range lies {
		inTable(t, codeAttacks(), name, healthy("chain-unverified"))
		if err := w.Stop(); err != nil {
			t.Fatal(err)
		}
		noticed := watch.next("trouble, will retry")
		codeLie(lie)
		w = n.start(cfg)
		n.await(noticed, "nothing was noticed: "+name)
		n.until(w, name, func() bool { return w.Status().HealthCode == "chain-unverified" })
		if got := w.Status(); got.Number != boundary || got.Phase != "catching up" {
			t.Errorf("%s: %s, at block %d; the upgrade is in block %d", name, got.Phase, got.Number, boundary)
		}
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	p.tell(nil)
	w = n.start(cfg)
	n.ready(w)
	n.sameState(honest, w)

	// The files of what was kept: one damaged, one in the other's place.
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(cfg.DataDir, runtimesDir, "*.bin"))
	if err != nil || len(files) != 2 {
		t.Fatalf("kept runtimes: %v, %v", files, err)
	}
	now := hashing.Blake2b256(n.chain.Best().Runtime().Code())
	mine := filepath.Join(cfg.DataDir, runtimesDir, runtimeFile(now))
	i := slices.Index(files, mine)
	if i < 0 {
		t.Fatalf("%s is not among %v", mine, files)
	}
	other, err := os.ReadFile(files[1-i])
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"another code's": other, "damaged": []byte("damaged"), "empty": nil} {
		if err := os.WriteFile(mine, content, 0o600); err != nil {
			t.Fatal(err)
		}
		warned := watch.next("what was kept of a runtime cannot be used: its code is executed again")
		w = n.start(cfg)
		n.await(warned, "no warning of a file that is "+name)
		n.ready(w)
		n.sameState(honest, w)
		if err := w.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	w = n.start(cfg)
	n.ready(w)
	if out := n.invoke(s, alice, 1, call); !out.Succeeded() {
		t.Fatalf("%+v", out)
	}
	n.sameState(honest, w)
}
