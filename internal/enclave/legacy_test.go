package enclave

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/apps/legacy"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

// legacyRuntime is V14 metadata of a runtime with the pallet Teerex of 2022.
var legacyRuntime = sync.OnceValue(func() *metadata.Metadata {
	b := metadata.NewBuilder("legacy_runtime")
	u64 := reflect.TypeFor[uint64]()
	for _, p := range []metadata.PalletSpec{
		{Name: "System", Index: 0, Calls: variants(1, "remark", struct{ Remark []byte }{}),
			Events: variants(0, "ExtrinsicSuccess", struct{ Info system.DispatchInfo }{}, "ExtrinsicFailed", struct {
				Error system.DispatchError
				Info  system.DispatchInfo
			}{}),
			Storage: []metadata.StorageSpec{{Name: "Events", Value: reflect.TypeFor[[]system.EventRecord](), Default: []byte{0}}}},
		{Name: "Timestamp", Index: 3, Calls: variants(0, "set", struct{ Now scale.CompactU64 }{})},
		{Name: "Utility", Index: 9, Calls: variants(0, "batch", batchArgs{}, "as_derivative", derivativeArgs{}),
			Events: variants(0, "BatchInterrupted", interruptedEvent{}, "BatchCompleted", nil, "BatchCompletedWithErrors", nil, "ItemCompleted", nil)},
		{Name: "Balances", Index: 10, Events: variants(2, "Transfer", transferEvent{})},
		{Name: "Teerex", Index: 50,
			Calls: variants(0, "register_enclave", integritee.LegacyRegisterArgs{}, "unregister_enclave", nil, "call_worker", integritee.InvokeArgs{},
				"confirm_processed_parentchain_block", integritee.LegacyConfirmArgs{}, "shield_funds", integritee.LegacyShieldFundsArgs{}, "unshield_funds", integritee.LegacyUnshieldFundsArgs{}),
			Events: variants(0, "AddedEnclave", integritee.EventLegacyAddedEnclave{}, "RemovedEnclave", struct {
				Who keyring.AccountID `metadata:"_"`
			}{}, "Forwarded", integritee.EventIndirectInvocationRegistered{}, "ShieldFunds", integritee.EventLegacyShieldFunds{},
				"UnshieldedFunds", integritee.EventLegacyUnshieldedFunds{}, "ProcessedParentchainBlock", integritee.EventLegacyProcessedParentchainBlock{}),
			Storage: []metadata.StorageSpec{{Name: "ExecutedCalls", Hashers: []hashing.StorageHasher{hashing.Blake2_128Concat},
				Keys: []reflect.Type{reflect.TypeFor[hashing.Hash]()}, Value: u64, Default: make([]byte, 8)}}},
	} {
		if err := b.AddPallet(p); err != nil {
			panic(err)
		}
	}
	m, err := b.Build(metadata.ExtrinsicSpec{Extensions: []metadata.ExtensionSpec{
		{Identifier: "CheckSpecVersion", Additional: reflect.TypeFor[uint32]()},
		{Identifier: "CheckTxVersion", Additional: reflect.TypeFor[uint32]()},
		{Identifier: "CheckGenesis", Additional: reflect.TypeFor[hashing.Hash]()},
		{Identifier: "CheckMortality", Type: reflect.TypeFor[extrinsic.Era](), Additional: reflect.TypeFor[hashing.Hash]()},
		{Identifier: "CheckNonce", Type: reflect.TypeFor[scale.CompactU32]()},
		{Identifier: "CheckWeight"},
		{Identifier: "ChargeTransactionPayment", Type: reflect.TypeFor[scale.CompactU128]()},
	}})
	if err != nil {
		panic(err)
	}
	raw, err := m.Encode(14)
	if err != nil {
		panic(err)
	}
	if m, err = metadata.Decode(raw); err != nil {
		panic(err)
	}
	return m
})

// legacyWorld is a world on a chain of the legacy layout.
type legacyWorld struct{ *world }

func newLegacyWorld(t *testing.T, change ...func(*Config)) *legacyWorld {
	t.Helper()
	return &legacyWorld{newWorldOf(t, legacyRuntime(), change...)}
}

func forwarded(shard integritee.ShardID) event {
	return event{teerexPallet, "Forwarded", integritee.EventIndirectInvocationRegistered{Shard: shard}}
}

func (w *legacyWorld) invokeCall(ct []byte) []byte {
	return w.call(teerexPallet, "call_worker", integritee.InvokeArgs{Request: integritee.Request{Shard: testShard, Cyphertext: ct}})
}

func (w *legacyWorld) invoke(b *builder, ct []byte) *builder {
	return b.signed(w.user, w.invokeCall(ct), forwarded(testShard), success)
}

func (w *legacyWorld) shieldCall(shard integritee.ShardID, ct []byte, value uint64) []byte {
	return w.call(teerexPallet, "shield_funds", integritee.LegacyShieldFundsArgs{AccountEncrypted: ct, Amount: amount(value), BondingAccount: shard.BondingAccount()})
}

// shieldEvents are what a shield_funds deposits.
func (w *legacyWorld) shieldEvents(shard integritee.ShardID, ct []byte, value uint64) []event {
	return []event{{"Balances", "Transfer", transferEvent{w.user.AccountID(), shard.BondingAccount(), amount(value)}},
		{teerexPallet, "ShieldFunds", integritee.EventLegacyShieldFunds{AccountEncrypted: ct}}}
}

func (w *legacyWorld) shield(b *builder, ct []byte, value uint64) *builder {
	return b.signed(w.user, w.shieldCall(testShard, ct, value), append(w.shieldEvents(testShard, ct, value), success)...)
}

func (w *legacyWorld) paid(p *Payout) event {
	return event{teerexPallet, "UnshieldedFunds", integritee.EventLegacyUnshieldedFunds{PublicAccount: p.Beneficiary}}
}

func (w *legacyWorld) pay(b *builder, who *keyring.Pair, p *Payout, events ...event) *builder {
	call, err := Effect{Payout: p}.Call(w.meta, testShard)
	if err != nil {
		w.t.Fatal(err)
	}
	return b.signed(who, call, events...).store(legacyLayout.spentKey(p.CallHash), scale.AppendU64(nil, 1))
}

func TestLayoutByName(t *testing.T) {
	for _, c := range []struct {
		name string
		meta *metadata.Metadata
		want *layout
	}{{"the dev chain", testRuntime().Metadata, &bridgeLayout}, {"legacy", legacyRuntime(), &legacyLayout}, {"tests", newMultisigRuntime(), &bridgeLayout}} {
		if got := layoutOf(c.meta); got != c.want {
			t.Errorf("%s: legacy %v", c.name, got.legacy)
		}
	}
	for _, name := range realRuntimes {
		t.Run(name, func(t *testing.T) {
			if layoutOf(realMetadata(t, name)).legacy {
				t.Error("is taken for legacy")
			}
		})
	}
}

// TestLegacyStory is TestStory on a chain of 2022: registration, shielding,
// invocations, payout, confirmation.
func TestLegacyStory(t *testing.T) {
	w := newLegacyWorld(t)
	alice, bob, ferdie := pair(t, "//AliceIncognito"), pair(t, "//Bob"), pair(t, "//Ferdie")
	register := w.call(teerexPallet, "register_enclave", integritee.LegacyRegisterArgs{RAReport: testFingerprint[:], WorkerURL: []byte("wss://w")})
	w.block().signed(w.worker, register, event{teerexPallet, "AddedEnclave", integritee.EventLegacyAddedEnclave{RegisteredBy: w.worker.AccountID()}}, success).run()
	if n, ok := w.core.Registered(); !ok || n != 1 {
		t.Fatalf("registered: %d, %v", n, ok)
	}
	id := alice.AccountID()
	c := w.shield(w.block(), w.encrypt(id[:]), 6*unit).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success}) || *c.Receipts[0].Sender != w.user.AccountID() {
		t.Fatalf("shielding: %+v", c.Receipts)
	}
	b := w.block()
	w.invoke(b, w.transfer(alice, bob, unit, 0))
	item := event{"Utility", "ItemCompleted", struct{}{}}
	b.signed(w.user, w.call("Utility", "batch", batchArgs{[]anyCall{{w.invokeCall(w.unshield(alice, ferdie, unit, 1))}, {w.shieldCall(testShard, w.encrypt(id[:]), unit)}}}),
		append(append([]event{forwarded(testShard), item}, w.shieldEvents(testShard, w.encrypt(id[:]), unit)...), item, event{"Utility", "BatchCompleted", struct{}{}}, success)...)
	// The ciphertexts of the call and the event differ: they were encrypted twice.
	if got := outcomes(b.run()); !slices.Equal(got, []stf.Code{stf.Success, stf.NotMatched, stf.NotMatched}) {
		t.Fatalf("outcomes: %v", got)
	}
	ct := w.encrypt(id[:])
	b = w.block().signed(w.user, w.call("Utility", "batch", batchArgs{[]anyCall{{w.invokeCall(w.unshield(alice, ferdie, unit, 1))}, {w.shieldCall(testShard, ct, unit)}}}),
		append(append([]event{forwarded(testShard), item}, w.shieldEvents(testShard, ct, unit)...), item, event{"Utility", "BatchCompleted", struct{}{}}, success)...)
	c = b.run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.Success}) || len(c.Alarms) != 0 {
		t.Fatalf("outcomes %v, alarms %v", got, c.Alarms)
	}
	p := w.payouts()[0]
	call, err := p.Call(w.meta, testShard)
	if err != nil {
		t.Fatal(err)
	}
	var args integritee.LegacyUnshieldFundsArgs
	if err := scale.Unmarshal(call[2:], &args); err != nil {
		t.Fatal(err)
	}
	if want := (integritee.LegacyUnshieldFundsArgs{PublicAccount: ferdie.AccountID(), Amount: amount(unit), BondingAccount: testShard.BondingAccount(), CallHash: p.Payout.CallHash}); args != want {
		t.Errorf("payout %+v, want %+v", args, want)
	}
	if keys := w.core.RequiredKeys(0); len(keys) != 2 || !slices.Equal(keys[1], legacyLayout.spentKey(p.Payout.CallHash)) {
		t.Errorf("required keys: %x", keys)
	}
	owed := w.core.Pending()[0]
	confirm, err := owed.Call(w.meta, testShard)
	if err != nil || len(confirm) != 2+64 {
		t.Fatalf("confirmation: %x, %v", confirm, err)
	}
	b = w.block().signed(w.worker, confirm, event{teerexPallet, "ProcessedParentchainBlock", integritee.EventLegacyProcessedParentchainBlock{
		Signer: w.worker.AccountID(), BlockHash: owed.Confirm.Hash, Root: owed.Confirm.Root}}, success)
	c = w.pay(b, w.worker, p.Payout, w.paid(p.Payout), success).run()
	if len(c.Settled) != 2 || len(w.payouts()) != 0 || len(c.Alarms) != 0 {
		t.Errorf("settled %v, owed %v, alarms %v", c.Settled, w.payouts(), c.Alarms)
	}
	replayed := w.newCore()
	replay(t, replayed, w.blocks, 1, nil)
	if replayed.View().StateRoot() != w.core.View().StateRoot() {
		t.Error("a replay comes to another root")
	}
}

// TestLegacyShielding: what was shielded is what call and transfer say alike
// (RULES 25).
func TestLegacyShielding(t *testing.T) {
	other := integritee.ShardID{1}
	move := func(w *legacyWorld, to integritee.ShardID, value uint64) event {
		return event{"Balances", "Transfer", transferEvent{w.user.AccountID(), to.BondingAccount(), amount(value)}}
	}
	for _, c := range []struct {
		name   string
		build  func(w *legacyWorld, b *builder, ct []byte)
		want   []stf.Code
		credit bool
		alarm  AlarmKind
	}{
		{"plain", func(w *legacyWorld, b *builder, ct []byte) { w.shield(b, ct, unit) }, []stf.Code{stf.Success}, true, 0},
		{"mis-encrypted", func(w *legacyWorld, b *builder, ct []byte) { w.shield(b, []byte("?"), unit) }, []stf.Code{stf.Refunded}, false, 0},
		{"failed", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.shieldCall(testShard, ct, unit), failed)
		}, nil, false, 0},
		{"another bonding account", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.shieldCall(other, ct, unit), append(w.shieldEvents(other, ct, unit), success)...)
		}, nil, false, 0},
		{"nothing", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.shieldCall(testShard, ct, 0), w.shieldEvents(testShard, ct, 0)[1], success)
		}, []stf.Code{stf.NotCredited}, false, 0},
		{"transfer of another amount", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.shieldCall(testShard, ct, unit), move(w, testShard, unit-1), w.shieldEvents(testShard, ct, 0)[1], success)
		}, []stf.Code{stf.NotMatched}, false, AlarmNotMatched},
		{"transfer to another account", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.shieldCall(testShard, ct, unit), move(w, other, unit), w.shieldEvents(testShard, ct, 0)[1], success)
		}, []stf.Code{stf.NotMatched}, false, AlarmNotMatched},
		{"no transfer", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.shieldCall(testShard, ct, unit), w.shieldEvents(testShard, ct, 0)[1], success)
		}, []stf.Code{stf.NotMatched}, false, AlarmNotMatched},
		{"event of another account", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.shieldCall(testShard, ct, unit), append(w.shieldEvents(testShard, []byte("other"), unit), success)...)
		}, []stf.Code{stf.NotMatched}, false, AlarmNotMatched},
		{"without a call", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.call("System", "remark", ct), append(w.shieldEvents(testShard, ct, unit), success)...)
		}, []stf.Code{stf.NoCiphertext}, false, AlarmNoCiphertext},
		{"without a call, to another account", func(w *legacyWorld, b *builder, ct []byte) {
			b.signed(w.user, w.call("System", "remark", ct), append(w.shieldEvents(other, ct, unit), success)...)
		}, nil, false, 0},
		{"scheduled", func(w *legacyWorld, b *builder, ct []byte) {
			for _, e := range w.shieldEvents(testShard, ct, unit) {
				b.hook(e)
			}
		}, []stf.Code{stf.NoCiphertext}, false, AlarmNoCiphertext},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newLegacyWorld(t)
			alice := pair(t, "//Alice")
			id := alice.AccountID()
			b := w.block()
			c.build(w, b, w.encrypt(id[:]))
			commit := b.run()
			if got := outcomes(commit); !slices.Equal(got, c.want) {
				t.Fatalf("outcomes %v, want %v", got, c.want)
			}
			if credited := !w.account(alice).Data.Free.IsZero(); credited != c.credit {
				t.Errorf("credited: %v", credited)
			}
			if c.alarm != 0 != (len(commit.Alarms) == 1) || c.alarm != 0 && commit.Alarms[0].Kind != c.alarm {
				t.Errorf("alarms: %v", commit.Alarms)
			}
			if c.want != nil && commit.Stats.Shieldings != 1 {
				t.Errorf("stats: %+v", commit.Stats)
			}
		})
	}
}

// TestLegacyPayouts: the event has the beneficiary only, so the call's
// arguments decide.
func TestLegacyPayouts(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(p *Payout)
		events   func(w *legacyWorld, p *Payout) []event
		returned bool
	}{
		{"paid", func(*Payout) {}, func(w *legacyWorld, p *Payout) []event { return []event{w.paid(p), success} }, false},
		{"another amount", func(p *Payout) { p.Amount = amount(1) }, func(w *legacyWorld, p *Payout) []event { return []event{w.paid(p), success} }, true},
		{"another beneficiary", func(p *Payout) { p.Beneficiary = keyring.AccountID{1} }, func(w *legacyWorld, p *Payout) []event { return []event{w.paid(p), success} }, true},
		{"no event", func(*Payout) {}, func(w *legacyWorld, p *Payout) []event { return []event{success} }, true},
	} {
		w := newLegacyWorld(t)
		alice := pair(t, "//Alice")
		id := alice.AccountID()
		w.shield(w.block(), w.encrypt(id[:]), 10*unit).run()
		w.invoke(w.block(), w.unshield(alice, w.user, unit, 0)).run()
		q := *w.payouts()[0].Payout
		c.change(&q)
		commit := w.pay(w.block(), pair(t, "//OtherWorker"), &q, c.events(w, &q)...).run()
		want := []stf.Code(nil)
		if c.returned {
			want = []stf.Code{stf.Returned}
		}
		if got := outcomes(commit); !slices.Equal(got, want) || len(commit.Settled) != 1 {
			t.Errorf("%s: outcomes %v, settled %v", c.name, got, commit.Settled)
		}
	}
}

// TestUpgradeOfLayout: the runtime goes from the legacy layout to today's while
// a payout is owed; the keys follow the runtime of each block.
func TestUpgradeOfLayout(t *testing.T) {
	w := newLegacyWorld(t)
	alice := pair(t, "//Alice")
	id := alice.AccountID()
	w.shield(w.block(), w.encrypt(id[:]), 10*unit).run()
	b := w.invoke(w.block(), w.unshield(alice, w.user, unit, 0))
	b.block.Digest = []header.DigestItem{{Kind: header.DigestRuntimeEnvironmentUpdated}}
	b.run()
	p := w.payouts()[0].Payout
	w.meta = newMultisigRuntime()
	if err := w.core.pretend(2, w.meta); err != nil {
		t.Fatal(err)
	}
	if keys := w.core.RequiredKeys(0); len(keys) != 2 || !slices.Equal(keys[1], bridgeLayout.spentKey(p.CallHash)) {
		t.Fatalf("required keys: %x", keys)
	}
	c := w.block().pay(w.worker, testShard, p, paid(testShard, p), success).invoke(w.transfer(alice, w.user, unit, 1)).run()
	if got := outcomes(c); len(c.Settled) != 1 || !slices.Equal(got, []stf.Code{stf.Success}) {
		t.Errorf("settled %v, outcomes %v", c.Settled, got)
	}
	// A runtime without either has nothing to say, and no way to be paid by.
	if _, err := (Effect{Payout: p}).Call(&metadata.Metadata{}, testShard); !errors.Is(err, metadata.ErrNotFound) {
		t.Errorf("a call of no runtime: %v", err)
	}
}

var legacyApp = sync.OnceValue(func() *stf.App {
	app, err := legacy.New()
	if err != nil {
		panic(err)
	}
	return app
})

// TestLegacyOperations runs calls and getters of the form of 2022 (P 1.7).
func TestLegacyOperations(t *testing.T) {
	w := newLegacyWorld(t, func(c *Config) { c.App, c.Trust.App = legacyApp(), legacy.Name })
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	id := alice.AccountID()
	sign := func(call []byte, nonce uint32) *integritee.TrustedCallSigned {
		s := integritee.SignCall(call, nonce, testFingerprint, testShard, alice)
		s.Legacy = true
		return s
	}
	transfer := legacy.BalanceTransfer(id, bob.AccountID(), amount(unit))
	unshield := sign(legacy.BalanceUnshield(id, bob.AccountID(), amount(unit), testShard), 1)
	wrapped := sign(transfer, 0)
	wrapped.Signature = alice.Sign(integritee.WrapBytes(integritee.CallPayload(transfer, 0, testFingerprint, testShard)))
	today := integritee.SignCall(transfer, 0, testFingerprint, testShard, alice)
	w.shield(w.block(), w.encrypt(id[:]), 10*unit).run()
	b := w.block()
	for _, top := range [][]byte{wrapped.IndirectCall(), today.IndirectCall(), sign(legacy.BalanceTransfer(id, bob.AccountID(), amount(99*unit)), 0).IndirectCall(),
		sign(transfer, 0).IndirectCall(), unshield.IndirectCall()} {
		w.invoke(b, w.encrypt(top))
	}
	c := b.run()
	want := []stf.Code{stf.Invalid, stf.Invalid, stf.ModuleError, stf.Success, stf.Success}
	if got := outcomes(c); !slices.Equal(got, want) {
		t.Fatalf("outcomes %v, want %v", got, want)
	}
	if p := w.payouts(); len(p) != 1 || p[0].Payout.CallHash != unshield.Hash() {
		t.Errorf("owed: %+v", p)
	}
	getter := integritee.SignGetter(legacy.GetterFreeBalance(id), alice)
	getter.Trusted.Legacy = true
	value, some, err := w.core.View().Getter(integritee.Request{Shard: testShard, Cyphertext: getter.AppendSCALE(nil)})
	if err != nil || !some || !slices.Equal(value, scale.MustMarshal(amount(8*unit))) {
		t.Errorf("free_balance: %x, %v, %v", value, some, err)
	}
	other := integritee.SignGetter(legacy.GetterNonce(pair(t, "//Nobody").AccountID()), pair(t, "//Nobody"))
	other.Trusted.Legacy = true
	if _, some, err := w.core.View().Getter(integritee.Request{Shard: testShard, Cyphertext: other.AppendSCALE(nil)}); some || err != nil {
		t.Errorf("nonce of nobody: %v, %v", some, err)
	}
}
