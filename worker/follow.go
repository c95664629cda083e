package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/archive"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// follower gives a core one verified block after the other. What the node
// does wrong ends an attempt, never the follower: it reconnects and goes on
// from what is committed.
type follower struct {
	w    *Worker
	core *enclave.Core
	to   ledger
	// obtain has the worker have keys that the core lacks; nil leaves that to others.
	obtain func(context.Context, *enclave.EpochError) error
	// code is the last proof of code that was fetched, with its block.
	code codeProof
	// finality proves the blocks that come; nil before the first attempt.
	finality finality
	// unjustified is up to which block the archive has no justification.
	unjustified header.Number
}

// ledger is where the blocks count that a follower's core has executed, and who
// is told of them.
type ledger interface {
	// begin is called before the first attempt.
	begin()
	// commit has the core adopt what a block did. An error that is not fatal
	// leaves everything as it was.
	commit(x *executed) error
	// flush stores what counts and is not stored yet.
	flush() error
	// heard is told of the block that the node calls final.
	heard(head header.Number)
	// attempted is called after each attempt, with why it ended.
	attempted(err error)
}

// executed is a block that was executed.
type executed struct {
	next   *upcoming
	block  *lightclient.VerifiedBlock
	reads  []archive.Read // what its calls have read
	before [][]byte       // read proof of the code in force, if it was fetched
	commit *enclave.Commit
}

func (f *follower) number() header.Number { return f.core.View().Number() }

// run follows until ctx ends or the core or the ledger fails.
func (f *follower) run(ctx context.Context) error {
	f.to.begin()
	var b backoff
	for {
		var missing *enclave.EpochError
		before, turn := f.number(), f.w.node.Turn()
		err := f.to.flush() // what the disk has not taken yet
		if err == nil {
			err = f.attempt(ctx)
			if failed := f.to.flush(); failed != nil && !isFatal(err) {
				err = failed
			}
		}
		switch {
		case ctx.Err() != nil:
			err = nil
		case errors.As(err, &missing) && f.obtain != nil:
			if err = f.obtain(ctx, missing); err == nil {
				b.reset()
				continue
			}
		case !isFatal(err) && !errors.Is(err, errDisk):
			err = f.describe(err)
			leave(f.w.node, turn, err)
		}
		f.to.attempted(err)
		if err == nil || isFatal(err) {
			return err
		}
		if f.number() > before {
			b.reset()
		}
		if err := b.wait(ctx); err != nil {
			return nil
		}
	}
}

// describe adds the remedy where there is one.
func (f *follower) describe(err error) error {
	if errors.Is(err, parentchain.ErrStateUnavailable) {
		n := f.number()
		if !f.core.NeedsRuntime() { // else its state proves the runtime of the next
			n++
		}
		return f.w.blocks.Load().remedy(n, err)
	}
	return err
}

// attempt follows on one connection and returns why that ended.
func (f *follower) attempt(ctx context.Context) error {
	w := f.w
	if err := w.checkGenesis(ctx); err != nil {
		return err
	}
	if err := f.checkFork(ctx); err != nil {
		return err
	}
	if err := f.ensureRuntime(ctx); err != nil {
		return err
	}
	if head, err := w.node.FinalizedHeader(ctx); err != nil {
		return err
	} else if head.Number <= f.number() {
		f.to.heard(f.number())
	}
	if err := f.resume(); err != nil {
		return err
	}
	blocks := w.node.Follow(ctx, parentchain.FollowOptions{From: f.number() + 1, Keys: f.keys, Fetch: w.blocks.Load().fetch})
	defer blocks.Close()
	ahead := f.lookAhead(blocks)
	defer ahead.close()
	for {
		next, err := ahead.next(ctx)
		if err != nil {
			return err
		}
		if err := f.block(ctx, next); err != nil {
			return err
		}
		f.to.heard(blocks.Head())
		w.node.Good()
	}
}

// advance proves a block final: one from the archive with the justification that
// is kept there, if that does it, without asking anybody.
func (f *follower) advance(ctx context.Context, b *parentchain.UnverifiedBlock) ([]lightclient.FinalHeader, error) {
	if solo, ok := f.finality.(*soloFinality); ok && b.Elsewhere && b.Justification != nil {
		final, err := solo.finalize([]header.Header{b.Header}, b.Justification)
		if err == nil {
			return final, nil
		}
		// No part of what an entry proves by itself, so a file or a peer can hold
		// anything. The node has said nothing wrong.
		f.w.log.Warn("a justification in an archive does not prove its block: the node is asked", "number", b.Header.Number, "error", err)
		b.Justification = nil
	}
	if solo, ok := f.finality.(*soloFinality); ok && b.Archived && b.Justification == nil && b.Header.Number > f.unjustified {
		headers, justification := f.w.blocks.Load().evidence(b.Header)
		if justification == nil {
			f.unjustified = b.Header.Number + maxReplay/8 // not to look again for each
		} else if final, err := solo.finalize(headers, justification); err == nil {
			return final, nil
		} else {
			f.w.log.Warn("a justification in the archive does not prove its block: the node is asked", "number", b.Header.Number, "error", err)
		}
	}
	return f.finality.advance(ctx, b.Header, b.Justification)
}

// next waits for the next block, and meanwhile lets finality look around.
func (f *follower) next(ctx context.Context, blocks *parentchain.Follower) (*parentchain.UnverifiedBlock, error) {
	for {
		waiting, stop := context.WithTimeout(ctx, f.w.idleTime())
		b, err := blocks.Next(waiting)
		stop()
		// Not errors.Is: a call of the follower's own may have run out of time.
		if err != context.DeadlineExceeded || ctx.Err() != nil {
			return b, err
		}
		if err := f.w.idle(ctx, f.finality); err != nil {
			return nil, err
		}
	}
}

// resume has finality go on after the last committed block.
func (f *follower) resume() (err error) {
	if f.finality != nil {
		return f.finality.resume(f.core.LightClient())
	}
	f.finality, err = f.w.restoreFinality(f.core.LightClient())
	return err
}

// checkFork finds out early that the node is on another chain than the one
// that this worker has followed, although both have one genesis.
func (f *follower) checkFork(ctx context.Context) error {
	n := f.number()
	hash, err := f.w.node.BlockHash(ctx, n)
	if errors.Is(err, parentchain.ErrNotFound) {
		return fmt.Errorf("the node does not have block %d yet, which this worker has committed: it is behind, or it is on another chain "+
			"(then start once with --clean-reset)", n)
	}
	if err != nil {
		return err
	}
	own := f.core.View().Hash()
	if hash != own {
		return fmt.Errorf("%w: it has %s as block %d, this worker has committed %s. "+
			"Connect another node, or start once with --clean-reset", errOtherFork, hash, n, own)
	}
	// Its hash proves the header, so that the state at this block can be read
	// by proof before the next one comes.
	h, err := f.w.node.Header(ctx, own)
	if err != nil {
		return err
	}
	f.w.chain.add(*h, own)
	return nil
}

var eventsKey = hashing.StoragePrefix("System", "Events")

// keys returns the storage keys that the proof of block n covers. For blocks
// that are fetched ahead it is a guess: what the core needs to know of a block
// depends on those before it.
func (f *follower) keys(n header.Number) [][]byte {
	return append([][]byte{eventsKey}, f.core.RequiredKeys(n)...)
}

// verify returns the block as the core needs it: as it was verified ahead,
// unless blocks since then have changed what must be proven, or how bodies are
// hashed.
func (f *follower) verify(ctx context.Context, next *upcoming) (*lightclient.VerifiedBlock, error) {
	defer f.w.metrics.stage(stageVerify)()
	b, keys, layout := next.block, f.keys(next.final.Number()), f.core.Runtime().ExtrinsicsLayout()
	if !sameKeys(b.Keys, keys) {
		proof, err := f.w.blocks.Load().readProof(ctx, keys, b.Header.Number, b.Hash)
		if err != nil {
			return nil, err
		}
		b.Archived = false // it is not complete
		b.Keys, b.Proof = keys, proof
	} else if next.verified != nil && next.layout == layout {
		return next.verified, nil
	}
	return next.final.Verify(layout, b.Extrinsics, b.Proof, keys[1:]...)
}

// block executes and commits one block, and makes ready for the next.
func (f *follower) block(ctx context.Context, next *upcoming) error {
	core, final := f.core, next.final
	vb, err := f.verify(ctx, next)
	if err != nil {
		return fmt.Errorf("block %d: %w", final.Number(), err)
	}
	prepared, err := core.PrepareAhead(vb, next.ahead)
	if err != nil {
		return fmt.Errorf("block %d: %w", final.Number(), err)
	}
	vb, reads, err := f.proveReads(ctx, prepared, vb)
	if err != nil {
		return fmt.Errorf("block %d: %w", final.Number(), err)
	}
	commit, err := prepared.Execute(vb)
	if err != nil {
		return fmt.Errorf("block %d: %w", final.Number(), err)
	}
	x := &executed{next: next, block: vb, reads: reads, commit: commit}
	if f.code.proof != nil && f.code.hash == next.block.Header.ParentHash {
		x.before = f.code.proof
	}
	if err := f.to.commit(x); err != nil {
		return err
	}
	return f.ensureRuntime(ctx)
}
