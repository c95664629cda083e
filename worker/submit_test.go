package worker

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/sim"
)

// until waits until a condition holds that a commit or a look at pending
// effects brings about.
func (n *network) until(w *Worker, what string, holds func() bool) {
	n.t.Helper()
	for !holds() {
		_, changed := w.published.read()
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond): // health changes without a commit
		case <-n.ctx.Done():
			n.t.Fatalf("%s: %+v", what, w.Status())
		}
	}
}

// tick makes blocks until a condition holds, each once the worker has the one
// before: one that is far behind sends nothing.
func (n *network) tick(w *Worker, what string, holds func() bool) {
	n.t.Helper()
	bob := pair("//Bob")
	for i := 0; !holds(); i++ {
		if i > 2*maxBackoffBlocks || n.ctx.Err() != nil {
			n.t.Fatalf("%s: %+v", what, w.Status())
		}
		before := w.Status().Number
		n.transfer(bob, n.nextIndex(bob.AccountID()))
		n.until(w, "no block", func() bool { return w.Status().Number > before })
	}
}

// pay sends free balance to an account, as an own extrinsic of the test.
func (n *network) pay(from *keyring.Pair, nonce uint32, to keyring.AccountID, amount uint64) {
	n.t.Helper()
	n.send(from, nonce, "Balances", "transfer_allow_death", struct {
		To     keyring.MultiAddress
		Amount scale.CompactU128
	}{keyring.AddressOf(to), scale.CompactU128{Lo: amount}})
}

// squat registers so many strangers with our fingerprint, who then confirm a
// block, which makes them signers of our shard.
func (n *network) squat(first, count int) []keyring.AccountID {
	n.t.Helper()
	m := sim.Measurement(n.app.Name())
	url := []byte("wss://127.0.0.1:1")
	var all []keyring.AccountID
	for i := range count {
		x := pair(fmt.Sprintf("//Squatter%d", first+i))
		n.pay(pair("//Charlie"), uint32(first+i), x.AccountID(), unit)
		n.untilExists(x.AccountID())
		n.send(x, 0, "Teerex", "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{Proof: m[:], WorkerURL: &url, Method: integritee.SkipAttestation()})
		n.send(x, 1, "EnclaveBridge", "confirm_processed_parentchain_block", integritee.ConfirmArgs{Shard: n.shard(), BlockHash: hashing.Hash{1}, BlockNumber: 1})
		all = append(all, x.AccountID())
	}
	return all
}

// untilExists waits until an account exists, so that the pool takes its extrinsics.
func (n *network) untilExists(who keyring.AccountID) {
	n.t.Helper()
	node := parentchain.New(n.url, rpcclient.Options{})
	defer node.Close()
	for {
		_, exists, err := node.Storage(n.ctx, accountKey(who), hashing.Hash{})
		switch {
		case err != nil:
			n.t.Fatal(err)
		case exists:
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestNothingTwice confirms every block of a chain that makes one for each
// extrinsic, so that new blocks come while effects are being sent.
func TestNothingTwice(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.ConfirmAll = true
	w := n.start(cfg)
	n.ready(w)
	const blocks = 400
	for w.Status().Number < blocks {
		_, changed := w.published.read()
		n.await(changed, "the chain stands still")
	}
	for number, times := range n.confirmations() {
		if times != 1 {
			t.Errorf("block %d was confirmed %d times", number, times)
		}
	}
}

// TestRoundOfOneBlock has a submitter see an old block's pending effects when
// the chain has already gone on and proves the nonce used up: the effect is on
// its way, and must not be sent again.
func TestRoundOfOneBlock(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	s := n.session(w)
	n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
	var old published
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		for len(old.pending) == 0 && n.ctx.Err() == nil {
			p, changed := w.published.read()
			if old = p; len(old.pending) > 0 {
				return
			}
			select {
			case <-changed:
			case <-n.ctx.Done():
			}
		}
	}()
	n.shield(s, alice.AccountID(), unit)
	n.await(seen, "nothing was pending")
	n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })

	at, ok := w.chain.find(old.hash)
	if !ok {
		t.Fatal("the old block is forgotten")
	}
	again := &Worker{cfg: w.cfg, log: w.log, account: w.account, shard: w.shard, node: w.node, chain: w.chain, runtimes: w.runtimes,
		sender: w.sender, health: newHealth(w.log), published: newBoard()}
	again.registrar = newRegistrar(again)
	old.head = old.number
	again.published.update(func(p *published) { *p = old })
	sub := newSubmitter(again)
	sub.started, sub.nextFunds, sub.nextLook = true, old.number+1, old.number+1
	info, _, err := sub.standing(n.ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	sub.inFlight[info.Nonce] = &attempt{signed: &signed{nonce: info.Nonce, death: old.number + eraPeriod, spec: n.chain.Best().Runtime().Version.SpecVersion}, effect: &old.pending[0].ID, sent: time.Now()}
	before := n.nextIndex(w.account.AccountID())
	if err := sub.round(n.ctx); err != nil {
		t.Fatal(err)
	}
	if after := n.nextIndex(w.account.AccountID()); after != before {
		t.Errorf("what is on its way was sent again: nonce %d, then %d", before, after)
	}
}

// TestFailedPayout pays somebody less than may exist on the parentchain: the
// extrinsic fails in a block, later confirmations do not wait for it, and it is
// paid once the account exists.
func TestFailedPayout(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	watch := &logWatch{Handler: cfg.Logger.Handler()}
	cfg.Logger = slogOf(watch)
	failed := watch.next("own extrinsic had no effect")
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	poor := keyring.AccountID{1, 9}
	n.invoke(s, alice, 0, sample.BalanceUnshield(alice.AccountID(), poor, amount(1000), n.shard()))
	n.await(failed, "the payout did not fail")
	n.invoke(s, alice, 1, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))) // waits for the confirmation
	if got := n.events("EnclaveBridge", "UnshieldedFunds"); len(got) != 0 {
		t.Fatalf("paid all the same: %+v", got)
	}
	bob := pair("//Bob")
	n.pay(bob, 0, poor, unit)
	n.tick(w, "the payout stays pending", func() bool { return w.Status().Pending == 0 })
	if got := n.events("EnclaveBridge", "UnshieldedFunds"); len(got) != 1 {
		t.Errorf("paid %d times", len(got))
	}
}

// TestRetriesLeaveRoom: payouts that have failed before take half of what may be
// on its way, and others the rest.
func TestRetriesLeaveRoom(t *testing.T) {
	n := newNetwork(t, devchain.Config{Manual: true})
	w := n.start(n.config("1", t.TempDir()))
	for ready := false; !ready; {
		if _, err := n.chain.Seal(n.ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case <-w.Ready():
			ready = true
		case <-time.After(10 * time.Millisecond): // what it does next needs a block
		}
	}
	var p published
	for i := range uint32(2 * maxInFlight) {
		e := enclave.Effect{ID: enclave.EffectID{Block: 1, Index: i}, Payout: &enclave.Payout{Beneficiary: ferdie.AccountID(), CallHash: hashing.Hash{byte(i)}}}
		if i < maxInFlight {
			e.Attempts = 1
		}
		p.pending = append(p.pending, e)
	}
	s := newSubmitter(w)
	at, ok := w.chain.latest()
	if !ok {
		t.Fatal("no block")
	}
	if _, err := n.chain.Seal(n.ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.chain.waitPast(n.ctx, at.header.Number); err != nil {
		t.Fatal(err)
	}
	if err := s.send(n.ctx, p, at, n.nextIndex(w.account.AccountID())); err != nil {
		t.Fatal(err)
	}
	again := 0
	for _, a := range s.inFlight {
		// Not at a later block, which might be of another chain than the effects are.
		if a.death != at.header.Number+eraPeriod {
			t.Errorf("signed at another block than %d: dead at %d", at.header.Number, a.death)
		}
		if a.effect.Index < maxInFlight {
			again++
		}
	}
	if again != maxRetrying || len(s.inFlight) != maxInFlight {
		t.Errorf("%d are tried again, %d are on their way", again, len(s.inFlight))
	}
}

// TestPause checks how long failures make an effect wait.
func TestPause(t *testing.T) {
	for failures, want := range map[uint32]header.Number{1: 2, 2: 4, 6: 64, 10: 1024, 11: maxBackoffBlocks, 12: maxBackoffBlocks, 1 << 31: maxBackoffBlocks} {
		if got := pauseAfter(failures); got != want {
			t.Errorf("%d failures: %d blocks, want %d", failures, got, want)
		}
	}
}

// TestEleventh fills the shard with other signers while a confirmation of ours
// is on its way: it fails, the worker says why and pays for no more until there
// is room, and then confirms in block order.
func TestEleventh(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	first := n.start(n.config("1", t.TempDir()))
	n.ready(first)
	p := newProxy(t, n.url)
	cfg := n.config("11th", t.TempDir())
	cfg.NodeURL, cfg.ConfirmInterval = p.url, 1<<20
	w := n.start(cfg)
	n.ready(w)

	// The node holds back what the worker sends.
	var mu sync.Mutex
	var held [][]byte
	hold := func(method string, params json.RawMessage) any {
		if method != "author_submitExtrinsic" {
			return nil
		}
		var raw []hexBytes
		if err := json.Unmarshal(params, &raw); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.ContainsFunc(held, func(b []byte) bool { return string(b) == string(raw[0]) }) {
			held = append(held, raw[0])
		}
		return hashing.Hash{}
	}
	p.swallow.Store(&hold)
	s := n.session(first)
	n.shield(s, alice.AccountID(), unit)
	n.until(w, "nothing was sent", func() bool { mu.Lock(); defer mu.Unlock(); return len(held) > 0 })
	squatters := n.squat(0, 9)
	if _, err := n.chain.Submit(held[0]); err != nil {
		t.Fatal(err)
	}
	p.swallow.Store(nil)
	n.until(w, "no word of the signers", func() bool { return w.Status().HealthCode == "refused" })
	before := n.nonce(w)
	for range 5 {
		n.shield(s, alice.AccountID(), unit)
	}
	n.until(w, "not current", func() bool { return w.Status().Number == first.Status().Number })
	if got := n.nonce(w); got != before {
		t.Errorf("%d extrinsics that cannot succeed were paid for", got-before)
	}

	n.purge(squatters[0])
	n.tick(w, "still pending", func() bool { return w.Status().Pending == 0 })
	if h := w.Status().Health; h != "ok" {
		t.Errorf("health: %s", h)
	}
	var last header.Number
	count := 0
	for _, e := range n.events("EnclaveBridge", "ProcessedParentchainBlock") {
		if !n.signedBy(e, w) {
			continue
		}
		var c integritee.EventProcessedParentchainBlock
		if err := scale.Unmarshal(e.Data, &c); err != nil {
			t.Fatal(err)
		}
		if count++; c.BlockNumber <= last {
			t.Errorf("block %d was confirmed after %d", c.BlockNumber, last)
		}
		last = c.BlockNumber
	}
	if count < 6 {
		t.Errorf("%d confirmations", count)
	}
}

// hexBytes are bytes in JSON as 0x-prefixed hex.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(strings.TrimPrefix(string(text), "0x"))
	return err
}

// nonce returns the nonce of a worker's account on the parentchain.
func (n *network) nonce(w *Worker) uint32 {
	n.t.Helper()
	info, _, err := w.sender.account(n.ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	return info.Nonce
}

// nextIndex returns the nonce that the node expects of an account next.
func (n *network) nextIndex(who keyring.AccountID) uint32 {
	n.t.Helper()
	node := parentchain.New(n.url, rpcclient.Options{})
	defer node.Close()
	nonce, err := node.AccountNextIndex(n.ctx, who)
	if err != nil {
		n.t.Fatal(err)
	}
	return nonce
}

// purge removes a signer from the shard, by the dev chain's root.
func (n *network) purge(who keyring.AccountID) {
	n.t.Helper()
	index, _ := n.chain.Best().Runtime().Metadata.CallIndex("EnclaveBridge", "purge_enclave_from_shard_status")
	n.send(alice, n.nextIndex(alice.AccountID()), "Sudo", "sudo", struct {
		Index   [2]byte
		Shard   integritee.ShardID
		Subject keyring.AccountID
	}{index, n.shard(), who})
}

// signedBy reports whether an event comes from an extrinsic of a worker.
func (n *network) signedBy(e found, w *Worker) bool {
	n.t.Helper()
	hash, err := w.node.BlockHash(n.ctx, e.number)
	if err != nil {
		n.t.Fatal(err)
	}
	b, err := w.node.Block(n.ctx, hash)
	if err != nil {
		n.t.Fatal(err)
	}
	x, err := extrinsic.Decode(b.Extrinsics[e.Phase.Extrinsic], n.chain.Block(e.number-1).Runtime().Metadata)
	if err != nil {
		n.t.Fatal(err)
	}
	return x.Signed != nil && x.Signed.Signer != nil && *x.Signed.Signer == w.account.AccountID()
}
