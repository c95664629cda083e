package enclave

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

const unit = 1_000_000_000_000

var testFingerprint = integritee.Fingerprint{0xf1, 2, 3}

var testShard = integritee.ShardID(testFingerprint)

// testShielding is a key that protects nothing: it is in the repository.
var testShielding = sync.OnceValue(func() *shielding.PrivateKey {
	text, err := os.ReadFile("testdata/shielding-key.txt")
	if err != nil {
		panic(err)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		panic(err)
	}
	key, err := shielding.FromPKCS8(der)
	if err != nil {
		panic(err)
	}
	return key
})

var testRuntime = sync.OnceValue(func() *runtime.Runtime {
	r, err := runtime.New(runtime.Options{})
	if err != nil {
		panic(err)
	}
	return r
})

var testApp = sync.OnceValue(func() *stf.App {
	app, err := sample.New()
	if err != nil {
		panic(err)
	}
	return app
})

func testKeys() *KeyMaterial {
	return &KeyMaterial{Epoch: 0, Shielding: testShielding(), RootSeed: [32]byte{7, 7, 7}}
}

func pair(t testing.TB, uri string) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(keyring.Ed25519, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// world is a chain of fabricated blocks, really final, with one worker's core.
type world struct {
	t      testing.TB
	meta   *metadata.Metadata
	chain  *lightclienttest.Chain
	client *lightclient.Client
	start  Start
	cfg    Config
	core   *Core
	worker *keyring.Pair // the worker's account on the parentchain
	user   *keyring.Pair // pays for extrinsics
	now    uint64
	nonce  uint32
	blocks []*lightclient.VerifiedBlock
	stamps bool // each block stores its time, as a runtime does
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	return newWorldOf(t, testRuntime().Metadata, change...)
}

func newWorldOf(t testing.TB, meta *metadata.Metadata, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, meta: meta, worker: pair(t, "//Worker"), user: pair(t, "//User"), now: 1_700_000_000_000}
	w.chain = lightclienttest.New(t, lightclienttest.Options{})
	w.client = lightclient.New(w.chain.Start())
	w.cfg = Config{
		App:         testApp(),
		Trust:       DevTrustConfig(w.chain.GenesisHash(), testShard, sample.Name),
		Keys:        testKeys(),
		Fingerprint: testFingerprint,
		Account:     w.worker.AccountID(),
	}
	for _, f := range change {
		f(&w.cfg)
	}
	w.start = Start{
		Header:      w.chain.At(0).Header,
		Proof:       w.chain.Prove(0, RequiredKeys(w.cfg.Trust.Shard, 0)...),
		LightClient: w.client.State(),
	}
	w.core = w.newCore()
	return w
}

func (w *world) newCore() *Core {
	w.t.Helper()
	c, err := New(w.cfg, w.start)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.pretend(1, w.meta); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// pretend has the core take a runtime without code, for chains that are
// fabricated out of metadata.
func (c *Core) pretend(specVersion uint32, m *metadata.Metadata) error {
	info, err := newRuntimeInfo(specVersion, m)
	if err != nil {
		return err
	}
	before, code := c.tip.CodeHash, hashing.Blake2b256([]byte("pretended"), scale.AppendU32(nil, specVersion))
	c.tip.CodeHash = &code
	err = c.UseRuntime(&Runtime{runtimeInfo: info, code: code, version: system.RuntimeVersion{SpecVersion: specVersion, SystemVersion: 1}})
	if err != nil {
		c.tip.CodeHash = before
	}
	return err
}

// event is an event as the runtime deposits it; fields are marshalled.
type event struct {
	pallet, name string
	fields       any
}

// indexed are the fields of an event that has topics.
type indexed struct {
	fields any
	topics []hashing.Hash
}

var (
	success = event{"System", "ExtrinsicSuccess", system.DispatchInfo{}}
	failed  = event{"System", "ExtrinsicFailed", struct {
		E system.DispatchError
		I system.DispatchInfo
	}{system.DispatchError{BadOrigin: &struct{}{}}, system.DispatchInfo{}}}
)

// builder makes one block.
type builder struct {
	w       *world
	block   lightclienttest.Block
	records uint32
	events  []byte
	index   uint32
}

// block starts a block with its timestamp, six seconds after the last one.
func (w *world) block() *builder {
	w.t.Helper()
	w.now += 6000
	raw, err := extrinsic.EncodeBare(5, w.call("Timestamp", "set", scale.CompactU64(w.now)))
	if err != nil {
		w.t.Fatal(err)
	}
	b := (&builder{w: w}).add(raw, success)
	if w.stamps {
		b.store(timestampKey, scale.AppendU64(nil, w.now))
	}
	return b
}

func (b *builder) add(raw []byte, events ...event) *builder {
	b.block.Extrinsics = append(b.block.Extrinsics, raw)
	index := b.index
	b.index++
	for _, e := range events {
		b.deposit(system.Phase{ApplyExtrinsic: &index}, e)
	}
	return b
}

// deposit adds an event in a phase and returns its position.
func (b *builder) deposit(phase system.Phase, e event) uint32 {
	b.w.t.Helper()
	at, ok := b.w.meta.EventIndex(e.pallet, e.name)
	if !ok {
		b.w.t.Fatalf("no event %s.%s", e.pallet, e.name)
	}
	b.events = append(b.events, scale.MustMarshal(phase)...)
	b.events = append(b.events, at[:]...)
	fields, ok := e.fields.(indexed)
	if !ok {
		fields.fields = e.fields
	}
	b.events = append(b.events, scale.MustMarshal(fields.fields)...)
	b.events = append(b.events, scale.MustMarshal(fields.topics)...)
	b.records++
	return b.records - 1
}

// hook deposits an event of the initialization phase, as scheduled calls do.
func (b *builder) hook(e event) uint32 {
	return b.deposit(system.Phase{Initialization: &struct{}{}}, e)
}

func (w *world) call(pallet, name string, args any) []byte {
	w.t.Helper()
	index, ok := w.meta.CallIndex(pallet, name)
	if !ok {
		w.t.Fatalf("no call %s.%s", pallet, name)
	}
	return append(index[:], scale.MustMarshal(args)...)
}

func (w *world) sign(who *keyring.Pair, call []byte) []byte {
	w.t.Helper()
	raw, err := extrinsic.SignV4(call, who, extrinsic.SignParams{Meta: w.meta, Genesis: w.chain.GenesisHash(), SpecVersion: 1, TxVersion: 1, Nonce: w.nonce})
	if err != nil {
		w.t.Fatal(err)
	}
	w.nonce++
	return raw
}

func (b *builder) signed(who *keyring.Pair, call []byte, events ...event) *builder {
	return b.add(b.w.sign(who, call), events...)
}

func invoked(shard integritee.ShardID) event {
	return event{bridgePallet, "IndirectInvocationRegistered", integritee.EventIndirectInvocationRegistered{Shard: shard}}
}

// invoke adds a successful invocation with any ciphertext.
func (b *builder) invoke(ciphertext []byte) *builder { return b.invokeFor(testShard, ciphertext) }

func (b *builder) invokeFor(shard integritee.ShardID, ciphertext []byte) *builder {
	call := b.w.call(bridgePallet, "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: shard, Cyphertext: ciphertext}})
	return b.signed(b.w.user, call, invoked(shard), success)
}

// invokeInBatch adds a batch of successful invocations.
func (b *builder) invokeInBatch(ciphertexts ...[]byte) *builder {
	var calls []anyCall
	var events []event
	for _, ct := range ciphertexts {
		calls = append(calls, anyCall{invokeCall(b.w, testShard, ct)})
		events = append(events, invoked(testShard), event{"Utility", "ItemCompleted", struct{}{}})
	}
	return b.signed(b.w.user, b.w.call("Utility", "batch", batchArgs{calls}), append(events, event{"Utility", "BatchCompleted", struct{}{}}, success)...)
}

func (b *builder) shieldEvents(from keyring.AccountID, shard integritee.ShardID, encrypted []byte, amount uint64) []event {
	return []event{
		{"Balances", "Transfer", struct {
			From, To keyring.AccountID
			Amount   scale.U128
		}{from, shard.BondingAccount(), scale.NewU128(amount)}},
		{bridgePallet, "ShieldFunds", integritee.EventShieldFunds{Shard: shard, EncryptedBeneficiary: encrypted, Amount: scale.NewU128(amount)}},
	}
}

// shield adds a successful shield_funds.
func (b *builder) shield(shard integritee.ShardID, encrypted []byte, amount uint64) *builder {
	call := b.w.call(bridgePallet, "shield_funds", integritee.ShieldFundsArgs{Shard: shard, AccountEncrypted: encrypted, Amount: scale.NewU128(amount)})
	return b.signed(b.w.user, call, append(b.shieldEvents(b.w.user.AccountID(), shard, encrypted, amount), success)...)
}

// register adds the registration of an account with Teerex.
func (b *builder) register(who *keyring.Pair) *builder {
	call := b.w.call(teerexPallet, "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{Method: integritee.SkipAttestation()})
	return b.signed(who, call, event{teerexPallet, "AddedSgxEnclave", integritee.EventAddedSgxEnclave{
		RegisteredBy: who.AccountID(), AttestationMethod: integritee.SkipAttestation()}}, success)
}

// confirm adds a successful confirmation.
func (b *builder) confirm(who *keyring.Pair, c *Confirm) *builder {
	call, err := Effect{Confirm: c}.Call(b.w.meta, testShard)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return b.signed(who, call, event{bridgePallet, "ProcessedParentchainBlock", integritee.EventProcessedParentchainBlock{
		Shard: testShard, BlockHash: c.Hash, TrustedCallsMerkleRoot: c.Root, BlockNumber: c.Number}}, success)
}

func paid(shard integritee.ShardID, p *Payout) event {
	return event{bridgePallet, "UnshieldedFunds", integritee.EventUnshieldedFunds{Shard: shard, Beneficiary: p.Beneficiary, Amount: p.Amount}}
}

// pay adds an unshield_funds with the given events. If it succeeds its call
// hash is spent.
func (b *builder) pay(who *keyring.Pair, shard integritee.ShardID, p *Payout, events ...event) *builder {
	call, err := Effect{Payout: p}.Call(b.w.meta, shard)
	if err != nil {
		b.w.t.Fatal(err)
	}
	if slices.ContainsFunc(events, func(e event) bool { return e.name == success.name }) {
		b.spend(p.CallHash)
	}
	return b.signed(who, call, events...)
}

// spend lets EnclaveBridge.ExecutedUnshieldCalls hold a call hash.
func (b *builder) spend(hash hashing.Hash) *builder {
	return b.store(bridgeLayout.spentKey(hash), scale.AppendU64(nil, 1))
}

func (b *builder) store(key, value []byte) *builder {
	if b.block.Storage == nil {
		b.block.Storage = map[string][]byte{}
	}
	b.block.Storage[string(key)] = value
	return b
}

// seal finishes the block and makes it final.
func (b *builder) seal() *lightclient.VerifiedBlock {
	b.w.t.Helper()
	b.block.Events = append(scale.AppendCompact(nil, uint64(b.records)), b.events...)
	v := b.w.chain.Next(b.w.client, b.block, b.w.core.RequiredKeys(b.w.core.View().Number()+1)...)
	b.w.blocks = append(b.w.blocks, v)
	return v
}

// run executes the block on the world's core, by way of the store's bytes.
func (b *builder) run() *Commit {
	b.w.t.Helper()
	c, err := b.w.core.Execute(b.seal())
	if err != nil {
		b.w.t.Fatal(err)
	}
	if err := b.w.core.Adopt(c); err != nil {
		b.w.t.Fatal(err)
	}
	if err := b.w.core.checkPayouts(); err != nil {
		b.w.t.Fatal(err)
	}
	return c
}

func (w *world) encrypt(plain []byte) []byte {
	w.t.Helper()
	ct, err := testShielding().Public().Encrypt(rand.Reader, plain)
	if err != nil {
		w.t.Fatal(err)
	}
	return ct
}

// top returns an indirect call signed for the test's fingerprint and shard.
func top(who *keyring.Pair, call []byte, nonce uint32) []byte {
	return integritee.SignCall(call, nonce, testFingerprint, testShard, who).IndirectCall()
}

func amount(v uint64) scale.U128 { return scale.NewU128(v) }

func (w *world) transfer(from, to *keyring.Pair, value uint64, nonce uint32) []byte {
	return w.encrypt(top(from, sample.BalanceTransfer(from.AccountID(), to.AccountID(), amount(value)), nonce))
}

func (w *world) unshield(from, to *keyring.Pair, value uint64, nonce uint32) []byte {
	return w.encrypt(top(from, sample.BalanceUnshield(from.AccountID(), to.AccountID(), amount(value), testShard), nonce))
}

func (w *world) account(who *keyring.Pair) sample.AccountInfo {
	w.t.Helper()
	g := integritee.SignGetter(sample.GetterAccountInfo(who.AccountID()), who)
	value, some, err := w.core.View().Getter(integritee.Request{Shard: testShard, Cyphertext: g.AppendSCALE(nil)})
	if err != nil || !some {
		w.t.Fatalf("account_info: some %v, %v", some, err)
	}
	var info sample.AccountInfo
	if err := scale.Unmarshal(value, &info); err != nil {
		w.t.Fatal(err)
	}
	return info
}

// fund shields to an account in a block of its own.
func (w *world) fund(who *keyring.Pair, value uint64) {
	w.t.Helper()
	id := who.AccountID()
	c := w.block().shield(testShard, w.encrypt(id[:]), value).run()
	if got := c.Receipts[0].Outcome; !got.OK() {
		w.t.Fatalf("shielding: %v", got)
	}
}

func outcomes(c *Commit) []stf.Code {
	var out []stf.Code
	for _, r := range c.Receipts {
		out = append(out, r.Outcome.Code)
	}
	return out
}

// replay executes the blocks from number from on in another core, which must
// come to the same commits.
func replay(t testing.TB, c *Core, blocks []*lightclient.VerifiedBlock, from header.Number, want map[header.Number][]byte) {
	t.Helper()
	for _, b := range blocks {
		if b.Number() < from {
			continue
		}
		commit, err := c.Execute(b)
		if err != nil {
			t.Fatal(err)
		}
		if w := want[b.Number()]; w != nil && !bytes.Equal(commit.Encode(), w) {
			t.Fatalf("block %d: the commit differs", b.Number())
		}
		if err := c.Adopt(commit); err != nil {
			t.Fatal(err)
		}
	}
}

func hashes(list ...hashing.Hash) []hashing.Hash { return list }

func authoritySetHash(s lightclient.Start) hashing.Hash {
	return lightclient.AuthoritySetHash(s.SetID, s.Authorities)
}

func newLightClientState(s lightclient.Start) lightclient.State { return lightclient.New(s).State() }
