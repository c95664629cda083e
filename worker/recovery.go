package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Why the state is behind what it was, for health.
var (
	errDamaged    = errors.New("the state on disk was damaged")
	errRolledBack = errors.New("the state on disk was older than what this worker has confirmed")
)

// statePart is the part of health that recovery speaks of.
const statePart = "state"

// recoveryCauses are the labels of a metric.
var recoveryCauses = []string{"damage", "rollback"}

// rebuildingFile is beside the store for as long as a state that was made anew
// or healed is not current again, so that a restart meanwhile does not take it
// for a roll-back. It has no content, and decides nothing but what is said.
const rebuildingFile = "rebuilding"

// recovery knows whether the state that this worker has is behind one that it
// had: because the disk was damaged, which the store finds, or rolled back,
// which only the chain shows. A block in which this worker's own account
// confirms a block that it has neither executed when it started nor confirmed
// since proves that the account has been further with a state that is gone.
// Either way the blocks since then are executed again, with the same result;
// the account's nonces keep anything from being sent twice. It is safe for
// concurrent use.
type recovery struct {
	log    *slog.Logger
	health *health
	count  *prometheus.CounterVec // by cause

	mu     sync.Mutex
	known  header.Number // blocks up to here may be confirmed by what this worker knows
	anew   bool          // the state is new, or was damaged, and is not current since
	from   header.Number // known when a confirmation of a lost state was found
	behind header.Number // the last such confirmation; 0 if there is none, or all is executed
	fs     store.FS      // of mark
	mark   string        // path of rebuildingFile; "" if it is not there
}

// damaged is told of a damage, and of what became of it unless the state is in
// memory.
func (r *recovery) damaged(d *store.DamageError, h *store.Healing) {
	r.count.WithLabelValues("damage").Inc()
	switch {
	case h == nil:
		r.log.Error("the state on disk is damaged: it is written anew from memory", "error", d)
		return
	case len(h.Forgotten) > 0:
		r.log.Error("the state on disk is damaged: the worker goes on from the last good point before it", "error", d, "put_aside", h.Aside,
			"removed_of_earlier_damage", h.Forgotten)
	default:
		r.log.Error("the state on disk is damaged: the worker goes on from the last good point before it", "error", d, "put_aside", h.Aside)
	}
	r.health.trouble(statePart, fmt.Errorf("%w, blocks are executed again: %w", errDamaged, d))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.anew = true
}

// loaded is told which state there is at the start, whether it was made there
// and then, and where to keep that in mind.
func (r *recovery) loaded(n header.Number, anew bool, fsys store.FS, mark string) {
	_, err := store.ReadFile(fsys, mark, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known, r.fs = n, fsys
	if r.anew = r.anew || anew; r.anew && errors.Is(err, fs.ErrNotExist) {
		if err = store.WriteFile(fsys, mark, nil); err != nil {
			r.log.Warn("a restart before the state is current may take it for a roll-back of the disk", "error", err)
		}
	}
	if err == nil {
		r.anew, r.mark = true, mark
	}
}

// sent is told which block's confirmation is being sent.
func (r *recovery) sent(n header.Number) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = max(r.known, n)
}

// committed is told of each block, with what was owed before it.
func (r *recovery) committed(c *enclave.Commit, owed []enclave.Effect) {
	confirmed := lastConfirmed(c, owed)
	r.mu.Lock()
	defer r.mu.Unlock()
	if confirmed <= r.known {
		return
	}
	first := r.behind == 0
	if first {
		r.from = r.known
	}
	r.known, r.behind = confirmed, confirmed
	switch {
	case first && r.anew:
		r.log.Info("this worker has confirmed blocks before its state was lost or removed: they are executed again", "from", r.from, "confirmed", confirmed)
	case first:
		r.count.WithLabelValues("rollback").Inc()
		err := fmt.Errorf("%w: it ends at block %d, block %d proves that this worker's account has confirmed block %d", errRolledBack, r.from, c.Number, confirmed)
		r.log.Error("the disk was rolled back, or an old copy of the data folder was put in its place (or another worker runs with a copy of it: "+
			"stop one): blocks are executed again, and nothing is sent before that is done", "error", err)
		r.health.trouble(statePart, err)
	}
}

// caughtUp is told when all that is final is executed.
func (r *recovery) caughtUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.behind > 0 && !r.anew {
		r.log.Warn("what was lost by the roll-back of the disk is executed again", "from", r.from, "to", r.behind)
	}
	if r.mark != "" {
		if err := r.fs.Remove(r.mark); err == nil || errors.Is(err, fs.ErrNotExist) {
			r.mark = ""
		}
	}
	r.behind, r.anew = 0, false
	r.health.well(statePart)
}

// lastConfirmed returns the highest block of which a commit proves that this
// worker's account confirmed it; owed is what was owed before it.
func lastConfirmed(c *enclave.Commit, owed []enclave.Effect) (n header.Number) {
	confirms := map[enclave.EffectID]*enclave.Confirm{}
	for _, e := range owed {
		confirms[e.ID] = e.Confirm
	}
	for _, id := range c.Settled {
		if confirm := confirms[id]; confirm != nil {
			n = max(n, confirm.Number)
		}
	}
	return n
}
