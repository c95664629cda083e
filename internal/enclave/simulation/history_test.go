package simulation

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/enclave/internal/envelope"
	"github.com/offchain-worker/sdk/internal/fabricate"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

var (
	fingerprint  = integritee.Fingerprint{0x51, 0x31}
	shard        = integritee.ShardID(fingerprint)
	foreignShard = integritee.ShardID{0xff, 1}
)

// workerCount is how many workers a history has.
const workerCount = 5

// session is after how many blocks the voters of the parentchain change.
const session = 600

// shieldingKey is in the repository and protects nothing. Nothing is encrypted
// to it here: the hash of the key material is in snapshots.
var shieldingKey = sync.OnceValue(func() *shielding.PrivateKey {
	text, err := os.ReadFile("../testdata/shielding-key.txt")
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

func pair(uri string) *keyring.Pair {
	p, err := keyring.FromURI(keyring.Ed25519, uri) // its signatures are a function of the message
	if err != nil {
		panic(err)
	}
	return p
}

// logic is an app with what its users do.
type logic interface {
	app() *stf.App
	// attach tells it of the history that it is used in.
	attach(h *history)
	// call returns a random call of a user.
	call(d dice, who *keyring.Pair) []byte
	// payout returns a call that asks for a payout.
	payout(d dice, who *keyring.Pair) []byte
	// mayCall reports whether somebody may make calls for an account.
	mayCall(owner, delegate stf.AccountID) bool
	// expect follows a call whose nonce is right and that was not refused
	// before: it reports whether the fee is paid, and the outcomes that it may
	// have.
	expect(call []byte, who stf.AccountID) (paid bool, want []stf.Outcome)
	// shielded follows a shielding, returned a payout that was given back.
	shielded(who stf.AccountID, amount stf.Balance) (want stf.Code)
	returned(who stf.AccountID, amount stf.Balance)
	// check compares what is known with the state.
	check(v *enclave.View) error
}

// block is a block of the chain with all that a worker needs to follow it.
type block struct {
	fabricate.Block
	justification []byte
	more          [][]byte // proof of what calls read of the parentchain
	endsSession   bool
	digest        digest // of what its execution must give
}

// digest tells commits of one block apart, as far as they must be the same on
// all workers.
type digest struct {
	Root, ConfirmationRoot, Receipts, Payouts, Rest hashing.Hash
}

// history makes a chain and knows what it must lead to. Its own core has no
// store; it tells the chain what the workers will ask for and send.
type history struct {
	dice
	logic   logic
	chain   *fabricate.Chain
	start   lightclient.Start
	runtime *enclave.Runtime
	keys    *enclave.KeyMaterial
	light   *lightclient.Client
	core    *enclave.Core
	users   []*keyring.Pair
	workers []*keyring.Pair
	model   *model
	sent    []sentCall // some, to be sent again
	// owed are the confirmations that each worker has to send.
	owed       [workerCount][]*enclave.Confirm
	registered [workerCount]header.Number
	operations int
	outcomes   map[stf.Code]int
	log        func(format string, args ...any)
}

type sentCall struct {
	plain []byte
	op    operation
}

func newHistory(seed, stream uint64, l logic) (*history, error) {
	chain, err := fabricate.New(fabricate.Options{Authorities: 3, Session: session, Accounts: 100})
	if err != nil {
		return nil, err
	}
	h := &history{dice: newDice(seed, stream), logic: l, chain: chain, outcomes: map[stf.Code]int{},
		keys: keyMaterial()}
	h.model = newModel(h)
	for i := range 40 {
		h.users = append(h.users, pair(fmt.Sprintf("//User%d", i)))
	}
	for i := range workerCount {
		h.workers = append(h.workers, pair(fmt.Sprintf("//Worker%d", i)))
	}
	l.attach(h)
	if h.start, err = chain.LightStart(); err != nil {
		return nil, err
	}
	h.light = lightclient.New(h.start)
	if h.core, err = h.newCore(h.config(0)); err != nil {
		return nil, err
	}
	code, err := h.core.ProveCode(chain.ProveStart(enclave.CodeKeys()...))
	if err != nil {
		return nil, err
	}
	if h.runtime, err = code.Execute(context.Background()); err != nil {
		return nil, err
	}
	return h, h.core.UseRuntime(h.runtime)
}

func keyMaterial() *enclave.KeyMaterial {
	return &enclave.KeyMaterial{Shielding: shieldingKey(), RootSeed: [32]byte{5, 0x51, 0x31}}
}

// config is that of a worker's core.
func (h *history) config(worker int) enclave.Config {
	return coreConfig(h.logic.app(), h.chain.GenesisHash(), h.workers[worker].AccountID())
}

func coreConfig(app *stf.App, genesis hashing.Hash, account stf.AccountID) enclave.Config {
	return enclave.Config{App: app, Trust: enclave.DevTrustConfig(genesis, shard, app.Name()), Keys: keyMaterial(), Fingerprint: fingerprint,
		Account: account, ConfirmAll: true, ReceiptBlocks: 200, Envelope: envelope.Without()}
}

// newCore returns a core at block 0.
func (h *history) newCore(cfg enclave.Config) (*enclave.Core, error) {
	return enclave.New(cfg, enclave.Start{Header: h.chain.Start(), Proof: h.chain.ProveStart(enclave.RequiredKeys(shard, 0)...),
		LightClient: lightclient.New(h.start).State()})
}

// next makes the next block with about so many operations, and executes it.
func (h *history) next(operations int) (*block, error) {
	b, err := h.chain.Block(h.core.RequiredKeys(h.core.View().Number()+1), func(b *fabricate.Builder) {
		h.serve(b)
		h.fill(b, operations)
	})
	if err != nil {
		return nil, err
	}
	// Without the state that it could prove more of: many blocks are kept.
	out := &block{Block: fabricate.Block{Header: b.Header, Body: b.Body, Proof: b.Proof}, justification: h.chain.Justify(), endsSession: h.chain.EndsSession(b.Header.Number)}
	final, err := h.light.Finalize([]header.Header{b.Header}, out.justification)
	if err != nil {
		return nil, err
	}
	commit, err := execute(h.core, final[0], &b, func(keys ...[]byte) [][]byte {
		out.more = b.Prove(keys...)
		return out.more
	})
	if err != nil {
		return nil, err
	}
	if err := h.core.Adopt(commit); err != nil {
		return nil, err
	}
	out.digest = digestOf(commit)
	if err := h.model.follow(commit); err != nil {
		return nil, fmt.Errorf("block %d: %w", commit.Number, err)
	}
	for i, n := range h.registered {
		if n > 0 && commit.Number > n {
			h.owed[i] = append(h.owed[i], &enclave.Confirm{Number: commit.Number, Hash: commit.Hash, Root: commit.ConfirmationRoot})
		}
	}
	return out, nil
}

// execute is what a worker does with a final block. prove returns the read proof
// of what its calls read.
func execute(core *enclave.Core, f lightclient.FinalHeader, b *fabricate.Block, prove func(keys ...[]byte) [][]byte) (*enclave.Commit, error) {
	v, err := f.Verify(trie.V0, b.Body, b.Proof, core.RequiredKeys(f.Number())...)
	if err != nil {
		return nil, err
	}
	p, err := core.Prepare(v)
	if err != nil {
		return nil, err
	}
	if keys := p.Keys(); len(keys) > 0 {
		if v, err = v.WithStorage(prove(keys...), keys...); err != nil {
			return nil, err
		}
	}
	return p.Execute(v)
}

// testHistory returns a history or fails the test.
func testHistory(t testing.TB, seed, stream uint64, l logic) *history {
	t.Helper()
	h, err := newHistory(seed, stream, l)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	h.log = t.Logf
	return h
}

// serve adds what workers do on the parentchain: they register, confirm, pay.
// Some of it fails, and some payouts meet thieves.
func (h *history) serve(b *fabricate.Builder) {
	n := b.Number()
	for i, w := range h.workers {
		if n == header.Number(2+i) {
			b.Register(w)
			h.registered[i] = n
		}
		for range min(len(h.owed[i]), 1+h.n(2)) {
			if h.in(8) {
				b.Confirm(w, shard, h.owed[i][0], false)
				continue
			}
			b.Confirm(w, shard, h.owed[i][0], true)
			h.owed[i] = h.owed[i][1:]
		}
	}
	if onStrike(n) {
		return
	}
	paid := 0
	for _, e := range h.core.Pending() {
		if e.Payout == nil || paid > 20 {
			continue
		}
		who := pick(h.dice, h.workers)
		switch h.n(24) {
		case 0, 1, 2, 3, 4, 5, 6, 7:
			b.Pay(who, shard, e.Payout)
			paid++
		case 8:
			b.FailedPay(who, shard, e.Payout)
		case 9: // somebody copied the call hash
			b.Pay(h.users[0], foreignShard, e.Payout)
		case 10: // given up
			nothing := *e.Payout
			nothing.Amount = stf.Balance{}
			b.Pay(who, shard, &nothing)
		}
	}
}

// onStrike reports whether nobody pays, while many ask for it, so that more is
// owed than is watched at a time.
func onStrike(n header.Number) bool { return n > 300 && n < 420 }

// call returns a user's random call.
func (h *history) call(who *keyring.Pair) []byte {
	if onStrike(h.core.View().Number()) && h.in(2) {
		return h.logic.payout(h.dice, who)
	}
	return h.logic.call(h.dice, who)
}

func digestOf(c *enclave.Commit) digest {
	receipts, payouts, rest := new(bytes.Buffer), new(bytes.Buffer), new(bytes.Buffer)
	for _, r := range c.Receipts {
		receipts.Write(scale.MustMarshal(r))
	}
	for _, e := range c.Added {
		if e.Payout != nil {
			payouts.Write(scale.MustMarshal(e.ID))
			payouts.Write(scale.MustMarshal(*e.Payout))
		}
	}
	for _, change := range c.Changes {
		fmt.Fprintf(rest, "%x=%x,%v\n", change.Key, change.Value, change.Value == nil)
	}
	for _, a := range c.Alarms {
		rest.Write(scale.MustMarshal(a))
	}
	rest.Write(scale.MustMarshal(c.Stats))
	rest.Write(scale.MustMarshal(c.LightClient))
	fmt.Fprint(rest, c.Number, c.Hash, c.ParentHash, c.ChainRoot, c.CodeHash, c.Now, c.Fingerprint, c.NewRuntime)
	return digest{c.StateRoot, c.ConfirmationRoot, hashing.Blake2b256(receipts.Bytes()), hashing.Blake2b256(payouts.Bytes()), hashing.Blake2b256(rest.Bytes())}
}
