package sample

import (
	"errors"
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/shardinfo"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// books is the sample's rules written again, in the plainest way.
type books struct {
	enclave  stf.AccountID
	shard    [32]byte
	free     map[stf.AccountID]*big.Int
	nonce    map[stf.AccountID]uint32
	issuance *big.Int
}

func (b *books) of(who stf.AccountID) *big.Int {
	if v := b.free[who]; v != nil {
		return v
	}
	return new(big.Int)
}

func (b *books) set(who stf.AccountID, v *big.Int) {
	if v.Cmp(big.NewInt(500)) < 0 {
		b.issuance.Sub(b.issuance, v)
		delete(b.free, who)
		return
	}
	b.free[who] = v
}

func (b *books) move(from, to stf.AccountID, amount *big.Int) bool {
	left, sum := new(big.Int).Sub(b.of(from), amount), new(big.Int).Add(b.of(to), amount)
	if amount.Sign() == 0 {
		return true
	}
	if left.Sign() < 0 || sum.Cmp(big.NewInt(500)) < 0 {
		return false
	}
	if from != to {
		b.set(from, left)
		b.set(to, sum)
	}
	return true
}

func (b *books) shield(who stf.AccountID, amount *big.Int) bool {
	skim := new(big.Int).Div(amount, big.NewInt(571))
	credit := new(big.Int).Sub(amount, skim)
	if credit.Cmp(big.NewInt(500)) < 0 {
		return false
	}
	b.issuance.Add(b.issuance, amount)
	b.set(b.enclave, new(big.Int).Add(b.of(b.enclave), skim))
	b.set(who, new(big.Int).Add(b.of(who), credit))
	return true
}

// step is one random operation.
type step struct {
	shield   bool
	from, to stf.AccountID
	amount   uint64
	kind     int // 0 noop, 1 transfer, 2 with note, 3 unshield, 4 unshield for another shard
	note     int
	skew     int // of the nonce
	block    bool
}

func (b *books) call(s step) bool {
	if s.skew != 0 {
		return false
	}
	cost := int64(fee)
	switch s.kind {
	case 2:
		cost += int64(s.note) * one / 10_000
	case 3, 4:
		cost *= 3
	}
	if !b.move(s.from, b.enclave, big.NewInt(cost)) {
		return false
	}
	b.nonce[s.from]++
	amount := new(big.Int).SetUint64(s.amount)
	switch s.kind {
	case 1:
		return b.move(s.from, s.to, amount)
	case 2:
		return s.note <= 416 && b.move(s.from, s.to, amount)
	case 3:
		left := new(big.Int).Sub(b.of(s.from), amount)
		if left.Sign() < 0 {
			return false
		}
		b.issuance.Sub(b.issuance, amount)
		if amount.Sign() > 0 {
			b.set(s.from, left)
		}
	case 4:
		return false
	}
	return true
}

func (s step) bytes(shard [32]byte) []byte {
	switch s.kind {
	case 1:
		return BalanceTransfer(s.from, s.to, u(s.amount))
	case 2:
		return balanceTransferWithNote(s.from, s.to, u(s.amount), make([]byte, s.note))
	case 3:
		return BalanceUnshield(s.from, s.to, u(s.amount), shard)
	case 4:
		return BalanceUnshield(s.from, s.to, u(s.amount), [32]byte{1})
	}
	return Noop(s.from)
}

var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	who := rapid.SampledFrom([]stf.AccountID{alice, bob, carol, stftest.Account("enclave")})
	amount := rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 499, 500, 501, fee - 1, fee, fee + 499, fee + 500, 3 * fee, one}), rapid.Uint64Range(0, 4*one))
	return step{
		shield: rapid.IntRange(0, 3).Draw(t, "op") == 0,
		from:   who.Draw(t, "from"), to: who.Draw(t, "to"), amount: amount.Draw(t, "amount"),
		kind: rapid.IntRange(0, 4).Draw(t, "kind"), note: rapid.SampledFrom([]int{0, 1, 416, 417}).Draw(t, "note"),
		skew: rapid.SampledFrom([]int{0, 0, 0, 0, 0, 1, -1}).Draw(t, "skew"), block: rapid.IntRange(0, 4).Draw(t, "block") == 0,
	}
}), 1, 40)

// TestAgainstBooks runs random histories and compares every balance, nonce and
// the issuance with the books. A second shard executes the same operations in
// overlays that are nested in other ways, and must have the same roots.
func TestAgainstBooks(t *testing.T) {
	app, err := New()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := stftest.New(t, app)
		b := &books{enclave: s.Env.EnclaveAccount, shard: s.Env.Shard, nonce: map[stf.AccountID]uint32{},
			free: map[stf.AccountID]*big.Int{s.Env.EnclaveAccount: big.NewInt(1000)}, issuance: big.NewInt(1000)}
		twin := newTwin(rt, app, s.Env)
		for i, st := range steps.Draw(rt, "steps") {
			id := stf.Identity{Block: s.Env.Number, Index: uint32(len(s.Receipts()))}
			var r, r2 stf.Result
			var want bool
			if st.shield {
				want = b.shield(st.to, new(big.Int).SetUint64(st.amount))
				r = s.Shield(st.to, u(st.amount))
				r2 = app.Shield(twin.open(), s.Env, st.to, u(st.amount), id)
			} else {
				want = b.call(st)
				c, _ := s.Decode(st.bytes(s.Env.Shard))
				op := stf.Operation{Call: c, Nonce: s.Nonce(st.from) + uint32(st.skew), CallHash: hashing.Blake2b256([]byte(fmt.Sprint(i))), Identity: id}
				r = s.Execute(op)
				r2 = app.Execute(twin.open(), s.Env, op)
			}
			if r.Outcome.OK() != want || r2.Outcome != r.Outcome || r2.Gas != r.Gas {
				rt.Fatalf("step %d %+v: %v (%v), twin %v, want success %v", i, st, r.Outcome, r.Err, r2.Outcome, want)
			}
			b.compare(rt, s)
			if st.block {
				env, receipts := s.Env, s.Receipts()
				if root, root2 := s.NextBlock(), twin.next(env, receipts, s.Env); root != root2 {
					rt.Fatalf("step %d: roots %v and %v", i, root, root2)
				}
			}
		}
	})
}

func (b *books) compare(t *rapid.T, s *stftest.Shard) {
	t.Helper()
	sum := new(big.Int)
	for _, who := range []stf.AccountID{alice, bob, carol, b.enclave} {
		var info AccountInfo
		s.Trusted(GetterAccountInfo(who), &info)
		if info.Data.Free.Big().Cmp(b.of(who)) != 0 || info.Nonce != b.nonce[who] || (info.Providers == 1) != (b.free[who] != nil) {
			t.Fatalf("account %v: %+v, want %v with nonce %d", who, info, b.of(who), b.nonce[who])
		}
		sum.Add(sum, b.of(who))
	}
	var total stf.Balance
	s.Public(GetterTotalIssuance(), &total)
	if total.Big().Cmp(b.issuance) != 0 || sum.Cmp(b.issuance) != 0 {
		t.Fatalf("issuance %v, books %v, sum of accounts %v", total, b.issuance, sum)
	}
}

// twin executes in overlays of random depth, merged now and then.
type twin struct {
	t     *rapid.T
	app   *stf.App
	state *state.State
	stack []*state.Overlay
}

func newTwin(t *rapid.T, app *stf.App, env stf.Env) *twin {
	w := &twin{t: t, app: app, state: state.New([32]byte{1})}
	first := env
	first.Number, first.Hash, first.ParentHash, first.Now = 0, env.ParentHash, stf.Hash{}, 0
	o := state.NewOverlay(w.state.Snapshot())
	if err := app.Genesis(o, first); err != nil {
		t.Fatal(err)
	}
	w.state.Apply(0, o.Changes())
	w.begin(env)
	return w
}

func (w *twin) begin(env stf.Env) {
	w.stack = []*state.Overlay{state.NewOverlay(w.state.Snapshot())}
	if err := w.app.BeginBlock(w.open(), env); err != nil {
		w.t.Fatal(err)
	}
}

func (w *twin) open() *state.Overlay {
	top := w.stack[len(w.stack)-1]
	switch depth := rapid.IntRange(0, 2).Draw(w.t, "depth"); {
	case depth == 0 && len(w.stack) > 1:
		w.merge()
	case depth == 2:
		w.stack = append(w.stack, top.Child())
	}
	return w.stack[len(w.stack)-1]
}

func (w *twin) merge() {
	w.stack[len(w.stack)-1].Merge()
	w.stack = w.stack[:len(w.stack)-1]
}

func (w *twin) next(env stf.Env, receipts []stf.Receipt, next stf.Env) stf.Hash {
	if err := w.app.EndBlock(w.open(), env, receipts); err != nil {
		w.t.Fatal(err)
	}
	for len(w.stack) > 1 {
		w.merge()
	}
	w.state.Apply(env.Number, w.stack[0].Changes())
	root := w.state.Root()
	w.begin(next)
	return root
}

// TestGoldenHistory pins the state roots of a fixed history: a change here is
// a change of what all workers must agree on.
func TestGoldenHistory(t *testing.T) {
	s := stftest.New(t, newApp(t))
	var got []string
	block := func(ops ...any) {
		for _, op := range ops {
			switch op := op.(type) {
			case []byte:
				s.Call(op)
			case stf.Balance:
				s.Shield(alice, op)
			}
		}
		got = append(got, s.NextBlock().String())
	}
	block()
	block(u(6 * one))
	block(BalanceTransfer(alice, bob, u(2*one)), BalanceUnshield(alice, carol, u(one), s.Env.Shard), BalanceUnshield(alice, carol, u(one), s.Env.Shard))
	block(BalanceTransfer(bob, carol, u(one/5)), BalanceTransfer(bob, carol, u(2*one)), balanceTransferWithNote(bob, carol, u(one/5), []byte("note")))
	block(Noop(stftest.Account("nobody")), BalanceTransfer(carol, alice, u(4*one/10-3*fee)), []byte{200})
	block()
	want := []string{
		"0x38c69acf21e380bbc9663d747005597298022debba466d2be14b8aa4e96ac044",
		"0x9cbef8521f69197afbc8229af51fe25c39e4aa0e24efb934f12483342da09001",
		"0x51b370277ad2e41f7a93a08c8297bb3fe01c082bd82376a4ef6fddbd68cc34ac",
		"0x573792422a1dc9a065396afa47714dc387af4ff4364200ece4f1e7b3ba7949b6",
		"0xc36da25eecaa6076412ecf9fec6cea6498fdcccca77c18492074c80315bdee6a",
		"0xec7e0de5ca5a55667a1a727764b051fa0bb20015644989a3172a01f4799605f8",
	}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("block %d: root %s, want %s", i+1, got[i], want[i])
		}
	}
}

// FuzzDecodeCall: whatever is in a ciphertext decodes to a call that uses
// exactly its bytes or fails, and executing what decodes neither panics nor
// leaves more than it may.
func FuzzDecodeCall(f *testing.F) {
	app := newApp(f)
	base := stftest.New(f, app)
	base.Shield(alice, u(100*one))
	for _, b := range [][]byte{Noop(alice), timestampSet(alice, 1, shardinfo.TargetB), BalanceTransfer(alice, bob, u(one)), balanceTransferWithNote(alice, bob, u(1), []byte("note")),
		balanceShield(alice, bob, u(1)), BalanceUnshield(alice, bob, u(1), base.Env.Shard), sendNote(alice, bob, []byte("note")),
		addSessionProxy(alice, bob, SessionProxyCredentials{Role: roleAny}), guessTheNumberGuess(alice, 7), {3}, {255}, {}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := scale.NewDecoder(b)
		c := app.DecodeCall(d)
		if d.Err() != nil {
			if c.Raw != nil || c.Name != "" {
				t.Errorf("an error comes with %+v", c)
			}
			return
		}
		if string(c.Raw) != string(b[:d.Offset()]) || len(c.Raw) != len(c.Path)+32+len(c.Args) {
			t.Errorf("%x decodes to %+v", b, c)
		}
		o := state.NewOverlay(base.State())
		r := app.Execute(o, base.Env, stf.Operation{Call: c, Nonce: app.Nonce(o, c.Sender), CallHash: hashing.Blake2b256(b)})
		switch r.Outcome.Code {
		case stf.Success, stf.ModuleError, stf.FeeUnpaid:
		default:
			t.Errorf("%x ends in %v: %v", b, r.Outcome, r.Err)
		}
		if !r.Outcome.OK() && len(r.Effects) > 0 {
			t.Errorf("%x failed with effects", b)
		}
	})
}

// FuzzDecodeGetter: like FuzzDecodeCall for what state_executeGetter carries.
func FuzzDecodeGetter(f *testing.F) {
	app := newApp(f)
	base := stftest.New(f, app)
	asset := AssetID(20)
	for _, b := range [][]byte{GetterSomeValue(), GetterTotalIssuance(), getterUndistributedFees(nil), getterUndistributedFees(&asset), getterParentchainsInfo(), getterShardInfo(),
		getterNoteBucketsInfo(), getterGuessTheNumberInfo()} {
		f.Add(append([]byte{0}, b...))
	}
	for _, b := range [][]byte{GetterAccountInfo(alice), getterAccountEssentials(alice), getterNotesFor(alice, 0), getterGuessAttempts(alice)} {
		f.Add(append(append([]byte{1}, b...), make([]byte, 66)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := scale.NewDecoder(b)
		g := integritee.DecodeGetter(d, app.SkipPublicGetter, app.SkipTrustedGetter)
		if d.Err() != nil {
			return
		}
		if again := g.AppendSCALE(nil); string(again) != string(b[:d.Offset()]) {
			t.Errorf("%x is written as %x", b[:d.Offset()], again)
		}
		if g.Trusted != nil {
			if _, err := app.GetterOwner(g.Trusted.Getter); err != nil {
				t.Errorf("%x has no owner: %v", b, err)
			}
		}
		value, some, err := app.Query(base.State(), base.Env, g)
		if errors.Is(err, ErrNoEVM) {
			return
		}
		if err != nil || some != (value != nil) || !some && (g.Trusted == nil || g.Trusted.Delegate == nil) {
			t.Errorf("%x: %x %v %v", b, value, some, err)
		}
	})
}
