package simulation

import (
	"math/rand/v2"

	"github.com/offchain-worker/sdk/scale"
)

// dice is the only source of chance: equal seeds give equal throws, on every
// architecture.
type dice struct{ src *rand.PCG }

func newDice(seed, stream uint64) dice { return dice{rand.NewPCG(seed, stream)} }

// n returns a number from 0 to k-1. (rand.Rand would throw otherwise where int
// has 32 bits.)
func (d dice) n(k int) int { return int(d.src.Uint64() >> 1 % uint64(k)) }

// in reports true once in k times.
func (d dice) in(k int) bool { return d.n(k) == 0 }

func (d dice) bytes(n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = scale.AppendU64(b, d.src.Uint64())
	}
	return b[:n]
}

func pick[T any](d dice, list []T) T { return list[d.n(len(list))] }
