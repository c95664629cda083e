// Package floats computes with fractions.
package floats

import (
	"math"
	"math/big"
	"strconv"

	"github.com/offchain-worker/sdk/stf"
)

type Rate struct{ Value float64 }

type Bank struct {
	Rates  stf.Map[uint32, Rate] // want `float: storage field Rates has a float64; count in integers`
	Scale  stf.Value[float32]    // want `float: storage field Scale has a float32`
	Amount stf.Value[stf.Balance]
}

type Paid struct{ Part float32 }

func (b *Bank) Interest(ctx stf.Call, amount uint64) error {
	interest := float64(amount) * 0.05 // want `float: computes in float64, which rounds differently on different processors`
	ctx.Charge(uint64(interest))       // want `float: computes in float64`
	return nil
}

func (b *Bank) Root(ctx stf.Call, amount uint64, part float64) error { // want `float: parameter part has a float64`
	if half := complex(1, 2); real(half) > part { // want `float: computes in`
		return nil
	}
	ctx.Emit(Paid{}) // want `float: the event has a float32`
	return nil
}

func (b *Bank) Parse(ctx stf.Call, text string) error {
	f, err := strconv.ParseFloat(text, 64) // want `float: computes in float64|float: `
	_ = math.Floor(f)                      // want `float: computes in float64`
	_ = big.NewFloat(1.5)                  // want `float: big.NewFloat computes with floats`
	return err
}

// Constants are computed by the compiler, exactly.
func (b *Bank) Exact(ctx stf.Call) error {
	ctx.Charge(uint64(0.5 * 1e6))
	ctx.Charge(uint64(math.MaxInt32))
	return nil
}
