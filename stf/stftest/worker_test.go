package stftest_test

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/stf/stftest/randomtest"
)

// Bank is a module with some of everything.
type Bank struct {
	Free  stf.Map[stf.AccountID, stf.Balance]
	Total stf.Value[stf.Balance]
	Kind  stf.Value[uint32]

	lucky  map[stf.AccountID]bool // what must not be
	greedy bool
}

type Choice struct {
	_    scale.Enum
	None *struct{} `scale:"0"`
	Some *uint32   `scale:"1"`
}

var (
	ErrPoor = stf.NewError(1, "Poor", "too little")
	later   = stf.NewTask[uint32]("later")
)

func (b *Bank) add(ctx stf.Writer, who stf.AccountID, amount stf.Balance) error {
	total, ok := b.Total.Get(ctx).Add(amount)
	if !ok {
		return ErrPoor
	}
	b.Total.Set(ctx, total)
	b.Free.Set(ctx, who, b.Free.Get(ctx, who).SaturatingAdd(amount))
	return nil
}

func (b *Bank) Give(ctx stf.Call, to stf.AccountID, amount stf.Balance) error {
	left, ok := b.Free.Get(ctx, ctx.Sender()).Sub(amount)
	if !ok {
		return ErrPoor
	}
	b.Free.Set(ctx, ctx.Sender(), left)
	b.Free.Set(ctx, to, b.Free.Get(ctx, to).SaturatingAdd(amount))
	if b.greedy && amount.Lo == 7 {
		b.Total.Set(ctx, stf.Balance{})
	}
	return nil
}

func (b *Bank) Choose(ctx stf.Call, c Choice, small int16, list []string, maybe *bool, hash [4]byte) error {
	if c.Some != nil {
		b.Kind.Set(ctx, *c.Some)
	}
	later.After(ctx, 1, uint32(len(list)))
	return nil
}

func (b *Bank) Remember(ctx stf.Call) error {
	if b.lucky[ctx.Sender()] {
		b.Kind.Set(ctx, 1)
	}
	return nil
}

func (b *Bank) do(ctx stf.Call, n uint32) error { b.Kind.Set(ctx, n); return nil }

func (b *Bank) Crash(ctx stf.Call, n uint8) error {
	if n == 13 && b.greedy {
		panic("unlucky")
	}
	return nil
}

func (b *Bank) Mine(q stf.Query, who stf.AccountID) (stf.Balance, error) {
	return b.Free.Get(q, who), nil
}

func (b *Bank) Sort(q stf.Query, plus uint32) (uint32, error) {
	if plus == 0 {
		return 0, stf.ErrNone
	}
	return b.Kind.Get(q) + plus, nil
}

func bank(change func(*Bank)) (*Bank, *stf.App) {
	b := &Bank{lucky: map[stf.AccountID]bool{}}
	if change != nil {
		change(b)
	}
	app, err := stf.NewApp(stf.Config{Name: "bank", Shield: func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error { return b.add(ctx, who, amount) },
		Modules: []stf.ModuleDecl{stf.Module("Bank", b, stf.At(1), stf.OnTask(later, 0, b.do),
			stf.Calls(stf.Method("Give", 0), stf.Method("Choose", 1), stf.Method("Remember", 2), stf.Method("Crash", 3)),
			stf.Getters(stf.Method("Mine", 0)), stf.Public(stf.Method("Sort", 0)), stf.Errors(ErrPoor))}})
	if err != nil {
		panic(err)
	}
	return b, app
}

func TestUser(t *testing.T) {
	b, app := bank(nil)
	s := stftest.New(t, app)
	alice, bob := s.User("alice"), s.User("bob")
	alice.Shield(10)
	alice.Must(b.Give, bob, 3)
	alice.Must((*Bank).Give, bob, scale.NewU128(1))
	alice.Must("Bank.Give", bob.ID, 1)
	alice.Refused(ErrPoor, b.Give, bob, 6)
	if n := stftest.Ask[stf.Balance](bob, b.Mine); n.Lo != 5 {
		t.Error(n)
	}
	if n, _ := b.Mine(s.Query(), alice.ID); n.Lo != 5 || b.Free.Get(s, bob.ID).Lo != 5 {
		t.Error(n)
	}
	if n := stftest.Ask[uint32](alice, "Bank.Sort", 2); n != 2 || stftest.Maybe[uint32](alice, b.Sort, 0) != nil {
		t.Error(n)
	}
	for want, call := range map[string]func(*stftest.User){
		"takes 2 arguments":               func(u *stftest.User) { u.Call(b.Give, bob) },
		"argument amount of Bank.give is": func(u *stftest.User) { u.Call(b.Give, bob, "x") },
		"argument arg0 of Bank.crash is":  func(u *stftest.User) { u.Call(b.Crash, 256) },
		"takes a stf.Call first":          func(u *stftest.User) { u.Call(b.Mine) },
		"is no method of a module":        func(u *stftest.User) { u.Call(func() {}) },
		"a int is no method":              func(u *stftest.User) { u.Call(5) },
		"has no call \"Bank.no\"":         func(u *stftest.User) { u.Call("Bank.no") },
		"Bank.Poor: too little":           func(u *stftest.User) { u.Must(b.Give, bob, 1) },
		"the getter has no answer":        func(u *stftest.User) { stftest.Ask[uint32](u, b.Sort, 0) },
	} {
		if got := fatal(t, func(r *recorder) { call(stftest.New(r, app).User("alice")) }); !strings.Contains(strings.Replace(got, "arg1", "amount", 1), want) {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

// fatal returns what ends a test.
func fatal(t *testing.T, test func(*recorder)) string {
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != (ended{}) {
				panic(p)
			}
		}()
		test(r)
	}()
	return r.fatal
}

// TestWorkers: other workers come to the same, whenever they begin; one whose
// module remembers something does not.
func TestWorkers(t *testing.T) {
	b, app := bank(nil)
	fresh := func() *stf.App { _, app := bank(nil); return app }
	s := stftest.New(t, app)
	s.Join(fresh())
	alice, bob := s.User("alice"), s.User("bob")
	alice.Shield(10)
	s.Blocks(2)
	b.Free.Set(s, bob.ID, scale.NewU128(3)) // as a test may
	alice.Must(b.Give, bob, 3)
	some := uint32(8)
	alice.Must(b.Choose, Choice{Some: &some}, -3, []string{"a", "b"}, nil, [4]byte{1})
	s.Restart(fresh())
	if n := s.Nonce(alice.ID); n != 2 || b.Kind.Get(s) != 8 || len(s.Receipts()) != 2 {
		t.Errorf("after a restart: nonce %d", n)
	}
	s.NextBlock()
	if b.Kind.Get(s) != 2 || s.Env.Now != stftest.Start+3*stftest.BlockTime {
		t.Error("the task has not run")
	}
	s.Join(fresh())
	s.NextBlock()

	for name, test := range map[string]func(*stftest.Shard){
		"join":    func(s *stftest.Shard) { s.NextBlock(); s.Join(fresh()) },
		"later":   func(s *stftest.Shard) { s.NextBlock() },
		"restart": func(s *stftest.Shard) { s.Restart(fresh()) },
	} {
		got := fatal(t, func(r *recorder) {
			_, app := bank(func(b *Bank) { b.lucky[alice.ID] = true })
			s := stftest.New(r, app)
			s.Join(fresh())
			s.User("alice").Must(b.Remember)
			test(s)
		})
		if !strings.Contains(got, "another") && !strings.Contains(got, "differently") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := fatal(t, func(r *recorder) {
		s := stftest.New(r, app)
		s.Check("kind", func(q stf.Query) error {
			if q.BlockNumber() == 3 && b.Kind.Get(q) == 0 {
				return errors.New("is zero")
			}
			return nil
		})
		s.Blocks(5)
	}); got != "stftest: block 3: kind: is zero" {
		t.Error(got)
	}
}

func setup(s *stftest.Shard) {
	b, _ := bank(nil)
	for _, name := range []string{"alice", "bob", "carol"} {
		s.User(name).Shield(100)
	}
	s.Check("sum", func(q stf.Query) error {
		sum := stf.Balance{}
		for _, amount := range b.Free.All(q) {
			sum = sum.SaturatingAdd(amount)
		}
		if total := b.Total.Get(q); sum != total {
			return fmt.Errorf("%v of %v", sum, total)
		}
		return nil
	})
}

func TestRandom(t *testing.T) {
	randomtest.Run(t, func() (*stf.App, error) { _, app := bank(nil); return app, nil }, setup)
}

// failing takes what a property test says.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper()                           {}
func (f *failing) Logf(format string, args ...any)   { f.text += fmt.Sprintf(format, args...) + "\n" }
func (f *failing) Errorf(format string, args ...any) { f.Logf(format, args...) }
func (f *failing) Fatalf(format string, args ...any) { f.Logf(format, args...); panic(ended{}) }
func (f *failing) FailNow()                          { panic(ended{}) }

// TestRandomFinds: a check that does not hold and a panic are found, made small,
// and told with the seed. The seed is fixed: some finds nothing in few runs.
func TestRandomFinds(t *testing.T) {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "100ms", "rapid.seed": "1", "rapid.checks": "1000"} {
		before := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		defer flag.Set(name, before)
	}
	f := &failing{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != (ended{}) {
				panic(p)
			}
		}()
		randomtest.Run(f, func() (*stf.App, error) { _, app := bank(func(b *Bank) { b.greedy = true }); return app, nil }, setup)
	}()
	if !strings.Contains(f.text, "-rapid.seed=") || !strings.Contains(f.text, "unlucky") && !strings.Contains(f.text, "sum: ") {
		t.Errorf("said %q", f.text)
	}
}
