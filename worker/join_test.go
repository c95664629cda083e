package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// TestKeysLostOldHead deletes the key material of the only worker of a shard,
// whose node then shows an old head: no new keys are made for the shard.
func TestKeysLostOldHead(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	dir := t.TempDir()
	w := n.start(n.config("1", dir))
	n.ready(w)
	n.shield(n.session(w), alice.AccountID(), unit)
	stopped(t, w) // before the core is looked at
	registered, ok := w.core.Load().Registered()
	if !ok {
		t.Fatal("not registered")
	}
	if err := os.Remove(filepath.Join(dir, materialFile)); err != nil {
		t.Fatal(err)
	}
	node := parentchain.New(n.url, rpcclient.Options{})
	defer node.Close()
	old, err := node.BlockHash(n.ctx, registered)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, n.url)
	syncing := func(method string, _ json.RawMessage) any {
		switch method {
		case "chain_getFinalizedHead":
			return old
		case "grandpa_proveFinality":
			return json.RawMessage("null") // blocks bring their own justifications
		case "author_submitExtrinsic":
			return old // it is taken and dropped
		}
		return nil
	}
	p.swallow.Store(&syncing)
	cfg := n.config("1", dir)
	cfg.NodeURL, cfg.CleanReset, cfg.TrustedURL = p.url, true, w.urls.trusted
	w, err = Start(n.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.until(w, "no trouble with the keys", func() bool { return w.Status().HealthCode == "keys" })
	if exists(filepath.Join(dir, materialFile)) {
		t.Error("new keys were made")
	}
	stopped(t, w)
	cfg.NodeURL = n.url
	n.startFailing(cfg, "is gone")
}

// TestSyncingNode has a node that says that it is syncing, or has no peers:
// nothing is made or sent before it is current.
func TestSyncingNode(t *testing.T) {
	for _, health := range []string{`{"isSyncing":true,"peers":5,"shouldHavePeers":true}`, `{"isSyncing":false,"peers":0,"shouldHavePeers":true}`} {
		n := newNetwork(t, devchain.Config{})
		p := newProxy(t, n.url)
		syncing := func(method string, _ json.RawMessage) any {
			if method == "system_health" {
				return json.RawMessage(health)
			}
			return nil
		}
		p.swallow.Store(&syncing)
		dir := t.TempDir()
		cfg := n.config("1", dir)
		cfg.NodeURL = p.url
		watch := &logWatch{Handler: cfg.Logger.Handler()}
		cfg.Logger = slogOf(watch)
		waits := watch.next("trouble, will retry")
		w := n.start(cfg)
		n.await(waits, "the worker does not wait")
		// A part that does not need a current node may be well in between.
		n.until(w, "no word of it", func() bool { return w.Status().HealthCode == "chain" })
		if exists(filepath.Join(dir, materialFile)) {
			t.Errorf("keys were made: %+v", w.Status())
		}
		p.swallow.Store(nil)
		n.ready(w)
	}
}

// TestPurgedShard removes the only signer of a shard: a fresh worker makes no
// keys for it. The first one comes back with its own, which it does not serve
// before it has compared them.
func TestPurgedShard(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	firstDir := t.TempDir()
	first := n.start(n.config("1", firstDir))
	n.ready(first)
	n.shield(n.session(first), alice.AccountID(), unit)
	n.until(first, "effects are left", func() bool { return first.Status().Pending == 0 })
	stopped(t, first)
	n.purge(first.account.AccountID())

	dir := t.TempDir()
	second := n.start(n.config("2", dir))
	n.until(second, "no trouble with the keys", func() bool { return second.Status().HealthCode == "keys" })
	if exists(filepath.Join(dir, materialFile)) {
		t.Error("new keys were made for a configured shard")
	}

	offline := n.config("1", firstDir)
	offline.NodeURL = "ws://127.0.0.1:1"
	first = n.start(offline)
	n.until(first, "no state is served", func() bool { return first.core.Load() != nil })
	if first.ring.Load() != nil {
		t.Error("keys are served before they were compared")
	}
}
