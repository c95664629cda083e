// Package tasks does things later.
package tasks

import (
	"math/rand/v2"
	"time"

	"github.com/offchain-worker/sdk/stf"
)

type Alarm struct {
	Rings stf.Value[uint64]
	last  uint64
}

var (
	ringing  = stf.NewTask[uint32]("ring")
	sizing   = stf.NewTask[int]("size")                      // want `int: the task's argument has a`
	weighing = stf.NewTask[struct{ Kilos float64 }]("weigh") // want `float: the task's argument has a`
	changing = stf.NewTask[uint32]("change")
)

func module(a *Alarm) stf.ModuleDecl {
	return stf.Module("Alarm", a, stf.At(1),
		stf.OnTask(ringing, 0, a.ring),
		stf.OnTask(changing, 1, func(ctx stf.Call, n uint32) error {
			a.Rings.Set(ctx, uint64(rand.Uint32())) // want `random: `
			return nil
		}))
}

// ring is as it should be, and schedules itself again.
func (a *Alarm) ring(ctx stf.Call, n uint32) error {
	if n > 0 {
		ringing.After(ctx, 10, n-1)
	}
	return nil
}

func (a *Alarm) size(ctx stf.Call, n int) error {
	a.last++                                        // want `field: `
	a.Rings.Set(ctx, uint64(time.Now().UnixNano())) // want `clock: .*have later work done by a task`
	return nil
}

func (a *Alarm) Plan(ctx stf.Call, many uint64) error {
	sizing.After(ctx, 1, 2)
	weighing.After(ctx, 1, struct{ Kilos float64 }{1})
	for range many { // each round charges
		changing.After(ctx, 1, 2)
	}
	for range many { // each round charges
		ctx.Cancel(stf.TaskID{})
	}
	changing = ringing // want `global: `
	return nil
}

// Wait does not wait.
func (a *Alarm) Wait(ctx stf.Call, blocks uint32) error {
	time.AfterFunc(time.Duration(blocks)*6*time.Second, func() { // want `clock: time.AfterFunc`
		a.last = 1 // want `field: `
	})
	for begin := ctx.BlockNumber(); ctx.BlockNumber() < begin+stf.BlockNumber(blocks); { // want `loop: `
	}
	return nil
}
