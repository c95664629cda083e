// Package pipeline has pieces of work of later blocks done on all cores while
// earlier blocks have their turn. It knows nothing of what the pieces do and
// decides nothing: blocks come out of a [Window] in the order in which they came
// in, each when all of its pieces have run.
package pipeline

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/offchain-worker/sdk/internal/isolate"
)

// Limits of a window.
const (
	// Blocks is how many blocks a window takes.
	Blocks = 32
	// Bytes is how much it takes: no block comes in while it holds more.
	Bytes = 8 << 20
)

// Window holds blocks in order, and the goroutines that do their pieces, oldest
// first. Its methods belong to one goroutine.
type Window[T any] struct {
	blocks []*block[T]
	bytes  int
	group  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	queue  []piece
	closed bool
	wake   sync.Cond // queue or closed has changed
}

type block[T any] struct {
	item  T
	bytes int
	ready chan struct{}
}

// piece is one piece of work, and how many of its block have not run.
type piece struct {
	do    func()
	left  *atomic.Int64
	ready chan struct{}
}

func (p *piece) run() {
	defer func() {
		if p.left.Add(-1) == 0 {
			close(p.ready)
		}
	}()
	p.do()
}

// New returns an empty window whose pieces run on so many goroutines; 0 means
// GOMAXPROCS. Close ends them.
func New[T any](goroutines int) *Window[T] {
	if goroutines <= 0 {
		goroutines = runtime.GOMAXPROCS(0)
	}
	w := new(Window[T])
	w.wake.L = &w.mu
	for range goroutines {
		w.group.Go(func() { isolate.Survive(w.work) })
	}
	return w
}

// Len returns how many blocks the window holds.
func (w *Window[T]) Len() int { return len(w.blocks) }

// Full reports whether nothing more should be put in now.
func (w *Window[T]) Full() bool { return len(w.blocks) >= Blocks || w.bytes >= Bytes }

// Put puts a block in, behind those that are there: what it is, how many bytes
// it keeps in memory, about, and its pieces. Pieces must neither panic nor wait
// for each other. They may end their goroutine ([runtime.Goexit]).
func (w *Window[T]) Put(item T, bytes int, pieces []func()) {
	b := &block[T]{item, bytes, make(chan struct{})}
	w.blocks, w.bytes = append(w.blocks, b), w.bytes+bytes
	if len(pieces) == 0 {
		close(b.ready)
		return
	}
	left := new(atomic.Int64)
	left.Store(int64(len(pieces)))
	w.mu.Lock()
	for _, do := range pieces {
		w.queue = append(w.queue, piece{do, left, b.ready})
	}
	w.mu.Unlock()
	w.wake.Broadcast()
}

// Take takes the oldest block out, of which there must be one, when its pieces
// have run. If ctx ends first the block stays.
func (w *Window[T]) Take(ctx context.Context) (item T, err error) {
	b := w.blocks[0]
	select {
	case <-b.ready:
	case <-ctx.Done():
		return item, ctx.Err()
	}
	w.blocks[0] = nil
	w.blocks, w.bytes = w.blocks[1:], w.bytes-b.bytes
	return b.item, nil
}

// Close drops the pieces that have not begun and waits for those that have.
func (w *Window[T]) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake.Broadcast()
	w.group.Wait()
}

func (w *Window[T]) work() {
	for {
		p, ok := w.next()
		if !ok {
			return
		}
		p.run()
		// Pieces take milliseconds and there are always more. Whoever has become
		// ready meanwhile, for instance to answer a getter, goes first.
		runtime.Gosched()
	}
}

// next waits for the oldest piece; false once the window is closed.
func (w *Window[T]) next() (p piece, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.wake.Wait()
	}
	if w.closed {
		return p, false
	}
	p, w.queue[0] = w.queue[0], piece{}
	w.queue = w.queue[1:]
	return p, true
}
