package bench

import (
	"context"
	"time"

	"github.com/offchain-worker/sdk/internal/fabricate"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Sizes of the headers benchmark: a set of a hundred voters is that of a middle
// sized chain, and a new one comes every four hours of 6 s blocks or so.
const (
	headerVoters  = 100
	headerSession = 5 * fabricate.Period
)

// headersBench links headers and proves them final, segment after segment,
// as a light client does in catch-up. The headers are in memory.
func headersBench(ctx context.Context, o *Options) ([]Result, error) {
	segments := 100
	if o.Quick {
		segments = 10
	}
	c, err := fabricate.New(fabricate.Options{Authorities: headerVoters, Session: headerSession})
	if err != nil {
		return nil, err
	}
	start, err := c.LightStart()
	if err != nil {
		return nil, err
	}
	type proven struct {
		headers       []header.Header
		justification []byte
	}
	list := make([]proven, segments)
	for i := range list {
		for range fabricate.Period {
			list[i].headers = append(list[i].headers, c.Empty())
		}
		list[i].justification = c.Justify()
	}
	o.logf("headers: %d headers, a justification by %d voters for every %d, %d authority changes", segments*fabricate.Period, headerVoters, fabricate.Period, segments*fabricate.Period/headerSession)
	s, err := best(rounds, func() (span, error) {
		return timed(func() error {
			lc := lightclient.New(start)
			for _, p := range list {
				if err := ctx.Err(); err != nil {
					return err
				}
				if _, err := lc.Finalize(p.headers, p.justification); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	rate := func(d time.Duration) float64 { return float64(segments*fabricate.Period) / d.Seconds() }
	return []Result{
		{Name: "headers", Value: rate(s.wall), Unit: "headers/s", goal: atLeast(20_000), note: "linked and proven final, by the clock"},
		{Name: "headers-cpu", Value: rate(s.cpu), Unit: "headers/s", note: "of one CPU's time"},
	}, nil
}
