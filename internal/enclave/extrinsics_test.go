package enclave

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

var chainRemark = stf.NewChainCall[struct{ Remark []byte }]("System", "remark")

// askingModule asks for remarks and keeps what it hears of them.
type askingModule struct{ Heard stf.Value[[]string] }

func (m *askingModule) Ask(ctx stf.Call, data []byte) error {
	_, err := chainRemark.Request(ctx, struct{ Remark []byte }{data})
	return err
}

func (m *askingModule) ExtrinsicDone(h stf.Hook, r stf.ExtrinsicResult) error {
	by := -1
	if r.Extrinsic != nil {
		by = int(*r.Extrinsic)
	}
	m.Heard.Set(h, append(m.Heard.Get(h), fmt.Sprintf("%d %v by %d", r.ID, r.Status, by)))
	return nil
}

// asking is a world whose app asks for extrinsics.
type asking struct {
	*world
	m       *askingModule
	alice   *keyring.Pair
	calls   uint32
	account uint32 // nonce of the shard's account; it exists
	commits map[header.Number][]byte
}

func newAsking(t *testing.T) *asking {
	m := new(askingModule)
	app, err := stf.NewApp(stf.Config{Name: "asking", Modules: []stf.ModuleDecl{stf.Module("Asking", m, stf.At(1),
		stf.ChainCalls(chainRemark), stf.Calls(stf.Method("Ask", 0, "data")))}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.App, c.Trust.App = app, "asking" })
	return &asking{world: w, m: m, alice: pair(t, "//Alice"), commits: map[header.Number][]byte{}}
}

// ask adds an invocation that asks for a remark.
func (a *asking) ask(b *builder, data string) *builder {
	id := a.alice.AccountID()
	call := scale.AppendBytes(append([]byte{1, 0}, id[:]...), []byte(data))
	a.calls++
	return b.invoke(a.encrypt(top(a.alice, call, a.calls-1)))
}

// include adds an extrinsic of the shard's account.
func (a *asking) include(b *builder, call []byte, end event) *builder {
	a.world.nonce = a.account
	a.account++
	return b.signed(a.cfg.Keys.ShardAccount(), call, end)
}

func (a *asking) run(b *builder) *Commit {
	a.t.Helper()
	c := b.store(accountKey(a.cfg.Keys.ShardAccount().AccountID()), scale.MustMarshal(system.AccountInfo{Nonce: a.account, Providers: 1})).run()
	a.commits[c.Number] = c.Encode()
	return c
}

func (a *asking) remark(data string) []byte { return a.call("System", "remark", []byte(data)) }

// TestRequests: requests of the app become extrinsics of the shard's account,
// with nonces and outcomes that every worker finds alike.
func TestRequests(t *testing.T) {
	a := newAsking(t)
	shard := a.cfg.Keys.ShardAccount().AccountID()
	watched := func() bool {
		return slices.ContainsFunc(a.core.RequiredKeys(0), func(k []byte) bool { return bytes.Equal(k, accountKey(shard)) })
	}
	a.account = 5
	a.run(a.block())
	if watched() {
		t.Error("the account is required although nothing is open")
	}
	a.run(a.ask(a.ask(a.block(), "a"), "b"))
	if !watched() || len(a.core.Requests()) != 0 {
		t.Fatalf("watched: %v, requests %v", watched(), a.core.Requests())
	}
	a.run(a.block())
	q := a.core.Requests()
	if len(q) != 2 || *q[0].Nonce != 5 || *q[1].Nonce != 6 || q[0].GivenUp {
		t.Fatalf("requests %+v", q)
	}
	for i, want := range []string{"a", "b"} {
		if call, misfit, err := a.core.Runtime().RequestCall(a.cfg.App, q[i]); err != nil || misfit != nil || !bytes.Equal(call, a.remark(want)) {
			t.Errorf("call %d: %x, %v, %v", i, call, misfit, err)
		}
	}
	c := a.run(a.include(a.ask(a.block(), "c"), a.remark("a"), success))
	if got := a.core.Requests(); len(got) != 2 || *got[0].Nonce != 6 || *got[1].Nonce != 7 || len(c.Alarms) != 0 {
		t.Fatalf("requests %+v, alarms %v", got, c.Alarms)
	}
	restored, err := Restore(a.cfg, bytes.NewReader(snapshot(t, a.core)))
	if err != nil || fmt.Sprint(restored.RequiredKeys(0)) != fmt.Sprint(a.core.RequiredKeys(0)) || len(restored.Requests()) != 2 {
		t.Errorf("after a restart: other keys or requests, %v", err)
	}
	// One fails; one is not included in time, and its nonce is used for nothing.
	a.run(a.include(a.block(), a.remark("b"), failed))
	for len(a.core.Requests()) == 1 && !a.core.Requests()[0].GivenUp && a.core.View().Number() < 1000 {
		a.run(a.block())
	}
	late := a.core.Requests()[0]
	if got := a.core.View().Number(); uint32(got) != uint32(late.Block)+stf.ExtrinsicExpiry {
		t.Errorf("given up at block %d, asked for at %d", got, late.Block)
	}
	nothing, misfit, err := a.core.Runtime().RequestCall(a.cfg.App, late)
	if err != nil || misfit != nil || !bytes.Equal(nothing, a.remark("")) {
		t.Errorf("call %x, %v, %v", nothing, misfit, err)
	}
	a.run(a.include(a.block(), nothing, success))
	if watched() {
		t.Error("something is open")
	}
	// What nobody asked for.
	c = a.run(a.include(a.block(), a.remark("x"), success))
	if len(c.Alarms) != 1 || c.Alarms[0].Kind != AlarmShardAccount || *c.Alarms[0].Extrinsic != 1 {
		t.Errorf("alarms %v", c.Alarms)
	}
	want := []string{"0 succeeded by 2", "1 failed by 1", "2 given up by 1"}
	if got := a.m.Heard.Get(plainState{a.core.View().state}); !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	replay(t, a.newCore(), a.blocks, 1, a.commits)
}

// TestRequestMisfit: a call that the runtime does not take any more has its
// nonce used for nothing.
func TestRequestMisfit(t *testing.T) {
	a := newAsking(t)
	q := Request{ExtrinsicRequest: stf.ExtrinsicRequest{Module: 1, Pallet: "System", Name: "remark", Args: []byte{8}}}
	call, misfit, err := a.core.Runtime().RequestCall(a.cfg.App, q)
	if err != nil || misfit == nil || !bytes.Equal(call, a.remark("")) {
		t.Errorf("call %x, misfit %v, %v", call, misfit, err)
	}
}

// TestShardAccountKey: the account follows from the root seed, and is none of
// the others.
func TestShardAccountKey(t *testing.T) {
	k := testKeys()
	a := k.ShardAccount().AccountID()
	if b := testKeys().ShardAccount().AccountID(); a != b {
		t.Error("it is not the same each time")
	}
	k.RootSeed[0]++
	if a == k.ShardAccount().AccountID() || a == testKeys().EnclaveAccount() || a == integritee.ShardID(testShard).BondingAccount() {
		t.Error("the account is not its own")
	}
}
