package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// How old keys are destroyed (decision 28). An operator asks each worker to. Nobody
// can execute the blocks of those epochs again afterwards, so before that it has to
// be certain that nobody has to: the state after them is on this worker's disk, and
// others that have come to the same have published its roots, for those who begin
// with a snapshot from then on (begin.go).

// Why keys are not destroyed.
var (
	errNoEpoch       = errors.New("there are no such epochs: --before is 1 to the current one")
	errStillAccepted = errors.New("keys of a former epoch are still accepted")
	errNotStored     = errors.New("the newest snapshot on this worker's disk is from before: one is written by itself, unless the disk fails")
	errNotPublished  = errors.New("this worker has published no roots of a block after the former epochs yet, since it was started")
	errNotAgreed     = errors.New("no other worker whose evidence is accepted has published the same roots as this one after the former epochs, since this one was started")
	errOnlyWorker    = errors.New("this is the only active worker of the shard: if it loses its state, that is gone for ever (--alone says that this may be)")
)

// destroyAnswer is the answer of ocw_destroyKeys.
type destroyAnswer struct {
	// Destroyed is of how many epochs this worker has had the keys until now.
	Destroyed int `json:"destroyed"`
	// Block is the one whose roots are published.
	Block header.Number `json:"block"`
	// By is another worker that has come to the same; nil if there is none.
	By *keyring.AccountID `json:"by,omitempty"`
}

// destroy destroys the keys of the epochs before one.
func (r *rotator) destroy(ctx context.Context, before uint32, alone bool) (a destroyAnswer, err error) {
	w := r.w
	v := w.core.Load().View()
	s := v.Epochs()
	if err := destroyable(s, before, v.Number(), header.Number(w.stored.Load())); err != nil {
		return a, err
	}
	if a.Block, a.By, err = w.attested(ctx, s.Until, alone); err != nil {
		return a, err
	}
	a.Destroyed, err = r.drop(before)
	return a, err
}

// destroyable reports why the epochs before one are needed at block n, the last one
// that is executed; the newest snapshot on the disk is of block stored.
func destroyable(s epoch.State, before uint32, n, stored header.Number) error {
	switch {
	case before == 0 || before > s.Current.Number:
		return fmt.Errorf("%w, %d", errNoEpoch, s.Current.Number)
	case n+1 < s.Until:
		return fmt.Errorf("%w: those of epoch %d, in the blocks before %d, and this is block %d", errStillAccepted, s.Former.Number, s.Until, n)
	case stored+1 < s.Until:
		return fmt.Errorf("%w (block %d, of %d)", errNotStored, s.Until-1, stored)
	}
	return nil
}

// attested returns a block, from the one before a given one on, whose roots this
// worker has published, and another worker of the shard, which has shown evidence,
// too. Who is alone has to say so.
func (w *Worker) attested(ctx context.Context, from header.Number, alone bool) (n header.Number, by *keyring.AccountID, err error) {
	if len(w.comparer.divergences()) > 0 {
		return 0, nil, errRootsDiffer
	}
	own := w.account.AccountID()
	n, others := w.comparer.agreed(own, from-1)
	if n == 0 {
		return 0, nil, fmt.Errorf("%w (block %d)", errNotPublished, from-1)
	}
	errs := []error{errNotAgreed}
	for account, block := range others {
		p, err := w.dialPeer(ctx, account, w.core.Load().View().Fingerprint())
		if err == nil {
			p.close()
			return block, &account, nil
		}
		if ctx.Err() != nil {
			return 0, nil, ctx.Err()
		}
		errs = append(errs, fmt.Errorf("worker %s: %w", account, err))
	}
	state, err := w.shardState(ctx)
	switch {
	case err != nil:
		return 0, nil, err
	case len(state.active(own)) > 0:
		return 0, nil, errors.Join(errs...)
	case !alone:
		return 0, nil, errOnlyWorker
	}
	return n, nil, nil
}

// drop seals the ring without the keys of the epochs before one, and forgets them.
func (r *rotator) drop(before uint32) (destroyed int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ring, destroyed := r.own.ring.Load().Without(before)
	if destroyed == 0 {
		return 0, nil
	}
	if err := r.own.save(r.w.dir, r.w.platform, ring); err != nil {
		return 0, err
	}
	r.w.ring.Store(ring) // it vouches for the same epochs as before
	// Nothing points to the keys any more. What is made of memory that the collector
	// frees depends on the build (internal/erase).
	debug.FreeOSMemory()
	r.w.log.Warn("the keys of former epochs are destroyed", "before", before, "epochs", destroyed)
	return destroyed, nil
}

// registerDestruction serves ocw_destroyKeys to the operator: token, the epoch
// before which keys are destroyed, and whether the worker may be the only one.
func (w *Worker) registerDestruction(s *rpcserver.Server) {
	handle(s, "ocw_destroyKeys", func(ctx context.Context, raw json.RawMessage) (any, error) {
		var p struct {
			token  string
			before uint32
			alone  bool
		}
		if err := json.Unmarshal(raw, &[]any{&p.token, &p.before, &p.alone}); err != nil {
			return nil, errors.New("want [token, before, alone]")
		}
		if !w.isOperator(p.token) {
			return nil, errOperator
		}
		select {
		case <-w.ready:
		default:
			return nil, w.notReady()
		}
		return w.rotator.destroy(ctx, p.before, p.alone)
	})
}

func destroyCommand(app *stf.App, f *flags) *cobra.Command {
	var before uint32
	var alone bool
	c := &cobra.Command{Use: "destroy-keys --before EPOCH", Short: "Have the worker that runs here destroy the shielding keys of the shard's old epochs",
		Long: `Have the worker that runs with this data folder destroy the shielding keys of all
epochs before EPOCH, so that nobody can take them from it any more. It refuses to
as long as it is not certain that the state after those epochs is kept.

Nobody who has destroyed them can execute the shard's history again. Give this
command to each worker, and destroy the backups that hold those keys
(docs/rotation.md).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(app); err != nil {
				return err
			}
			return fail(func(cmd *cobra.Command, _ []string) error {
				ctx, stop := context.WithTimeout(cmd.Context(), diffTime)
				defer stop()
				var a destroyAnswer
				if err := f.askOperator(ctx, &a, "ocw_destroyKeys", before, alone); err != nil {
					return err
				}
				by := "no other worker"
				if a.By != nil {
					by = "worker " + a.By.String()
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "the keys of %d epochs are destroyed; the roots of block %d are published by this worker and %s\n", a.Destroyed, a.Block, by)
				return err
			})(cmd, args)
		}}
	c.Flags().Uint32Var(&before, "before", 0, "destroy the keys of the epochs before `EPOCH`")
	c.Flags().BoolVar(&alone, "alone", false, "destroy them though the shard has no other active worker")
	requireFlags(c, "before")
	return c
}
