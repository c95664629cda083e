package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Parts of health.
const (
	diskPart     = "disk"
	snapshotPart = "disk: snapshots"
)

// errDisk marks what the disk does wrong: it is full, or fails. The worker
// stands still until it works again; what it has counts.
var errDisk = errors.New("the disk is full or fails")

// journal ties the core to its store, which holds a snapshot of the core and
// then one record per block. It belongs to the follower.
type journal struct {
	core     *enclave.Core
	log      *store.Log // nil if it was damaged while in use and could not be made anew yet
	dir      string
	key      [32]byte
	fs       store.FS
	health   *health
	recovery *recovery
	steps    *lastSteps
	// blocks is made durable before the log; nil in tests.
	blocks *blocks
	// waiting are commits that are not stored yet, encoded. The first adopted
	// of them count already.
	waiting      [][]byte
	waitingBytes int
	adopted      int

	snapshots  sync.WaitGroup
	written    chan error    // how the snapshot in the background ended
	writing    bool          // until it was read from there
	snapshotAt int64         // bytes of log at which to take the next
	snapshotOf header.Number // the block of the one that was begun last
	over       header.Number // the rotation for which one was begun: see rotated
	// stored is the block of the newest snapshot on the disk. Anybody may read it.
	stored *atomic.Uint32
}

func (w *Worker) coreConfig(own *ownKeys) enclave.Config {
	return enclave.Config{App: w.cfg.App, Trust: w.trust, Keys: own.ring.Load().Root(), Epoch: own.find, Fingerprint: w.fingerprint(), Approved: w.approvals.has, Account: w.account.AccountID(),
		ConfirmAll: w.cfg.ConfirmAll, ConfirmInterval: w.cfg.ConfirmInterval,
		PublishInterval: w.cfg.publishInterval(), ReceiptBlocks: w.cfg.ReceiptBlocks, Watch: w.metrics.watch}
}

// storeKey is the key of the shard's store.
func (w *Worker) storeKey() ([32]byte, error) {
	key, err := w.platform.SealingKey("ocw/worker/store/1/" + w.trustHash.String())
	if err != nil {
		return key, fatal("sealing key: %w", err)
	}
	return key, nil
}

// openJournal opens the store of the shard and brings the core to where it
// was, or to the last good point before a damage. A new store gets a core at
// the start block, for which the node is asked; if it could not execute from there on
// the error is a *destroyedError.
func (w *Worker) openJournal(ctx context.Context, own *ownKeys) (_ *journal, err error) {
	key, err := w.storeKey()
	if err != nil {
		return nil, err
	}
	j := &journal{stored: &w.stored, dir: w.dir.shard(w.shard), key: key, fs: w.metrics.fs(w.cfg.fs), health: w.health, recovery: w.recovery, blocks: w.blocks.Load(),
		written: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.close())
		}
	}()
	cfg := w.coreConfig(own)
	if j.steps, err = openLastSteps(w.cfg.fs, j.dir, w.cfg.App, w.log, w.health); err != nil {
		return nil, err
	}
	cfg.Witness, cfg.Careful = j.steps.begin, j.steps.careful
	if err := w.health.retry(ctx, diskPart, func(context.Context) error { return j.load(cfg) }); err != nil {
		return nil, err
	}
	if n := j.log.Dropped(); n > 0 {
		w.log.Warn("the end of the store was half written and was dropped: that block is done again", "bytes", n)
	}
	if j.core != nil {
		w.recovery.loaded(j.number(), false, w.cfg.fs, filepath.Join(j.dir, rebuildingFile))
		w.log.Info("state loaded", "number", j.core.View().Number(), "state_root", j.core.View().StateRoot())
		return j, nil
	}

	if first := (epoch.ID{}); own.ring.Load().Destroyed(first) {
		return nil, keysDestroyed(first)
	}
	var start enclave.Start
	if err := w.health.retry(ctx, "parentchain", func(ctx context.Context) (err error) {
		start, err = w.coreStart(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	if j.core, err = enclave.New(cfg, start); err != nil {
		return nil, err
	}
	// From here on a restart finds a snapshot and needs nothing of the node.
	if err := w.health.retry(ctx, diskPart, func(context.Context) error { return diskError(j.log.Snapshot(j.core.SnapshotWriter())) }); err != nil {
		return nil, err
	}
	j.stored.Store(uint32(j.number()))
	w.recovery.loaded(j.number(), true, w.cfg.fs, filepath.Join(j.dir, rebuildingFile))
	w.log.Info("state begins", "shard", w.shard, "start", start.Header.Number)
	return j, nil
}

// load opens the store and restores the core, which is nil if the store is new.
func (j *journal) load(cfg enclave.Config) error {
	return j.open(func(log *store.Log) error {
		j.core = nil
		return log.Replay(func(_ uint64, r io.Reader) (err error) {
			if j.core, err = enclave.Restore(cfg, r); err == nil {
				j.stored.Store(uint32(j.number()))
			}
			return unusable(j.dir, err)
		}, func(_ uint64, record []byte) error {
			if j.core == nil {
				return store.NoSnapshot()
			}
			c, err := enclave.DecodeCommit(record)
			if err == nil {
				err = j.core.Adopt(c)
			}
			return unusable(j.dir, err)
		})
	})
}

// open opens the store. What is damaged is put aside, and the rest used.
func (j *journal) open(replay func(*store.Log) error) error {
	opts := store.Options{FS: j.fs}
	for {
		log, err := store.Open(j.dir, j.key, opts)
		if err == nil {
			if err = replay(log); err == nil {
				j.log, j.snapshotAt = log, log.SnapshotAt()
				return nil
			}
			err = errors.Join(err, log.Close())
		}
		var damage *store.DamageError
		switch {
		case isFatal(err):
			return err
		case errors.Is(err, store.ErrKey), errors.Is(err, store.ErrNewer), errors.Is(err, store.ErrLocked):
			return unusable(j.dir, err)
		case !errors.As(err, &damage):
			return diskError(err)
		}
		healing, err := store.Heal(j.dir, j.key, damage, opts)
		if err != nil {
			return diskError(fmt.Errorf("%w, which cannot be put aside: %w", damage, err))
		}
		j.recovery.damaged(damage, healing)
	}
}

// audit checks what was loaded, while getters are answered already and blocks
// are fetched: the first of them waits for the commitment, and not for the rest.
func (j *journal) audit(ctx context.Context, core *enclave.Core) error {
	err := core.Audit(ctx)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fatal("%w. The state in %s contradicts itself: start once with --clean-reset to rebuild it from the parentchain (keys are kept)", err, filepath.Clean(j.dir))
}

// unusable says what to do about a store that this worker must not touch: it
// is another's, or a newer program's, or of another program's state.
func unusable(dir string, err error) error {
	if err == nil {
		return nil
	}
	return fatal("%w. The state in %s cannot be used: give this worker the program, the machine and the data folder that it was made with, "+
		"or start once with --clean-reset to rebuild it from the parentchain (keys are kept)", err, filepath.Clean(dir))
}

func diskError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errDisk, err)
}

// coreStart fetches and verifies the block at which trust starts.
func (w *Worker) coreStart(ctx context.Context) (enclave.Start, error) {
	f, h, err := w.newFinality(ctx)
	if err != nil {
		return enclave.Start{}, err
	}
	blocks := w.blocks.Load()
	proof, err := blocks.readProof(ctx, enclave.RequiredKeys(w.shard, h.Number), h.Number, w.trust.StartHash)
	if err != nil {
		return enclave.Start{}, err
	}
	blocks.keepStart(h)
	return enclave.Start{Header: h, Proof: proof, LightClient: f.state()}, nil
}

// groupBytes bounds the commits that wait to be stored.
const groupBytes = 4 << 20

// commit stores what the core computed, and only then lets it count. While many
// blocks are to come, several are stored at once, and until then count for the
// next block, for getters and for the status: after a crash the same blocks
// give the same again. What must not be forgotten is what was sent, and while
// something waits nothing is (published.volatile). An error that wraps errDisk
// leaves everything as it was.
func (j *journal) commit(c *enclave.Commit, toCome header.Number) error {
	if err := j.endSnapshot(); err != nil {
		return err
	}
	encoded := c.Encode()
	j.waiting, j.waitingBytes = append(j.waiting, encoded), j.waitingBytes+len(encoded)
	if toCome <= 2*maxLag || len(j.waiting) >= store.MaxGroup || j.waitingBytes >= groupBytes {
		if err := j.flush(); err != nil {
			j.waiting, j.waitingBytes = j.waiting[:j.adopted], j.waitingBytes-len(encoded)
			return err
		}
	}
	if err := j.core.Adopt(c); err != nil {
		return fatal("adopt block %d: %w", c.Number, err)
	}
	j.adopted = len(j.waiting)
	if j.adopted == 0 && (j.log.Since() > j.snapshotAt || toCome <= 2*maxLag && j.rotated()) {
		return j.snapshot()
	}
	return nil
}

// rotated reports, once for each rotation, that the former keys are not accepted any
// more and that the newest snapshot is from before: with one from now on they can be
// destroyed, whatever becomes of the log.
func (j *journal) rotated() bool {
	until := j.core.View().Epochs().Until
	if j.writing || j.number()+1 < until || header.Number(j.stored.Load())+1 >= until || j.over == until {
		return false
	}
	j.over = until
	return true
}

// volatile reports whether commits count that are not stored.
func (j *journal) volatile() bool { return j.adopted > 0 }

// flush stores the commits that wait. An error wraps errDisk; the same may be
// tried again.
func (j *journal) flush() error {
	if len(j.waiting) == 0 && j.log != nil {
		return nil
	}
	j.blocks.sync() // first, so that the archive has what the state is made of
	var damage *store.DamageError
	err := j.append()
	if errors.As(err, &damage) {
		j.recovery.damaged(damage, nil)
		err = errors.Join(j.log.Close())
		j.log = nil
		if err == nil {
			err = j.append()
		}
	}
	if err != nil {
		return diskError(err)
	}
	j.waiting, j.waitingBytes, j.adopted = nil, 0, 0
	j.health.well(diskPart)
	return nil
}

// append appends the commits that wait to the log, after making it anew if it
// was found damaged while it was in use: what it held is in memory.
func (j *journal) append() error {
	if j.log == nil {
		j.snapshots.Wait()
		if err := j.open(func(log *store.Log) error { return log.Replay(nil, nil) }); err != nil {
			return err
		}
		if err := j.log.Snapshot(j.core.SnapshotWriter()); err != nil {
			err = errors.Join(err, j.log.Close())
			j.log = nil
			return err
		}
		j.stored.Store(uint32(j.number()))
		j.waiting, j.adopted = j.waiting[j.adopted:], 0
	}
	return j.log.Append(j.waiting...)
}

// snapshot writes the present state in the background. That it cannot be
// written stops nothing: the log goes on, and it is tried again.
func (j *journal) snapshot() error {
	if j.writing {
		return nil
	}
	j.writing, j.snapshotOf = true, j.number()
	p, err := j.log.BeginSnapshot()
	if err != nil {
		j.written <- err
		return j.endSnapshot()
	}
	write := j.core.SnapshotWriter()
	j.snapshots.Go(func() { j.written <- p.Write(write) })
	return nil
}

// endSnapshot looks whether a snapshot is over and how it ended.
func (j *journal) endSnapshot() error {
	select {
	case err := <-j.written:
		j.writing = false
		switch {
		case errors.Is(err, enclave.ErrSnapshot):
			return fatal("snapshot: %w", err)
		case err != nil:
			j.health.trouble(snapshotPart, diskError(err))
			j.snapshotAt = j.log.Since() + j.log.SnapshotAt()/8
		default:
			j.stored.Store(uint32(j.snapshotOf))
			j.health.well(snapshotPart)
			j.snapshotAt = j.log.SnapshotAt()
		}
	default:
	}
	return nil
}

func (j *journal) close() error {
	j.snapshots.Wait()
	var err error
	if j.steps != nil {
		err = j.steps.close()
	}
	if j.log != nil {
		err = errors.Join(err, j.log.Close())
	}
	return err
}

// number returns the last committed block.
func (j *journal) number() header.Number { return j.core.View().Number() }
