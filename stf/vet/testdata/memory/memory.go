// Package memory remembers outside storage.
package memory

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"sort"
	"time"

	"github.com/offchain-worker/sdk/stf"
)

type Shop struct {
	Sold  stf.Value[uint64]
	cache map[stf.AccountID]uint64
	total uint64
	limit uint64 // set by New only
	log   bytes.Buffer
	sub   struct{ n uint32 }
}

var (
	orders   uint64
	names    = map[string]uint64{}
	recent   []uint64
	sum      = big.NewInt(0)
	settings struct{ Fee uint64 }
	fixed    = []uint64{3, 1, 2}
	squares  [8]uint64
	primes   = map[uint64]bool{}
	verbose  bool
)

func init() {
	for i := range squares {
		squares[i] = uint64(i * i)
	}
	prepare(13)
}

func prepare(p uint64) { primes[p] = true }

var (
	born  int64
	sieve = makeSieve(100)
	steps = map[uint8]func(uint64) uint64{1: collatz}
)

func init() {
	born = time.Now().Unix() // want `clock: time.Now.*reached from \(\*Shop\).Read`
}

// Before main there is no gas: only the value counts.
func makeSieve(n int) []bool {
	out := make([]bool, n)
	for i := 2; i < n; i++ {
		for j := i * i; j < n; j += i {
			out[j] = true
		}
	}
	return out
}

func collatz(n uint64) (steps uint64) {
	for n > 1 { // want `loop: nothing bounds`
		n /= 2
		steps++
	}
	return steps
}

func (s *Shop) Read(ctx stf.Call, n uint8) error {
	s.Sold.Set(ctx, uint64(born)+steps[n](7))
	if sieve[n] {
		return nil
	}
	return nil
}

func New(limit uint64) *Shop {
	s := &Shop{cache: map[stf.AccountID]uint64{}}
	s.limit = limit
	return s
}

// Configure is called from main, on each worker as it likes.
func Configure(v bool) { verbose = v }

func (s *Shop) Buy(ctx stf.Call, n uint64) error {
	orders++                           // want `global: changes the package variable orders; keep it in a storage field`
	names["last"] = n                  // want `global: changes the package variable names`
	recent = append(recent, n)         // want `global: changes the package variable recent`
	sum.Add(sum, big.NewInt(int64(n))) // want `global: changes the package variable sum`
	settings.Fee = n                   // want `global: changes the package variable settings`
	delete(names, "first")             // want `global: changes the package variable names`
	p := &settings                     // want `global: changes the package variable settings`
	p.Fee++
	slices.Sort(fixed)        // want `global: changes the package variable fixed`
	push(names)               // want `global: changes the package variable names`
	s.cache[ctx.Sender()] = n // want `field: changes field cache of a module, which is no storage item; declare the field as stf.Value`
	s.total += n              // want `field: changes field total`
	s.log.WriteByte(1)        // want `field: changes field log`
	s.sub.n++                 // want `field: changes field n|field: changes field sub`
	push2(s.cache)            // want `field: changes field cache`
	if n > s.limit+squares[2] || primes[n] {
		return nil
	}
	if verbose { // want `global: package variable verbose is changed by Configure \(memory.go:89\)`
		return nil
	}
	return s.load(ctx)
}

func push(m map[string]uint64) { m["x"]++ }

func push2(m map[stf.AccountID]uint64) { clear(m) }

func (s *Shop) load(ctx stf.Call) error {
	return json.Unmarshal([]byte("{}"), &settings) // want `global: changes the package variable settings`
}

func (s *Shop) Sort(ctx stf.Call) error {
	sort.Slice(fixed, func(i, j int) bool { return fixed[i] < fixed[j] }) // want `global: changes the package variable fixed`
	return nil
}

// Local variables, copies and parameters are the call's own.
func (s *Shop) Local(ctx stf.Call, list []uint64) error {
	slices.Sort(list)
	own := map[uint64]uint64{}
	for _, n := range list {
		own[n]++
	}
	tmp := squares
	tmp[0] = 1
	x := new(big.Int).Add(big.NewInt(1), big.NewInt(2))
	x.Add(x, x)
	var b bytes.Buffer
	b.WriteByte(tmp0(tmp))
	s.Sold.Set(ctx, x.Uint64()+uint64(len(own)))
	return nil
}

func tmp0(a [8]uint64) byte { return byte(a[0]) }
