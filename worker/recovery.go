package worker

import (
	"errors"
	"fmt"
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
	errCopied     = errors.New("another worker uses this worker's account")
)

// statePart is the part of health that recovery speaks of.
const statePart = "state"

// recoveryCauses are the labels of a metric.
var recoveryCauses = []string{"damage", "rollback"}

// recovery knows whether the state that this worker has is behind one that it
// had: because the disk was damaged, which the store finds, or rolled back,
// which only the chain shows. A block in which this worker's own account
// confirms a block that it has neither executed when it started nor confirmed
// since proves that the account has been further with a state that is gone.
// Either way the blocks since then are executed again, with the same result; by
// their numbers the account's nonces keep anything from being sent twice. It is
// safe for concurrent use.
type recovery struct {
	log    *slog.Logger
	health *health
	count  *prometheus.CounterVec // by cause; nil in tests

	mu     sync.Mutex
	start  header.Number // the state that was loaded
	known  header.Number // blocks up to here may be confirmed by what this worker knows
	anew   bool          // the state that was loaded was damaged, or is new
	behind header.Number // the last confirmation of a lost state; 0 if there is none
	live   bool          // all that was final has been executed once
	copied bool
}

func (r *recovery) counted(cause string) {
	if r.count != nil {
		r.count.WithLabelValues(cause).Inc()
	}
}

// damaged is told of a damage, and of what became of it unless the state is in
// memory.
func (r *recovery) damaged(d *store.DamageError, h *store.Healing) {
	r.mu.Lock()
	r.anew = true
	r.mu.Unlock()
	r.counted("damage")
	switch {
	case h == nil:
		r.log.Error("the state on disk is damaged: it is written anew from memory", "error", d)
	case len(h.Forgotten) > 0:
		r.log.Error("the state on disk is damaged: the worker goes on from the last good point before it", "error", d, "put_aside", h.Aside,
			"removed_of_earlier_damage", h.Forgotten)
	default:
		r.log.Error("the state on disk is damaged: the worker goes on from the last good point before it", "error", d, "put_aside", h.Aside)
	}
	r.health.trouble(statePart, fmt.Errorf("%w, blocks are executed again: %w", errDamaged, d))
}

// loaded is told which state there is at the start.
func (r *recovery) loaded(n header.Number, anew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.start, r.known, r.anew = n, n, r.anew || anew
}

// sent is told which block's confirmation is being sent.
func (r *recovery) sent(n header.Number) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = max(r.known, n)
}

// committed is told of each block, with what was owed before it.
func (r *recovery) committed(c *enclave.Commit, pending []enclave.Effect) {
	confirmed := lastConfirmed(c, pending)
	r.mu.Lock()
	defer r.mu.Unlock()
	if confirmed > r.known && confirmed > r.behind {
		first := r.behind == 0
		r.behind = confirmed
		switch {
		case r.live:
			r.copied = true
			err := fmt.Errorf("%w: block %d confirms block %d, which this worker has not sent: two run with copies of one data folder", errCopied, c.Number, confirmed)
			r.log.Error("stop one of the two workers", "error", err)
			r.health.trouble(statePart, err)
		case first && r.anew:
			r.log.Info("this worker has confirmed blocks before its state was lost or removed: they are executed again", "from", r.start, "confirmed", confirmed)
		case first:
			r.counted("rollback")
			err := fmt.Errorf("%w: it ends at block %d, block %d proves that it confirmed block %d", errRolledBack, r.start, c.Number, confirmed)
			r.log.Error("the disk was rolled back, or an old copy of the data folder was put in its place: blocks are executed again, "+
				"and nothing is sent before that is done", "error", err)
			r.health.trouble(statePart, err)
		}
	}
}

// caughtUp is told when all that is final is executed.
func (r *recovery) caughtUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.live && r.behind > 0 && !r.anew {
		r.log.Warn("what was lost by the roll-back of the disk has been executed again", "from", r.start, "to", r.behind)
	}
	r.live = true
	if !r.copied {
		r.health.well(statePart)
	}
}

// lastConfirmed returns the highest block of which a commit proves that this
// worker's account confirmed it; pending is what was owed before it.
func lastConfirmed(c *enclave.Commit, pending []enclave.Effect) (n header.Number) {
	owed := map[enclave.EffectID]*enclave.Confirm{}
	for _, e := range pending {
		owed[e.ID] = e.Confirm
	}
	for _, id := range c.Settled {
		if confirm := owed[id]; confirm != nil {
			n = max(n, confirm.Number)
		}
	}
	return n
}
