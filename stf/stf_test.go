package stf_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Probe is a module whose calls do what tests need.
type Probe struct {
	Cell  stf.Map[uint32, []byte] `pallet:"hasher=Identity"`
	Log   stf.Value[[]string]
	leak  stf.Call // what an app must not do
	hooks func(h stf.Hook, name string) error
}

type Noted struct{ N uint32 }

var (
	ErrNo     = stf.NewError(7, "No", "no")
	ErrForged = stf.NewError(8, "Forged", "of no module")
	errPlain  = errors.New("no number")
)

func (p *Probe) Put(ctx stf.Call, k uint32, v []byte) error {
	p.Cell.Set(ctx, k, v)
	ctx.Emit(Noted{k})
	return nil
}

// Fail writes, emits, unshields and then ends in one of many ways.
func (p *Probe) Fail(ctx stf.Call, how string) error {
	p.Cell.Set(ctx, 1, []byte("must not stay"))
	ctx.Emit(Noted{1})
	ctx.Unshield(ctx.Sender(), scale.NewU128(5))
	switch how {
	case "coded":
		return ErrNo
	case "wrapped":
		return fmt.Errorf("because: %w", ErrNo)
	case "plain":
		return errPlain
	case "forged":
		return ErrForged
	case "panic":
		panic("secret " + how)
	case "nil":
		var m *Probe
		m.Log.Set(ctx, nil)
	case "index":
		_ = []int{}[len(how)-5]
	case "gas":
		for {
			ctx.Charge(1_000)
		}
	case "gas overflow":
		ctx.Charge(1)
		ctx.Charge(1<<64 - 1)
	case "gas caught":
		defer func() { _ = recover() }()
		for i := range uint32(1 << 30) {
			p.Cell.Set(ctx, i, make([]byte, 1000))
		}
	case "event":
		ctx.Emit(struct{ X uint8 }{1})
	case "leak":
		p.leak = ctx
		return ErrNo
	case "leaked":
		p.Cell.Set(p.leak, 2, []byte("late"))
	}
	return nil
}

func (p *Probe) Pay(ctx stf.Call, n uint32) error {
	for i := range n {
		ctx.Unshield(ctx.Sender(), scale.NewU128(uint64(i)))
	}
	return nil
}

func (p *Probe) Read(q stf.Query, who stf.AccountID, k uint32) ([]byte, error) {
	switch k {
	case 100:
		return nil, ErrNo
	case 101:
		panic("secret")
	case 102:
		for {
			q.Charge(1 << 20)
		}
	}
	return p.Cell.Get(q, k), nil
}

func (p *Probe) Context(q stf.Query) ([]string, error) {
	a, b := q.Random("x"), q.Random("y")
	return []string{fmt.Sprint(q.BlockNumber(), q.Now()), q.BlockHash().String(), q.Genesis().String(), fmt.Sprintf("%x", q.Shard()),
		fmt.Sprintf("%x", a), fmt.Sprintf("%x", b)}, nil
}

func (p *Probe) hook(h stf.Hook, name string) error {
	p.Log.Set(h, append(p.Log.Get(h), fmt.Sprint(name, h.BlockNumber())))
	if p.hooks != nil {
		return p.hooks(h, name)
	}
	return nil
}

func (p *Probe) Genesis(h stf.Hook) error    { return p.hook(h, "genesis") }
func (p *Probe) BeginBlock(h stf.Hook) error { return p.hook(h, "begin") }
func (p *Probe) EndBlock(h stf.Hook) error   { return p.hook(h, "end") }

func probeModule(p *Probe) stf.ModuleDecl {
	return stf.Module("Probe", p, stf.At(9),
		stf.Calls(stf.Method("Put", 0, "k", "v"), stf.Method("Fail", 1), stf.Method("Pay", 2)),
		stf.Getters(stf.Method("Read", 0)), stf.Public(stf.Method("Context", 0)),
		stf.Events(Noted{}), stf.Errors(ErrNo))
}

func probe(t *testing.T, change func(*stf.Config)) (*stftest.Shard, *Probe, *stf.App) {
	t.Helper()
	p := new(Probe)
	cfg := stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(p)}}
	if change != nil {
		change(&cfg)
	}
	app, err := stf.NewApp(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return stftest.New(t, app), p, app
}

var alice, bob = stftest.Account("alice"), stftest.Account("bob")

func call(index byte, sender stf.AccountID, args any) []byte {
	b := append([]byte{9, index}, sender[:]...)
	if args != nil {
		b = append(b, scale.MustMarshal(args)...)
	}
	return b
}

func put(sender stf.AccountID, k uint32, v string) []byte {
	return call(0, sender, struct {
		K uint32
		V []byte
	}{k, []byte(v)})
}

func cell(s *stftest.Shard, k uint32) string {
	var v []byte
	s.Trusted(call(0, alice, k), &v)
	return string(v)
}

func TestCallsAndGetters(t *testing.T) {
	app, err := counterApp()
	if err != nil {
		t.Fatal(err)
	}
	s := stftest.New(t, app)
	increment := func(who stf.AccountID, by uint32) []byte {
		return scale.AppendU32(append([]byte{1, 0}, who[:]...), by)
	}
	if r := s.Call(increment(alice, 3)); !r.Outcome.OK() {
		t.Fatal(r)
	}
	if r := s.Call(increment(bob, 4)); !r.Outcome.OK() {
		t.Fatal(r)
	}
	r := s.Call(increment(alice, 5))
	want := append([]byte{1, 0}, scale.MustMarshal(Incremented{alice, 8})...)
	if diff := cmp.Diff([][]byte{want}, r.Events); diff != "" {
		t.Error(diff)
	}
	if r := s.Call(increment(alice, 101)); r.Outcome != (stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 1}) {
		t.Error(r)
	}
	var n uint64
	s.Trusted(append([]byte{1, 0}, alice[:]...), &n)
	if n != 8 {
		t.Errorf("alice has %d, want 8", n)
	}
	s.Public([]byte{1, 1}, &n)
	if n != 12 {
		t.Errorf("total %d, want 12", n)
	}
	if s.Nonce(alice) != 3 || s.Nonce(bob) != 1 {
		t.Errorf("nonces %d and %d, want 3 and 1", s.Nonce(alice), s.Nonce(bob))
	}
}

// TestUndo: whatever way a call ends but success, of its effects only nonce
// and fee stay (RULES 11).
func TestUndo(t *testing.T) {
	fee := func(p *Probe) func(stf.Call, stf.DecodedCall) error {
		return func(ctx stf.Call, c stf.DecodedCall) error {
			p.Cell.Set(ctx, 50, []byte("paid"))
			ctx.Emit(Noted{50})
			return nil
		}
	}
	for how, want := range map[string]stf.Outcome{
		"coded":        {Code: stf.ModuleError, Module: 9, Error: 7},
		"wrapped":      {Code: stf.ModuleError, Module: 9, Error: 7},
		"plain":        {Code: stf.Failed},
		"forged":       {Code: stf.Failed},
		"panic":        {Code: stf.Panicked},
		"nil":          {Code: stf.Panicked},
		"index":        {Code: stf.Panicked},
		"gas":          {Code: stf.OutOfGas},
		"gas overflow": {Code: stf.OutOfGas},
		"gas caught":   {Code: stf.OutOfGas},
		"event":        {Code: stf.Panicked},
		"leak":         {Code: stf.ModuleError, Module: 9, Error: 7},
	} {
		t.Run(how, func(t *testing.T) {
			p := new(Probe)
			app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(p)}, Fee: fee(p)})
			if err != nil {
				t.Fatal(err)
			}
			s := stftest.New(t, app)
			s.Call(put(alice, 1, "before"))
			r := s.Call(call(1, alice, how))
			if r.Outcome != want {
				t.Errorf("outcome %v (%v), want %v", r.Outcome, r.Err, want)
			}
			if len(r.Effects) != 0 || len(r.Events) != 1 || !bytes.Equal(r.Events[0], []byte{9, 0, 50, 0, 0, 0}) {
				t.Errorf("effects %v, events %x: want the fee's event only", r.Effects, r.Events)
			}
			if got := cell(s, 1); got != "before" {
				t.Errorf("cell holds %q", got)
			}
			if got := cell(s, 50); got != "paid" {
				t.Errorf("fee cell holds %q", got)
			}
			if s.Nonce(alice) != 2 {
				t.Errorf("nonce %d, want 2", s.Nonce(alice))
			}
			if want.Code == stf.OutOfGas && r.Gas != stf.DefaultGasPerCall {
				t.Errorf("gas %d, want the ceiling", r.Gas)
			}
		})
	}
}

func TestContextEndsWithItsCall(t *testing.T) {
	s, _, _ := probe(t, nil)
	s.Call(call(1, alice, "leak"))
	if r := s.Call(call(1, alice, "leaked")); r.Outcome.Code != stf.Panicked {
		t.Errorf("outcome %v, want a panic on the use of an old context", r.Outcome)
	}
	if cell(s, 2) != "" {
		t.Error("a write through an old context arrived")
	}
}

// TestSince: a call that was added later stays failed in the blocks before,
// however often history is replayed (RULES 17).
func TestSince(t *testing.T) {
	p := new(Probe)
	app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{stf.Module("Probe", p, stf.At(9),
		stf.Calls(stf.Method("Put", 0).Since(3), stf.Method("Fail", 1), stf.Method("Pay", 2)),
		stf.Getters(stf.Method("Read", 0)), stf.Public(stf.Method("Context", 0)), stf.Events(Noted{}))}})
	if err != nil {
		t.Fatal(err)
	}
	s := stftest.New(t, app)
	for s.Env.Number < 5 {
		want := stf.UnknownCall
		if s.Env.Number >= 3 {
			want = stf.Success
		}
		if r := s.Call(put(alice, 1, "x")); r.Outcome.Code != want {
			t.Errorf("block %d: %v, want %v", s.Env.Number, r.Outcome, want)
		}
		// Even if the caller decoded by the newest logic.
		c := app.DecodeCall(scale.NewDecoder(put(bob, 1, "x")))
		if r := s.Execute(stf.Operation{Call: c, Nonce: s.Nonce(bob)}); r.Outcome.Code != want {
			t.Errorf("block %d: %v, want %v", s.Env.Number, r.Outcome, want)
		}
		s.NextBlock()
	}
}

func TestNilCallIsRefused(t *testing.T) {
	s, _, _ := probe(t, nil)
	if r := s.Execute(stf.Operation{}); r.Outcome.Code != stf.UnknownCall {
		t.Errorf("outcome %v of an operation without call", r.Outcome)
	}
}

// TestRefusals: what comes before the fee changes nothing but what RULES 12
// remembers, and what is remembered never runs.
func TestRefusals(t *testing.T) {
	var unpaid, admitted bool
	s, _, app := probe(t, func(c *stf.Config) {
		c.Fee = func(ctx stf.Call, _ stf.DecodedCall) error {
			ctx.Emit(Noted{99})
			if unpaid {
				return errPlain
			}
			return nil
		}
		c.MayCall = func(q stf.Query, _ stf.DecodedCall, delegate stf.AccountID) bool { return admitted && delegate == bob }
	})
	op := func(nonce uint32, salt byte, delegate *stf.AccountID) stf.Operation {
		c, _ := s.Decode(put(alice, 1, "x"))
		return stf.Operation{Call: c, Nonce: nonce, Delegate: delegate, CallHash: stf.Hash{1, byte(nonce), salt}}
	}
	steps := []struct {
		name     string
		op       stf.Operation
		unpaid   bool
		admitted bool
		want     stf.Code
		refused  uint64
		nonce    uint32
	}{
		{"delegate without authority", op(0, 0, &bob), false, false, stf.NotAuthorized, 0, 0},
		{"nonce too high", op(1, 0, nil), false, false, stf.BadNonce, 1, 0},
		{"the same again", op(1, 0, nil), false, false, stf.FailedBefore, 1, 0},
		{"another with that nonce", op(1, 1, nil), false, false, stf.BadNonce, 2, 0},
		{"far too high", op(9, 0, nil), false, false, stf.BadNonce, 3, 0},
		{"fee unpaid", op(0, 2, nil), true, false, stf.FeeUnpaid, 4, 0},
		{"the same, now paid", op(0, 2, nil), false, false, stf.FailedBefore, 4, 0},
		{"signed again", op(0, 3, nil), false, false, stf.Success, 3, 1},
		{"nonce used up", op(0, 3, nil), false, false, stf.BadNonce, 3, 1},
		{"nonce used up, another", op(0, 2, nil), false, false, stf.BadNonce, 3, 1},
		{"refused before, its nonce now due", op(1, 0, nil), false, false, stf.FailedBefore, 3, 1},
		{"and the other", op(1, 1, nil), false, false, stf.FailedBefore, 3, 1},
		{"delegate with authority", op(1, 2, &bob), false, true, stf.Success, 1, 2},
		{"the other delegate", op(2, 2, &alice), false, true, stf.NotAuthorized, 1, 2},
		{"passed, so forgotten", op(1, 0, nil), false, false, stf.BadNonce, 1, 2},
	}
	for i, st := range steps {
		unpaid, admitted = st.unpaid, st.admitted
		r := s.Execute(st.op)
		if r.Outcome.Code != st.want {
			t.Fatalf("step %d, %s: %v, want %v", i, st.name, r.Outcome, st.want)
		}
		if st.want != stf.Success && (r.Gas != 0 || len(r.Events) != 0 || len(r.Effects) != 0) {
			t.Errorf("step %d, %s: a refusal gave %+v", i, st.name, r)
		}
		if n := app.RefusedCalls(s.State()); n != st.refused {
			t.Errorf("step %d, %s: %d refused calls, want %d", i, st.name, n, st.refused)
		}
		if n := s.Nonce(alice); n != st.nonce {
			t.Errorf("step %d, %s: nonce %d, want %d", i, st.name, n, st.nonce)
		}
		if i%3 == 0 {
			s.NextBlock()
		}
	}
}

func TestLastNonceIsNeverUsed(t *testing.T) {
	s, _, _ := probe(t, nil)
	c, _ := s.Decode(put(alice, 1, "x"))
	// Reach the last nonce the short way.
	s.State().Set(nonceKey(alice), scale.AppendU32(nil, 1<<32-1))
	if s.Nonce(alice) != 1<<32-1 {
		t.Fatal("the test does not know the nonce's key")
	}
	if r := s.Execute(stf.Operation{Call: c, Nonce: 1<<32 - 1}); r.Outcome.Code != stf.BadNonce || s.Nonce(alice) != 1<<32-1 {
		t.Errorf("outcome %v, nonce %d", r.Outcome, s.Nonce(alice))
	}
}

func nonceKey(who stf.AccountID) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("System", "Nonces"), who[:])
}

// TestFeePanicsAreRefusals: also a broken fee leaves no trace.
func TestFeePanicsAreRefusals(t *testing.T) {
	for name, fee := range map[string]func(p *Probe, ctx stf.Call) error{
		"panic":    func(p *Probe, ctx stf.Call) error { panic("x") },
		"gas":      func(p *Probe, ctx stf.Call) error { ctx.Charge(1 << 60); return nil },
		"unshield": func(p *Probe, ctx stf.Call) error { ctx.Unshield(alice, scale.NewU128(1)); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			p := new(Probe)
			app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(p)}, Fee: func(ctx stf.Call, _ stf.DecodedCall) error {
				p.Cell.Set(ctx, 1, []byte("fee"))
				return fee(p, ctx)
			}})
			if err != nil {
				t.Fatal(err)
			}
			s := stftest.New(t, app)
			r := s.Call(put(alice, 2, "x"))
			if r.Outcome.Code != stf.FeeUnpaid || len(r.Effects) != 0 || cell(s, 1) != "" || s.Nonce(alice) != 0 || app.RefusedCalls(s.State()) != 1 {
				t.Errorf("%+v, cell %q, nonce %d, %d refused", r, cell(s, 1), s.Nonce(alice), app.RefusedCalls(s.State()))
			}
		})
	}
}

func TestFilterComesAfterTheFee(t *testing.T) {
	s, _, _ := probe(t, func(c *stf.Config) {
		c.Fee = func(ctx stf.Call, _ stf.DecodedCall) error { ctx.Emit(Noted{99}); return nil }
		c.Filter = func(_ stf.Query, c stf.DecodedCall) error {
			if c.Name == "Probe.put" {
				return ErrNo
			}
			return nil
		}
	})
	r := s.Call(put(alice, 1, "x"))
	if r.Outcome != (stf.Outcome{Code: stf.ModuleError, Module: 9, Error: 7}) || len(r.Events) != 1 || s.Nonce(alice) != 1 || cell(s, 1) != "" {
		t.Errorf("%+v, nonce %d", r, s.Nonce(alice))
	}
	if r := s.Call(call(2, alice, uint32(0))); !r.Outcome.OK() {
		t.Errorf("%+v", r)
	}
}

// TestRefund: the app credits again what will never be paid, or leaves no trace.
func TestRefund(t *testing.T) {
	u := stf.Unshield{Beneficiary: bob, Amount: scale.NewU128(7), CallHash: stf.Hash{1}, From: alice}
	credit := func(how string) func(stf.Call, stf.AccountID, stf.Balance) error {
		return func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
			if who != alice || amount != u.Amount || ctx.Sender() != ctx.EnclaveAccount() {
				t.Errorf("refund of %v to %v by %v", amount, who, ctx.Sender())
			}
			ctx.StorageWriter().Set([]byte("trace"), []byte{1})
			ctx.Emit(Noted{5})
			switch how {
			case "coded":
				return ErrNo
			case "panic":
				panic("secret")
			case "unshield":
				ctx.Unshield(who, amount)
			case "gas":
				ctx.Charge(1 << 60)
			}
			return nil
		}
	}
	for _, c := range []struct {
		name           string
		refund, shield string // how the hooks go; "" for none
		want           stf.Code
	}{
		{"refund", "well", "panic", stf.Returned},
		{"shield instead", "", "well", stf.Returned},
		{"neither", "", "", stf.NotReturned},
		{"refused", "coded", "well", stf.NotReturned},
		{"panics", "panic", "", stf.NotReturned},
		{"out of gas", "gas", "", stf.NotReturned},
		{"unshields again", "", "unshield", stf.NotReturned},
	} {
		s, _, _ := probe(t, func(cfg *stf.Config) {
			if c.refund != "" {
				cfg.Refund = credit(c.refund)
			}
			if c.shield != "" {
				cfg.Shield = credit(c.shield)
			}
		})
		r := s.Refund(u)
		if r.Outcome.Code != c.want || len(r.Effects) != 0 {
			t.Errorf("%s: %+v, want %v", c.name, r, c.want)
		}
		if _, trace := s.State().Get([]byte("trace")); trace != (c.want == stf.Returned) || len(r.Events) > 0 != trace {
			t.Errorf("%s: trace %v, %d events", c.name, trace, len(r.Events))
		}
	}
}

// TestPayouts: what is owed is in the state until it is settled.
func TestPayouts(t *testing.T) {
	s, _, app := probe(t, nil)
	before := s.NextBlock()
	a, b := stf.PayoutID{Block: 1}, stf.PayoutID{Block: 1, Index: 1}
	u := stf.Unshield{Beneficiary: bob, Amount: scale.NewU128(7), CallHash: stf.Hash{1}, From: alice}
	app.OpenPayout(s.State(), a, u)
	app.OpenPayout(s.State(), b, u)
	app.ClosePayout(s.State(), a)
	got := maps.Collect(app.Payouts(s.State()))
	if diff := cmp.Diff(map[stf.PayoutID]stf.Unshield{b: u}, got); diff != "" {
		t.Error(diff)
	}
	if after := s.NextBlock(); after == before {
		t.Error("the state root does not tell")
	}
	if a.Compare(b) >= 0 || b.Compare(stf.PayoutID{Block: 2}) >= 0 || b.Compare(b) != 0 {
		t.Error("the order is wrong")
	}
}

// TestHookUnshields: hooks and triggers ask for payouts, too, numbered through
// the block; one that fails asks for nothing, and at genesis nobody can.
func TestHookUnshields(t *testing.T) {
	s, p, app := probe(t, nil)
	from, to := stftest.Account("from"), stftest.Account("to")
	pay := func(h stf.Hook, value uint64) { h.Unshield(from, to, scale.NewU128(value)) }
	p.hooks = func(h stf.Hook, name string) error {
		if name == "begin" {
			pay(h, 1)
			pay(h, 2)
		} else {
			pay(h, 3)
			return ErrNo
		}
		return nil
	}
	o := state.NewOverlay(s.State())
	env := s.Env
	env.Effects = new(stf.Effects)
	if err := app.BeginBlock(o, env); err != nil {
		t.Fatal(err)
	}
	first := env.Effects.Take()
	if err := app.EndBlock(o, env, nil); !errors.Is(err, ErrNo) {
		t.Fatal(err)
	}
	if more := env.Effects.Take(); len(first) != 2 || len(more) != 0 {
		t.Fatalf("effects %v, then %v", first, more)
	}
	p.hooks = func(h stf.Hook, name string) error { pay(h, 4); return nil }
	if err := app.EndBlock(o, env, nil); err != nil {
		t.Fatal(err)
	}
	for i, e := range append(first, env.Effects.Take()...) {
		id := stf.Identity{Block: env.Number, Index: math.MaxUint32}
		want := stf.Unshield{Beneficiary: to, Amount: scale.NewU128([]uint64{1, 2, 4}[i]), CallHash: env.CallHash(id, uint32(i)), From: from}
		if *e.Unshield != want {
			t.Errorf("unshield %d: %+v, want %+v", i, *e.Unshield, want)
		}
	}
	env.Effects = nil
	if err := app.Genesis(o, env); err == nil || !strings.Contains(err.Error(), "nothing can be unshielded here") {
		t.Errorf("at genesis: %v", err)
	}
}

// TestCallHashes: the first unshield carries the hash of the signed call, the
// others hashes that cannot be known outside and never repeat (RULES 21).
func TestCallHashes(t *testing.T) {
	s, _, _ := probe(t, func(c *stf.Config) {
		c.Shield = func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
			ctx.Unshield(who, amount)
			return nil
		}
	})
	c, _ := s.Decode(call(2, alice, uint32(3)))
	id := stf.Identity{Block: s.Env.Number, Index: 0}
	r := s.Execute(stf.Operation{Call: c, CallHash: stf.Hash{7}})
	var got []stf.Hash
	for i, e := range r.Effects {
		if e.Unshield.Beneficiary != alice || e.Unshield.Amount != scale.NewU128(uint64(i)) {
			t.Errorf("effect %d: %+v", i, e.Unshield)
		}
		got = append(got, e.Unshield.CallHash)
	}
	want := []stf.Hash{{7}, s.Env.CallHash(id, 1), s.Env.CallHash(id, 2)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	id.Index = 1
	r = s.Shield(bob, scale.NewU128(9))
	if len(r.Effects) != 1 || r.Effects[0].Unshield.CallHash != s.Env.CallHash(id, 0) {
		t.Errorf("unshield of a shielding: %+v", r.Effects)
	}

	env := stf.Env{Shard: [32]byte{1}, Secret: [32]byte{2}}
	const golden = "0xcfe524535a428e6a673737f14f496b9083a2023623e1c4c156648204fd124580"
	if h := env.CallHash(stf.Identity{Block: 3, Index: 4}, 5).String(); h != golden {
		t.Errorf("call hash %s, want %s", h, golden)
	}
	seen := map[stf.Hash]bool{}
	for _, e := range []stf.Env{{}, {Shard: [32]byte{1}}, {Secret: [32]byte{1}}} {
		for _, id := range []stf.Identity{{}, {Block: 1}, {Index: 1}} {
			for k := range uint32(3) {
				h := e.CallHash(id, k)
				if seen[h] {
					t.Errorf("call hash of %v %v %d repeats", e, id, k)
				}
				seen[h] = true
			}
		}
	}
}

func TestGas(t *testing.T) {
	s, _, _ := probe(t, nil)
	key := 32 + 4
	for _, c := range []struct {
		call []byte
		want uint64
	}{
		{put(alice, 1, "12345"), stf.GasWrite + stf.GasPerByte*uint64(key+6) + stf.GasEmit + stf.GasPerByte*6},
		{call(2, alice, uint32(0)), 0},
		{call(2, alice, uint32(2)), 2 * stf.GasUnshield},
	} {
		if r := s.Call(c.call); !r.Outcome.OK() || r.Gas != c.want {
			t.Errorf("%x: gas %d, want %d (%v)", c.call, r.Gas, c.want, r.Outcome)
		}
	}

	exact := uint64(stf.GasWrite + stf.GasPerByte*(key+6) + stf.GasEmit + stf.GasPerByte*6)
	for _, limit := range []uint64{exact - 1, exact} {
		s, _, _ := probe(t, func(c *stf.Config) { c.GasPerCall = limit })
		r := s.Call(put(alice, 1, "12345"))
		if r.Outcome.OK() != (limit == exact) || r.Gas != limit {
			t.Errorf("limit %d of %d: %v with gas %d", limit, exact, r.Outcome, r.Gas)
		}
	}
}

func TestQueries(t *testing.T) {
	s, _, app := probe(t, func(c *stf.Config) {
		c.MayRead = func(_ stf.Query, owner, delegate stf.AccountID, getter string) bool {
			return owner == alice && delegate == bob && getter != "" || owner == bob
		}
	})
	s.Call(put(alice, 1, "value"))
	trusted := func(g []byte, delegate *stf.AccountID) integritee.Getter {
		return integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: g, Delegate: delegate}}
	}
	for _, c := range []struct {
		name   string
		getter integritee.Getter
		value  string
		some   bool
		err    error
	}{
		{"owner", trusted(call(0, alice, uint32(1)), nil), "\x14value", true, nil},
		{"admitted delegate", trusted(call(0, alice, uint32(1)), &bob), "\x14value", true, nil},
		{"other delegate", trusted(call(0, alice, uint32(1)), &alice), "", false, nil},
		{"error", trusted(call(0, alice, uint32(100)), nil), "", false, ErrNo},
		{"panic", trusted(call(0, alice, uint32(101)), nil), "", false, stf.ErrGetter},
		{"gas", trusted(call(0, alice, uint32(102)), nil), "", false, stf.ErrGetter},
		{"unknown", trusted(call(3, alice, nil), nil), "", false, stf.ErrUnknownGetter},
		{"unknown with delegate", trusted(call(3, alice, nil), &bob), "", false, stf.ErrUnknownGetter},
		{"unknown public", integritee.Getter{Public: []byte{9, 1}}, "", false, stf.ErrUnknownGetter},
		{"empty", integritee.Getter{Public: []byte{}}, "", false, scale.ErrShort},
		{"trailing", integritee.Getter{Public: []byte{9, 0, 0}}, "", false, scale.ErrTrailing},
		{"short", trusted(call(0, alice, uint16(0)), nil), "", false, scale.ErrShort},
	} {
		value, some, err := app.Query(s.State(), s.Env, c.getter)
		if string(value) != c.value || some != c.some || !errors.Is(err, c.err) || (err != nil) != (c.err != nil) {
			t.Errorf("%s: %q %v %v, want %q %v %v", c.name, value, some, err, c.value, c.some, c.err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells what the getter panicked with: %v", c.name, err)
		}
	}
	if !app.MayRead(s.State(), s.Env, bob, alice) || app.MayRead(s.State(), s.Env, alice, bob) {
		t.Error("MayRead does not ask the app")
	}
	_, _, without := probe(t, nil)
	if without.MayRead(s.State(), s.Env, bob, alice) {
		t.Error("MayRead without a rule admits")
	}
}

// TestQueriesCannotWrite: what storage items take to write is a Writer, and a
// Query is none, so that a write in a getter does not compile.
func TestQueriesCannotWrite(t *testing.T) {
	writer := reflect.TypeFor[stf.Writer]()
	if reflect.TypeFor[stf.Query]().Implements(writer) || reflect.PointerTo(reflect.TypeFor[stf.Query]()).Implements(writer) {
		t.Error("a Query is a Writer")
	}
	if !reflect.TypeFor[stf.Call]().Implements(writer) || !reflect.TypeFor[stf.Query]().Implements(reflect.TypeFor[stf.Reader]()) {
		t.Error("a Call is no Writer or a Query no Reader")
	}
	set, _ := reflect.TypeFor[*stf.Value[uint64]]().MethodByName("Set")
	if set.Type.In(1) != writer {
		t.Errorf("Value.Set takes a %v", set.Type.In(1))
	}
	// Nor can the store behind it be turned into one that writes.
	var q stf.Query
	if _, ok := q.StorageReader().(pallet.KV); ok {
		t.Error("a Query's store can be written")
	}
}

func TestWritingGetterDoesNotCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the compiler")
	}
	out, err := exec.Command("go", "build", "-o", os.DevNull, "./testdata/querywrites").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("there is no go command")
	}
	if err == nil || !strings.Contains(string(out), "StorageWriter") {
		t.Errorf("a getter that writes: %v\n%s", err, out)
	}
}

func TestHooks(t *testing.T) {
	s, p, app := probe(t, nil)
	s.NextBlock()
	var log []string
	key := hashing.StoragePrefix("Probe", "Log")
	raw, _ := s.State().Get(key)
	if err := scale.Unmarshal(raw, &log); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"genesis0", "begin1", "end1", "begin2"}, log); diff != "" {
		t.Error(diff)
	}

	// A hook that fails is undone alone, and the block goes on.
	p.hooks = func(h stf.Hook, name string) error {
		if name == "begin" {
			panic("x")
		}
		return errPlain
	}
	o := state.NewOverlay(s.State())
	if err := app.BeginBlock(o, s.Env); err == nil || len(o.Changes()) != 0 {
		t.Errorf("BeginBlock: %v with %d changes", err, len(o.Changes()))
	}
	if err := app.EndBlock(o, s.Env, nil); !errors.Is(err, errPlain) {
		t.Errorf("EndBlock: %v", err)
	}
	if _, ok := app.ReceiptsRoot(o, s.Env.Number); !ok {
		t.Error("the receipts root was not written after a failed hook")
	}
	if v, _ := o.Get(key); !bytes.Equal(v, raw) {
		t.Error("a failed hook left something")
	}
}

func TestReceiptsRoots(t *testing.T) {
	s, _, app := probe(t, nil)
	var roots []stf.Hash
	for range stf.ReceiptRing + 3 {
		if len(roots)%100 == 1 {
			s.Call(put(alice, uint32(len(roots)), "x"))
		}
		roots = append(roots, s.Env.ReceiptsRootOf(s.Receipts()))
		s.NextBlock()
	}
	last := len(roots)
	for i, want := range roots {
		n := stf.BlockNumber(i + 1)
		got, ok := app.ReceiptsRoot(s.State(), n)
		if inRing := i+1 > last-stf.ReceiptRing; ok != inRing || ok && got != want {
			t.Fatalf("root of block %d of %d: %v %v, want %v", n, last, got, ok, want)
		}
	}
	if _, ok := app.ReceiptsRoot(s.State(), stf.BlockNumber(last+1)); ok {
		t.Error("the open block has a root")
	}

	// The commitment depends on each field, the order, and the secret.
	env := stf.Env{Shard: [32]byte{1}, Secret: [32]byte{2}}
	r := stf.Receipt{Block: 5, Index: 2, OperationHash: &stf.Hash{3}, Sender: &alice, Outcome: stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 2}, Gas: 9, Events: [][]byte{{1, 2}}}
	const golden = "0xc353fbcc61f859eac627a5885dcf6869a38297f559bbf2c861e0f50734aed29f"
	if h := env.ReceiptsRootOf([]stf.Receipt{r, {Block: 5, Index: 7}}).String(); h != golden {
		t.Errorf("receipts root %s, want %s", h, golden)
	}
	other := env
	other.Secret[0]++
	if other.ReceiptsRootOf([]stf.Receipt{r}) == env.ReceiptsRootOf([]stf.Receipt{r}) {
		t.Error("the receipts root is not salted by the secret")
	}
	if env.ReceiptsRootOf([]stf.Receipt{r, r}) == env.ReceiptsRootOf([]stf.Receipt{r}) {
		t.Error("the number of receipts does not count")
	}
}

func TestReceiptEncoding(t *testing.T) {
	hash := stf.Hash{1}
	r := stf.Receipt{Block: 5, Index: 2, OperationHash: &hash, Sender: &alice, Outcome: stf.Outcome{Code: stf.ModuleError, Module: 9, Error: 7}, Gas: 258, Events: [][]byte{{1, 2}}}
	b := scale.MustMarshal(r)
	want := fmt.Sprintf("0500000002000000"+"01%x"+"01%x"+"0d0907"+"0201000000000000"+"04080102", hash[:], alice[:])
	if got := fmt.Sprintf("%x", b); got != want {
		t.Errorf("receipt is\n%s, want\n%s", got, want)
	}
	var back stf.Receipt
	if err := scale.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Error(diff)
	}
}

// TestCodesAreFrozen: receipts of old blocks hold these numbers.
func TestCodesAreFrozen(t *testing.T) {
	frozen := []string{"Success", "Undecryptable", "TooLong", "Invalid", "UnknownCall", "NoCiphertext", "NotMatched", "WrongShard", "BadSignature",
		"NotAuthorized", "BadNonce", "FeeUnpaid", "FailedBefore", "ModuleError", "Panicked", "OutOfGas", "Failed", "WrongKind", "Refunded", "NotCredited", "Returned", "NotReturned",
		"UndeclaredRead", "ForeignLayout", "TooManyReads", "TooManyExtrinsics", "BlockFull", "Excluded", "TooDeep"}
	variants := stf.Success.SCALEVariants()
	if len(variants) != len(frozen) {
		t.Fatalf("%d codes, want %d: append new ones to the list", len(variants), len(frozen))
	}
	for i, name := range frozen {
		c := stf.Code(i)
		if c.String() != name || variants[i].Name != name || variants[i].Index != uint8(i) || c.Reason() == "" {
			t.Errorf("code %d is %v (%q)", i, c, c.Reason())
		}
	}
	if stf.Code(200).String() != "Code(200)" || stf.Code(200).Reason() == "" {
		t.Error("unknown codes have no text")
	}
}

func TestReceiptQuery(t *testing.T) {
	for _, scheme := range []keyring.Scheme{keyring.Sr25519, keyring.Ed25519} {
		pair, err := keyring.FromURI(scheme, "//Alice")
		if err != nil {
			t.Fatal(err)
		}
		q := stf.NewReceiptQuery([32]byte{1}, stf.Hash{2}, pair)
		back, err := stf.DecodeReceiptQuery(scale.MustMarshal(q))
		if err != nil || !back.Verify() {
			t.Fatalf("%v: %v", err, back)
		}
		for name, change := range map[string]func(*stf.ReceiptQuery){
			"shard":     func(q *stf.ReceiptQuery) { q.Shard[0]++ },
			"operation": func(q *stf.ReceiptQuery) { q.OperationHash[0]++ },
			"account":   func(q *stf.ReceiptQuery) { q.Account[0]++ },
			"delegate":  func(q *stf.ReceiptQuery) { q.Delegate = &stf.AccountID{9} },
			"signature": func(q *stf.ReceiptQuery) { q.Signature.Bytes[3]++ },
		} {
			bad := *q
			bad.Signature.Bytes = bytes.Clone(q.Signature.Bytes)
			change(&bad)
			if bad.Verify() {
				t.Errorf("verifies with another %s", name)
			}
		}
		// A delegate's query, and one signed by a browser wallet.
		d := stf.ReceiptQuery{Shard: q.Shard, OperationHash: q.OperationHash, Account: bob}
		me := pair.AccountID()
		d.Delegate, d.Signature = &me, pair.Sign(integritee.WrapBytes(d.Payload()))
		if !d.Verify() {
			t.Error("a delegate's wrapped signature does not verify")
		}
		d.Delegate = nil
		if d.Verify() {
			t.Error("somebody else's signature verifies")
		}
	}
}

func TestRandom(t *testing.T) {
	s, _, _ := probe(t, nil)
	ask := func() (out []string) { s.Public([]byte{9, 0}, &out); return out }
	a, b := ask(), ask()
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the same question in the same block:\n%s", diff)
	}
	if a[4] == a[5] {
		t.Error("two labels give the same randomness")
	}
	if want := fmt.Sprint(1, " ", stftest.Start); a[0] != want {
		t.Errorf("block and time %q, want %q", a[0], want)
	}
	s.NextBlock()
	if c := ask(); c[4] == a[4] || c[1] == a[1] {
		t.Error("the next block has the same randomness")
	}
}

// FuzzReceiptQuery: bytes from a client decode to a query that is written the
// same, or to an error, and are then safe to verify.
func FuzzReceiptQuery(f *testing.F) {
	pair, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		f.Fatal(err)
	}
	q := stf.NewReceiptQuery([32]byte{1}, stf.Hash{2}, pair)
	f.Add(scale.MustMarshal(q))
	q.Delegate = &alice
	f.Add(scale.MustMarshal(q))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := stf.DecodeReceiptQuery(b)
		if err != nil {
			if q != nil {
				t.Errorf("an error comes with %+v", q)
			}
			return
		}
		if again := scale.MustMarshal(q); !bytes.Equal(again, b) {
			t.Errorf("%x is written as %x", b, again)
		}
		q.Verify()
	})
}

// BenchmarkExecute is the overhead of one call without cryptography.
func BenchmarkExecute(b *testing.B) {
	app, err := counterApp()
	if err != nil {
		b.Fatal(err)
	}
	base := state.New([32]byte{1}).Snapshot()
	raw := scale.AppendU32(append([]byte{1, 0}, alice[:]...), 3)
	o := state.NewOverlay(base)
	nonce := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		d := scale.NewDecoder(raw)
		op := stf.Operation{Call: app.DecodeCall(d), Nonce: nonce, CallHash: stf.Hash{1}}
		if r := app.Execute(o, stf.Env{}, op); !r.Outcome.OK() {
			b.Fatal(r)
		}
		nonce++
	}
}
