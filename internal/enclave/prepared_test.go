package enclave

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

type chainTransfer struct {
	From, To stf.AccountID
	Amount   stf.Balance
}

// wrongInfo has the layout of an older runtime.
type wrongInfo struct{ Nonce, RefCount uint32 }

var (
	chainAccount   = stf.NewChainMap[stf.AccountID, system.AccountInfo]("System", "Account", stf.Blake2_128Concat)
	chainOld       = stf.NewChainMap[stf.AccountID, wrongInfo]("System", "Account", stf.Blake2_128Concat)
	chainNow       = stf.NewChainValue[uint64]("Timestamp", "Now")
	chainTransfers = stf.NewChainEvent[chainTransfer]("Balances", "Transfer")
	chainShielded  = stf.NewChainEvent[integritee.EventShieldFunds]("EnclaveBridge", "ShieldFunds")
)

// Marks of what ran, beside event indexes.
const (
	markRead   = 10_000
	markShield = 20_000
)

// watcher keeps a journal of what it saw of the parentchain.
type watcher struct {
	Journal stf.Value[[]uint64]
	Time    stf.Value[uint64]
}

func (m *watcher) note(w stf.Writer, n uint64) { m.Journal.Set(w, append(m.Journal.Get(w), n)) }

func (m *watcher) EveryBlockReads(r stf.Reads) error {
	chainNow.Declare(r)
	return nil
}

func (m *watcher) EndBlock(h stf.Hook) error {
	now, _ := chainNow.Get(h)
	m.Time.Set(h, now)
	return nil
}

func (m *watcher) Read(ctx stf.Call, who stf.AccountID) error {
	info, _ := chainAccount.Get(ctx, who)
	m.note(ctx, markRead+info.Data.Free.Lo)
	return nil
}

func (m *watcher) ReadReads(r stf.Reads, who stf.AccountID) error {
	chainAccount.Declare(r, who)
	return nil
}

func (m *watcher) Old(ctx stf.Call) error {
	chainOld.Get(ctx, ctx.Sender())
	return nil
}

func (m *watcher) OldReads(r stf.Reads) error {
	chainOld.Declare(r, r.Sender())
	return nil
}

func (m *watcher) Sneak(ctx stf.Call) error {
	chainAccount.Get(ctx, ctx.Sender())
	return nil
}

func (m *watcher) Journaled(q stf.Query) ([]uint64, error) { return m.Journal.Get(q), nil }

func watcherWorld(t *testing.T) *world {
	m := &watcher{}
	app, err := stf.NewApp(stf.Config{Name: "watcher",
		Shield: func(ctx stf.Call, _ stf.AccountID, _ stf.Balance) error { m.note(ctx, markShield); return nil },
		Modules: []stf.ModuleDecl{stf.Module("Watcher", m, stf.At(1),
			stf.Calls(stf.Method("Read", 0), stf.Method("Old", 1), stf.Method("Sneak", 2)), stf.Public(stf.Method("Journaled", 0)),
			stf.OnChainEvent(chainTransfers, func(tr stf.Trigger, e chainTransfer) error {
				m.note(tr, uint64(tr.EventIndex()))
				if e.Amount.Lo == 13 {
					return errors.New("thirteen")
				}
				return nil
			}),
			stf.OnChainEvent(chainShielded, func(tr stf.Trigger, e integritee.EventShieldFunds) error {
				m.note(tr, uint64(tr.EventIndex()))
				return nil
			}))}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.App, c.Trust.App = app, "watcher" })
	if problems := w.core.AppProblems(); len(problems) != 0 {
		t.Error(problems)
	}
	return w
}

func (w *world) journal() (out []uint64) {
	w.t.Helper()
	value, _, err := w.core.View().Getter(integritee.Request{Shard: testShard, Cyphertext: []byte{0, 1, 0}})
	if err != nil || scale.Unmarshal(value, &out) != nil {
		w.t.Fatalf("getter: %x, %v", value, err)
	}
	return out
}

func (w *world) watch(index byte, who *keyring.Pair, nonce uint32, args ...byte) []byte {
	id := who.AccountID()
	return w.encrypt(top(who, append(append([]byte{1, index}, id[:]...), args...), nonce))
}

// finish executes and adopts a prepared block.
func (w *world) finish(p *Prepared, b *lightclient.VerifiedBlock) *Commit {
	w.t.Helper()
	c, err := p.Execute(b)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.core.Adopt(c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestPrepared(t *testing.T) {
	w := watcherWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	a, b := alice.AccountID(), bob.AccountID()
	info := system.AccountInfo{Data: system.AccountData{Free: amount(77)}}
	old := w.watch(0, alice, 0, b[:]...)
	forged := w.encrypt(integritee.SignCall(append(append([]byte{1, 0}, b[:]...), a[:]...), 0, testFingerprint, testShard, alice).IndirectCall())
	block := w.block().
		store(chainAccount.Key(b), scale.MustMarshal(info)).
		store(chainNow.Key(), scale.AppendU64(nil, 4242)).
		invoke(old).                                       // reads bob's
		invoke(w.watch(1, alice, 1)).                      // another layout
		invoke(w.watch(2, bob, 0)).                        // undeclared
		invoke(forged).                                    // not signed by bob: nothing is fetched for it
		invoke(w.watch(0, alice, 2, b[:]...)).             // the same key again
		invoke(w.watch(0, alice, 2, make([]byte, 32)...)). // fails for its nonce, fetched nevertheless
		seal()

	if !slices.ContainsFunc(w.core.RequiredKeys(1), func(k []byte) bool { return bytes.Equal(k, chainNow.Key()) }) {
		t.Error("what is read in every block is not required")
	}
	p, err := w.core.Prepare(block)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{chainAccount.Key(a), chainAccount.Key(b), chainAccount.Key(keyring.AccountID{})}
	slices.SortFunc(want, bytes.Compare)
	if got := p.Keys(); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("keys %x, want %x", got, want)
	}
	if _, err := p.Execute(block); !errors.Is(err, lightclient.ErrNotProven) || errors.Is(err, ErrFatal) {
		t.Error("without the proof:", err)
	}
	if _, err := w.core.Execute(block); !errors.Is(err, lightclient.ErrNotProven) {
		t.Error("without the proof:", err)
	}
	full, err := block.WithStorage(w.chain.Prove(1, p.Keys()...), p.Keys()...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.core.Execute(full) // in one step
	if err != nil {
		t.Fatal(err)
	}
	if p, err = w.core.Prepare(block); err != nil {
		t.Fatal(err)
	}
	c := w.finish(p, full)
	if !bytes.Equal(again.Encode(), c.Encode()) {
		t.Error("in one step it ends in another way")
	}
	wantCodes := []stf.Code{stf.Success, stf.ForeignLayout, stf.UndeclaredRead, stf.Invalid, stf.Success, stf.BadNonce}
	if got := outcomes(c); !slices.Equal(got, wantCodes) {
		t.Errorf("outcomes %v, want %v", got, wantCodes)
	}
	if len(c.Alarms) != 1 || c.Alarms[0].Kind != AlarmLayout || *c.Alarms[0].Event != c.Receipts[1].Index || !strings.Contains(c.Alarms[0].String(), "System.Account") {
		t.Errorf("alarms %v", c.Alarms)
	}
	if got := w.journal(); !slices.Equal(got, []uint64{markRead + 77, markRead + 77}) {
		t.Errorf("journal %v", got)
	}

	// An old ciphertext is refused without anything being fetched for it.
	block = w.block().invoke(old).seal()
	if p, err = w.core.Prepare(block); err != nil {
		t.Fatal(err)
	}
	if keys := p.Keys(); len(keys) != 0 {
		t.Errorf("keys %x for an old ciphertext", keys)
	}
	if got := outcomes(w.finish(p, block)); !slices.Equal(got, []stf.Code{stf.BadNonce}) {
		t.Errorf("outcomes %v", got)
	}
	// What was prepared for a block is of no use for another.
	if _, err := p.Execute(w.block().seal()); !errors.Is(err, ErrNotNext) {
		t.Error(err)
	}

	// Another worker that replays all of it.
	replayed := w.newCore()
	for i, block := range w.blocks[:2] {
		if i == 0 {
			block = full
		}
		commit, err := replayed.Execute(block)
		if err != nil {
			t.Fatal(err)
		}
		if err := replayed.Adopt(commit); err != nil {
			t.Fatal(err)
		}
	}
	if replayed.tip.StateRoot != w.core.tip.StateRoot {
		t.Error("a replay comes to another state")
	}
}

// TestTriggerOrder: operations and triggers take turns in the order of events.
func TestTriggerOrder(t *testing.T) {
	w := watcherWorld(t)
	alice := pair(t, "//Alice")
	id := alice.AccountID()
	// Events: 0 timestamp; 1, 2, 3 shielding; 4, 5 invocation; 6, 7, 8 and 9, 10, 11 shieldings
	b := w.block().shield(testShard, w.encrypt(id[:]), unit).invoke(w.watch(0, alice, 0, id[:]...)).
		shield(testShard, w.encrypt(id[:]), 13).shield(testShard, w.encrypt(id[:]), 13)
	last := b.hook(event{"Balances", "Transfer", chainTransfer{id, id, amount(1)}})
	block := b.seal()
	p, err := w.core.Prepare(block)
	if err != nil {
		t.Fatal(err)
	}
	block, err = block.WithStorage(w.chain.Prove(1, p.Keys()...), p.Keys()...)
	if err != nil {
		t.Fatal(err)
	}
	c := w.finish(p, block)
	want := []uint64{1, markShield, 2, markRead, markShield, 7, markShield, 10, uint64(last)}
	if got := w.journal(); !slices.Equal(got, want) {
		t.Errorf("journal %v, want %v", got, want)
	}
	if len(c.Receipts) != 4 {
		t.Errorf("%d receipts: triggers have none", len(c.Receipts))
	}
	if len(c.Alarms) != 1 || c.Alarms[0].Kind != AlarmTrigger || *c.Alarms[0].Event != 6 || strings.Contains(c.Alarms[0].String(), "thirteen") {
		t.Errorf("alarms %v", c.Alarms)
	}
}
