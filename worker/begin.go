package worker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/store"
)

// How a worker comes to a state that it cannot compute, because the keys of old
// epochs are destroyed: it takes the snapshot of another worker as a fast join does,
// with the same proofs, and executes on from there in memory until enough workers
// have published its roots. Then that is this worker's own state, on its disk, and
// all that it does from then on rests on it. No replay ever contradicts it.

const (
	beginPart = "beginning by a snapshot"
	// registerAgain is after how many attempts a worker sees to its registration,
	// about an hour.
	registerAgain = 360
)

// destroyedError means that nobody is known who has the keys without which this
// worker cannot execute further blocks, since they are destroyed.
type destroyedError struct{ id epoch.ID }

func (e *destroyedError) Error() string {
	return fmt.Sprintf("the keys of epoch %d are destroyed, so this worker cannot execute the blocks of that epoch: it begins with the snapshot of another worker", e.id.Number)
}

// keysDestroyed ends what needs the keys of an epoch: see serveShard.
func keysDestroyed(id epoch.ID) error { return fatal("%w", &destroyedError{id}) }

func isDestroyed(err error) bool { return errors.As(err, new(*destroyedError)) }

// errBegun ends the attempts with a snapshot on which enough workers agree.
var errBegun = errors.New("enough workers agree on the snapshot")

// serveShard executes blocks and sends effects until ctx ends, and begins anew by a
// snapshot where that is the only way.
func (w *Worker) serveShard(ctx context.Context, own *ownKeys, restarted bool) error {
	for {
		err := w.serveState(ctx, own, restarted)
		var gone *destroyedError
		if !errors.As(err, &gone) || ctx.Err() != nil {
			return err
		}
		if err := w.beginBySnapshot(ctx, own, gone); err != nil {
			return err
		}
	}
}

// beginBySnapshot puts a state that other workers agree on in the place of this
// worker's own, if it has one. reason is why.
func (w *Worker) beginBySnapshot(ctx context.Context, own *ownKeys, reason *destroyedError) error {
	w.health.setPhase(beginPart)
	w.health.trouble(beginPart, reason)
	core, err := newBeginning(w).settle(ctx, own)
	if err != nil {
		return err
	}
	if err := w.health.retry(ctx, diskPart, func(context.Context) error { return w.replaceStore(core) }); err != nil {
		return err
	}
	w.health.well(beginPart)
	w.health.well(missingPart)
	w.log.Warn("the state of other workers is this one's own from now on", "number", core.View().Number(), "state_root", core.View().StateRoot())
	return nil
}

// replaceStore makes a store that holds a core, in the place of any other.
func (w *Worker) replaceStore(core *enclave.Core) (err error) {
	key, err := w.storeKey()
	if err != nil {
		return err
	}
	dir, opts := w.dir.shard(w.shard), store.Options{FS: w.metrics.fs(w.cfg.fs)}
	if err := opts.FS.MkdirAll(dir); err != nil {
		return diskError(err)
	}
	// What this worker has confirmed with a state of before is no roll-back.
	if err := store.WriteFile(opts.FS, filepath.Join(dir, rebuildingFile), nil); err != nil {
		return diskError(err)
	}
	if err := store.Remove(dir, opts); err != nil {
		return diskError(err)
	}
	log, err := store.Open(dir, key, opts)
	if err != nil {
		return diskError(err)
	}
	defer func() { err = errors.Join(err, diskError(log.Close())) }()
	if err := log.Replay(nil, nil); err != nil {
		return diskError(err)
	}
	return diskError(log.Snapshot(core.SnapshotWriter()))
}

// newBeginning returns a fast join whose core is to be the worker's own.
func newBeginning(w *Worker) *fastJoin {
	f := newFastJoin(w, max(w.cfg.FastJoin, 1))
	f.forGood, f.part = true, beginPart
	return f
}

// settle returns a core on whose beginning enough workers agree.
func (f *fastJoin) settle(ctx context.Context, own *ownKeys) (*enclave.Core, error) {
	f.cfg = f.w.coreConfig(own)
	var b backoff
	for n := 0; ; n++ {
		if n%registerAgain == 0 { // a snapshot is handed out to who is registered
			if err := f.w.behind(ctx, func(ctx context.Context) error { return f.w.registrar.register(ctx, true) }); err != nil {
				return nil, err
			}
		}
		err := f.attempt(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, errBegun):
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.core, nil
		case isFatal(err) && !isDestroyed(err):
			return nil, err
		}
		f.w.health.trouble(f.part, fmt.Errorf("%w: %w", errBeginning, err))
		if err := b.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// errBeginning is wrapped by errors about snapshots without which nothing goes on.
var errBeginning = errors.New("the keys of old epochs are destroyed, and no snapshot of another worker could be used yet")
