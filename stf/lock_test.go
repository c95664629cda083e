package stf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/stf"
)

type (
	moved    struct{ By uint32 }
	settled  struct{}
	receiver struct {
		To   stf.AccountID
		Note *string
	}
	ledger struct{ N stf.Value[uint64] }
	// wide is a ledger that adds larger numbers, long one that can do more.
	wide struct{ N stf.Value[uint64] }
	long struct{ ledger }
)

var errEmpty = stf.NewError(3, "Empty", "")

func (*ledger) Add(ctx stf.Call, by uint32) error                       { return nil }
func (*ledger) Pay(ctx stf.Call, to receiver, amount stf.Balance) error { return nil }
func (*ledger) Mine(q stf.Query, who stf.AccountID) (uint64, error)     { return 0, nil }
func (*ledger) Total(q stf.Query) (uint64, error)                       { return 0, nil }
func (*wide) Add(ctx stf.Call, by uint64) error                         { return nil }
func (*wide) Pay(ctx stf.Call, to receiver, amount stf.Balance) error   { return nil }
func (*wide) Mine(q stf.Query, who stf.AccountID) (uint64, error)       { return 0, nil }
func (*wide) Total(q stf.Query) (uint64, error)                         { return 0, nil }
func (*long) Reset(ctx stf.Call) error                                  { return nil }

const frozen = `# The wire format of the app ledger, frozen: ciphertexts stay on the chain for ever.
# Lines are added by the app's lock command, and never changed. Keep this file in version control.
app modules ledger
module 1 Ledger
call 1.0 Ledger.add(by: u32)
call 1.7 Ledger.pay(to: ([u8; 32], Option<bytes>), amount: u128) since 90
getter 1.0 Ledger.mine(who: [u8; 32]) -> u64
public 1.0 Ledger.total() -> u64
event 1.0 Ledger.moved(by: u32)
error 1.3 Ledger.Empty
`

// declaration is that of the ledger, to be changed.
type declaration struct {
	name, module           string
	impl                   any
	index                  uint8
	flat                   bool
	calls, getters, public []stf.MethodDecl
	events                 []any
	errors                 []*stf.Error
}

func declared() *declaration {
	return &declaration{name: "ledger", module: "Ledger", impl: &ledger{}, index: 1,
		calls:   []stf.MethodDecl{stf.Method("Add", 0, "by"), stf.Method("Pay", 7, "to", "amount").Since(90)},
		getters: []stf.MethodDecl{stf.Method("Mine", 0, "who")}, public: []stf.MethodDecl{stf.Method("Total", 0)},
		events: []any{moved{}}, errors: []*stf.Error{errEmpty}}
}

func (d *declaration) app(lock string) (*stf.App, error) {
	return stf.NewApp(stf.Config{Name: d.name, Flat: d.flat, Lock: lock, Modules: []stf.ModuleDecl{stf.Module(d.module, d.impl, stf.At(d.index),
		stf.Calls(d.calls...), stf.Getters(d.getters...), stf.Public(d.public...), stf.Events(d.events...), stf.Errors(d.errors...))}})
}

func TestLock(t *testing.T) {
	app, err := declared().app(frozen)
	if err != nil {
		t.Fatal(err)
	}
	if got := app.Lock(); got != frozen {
		t.Errorf("got\n%s\nwant\n%s", got, frozen)
	}
	// Names of parameters are no part of the bytes.
	if _, err := declared().app(strings.ReplaceAll(frozen, "by: ", "step: ")); err != nil {
		t.Error(err)
	}
	flat := declared()
	flat.flat = true
	if app, err = flat.app(""); err != nil {
		t.Fatal(err)
	}
	if lock := app.Lock(); !strings.Contains(lock, "\napp flat ledger\n") || !strings.Contains(lock, "\ncall 7 Ledger.pay(") || !strings.Contains(lock, "\nevent 1.0 ") {
		t.Error(lock)
	}
}

// TestLockRefuses: whatever would give bytes on the chain another meaning is
// refused, and the message names type, method and remedy.
func TestLockRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*declaration)
		lock   string
		want   []string
	}{
		{"renumbered", func(d *declaration) { d.calls[0] = stf.Method("Add", 2) }, frozen, []string{"method *stf_test.ledger.Add (call 1.2)", "frozen as call 1.0", "put that index back"}},
		{"swapped", func(d *declaration) { d.calls = []stf.MethodDecl{stf.Method("Add", 7), stf.Method("Pay", 0).Since(90)} }, frozen, []string{"*stf_test.ledger.Add", "*stf_test.ledger.Pay", "index back"}},
		{"retyped", func(d *declaration) { d.impl = &wide{} }, frozen, []string{"method *stf_test.wide.Add (call 1.0)", "add(by: u64)", "add(by: u32)", "put the types back"}},
		{"other since", func(d *declaration) { d.calls[1] = stf.Method("Pay", 7) }, frozen, []string{"*stf_test.ledger.Pay", "since 90"}},
		{"another error", func(d *declaration) { d.errors = nil }, frozen, []string{"error 1.3 Ledger.Empty", "bring it back"}},
		{"another event", func(d *declaration) { d.events = []any{settled{}, moved{}} }, frozen, []string{"Ledger.moved", "frozen as event 1.0"}},
		{"removed", func(d *declaration) {}, frozen + "call 1.9 Ledger.gone()\n", []string{"call 1.9 Ledger.gone", "return an error"}},
		{"renamed", func(d *declaration) {}, strings.Replace(frozen, "Ledger.add", "Ledger.plus", 1), []string{"*stf_test.ledger.Add (call 1.0)", "frozen as Ledger.plus", "change that name"}},
		{"another module index", func(d *declaration) { d.index = 2 }, frozen, []string{"*stf_test.ledger.Add (call 2.0)", "call 1.0", "module 2 Ledger is frozen as module 1"}},
		{"another layout", func(d *declaration) { d.flat = true }, frozen, []string{"app modules ledger", "app flat ledger", "new lock"}},
		{"another app", func(d *declaration) { d.name = "x" }, frozen, []string{"app modules x"}},
		{"no entry", func(d *declaration) {}, frozen + "<<<<<<< HEAD\n", []string{"line 11", "version control"}},
		{"twice", func(d *declaration) {}, frozen + "call 1.0 Ledger.x()\n", []string{"line 11", "repeats call 1.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := declared()
			c.change(d)
			_, err := d.app(c.lock)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
			if lock := new(stf.LockError); errors.As(err, &lock) && lock.Lock != "" {
				t.Error("offers a new lock although something frozen was changed")
			}
		})
	}
}

// TestLockGrows: what is new is refused, with a lock that has it.
func TestLockGrows(t *testing.T) {
	d := declared()
	d.impl, d.events = &long{}, []any{moved{}, settled{}}
	d.calls = append(d.calls, stf.Method("Reset", 8))
	for _, old := range []string{frozen, "# nothing yet\n"} {
		_, err := d.app(old)
		var lock *stf.LockError
		if !errors.As(err, &lock) || lock.Lock == "" {
			t.Fatal(err)
		}
		if old == frozen && (!strings.Contains(err.Error(), "method *stf_test.long.Reset (call 1.8) is not in the lock") || len(lock.Problems) != 2) {
			t.Error(err)
		}
		app, err := d.app(lock.Lock)
		if err != nil {
			t.Fatal(err)
		}
		if app.Lock() != lock.Lock {
			t.Errorf("got\n%s\nwant\n%s", lock.Lock, app.Lock())
		}
	}
}

func TestDocs(t *testing.T) {
	app, err := stf.NewApp(stf.Config{Name: "ledger",
		Docs: stf.Docs{"stf_test.ledger.Add": {Params: []string{"howMany"}, Lines: []string{"Adds."}}, "stf_test.ledger": {Lines: []string{"A ledger."}}},
		Modules: []stf.ModuleDecl{stf.Module("Ledger", &ledger{}, stf.At(1), stf.Calls(stf.Method("Add", 0), stf.Method("Pay", 1, "to", "amount")),
			stf.Getters(stf.Method("Mine", 0)), stf.Public(stf.Method("Total", 0)))}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"call 1.0 Ledger.add(how_many: u32)", "call 1.1 Ledger.pay(to: (", "getter 1.0 Ledger.mine(arg0: [u8; 32])"} {
		if !strings.Contains(app.Lock(), want) {
			t.Errorf("%s is not in\n%s", want, app.Lock())
		}
	}
	if md := string(app.Metadata()); !strings.Contains(md, "Adds.") {
		t.Error("the comment is not in the metadata")
	}
}
