package parentchain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// FollowOptions configures Follow.
type FollowOptions struct {
	// From is the number of the first block to deliver.
	From header.Number
	// Window is how many blocks may be fetched ahead of the one that Next
	// returns; 0 is DefaultWindow.
	Window int
	// MaxBytes bounds what fetched blocks take in memory: none further is
	// fetched while more is held; 0 is DefaultMaxBytes.
	MaxBytes int64
	// Keys returns the storage keys that each block's read proof is to cover;
	// nil means that no proof is wanted. It is called by any goroutine, when the
	// block is fetched, which may be long before Next returns it.
	Keys func(header.Number) [][]byte
	// Fetch, if set, obtains a block whose hash the node told; ask asks the node
	// for it. Like Keys, it is called by any goroutine.
	Fetch func(ctx context.Context, n header.Number, hash hashing.Hash, ask func() (*UnverifiedBlock, error)) (*UnverifiedBlock, error)
	// Poll is how often the finalized head is asked for besides the
	// subscription; 0 is DefaultPoll.
	Poll time.Duration
}

// Defaults of FollowOptions.
const (
	DefaultWindow   = 64
	DefaultMaxBytes = 64 << 20
	DefaultPoll     = 6 * time.Second // a block time of the Integritee chains
	// fetchers bounds the requests in flight: enough to hide a round trip of
	// 100 ms at 100 blocks per second.
	fetchers = 8
)

// Follower delivers finalized blocks in order, as the node tells them.
type Follower struct {
	client *Client
	opts   FollowOptions
	cancel context.CancelFunc
	group  sync.WaitGroup
	queue  chan chan fetched // one per block, in order; room for the window
	slots  chan struct{}     // one token per fetch under way
	first  <-chan fetched    // taken from queue and waited for; of Next alone

	mu      sync.Mutex // guards what follows
	head    header.Number
	changed chan struct{} // closed and replaced when head, held or err changes
	held    int64         // bytes fetched and not yet taken
	err     error         // why following ended
}

type fetched struct {
	block *UnverifiedBlock
	bytes int64
	err   error
}

// Follow starts to fetch finalized blocks. It goes on until ctx ends, Close, or
// the first error, which Next returns once: the caller starts anew from the
// block that it needs next.
func (c *Client) Follow(ctx context.Context, opts FollowOptions) *Follower {
	if opts.Window == 0 {
		opts.Window = DefaultWindow
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = DefaultMaxBytes
	}
	if opts.Poll == 0 {
		opts.Poll = DefaultPoll
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &Follower{client: c, opts: opts, cancel: cancel, queue: make(chan chan fetched, opts.Window),
		slots: make(chan struct{}, fetchers), changed: make(chan struct{})}
	f.group.Go(func() { f.watchHeads(ctx) })
	f.group.Go(func() { f.fetchAll(ctx) })
	return f
}

// Close ends following and waits for its goroutines.
func (f *Follower) Close() {
	f.cancel()
	f.group.Wait()
}

// Head returns the highest number that the node called final; 0 at first.
func (f *Follower) Head() header.Number {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}

// Next waits for the next block. Nothing is lost if ctx ends first. One
// goroutine at a time may call it.
func (f *Follower) Next(ctx context.Context) (*UnverifiedBlock, error) {
	for f.first == nil {
		changed, ended := f.state()
		select {
		case f.first = <-f.queue: // what was fetched before the end still counts
			continue
		default:
		}
		if ended != nil {
			return nil, ended
		}
		select {
		case f.first = <-f.queue:
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case r := <-f.first:
		f.first = nil
		f.update(func() { f.held -= r.bytes })
		if _, ended := f.state(); ended != nil && errors.Is(r.err, context.Canceled) {
			return nil, ended // a fetch was given up because of it
		}
		return r.block, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Ready reports whether Next would return at once with a block, or with why it
// could not be fetched. The goroutine that calls Next may call it.
func (f *Follower) Ready() bool {
	if f.first == nil {
		select {
		case f.first = <-f.queue:
		default:
			return false
		}
	}
	return len(f.first) > 0
}

// state returns a channel that is closed at the next change, and why
// following ended, if it did.
func (f *Follower) state() (<-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed, f.err
}

// update changes the guarded fields and wakes who waits for them.
func (f *Follower) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Follower) fail(err error) {
	f.update(func() {
		if f.err == nil {
			f.err = err
		}
	})
	f.cancel()
}

// watchHeads keeps head current: by subscription, and by asking now and then
// in case the subscription is silent.
func (f *Follower) watchHeads(ctx context.Context) {
	heads, err := f.client.SubscribeFinalizedHeads(ctx)
	if err != nil {
		f.fail(err)
		return
	}
	defer heads.Close()
	f.group.Go(func() {
		for {
			h, err := heads.Next(ctx)
			if err != nil {
				f.fail(err)
				return
			}
			f.sawHead(h.Number)
		}
	})
	tick := time.NewTicker(f.opts.Poll)
	defer tick.Stop()
	for {
		h, err := f.client.FinalizedHeader(ctx)
		if err != nil {
			f.fail(err)
			return
		}
		f.sawHead(h.Number)
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.fail(ctx.Err())
			return
		}
	}
}

func (f *Follower) sawHead(n header.Number) {
	f.mu.Lock()
	known := n <= f.head
	f.mu.Unlock()
	if !known {
		f.update(func() { f.head = max(f.head, n) })
	}
}

// fetchAll starts one fetch per block, in order, within the bounds.
func (f *Follower) fetchAll(ctx context.Context) {
	for n := f.opts.From; ; n++ {
		if !f.mayFetch(ctx, n) {
			return
		}
		slot := make(chan fetched, 1)
		select {
		case f.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		select {
		case f.queue <- slot:
		case <-ctx.Done():
			return
		}
		f.group.Go(func() {
			defer func() { <-f.slots }()
			b, size, err := f.fetch(ctx, n)
			f.update(func() { f.held += size })
			slot <- fetched{b, size, err}
		})
	}
}

// mayFetch waits until block n is final and there is room.
func (f *Follower) mayFetch(ctx context.Context, n header.Number) bool {
	for {
		f.mu.Lock()
		ok := n <= f.head && f.held < f.opts.MaxBytes
		changed := f.changed
		f.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (f *Follower) fetch(ctx context.Context, n header.Number) (*UnverifiedBlock, int64, error) {
	hash, err := f.client.BlockHash(ctx, n)
	if err != nil {
		return nil, 0, fmt.Errorf("block %d: %w", n, err)
	}
	ask := func() (*UnverifiedBlock, error) { return f.ask(ctx, n, hash) }
	var b *UnverifiedBlock
	if f.opts.Fetch != nil {
		b, err = f.opts.Fetch(ctx, n, hash, ask)
	} else {
		b, err = ask()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("block %d: %w", n, err)
	}
	size := int64(len(b.Justification))
	for _, list := range [][][]byte{b.Extrinsics, b.Proof} {
		for _, item := range list {
			size += int64(len(item))
		}
	}
	return b, size, nil
}

// ask asks the node for a block.
func (f *Follower) ask(ctx context.Context, n header.Number, hash hashing.Hash) (*UnverifiedBlock, error) {
	b, err := f.client.Block(ctx, hash)
	if err != nil {
		return nil, err
	}
	if b.Header.Number != n {
		return nil, fmt.Errorf("%w: it has number %d", ErrNonsense, b.Header.Number)
	}
	if f.opts.Keys != nil {
		b.Keys = f.opts.Keys(n)
		b.Proof, err = f.client.ReadProof(ctx, b.Keys, hash)
	}
	return b, err
}
