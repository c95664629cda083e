package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/parentchain"
)

// endpoints returns the configuration of a worker with several nodes, and what
// it will log.
func (n *network) endpoints(dir string, urls ...string) (Config, *lockedText) {
	n.t.Helper()
	cfg := n.config("", filepath.Join(dir, "data"))
	cfg.NodeURL = strings.Join(urls, ",")
	cfg.endpoints = parentchain.Options{Stale: 300 * time.Millisecond, Compare: 50 * time.Millisecond}
	cfg.endpoints.RPC.CallTimeout = time.Second
	cfg.finalityPoll = 10 * time.Millisecond
	// With --dev alone the first node would say which chain is meant.
	cfg.TrustConfig = filepath.Join(dir, "trust.json")
	b, err := json.Marshal(enclave.DevTrustConfig(n.chain.Genesis(), n.shard(), n.app.Name()))
	if err == nil {
		err = os.WriteFile(cfg.TrustConfig, b, 0o600)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	log := new(lockedText)
	cfg.Logger = slogText(log)
	return cfg, log
}

// TestEndpoints gives a worker two nodes of which one is bad, in either order:
// it gets to the honest one, executes and confirms with it, and says whom it
// left and why.
func TestEndpoints(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	other := newNetwork(t, devchain.Config{Authorities: 2})
	fork := newNetwork(t, devchain.Config{Manual: true})
	first := n.start(n.config("first", t.TempDir()))
	n.ready(first)
	n.shield(n.session(first), alice.AccountID(), 100*unit)
	nonce := uint32(0)
	dirs := map[string]string{"first": t.TempDir(), "second": t.TempDir()} // a shard has ten signers

	only := func(method string, lie func(json.RawMessage) json.RawMessage) func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool) {
		return func(m string, _, result json.RawMessage) (json.RawMessage, bool) {
			if m != method {
				return result, true
			}
			return lie(result), true
		}
	}
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	old, err := json.Marshal(n.chain.Block(1).Hash)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, upstream, reason string
		lie                    func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool)
	}{
		{"lying", n.url, "proof", only("state_getReadProof", flip)},
		{"stale", n.url, "stays behind", only("chain_getFinalizedHead", func(json.RawMessage) json.RawMessage { return old })},
		{"withholding blocks", n.url, "not found", only("chain_getBlock", func(json.RawMessage) json.RawMessage { return json.RawMessage(`null`) })},
		{"stalled", n.url, "deadline", func(m string, _, r json.RawMessage) (json.RawMessage, bool) {
			if m == "chain_getBlock" {
				<-hang
			}
			return r, true
		}},
		{"of another chain", other.url, "genesis", nil},
		{"of another fork", fork.url, "same block 0", nil},
		{"dead", "ws://127.0.0.1:1", "", nil},
	} {
		for _, order := range []string{"first", "second"} {
			if test.upstream == fork.url {
				if order == "first" {
					continue // a fork that its authorities finalized is as good as any, at first
				}
				for fork.chain.Best().Number() <= n.chain.Best().Number()+5 {
					if _, err := fork.chain.Seal(fork.ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
			t.Run(test.name+" "+order, func(t *testing.T) {
				bad, good := newProxy(t, test.upstream), newProxy(t, n.url)
				bad.tell(test.lie)
				cfg, log := n.endpoints(dirs[order], bad.url, good.url)
				if order == "second" {
					cfg, log = n.endpoints(dirs[order], good.url, bad.url)
				}
				w, err := Start(n.ctx, cfg)
				if err != nil {
					t.Fatal(err)
				}
				n.ready(w)
				if order == "second" { // the good one fails for a moment, and the bad one gets a turn
					w.node.Leave(w.node.Turn(), errSyncing)
				}
				s := n.session(w)
				if out := n.invoke(s, alice, nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit/10))); !out.Succeeded() {
					t.Errorf("got %+v", out)
				}
				nonce++
				n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
				n.sameState(first, w)
				n.until(w, "not left for "+test.reason, func() bool {
					for line := range strings.Lines(log.String()) {
						// Of a running worker any part may notice it first.
						if strings.Contains(line, "left an endpoint") && strings.Contains(line, "endpoint="+bad.url) && (order == "second" || strings.Contains(line, test.reason)) {
							return true
						}
					}
					return false
				})
				stopped(t, w)
			})
		}
	}
}

// TestEndpointsComeAndGo kills the active node again and again; the worker goes
// on with the other, in the end without any, and when one is back.
func TestEndpointsComeAndGo(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	a, b := newProxy(t, n.url), newProxy(t, n.url)
	cfg, log := n.endpoints(t.TempDir(), a.url, b.url)
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 10*unit)
	dead := func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool) { return nil, false }
	transfer := sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit/10))
	for nonce, down := range []*proxy{a, b, a} {
		a.tell(nil)
		b.tell(nil)
		down.tell(dead)
		if out := n.invoke(s, alice, uint32(nonce), transfer); !out.Succeeded() {
			t.Fatalf("call %d: %+v", nonce, out)
		}
		n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
	}
	a.tell(dead)
	b.tell(dead)
	before := w.Status().Number
	n.batch(n.invocation(s, 3, transfer))
	n.until(w, "it does not notice", func() bool { return w.Status().HealthCode == "chain-unreachable" })
	if got := w.Status().Number; got > before {
		t.Errorf("block %d without a node", got)
	}
	b.tell(nil)
	n.until(w, "it does not come back", func() bool {
		return w.Status().HealthCode == "ok" && w.Status().Number > before && w.Status().Pending == 0
	})
	if got := n.balances(s, alice); got.nonce != 4 {
		t.Errorf("nonce %d after 4 calls", got.nonce)
	}
	if text := log.String(); !strings.Contains(text, "endpoint="+a.url) || !strings.Contains(text, "endpoint="+b.url) {
		t.Errorf("log: %s", text)
	}
}
