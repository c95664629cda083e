package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

const (
	// shardFees is for how many extrinsics the shard's account should have funds.
	shardFees = 100
	// shardFundsEvery is how many blocks may pass between looks at the account
	// while it lacks funds.
	shardFundsEvery = 5
)

// requestSender sends the extrinsics of the shard's account that the app asks
// for (RULES 24). All workers of the shard do: each nonce is used once.
type requestSender struct {
	w        *Worker
	pair     *keyring.Pair
	inFlight map[uint32]*requested // by nonce
	// nextFunds is when to look at the account's balance again.
	nextFunds uint32
}

// requested is an extrinsic of the shard's account on its way.
type requested struct {
	*signed
	givenUp bool
	sent    time.Time
}

func newRequestSender(w *Worker) *requestSender {
	return &requestSender{w: w, inFlight: map[uint32]*requested{}}
}

// send submits what is to be sent in the state after block at and is not on its
// way from here. A nonce that another worker has used, or something else in the
// pool, is left alone for a while.
func (s *requestSender) send(ctx context.Context, requests []enclave.Request, at verified) error {
	wanted := map[uint32]bool{} // nonce: given up
	for _, q := range requests {
		wanted[*q.Nonce] = q.GivenUp
	}
	maps.DeleteFunc(s.inFlight, func(nonce uint32, x *requested) bool {
		givenUp, open := wanted[nonce]
		return !open || givenUp != x.givenUp || x.death <= at.header.Number+1 || s.w.runtimes.outdated(ctx, at, x.signed)
	})
	for _, q := range requests {
		if x := s.inFlight[*q.Nonce]; x != nil {
			if time.Since(x.sent) > s.w.cfg.resubmit {
				x.sent = time.Now()
				if err := s.w.sender.resubmit(ctx, x.signed); err != nil && !isReply(err) {
					return err
				}
			}
			continue
		}
		refused, err := s.submit(ctx, q, at)
		if err != nil {
			return err
		}
		if refused != nil {
			// Those behind it can be in no block before it.
			s.w.health.trouble("shard account", fmt.Errorf("request %d, %s.%s with nonce %d: %w", q.ID, q.Pallet, q.Name, *q.Nonce, refused))
			return nil
		}
	}
	s.w.health.well("shard account")
	return nil
}

// submit signs and submits one. refused is what the node says against it.
func (s *requestSender) submit(ctx context.Context, q enclave.Request, at verified) (refused, err error) {
	rt, err := s.w.runtimes.get(ctx)
	if err != nil {
		return nil, err
	}
	call, misfit, err := rt.RequestCall(s.w.cfg.App, q)
	if err != nil {
		return nil, err
	}
	if misfit != nil {
		s.w.log.Warn("the runtime does not take what the app asks for: its nonce is used for nothing", "request", q.ID, "call", q.Pallet+"."+q.Name, "error", misfit)
	}
	if s.pair == nil {
		s.pair = s.w.ring.Load().ShardAccount()
	}
	of := *s.w.sender
	of.pair = s.pair
	// Not at the last block, as other extrinsics: what that proves of the account
	// may forbid to sign at all.
	signed, err := of.signAt(rt, call, *q.Nonce, at)
	if err != nil {
		return nil, err
	}
	x := &requested{signed: signed, givenUp: q.GivenUp}
	err = of.submit(ctx, x.signed)
	var reply *rpcclient.Error
	if errors.As(err, &reply) && reply.Code != codePriorityTooLow {
		return err, nil
	}
	s.inFlight[*q.Nonce] = x
	if err != nil && reply == nil {
		return nil, err // it may have arrived: the same bytes are sent again
	}
	x.sent = time.Now()
	if err == nil {
		s.w.metrics.sent.WithLabelValues(requestKind).Inc()
		s.w.log.Debug("extrinsic of the shard's account sent", "request", q.ID, "nonce", *q.Nonce, "extrinsic", x.hash, "given_up", q.GivenUp)
	}
	return nil, nil
}

// funds looks whether the account can pay fees; with Config.Dev //Alice fills
// it up. Lack of funds is trouble, and stops nothing else.
func (s *requestSender) funds(ctx context.Context, number uint32) error {
	if !s.w.cfg.App.HasChainCalls() || number < s.nextFunds {
		return nil
	}
	s.nextFunds = number + fundsEvery
	err := s.keepFunds(ctx)
	switch {
	case err == nil:
		s.w.health.well("shard funding")
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		s.nextFunds = number + shardFundsEvery
		s.w.health.trouble("shard funding", err)
	}
	return nil
}

func (s *requestSender) keepFunds(ctx context.Context) error {
	rt, err := s.w.runtimes.get(ctx)
	if err != nil {
		return err
	}
	who := s.w.ring.Load().ShardAccount().AccountID()
	fee, err := s.w.fee(ctx, rt)(transferCall(rt.Metadata(), who, system.AccountData{}.Free))
	if err != nil {
		return err
	}
	needed := new(big.Int).Mul(big.NewInt(shardFees), fee)
	needed.Add(needed, existentialDeposit(rt))
	return s.w.topUp(ctx, rt, who, needed, 50, s.w.metrics.shardBalance)
}
