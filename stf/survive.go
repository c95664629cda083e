package stf

import (
	"errors"

	"github.com/offchain-worker/sdk/internal/isolate"
)

// errExited is what a call ends with that ended its goroutine.
var errExited = errors.New("panic: the goroutine was ended")

// exits are the frames of one execution of a block, by number, that ended their
// goroutine ([runtime.Goexit]), which nothing can undo. They are known from the
// attempts before.
type exits struct {
	frames int // begun in this attempt
	ended  map[int]bool
}

// enter counts a frame, and reports whether it will end its goroutine.
func (x *exits) enter() bool {
	if x == nil {
		return false
	}
	x.frames++
	return x.ended[x.frames]
}

// Survive runs fn, which executes a block or a part of one in the Env that it is
// given, in a goroutine of its own. Where business logic ends that goroutine, as a
// test's FailNow does, fn runs again from the start, and what ended it counts as
// having panicked. So fn must leave nothing behind unless it returns.
//
// Business logic that does so is wrong, and costs the block once more each time;
// but every worker comes to the same end. A goroutine for each call would be
// simpler, and would cost every call more than its dispatch.
func (e Env) Survive(fn func(Env)) {
	x := &exits{ended: map[int]bool{}}
	e.exits = x
	for !isolate.Run(func() { fn(e) }) {
		if x.ended[x.frames] {
			panic("stf: something else than business logic has ended the goroutine")
		}
		x.ended[x.frames] = true
		x.frames = 0
	}
}
