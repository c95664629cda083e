// Package counter is the smallest app: everybody has a private counter, and
// everybody may know the total.
package counter

import (
	_ "embed"

	"github.com/offchain-worker/sdk/stf"
)

//go:embed calls.lock
var lock string

// Counter is the business logic. Its fields are its state.
type Counter struct {
	Total stf.Value[uint64]
	By    stf.Map[stf.AccountID, uint64]
}

// Incremented is an event, seen by the caller in the receipt.
type Incremented struct{ New uint64 }

// ErrTooBig is a numbered error; the number is part of the wire format.
var ErrTooBig = stf.NewError(1, "TooBig", "steps are limited to 1000")

// Increment is a trusted call. If it fails, nothing of it remains.
func (c *Counter) Increment(ctx stf.Call, by uint32) error {
	if by > 1000 {
		return ErrTooBig
	}
	who := ctx.Sender()
	c.By.Set(ctx, who, c.By.Get(ctx, who)+uint64(by))
	c.Total.Set(ctx, c.Total.Get(ctx)+uint64(by))
	ctx.Emit(Incremented{New: c.By.Get(ctx, who)})
	return nil
}

// Mine is a getter that only its owner, the account named first, may ask.
func (c *Counter) Mine(q stf.Query, who stf.AccountID) (uint64, error) { return c.By.Get(q, who), nil }

// Nonce is what the owner's next call must carry.
func (c *Counter) Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }

// Sum is a public getter.
func (c *Counter) Sum(q stf.Query) (uint64, error) { return c.Total.Get(q), nil }

// New declares the app. The numbers are the wire format: module 1, call 0 and
// so on. They are never reused, since old calls stay on the chain for ever:
// calls.lock freezes them. After a change, run go generate.
func New() (*stf.App, error) {
	return stf.NewApp(stf.Config{Name: "counter", Lock: lock, Docs: docs, Modules: []stf.ModuleDecl{
		stf.Module("Counter", &Counter{}, stf.At(1),
			stf.Calls(stf.Method("Increment", 0)),
			stf.Getters(stf.Method("Mine", 0), stf.Method("Nonce", 1)),
			stf.Public(stf.Method("Sum", 0)),
			stf.Events(Incremented{}),
			stf.Errors(ErrTooBig)),
	}})
}
