package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// stopped stops a worker in the middle of a test.
func stopped(t *testing.T, w *Worker) {
	t.Helper()
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
}

// ends waits for a worker to end by itself and returns its error.
func (n *network) ends(w *Worker) error {
	n.t.Helper()
	n.await(w.Done(), "the worker did not end")
	return w.Wait()
}

// startFailing starts a worker that is to end with an error that has all the
// texts.
func (n *network) startFailing(cfg Config, texts ...string) {
	n.t.Helper()
	w, err := Start(n.ctx, cfg)
	if err == nil {
		err = n.ends(w)
	}
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			n.t.Errorf("got error %v, want one with %q", err, text)
		}
	}
}

// found is an event with its block.
type found struct {
	number header.Number
	metadata.EventRecord
}

// events returns the events of all blocks that have the name.
func (n *network) events(pallet, name string) (list []found) {
	n.t.Helper()
	node := parentchain.New(n.url, rpcclient.Options{})
	defer node.Close()
	head, err := node.FinalizedHeader(n.ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	for i := header.Number(1); i <= head.Number; i++ {
		hash, err := node.BlockHash(n.ctx, i)
		if err != nil {
			n.t.Fatal(err)
		}
		raw, _, err := node.Storage(n.ctx, hashing.StoragePrefix("System", "Events"), hash)
		if err != nil {
			n.t.Fatal(err)
		}
		events, err := n.chain.Block(i - 1).Runtime().Metadata.DecodeEvents(raw)
		if err != nil {
			n.t.Fatal(err)
		}
		for _, e := range events {
			if e.Pallet == pallet && e.Name == name {
				list = append(list, found{i, e})
			}
		}
	}
	return list
}

// confirmations counts how often each block was confirmed, by anybody or by one worker.
func (n *network) confirmations(by ...*Worker) map[header.Number]int {
	n.t.Helper()
	count := map[header.Number]int{}
	for _, e := range n.events("EnclaveBridge", "ProcessedParentchainBlock") {
		var p integritee.EventProcessedParentchainBlock
		if err := scale.Unmarshal(e.Data, &p); err != nil {
			n.t.Fatal(err)
		}
		if len(by) == 0 || n.signedBy(e, by[0]) {
			count[p.BlockNumber]++
		}
	}
	return count
}

// TestRestart stops a worker in order and starts it again: it goes on from
// its store, sends nothing twice, and needs no node to answer from its state.
func TestRestart(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	dir := t.TempDir()
	cfg := n.config("1", dir)
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 10*unit)
	n.invoke(s, alice, 0, sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), n.shard()))
	before := w.Status()
	stopped(t, w)
	if _, err := Start(n.ctx, Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}

	// Without a node the last state is served.
	offline := cfg
	offline.NodeURL = "ws://127.0.0.1:1"
	w, err := Start(n.ctx, offline)
	if err != nil {
		t.Fatal(err)
	}
	for w.core.Load() == nil {
		if w.err != nil || n.ctx.Err() != nil {
			t.Fatalf("no state is served: %+v", w.Status())
		}
		time.Sleep(time.Millisecond) // there is no event for "loaded"
	}
	if got := w.Status(); got.Number < before.Number || got.Number == before.Number && got.StateRoot != before.StateRoot {
		t.Errorf("before %+v, after the restart %+v", before, got)
	}
	stopped(t, w)

	// Two processes cannot share the folder.
	w = n.start(cfg)
	if _, err := Start(n.ctx, cfg); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second worker in the folder: %v", err)
	}
	n.ready(w)
	s = n.session(w)
	n.invoke(s, alice, 1, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit)))
	for number, times := range n.confirmations() {
		if times != 1 {
			t.Errorf("block %d was confirmed %d times", number, times)
		}
	}
	if paid := n.events("EnclaveBridge", "UnshieldedFunds"); len(paid) != 1 {
		t.Errorf("%d payouts instead of one", len(paid))
	}
}

// TestTwoFirst starts three workers at once on a new shard: one of them makes
// the keys, the others obtain them.
func TestTwoFirst(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	var workers []*Worker
	for _, name := range []string{"1", "2", "3"} {
		workers = append(workers, n.start(n.config(name, t.TempDir())))
	}
	for _, w := range workers {
		n.ready(w)
	}
	n.shield(n.session(workers[1]), alice.AccountID(), unit)
	for _, w := range workers[1:] {
		n.sameState(workers[0], w)
		if n.keysOf(w) != n.keysOf(workers[0]) {
			t.Error("the workers have different keys")
		}
	}
}

// TestKeysLost deletes the key material of the only worker of a shard.
func TestKeysLost(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	dir := t.TempDir()
	w := n.start(n.config("1", dir))
	n.ready(w)
	stopped(t, w)
	if err := os.Remove(filepath.Join(dir, materialFile)); err != nil {
		t.Fatal(err)
	}
	n.startFailing(n.config("1", dir), "key material", "is gone", "choose another shard", "were published in block")
}

// TestRejoin deletes key material and state of one of two workers: it obtains
// the keys again and rebuilds the state.
func TestRejoin(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	first, dir := n.start(n.config("1", t.TempDir())), t.TempDir()
	n.ready(first)
	cfg := n.config("2", dir)
	second := n.start(cfg)
	n.ready(second)
	n.shield(n.session(second), alice.AccountID(), unit)
	stopped(t, second)
	if err := os.Remove(filepath.Join(dir, materialFile)); err != nil {
		t.Fatal(err)
	}
	cfg.CleanReset = true
	second = n.start(cfg)
	n.ready(second)
	n.sameState(first, second)
}

// TestNoPeer has a worker that is not the first and whose peers are down: it
// must wait, and must not make keys of its own.
func TestNoPeer(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	dir1, dir2 := t.TempDir(), t.TempDir()
	cfg := n.config("1", dir1)
	first := n.start(cfg)
	n.ready(first)
	n.shield(n.session(first), alice.AccountID(), unit)
	url := first.TrustedURL()
	stopped(t, first)

	cfg2 := n.config("2", dir2)
	watch := &logWatch{Handler: cfg2.Logger.Handler()}
	cfg2.Logger = slogOf(watch)
	trouble := watch.next("trouble, will retry")
	second := n.start(cfg2)
	n.await(trouble, "the second worker sees no trouble")
	for !strings.Contains(second.Status().Health, "no worker of the shard gave its keys") {
		if n.ctx.Err() != nil {
			t.Fatalf("health: %+v", second.Status())
		}
		n.await(watch.next("trouble, will retry"), "no further trouble")
	}
	if exists(filepath.Join(dir2, materialFile)) {
		t.Error("the second worker made keys of its own")
	}
	cfg.TrustedAddr = strings.TrimPrefix(url, "wss://")
	first = n.start(cfg)
	n.ready(second)
	n.sameState(first, second)
}

// TestForeignShard has somebody register another program and configure our
// shard for it.
func TestForeignShard(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	bob, url := pair("//Bob"), []byte("wss://127.0.0.1:1")
	n.send(bob, 0, "Teerex", "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{
		Proof: bytes.Repeat([]byte{7}, 32), WorkerURL: &url, Method: integritee.SkipAttestation()})
	n.send(bob, 1, "EnclaveBridge", "update_shard_config", integritee.UpdateShardConfigArgs{
		Shard: n.shard(), Config: integritee.ShardConfig{EnclaveFingerprint: integritee.Fingerprint(bytes.Repeat([]byte{7}, 32))}})
	n.startFailing(n.config("ours", t.TempDir()), "configured on chain for the program", "another shard")
}

// TestOwnShard serves a shard whose id is not the measurement.
func TestOwnShard(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	n.id = integritee.ShardID{1, 2, 3}
	cfg := n.config("1", t.TempDir())
	cfg.Shard = n.id
	first := n.start(cfg)
	n.ready(first)
	n.shield(n.session(first), alice.AccountID(), unit)
	cfg = n.config("2", t.TempDir())
	cfg.Shard = n.id
	second := n.start(cfg)
	n.ready(second)
	n.sameState(first, second)
}

// TestDevGenesis keeps the constant true.
func TestDevGenesis(t *testing.T) {
	if got := devchain.GenesisHash(); got != devGenesis {
		t.Errorf("the dev chain's genesis is %s, the worker believes %s", got, devGenesis)
	}
}

// TestWithoutDev gives a worker a trust config in a file; nobody but its
// operator pays.
func TestWithoutDev(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.Dev, cfg.TrustConfig = false, filepath.Join(t.TempDir(), "trust.json")
	trust := enclave.DevTrustConfig(n.chain.Genesis(), n.shard(), n.app.Name())
	write := func(t enclave.TrustConfig, extra string) {
		b, err := json.Marshal(t)
		if err == nil {
			err = os.WriteFile(cfg.TrustConfig, append(b[:len(b)-1], extra+"}"...), 0o600)
		}
		if err != nil {
			n.t.Fatal(err)
		}
	}
	write(trust, `,"unknown":1`)
	n.startFailing(cfg, "unknown")
	production := trust
	production.Class = enclave.Production
	write(production, "")
	n.startFailing(cfg, "production")
	otherApp := trust
	otherApp.App = "other"
	write(otherApp, "")
	n.startFailing(cfg, "other")

	write(trust, "")
	watch := &logWatch{Handler: cfg.Logger.Handler()}
	cfg.Logger = slogOf(watch)
	trouble := watch.next("trouble, will retry")
	w := n.start(cfg)
	n.await(trouble, "the worker misses nothing")
	if s := w.Status(); s.HealthCode != "funding" || !strings.Contains(s.Health, "lacks") {
		t.Errorf("health: %s, %s", s.HealthCode, s.Health)
	}
	n.send(alice, 0, "Balances", "transfer_allow_death", struct {
		To     keyring.MultiAddress
		Amount scale.CompactU128
	}{keyring.AddressOf(w.account.AccountID()), scale.CompactU128{Lo: 100 * unit}})
	n.ready(w)
	stopped(t, w)
	// Another trust config for the same folder.
	trust.Upgrade = enclave.UpgradeKeys{Threshold: 1, Keys: []keyring.AccountID{alice.AccountID()}}
	write(trust, "")
	n.startFailing(cfg, "belongs to shard")
}

// TestOperatorLock has somebody keep the worker from starting.
func TestOperatorLock(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, operatorLock), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	watch := &logWatch{Handler: testLog(t).Handler()}
	waits := watch.next("worker.lock keeps this worker from starting: remove it to go on")
	done := make(chan error, 1)
	go func() {
		_, err := Start(ctx, Config{App: sampleApp(t), DataDir: dir, NodeURL: "ws://127.0.0.1:1", Dev: true, SkipRA: true, Logger: slogOf(watch)})
		done <- err
	}()
	<-waits
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if exists(filepath.Join(dir, accountFile)) {
		t.Error("something was done all the same")
	}
}

// TestOtherChain connects a data folder to a chain with another genesis.
func TestOtherChain(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	dir := t.TempDir()
	w := n.start(n.config("1", dir))
	n.ready(w)
	stopped(t, w)
	other := newNetwork(t, devchain.Config{Endow: map[[32]byte]scale.U128{{9}: {Lo: unit}}})
	cfg := other.config("1", dir)
	watch := &logWatch{Handler: cfg.Logger.Handler()}
	cfg.Logger = slogOf(watch)
	trouble := watch.next("trouble, will retry")
	w = other.start(cfg)
	other.await(trouble, "nothing was noticed")
	if s := w.Status(); s.HealthCode != "chain-other" || !strings.Contains(s.Health, "genesis") {
		t.Errorf("health: %s, %s", s.HealthCode, s.Health)
	}
	stops := watch.next("worker stops")
	stopped(t, w)
	select {
	case <-stops:
	default:
		t.Error("it does not say that it stops")
	}
	// The state is forgotten on request, the keys of the other shard stay and
	// are not used for this one.
	cfg.CleanReset = true
	other.startFailing(cfg, "holds the keys of another shard or chain")
}

// TestChainBeganAnew has a worker with its keys on a chain with the same block
// 0 that knows nothing of the shard, as after a development chain in memory
// was restarted: the worker creates the shard with the keys that it has, and
// others can join.
func TestChainBeganAnew(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	n.id = integritee.ShardID{1, 2, 3}
	dir := t.TempDir()
	cfg := n.config("1", dir)
	cfg.Shard = n.id
	w := n.start(cfg)
	n.ready(w)
	key, err := n.session(w).Worker.ShieldingKey(n.ctx)
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, w)

	anew := newNetwork(t, devchain.Config{})
	anew.id = n.id
	cfg = anew.config("1", dir)
	cfg.Shard, cfg.CleanReset = n.id, true
	w = anew.start(cfg)
	anew.ready(w)
	s := anew.session(w)
	if again, err := s.Worker.ShieldingKey(anew.ctx); err != nil || !reflect.DeepEqual(key, again) {
		t.Errorf("the worker has another key than before (%v)", err)
	}
	if c, err := s.Chain.ShardConfig(anew.ctx, n.id); err != nil || c == nil {
		t.Errorf("the shard was not created again: %v, %v", c, err)
	}
	if list := anew.claims(); !slices.Equal(list, []hashing.Hash{anew.keysOf(w)}) {
		t.Errorf("published: %v", list)
	}
	anew.shield(s, alice.AccountID(), unit)
	cfg = anew.config("2", t.TempDir())
	cfg.Shard = n.id
	second := anew.start(cfg)
	anew.ready(second)
	anew.sameState(w, second)
}

// TestOtherKeys has a worker whose sealed keys are not the shard's.
func TestOtherKeys(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	first := n.start(n.config("1", t.TempDir()))
	n.ready(first)
	dir := t.TempDir()
	second := n.start(n.config("2", dir))
	n.ready(second)
	stopped(t, second)
	wrong, err := newKeys(second.trustHash)
	if err != nil {
		t.Fatal(err)
	}
	wrong.status = keysConfirmed
	if err := saveKeys(second.dir, second.platform, wrong); err != nil {
		t.Fatal(err)
	}
	cfg := n.config("2", dir)
	cfg.CleanReset = true
	n.startFailing(cfg, "are not those of shard")
}

// TestLostExtrinsics has a node that takes extrinsics and forgets them: the
// worker hands them over again, and makes new ones once their era is over.
func TestLostExtrinsics(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL, cfg.resubmit = p.url, 10*time.Millisecond
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)

	// forget makes the node forget what it gets the first times, and tells
	// what it was.
	forget := func(which func(nth int, first bool) bool) func() []string {
		var mu sync.Mutex
		var seen []string
		f := func(method string, params json.RawMessage) any {
			if method != "author_submitExtrinsic" {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			first := !slices.Contains(seen, string(params))
			seen = append(seen, string(params))
			if !which(len(seen), first) {
				return nil
			}
			return hashing.Hash{}.String()
		}
		p.swallow.Store(&f)
		return func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(seen) }
	}
	seen := forget(func(nth int, _ bool) bool { return nth <= 3 })
	n.shield(s, alice.AccountID(), unit) // waits for the confirmation
	if got := slices.Compact(seen()); len(got) != 1 {
		t.Errorf("%d different extrinsics instead of the same one again", len(got))
	}

	var lost string
	seen = forget(func(nth int, first bool) bool { return nth == 1 || !first })
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.shield(s, alice.AccountID(), unit)
	}()
	// The chain goes on beyond the era of what was lost.
	bob := pair("//Bob")
	for i := 0; ; i++ {
		select {
		case <-done:
			p.swallow.Store(nil)
			if all := seen(); len(all) > 0 {
				lost = all[0]
			}
			if !slices.ContainsFunc(seen(), func(s string) bool { return s != lost }) {
				t.Error("no new extrinsic was made")
			}
			return
		default:
		}
		if i < 2*eraPeriod {
			_, block := w.published.read()
			n.transfer(bob, uint32(i))
			n.await(block, "no block came")
		}
		if n.ctx.Err() != nil {
			t.Fatalf("%+v", w.Status())
		}
	}
}

// transfer makes a block with a transfer in it.
func (n *network) transfer(from *keyring.Pair, nonce uint32) {
	n.t.Helper()
	n.send(from, nonce, "Balances", "transfer_allow_death", struct {
		To     keyring.MultiAddress
		Amount scale.CompactU128
	}{keyring.AddressOf(ferdie.AccountID()), scale.CompactU128{Lo: unit / 1000}})
}

// send puts an immortal extrinsic into the chain's pool.
func (n *network) send(from *keyring.Pair, nonce uint32, pallet, name string, args any) {
	n.t.Helper()
	rt := n.chain.Best().Runtime()
	call, err := encodeCall(rt.Metadata, pallet, name, args)
	if err != nil {
		n.t.Fatal(err)
	}
	raw, err := extrinsic.SignV4(call, from, extrinsic.SignParams{Meta: rt.Metadata, Genesis: n.chain.Genesis(), SpecVersion: rt.Version.SpecVersion,
		TxVersion: rt.Version.TransactionVersion, Nonce: nonce})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.chain.Submit(raw); err != nil {
		n.t.Fatal(err)
	}
}
