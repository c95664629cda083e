package stf_test

import (
	"fmt"

	"github.com/offchain-worker/sdk/stf"
)

// Counter is a module: storage, events, errors, calls and getters.
type Counter struct {
	Total stf.Value[uint64]
	By    stf.Map[stf.AccountID, uint64]
}

// Incremented is an event.
type Incremented struct {
	Who stf.AccountID
	New uint64
}

// ErrTooBig is a numbered error.
var ErrTooBig = stf.NewError(1, "TooBig", "step above the limit")

// Increment is a trusted call.
func (c *Counter) Increment(ctx stf.Call, by uint32) error {
	if by > 100 {
		return ErrTooBig
	}
	n := c.By.Get(ctx, ctx.Sender()) + uint64(by)
	c.By.Set(ctx, ctx.Sender(), n)
	c.Total.Set(ctx, c.Total.Get(ctx)+uint64(by))
	ctx.Emit(Incremented{ctx.Sender(), n})
	return nil
}

// Get is a getter of the owner's own number.
func (c *Counter) Get(q stf.Query, who stf.AccountID) (uint64, error) { return c.By.Get(q, who), nil }

// Sum is a public getter.
func (c *Counter) Sum(q stf.Query) (uint64, error) { return c.Total.Get(q), nil }

func counterApp() (*stf.App, error) {
	return stf.NewApp(stf.Config{
		Name: "counter",
		Modules: []stf.ModuleDecl{stf.Module("Counter", &Counter{}, stf.At(1),
			stf.Calls(stf.Method("Increment", 0, "by")),
			stf.Getters(stf.Method("Get", 0, "who")),
			stf.Public(stf.Method("Sum", 1)),
			stf.Events(Incremented{}),
			stf.Errors(ErrTooBig),
		)},
	})
}

func ExampleNewApp() {
	app, err := counterApp()
	fmt.Println(app.Name(), err)
	fmt.Println(app.Reason(stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 1}))

	_, err = stf.NewApp(stf.Config{Name: "counter", Modules: []stf.ModuleDecl{
		stf.Module("Counter", &Counter{}, stf.At(1), stf.Calls(stf.Method("Increment", 0)), stf.Public(stf.Method("Sum", 1))),
	}})
	fmt.Println(err)
	// Output:
	// counter <nil>
	// Counter.TooBig: step above the limit
	// stf: method *stf_test.Counter.Get takes a stf.Query but has no index; add stf.Method("Get", N) to stf.Getters or stf.Public of module Counter, or begin its name with a small letter if it is a helper
}
