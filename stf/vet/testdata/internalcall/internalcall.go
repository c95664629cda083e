// Package internalcall makes internal calls.
package internalcall

import (
	"time"

	"github.com/offchain-worker/sdk/stf"
)

type Bank struct {
	Free stf.Map[stf.AccountID, uint64]
}

func (b *Bank) Pay(ctx stf.Call, to stf.AccountID, amount uint64) error {
	b.Free.Set(ctx, to, amount)
	return nil
}

type Shop struct {
	Sold stf.Value[uint64]
	bank *Bank
}

// Buy is as it should be.
func (s *Shop) Buy(ctx stf.Call, from stf.AccountID) error {
	me := ctx.Sender()
	return ctx.As(from, func(ctx stf.Call) error { return s.bank.Pay(ctx, me, 1) })
}

func (s *Shop) Outside(ctx stf.Call, from stf.AccountID) error {
	return ctx.As(from, func(in stf.Call) error {
		s.Sold.Set(ctx, 1) // want `context: ctx belongs to the call outside, and cannot be used in an internal call; use the context that the function is given`
		return in.Try(func(stf.Call) error {
			return s.bank.Pay(in, ctx.Sender(), 1) // want `context: in belongs to the call outside` `context: ctx belongs to the call outside`
		})
	})
}

func (s *Shop) Query(ctx stf.Call) error {
	q := ctx.Query()
	return ctx.Try(func(ctx stf.Call) error {
		s.Sold.Set(ctx, s.Sold.Get(q)) // want `context: q belongs to the call outside`
		return nil
	})
}

func (s *Shop) EndBlock(h stf.Hook) error {
	return h.As(h.EnclaveAccount(), func(ctx stf.Call) error {
		s.Sold.Set(h, 1) // want `context: h belongs to the call outside`
		return s.late(ctx)
	})
}

func (s *Shop) late(ctx stf.Call) error {
	s.Sold.Set(ctx, uint64(time.Now().Unix())) // want `clock: time.Now`
	return nil
}

func (s *Shop) Again(ctx stf.Call, n uint32) error {
	if n == 0 {
		return nil
	}
	return ctx.Try(func(ctx stf.Call) error { return s.Again(ctx, n-1) }) // want `recursion: a function in \(\*Shop\).Again comes back to \(\*Shop\).Again`
}

// Each round charges for its internal call.
func (s *Shop) All(ctx stf.Call, n uint64) error {
	for range n {
		if err := ctx.Try(func(ctx stf.Call) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
