// Package concurrent does things at once.
package concurrent

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/offchain-worker/sdk/stf"
)

type Jobs struct {
	Done stf.Value[uint32]
	mu   sync.Mutex
}

func (j *Jobs) Run(ctx stf.Call, n uint8) error {
	ch := make(chan uint32) // want `channel: makes a channel; pass values as arguments`
	for i := range n {
		go func() { ch <- uint32(i) }() // want `goroutine: a go statement starts a goroutine` `channel: sends to a channel.*reached from \(\*Jobs\).Run`
	}
	for v := range ch { // want `channel: receives from a channel`
		j.Done.Set(ctx, v)
	}
	close(ch) // want `channel: closes a channel`
	return nil
}

func (j *Jobs) First(ctx stf.Call) error {
	a, b := pipes()
	select { // want `channel: select takes any of the cases that are ready`
	case <-a: // want `channel: receives`
	case <-b: // want `channel: receives`
	}
	return nil
}

func pipes() (a, b chan int) { return }

func (j *Jobs) Locked(ctx stf.Call) error {
	j.mu.Lock()         // want `sync: sync.Lock|sync: sync.Mutex.Lock` `field: changes field mu`
	defer j.mu.Unlock() // want `sync: ` `field: changes field mu`
	return nil
}

var hits atomic.Uint64

var table = sync.OnceValue(func() uint32 { return 7 }) // want `sync: sync.OnceValue is for goroutines`

func (j *Jobs) Count(ctx stf.Call) error {
	hits.Add(1)              // want `sync: ` `global: changes the package variable hits`
	j.Done.Set(ctx, table()) // the finding is where table gets its value
	return nil
}

func (j *Jobs) Pull(ctx stf.Call, list []uint32) error {
	next, stop := iter.Pull(values(list)) // want `goroutine: iter.Pull runs its argument as a coroutine`
	defer stop()
	v, _ := next()
	j.Done.Set(ctx, v)
	return nil
}

func values(list []uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, v := range list {
			if !yield(v) {
				return
			}
		}
	}
}

func (j *Jobs) Cancel(ctx stf.Call) error {
	c, cancel := context.WithCancel(context.Background()) // want `std: context.WithCancel is of a package that is not known to be deterministic` `std: context.Background`
	defer cancel()
	_ = c
	return nil
}
