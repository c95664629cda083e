package worker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

type noteArgs struct{ Remark []byte }

type giveArgs struct {
	Dest  keyring.MultiAddress
	Value scale.CompactU128
}

var (
	chainNote = stf.NewChainCall[noteArgs]("System", "remark_with_event")
	chainGive = stf.NewChainCall[giveArgs]("Balances", "transfer_keep_alive")
)

// notary asks for extrinsics and keeps what it hears of them.
type notary struct{ Heard stf.Value[[]string] }

func (m *notary) Note(ctx stf.Call, data []byte) error {
	_, err := chainNote.Request(ctx, noteArgs{data})
	return err
}

func (m *notary) Give(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	_, err := chainGive.Request(ctx, giveArgs{keyring.AddressOf(to), scale.CompactU128(amount)})
	return err
}

func (m *notary) ExtrinsicDone(h stf.Hook, r stf.ExtrinsicResult) error {
	m.Heard.Set(h, append(m.Heard.Get(h), fmt.Sprintf("%d %v", r.ID, r.Status)))
	return nil
}

func (m *notary) All(q stf.Query) ([]string, error) { return m.Heard.Get(q), nil }

// notaryNetwork is a network whose app asks for extrinsics.
type notaryNetwork struct {
	*network
	nonce uint32 // of alice inside
	s     *client.Session
}

func newNotaryNetwork(t *testing.T, cfg devchain.Config) *notaryNetwork {
	n := newNetwork(t, cfg)
	n.app = notaryApp(t)
	return &notaryNetwork{network: n}
}

func notaryApp(t *testing.T) *stf.App {
	t.Helper()
	app, err := stf.NewApp(stf.Config{Name: "notary", Modules: []stf.ModuleDecl{stf.Module("Notary", &notary{}, stf.At(1), stf.ChainCalls(chainNote, chainGive),
		stf.Calls(stf.Method("Note", 0, "data"), stf.Method("Give", 1, "to", "amount")), stf.Public(stf.Method("All", 0)))}})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// ask makes a call and waits for its receipt.
func (n *notaryNetwork) ask(index byte, args ...any) {
	n.t.Helper()
	id := alice.AccountID()
	call := append([]byte{1, index}, id[:]...)
	for _, a := range args {
		call = append(call, scale.MustMarshal(a)...)
	}
	if out := n.invoke(n.s, alice, n.nonce, call); !out.Succeeded() {
		n.t.Fatalf("call: %+v", out.Receipt)
	}
	n.nonce++
}

func (n *notaryNetwork) note(data string) { n.t.Helper(); n.ask(0, []byte(data)) }

// heard returns what the app of a worker heard.
func (n *notaryNetwork) heard(w *Worker) (list []string) {
	n.t.Helper()
	value, _, err := w.core.Load().View().Getter(integritee.Request{Shard: n.shard(), Cyphertext: []byte{0, 1, 0}})
	if err != nil || scale.Unmarshal(value, &list) != nil {
		n.t.Fatalf("getter: %x, %v", value, err)
	}
	return list
}

// made returns what calls the shard's account has on the chain, by nonce.
func (n *notaryNetwork) made(w *Worker) (calls []string) {
	n.t.Helper()
	who := w.ring.Load().ShardAccount().AccountID()
	for i := header.Number(1); i <= n.chain.Best().Number(); i++ {
		b := n.chain.Block(i)
		m := n.chain.Block(i - 1).Runtime().Metadata
		for _, raw := range b.Extrinsics {
			x, err := extrinsic.Decode(raw, m)
			if err != nil || x.Signed == nil || x.Signed.Signer == nil || *x.Signed.Signer != who {
				continue
			}
			if int(x.Signed.Nonce) != len(calls) {
				n.t.Errorf("nonce %d after %d extrinsics", x.Signed.Nonce, len(calls))
			}
			pallet, v, _ := m.Call([2]byte(x.Call))
			d := scale.NewDecoder(x.Call[2:])
			name := pallet.Name + "." + v.Name
			if pallet.Name == "System" {
				name += " " + string(d.Bytes())
			}
			calls = append(calls, name)
		}
	}
	return calls
}

// current waits until a worker has the best block, which is final.
func (n *notaryNetwork) current(w *Worker) {
	n.t.Helper()
	n.until(w, "not current", func() bool { return w.Status().Number >= n.chain.Best().Number() })
}

// TestShardAccount has an app of three workers ask for extrinsics, one of which
// fails: each is on the chain once, all workers hear alike, and one that joins
// later and replays comes to the same state.
func TestShardAccount(t *testing.T) {
	n := newNotaryNetwork(t, devchain.Config{})
	first := n.start(n.config("1", t.TempDir()))
	n.ready(first)
	second, third := n.start(n.config("2", t.TempDir())), n.start(n.config("3", t.TempDir()))
	n.ready(second)
	n.ready(third)
	n.s = n.session(first)
	n.note("a")
	n.ask(1, keyring.AccountID{1, 2, 3}, amount(1)) // less than may exist
	n.note("b")
	n.tick(first, "requests are left", func() bool { return first.core.Load().View().OpenRequests() == 0 })
	want := []string{"0 succeeded", "1 failed", "2 succeeded"}
	if got := n.heard(first); !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	made := []string{"System.remark_with_event a", "Balances.transfer_keep_alive", "System.remark_with_event b"}
	if got := n.made(first); !slices.Equal(got, made) {
		t.Errorf("on the chain: %q, want %q", got, made)
	}
	n.until(first, "effects are left", func() bool { return first.Status().Pending == 0 })
	late := n.start(n.config("late", t.TempDir()))
	n.ready(late)
	for _, w := range []*Worker{second, third, late} {
		n.sameState(first, w)
		// All of them had //Alice pay at once, which not all could.
		n.tick(w, "unwell", func() bool { return w.Status().HealthCode == "ok" })
	}
}

// TestShardAccountRestart stops the workers while a node keeps back what they
// send, starts one again, and has it send: once.
func TestShardAccountRestart(t *testing.T) {
	n := newNotaryNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	dir := t.TempDir()
	cfg := n.config("1", dir)
	cfg.NodeURL, cfg.resubmit = p.url, 50*time.Millisecond
	w, err := Start(n.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.ready(w)
	n.s = n.session(w)
	who := w.ring.Load().ShardAccount().AccountID()
	n.untilExists(who)
	var asked atomic.Int32
	p.lossy(func(method string, params json.RawMessage) loss {
		if method == "author_submitExtrinsic" && strings.Contains(string(params), hexOf(who[:])) {
			asked.Add(1)
			return swallowed
		}
		return noLoss
	})
	n.note("a")
	n.tick(w, "nothing is sent", func() bool { return asked.Load() > 0 })
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := n.made(w); len(got) != 0 {
		t.Fatalf("on the chain: %q", got)
	}
	p.truthful()
	w = n.start(cfg)
	n.ready(w)
	n.tick(w, "requests are left", func() bool { return w.core.Load().View().OpenRequests() == 0 })
	if got := n.made(w); !slices.Equal(got, []string{"System.remark_with_event a"}) {
		t.Errorf("on the chain: %q", got)
	}
	if got := n.heard(w); !slices.Equal(got, []string{"0 succeeded"}) {
		t.Errorf("heard %q", got)
	}
}

// TestShardAccountLosses keeps a request from the chain beyond its time, so that
// its nonce is used for nothing, while mortal eras end; the request behind it
// fares well.
func TestShardAccountLosses(t *testing.T) {
	n := newNotaryNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL, cfg.resubmit, cfg.ConfirmInterval = p.url, 50*time.Millisecond, 1<<20
	w := n.start(cfg)
	n.ready(w)
	n.s = n.session(w)
	n.untilExists(w.ring.Load().ShardAccount().AccountID())
	secret := fmt.Sprintf("%x", "never")
	p.lossy(func(method string, params json.RawMessage) loss {
		if method == "author_submitExtrinsic" && strings.Contains(string(params), secret) {
			return swallowed
		}
		return noLoss
	})
	n.note("never")
	asked := w.Status().Number
	n.tick(w, "it is not given up", func() bool { return w.Status().Number > asked+stf.ExtrinsicExpiry-10 })
	n.note("b")
	n.tick(w, "requests are left", func() bool { return w.core.Load().View().OpenRequests() == 0 })
	if got := n.made(w); !slices.Equal(got, []string{"System.remark ", "System.remark_with_event b"}) {
		t.Errorf("on the chain: %q", got)
	}
	if got := n.heard(w); !slices.Equal(got, []string{"0 given up", "1 succeeded"}) {
		t.Errorf("heard %q", got)
	}
}

// TestShardAccountReaped has the parentchain's root take all that the shard's
// account has, which ends it: nothing is signed until what was signed is dead;
// then requests go on from the new account's nonce. A worker that replays
// comes to the same state.
func TestShardAccountReaped(t *testing.T) {
	n := newNotaryNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.ConfirmInterval = 1 << 20
	w := n.start(cfg)
	n.ready(w)
	n.s = n.session(w)
	who := w.ring.Load().ShardAccount().AccountID()
	n.untilExists(who)
	n.note("a")
	n.tick(w, "requests are left", func() bool { return w.core.Load().View().OpenRequests() == 0 })
	index, ok := n.chain.Best().Runtime().Metadata.CallIndex("Balances", "force_transfer")
	if !ok {
		t.Fatal("no force_transfer")
	}
	n.send(alice, n.nextIndex(alice.AccountID()), "Sudo", "sudo", struct {
		Index        [2]byte
		Source, Dest keyring.MultiAddress
		Amount       scale.CompactU128
	}{index, keyring.AddressOf(who), keyring.AddressOf(ferdie.AccountID()), scale.CompactU128(n.free(who))})
	n.tick(w, "the account lives", func() bool { return n.free(who).IsZero() })
	n.note("b")
	asked := w.Status().Number
	n.pay(pair("//Bob"), n.nextIndex(pair("//Bob").AccountID()), who, 10*unit)
	n.tick(w, "requests are left", func() bool { return w.core.Load().View().OpenRequests() == 0 })
	if rested := w.Status().Number - asked; rested < stf.ExtrinsicEra {
		t.Errorf("the account rested for %d blocks", rested)
	}
	if got := n.heard(w); !slices.Equal(got, []string{"0 succeeded", "1 succeeded"}) {
		t.Errorf("heard %q", got)
	}
	n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
	late := n.start(n.config("late", t.TempDir()))
	n.ready(late)
	n.sameState(w, late)
}

// TestShardAccountPoor has nobody pay: the worker says so, sends nothing, and
// sends once the account has funds.
func TestShardAccountPoor(t *testing.T) {
	n := newNotaryNetwork(t, devchain.Config{})
	rich := n.start(n.config("rich", t.TempDir()))
	n.ready(rich)
	n.s = n.session(rich)
	who := rich.ring.Load().ShardAccount().AccountID()
	n.untilExists(who)
	n.current(rich)
	poor := newRequestSender(&Worker{cfg: Config{App: n.app}, log: rich.log, health: newHealth(rich.log), chain: rich.chain, node: rich.node,
		runtimes: rich.runtimes, sender: rich.sender, metrics: rich.metrics})
	poor.w.ring.Store(rich.ring.Load())
	if err := poor.funds(n.ctx, 1); err != nil || poor.w.health.codes()["shard-account"] || poor.nextFunds != 1+fundsEvery {
		t.Fatalf("%v, health %v, next look at block %d", err, poor.w.health.codes(), poor.nextFunds)
	}
	few, _ := n.free(who).Div64(4) // of what it was given
	rest, _ := n.free(who).Sub(few)
	index, _ := n.chain.Best().Runtime().Metadata.CallIndex("Balances", "force_transfer")
	n.send(alice, n.nextIndex(alice.AccountID()), "Sudo", "sudo", struct {
		Index        [2]byte
		Source, Dest keyring.MultiAddress
		Amount       scale.CompactU128
	}{index, keyring.AddressOf(who), keyring.AddressOf(ferdie.AccountID()), scale.CompactU128(rest)})
	n.tick(rich, "nothing was taken", func() bool { return n.free(who) == few })
	n.current(rich)
	if err := poor.funds(n.ctx, 2); err != nil || poor.w.health.codes()["shard-account"] {
		t.Fatalf("looked too early: %v", err)
	}
	poor.nextFunds = 0
	if err := poor.funds(n.ctx, 3); err != nil || !poor.w.health.codes()["shard-account"] || poor.nextFunds != 3+shardFundsEvery {
		t.Fatalf("%v, health %v, next look at block %d", err, poor.w.health.codes(), poor.nextFunds)
	}
	n.pay(pair("//Bob"), n.nextIndex(pair("//Bob").AccountID()), who, 50*unit)
	n.tick(rich, "nothing was given", func() bool { return !n.free(who).Less(amount(50 * unit)) })
	n.current(rich)
	if err := poor.funds(n.ctx, 3+shardFundsEvery); err != nil || poor.w.health.codes()["shard-account"] {
		t.Fatalf("%v, health %v", err, poor.w.health.codes())
	}
}
