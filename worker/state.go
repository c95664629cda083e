package worker

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/header"
)

// A snapshot is taken when that much log has gathered since the last: a
// restart reads it all.
const snapshotBytes = 32 << 20

// journal ties the core to its store, which holds a snapshot of the core and
// then one record per block. It belongs to the follower.
type journal struct {
	core *enclave.Core
	log  *store.Log
	dir  string
	// blocks is made durable before the log; nil in tests.
	blocks *blocks
	// waiting are commits that count already and are not stored yet, encoded.
	waiting      [][]byte
	waitingBytes int

	snapshots sync.WaitGroup
	failed    chan error // first failure of a snapshot in the background
}

func (w *Worker) coreConfig(m *enclave.KeyMaterial) enclave.Config {
	return enclave.Config{App: w.cfg.App, Trust: w.trust, Keys: m, Fingerprint: w.fingerprint(), Account: w.account.AccountID(),
		ConfirmAll: w.cfg.ConfirmAll, ConfirmInterval: w.cfg.ConfirmInterval,
		PublishInterval: w.cfg.publishInterval(), ReceiptBlocks: w.cfg.ReceiptBlocks, Watch: w.metrics.watch}
}

// openJournal opens the store of the shard and brings the core to where it
// was. A new store gets a core at the start block, for which start is asked.
func (w *Worker) openJournal(ctx context.Context, m *enclave.KeyMaterial) (_ *journal, err error) {
	dir := w.dir.shard(w.shard)
	key, err := w.platform.SealingKey("ocw/worker/store/1/" + w.trustHash.String())
	if err != nil {
		return nil, fatal("sealing key: %w", err)
	}
	log, err := store.Open(dir, key, store.Options{FS: w.metrics.fs(w.cfg.fs)})
	if err != nil {
		return nil, storeError(dir, err)
	}
	j := &journal{log: log, dir: dir, blocks: w.blocks.Load(), failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, log.Close())
		}
	}()
	cfg := w.coreConfig(m)
	err = log.Replay(func(_ uint64, r io.Reader) (err error) {
		j.core, err = enclave.Restore(cfg, r)
		return err
	}, func(_ uint64, record []byte) error {
		if j.core == nil {
			return errors.New("a record without a snapshot before it")
		}
		c, err := enclave.DecodeCommit(record)
		if err != nil {
			return err
		}
		return j.core.Adopt(c)
	})
	if err != nil {
		return nil, storeError(dir, err)
	}
	if n := log.Dropped(); n > 0 {
		w.log.Warn("the end of the store was half written and was dropped: that block is done again", "bytes", n)
	}
	if j.core != nil {
		w.log.Info("state loaded", "number", j.core.View().Number(), "state_root", j.core.View().StateRoot())
		return j, nil
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
	if err := log.Snapshot(j.core.SnapshotWriter()); err != nil {
		return nil, storeError(dir, err)
	}
	w.log.Info("state begins", "shard", w.shard, "start", start.Header.Number)
	return j, nil
}

// storeError says what to do about an unusable store.
func storeError(dir string, err error) error {
	var damage *store.DamageError
	switch {
	case errors.As(err, &damage), errors.Is(err, store.ErrKey):
		return fatal("%w. The state in %s cannot be used; start once with --clean-reset to rebuild it from the parentchain (keys are kept)", err, filepath.Clean(dir))
	default:
		return fatal("state in %s: %w", filepath.Clean(dir), err)
	}
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
// give the same again. What must not be forgotten is what was sent, and far
// behind nothing is (maxLag).
func (j *journal) commit(c *enclave.Commit, toCome header.Number) error {
	select {
	case err := <-j.failed:
		return storeError(j.dir, err)
	default:
	}
	encoded := c.Encode()
	j.waiting, j.waitingBytes = append(j.waiting, encoded), j.waitingBytes+len(encoded)
	if toCome <= 2*maxLag || len(j.waiting) >= store.MaxGroup || j.waitingBytes >= groupBytes {
		if err := j.flush(); err != nil {
			return err
		}
	}
	if err := j.core.Adopt(c); err != nil {
		return fatal("adopt block %d: %w", c.Number, err)
	}
	if len(j.waiting) == 0 && j.log.Since() > snapshotBytes {
		return j.snapshot()
	}
	return nil
}

// flush stores the commits that wait.
func (j *journal) flush() error {
	j.blocks.sync() // first, so that the archive has what the state is made of
	err := j.log.Append(j.waiting...)
	j.waiting, j.waitingBytes = nil, 0
	if err != nil {
		return storeError(j.dir, err)
	}
	return nil
}

// snapshot writes the present state in the background.
func (j *journal) snapshot() error {
	p, err := j.log.BeginSnapshot()
	if errors.Is(err, store.ErrPending) {
		return nil
	}
	if err != nil {
		return storeError(j.dir, err)
	}
	write := j.core.SnapshotWriter()
	j.snapshots.Go(func() {
		if err := p.Write(write); err != nil {
			select {
			case j.failed <- err:
			default:
			}
		}
	})
	return nil
}

func (j *journal) close() error {
	j.snapshots.Wait()
	return j.log.Close()
}

// number returns the last committed block.
func (j *journal) number() header.Number { return j.core.View().Number() }
