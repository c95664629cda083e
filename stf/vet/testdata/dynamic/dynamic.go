// Package dynamic calls what it holds.
package dynamic

import (
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/offchain-worker/sdk/stf"
)

type source interface{ Read() uint64 }

type wall struct{}

func (wall) Read() uint64 { return uint64(time.Now().Unix()) } // want `clock: time.Now.*reached from \(\*Feed\).Update`

type constant uint64

func (c constant) Read() uint64 { return uint64(c) }

type Feed struct {
	Value  stf.Value[uint64]
	source source
	now    func() int64
	other  func(string, string) string
}

func New() *Feed {
	return &Feed{source: wall{}, now: func() int64 { return time.Now().UnixNano() }} // want `clock: time.Now.*reached from \(\*Feed\).Update`
}

func (f *Feed) Update(ctx stf.Call) error {
	f.Value.Set(ctx, f.source.Read()+uint64(f.now()))
	_ = f.other("a", "b") // want `opaque: what function field other holds cannot be seen`
	return nil
}

type level uint8

func (l level) String() string { return os.Getenv("LEVEL") } // want `io: os.Getenv.*reached from \(\*Feed\).Say`

func (f *Feed) Say(ctx stf.Call) error { return fmt.Errorf("level %v", level(1)) }

type byHost []string

func (b byHost) Len() int           { return len(b) }
func (b byHost) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b byHost) Less(i, j int) bool { h, _ := os.Hostname(); return b[i] < h } // want `io: os.Hostname.*reached from \(\*Feed\).Order`

func (f *Feed) Order(ctx stf.Call, list []string) error {
	sort.Sort(byHost(list))
	each(list, visit)
	return nil
}

func each(list []string, fn func(string)) {
	for _, s := range list {
		fn(s)
	}
}

func visit(s string) { _ = os.Setenv(s, s) } // want `io: os.Setenv`

// Coded is stored.
type Coded struct{ n uint8 }

func (c Coded) AppendSCALE(b []byte) []byte { return append(b, byte(os.Getpid())) } // want `io: os.Getpid`

// Defaulted has a default.
type Defaulted struct{ N uint64 }

func (Defaulted) StorageDefault() Defaulted { return Defaulted{uint64(time.Now().Unix())} } // want `clock: time.Now`

// Fee is given to stf.Config.
func Fee(ctx stf.Call, c stf.DecodedCall) error {
	_ = os.Getppid() // want `io: os.Getppid`
	return nil
}

var filter = func(q stf.Query, c stf.DecodedCall) error {
	_ = os.Getppid() // want `io: os.Getppid`
	return nil
}
