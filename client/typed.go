package client

import (
	"context"

	"github.com/offchain-worker/sdk/stf"
)

// Calls and getters are named by methods of the app's own Go types, as method
// expressions; the compiler checks arguments and results. Go has no generic
// functions of any number of parameters, so there is one for each number.
//
//	out, err := client.Call1(ctx, alice, (*counter.Counter).Increment, 3)
//	mine, err := client.Query1(ctx, alice, (*counter.Counter).Mine, alice.ID())
//
// A call is awaited until it was executed, see [Account.Send].

// Call0 makes a call without arguments.
func Call0[M any](ctx context.Context, a *Account, method func(M, stf.Call) error) (*Outcome, error) {
	return a.call(ctx, method)
}

// Call1 makes a call with one argument.
func Call1[M, A any](ctx context.Context, a *Account, method func(M, stf.Call, A) error, x A) (*Outcome, error) {
	return a.call(ctx, method, x)
}

// Call2 makes a call with two arguments.
func Call2[M, A, B any](ctx context.Context, a *Account, method func(M, stf.Call, A, B) error, x A, y B) (*Outcome, error) {
	return a.call(ctx, method, x, y)
}

// Call3 makes a call with three arguments.
func Call3[M, A, B, C any](ctx context.Context, a *Account, method func(M, stf.Call, A, B, C) error, x A, y B, z C) (*Outcome, error) {
	return a.call(ctx, method, x, y, z)
}

// Call4 makes a call with four arguments.
func Call4[M, A, B, C, D any](ctx context.Context, a *Account, method func(M, stf.Call, A, B, C, D) error, x A, y B, z C, u D) (*Outcome, error) {
	return a.call(ctx, method, x, y, z, u)
}

// Call5 makes a call with five arguments.
func Call5[M, A, B, C, D, E any](ctx context.Context, a *Account, method func(M, stf.Call, A, B, C, D, E) error, x A, y B, z C, u D, v E) (*Outcome, error) {
	return a.call(ctx, method, x, y, z, u, v)
}

// in names a method of the account's module, if it has one.
func (a *Account) in(method any) any {
	if a.Module == "" {
		return method
	}
	return stf.In(a.Module, method)
}

func (a *Account) call(ctx context.Context, method any, args ...any) (*Outcome, error) {
	call, err := a.App.EncodeCall(a.in(method), a.Sender, args...)
	if err != nil {
		return nil, err
	}
	return a.Send(ctx, call)
}

// Query0 asks a public getter without arguments. If there is nothing to answer,
// the error of this and the others is [stf.ErrNone].
func Query0[M, R any](ctx context.Context, a *Account, method func(M, stf.Query) (R, error)) (R, error) {
	return answer[R](ctx, a, method)
}

// Query1 asks a getter with one argument: the owner, or of a public one any.
func Query1[M, A, R any](ctx context.Context, a *Account, method func(M, stf.Query, A) (R, error), x A) (R, error) {
	return answer[R](ctx, a, method, x)
}

// Query2 asks a getter with two arguments, the owner among them.
func Query2[M, A, B, R any](ctx context.Context, a *Account, method func(M, stf.Query, A, B) (R, error), x A, y B) (R, error) {
	return answer[R](ctx, a, method, x, y)
}

// Query3 asks a getter with three arguments, the owner among them.
func Query3[M, A, B, C, R any](ctx context.Context, a *Account, method func(M, stf.Query, A, B, C) (R, error), x A, y B, z C) (R, error) {
	return answer[R](ctx, a, method, x, y, z)
}

// Query4 asks a getter with four arguments, the owner among them.
func Query4[M, A, B, C, D, R any](ctx context.Context, a *Account, method func(M, stf.Query, A, B, C, D) (R, error), x A, y B, z C, u D) (R, error) {
	return answer[R](ctx, a, method, x, y, z, u)
}

func answer[R any](ctx context.Context, a *Account, method any, args ...any) (r R, err error) {
	method = a.in(method)
	public, err := a.App.PublicGetter(method)
	if err != nil {
		return r, err
	}
	var owner AccountID
	if !public { // it has an owner, first of all
		owner, args = args[0].(AccountID), args[1:]
	}
	g, err := a.App.EncodeGetter(method, owner, args...)
	if err != nil {
		return r, err
	}
	err = a.ask(ctx, g, &r)
	return r, err
}
