package enclave

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// follower is a worker without disk, network and threads: a light client, a
// core, and whatever the core owes sent in each block.
type follower struct {
	t      *testing.T
	chain  *devchain.Chain
	client *lightclient.Client
	core   *Core
	who    *keyring.Pair
	sent   map[EffectID]header.Number // when
	alarms []Alarm
	last   *Commit
}

func follow(t *testing.T, chain *devchain.Chain, who *keyring.Pair) *follower {
	t.Helper()
	genesis := chain.Block(0)
	start, err := lightclient.VerifyStart(genesis.Hash, &genesis.Header, genesis.State.Prove(trie.V1, lightclient.StartKeys(0)...))
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, chain: chain, client: lightclient.New(start), who: who, sent: map[EffectID]header.Number{}}
	f.core, err = New(Config{
		App: testApp(), Trust: DevTrustConfig(genesis.Hash, testShard, sample.Name), Keys: testKeys(),
		Fingerprint: testFingerprint, Account: who.AccountID(),
	}, Start{genesis.Header, genesis.State.Prove(trie.V1, RequiredKeys(testShard, 0)...), f.client.State()})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.core.pretend(1, testRuntime().Metadata); err != nil {
		t.Fatal(err)
	}
	return f
}

// sync executes all blocks up to the chain's head.
func (f *follower) sync() {
	f.t.Helper()
	for n := f.core.View().Number() + 1; n <= f.chain.Best().Number(); n++ {
		b := f.chain.Block(n)
		final, err := f.client.Finalize([]header.Header{b.Header}, b.Justification)
		if err != nil {
			f.t.Fatal(err)
		}
		keys := f.core.RequiredKeys(n)
		events := hashing.StoragePrefix("System", "Events")
		v, err := final[0].Verify(trie.V0, b.Extrinsics, b.State.Prove(trie.V1, append([][]byte{events}, keys...)...), keys...)
		if err != nil {
			f.t.Fatal(err)
		}
		c, err := f.core.Execute(v)
		if err != nil {
			f.t.Fatal(err)
		}
		if err := f.core.Adopt(c); err != nil {
			f.t.Fatal(err)
		}
		if err := f.core.checkPayouts(); err != nil {
			f.t.Fatal(err)
		}
		f.alarms, f.last = append(f.alarms, c.Alarms...), c
	}
}

// send submits what is owed and was not sent in the last few blocks.
func (f *follower) send() {
	f.t.Helper()
	now := f.chain.Best().Number()
	nonce := nonceOf(f.t, f.chain, f.who)
	for _, e := range f.core.Pending() {
		if at, ok := f.sent[e.ID]; ok && now < at+5 {
			continue
		}
		call, err := e.Call(testRuntime().Metadata, testShard)
		if err != nil {
			f.t.Fatal(err)
		}
		submit(f.t, f.chain, f.who, call, nonce)
		nonce++
		f.sent[e.ID] = now
	}
}

func accountInfo(t *testing.T, chain *devchain.Chain, who keyring.AccountID) system.AccountInfo {
	t.Helper()
	info := system.AccountInfo{}
	key := hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("System", "Account"), who[:])
	if value, ok := chain.Best().State.Get(key); ok {
		if err := scale.Unmarshal(value, &info); err != nil {
			t.Fatal(err)
		}
	}
	return info
}

func nonceOf(t *testing.T, chain *devchain.Chain, who *keyring.Pair) uint32 {
	return accountInfo(t, chain, who.AccountID()).Nonce
}

func submit(t *testing.T, chain *devchain.Chain, who *keyring.Pair, call []byte, nonce uint32) {
	t.Helper()
	submitTip(t, chain, who, call, nonce, 0)
}

func submitTip(t *testing.T, chain *devchain.Chain, who *keyring.Pair, call []byte, nonce uint32, tip uint64) {
	t.Helper()
	raw, err := extrinsic.SignV4(call, who, extrinsic.SignParams{Meta: testRuntime().Metadata, Genesis: chain.Genesis(), SpecVersion: 1, TxVersion: 1, Nonce: nonce, Tip: amount(tip)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.Submit(raw); err != nil {
		t.Fatal(err)
	}
}

// TestOnTheDevChain runs two followers against the dev chain, whose events,
// fees and errors are those of real pallets, and compares everything in the
// end: private state, payouts made once, confirmations of both, nothing owed.
func TestOnTheDevChain(t *testing.T) {
	workers := []*keyring.Pair{pair(t, "//Worker1"), pair(t, "//Worker2")}
	endow := map[[32]byte]scale.U128{}
	for _, w := range workers {
		endow[w.AccountID()] = amount(100 * unit)
	}
	now := time.UnixMilli(1_700_000_000_000)
	chain, err := devchain.Open(devchain.Config{Manual: true, Endow: endow, Clock: func() time.Time { now = now.Add(6 * time.Second); return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	meta := testRuntime().Metadata
	kit := &world{t: t, meta: meta} // for its calls and envelopes
	var followers []*follower
	for _, w := range workers {
		followers = append(followers, follow(t, chain, w))
		submit(t, chain, w, kit.call(teerexPallet, "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{
			Proof: testFingerprint[:], Method: integritee.SkipAttestation()}), 0)
	}
	seal := func() {
		t.Helper()
		if _, err := chain.Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, f := range followers {
			f.sync()
			f.send()
		}
	}
	seal()

	payer, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		t.Fatal(err)
	}
	alice, bob, ferdie := pair(t, "//AliceIncognito"), pair(t, "//Bob"), pair(t, "//Nobody")
	id := alice.AccountID()
	nonce := uint32(0)
	send := func(call []byte) { submit(t, chain, payer, call, nonce); nonce++ }
	invoke := func(ct []byte) { send(invokeCall(kit, testShard, ct)) }
	shield := func(ct []byte, value uint64) {
		send(kit.call(bridgePallet, "shield_funds", integritee.ShieldFundsArgs{Shard: testShard, AccountEncrypted: ct, Amount: amount(value)}))
	}
	shield(kit.encrypt(id[:]), 20*unit)
	seal()
	for i := range uint32(6) {
		invoke(kit.unshield(alice, ferdie, unit, 2*i))
		invoke(kit.transfer(alice, bob, unit/2, 2*i+1))
		invoke(kit.transfer(alice, bob, unit/2, 2*i+1)) // again
		invoke([]byte(fmt.Sprint("garbage ", i)))
		seal()
	}
	shield([]byte("lost"), 3*unit)  // refunded
	shield(nil, 5_000_000*unit)     // more than she has: fails on the parentchain
	invoke(kit.encrypt([]byte{99})) // undecodable
	seal()
	for range 12 {
		seal()
	}

	var roots []hashing.Hash
	for i, f := range followers {
		if len(f.alarms) > 0 {
			t.Errorf("worker %d: alarms %v", i+1, f.alarms)
		}
		if left := f.core.Pending(); len(left) != 0 {
			t.Errorf("worker %d still owes %+v", i+1, left)
		}
		roots = append(roots, f.core.View().StateRoot())
	}
	if roots[0] != roots[1] {
		t.Errorf("roots %v", roots)
	}
	late := follow(t, chain, pair(t, "//Worker3"))
	late.sync()
	if got := late.core.View().StateRoot(); got != roots[0] {
		t.Errorf("a worker that came late has root %v, want %v", got, roots[0])
	}
	if len(late.core.Pending()) != 0 {
		t.Errorf("it owes %+v", late.core.Pending())
	}
	if got := accountInfo(t, chain, ferdie.AccountID()).Data.Free; got != amount(6*unit) {
		t.Errorf("ferdie was paid %v, want six times one unit", got)
	}
	// What is in the bonding account covers what is inside and the cost of the
	// refund.
	bond := accountInfo(t, chain, testShard.BondingAccount()).Data.Free
	if want := amount(20*unit - 6*unit + RefundCost); bond != want {
		t.Errorf("bonding account holds %v, want %v", bond, want)
	}
	view := followers[0].core.View()
	value, _, err := view.Getter(integritee.Request{Shard: testShard, Cyphertext: integritee.Getter{Public: sample.GetterTotalIssuance()}.AppendSCALE(nil)})
	var issuance stf.Balance
	if err != nil || scale.Unmarshal(value, &issuance) != nil {
		t.Fatal(err)
	}
	t.Logf("%d blocks, issuance %v, bonding account %v", view.Number(), issuance, bond)
	// Every block that names the shard was confirmed by both workers.
	for n := header.Number(2); n <= 9; n++ {
		var by []keyring.AccountID
		for m := n; m <= chain.Best().Number(); m++ {
			by = append(by, confirmedIn(t, chain, m, chain.Block(n).Hash)...)
		}
		slices.SortFunc(by, func(a, b keyring.AccountID) int { return slices.Compare(a[:], b[:]) })
		if len(slices.Compact(by)) != 2 {
			t.Errorf("block %d was confirmed by %v", n, by)
		}
	}
}

// confirmedIn returns who confirmed a block in another one.
func confirmedIn(t *testing.T, chain *devchain.Chain, n header.Number, hash hashing.Hash) (out []keyring.AccountID) {
	t.Helper()
	info, err := newRuntimeInfo(1, testRuntime().Metadata)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range chain.Block(n).Extrinsics {
		var x scanned
		if err := x.decode(raw, info); err != nil {
			t.Fatal(err)
		}
		for _, c := range x.calls.confirms {
			if c.BlockHash == hash {
				out = append(out, *x.signer)
			}
		}
	}
	return out
}
