package worker

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// paraNetwork is a network whose chain is a parachain.
type paraNetwork struct {
	*network
	pair     *devchain.Pair
	relayURL string
}

// newParaNetwork starts both chains; each makes a block when there is
// something for it.
func newParaNetwork(t testing.TB, cfg devchain.PairConfig) *paraNetwork {
	t.Helper()
	pair, err := devchain.OpenPair(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := networkOf(t, pair.Para, pair)
	url, wait, err := devchain.Serve(n.ctx, pair.Relay, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.cancel(); wait() })
	return &paraNetwork{n, pair, url}
}

func (n *paraNetwork) config(name, dir string) Config {
	cfg := n.network.config(name, dir)
	cfg.Parentchain, cfg.RelayURL = Para, n.relayURL
	cfg.finalityPoll = 10 * time.Millisecond
	cfg.endpoints = parentchain.Options{Stale: 500 * time.Millisecond, Compare: 50 * time.Millisecond}
	return cfg
}

// health waits for a health code.
func (n *paraNetwork) health(w *Worker, code string) {
	n.t.Helper()
	for w.Status().HealthCode != code {
		select {
		case <-w.Done():
			n.t.Fatalf("waiting for %s, the worker ended: %v", code, w.Wait())
		case <-n.ctx.Done():
			n.t.Fatalf("waiting for %s: %+v", code, w.Status())
		case <-time.After(time.Millisecond): // there is no event for it
		}
	}
}

// fails waits for the end of a worker that cannot go on.
func (n *paraNetwork) fails(w *Worker) error {
	n.t.Helper()
	select {
	case <-w.Done():
	case <-n.ctx.Done():
		n.t.Fatalf("the worker did not end: %+v", w.Status())
	}
	err := w.Wait()
	if !isFatal(err) {
		n.t.Errorf("the worker ended with %v", err)
	}
	return err
}

// TestParachain: a worker on a parachain executes, confirms and pays as on any
// chain, through skipped heads, several blocks that become final at once,
// changes of the relay chain's authorities and a restart; and one that comes
// later arrives at the same state.
func TestParachain(t *testing.T) {
	n := newParaNetwork(t, devchain.PairConfig{Relay: devchain.Config{Authorities: 3}})
	cfg := n.config("1", t.TempDir())
	w, err := Start(n.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	transfer := sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))
	nonce := uint32(0)
	invoke := func(call []byte) {
		t.Helper()
		if out := n.invoke(s, alice, nonce, call); !out.Succeeded() {
			t.Fatalf("call %d: %+v", nonce, out)
		}
		nonce++
	}
	invoke(transfer)

	// Five blocks, each with a call, of which the relay chain includes the
	// last; meanwhile it makes blocks without any.
	n.pair.HoldInclusion(true)
	held := n.pair.Para.Best().Number() // what is best already may be included already
	for range 5 {
		best := n.pair.Para.Best().Number()
		n.batch(n.invocation(s, nonce, transfer))
		nonce++
		if _, err := n.pair.Para.Wait(n.ctx, best+1); err != nil {
			t.Fatal(err)
		}
		if _, err := n.pair.Relay.Seal(n.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if w.Status().Number > held {
		t.Errorf("block %d was executed, inclusion is held from %d on", w.Status().Number, held+1)
	}
	n.pair.HoldInclusion(false)
	invoke(transfer)

	// The authorities change while the worker runs, and while it does not.
	if err := n.pair.Relay.ScheduleAuthorities(0, 3, 4, 5); err != nil {
		t.Fatal(err)
	}
	invoke(sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), n.shard()))
	n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
	stopped(t, w)
	if err := n.pair.Relay.ScheduleAuthorities(0, 1, 2); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := n.pair.Seal(n.ctx); err != nil {
			t.Fatal(err)
		}
	}
	w = n.start(cfg)
	n.ready(w)
	s = n.session(w)
	invoke(transfer)
	if got := n.balances(s, alice); got.nonce != nonce {
		t.Errorf("nonce %d, %d calls were made", got.nonce, nonce)
	}
	if paid := len(n.events("EnclaveBridge", "UnshieldedFunds")); paid != 1 {
		t.Errorf("%d payouts, want 1", paid)
	}
	second := n.start(n.config("2", t.TempDir()))
	n.ready(second)
	n.sameState(w, second)
	stopped(t, second)
	if s := second.core.Load().LightClient(); s.Relay.Chain.SetID != 2 {
		t.Errorf("authority set %d: the changes were not seen", s.Relay.Chain.SetID)
	}
	if got := second.trust.Relay; got == nil || got.ParaID != uint32(n.pair.ID) || got.Genesis != n.pair.Relay.Genesis() || second.trustHash != w.trustHash {
		t.Errorf("trust config %+v", second.trust)
	}
}

// TestParaHeld: blocks that the relay chain does not include, or does not
// finalize, are not executed; the worker says that it is behind.
func TestParaHeld(t *testing.T) {
	n := newParaNetwork(t, devchain.PairConfig{})
	p := newProxy(t, n.url)
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL = p.url
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	transfer := sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))
	for nonce, test := range []struct {
		hold func(bool)
		lie  string // of the parachain's node, which calls its best block final
		code string
	}{
		{n.pair.HoldInclusion, "", "chain-stalled"},
		{n.pair.Relay.HoldFinality, "", "chain-stalled"},
		{n.pair.HoldInclusion, "a parachain block that is not included", "relay-not-included"},
		{n.pair.Relay.HoldFinality, "a parachain block whose inclusion is not final", "relay-not-included"},
	} {
		// What it still has to send would be another block.
		n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 && w.Status().Number == n.pair.Para.Best().Number() })
		test.hold(true)
		final := n.pair.Para.Final().Number()
		n.batch(n.invocation(s, uint32(nonce), transfer))
		if _, err := n.pair.Para.Wait(n.ctx, final+1); err != nil {
			t.Fatal(err)
		}
		if test.lie != "" {
			inTable(t, relayAttacks(), test.lie, healthy(test.code))
			p.tell(func(m string, _, r json.RawMessage) (json.RawMessage, bool) {
				if m == "chain_getFinalizedHead" {
					r, _ = json.Marshal(n.pair.Para.Best().Hash)
				}
				return r, true
			})
			w.node.Reset()
		}
		n.health(w, test.code)
		if got := w.Status(); got.Number > final || !strings.HasPrefix(got.Health, "behind: ") {
			t.Errorf("case %d: block %d is final: %+v", nonce, final, got)
		}
		p.tell(nil)
		test.hold(false)
		if _, err := n.pair.Seal(n.ctx); err != nil {
			t.Fatal(err)
		}
		n.until(w, "the worker does not go on", func() bool { return w.Status().Number > final+1 })
		n.health(w, "ok")
	}
	if got := n.balances(s, alice); got.nonce != 4 {
		t.Errorf("nonce %d after 4 calls", got.nonce)
	}
}

// TestParaLate: a parachain that the relay chain does not know yet is waited for.
func TestParaLate(t *testing.T) {
	n := newParaNetwork(t, devchain.PairConfig{Late: true, ID: 7})
	w := n.start(n.config("1", t.TempDir()))
	n.health(w, "relay-no-head")
	if _, err := n.pair.ForceHead(devchain.HeadData(n.pair.Para.Block(0))); err != nil {
		t.Fatal(err)
	}
	n.ready(w)
	n.shield(n.session(w), alice.AccountID(), unit)
	n.health(w, "ok")
	// Its lease ends.
	if _, err := n.pair.RemoveHead(); err != nil {
		t.Fatal(err)
	}
	n.health(w, "relay-no-head")
}

// TestParaConflict: a relay chain that replaces a block which was final, or
// whose authorities are replaced by force, ends the worker with an error that
// says so.
func TestParaConflict(t *testing.T) {
	n := newParaNetwork(t, devchain.PairConfig{})
	cfg := n.config("1", t.TempDir())
	w, err := Start(n.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.ready(w)
	n.until(w, "effects are left", func() bool { return w.Status().Number == n.pair.Para.Best().Number() })
	n.pair.HoldInclusion(true)
	final := n.pair.Para.Final().Number()
	n.transfer(alice, n.nextIndex(alice.AccountID()))
	if _, err := n.pair.Para.Wait(n.ctx, final+1); err != nil {
		t.Fatal(err)
	}
	fork, err := n.pair.Para.Fork(n.ctx, final, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.pair.HoldInclusion(false)
	n.until(w, "not final", func() bool { return w.Status().Number > final })
	if _, err := n.pair.ForceHead(devchain.HeadData(fork[0])); err != nil {
		t.Fatal(err)
	}
	var conflict *lightclient.HeadConflictError
	if err := n.fails(w); !errors.As(err, &conflict) || conflict.Proven.Hash != fork[0].Hash || conflict.Relay.Number == 0 {
		t.Errorf("it ended with %v", err)
	}
	// It stays so.
	if w, err = Start(n.ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if err := n.fails(w); !errors.As(err, &conflict) {
		t.Errorf("after a restart it ended with %v", err)
	}

	n = newParaNetwork(t, devchain.PairConfig{Relay: devchain.Config{Authorities: 3}})
	if w, err = Start(n.ctx, n.config("1", t.TempDir())); err != nil {
		t.Fatal(err)
	}
	n.ready(w)
	edKey, err := keyring.FromURI(keyring.Ed25519, "//Ferdie")
	if err != nil {
		t.Fatal(err)
	}
	change := grandpa.Change{Next: []grandpa.Authority{{ID: [32]byte(edKey.AccountID()), Weight: 1}}}
	if _, err := n.pair.Relay.SealWith(n.ctx, change.ForcedDigestItem()); err != nil {
		t.Fatal(err)
	}
	var forced *lightclient.ForcedChangeError
	if err := n.fails(w); !errors.As(err, &forced) || !strings.Contains(err.Error(), "relay chain") {
		t.Errorf("it ended with %v", err)
	}
}

// TestLyingRelay has a relay chain's node that lies or lacks, one way at a
// time: alone it makes the worker wait and say so; beside an honest one it is
// left.
func TestLyingRelay(t *testing.T) {
	n := newParaNetwork(t, devchain.PairConfig{Relay: devchain.Config{Authorities: 2}})
	other := newParaNetwork(t, devchain.PairConfig{ID: 5})
	honest := n.start(n.config("honest", t.TempDir()))
	n.ready(honest)
	s := n.session(honest)
	n.shield(s, alice.AccountID(), 100*unit)

	p := newProxy(t, n.relayURL)
	cfg := n.config("deceived", t.TempDir())
	cfg.RelayURL = p.url
	w := n.start(cfg)
	n.ready(w)
	cfg = n.config("served", t.TempDir())
	cfg.RelayURL = p.url + "," + n.relayURL
	served := n.start(cfg)
	n.ready(served)

	only := func(method string, lie func(json.RawMessage) json.RawMessage) func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool) {
		return func(m string, _, result json.RawMessage) (json.RawMessage, bool) {
			if m != method {
				return result, true
			}
			return lie(result), true
		}
	}
	say := func(v any) func(json.RawMessage) json.RawMessage {
		raw, _ := json.Marshal(v)
		return func(json.RawMessage) json.RawMessage { return raw }
	}
	var mu sync.Mutex
	var old json.RawMessage // an earlier proof of the head
	for nonce, test := range []struct {
		name, code string
		lie        func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool)
	}{
		{"flipped head", "relay-unverified", only("state_getReadProof", flip)},
		{"no head", "relay-unverified", only("state_getReadProof", say(map[string]any{"at": n.pair.Relay.Genesis(), "proof": []string{}}))},
		{"flipped relay header", "relay-unverified", only("chain_getHeader", flip)},
		{"another relay chain", "relay-other", only("chain_getBlockHash", say(other.pair.Relay.Genesis()))},
		{"proof of an earlier relay block", "relay-unverified", only("state_getReadProof", func(r json.RawMessage) json.RawMessage {
			mu.Lock()
			defer mu.Unlock()
			if old == nil {
				old = say(map[string]any{"at": n.pair.Relay.Genesis(),
					"proof": hexProof(n.pair.Relay.Block(1).State.Prove(1, lightclient.HeadKey(lightclient.ParaID(n.pair.ID))))})(nil)
			}
			return old
		})},
		{"withheld relay headers", "relay", only("chain_getBlockHash", say(nil))},
		{"stale relay head", "", only("chain_getFinalizedHead", say(n.pair.Relay.Genesis()))},
		{"relay connection lost", "relay-unreachable", func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool) { return nil, false }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inTable(t, relayAttacks(), test.name, healthy(cmp.Or(test.code, "behind")))
			p.tell(test.lie)
			w.relay.Reset()
			told := n.chain.Best().Number() // of more than this the truth was not told
			out := n.invoke(s, alice, uint32(nonce), sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit/10)))
			if !out.Succeeded() {
				t.Fatalf("got %+v", out)
			}
			n.sameState(honest, served)
			if test.code != "" {
				n.health(w, test.code)
			} else {
				n.until(w, "it does not say that it is behind", func() bool { return w.Status().HealthCode != "ok" })
			}
			if got := w.Status().Number; got > told {
				t.Errorf("committed block %d of a liar, the truth was told up to %d", got, told)
			}
			p.tell(nil)
			n.sameState(honest, w)
		})
	}
	if served.relay.URL() != n.relayURL {
		t.Error("it is with the liar")
	}
}

func hexProof(proof [][]byte) (out []string) {
	for _, node := range proof {
		out = append(out, parentchain.Hex(node))
	}
	return out
}

// TestParaMistakes: a configuration that contradicts the chains or what was
// configured before is told at the start.
func TestParaMistakes(t *testing.T) {
	n := newParaNetwork(t, devchain.PairConfig{})
	dir := t.TempDir()
	cfg := n.config("1", dir)
	w := n.start(cfg)
	n.ready(w)
	stopped(t, w)
	wrong := cfg
	wrong.ParaID = 5
	n.startFailing(wrong, "parachain 2000, not 5")
	wrong = cfg
	wrong.Parentchain, wrong.RelayURL = Solo, ""
	n.startFailing(wrong, "of parachain 2000", "--relay-url")

	wrong.DataDir = t.TempDir()
	n.startFailing(wrong, "--parentchain para")

	solo := newNetwork(t, devchain.Config{})
	cfg = solo.config("1", t.TempDir())
	w = solo.start(cfg)
	solo.ready(w)
	stopped(t, w)
	cfg.Parentchain, cfg.RelayURL = Para, n.relayURL
	solo.startFailing(cfg, "names no relay chain")
	cfg.DataDir = t.TempDir()
	watch := &logWatch{Handler: cfg.Logger.Handler()}
	cfg.Logger = slogOf(watch)
	trouble := watch.next("trouble, will retry")
	solo.start(cfg)
	solo.await(trouble, "a chain that is no parachain was taken for one")
}
