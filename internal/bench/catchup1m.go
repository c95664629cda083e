package bench

import (
	"context"
	"math/rand/v2"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// newMillionStage sets up a shard with so many accounts, any of which may
// receive the next transfer.
func newMillionStage(ctx context.Context, o *Options) (*stage, error) {
	_, keys, err := sampleApp()
	if err != nil {
		return nil, err
	}
	accounts := crowdSize(o)
	app, err := sample.NewEndowed(func(yield func(stf.AccountID, stf.Balance) bool) {
		for i := 1; i < accounts && yield(crowdMember(i), scale.NewU128(1_000_000_000_000)); i++ {
		}
	})
	if err != nil {
		return nil, err
	}
	return newStageOf(ctx, o, "catchup-1m", app, keys, func(n uint32) keyring.AccountID {
		return crowdMember(1 + rand.New(rand.NewPCG(uint64(n), 0)).IntN(accounts-1))
	})
}

// catchUpMillionBench compares a catch-up among a million accounts with the one
// of catchup, in short turns of either.
func catchUpMillionBench(ctx context.Context, o *Options) ([]Result, error) {
	turns, blocks := 5, 4
	if o.Quick {
		turns, blocks = 1, 1
	}
	small, err := newStage(ctx, o, "catchup")
	if err != nil {
		return nil, err
	}
	defer small.close()
	large, err := newMillionStage(ctx, o)
	if err != nil {
		return nil, err
	}
	defer large.close()
	calls := float64(turns * blocks * catchUpPerBlock)
	var rates, base, ratios []float64
	for i := range rounds {
		var took [2]span
		for j := range turns {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			for k := range 2 {
				which := (i + j + k) % 2
				s := small
				if which == 1 {
					s = large
				}
				whole, err := s.work(blocks)
				if err != nil {
					return nil, err
				}
				took[which] = took[which].add(whole)
			}
		}
		base, rates = append(base, calls/took[0].wall.Seconds()), append(rates, calls/took[1].wall.Seconds())
		ratios = append(ratios, took[0].wall.Seconds()/took[1].wall.Seconds())
		o.logf("catchup-1m: %.0f calls, %.0f/s, with few accounts %.0f/s, ratio %.3f (of CPU time %.3f)", calls, rates[i], base[i], ratios[i],
			took[0].cpu.Seconds()/took[1].cpu.Seconds())
	}
	ratio, few := median(ratios), median(base)
	return []Result{{Name: "catchup-1m", Value: median(rates), Unit: "invocations/s", Baseline: &few, Ratio: &ratio, goal: atLeast(0.90),
		note: "against the same with a thousand accounts"}}, nil
}

// work makes blocks full of transfers and measures a worker's work on them.
func (s *stage) work(blocks int) (span, error) {
	seg, ciphertexts, err := s.transfers(shielding.RSA, blocks)
	if err != nil {
		return span{}, err
	}
	return timed(func() error { return s.process(seg, len(ciphertexts)) })
}
