// Package loops goes round and round.
package loops

import (
	"errors"

	"github.com/offchain-worker/sdk/stf"
)

type Loops struct {
	N    stf.Value[uint64]
	List stf.Map[uint64, uint64]
	Next stf.Map[stf.AccountID, stf.AccountID]
}

const limit = 50

func (l *Loops) Bad(ctx stf.Call, n uint64, m uint32, list []uint64) error {
	x := n
	for range n { // want `loop: nothing bounds n, the rounds of this loop; call ctx.Charge in each round`
		x = x*3 + 1
	}
	for i := uint32(0); i < m; i++ { // want `loop: nothing bounds the rounds of this loop`
		x++
	}
	for x != 1 { // want `loop: nothing bounds`
		x /= 2
	}
	for { // want `loop: nothing bounds`
		if x > 7 {
			break
		}
		x++
	}
	for i := 0; i < len(list); i++ { // want `loop: nothing bounds`
		list = append(list, 1)
	}
	for range l.N.Get(ctx) { // want `loop: nothing bounds`
		x++
	}
	for i := uint64(0); i < n; i++ { // want `loop: nothing bounds`
		if i%2 == 0 {
			continue
		}
		ctx.Charge(1)
	}
	for i := uint64(0); i < n; i++ { // want `loop: nothing bounds`
		if i > 5 {
			ctx.Charge(1)
		}
	}
again:
	x++
	if x < n {
		goto again // want `loop: goto again goes back any number of times`
	}
	collatz(x)
	return nil
}

func collatz(n uint64) {
	for n > 1 { // want `loop: nothing bounds.*reached from \(\*Loops\).Bad`
		if n%2 == 0 {
			n /= 2
		} else {
			n = 3*n + 1
		}
	}
}

func (l *Loops) Good(ctx stf.Call, n uint64, small uint16, list []uint64) error {
	x := uint64(0)
	for range 10 {
		x++
	}
	for range small {
		x++
	}
	for i := 0; i < len(list); i++ {
		x += list[i]
	}
	for i := len(list) - 1; i >= 0; i-- {
		x += list[i]
	}
	for range min(n, limit) {
		x++
	}
	for range n % 16 {
		x++
	}
	for range n {
		ctx.Charge(1)
	}
	for i := uint64(0); i < n; i++ {
		l.List.Set(ctx, i, x)
	}
	for i := uint64(0); l.List.Contains(ctx, i); i++ {
		x++
	}
	for range n {
		l.step(ctx)
	}
	who := ctx.Sender()
	for !who.IsZero() {
		who = l.Next.Get(ctx, who)
	}
	for k, v := range l.List.All(ctx) {
		x += k * v
	}
	for len(list) > 0 {
		x += list[0]
		list = list[1:]
	}
	half := small / 2
	for i := range half {
		x += uint64(i)
	}
	if n > limit {
		return errors.New("too many")
	}
	for range n {
		x++
	}
	for i := uint64(1); i <= n; i++ {
		x *= i
	}
	l.N.Set(ctx, x)
	return nil
}

func (l *Loops) step(ctx stf.Call) {
	if l.N.Get(ctx) > 3 {
		return
	}
	l.N.Set(ctx, 1)
}
