// Package recursion comes back.
package recursion

import (
	"errors"

	"github.com/offchain-worker/sdk/stf"
)

type Tree struct {
	Left stf.Map[uint32, uint32]
}

func (t *Tree) Fib(q stf.Query, n uint32) (uint64, error) { return fib(n), nil }

func fib(n uint32) uint64 {
	if n < 2 {
		return 1
	}
	return fib(n-1) + fib(n-2) // want `recursion: fib calls itself; use a loop.*reached from \(\*Tree\).Fib`
}

func (t *Tree) Even(q stf.Query, n uint32) (bool, error) { return even(n), nil }

func even(n uint32) bool { return n == 0 || odd(n-1) }

func odd(n uint32) bool { return n != 0 && even(n-1) } // want `recursion: odd comes back to even`

func (t *Tree) Walk(ctx stf.Call, n uint32) error {
	var walk func(uint32)
	walk = func(n uint32) {
		if n != 0 {
			walk(t.Left.Get(ctx, n)) // want `recursion: a function in \(\*Tree\).Walk calls itself`
		}
	}
	walk(n)
	return wrapped{errors.New("x")}
}

func (t *Tree) Depth(ctx stf.Call, n uint32) error {
	if n == 0 {
		return nil
	}
	return t.Depth(ctx, n-1) // want `recursion: \(\*Tree\).Depth calls itself`
}

// An error that wraps another is no recursion.
type wrapped struct{ err error }

func (w wrapped) Error() string { return "wrapped: " + w.err.Error() }

var _ = wrapped{}.Error()
