package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// How a new worker is of use before it has executed the shard's history: beside
// the replay, it takes the snapshot of another worker, executes the blocks after
// that in a second core, and answers getters from there once as many workers as
// it was told to ask for have published the roots of the snapshot's block. That
// core is in memory only. Nothing else comes from it: the worker confirms, pays,
// publishes, signs and hands out what it has executed itself since the start of
// the shard. When the replay comes to the snapshot's block it has to arrive at
// the same roots, and when it is current the second core is dropped.

const (
	joinPart = "fast join"
	// joinMarkFile is beside the store once the replay has contradicted a
	// snapshot, so that a restart does not join again. It has no content.
	joinMarkFile = "no-fast-join"
	// joinPatience is for how many blocks after the snapshot's the worker waits
	// for enough workers to have published its roots, at most.
	joinPatience = 1024
	// joinRetry is when a signer that could not be reached is looked at again.
	joinRetry = 5 * time.Second
)

var (
	// errNotJoined is wrapped by errors about snapshots that came to nothing.
	errNotJoined = errors.New("no snapshot of another worker was of use")
	// errJoinOver ends the attempts.
	errJoinOver = errors.New("this worker does not join by a snapshot any more")
	// errReplayDone is why in the end.
	errReplayDone = fmt.Errorf("%w: the replay is done", errJoinOver)
	// errJoinDiffers says that the replay has contradicted the snapshot.
	errJoinDiffers = errors.New("the replay arrived at other roots than those with which this worker had joined")
)

// fastJoin is the second core and how it comes about. A nil one does nothing.
type fastJoin struct {
	w      *Worker
	part   string // of health
	needed int    // distinct workers that have published the same roots
	// forGood says that the core is to be the worker's own, which has no replay
	// (begin.go).
	forGood bool
	stop    context.CancelCauseFunc
	heads   finalHeads
	cfg     enclave.Config

	mu        sync.Mutex    // guards what follows
	core      *enclave.Core // nil: none
	want      roots.Publication
	agreement *roots.Agreement
	until     header.Number // see patience
	agreed    bool
	replay    bool                // it has come to the same roots
	over      bool                // the worker's own state is current
	heard     []enclave.Published // of the snapshot's block, by signers that are not appraised yet
	changed   chan struct{}       // one element: something was added to heard
}

func newFastJoin(w *Worker, needed int) *fastJoin {
	return &fastJoin{w: w, part: joinPart, needed: needed, changed: make(chan struct{}, 1)}
}

// view returns the state to answer from, nil if there is none.
func (f *fastJoin) view() *enclave.View {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.agreed {
		return nil
	}
	return f.core.View()
}

// Joined is the state from which a worker answers getters while it replays.
type Joined struct {
	From      header.Number       `json:"from"`   // block of the snapshot
	Number    header.Number       `json:"number"` // last block executed after it
	StateRoot string              `json:"stateRoot"`
	Needed    int                 `json:"needed"` // workers that have to have published the roots of From
	Signers   []keyring.AccountID `json:"signers"`
	Agreed    bool                `json:"agreed"` // enough have; getters are answered from this state
}

func (f *fastJoin) status() *Joined {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.core == nil || f.over {
		return nil
	}
	v := f.core.View()
	return &Joined{From: f.want.Number, Number: v.Number(), StateRoot: v.StateRoot().String(), Needed: f.needed,
		Signers: f.agreement.Signers(), Agreed: f.agreed}
}

// run works until the worker's own state is current, ctx ends, or nothing is to
// come of it any more.
func (f *fastJoin) run(ctx context.Context, j *journal, own *ownKeys, careful bool) {
	if f == nil {
		return
	}
	if careful { // what it dies of shows in one core only, and one takes half the memory
		f.w.log.Warn("the process died while it executed a block: without a snapshot of another worker it shows of which")
		return
	}
	if _, err := store.ReadFile(f.w.cfg.fs, filepath.Join(j.dir, joinMarkFile), 0); !errors.Is(err, fs.ErrNotExist) {
		f.w.log.Warn("this worker has joined by a snapshot before that its replay has contradicted: it only replays", "file", filepath.Join(j.dir, joinMarkFile))
		return
	}
	f.cfg = f.w.coreConfig(own)
	f.cfg.Witness = j.steps.begin
	var b backoff
	for {
		err := f.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errJoinOver) {
			f.w.log.Info("the state comes by replay alone", "reason", err)
			f.w.health.well(joinPart)
			return
		}
		f.w.health.trouble(joinPart, err)
		if b.wait(ctx) != nil {
			return
		}
	}
}

// attempt joins and executes until ctx ends, or returns why that came to nothing.
func (f *fastJoin) attempt(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := f.begin(stop); err != nil {
		return err
	}
	err := f.join(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if isFatal(err) { // of the second core: the replay will come to it
		return fmt.Errorf("%w: %w", errJoinOver, err)
	}
	return err
}

// begin takes what ends the attempt that begins, unless there are to be none.
func (f *fastJoin) begin(stop context.CancelCauseFunc) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return errReplayDone
	}
	f.stop = stop
	return nil
}

func (f *fastJoin) join(ctx context.Context) error {
	w := f.w
	if err := w.checkGenesis(ctx); err != nil {
		return err
	}
	// By the node's word: to prove all headers is much for a worker that needs no snapshot.
	head, err := w.node.FinalizedHeader(ctx)
	if err != nil {
		return err
	}
	if own := f.replayedTo(); !f.forGood && head.Number < own+header.Number(f.interval()) {
		return fmt.Errorf("%w: its own state at block %d is not far behind block %d", errJoinOver, own, head.Number)
	}
	if err := f.heads.sync(ctx, w); err != nil {
		return err
	}
	s, err := w.shardState(ctx)
	if err != nil {
		return err
	}
	if f.forGood && len(s.active(keyring.AccountID{})) > 2 {
		f.needed = max(f.needed, 2)
	}
	core, want, err := f.obtain(ctx, s)
	if err != nil {
		return err
	}
	if err := f.take(core, want); err != nil {
		return err
	}
	defer f.drop()
	f.heardWell()
	w.log.Info("took a snapshot of another worker: it counts once enough workers have published its roots", "number", want.Number, "state_root", want.State, "needed", f.needed)

	ctx, stop := context.WithCancel(ctx)
	var appraising sync.WaitGroup
	defer appraising.Wait()
	defer stop() // before waiting
	appraising.Go(func() { f.appraise(ctx, core) })
	follow := &follower{w: w, core: core, to: &joinLedger{f, core}, obtain: f.obtainMissing}
	if f.forGood {
		follow.obtain = w.obtainMissing
	}
	return follow.run(ctx)
}

// obtainMissing has the worker have keys of an epoch that has begun since it joined:
// the replay comes to that much later.
func (f *fastJoin) obtainMissing(ctx context.Context, missing *enclave.EpochError) error {
	return f.w.health.retry(ctx, f.part, func(ctx context.Context) error { return f.w.rotator.obtain(ctx, missing.Epoch, nil) })
}

// replayedTo returns the last block of the worker's own state, or where it would
// begin.
func (f *fastJoin) replayedTo() header.Number {
	if core := f.w.core.Load(); core != nil {
		return core.View().Number()
	}
	return f.w.trust.StartNumber
}

// heardWell says that blocks come. A worker that has no other state is not well
// before enough others agree.
func (f *fastJoin) heardWell() {
	if !f.forGood {
		f.w.health.well(f.part)
	}
}

// take begins with a core, unless the replay was faster: it compares at the
// snapshot's block only.
func (f *fastJoin) take(core *enclave.Core, want roots.Publication) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return errReplayDone
	}
	if own := f.replayedTo(); want.Number <= own {
		return fmt.Errorf("%w: a snapshot of block %d, and meanwhile block %d is replayed", errNotJoined, want.Number, own)
	}
	f.core, f.want, f.agreement = core, want, roots.NewAgreement(want, f.needed, f.w.account.AccountID())
	f.until = f.patience(want.Number)
	return nil
}

// interval is how many blocks lie between snapshots, as far as is known here.
func (f *fastJoin) interval() uint32 {
	if n := f.w.cfg.publishInterval(); n > 0 {
		return n
	}
	return DefaultPublishInterval
}

// drop takes back what has come of an attempt. After the end it is answered from
// until the worker's own state is as new.
func (f *fastJoin) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over || !f.agreed {
		f.core, f.agreed = nil, false
	}
	f.agreement, f.heard, f.replay = nil, nil, false
}

// obtain asks the workers of the shard for a snapshot, the most recently active
// first.
func (f *fastJoin) obtain(ctx context.Context, s shardState) (*enclave.Core, roots.Publication, error) {
	errs := []error{errNotJoined}
	for _, p := range s.others(f.w.account.AccountID()) {
		core, want, err := f.request(ctx, p)
		if err == nil || ctx.Err() != nil {
			return core, want, err
		}
		errs = append(errs, fmt.Errorf("worker %s: %w", p.Signer, err))
	}
	return nil, roots.Publication{}, errors.Join(errs...)
}

// request asks one worker, and joins with what it hands out.
func (f *fastJoin) request(ctx context.Context, from integritee.ShardSignerStatus) (core *enclave.Core, want roots.Publication, err error) {
	w := f.w
	addr, err := w.muRaAddress(ctx, from.Signer)
	if err != nil {
		return nil, want, err
	}
	err = ratls.RequestSnapshot(ctx, addr, from.Signer, w.self, w.terms(), func(head []byte, r io.Reader) error {
		if err := scale.Unmarshal(head, &want); err != nil {
			return fmt.Errorf("what the snapshot is of: %w", err)
		}
		if own := f.replayedTo(); want.Number <= own {
			return fmt.Errorf("a snapshot of block %d, and block %d is replayed already", want.Number, own)
		}
		block, err := f.heads.wait(ctx, w, want.Number)
		if err != nil {
			return err
		}
		proof, err := w.blocks.Load().readProof(ctx, enclave.JoinKeys(w.shard), want.Number, block.Hash())
		if err != nil {
			return err
		}
		at := enclave.JoinPoint{Block: block, Proof: proof, Published: want}
		if f.forGood {
			own, _, err := w.lookup(ctx, verified{hash: block.Hash(), header: block.Header()}, w.account.AccountID())
			if err != nil {
				return err
			}
			if own != nil { // it has to confirm the blocks after this one
				at.Registered = &want.Number
			}
		}
		core, err = enclave.Join(f.cfg, at, r)
		return err
	})
	return core, want, err
}

// joinLedger is the ledger of the second core: what it has executed is kept in
// memory.
type joinLedger struct {
	f    *fastJoin
	core *enclave.Core
}

func (*joinLedger) begin() {}

func (*joinLedger) flush() error { return nil }

func (l *joinLedger) heard(header.Number) { l.f.heardWell() }

func (l *joinLedger) attempted(err error) {
	if err != nil && !isFatal(err) {
		l.f.w.health.trouble(l.f.part, err)
	}
}

func (l *joinLedger) commit(x *executed) error {
	if err := l.core.Adopt(x.commit); err != nil {
		return fatal("adopt block %d: %w", x.commit.Number, err)
	}
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	f.w.chain.add(x.block.Header(), x.block.Hash())
	if x.commit.NewRuntime {
		f.w.chain.renewRuntime(x.block.Hash())
	}
	for _, p := range x.commit.Published {
		if p.Number == f.want.Number && len(f.heard) < maxCompared {
			f.heard = append(f.heard, p)
			select {
			case f.changed <- struct{}{}:
			default:
			}
		}
	}
	if !f.agreed && x.commit.Number > f.until {
		return f.giveUp("the roots of its snapshot of block %d were not published by %d workers up to block %d", f.want.Number, f.needed, f.until)
	}
	return nil
}

// patience returns the last block in which enough workers may have published the
// roots of one. Who has no replay rather tries a newer snapshot than to wait for what
// a worker does not publish that was away.
func (f *fastJoin) patience(of header.Number) header.Number {
	until := of + joinPatience
	if at, ok := f.w.chain.latest(); ok && f.forGood {
		until = min(until, max(at.header.Number, of)+2*header.Number(f.interval()))
	}
	return until
}

// giveUp ends the attempt, and all of a worker that replays, and returns why.
func (f *fastJoin) giveUp(format string, args ...any) error {
	kind := errJoinOver
	if f.forGood {
		kind = errNotJoined
	}
	err := fmt.Errorf("%w: %w", kind, fmt.Errorf(format, args...))
	f.w.log.Warn("what has come of a snapshot is dropped", "reason", err)
	f.stop(err)
	return err
}

// appraise counts the workers that have published the roots, once each has shown
// evidence that this worker's policy accepts (RULES 20).
func (f *fastJoin) appraise(ctx context.Context, core *enclave.Core) {
	tick := time.NewTicker(joinRetry)
	defer tick.Stop()
	for {
		f.mu.Lock()
		list := slices.Clone(f.heard)
		f.mu.Unlock()
		for _, p := range list {
			peer, err := f.w.dialPeer(ctx, p.Signer, core.View().Fingerprint())
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				peer.close()
				if f.count(p) {
					f.serve()
				}
			case errors.Is(err, errNotAppraised):
				f.w.log.Warn("roots are not those of a worker of the shard, and do not count", "account", p.Signer, "number", p.Number, "error", err)
				f.dealtWith(p)
			default:
				f.w.log.Debug("a worker that has published roots cannot be appraised now", "account", p.Signer, "error", err)
			}
		}
		select {
		case <-f.changed:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// dealtWith takes a publication from those that are to be appraised.
func (f *fastJoin) dealtWith(p enclave.Published) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = slices.DeleteFunc(f.heard, func(q enclave.Published) bool { return p == q })
}

// count takes what a worker of the shard has published of the snapshot's block,
// and reports whether enough have now.
func (f *fastJoin) count(p enclave.Published) bool {
	f.dealtWith(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.core == nil || f.over {
		return false
	}
	f.agreement.Add(p.Signer, p.Publication)
	if other, by, ok := f.agreement.Contradicted(); ok {
		f.core, f.agreed = nil, false
		f.giveUp("worker %s has published other roots of block %d than those of the snapshot: state %s, not %s; workers %s agree with it",
			by, f.want.Number, other.State, f.want.State, f.agreement.Signers())
		return false
	}
	if f.agreed || !f.agreement.Reached() {
		return false
	}
	f.agreed = true
	if f.forGood {
		f.over = true
		f.stop(errBegun)
		return false
	}
	f.w.log.Info("joined by a snapshot: getters are answered, and nothing is confirmed or paid before the replay is done", "number", f.want.Number,
		"published_by", f.agreement.Signers())
	return true
}

// serve has clients accept this worker's answers if it was started again in the
// midst of its replay. Its keys are the shard's: with others the state would not
// be under the roots that were published.
func (f *fastJoin) serve() {
	if f.w.ring.Load() != nil {
		return
	}
	if err := f.w.rotator.serve(); err != nil {
		f.w.log.Warn("clients are not answered before the replay is done", "error", err)
	}
}

// replayed compares the worker's own roots of the snapshot's block.
func (f *fastJoin) replayed(j *journal) {
	if f == nil {
		return
	}
	own := j.core.View()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.core == nil:
		return
	case f.over:
		if own.Number() >= f.core.View().Number() {
			f.core, f.agreed = nil, false
		}
		return
	case f.replay || own.Number() < f.want.Number:
		return
	}
	r, ok := own.Roots(f.want.Number)
	if ok && r.Publish() == f.want {
		f.replay = true
		f.w.log.Info("the replay has come to the same roots as the snapshot", "number", f.want.Number)
		return
	}
	if !f.agreed { // it is the word of one worker
		f.core = nil
		f.stop(fmt.Errorf("%w: the replay has come to another state root of block %d, %s, than that of the snapshot, %s", errNotJoined, f.want.Number, r.State, f.want.State))
		return
	}
	err := fmt.Errorf("%w: block %d, state root %s, published %s", errJoinDiffers, f.want.Number, r.State, f.want.State)
	f.w.log.Error("alarm: the replay contradicts the snapshot, whose state is dropped", "error", err)
	f.w.health.trouble(statePart+" by snapshot", err)
	if err := store.WriteFile(f.w.cfg.fs, filepath.Join(j.dir, joinMarkFile), nil); err != nil {
		f.w.log.Warn("a restart may join by a snapshot again", "error", err)
	}
	f.core, f.agreed = nil, false
	f.giveUp("the replay contradicts its snapshot")
}

// end is called when the worker's own state is current.
func (f *fastJoin) end() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if f.stop != nil {
		f.stop(errReplayDone)
	}
}
