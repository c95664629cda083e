package pallet_test

import (
	"fmt"
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
)

type counter struct {
	Total pallet.Value[uint64]
	By    pallet.Map[account, uint64] `pallet:"hasher=Twox64Concat"`
}

var errZero = pallet.NewError(0, "Zero", "the step is zero")

// Increment is a call: it takes the context first and returns an error.
func (c *counter) Increment(ctx *call, args struct {
	Who account
	By  uint64
}) error {
	if args.By == 0 {
		return errZero
	}
	c.By.Set(ctx, args.Who, c.By.Get(ctx, args.Who)+args.By)
	return c.Total.Mutate(ctx, func(t *uint64) error { *t += args.By; return nil })
}

func Example() {
	c := &counter{}
	d, err := pallet.Describe(pallet.Declaration{
		Name: "Counter", Index: 7, Module: c,
		Context:   reflect.TypeFor[*call](),
		CallIndex: func(method string) (uint8, bool) { return 0, method == "Increment" },
		Errors:    []*pallet.Error{errZero},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	errors, err := pallet.NewErrorTable(d)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := &call{kv: newMemory()}
	for _, by := range []uint64{5, 0, 2} {
		args := scale.AppendU64(make([]byte, 32), by)
		err := d.Call(0).Invoke(ctx, scale.NewDecoder(args))
		module, code, ok := errors.ModuleError(err)
		fmt.Println(d.Calls[0].Name, by, err, module, code, ok)
	}
	fmt.Println("total", c.Total.Get(ctx))
	for who, v := range c.By.All(ctx) {
		fmt.Println(who[0], v)
	}
	// Output:
	// increment 5 <nil> 0 0 false
	// increment 0 Zero: the step is zero 7 0 true
	// increment 2 <nil> 0 0 false
	// total 7
	// 0 7
}
