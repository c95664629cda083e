package stftest

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// User is an account that makes calls.
type User struct {
	ID stf.AccountID
	s  *Shard
}

// User returns the user of the account [Account](name).
func (s *Shard) User(name string) *User { return &User{Account(name), s} }

// As returns the user of an account.
func (s *Shard) As(who stf.AccountID) *User { return &User{who, s} }

// Call makes a call with the user's next nonce. method is a method of a module, as
// counter.Increment or (*Counter).Increment, or a name, "Counter.Increment", and args
// are what [stf.App.EncodeCall] takes, or a *User for an account. What is none ends
// the test.
func (u *User) Call(method any, args ...any) stf.Result {
	u.s.t.Helper()
	call, err := u.s.app.EncodeCall(method, u.ID, values(args)...)
	if err != nil {
		u.s.t.Fatalf("stftest: %v", err)
	}
	return u.s.Call(call)
}

// Must is [User.Call] for what has to succeed.
func (u *User) Must(method any, args ...any) stf.Result {
	u.s.t.Helper()
	r := u.Call(method, args...)
	if !r.Outcome.OK() {
		u.s.t.Fatalf("stftest: the call ended with %v: %s (%v)", r.Outcome, u.s.app.Reason(r.Outcome), r.Err)
	}
	return r
}

// Refused is [User.Call] for what has to end with an error of a module.
func (u *User) Refused(want *stf.Error, method any, args ...any) {
	u.s.t.Helper()
	if r := u.Call(method, args...); r.Err != error(want) || r.Outcome.Code != stf.ModuleError {
		u.s.t.Errorf("stftest: the call ended with %v (%v), want %v", r.Outcome, r.Err, want)
	}
}

// Shield credits an amount to the user, less what the app takes for it.
func (u *User) Shield(amount uint64) stf.Result {
	u.s.t.Helper()
	return u.s.Shield(u.ID, scale.NewU128(amount))
}

// Ask asks a getter in the open block: as its owner, or a public one. method and
// args are like those of [User.Call], without the owner.
func Ask[T any](u *User, method any, args ...any) T {
	u.s.t.Helper()
	answer := Maybe[T](u, method, args...)
	if answer == nil {
		u.s.t.Fatalf("stftest: the getter has no answer")
	}
	return *answer
}

// Maybe is [Ask] for a getter that may have no answer: then it returns nil.
func Maybe[T any](u *User, method any, args ...any) *T {
	s := u.s
	s.t.Helper()
	g, err := s.app.EncodeGetter(method, u.ID, values(args)...)
	if err != nil {
		s.t.Fatalf("stftest: %v", err)
	}
	getter := integritee.Getter{Public: g.Bytes}
	if !g.Public {
		getter = integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: g.Bytes}}
	}
	value, some, err := s.app.Query(s.block, s.Env, getter)
	if err != nil {
		s.t.Fatalf("stftest: getter: %v", err)
	}
	if !some {
		return nil
	}
	answer := new(T)
	if err := scale.Unmarshal(value, answer); err != nil {
		s.t.Fatalf("stftest: getter: %v", err)
	}
	return answer
}

func values(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		if u, ok := arg.(*User); ok {
			arg = u.ID
		}
		out[i] = arg
	}
	return out
}

// check is an invariant.
type check struct {
	name string
	of   func(stf.Query) error
}

// Check has something hold at the end of each block, after its hooks.
func (s *Shard) Check(name string, of func(stf.Query) error) {
	s.checks = append(s.checks, check{name, of})
}

func (s *Shard) check() {
	s.t.Helper()
	for _, c := range s.checks {
		if err := c.of(s.Query()); err != nil {
			s.t.Fatalf("stftest: block %d: %s: %v", s.Env.Number, c.name, err)
		}
	}
}

// Query returns the context of a getter in the open block, to use getters and
// helpers as business logic does: counter.Mine(shard.Query(), alice.ID).
func (s *Shard) Query() stf.Query { return s.app.QueryContext(s.block, s.Env) }
