package worker

import (
	"bytes"
	"context"
	"fmt"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/pipeline"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// lookahead proves blocks final, verifies them, and has their ciphertexts opened
// on all cores, while the follower executes those before. It belongs to the
// follower's goroutine, as do light client and core: only the pieces of work that
// open ciphertexts run on others.
type lookahead struct {
	f      *follower
	blocks *parentchain.Follower
	window *pipeline.Window[*upcoming]
	final  []lightclient.FinalHeader // proven, of the blocks that come next
	ends   bool                      // after the last block in the window the runtime may be another
	err    error                     // why nothing comes after those in the window
}

// upcoming is a block that is proven final and waits for its turn.
type upcoming struct {
	final         lightclient.FinalHeader
	block         *parentchain.UnverifiedBlock
	justification []byte // of just this block, if that proved it, for the archive
	// What was done on the supposition that nothing changes until its turn:
	verified *lightclient.VerifiedBlock // nil if it could not be
	layout   trie.Version               // with which it was verified
	ahead    *enclave.Ahead
}

func (f *follower) lookAhead(blocks *parentchain.Follower) *lookahead {
	return &lookahead{f: f, blocks: blocks, window: pipeline.New[*upcoming](0)}
}

// close ends the goroutines. What was opened and not executed is lost, and done
// again by the next attempt.
func (l *lookahead) close() { l.window.Close() }

// next waits for the next block, opened. Before that it puts into the window
// whatever is there already. An error comes after the blocks before it.
func (l *lookahead) next(ctx context.Context) (*upcoming, error) {
	for l.more() {
		l.err = l.put(ctx)
	}
	if l.window.Len() == 0 {
		return nil, l.err
	}
	defer l.f.w.metrics.watch(enclave.StagePrepare)()
	return l.window.Take(ctx)
}

// more reports whether to put a block into the window: the first one in any
// case, others while they are there and there is room.
func (l *lookahead) more() bool {
	switch {
	case l.err != nil:
		return false
	case l.window.Len() == 0:
		return true
	case l.ends || l.window.Full() || !l.blocks.Ready():
		return false
	}
	// Near the head a proof of finality may have to be waited for.
	n := l.f.number()
	return len(l.final) > 0 || l.blocks.Head() > n && l.blocks.Head()-n > 2*maxLag
}

// put waits for a block, proves it final and has it opened.
func (l *lookahead) put(ctx context.Context) error {
	f := l.f
	b, err := f.next(ctx, l.blocks)
	if err != nil {
		return err
	}
	if len(l.final) == 0 {
		if l.final, err = f.advance(ctx, b); err != nil {
			return err
		}
	}
	u := &upcoming{final: l.final[0], block: b}
	l.final = l.final[1:]
	if u.final.Hash() != b.Hash {
		return fmt.Errorf("%w: block %d is %s, but %s was finalized", parentchain.ErrNonsense, u.final.Number(), b.Hash, u.final.Hash())
	}
	if solo, ok := f.finality.(*soloFinality); ok && solo.proven == b.Header.Number {
		u.justification = solo.justification
	}
	u.verify(f.core)
	l.ends = u.ahead.EndsRuntime()
	l.window.Put(u, size(b), u.ahead.Pieces())
	return nil
}

// verify verifies the block with what came with it. If that fails it is not
// looked into; whether something is wrong shows at its turn.
func (u *upcoming) verify(core *enclave.Core) {
	keys := u.block.Keys
	if len(keys) == 0 || !bytes.Equal(keys[0], eventsKey) {
		return
	}
	u.layout = core.Runtime().ExtrinsicsLayout()
	vb, err := u.final.Verify(u.layout, u.block.Extrinsics, u.block.Proof, keys[1:]...)
	if err != nil {
		return
	}
	u.verified, u.ahead = vb, core.LookAhead(vb)
}

// size is about what a block takes in memory.
func size(b *parentchain.UnverifiedBlock) (n int) {
	for _, list := range [][][]byte{b.Extrinsics, b.Proof} {
		for _, item := range list {
			n += len(item)
		}
	}
	return n
}
