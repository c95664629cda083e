package enclave

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// TestDispatchersOfTheDevChain: the dev chain's dispatchers look like real ones.
func TestDispatchersOfTheDevChain(t *testing.T) {
	meta := testRuntime().Metadata
	r, err := newRuntimeInfo(1, meta)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dispatcherNames {
		if index, ok := meta.CallIndex(d.pallet, d.call); ok && r.calls[index].kind != d.kind {
			t.Errorf("%s.%s is not understood", d.pallet, d.call)
		}
	}
	for index, info := range r.calls {
		if p, v, _ := meta.Call(index); info.kind == callUnknown {
			t.Errorf("%s.%s dispatches in an unknown way", p.Name, v.Name)
		}
	}
}

// TestDevChainExecutesAlike runs random trees through the dev chain's runtime,
// whose dispatch others wrote: whatever fails there and why, the match is exact.
// Each invocation names a shard of its own, so that an event tells its call.
func TestDevChainExecutesAlike(t *testing.T) {
	const seed = 6
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	rt := testRuntime()
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		t.Fatal(err)
	}
	w.user = pair(t, "//Real") // for whom alice is a proxy
	changes, err := rt.Genesis(runtime.Genesis{Sudo: alice.AccountID(), Balances: map[keyring.AccountID]scale.U128{
		alice.AccountID(): amount(1_000_000 * unit), w.user.AccountID(): amount(1000 * unit), testShard.BondingAccount(): amount(1000 * unit)}})
	if err != nil {
		t.Fatal(err)
	}
	var state trie.Trie
	for _, c := range changes {
		state = state.Set(c.Key, c.Value)
	}
	nonces := map[keyring.AccountID]uint32{}
	// run executes an extrinsic in a block of its own and scans that.
	run := func(who *keyring.Pair, call []byte) *scan {
		t.Helper()
		w.now += 6000
		x := rt.Begin(state, 1, hashing.Hash{}, nil)
		x.SkipSignatures = true
		raw, err := extrinsic.SignV4(call, who, extrinsic.SignParams{Meta: w.meta, SpecVersion: 1, TxVersion: 1, Nonce: nonces[who.AccountID()]})
		if err != nil {
			t.Fatal(err)
		}
		body := [][]byte{rt.TimestampInherent(w.now), raw}
		for _, raw := range body {
			if _, err := x.Apply(raw); err != nil {
				t.Fatal(err)
			}
		}
		result, err := x.Finish()
		if err != nil {
			t.Fatal(err)
		}
		nonces[who.AccountID()]++
		for _, c := range result.Changes {
			if c.Value == nil {
				state = state.Delete(c.Key)
			} else {
				state = state.Set(c.Key, c.Value)
			}
		}
		s, err := w.core.scan(body, scale.MustMarshal(result.Events))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	run(w.user, w.call("Proxy", "add_proxy", struct {
		Delegate keyring.MultiAddress
		Type     uint8
		Delay    uint32
	}{Delegate: keyring.AddressOf(alice.AccountID())}))
	run(alice, w.call(teerexPallet, "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{Proof: testFingerprint[:], Method: integritee.SkipAttestation()}))

	tooMuch := w.call("Balances", "transfer_allow_death", struct {
		To     keyring.MultiAddress
		Amount scale.CompactU128
	}{keyring.AddressOf(w.user.AccountID()), scale.CompactU128(amount(unit).SaturatingAdd(scale.U128{Hi: 1}))})
	invoked, paid, failed := 0, 0, 0
	n := 4_000
	if testing.Short() {
		n = 400
	}
	for i := range n {
		size := 1 + r.IntN(14)
		c := randomTree(r, &size, 6)
		id := 0
		var adapt func(c *simCall)
		adapt = func(c *simCall) {
			switch {
			case c.name == "invoke":
				c.shard = integritee.ShardID{0x77, byte(i), byte(i >> 8), byte(id)}
				id++
			case c.name == "unshield_funds":
				c.shard, c.id = testShard, i/3
			case c.name == "if_else": // not on the dev chain
				c.name = "force_batch"
			case c.name == "dispatch_as_fallible":
				c.name = "with_weight"
			case len(c.inside) == 0 && c.fails:
				c.name, c.raw = "raw", tooMuch
			}
			for _, inside := range c.inside {
				adapt(inside)
			}
		}
		adapt(c)
		s := run(alice, c.encode(w))
		x := &s.extrinsics[1]
		m, exact := x.match(&bridgeLayout)
		if !exact || len(s.alarms) > 0 || x.status == statusUnknown {
			t.Fatalf("%v: exact %v, alarms %v, signals %+v", c, exact, s.alarms, x.signals)
		}
		events := map[uint32]integritee.ShardID{}
		for _, e := range x.signals {
			if e.kind == signalInvoked {
				events[e.event] = e.shard()
			}
		}
		for _, v := range m.invocations {
			if events[v.event] != v.request.Shard {
				t.Fatalf("%v: event %d matched with a call of another shard", c, v.event)
			}
			delete(events, v.event)
		}
		if len(events) > 0 {
			t.Fatalf("%v: events without a call: %v", c, events)
		}
		invoked += len(m.invocations)
		for _, p := range m.payments {
			if p.paid {
				paid++
			}
		}
		if x.status == statusFailed {
			failed++
		}
	}
	t.Logf("%d trees: %d invocations ran, %d payments were made, %d extrinsics failed", n, invoked, paid, failed)
	if invoked < n/5 || paid < n/100 || failed < n/100 || failed > n*3/4 {
		t.Error("the trees test little")
	}
}

// devNetwork is a dev chain with a follower of the shard.
type devNetwork struct {
	*world // for its calls and envelopes
	t      *testing.T
	chain  *devchain.Chain
	worker *follower
	alice  *keyring.Pair // of the dev chain, sudo
	nonce  uint32
	inside *keyring.Pair // has funds inside
}

func newDevNetwork(t *testing.T, endowed ...*keyring.Pair) *devNetwork {
	t.Helper()
	w := pair(t, "//Worker1")
	endow := map[[32]byte]scale.U128{w.AccountID(): amount(1000 * unit)}
	for _, p := range endowed {
		endow[p.AccountID()] = amount(1000 * unit)
	}
	now := time.UnixMilli(1_700_000_000_000)
	chain, err := devchain.Open(devchain.Config{Manual: true, Endow: endow, Clock: func() time.Time { now = now.Add(6 * time.Second); return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		t.Fatal(err)
	}
	n := &devNetwork{world: &world{t: t, meta: testRuntime().Metadata, user: alice}, t: t, chain: chain, worker: follow(t, chain, w), alice: alice, inside: pair(t, "//AliceIncognito")}
	submit(t, chain, w, n.registration(testFingerprint), 0)
	id := n.inside.AccountID()
	n.send(n.shielding(n.encrypt(id[:]), 20*unit))
	n.seal()
	return n
}

func (n *devNetwork) registration(f integritee.Fingerprint) []byte {
	return n.call(teerexPallet, "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{Proof: f[:], Method: integritee.SkipAttestation()})
}

func (n *devNetwork) shielding(ciphertext []byte, value uint64) []byte {
	return n.call(bridgePallet, "shield_funds", integritee.ShieldFundsArgs{Shard: testShard, AccountEncrypted: ciphertext, Amount: amount(value)})
}

func (n *devNetwork) send(call []byte) {
	n.t.Helper()
	submit(n.t, n.chain, n.alice, call, n.nonce)
	n.nonce++
}

// seal makes a block; the follower executes it and does not send anything.
func (n *devNetwork) seal() *Commit {
	n.t.Helper()
	if _, err := n.chain.Seal(context.Background()); err != nil {
		n.t.Fatal(err)
	}
	n.worker.sync()
	return n.worker.last
}

// free is what the account inside has.
func (n *devNetwork) free() scale.U128 {
	n.t.Helper()
	n.core = n.worker.core
	return n.account(n.inside).Data.Free
}

// solvent checks that the bonding account holds what is inside and owed, with
// extra more or less.
func (n *devNetwork) solvent(shielded uint64) {
	n.t.Helper()
	if got := accountInfo(n.t, n.chain, testShard.BondingAccount()).Data.Free; got != amount(shielded) {
		n.t.Errorf("the bonding account holds %v, want %d", got, shielded)
	}
}

// replays checks that a worker which comes late has the same state.
func (n *devNetwork) replays() {
	n.t.Helper()
	late := follow(n.t, n.chain, pair(n.t, "//Late"))
	late.sync()
	if a, b := late.core.View().StateRoot(), n.worker.core.View().StateRoot(); a != b {
		n.t.Errorf("a late worker has root %v, want %v", a, b)
	}
}

// pool returns the extrinsics in the node's pool, as anybody can ask for them.
func (n *devNetwork) pool() (out [][]byte) {
	n.t.Helper()
	request := httptest.NewRequest("POST", "/", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"author_pendingExtrinsics","params":[]}`))
	request.Header.Set("Content-Type", "application/json")
	response := httptest.NewRecorder()
	n.chain.Handler().ServeHTTP(response, request)
	var reply struct{ Result []string }
	if err := json.Unmarshal(response.Body.Bytes(), &reply); err != nil {
		n.t.Fatal(err, response.Body)
	}
	for _, x := range reply.Result {
		raw, err := hex.DecodeString(strings.TrimPrefix(x, "0x"))
		if err != nil {
			n.t.Fatal(err)
		}
		out = append(out, raw)
	}
	return out
}

// TestForeignEnclaveCopiesCallHash: an enclave of another measurement and shard
// takes the call hash of a payout from the pool and uses it first, with a
// higher tip. The pallet then takes the payout for made; we do not.
func TestForeignEnclaveCopiesCallHash(t *testing.T) {
	thief, ferdie := pair(t, "//Thief"), pair(t, "//Nobody")
	n := newDevNetwork(t, thief)
	foreign := integritee.Fingerprint{0xbad & 0xff}
	submit(t, n.chain, thief, n.registration(foreign), 0)
	before := n.free()
	n.send(invokeCall(n.world, testShard, n.unshield(n.inside, ferdie, 5*unit, 0)))
	n.seal()
	if spent, _ := before.Sub(n.free()); spent != amount(5*unit+3*unit/100) {
		t.Fatalf("unshielding took %v", spent)
	}
	n.worker.send()
	stolen := 0
	for _, raw := range n.pool() {
		var x scanned
		if err := x.decode(raw, n.worker.core.runtime.runtimeInfo); err != nil || len(x.calls.unshields) == 0 {
			continue
		}
		call := n.call(bridgePallet, "unshield_funds", integritee.UnshieldFundsArgs{Shard: integritee.ShardID(foreign), Beneficiary: thief.AccountID(), CallHash: x.calls.unshields[0].CallHash})
		submitTip(t, n.chain, thief, call, 1, unit)
		stolen++
	}
	if stolen != 1 {
		t.Fatalf("%d payouts were in the pool", stolen)
	}
	c := n.seal()
	if len(c.Own) != 2 || !c.Own[0].Success || !c.Own[1].Success { // confirmation and payout
		t.Fatalf("the worker's own extrinsics: %+v", c.Own)
	}
	if !accountInfo(t, n.chain, ferdie.AccountID()).Data.Free.IsZero() {
		t.Fatal("the payout was made: nothing was stolen")
	}
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Returned}) || len(n.worker.alarms) != 1 || n.worker.alarms[0].Kind != AlarmConsumed {
		t.Fatalf("outcomes %v, alarms %v", got, n.worker.alarms)
	}
	if lost, _ := before.Sub(n.free()); lost != amount(3*unit/100) {
		t.Errorf("alice lost %v, want the fee of the attempt", lost)
	}
	n.solvent(20 * unit)
	// She asks again, and nobody is in the way.
	n.send(invokeCall(n.world, testShard, n.unshield(n.inside, ferdie, 5*unit, 1)))
	n.seal()
	n.worker.send()
	n.seal()
	if got := accountInfo(t, n.chain, ferdie.AccountID()).Data.Free; got != amount(5*unit) {
		t.Errorf("ferdie was paid %v", got)
	}
	n.solvent(15 * unit)
	n.replays()
}

// TestPayoutThatCannotBeMade is tried, given up and refunded: less than the
// existential deposit cannot go to an account that does not exist.
func TestPayoutThatCannotBeMade(t *testing.T) {
	n := newDevNetwork(t)
	before := n.free()
	n.send(invokeCall(n.world, testShard, n.unshield(n.inside, pair(t, "//Nobody"), 1000, 0)))
	n.seal()
	for i := 0; ; i++ {
		if i > 100 {
			t.Fatal("it was never given up")
		}
		n.worker.send()
		if c := n.seal(); len(c.Receipts) > 0 {
			if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Returned}) {
				t.Fatalf("outcomes: %v", got)
			}
			break
		}
	}
	if lost, _ := before.Sub(n.free()); lost != amount(3*unit/100) || len(n.worker.alarms) != 0 {
		t.Errorf("alice lost %v, alarms %v", lost, n.worker.alarms)
	}
	n.solvent(20 * unit)
	n.replays()
}

// TestShieldingOfAnyOrigin shields in all the ways that funds can move on the
// dev chain, right and mis-encrypted: they are credited, or go back to whoever
// really paid (RULES 13).
func TestShieldingOfAnyOrigin(t *testing.T) {
	real := pair(t, "//Real")
	n := newDevNetwork(t, real)
	alice := n.alice.AccountID()
	address := keyring.AddressOf
	derivative, multisig1 := runtime.Derivative(alice, 7), runtime.MultisigAccount(1, alice, real.AccountID())
	multisig2 := runtime.MultisigAccount(2, alice, real.AccountID())
	for _, who := range []keyring.AccountID{derivative, multisig1, multisig2} {
		n.send(n.call("Balances", "transfer_allow_death", struct {
			To     keyring.MultiAddress
			Amount scale.CompactU128
		}{address(who), scale.CompactU128(amount(100 * unit))}))
	}
	submit(t, n.chain, real, n.call("Proxy", "add_proxy", struct {
		Delegate keyring.MultiAddress
		Type     uint8
		Delay    uint32
	}{Delegate: address(alice)}), 0)
	n.seal()
	signedBy := func(who keyring.AccountID) []byte { return append([]byte{0, 1}, who[:]...) } // OriginCaller::system(Signed)
	dispatchAs := func(who keyring.AccountID, call []byte) []byte {
		index, _ := n.meta.CallIndex("Utility", "dispatch_as")
		return append(append(index[:], signedBy(who)...), call...)
	}
	in := func(name string, call []byte) []byte { return n.call("Utility", name, batchArgs{[]anyCall{{call}}}) }
	fails := n.call("Sudo", "set_key", address(derivative)) // of another than the key's holder
	cases := []struct {
		name  string
		wrap  func(call []byte) []byte
		payer keyring.AccountID
		later bool // runs in the block after the next
	}{
		{"plain", func(c []byte) []byte { return c }, alice, false},
		{"batch", func(c []byte) []byte { return in("batch", c) }, alice, false},
		{"batch, interrupted", func(c []byte) []byte {
			return n.call("Utility", "batch", batchArgs{[]anyCall{{c}, {n.call("Utility", "as_derivative", derivativeArgs{7, anyCall{fails}})}}})
		}, alice, false},
		{"batch_all", func(c []byte) []byte { return in("batch_all", c) }, alice, false},
		{"force_batch", func(c []byte) []byte { return in("force_batch", c) }, alice, false},
		{"as_derivative", func(c []byte) []byte { return n.call("Utility", "as_derivative", derivativeArgs{7, anyCall{c}}) }, derivative, false},
		{"proxy", func(c []byte) []byte {
			return n.call("Proxy", "proxy", proxyArgs{Real: address(real.AccountID()), Call: anyCall{c}})
		}, real.AccountID(), false},
		{"as_multi_threshold_1", func(c []byte) []byte {
			return n.call("Multisig", "as_multi_threshold_1", threshold1Args{[]keyring.AccountID{real.AccountID()}, anyCall{c}})
		}, multisig1, false},
		{"sudo_as", func(c []byte) []byte {
			return n.call("Sudo", "sudo_as", sudoAsArgs{address(real.AccountID()), anyCall{c}})
		}, real.AccountID(), false},
		{"sudo, dispatch_as", func(c []byte) []byte { return n.call("Sudo", "sudo", callArgs{anyCall{dispatchAs(derivative, c)}}) }, derivative, false},
		{"scheduled", func(c []byte) []byte {
			when := uint32(n.chain.Best().Number()) + 2
			return n.call("Sudo", "sudo", callArgs{anyCall{n.call("Scheduler", "schedule", scheduleArgs{When: when, Call: anyCall{dispatchAs(real.AccountID(), c)}})}})
		}, real.AccountID(), true},
		{"proxy in a batch in a proxy", func(c []byte) []byte {
			return in("batch", n.call("Proxy", "proxy", proxyArgs{Real: address(real.AccountID()), Call: anyCall{in("force_batch", c)}}))
		}, real.AccountID(), false},
	}
	id := n.inside.AccountID()
	total := uint64(20 * unit)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, right := range []bool{true, false} {
				ciphertext := n.encrypt(id[:])
				if !right {
					ciphertext = fmt.Appendf(nil, "mis-encrypted %s", c.name)
				}
				before := n.free()
				n.send(c.wrap(n.shielding(ciphertext, unit)))
				commit := n.seal()
				if c.later {
					commit = n.seal()
				}
				total += unit
				want := []stf.Code{stf.Success}
				if !right {
					want[0] = stf.Refunded
				}
				if got := outcomes(commit); !slices.Equal(got, want) || len(n.worker.alarms) != 0 {
					t.Fatalf("outcomes %v, want %v; alarms %v", got, want, n.worker.alarms)
				}
				if r := commit.Receipts[0]; *r.Sender != c.payer || *r.OperationHash != hashing.Blake2b256(ciphertext) {
					t.Errorf("receipt %+v, want sender %v", r, c.payer)
				}
				more, _ := n.free().Sub(before)
				var back *Payout
				for _, e := range commit.Added {
					if e.Payout != nil {
						back = e.Payout
					}
				}
				switch {
				case right && (more != amount(unit-unit/571) || back != nil):
					t.Errorf("credited %v, refund %v", more, back)
				case !right && (!more.IsZero() || back == nil || back.Beneficiary != c.payer || back.Amount != amount(unit-RefundCost)):
					t.Errorf("credited %v, refund %+v", more, back)
				}
			}
		})
	}
	n.solvent(total)
	// The same through a multisig of two: the first approval moves nothing.
	call := n.shielding(n.encrypt(id[:]), unit)
	approve := func(who *keyring.Pair, other keyring.AccountID, when *timepoint) []byte {
		return n.call("Multisig", "as_multi", asMultiArgs{Threshold: 2, Others: []keyring.AccountID{other}, When: when, Call: anyCall{call}, MaxWeight: weightV2{1 << 40, 1 << 40}})
	}
	submit(t, n.chain, real, approve(real, alice, nil), 1)
	if c := n.seal(); len(c.Receipts) != 0 {
		t.Errorf("first approval: %v", c.Receipts)
	}
	n.send(approve(n.alice, real.AccountID(), &timepoint{uint32(n.chain.Best().Number()), 1}))
	if c := n.seal(); len(c.Receipts) != 1 || *c.Receipts[0].Sender != multisig2 || !c.Receipts[0].Outcome.OK() {
		t.Errorf("last approval: %+v", c.Receipts)
	}
	n.replays()
}
