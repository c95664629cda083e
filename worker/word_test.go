package worker

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/stf"
)

// newNodeWithoutProofs stands before the dev chain like a node that proves
// nothing, as chopsticks: it has no read proofs, no finality proofs and no
// justifications. asked counts the proofs that were asked for.
func newNodeWithoutProofs(t *testing.T, n *network) (p *proxy, asked *atomic.Int64) {
	p, asked = newProxy(t, n.url), new(atomic.Int64)
	p.tell(func(method string, _, result json.RawMessage) (json.RawMessage, bool) {
		switch method {
		case "state_getReadProof", "grandpa_proveFinality":
			asked.Add(1)
			return json.RawMessage("null"), true
		case "chain_getBlock":
			var block map[string]json.RawMessage
			if json.Unmarshal(result, &block) == nil && block != nil {
				block["justifications"] = json.RawMessage("null")
				result, _ = json.Marshal(block)
			}
		}
		return result, true
	})
	return p, asked
}

// TestNodeWithoutProofs has the whole story beside a node that proves nothing:
// with the flag all of it, without nothing.
func TestNodeWithoutProofs(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	p, asked := newNodeWithoutProofs(t, n)
	cfg := n.config("believes", t.TempDir())
	cfg.NodeURL, cfg.InsecureTrustParentchainRPC = p.url, true
	log := new(lockedText)
	cfg.Logger = slogText(log)
	w, err := Start(n.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	if out := n.invoke(s, alice, 0, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(7*unit))); !out.Succeeded() {
		t.Errorf("transfer: %+v", out)
	}
	if out := n.invoke(s, alice, 1, sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), n.shard())); !out.Succeeded() {
		t.Errorf("unshield: %+v", out)
	}
	n.until(w, "the payout is made", func() bool { return w.Status().Pending == 0 && len(n.events("EnclaveBridge", "UnshieldedFunds")) == 1 })
	if b := n.balances(s, ferdie); b.free != (stf.Balance{Lo: 7 * unit}) {
		t.Errorf("balance %v", b.free)
	}
	if st := w.Status(); len(st.Insecure) != 1 || !strings.Contains(st.Insecure[0], "proves nothing") {
		t.Errorf("status says %q", st.Insecure)
	}
	if text := log.String(); !strings.Contains(text, insecureRPC) {
		t.Error("the log does not say that nothing is proven")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d proofs were asked for", n)
	}
	before := w.Status()
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}

	// The folder goes on as it is, and neither kind goes on as the other.
	w = n.start(cfg)
	n.ready(w)
	if after := w.Status(); after.Number < before.Number {
		t.Errorf("it was at block %d, and is at %d", before.Number, after.Number)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	proven := cfg
	proven.InsecureTrustParentchainRPC, proven.NodeURL = false, n.url
	n.startFailing(proven, "took the parentchain node's word", "--clean-reset")
	other := n.config("proves", t.TempDir())
	pw, err := Start(n.ctx, other)
	if err != nil {
		t.Fatal(err)
	}
	n.until(pw, "the trust config is stored", func() bool { return exists(filepath.Join(other.DataDir, chainDir, trustFile)) })
	if err := pw.Stop(); err != nil {
		t.Fatal(err)
	}
	other.InsecureTrustParentchainRPC = true
	n.startFailing(other, "whose parentchain is proven", "--clean-reset")

	// Without the flag, such a node is of no use, and the worker says why.
	strict := n.config("wants proofs", t.TempDir())
	strict.NodeURL = p.url
	sw := n.start(strict)
	n.until(sw, "the trouble shows", func() bool { return strings.HasPrefix(sw.Status().HealthCode, "chain") })
	if st := sw.Status(); st.Number != 0 || st.Health == "ok" || asked.Load() == 0 || len(st.Insecure) != 0 {
		t.Errorf("%+v, %d proofs asked for", st, asked.Load())
	}
}

func TestInsecureWordIsForDevelopmentOnly(t *testing.T) {
	app, err := sample.New()
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"run --skip-ra --trust-config x --insecure-trust-parentchain-rpc":                                      "needs --dev",
		"run --dev --insecure-trust-parentchain-rpc":                                                           "--skip-ra",
		"run --dev --skip-ra --insecure-trust-parentchain-rpc --parentchain para --relay-url ws://127.0.0.1:9": "do not go with it",
		"-u ws://127.0.0.1:1,ws://127.0.0.1:2 run --dev --skip-ra --insecure-trust-parentchain-rpc":            "believes one node",
	} {
		var stdout, stderr bytes.Buffer
		code := Main(app, append([]string{"-d", t.TempDir()}, strings.Fields(line)...), &stdout, &stderr)
		if code != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit %d, %s", line, code, &stderr)
		}
	}

	// It is part of the trust config, hence of the hash in every report data.
	n := newNetwork(t, devchain.Config{})
	proven := enclave.DevTrustConfig(n.chain.Genesis(), n.shard(), n.app.Name())
	word := proven
	word.Insecure = enclave.TrustParentchainRPC
	if err := word.Check(); err != nil {
		t.Error(err)
	}
	if word.Hash() == proven.Hash() {
		t.Error("the flag is not in the hash")
	}
	production := word
	production.Class = enclave.Production
	if err := production.Check(); err == nil {
		t.Error("a production shard may take a node's word")
	}
}
