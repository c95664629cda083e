package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/system"
)

const (
	// maxInFlight bounds own extrinsics that are not yet proven in a block;
	// a node's pool takes many more.
	maxInFlight = 64
	// maxLag is how many blocks the core may be behind the finalized head
	// while effects are sent. What this worker sent itself is never sent again
	// because of a lag, since in-flight extrinsics are judged by the state of
	// the block that the core has. But an extrinsic is anchored at that block,
	// so that far behind it would be dead on arrival, and others may have paid
	// meanwhile. Finality comes in bursts: half an era leaves room for them.
	maxLag = eraPeriod / 2
	// maxRetrying bounds the payouts among those on their way that have failed
	// before, so that unpayable ones cannot take the place of others. It is not
	// less than that, since these are what keeps the later ones from being
	// looked at (enclave.maxOpenPayouts).
	maxRetrying = maxInFlight / 2
	// submitTick is how often pending effects are looked at without a commit.
	submitTick = 2 * time.Second
	// maxBackoffBlocks bounds the pause after failed attempts: more than three
	// hours of 6 s blocks.
	maxBackoffBlocks = 2048
	// fundsEvery is how many blocks may pass between looks at the balance; the
	// account is funded for a thousand extrinsics.
	fundsEvery = 100
	// maxOwn bounds the own extrinsics that wait for the submitter to look.
	maxOwn = 1024
	// maxRoots bounds the published roots that wait to be compared.
	maxRoots = 256
)

// published is what the follower tells the other parts after each commit.
type published struct {
	number  header.Number // last committed
	hash    hashing.Hash  // its hash
	head    header.Number // what the node calls final; heard says that it did
	heard   bool
	pending []enclave.Effect       // core.Pending
	own     []enclave.OwnExtrinsic // since somebody took them
	// requests are core.Requests.
	requests []enclave.Request
	// volatile says that a power cut may take some of this back: nothing is
	// sent meanwhile.
	volatile bool
	roots    []enclave.Published // likewise
}

// ages returns for each kind of effects that wait, how many blocks ago the
// oldest came about.
func (p *published) ages() map[string]header.Number {
	out := map[string]header.Number{}
	note := func(kind string, since header.Number) { out[kind] = max(out[kind], p.number-min(since, p.number)) }
	for _, e := range p.pending {
		note(effectKind(e), e.ID.Block)
	}
	for _, q := range p.requests {
		note(requestKind, q.Block)
	}
	return out
}

// board holds the last published values. It is safe for concurrent use.
type board struct {
	mu      sync.Mutex
	value   published
	changed chan struct{}
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

func (b *board) update(f func(*published)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.value)
	close(b.changed)
	b.changed = make(chan struct{})
}

// read returns the values and a channel that is closed at the next change.
func (b *board) read() (published, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.value, b.changed
}

// take is read for the submitter, which gets each own extrinsic once.
func (b *board) take() published {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.value
	b.value.own = nil
	return p
}

// takeRoots is read for the comparer, which gets each publication once.
func (b *board) takeRoots() ([]enclave.Published, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.value.roots
	b.value.roots = nil
	return list, b.changed
}

// caughtUp waits until everything that the node called final is committed.
func (b *board) caughtUp(ctx context.Context) error {
	for {
		p, changed := b.read()
		if p.heard && p.number >= p.head && !p.volatile {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// submitter sends what the core owes to the parentchain, in order, until the
// core sees it proven. It is the only user of the account's nonces once the
// worker is registered.
type submitter struct {
	w *Worker
	// inFlight holds own extrinsics by nonce until they are proven in a block
	// or can no longer come into one.
	inFlight map[uint32]*attempt
	// notBefore delays payouts and publications that have failed in a block, each
	// by itself.
	notBefore map[enclave.EffectID]header.Number
	// confirmNotBefore delays all confirmations after confirmFailures in a row:
	// what fails one fails all, and they are to come in block order (RULES 23).
	confirmNotBefore header.Number
	confirmFailures  uint32
	started          bool
	nextFunds        header.Number // when to look at the balance again
	nextLook         header.Number // when to look at the own registration again
	lookFailures     uint32        // steps of it that failed in a row
	nextEpoch        header.Number // when to publish about the next epoch again
	requests         *requestSender
}

// attempt is one extrinsic on its way. effect is nil for steps of registration,
// and for those that a former run of this worker left in the node's pool, of which
// only the nonce is known.
type attempt struct {
	*signed
	effect   *enclave.EffectID
	step     *step
	confirms bool // the effect is a confirmation
	sent     time.Time
}

func newSubmitter(w *Worker) *submitter {
	return &submitter{w: w, requests: newRequestSender(w), inFlight: map[uint32]*attempt{}, notBefore: map[enclave.EffectID]header.Number{}}
}

// run works until ctx ends.
func (s *submitter) run(ctx context.Context) error {
	tick := time.NewTicker(min(submitTick, s.w.cfg.resubmit))
	defer tick.Stop()
	b := backoff{most: s.w.cfg.resubmit}
	for {
		_, changed := s.w.published.read()
		turn := s.w.node.Turn()
		if err := s.round(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			judge(s.w.node, turn, err)
			s.w.health.trouble("submitter", err)
			if b.wait(ctx) != nil {
				return nil
			}
			continue
		}
		s.w.health.well("submitter")
		b.reset()
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// round looks at what is pending once.
func (s *submitter) round(ctx context.Context) error {
	s.w.registrar.mu.Lock()
	defer s.w.registrar.mu.Unlock()
	// Funding takes blocks: before anything is looked at.
	now, _ := s.w.published.read()
	if (len(now.pending) > 0 || s.looks(now) || s.epochMessage(now) != nil) && now.number >= s.nextFunds {
		if err := s.funds(ctx, now.number); err != nil {
			return err
		}
	}
	if err := s.requests.funds(ctx, uint32(now.number)); err != nil {
		return err
	}
	p := s.w.published.take()
	s.settle(ctx, p)
	look := s.looks(p) || s.epochMessage(p) != nil
	if len(p.pending) == 0 && len(p.requests) == 0 && !look || p.volatile {
		return nil
	}
	if p.head > p.number+maxLag {
		return fmt.Errorf("%d blocks behind the finalized head: nothing is sent before it is within %d", p.head-p.number, maxLag)
	}
	// What is on its way and what is pending are judged by the state of one
	// block, else what the later state has proven would be sent again.
	at, ok := s.w.chain.find(p.hash)
	if !ok {
		return nil // nothing verified in this run yet
	}
	if err := s.requests.send(ctx, p.requests, at); err != nil || len(p.pending) == 0 && !look {
		return err
	}
	info, refused, err := s.standing(ctx, at)
	if err != nil {
		return err
	}
	if !s.started {
		if err := s.reserve(ctx, info.Nonce, at.header.Number); err != nil {
			return err
		}
		s.started = true
	}
	maps.DeleteFunc(s.inFlight, func(nonce uint32, a *attempt) bool {
		// Below the proven nonce it is in a block. From its death on, or that of
		// its runtime, it cannot come into one that is not already proven.
		return nonce < info.Nonce || a.death <= at.header.Number || a.raw != nil && s.w.runtimes.outdated(ctx, at, a.signed)
	})
	for _, nonce := range slices.Sorted(maps.Keys(s.inFlight)) {
		a := s.inFlight[nonce]
		if a.effect == nil && a.step == nil {
			return nil // what a former run sent comes first, so that nothing is sent twice
		}
		if time.Since(a.sent) > s.w.cfg.resubmit {
			a.sent = time.Now()
			if err := s.w.sender.resubmit(ctx, a.signed); err != nil && !isReply(err) {
				return err // a refusal is fine: it may be in a block that is not final
			}
		}
	}
	if sent, err := s.register(ctx, p, at, info.Nonce); sent || err != nil {
		return err
	}
	if sent, err := s.publishEpoch(ctx, p, at, info.Nonce); sent || err != nil {
		return err
	}
	if refused != nil {
		s.w.health.trouble("confirmations", refused)
		return nil
	}
	s.w.health.well("confirmations")
	return s.send(ctx, p, at, info.Nonce)
}

// standing reads this worker's account, and what in the state makes the pallet
// refuse whatever this worker sends, so that no fees are paid for failures that
// can be foreseen.
func (s *submitter) standing(ctx context.Context, at verified) (info system.AccountInfo, refused, err error) {
	own, shard := s.w.account.AccountID(), s.w.shard
	e, values, err := s.w.lookup(ctx, at, own, accountKey(own), shardStatusKey(shard), shardConfigKey(shard))
	if err != nil {
		return info, nil, err
	}
	var signers []integritee.ShardSignerStatus
	for i, v := range []any{&info, &signers} {
		if _, err = decodeProven(values[i], v); err != nil {
			return info, nil, err
		}
	}
	config, err := shardConfig(values[2])
	if err != nil {
		return info, nil, err
	}
	inForce := integritee.FingerprintAt(shard, config, at.header.Number+1)
	switch {
	case e == nil:
		s.w.metrics.registered.Set(0)
		if s.lookFailures == 0 {
			s.nextLook = 0
		}
		refused = fmt.Errorf("account %s is not registered any more (pallet Teerex), and nothing can be confirmed or paid before it is again", own)
	case e.fingerprint != inForce:
		refused = fmt.Errorf("the shard's program is now %s, this worker is registered with %s: nothing can be confirmed or paid", inForce, e.fingerprint)
	case len(signers) >= maxSigners && !slices.ContainsFunc(signers, func(p integritee.ShardSignerStatus) bool { return p.Signer == own }):
		refused = fmt.Errorf("the shard has its %d signers already and evicts none, so that this worker can neither confirm nor pay; it goes on serving. "+
			"EnclaveBridge.purge_enclave_from_shard_status (root) makes room", maxSigners)
	}
	return info, refused, nil
}

// looks reports whether it is time to look at the own registration: from time to
// time, and when it was made for other keys than the worker has now. Before the
// block in whose state it was found there is nothing to see.
func (s *submitter) looks(p published) bool {
	return p.number >= s.w.registrar.proven && (p.number >= s.nextLook || s.lookFailures == 0 && s.w.registrar.outdated())
}

// epochMessage returns what is to be published about the shard's next epoch, nil
// for nothing.
func (s *submitter) epochMessage(p published) *epoch.Message {
	if core := s.w.core.Load(); core != nil && p.number >= s.nextEpoch {
		return s.w.rotator.message(core.View())
	}
	return nil
}

// publishEpoch sends it, and tells whether it has.
func (s *submitter) publishEpoch(ctx context.Context, p published, at verified, nonce uint32) (bool, error) {
	m := s.epochMessage(p)
	if m == nil {
		return false, nil
	}
	values, err := s.w.chain.proveAt(ctx, at, shardStatusKey(integritee.ShardID(s.w.fingerprint())), shardStatusKey(s.w.shard))
	if err != nil {
		return false, err
	}
	state := shardState{at: at}
	if _, err := decodeProven(values[1], &state.signers); err != nil {
		return false, fmt.Errorf("shard status: %w", err)
	}
	if !state.mayRotate(s.w.account.AccountID()) {
		s.nextEpoch = p.number + epochPause
		return false, nil
	}
	remark, err := takesNoMore(values[0], s.w.account.AccountID())
	if err != nil {
		return false, err
	}
	rt, err := s.w.runtimes.get(ctx)
	if err != nil {
		return false, err
	}
	call, err := enclave.EpochCall(rt.Metadata(), s.w.ring.Load().Root(), s.w.shard, s.w.trustHash, s.w.account.AccountID(), *m, remark)
	if err != nil {
		return false, err
	}
	x := &step{name: m.String(), call: call, epoch: m}
	if err := s.sendStep(ctx, rt, x, nonce); err != nil {
		return false, err
	}
	s.w.log.Info("publishes about the shard's next keys", "what", x.name, "remark", remark)
	return true, nil
}

// sendStep sends a step with the next nonce that is free.
func (s *submitter) sendStep(ctx context.Context, rt *enclave.Runtime, x *step, nonce uint32) error {
	for s.inFlight[nonce] != nil {
		nonce++
	}
	signed, err := s.w.sender.sign(rt, x.call, nonce)
	if err != nil {
		return err
	}
	if err := s.w.sender.submit(ctx, signed); isReply(err) {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	// It may have arrived or not: the same bytes are sent again later.
	s.inFlight[nonce] = &attempt{signed: signed, step: x, sent: time.Now()}
	s.w.log.Debug("step sent", "what", x.name, "nonce", nonce, "extrinsic", signed.hash)
	return nil
}

// register sends what the own registration needs, and tells whether nothing else
// is to be sent meanwhile: a step is on its way.
func (s *submitter) register(ctx context.Context, p published, at verified, nonce uint32) (waiting bool, err error) {
	for _, a := range s.inFlight {
		if a.step != nil {
			return true, nil
		}
	}
	if !s.looks(p) {
		return false, nil
	}
	r := s.w.registrar
	state, err := r.look(ctx, at)
	if err != nil {
		return false, err
	}
	rt, err := s.w.runtimes.get(ctx)
	if err != nil {
		return false, err
	}
	x, err := r.step(rt, state)
	switch {
	case err != nil: // the rest can go on as long as the registration is there
		s.w.health.trouble("registration", err)
		s.nextLook = p.number + registrationEvery
		return false, nil
	case x == nil:
		s.w.health.well("registration")
		s.w.metrics.registered.Set(1)
		s.nextLook, s.lookFailures = p.number+registrationEvery, 0
		return false, nil
	}
	if state.own == nil {
		s.w.health.trouble("registration", fmt.Errorf("account %s is not registered any more (pallet Teerex): it is registered again", s.w.account.AccountID()))
	}
	if err := s.sendStep(ctx, rt, x, nonce); err != nil {
		return false, err
	}
	r.sent(x)
	s.w.log.Info("registering again", "what", x.name, "reason", x.reason)
	return true, nil
}

// funds looks whether the account can go on paying. Lack of funds is trouble,
// but stops nothing before they are used up.
func (s *submitter) funds(ctx context.Context, number header.Number) error {
	percent := int64(10)
	if s.w.cfg.Dev {
		percent = 50
	}
	err := s.w.keepFunds(ctx, percent)
	switch {
	case err == nil:
		s.w.health.well("funding")
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		s.w.health.trouble("funding", err)
	}
	s.nextFunds = number + fundsEvery
	return nil
}

// send submits pending effects that are not on their way. They are anchored at the
// block that they are judged by, of the chain on which they came about: on any other
// one they do not count.
func (s *submitter) send(ctx context.Context, p published, at verified, nonce uint32) error {
	busy := map[enclave.EffectID]bool{}
	for _, a := range s.inFlight {
		busy[*a.effect] = true // no step of registration is on its way
	}
	retrying, confirming := 0, 0
	for _, e := range p.pending {
		switch {
		case !busy[e.ID]:
		case e.Confirm != nil:
			confirming++
		case e.Attempts > 0:
			retrying++
		}
	}
	var rt *enclave.Runtime
	for _, e := range p.pending {
		switch {
		case busy[e.ID]:
			continue
		case e.Confirm != nil:
			// After a failure one at a time shows whether they succeed again.
			if s.confirmFailures > 0 && (confirming > 0 || s.confirmNotBefore > p.number) {
				continue
			}
			confirming++
		case s.notBefore[e.ID] > p.number || e.Attempts > 0 && retrying >= maxRetrying:
			continue
		case e.Attempts > 0:
			retrying++
		}
		if len(s.inFlight) >= maxInFlight {
			return nil
		}
		if rt == nil {
			var err error
			if rt, err = s.w.runtimes.get(ctx); err != nil {
				return err
			}
		}
		call, err := e.Call(rt.Metadata(), s.w.shard)
		if err != nil {
			return err
		}
		for s.inFlight[nonce] != nil {
			nonce++
		}
		x, err := s.w.sender.signAt(rt, call, nonce, at)
		if err != nil {
			return err
		}
		if e.Confirm != nil {
			s.w.recovery.sent(e.Confirm.Number)
		}
		err = s.w.sender.submit(ctx, x)
		var reply *rpcclient.Error
		switch {
		case errors.As(err, &reply) && reply.Code == codePriorityTooLow:
			// Something of ours is in the pool at this nonce already.
			s.inFlight[nonce] = &attempt{signed: x, sent: time.Now()}
			return fmt.Errorf("nonce %d is taken in the node's pool, waiting for it", nonce)
		case err != nil && isReply(err):
			return fmt.Errorf("%s: %w", effectName(e), err)
		case err != nil:
			// It may have arrived or not: the same bytes are sent again later.
			s.inFlight[nonce] = &attempt{signed: x, effect: &e.ID, confirms: e.Confirm != nil}
			return err
		}
		s.inFlight[nonce] = &attempt{signed: x, effect: &e.ID, confirms: e.Confirm != nil, sent: time.Now()}
		s.w.metrics.sent.WithLabelValues(effectKind(e)).Inc()
		s.w.log.Debug("effect sent", "effect", effectName(e), "nonce", nonce, "extrinsic", x.hash, "attempts", e.Attempts)
	}
	return nil
}

// codePriorityTooLow is the error of author_submitExtrinsic for an extrinsic
// whose nonce another one in the pool has.
const codePriorityTooLow = 1014

func isReply(err error) bool {
	var reply *rpcclient.Error
	return errors.As(err, &reply)
}

func effectName(e enclave.Effect) string {
	switch {
	case e.Confirm != nil:
		return fmt.Sprintf("confirmation of block %d", e.Confirm.Number)
	case e.Publish != nil:
		return fmt.Sprintf("publication of the roots of block %d", e.Publish.Number)
	}
	return fmt.Sprintf("payout %d of block %d", e.ID.Index, e.ID.Block)
}

// settle notes the own extrinsics that came into blocks. A payout or publication
// that is pending all the same gets a pause, longer after each failure, so that whatever
// is wrong does not burn fees in every block. A failed confirmation makes all
// wait that are not on their way yet.
func (s *submitter) settle(ctx context.Context, p published) {
	pending := map[enclave.EffectID]enclave.Effect{}
	for _, e := range p.pending {
		pending[e.ID] = e
		if _, noted := s.notBefore[e.ID]; !noted && e.Confirm == nil && e.Attempts > 0 {
			s.notBefore[e.ID] = p.number + pauseAfter(e.Attempts) // it failed in this block or in a former run
		}
	}
	failed := false
	for _, x := range p.own {
		a := s.inFlight[x.Nonce]
		delete(s.inFlight, x.Nonce)
		switch {
		case a == nil || a.step == nil:
		case a.step.epoch != nil:
			s.epochPublished(ctx, p.number, a, x)
		case !x.Success:
			s.stepFailed(ctx, p.number, a, x)
		}
		if a == nil || a.effect == nil {
			continue
		}
		e, owed := pending[*a.effect]
		if !owed {
			if a.confirms && x.Success {
				s.confirmFailures = 0
			}
			continue
		}
		reason := "it succeeded without the effect"
		if !x.Success {
			reason = s.failure(ctx, x)
		}
		var pause header.Number
		switch {
		case e.Confirm == nil && x.Success:
			pause = maxBackoffBlocks
		case e.Confirm == nil:
			pause = pauseAfter(e.Attempts)
		default:
			if !failed { // several of one block are one failure
				s.confirmFailures++
			}
			failed = true
			pause = pauseAfter(s.confirmFailures)
			s.confirmNotBefore = p.number + pause
		}
		s.notBefore[e.ID] = p.number + pause
		s.w.metrics.failed.WithLabelValues(effectKind(e)).Inc()
		s.w.log.Warn("own extrinsic had no effect", "effect", effectName(e), "extrinsic", x.Hash, "reason", reason, "retry_in_blocks", pause)
	}
	maps.DeleteFunc(s.notBefore, func(id enclave.EffectID, _ header.Number) bool { _, owed := pending[id]; return !owed })
}

// failure says why an own extrinsic failed.
func (s *submitter) failure(ctx context.Context, x enclave.OwnExtrinsic) string {
	rt, err := s.w.runtimes.get(ctx)
	if err != nil {
		return "unknown"
	}
	return dispatchError(rt.Metadata(), x.Failure)
}

// epochPublished has what is left to be said about the next epoch wait, if what was
// said had no effect: another worker was faster, or it failed.
func (s *submitter) epochPublished(ctx context.Context, now header.Number, a *attempt, x enclave.OwnExtrinsic) {
	if still := s.w.rotator.message(s.w.core.Load().View()); still == nil || *still != *a.step.epoch {
		return
	}
	s.nextEpoch = now + epochPause
	reason := "it had no effect"
	if !x.Success {
		reason = s.failure(ctx, x)
	}
	s.w.log.Warn("publication about the shard's next keys did not count", "what", a.step.name, "extrinsic", x.Hash, "reason", reason)
}

// epochPause is how many blocks pass before another attempt.
const epochPause = 8

// stepFailed has the next look at the registration wait.
func (s *submitter) stepFailed(ctx context.Context, now header.Number, a *attempt, x enclave.OwnExtrinsic) {
	if a.step.failed != nil {
		a.step.failed()
	}
	s.lookFailures++
	s.nextLook = now + pauseAfter(s.lookFailures)
	s.w.health.trouble("registration", fmt.Errorf("%s: extrinsic %s failed: %s", a.step.name, x.Hash, s.failure(ctx, x)))
}

// pauseAfter is how many blocks to wait after so many failures.
func pauseAfter(failures uint32) header.Number {
	return min(header.Number(1)<<min(failures, 16), maxBackoffBlocks)
}

// reserve counts what a former run left in the node's pool as on its way. The
// node's word is taken as far as it is plausible; a lie costs one era. What waits
// in the pool behind a nonce that the node forgot is not seen: it may come into a
// block beside what is sent now. A confirmation is then there twice, for a fee; a
// payout is not, since the pallet pays a call hash once.
func (s *submitter) reserve(ctx context.Context, proven uint32, at header.Number) error {
	next, err := s.w.node.AccountNextIndex(ctx, s.w.account.AccountID())
	if err != nil {
		return err
	}
	if next < proven || next-proven > 2*maxInFlight {
		s.w.log.Warn("the node names an implausible nonce", "proven", proven, "node", next)
		return nil
	}
	for n := proven; n < next; n++ {
		s.inFlight[n] = &attempt{signed: &signed{nonce: n, death: at + eraPeriod}, sent: time.Now()}
	}
	return nil
}
