package parentchain

import (
	"context"
	"fmt"
	"sync"

	"github.com/offchain-worker/sdk/substrate/header"
)

// Headers returns the headers of the blocks from..to (both included) of the
// node's best chain, fetched several at a time. That they are one chain is for
// the caller to check; he bounds their number too.
func (c *Client) Headers(ctx context.Context, from, to header.Number) ([]header.Header, error) {
	if from > to {
		return nil, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]header.Header, to-from+1)
	next := make(chan header.Number)
	var group sync.WaitGroup
	for range min(fetchers, len(out)) {
		group.Go(func() {
			for n := range next {
				h, err := c.headerAt(ctx, n)
				if err != nil {
					cancel(err)
					return
				}
				out[n-from] = *h
			}
		})
	}
feed:
	for i := range out {
		select {
		case next <- from + header.Number(i):
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

func (c *Client) headerAt(ctx context.Context, n header.Number) (*header.Header, error) {
	hash, err := c.BlockHash(ctx, n)
	if err != nil {
		return nil, err
	}
	h, err := c.Header(ctx, hash)
	if err != nil {
		return nil, err
	}
	if h.Number != n {
		return nil, fmt.Errorf("%w: block %d has number %d", ErrNonsense, n, h.Number)
	}
	return h, nil
}
