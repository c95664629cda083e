package client

import (
	"context"
	"errors"
	"time"

	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/substrate/header"
)

const (
	// reconnectPause is how long to wait before a lost node is dialled again.
	reconnectPause = time.Second
	// patience is how long a server may be gone while something is awaited of
	// it: a restart takes less.
	patience = time.Minute
)

// absence measures for how long a server has been gone.
type absence struct{ since time.Time }

// over reports, after an error, whether the server is gone for too long.
func (a *absence) over() bool {
	if a.since.IsZero() {
		a.since = time.Now()
	}
	return time.Since(a.since) > patience
}

// end notes that the server has answered.
func (a *absence) end() { a.since = time.Time{} }

// heads calls f with the newest head, finalized or best, and again whenever
// there is a newer one, until f is done, fails, or ctx ends. Blocks may be
// passed over, a subscription does not promise each of them; f must look at
// what lies between. A lost connection is made again, unless the node is gone
// for a minute; errors of f that say so ([parentchain.ErrUnavailable]) count as
// such.
func (c *Chain) heads(ctx context.Context, finalized bool, f func(ctx context.Context, number BlockNumber, hash Hash) (done bool, err error)) error {
	var gone absence
	for {
		err := c.follow(ctx, finalized, func(ctx context.Context, number BlockNumber, hash Hash) (bool, error) {
			gone.end()
			return f(ctx, number, hash)
		})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, parentchain.ErrUnavailable) && !errors.Is(err, ErrUnavailable) || gone.over() {
			return c.nodeError(err)
		}
		if err := sleep(ctx, reconnectPause); err != nil {
			return err
		}
	}
}

// follow is heads on one connection.
func (c *Chain) follow(ctx context.Context, finalized bool, f func(context.Context, BlockNumber, Hash) (bool, error)) error {
	subscribe := c.node.SubscribeNewHeads
	if finalized {
		subscribe = c.node.SubscribeFinalizedHeads
	}
	sub, err := subscribe(ctx)
	if err != nil {
		return err
	}
	defer sub.Close()
	// Nodes send the present head at once, but not all do.
	var h *header.Header
	if finalized {
		h, err = c.node.FinalizedHeader(ctx)
	} else {
		h, err = c.node.Header(ctx, Hash{})
	}
	for {
		if err != nil {
			return err
		}
		if done, err := f(ctx, h.Number, h.Hash()); done || err != nil {
			return err
		}
		h, err = sub.Next(ctx)
	}
}

// Blocks calls f with the events of each new best block, beginning with the
// present one, until f is done, fails, or ctx ends. Blocks of a branch that was
// replaced are passed over or followed by those that replace them.
func (c *Chain) Blocks(ctx context.Context, f func(number BlockNumber, events []Event) (done bool, err error)) error {
	var last Hash
	var lastNumber BlockNumber
	return c.heads(ctx, false, func(ctx context.Context, number BlockNumber, hash Hash) (bool, error) {
		if hash == last || number < lastNumber {
			return false, nil // announced before
		}
		events, err := c.Events(ctx, hash)
		if err != nil {
			return false, err
		}
		last, lastNumber = hash, number
		return f(number, events)
	})
}
