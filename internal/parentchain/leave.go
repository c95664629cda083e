package parentchain

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Who uses a Client judges its active endpoint, since only he can verify what
// it says:
//
//	turn := c.Turn()
//	if err := use(c); err != nil { c.Leave(turn, err) } else { c.Good() }
//
// An endpoint that was left is not turned to for a while, longer each time, as
// long as there is another one. There is no way back to an endpoint merely
// because it is back, or higher in the list: that would be flapping.

// Turn returns the number of the present turn.
func (c *Client) Turn() Turn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turn
}

// Leave ends a turn because of err and begins the next one with another
// endpoint: the first in the list that was not left lately, or the one of the
// others whose pause is over first. It does nothing if that turn is over already, so that
// one failure that several goroutines notice counts once. A single endpoint is
// connected anew.
func (c *Client) Leave(turn Turn, err error) { c.leave(turn, err, firstPause) }

// LeaveLiar is Leave for an endpoint whose data did not verify: it is left for
// longer.
func (c *Client) LeaveLiar(turn Turn, err error) { c.leave(turn, err, liarsPause) }

func (c *Client) leave(turn Turn, err error, first time.Duration) {
	c.mu.Lock()
	if turn != c.turn {
		c.mu.Unlock()
		return
	}
	left := c.endpoints[c.active]
	pause := c.pause(left, first)
	c.next()
	now := c.endpoints[c.active]
	c.mu.Unlock()
	left.drop(false)
	if len(c.endpoints) > 1 {
		if c.opts.Left != nil {
			c.opts.Left(err)
		}
		c.opts.Log.Warn("left an endpoint of the parentchain", "endpoint", left.name(), "reason", err, "not_for", pause, "now", now.name())
	}
}

// pause keeps e from being turned to for a while. It runs under mu.
func (c *Client) pause(e *endpoint, first time.Duration) time.Duration {
	d := min(first<<min(e.failures, 16), mostPause)
	e.failures++
	e.notBefore = time.Now().Add(d)
	return d
}

// next begins a turn with another endpoint, if there is one. It runs under mu.
func (c *Client) next() {
	now, best := time.Now(), -1
	for i, e := range c.endpoints {
		if i == c.active && len(c.endpoints) > 1 {
			continue
		}
		if !e.notBefore.After(now) {
			best = i
			break
		}
		if best < 0 || e.notBefore.Before(c.endpoints[best].notBefore) {
			best = i
		}
	}
	c.active, c.since = best, now
	c.turn++
	c.mark, c.marked = 0, time.Time{}
}

// Good says that the active endpoint has served what was verified. Once it has
// done so for as long as it was left the last time, what it did is forgotten.
func (c *Client) Good() {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.endpoints[c.active]
	if e.failures > 0 && time.Since(c.since) > min(firstPause<<min(e.failures, 16), mostPause) {
		e.failures = 0
	}
}

// InUse returns the place in the list of the endpoint that is active, from 0.
func (c *Client) InUse() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}

// Usable returns how many endpoints there are and how many of them were not
// left lately.
func (c *Client) Usable() (usable, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, e := range c.endpoints {
		if !e.notBefore.After(now) {
			usable++
		}
	}
	return usable, len(c.endpoints)
}

// Watch compares what the endpoints call final until ctx ends, and leaves the
// active one if it answers nothing or stays behind. What others say is only
// their word: who has called a head final and then does not serve it is left
// in its turn. A single endpoint has nothing to be compared with.
func (c *Client) Watch(ctx context.Context) {
	if len(c.endpoints) < 2 {
		return
	}
	tick := time.NewTicker(c.opts.Compare)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.compare(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// compare asks all endpoints that were not left lately for their finalized
// heads.
func (c *Client) compare(ctx context.Context) {
	c.mu.Lock()
	turn, active, now := c.turn, c.active, time.Now()
	asked := make([]bool, len(c.endpoints))
	for i, e := range c.endpoints {
		asked[i] = i == active || !e.notBefore.After(now)
	}
	c.mu.Unlock()
	heads, errs := make([]header.Number, len(c.endpoints)), make([]error, len(c.endpoints))
	var group sync.WaitGroup
	for i, e := range c.endpoints {
		if asked[i] {
			group.Go(func() { heads[i], errs[i] = e.finalized(ctx) })
		}
	}
	group.Wait()
	if ctx.Err() != nil {
		return
	}
	if errs[active] != nil {
		c.Leave(turn, errs[active])
		return
	}
	c.mu.Lock()
	if turn != c.turn {
		c.mu.Unlock()
		return
	}
	var most header.Number
	for i, e := range c.endpoints {
		switch {
		case !asked[i] || i == active:
		case errs[i] != nil:
			pause := c.pause(e, firstPause)
			c.opts.Log.Debug("an endpoint of the parentchain does not answer", "endpoint", e.name(), "reason", errs[i], "not_for", pause)
			e.drop(false)
		default:
			most = max(most, heads[i])
		}
	}
	now = time.Now()
	if c.marked.IsZero() || heads[active] >= c.mark {
		c.mark, c.marked = most, now
	}
	stale := heads[active] < c.mark && now.Sub(c.marked) >= c.opts.Stale
	mark := c.mark
	c.mu.Unlock()
	if stale {
		c.Leave(turn, staleError{heads[active], mark})
	}
}

type staleError struct{ own, others header.Number }

func (e staleError) Error() string {
	return fmt.Sprintf("%v: it calls block %d final, another one called block %d final a while ago", ErrStale, e.own, e.others)
}

func (staleError) Unwrap() error { return ErrStale }

// finalized returns the number of the block that e calls final.
func (e *endpoint) finalized(ctx context.Context) (header.Number, error) {
	var hash hashing.Hash
	if err := e.call(ctx, "chain_getFinalizedHead", nil, &hash); err != nil {
		return 0, err
	}
	var h *header.Header
	if err := e.call(ctx, "chain_getHeader", at(hash), &h); err != nil {
		return 0, err
	}
	if h == nil || h.Hash() != hash {
		return 0, fmt.Errorf("%w: no header of the block %s that it calls final", ErrNonsense, hash)
	}
	return h.Number, nil
}
