// Package lib is used by business logic and knows nothing of it.
package lib

import (
	"os"
	"time"

	"github.com/offchain-worker/sdk/stf"
)

// Mode is changed by whoever likes.
var Mode = 1

// SetMode changes it.
func SetMode(m int) { Mode = m }

// Base is computed at the start.
var Base = time.Now().Unix()

// Stamp reads the clock, two calls away.
func Stamp() int64 { return inner() }

func inner() int64 { return time.Now().Unix() }

// Pricer is implemented elsewhere.
type Pricer interface{ Price() uint64 }

// Best calls what it is given.
func Best(p Pricer) uint64 { return p.Price() }

// Fill writes into its argument.
func Fill(m map[string]uint64) { m["x"] = 1 }

// Pay charges gas.
func Pay(ctx stf.Call) { ctx.Charge(1) }

// Note is logic, and refused here.
func Note(ctx stf.Call) {
	os.Exit(1) // want `io: os.Exit depends on this machine`
}

// Excused has a reason.
func Excused() int64 {
	//ocw:allow clock the result is thrown away by all that call it
	return time.Now().Unix()
}

// Sum is fine.
func Sum(list []uint64) (sum uint64) {
	for _, v := range list {
		sum += v
	}
	return sum
}

// Host is set by init.
var Host string

func init() { Host, _ = os.Hostname() }
