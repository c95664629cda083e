package worker

import (
	"sync"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// offered is the snapshot that this worker hands out: of the last block whose
// roots it publishes.
type offered struct {
	mu       sync.Mutex // guards what follows
	snapshot *ratls.Snapshot
}

// committed takes a snapshot where the worker publishes.
func (o *offered) committed(core *enclave.Core, c *enclave.Commit) {
	for _, e := range c.Added {
		if e.Publish == nil {
			continue
		}
		s := &ratls.Snapshot{Head: scale.MustMarshal(e.Publish), Write: core.SharedSnapshotWriter()}
		o.mu.Lock()
		o.snapshot = s
		o.mu.Unlock()
	}
}

// sharedSnapshot is [ratls.Provider.Snapshot].
func (w *Worker) sharedSnapshot() (*ratls.Snapshot, error) {
	select {
	case <-w.ready:
	default:
		return nil, ratls.ErrNoSnapshot // its own state is not current
	}
	w.offered.mu.Lock()
	defer w.offered.mu.Unlock()
	if w.offered.snapshot == nil {
		return nil, ratls.ErrNoSnapshot
	}
	return w.offered.snapshot, nil
}
