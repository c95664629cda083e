package parentchain

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Subscription delivers notifications of one subscription until Close, the end
// of the connection, or 1024 unread notifications.
type Subscription struct {
	raw    <-chan json.RawMessage
	cancel func()
	conn   *rpcclient.Client
}

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() { s.cancel() }

// next returns the next notification; an error wraps ErrUnavailable unless ctx
// has ended.
func (s *Subscription) next(ctx context.Context) (json.RawMessage, error) {
	select {
	case m, ok := <-s.raw:
		if ok {
			return m, nil
		}
		if err := s.conn.Err(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil, fmt.Errorf("%w: subscription ended", ErrUnavailable)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Heads is a subscription to headers.
type Heads struct{ *Subscription }

// Next waits for the next header.
func (s Heads) Next(ctx context.Context) (*header.Header, error) {
	m, err := s.next(ctx)
	if err != nil {
		return nil, err
	}
	var h header.Header
	if err := json.Unmarshal(m, &h); err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrNonsense, err)
	}
	return &h, nil
}

// SubscribeFinalizedHeads subscribes to the headers of finalized blocks.
func (c *Client) SubscribeFinalizedHeads(ctx context.Context) (Heads, error) {
	s, err := c.subscribe(ctx, "chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads", nil)
	return Heads{s}, err
}

// SubscribeNewHeads subscribes to the headers of best blocks.
func (c *Client) SubscribeNewHeads(ctx context.Context) (Heads, error) {
	s, err := c.subscribe(ctx, "chain_subscribeNewHeads", "chain_unsubscribeNewHeads", nil)
	return Heads{s}, err
}

// Status is where a watched extrinsic is. Final statuses are InBlock with
// Finalized set, and everything in Failed.
type Status struct {
	Name      string       // as the node names it: ready, future, broadcast, inBlock, finalized, …
	Block     hashing.Hash // for inBlock, finalized, retracted, finalityTimeout
	InBlock   bool         // it is in a block, perhaps one that will not be final
	Finalized bool         // it is in a final block
	Failed    bool         // it will not come into a block: invalid, dropped, usurped, finalityTimeout
}

// UnmarshalJSON reads a status: a name, or an object with one field.
func (s *Status) UnmarshalJSON(b []byte) error {
	*s = Status{}
	if err := json.Unmarshal(b, &s.Name); err != nil {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(b, &m); err != nil || len(m) != 1 {
			return fmt.Errorf("%w: extrinsic status %.100s", ErrNonsense, b)
		}
		for name, value := range m {
			s.Name = name
			// "broadcast" carries peer names, which do not matter here.
			if name != "broadcast" && json.Unmarshal(value, &s.Block) != nil {
				return fmt.Errorf("%w: extrinsic status %.100s", ErrNonsense, b)
			}
		}
	}
	switch s.Name {
	case "inBlock":
		s.InBlock = true
	case "finalized":
		s.InBlock, s.Finalized = true, true
	case "invalid", "dropped", "usurped", "finalityTimeout":
		s.Failed = true
	}
	return nil
}

// Watch follows one extrinsic.
type Watch struct{ *Subscription }

// Next waits for the next status.
func (w Watch) Next(ctx context.Context) (Status, error) {
	m, err := w.next(ctx)
	if err != nil {
		return Status{}, err
	}
	var s Status
	err = json.Unmarshal(m, &s)
	return s, err
}

// SubmitAndWatch puts an encoded extrinsic into the node's pool and follows it.
func (c *Client) SubmitAndWatch(ctx context.Context, raw []byte) (Watch, error) {
	s, err := c.subscribe(ctx, "author_submitAndWatchExtrinsic", "author_unwatchExtrinsic", []any{Hex(raw)})
	return Watch{s}, err
}
