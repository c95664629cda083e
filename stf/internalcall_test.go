package stf_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// Vault is a module that others use.
type Vault struct {
	Free stf.Map[stf.AccountID, uint64]
}

type Moved struct{ Amount uint64 }

var ErrShort = stf.NewError(1, "Short", "too little")

func (v *Vault) Move(ctx stf.Call, to stf.AccountID, amount uint64) error {
	from := ctx.Sender()
	v.Free.Set(ctx, to, v.Free.Get(ctx, to)+amount)
	ctx.Emit(Moved{amount})
	ctx.Unshield(to, scale.NewU128(amount))
	left := v.Free.Get(ctx, from)
	if left < amount {
		return ErrShort
	}
	v.Free.Set(ctx, from, left-amount)
	return nil
}

// Broker uses the vault in the name of others.
type Broker struct {
	Log   stf.Value[uint64]
	vault *Vault
	do    func(*Broker, stf.Call) error
	hook  func(*Broker, stf.Hook) error
}

func (b *Broker) Do(ctx stf.Call) error { return b.do(b, ctx) }

func (b *Broker) EndBlock(h stf.Hook) error {
	if b.hook == nil {
		return nil
	}
	return b.hook(b, h)
}

func (b *Broker) move(ctx stf.Call, from, to stf.AccountID, amount uint64) error {
	return ctx.As(from, func(ctx stf.Call) error { return b.vault.Move(ctx, to, amount) })
}

func (b *Broker) deep(ctx stf.Call, n int) error {
	if n == 0 {
		b.Log.Set(ctx, 7)
		return nil
	}
	return ctx.Try(func(ctx stf.Call) error { return b.deep(ctx, n-1) })
}

var carol = stftest.Account("carol")

func broker(t *testing.T, do func(*Broker, stf.Call) error) (*stftest.Shard, *Broker) {
	t.Helper()
	v := new(Vault)
	b := &Broker{vault: v, do: do}
	app, err := stf.NewApp(stf.Config{Name: "broker", Flat: true, MayCall: func(stf.Query, stf.DecodedCall, stf.AccountID) bool { return true }, Modules: []stf.ModuleDecl{
		stf.Module("Vault", v, stf.At(1), stf.Calls(stf.Method("Move", 0)), stf.Events(Moved{}), stf.Errors(ErrShort)),
		stf.Module("Broker", b, stf.At(2), stf.Calls(stf.Method("Do", 1)))}})
	if err != nil {
		t.Fatal(err)
	}
	s := stftest.New(t, app)
	v.Free.Set(s, bob, 10)
	return s, b
}

func run(s *stftest.Shard) stf.Result { return s.Call(append([]byte{1}, alice[:]...)) }

// TestInternalCalls: what an internal call does is done in another's name and
// undone by itself.
func TestInternalCalls(t *testing.T) {
	s, b := broker(t, func(b *Broker, ctx stf.Call) error {
		if err := b.move(ctx, bob, carol, 11); !errors.Is(err, ErrShort) {
			return fmt.Errorf("moved: %v", err)
		}
		if err := b.move(ctx, bob, carol, 4); err != nil {
			return err
		}
		seen := ""
		err := ctx.As(bob, func(in stf.Call) error {
			_, delegated := in.Delegate()
			seen = fmt.Sprint(in.Sender() == bob, delegated, len(in.Encoded()))
			return in.Try(func(in stf.Call) error {
				seen += fmt.Sprint(in.Sender() == bob)
				return nil
			})
		})
		if err != nil || seen != "true false 0true" {
			return fmt.Errorf("seen %q: %v", seen, err)
		}
		return ctx.Try(func(ctx stf.Call) error {
			if d, ok := ctx.Delegate(); ctx.Sender() != alice || len(ctx.Encoded()) != 33 || !ok || d != carol {
				return errors.New("another call")
			}
			b.Log.Set(ctx, 1)
			return nil
		})
	})
	call, _ := s.Decode(append([]byte{1}, alice[:]...))
	op := stf.Operation{Call: call, CallHash: stf.Hash{9}}
	first := s.Execute(op)
	if first.Err == nil || first.Err.Error() != "another call" || b.vault.Free.Get(s, bob) != 10 { // undone as a whole
		t.Fatal(first)
	}
	op.Nonce, op.Delegate = 1, &carol
	if r := s.Execute(op); !r.Outcome.OK() || b.vault.Free.Get(s, bob) != 6 || b.Log.Get(s) != 1 {
		t.Fatal(r)
	}
	s.NextBlock()
	b.vault.Free.Set(s, carol, 0)
	b.vault.Free.Set(s, bob, 10)
	b.do = func(b *Broker, ctx stf.Call) error {
		_ = b.move(ctx, bob, carol, 11)
		a := ctx.Random("x")
		var in [32]byte
		_ = ctx.As(bob, func(ctx stf.Call) error { in = ctx.Random("x"); return errPlain })
		if a == in || ctx.Random("x") == in {
			return errors.New("randomness repeats")
		}
		return errors.Join(b.move(ctx, bob, carol, 4), b.move(ctx, bob, alice, 1))
	}
	op.Nonce = 2
	r := s.Execute(op)
	if !r.Outcome.OK() || len(r.Events) != 2 || len(r.Effects) != 2 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []stf.Unshield{
		{Beneficiary: carol, Amount: scale.NewU128(4), CallHash: stf.Hash{9}, From: bob},
		{Beneficiary: alice, Amount: scale.NewU128(1), CallHash: s.Env.CallHash(stf.Identity{Block: 2, Index: 0}, 1), From: bob},
	} {
		if diff := cmp.Diff(want, *r.Effects[i].Unshield); diff != "" {
			t.Errorf("unshield %d:\n%s", i, diff)
		}
	}
	for who, want := range map[stf.AccountID]uint64{bob: 5, carol: 4, alice: 1} {
		if got := b.vault.Free.Get(s, who); got != want {
			t.Errorf("%v has %d, want %d", who, got, want)
		}
	}
}

// TestInternalCallsAreBounded: gas and panics are the call's, depth has an end,
// and no context can be used out of its turn.
func TestInternalCallsAreBounded(t *testing.T) {
	var leaked stf.Call
	for name, c := range map[string]struct {
		do   func(*Broker, stf.Call) error
		want stf.Code
	}{
		"deep":    {func(b *Broker, ctx stf.Call) error { return b.deep(ctx, stf.MaxInternalDepth) }, stf.Success},
		"deeper":  {func(b *Broker, ctx stf.Call) error { return b.deep(ctx, stf.MaxInternalDepth+1) }, stf.TooDeep},
		"ignored": {func(b *Broker, ctx stf.Call) error { _ = b.deep(ctx, 1000); return nil }, stf.Success},
		"gas": {func(b *Broker, ctx stf.Call) error {
			defer func() { _ = recover() }()
			_ = ctx.Try(func(ctx stf.Call) error {
				for {
					ctx.Charge(1_000_000)
				}
			})
			return nil
		}, stf.OutOfGas},
		"free": {func(b *Broker, ctx stf.Call) error {
			for {
				_ = ctx.Try(func(stf.Call) error { return errPlain })
			}
		}, stf.OutOfGas},
		"panic": {func(b *Broker, ctx stf.Call) error { return ctx.Try(func(stf.Call) error { panic("x") }) }, stf.Panicked},
		"caught": {func(b *Broker, ctx stf.Call) error {
			func() {
				defer func() { _ = recover() }()
				_ = ctx.Try(func(ctx stf.Call) error {
					b.Log.Set(ctx, 9)
					ctx.Emit(Moved{1})
					panic("x")
				})
			}()
			if b.Log.Get(ctx) != 0 {
				return errors.New("not undone")
			}
			return nil
		}, stf.Success},
		"outer": {func(b *Broker, ctx stf.Call) error {
			return ctx.Try(func(stf.Call) error { b.Log.Set(ctx, 1); return nil })
		}, stf.Panicked},
		"leak": {func(b *Broker, ctx stf.Call) error {
			_ = ctx.Try(func(ctx stf.Call) error { leaked = ctx; return nil })
			b.Log.Set(leaked, 1)
			return nil
		}, stf.Panicked},
	} {
		s, b := broker(t, c.do)
		r := run(s)
		if r.Outcome.Code != c.want || len(r.Events) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
		want := uint64(0)
		if name == "deep" {
			want = 7
		}
		if got := b.Log.Get(s); got != want {
			t.Errorf("%s: log is %d", name, got)
		}
	}
}

// TestHooksCall: hooks make calls in anybody's name.
func TestHooksCall(t *testing.T) {
	s, b := broker(t, nil)
	b.hook = func(b *Broker, h stf.Hook) error {
		if h.BlockNumber() > 1 {
			return nil
		}
		random := h.Random("x")
		h.Unshield(alice, alice, scale.NewU128(1))
		_ = h.As(bob, func(ctx stf.Call) error { return b.vault.Move(ctx, carol, 11) })
		return h.As(bob, func(ctx stf.Call) error {
			if ctx.Random("x") != random {
				return errPlain
			}
			return b.vault.Move(ctx, carol, 3)
		})
	}
	want := s.Env.CallHash(stf.Identity{Block: 1, Index: 1<<32 - 1}, 1)
	env := s.Env // of the block that ends
	s.NextBlock()
	effects := env.Effects.Take()
	if len(effects) != 2 || effects[1].Unshield.From != bob || effects[1].Unshield.CallHash != want {
		t.Fatalf("%+v", effects)
	}
	if got := b.vault.Free.Get(s, carol); got != 3 {
		t.Errorf("carol has %d", got)
	}
}

func TestModuleAccount(t *testing.T) {
	if a := stf.ModuleAccount("auction"); a == stf.ModuleAccount("oracle") || a != stf.ModuleAccount("auction") {
		t.Error("accounts of names")
	}
}
