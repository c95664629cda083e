// Package far calls what is wrong in another package.
package far

import (
	"time"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/vet/testdata/far/lib"
)

type Far struct {
	N stf.Value[uint64]
}

var shared = map[string]uint64{}

func (f *Far) Call(ctx stf.Call, n uint32, list []uint64) error {
	stamp := lib.Stamp() // want `clock: calls Stamp, where time.Now depends on the clock or the time zone of this machine \(lib.go:23\)`
	if lib.Mode == 1 {   // want `global: lib.Mode is changed by SetMode \(lib.go:15\)`
		return nil
	}
	base := lib.Base // want `clock: reads Base, where time.Now`
	best := lib.Best(fixed{})
	best += lib.Best(local{})
	lib.Fill(shared)     // want `global: changes the package variable shared`
	lib.Note(ctx)        // reported there
	if lib.Host == "x" { // want `io: reads Host, where os.Hostname`
		return nil
	}
	for range n {
		lib.Pay(ctx)
	}
	f.N.Set(ctx, uint64(stamp+base)+best+lib.Sum(list)+uint64(lib.Excused()))
	return nil
}

type fixed struct{}

func (fixed) Price() uint64 { return 7 }

type local struct{}

func (local) Price() uint64 { return uint64(time.Now().Unix()) } // want `clock: time.Now.*reached from \(\*Far\).Call`
