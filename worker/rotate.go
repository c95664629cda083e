package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/erase"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// How the shard's keys are rotated (decision 26, internal/epoch):
//
//	an operator asks, or the     the worker makes keys for the next epoch, seals
//	keys are old enough          them, and announces the hash of the public ones
//	a block has an announcement  the others obtain the keys from who holds them,
//	                             seal them, and publish that they hold them, too
//	enough hold them             the epoch begins after a notice: ciphertexts are
//	                             opened with its keys, and for a while with the old
//
// What is announced and published is found by the core in verified blocks. A worker
// that lacks keys of an epoch stands still before its first block until it has
// obtained them.

const (
	// DefaultRotationOverlap is for how many blocks former keys are accepted: an
	// hour of 6 s blocks. Within as many the other workers have to obtain new ones.
	DefaultRotationOverlap = 600
	// minRotationOverlap is the least of a shard in production: what was encrypted to
	// the former keys and signed before the new epoch can still be included.
	minRotationOverlap = 2 * eraPeriod
	// activeWithin is how many blocks ago a signer of the shard has confirmed or
	// published something, if it is to be counted on.
	activeWithin = 2 * DefaultConfirmInterval
	// staggerBlocks is how much later the next of several workers announces an epoch
	// by itself: the first announcement counts, and the others only cost fees.
	staggerBlocks = 8
)

// rotator brings the keys of further epochs to this worker, and has them announced.
type rotator struct {
	w *Worker

	mu     sync.Mutex
	own    *ownKeys // nil before the worker has keys
	served bool     // they are known to be the shard's, and shown to clients and peers
	// terms are those on which this worker announces the next epoch, whose keys it
	// has, as the state after block decided has it; zero if it does not.
	terms   epoch.Terms
	decided header.Number
	// asked is the epoch that an operator wants to be followed by another.
	asked *uint32
	// told is the last state that was logged.
	told epoch.State
}

// Parts of health, besides that of a worker that has no keys at all.
const (
	rotationPart = "rotation"
	lapsedPart   = "rotation: lapsed"
	missingPart  = "missing keys"
)

var errLapsed = errors.New("announced keys have lapsed: too few workers held them in time")

// begin takes the keys that the worker has.
func (r *rotator) begin(own *ownKeys) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = own
}

// serve has clients and peers get the keys from now on.
func (r *rotator) serve() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served = true
	r.w.ring.Store(r.own.ring.Load())
	return r.w.renewCertificate(tee.PurposeServe)
}

// show has evidence made for the keys that there are, if it is about others.
func (r *rotator) show() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.served || r.w.shown.Load().document.Epochs.Hash() == r.w.ring.Load().Bound().Hash() {
		return nil
	}
	return r.w.makeCertificate(tee.PurposeServe)
}

// add has the worker have the epochs of a ring that it does not have, and the given
// one. They are sealed, and good even if there is no evidence for them yet.
func (r *rotator) add(ring *enclave.KeyRing, number uint32) error {
	if err := r.seal(ring, number); err != nil {
		return err
	}
	if err := r.show(); err != nil { // run tries again
		r.w.health.trouble(rotationPart, fmt.Errorf("evidence for the keys of epoch %d: %w", number, err))
	}
	return nil
}

func (r *rotator) seal(ring *enclave.KeyRing, number uint32) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	merged, err := r.own.ring.Load().With(ring, number)
	if err != nil {
		return err
	}
	if err := r.own.save(r.w.dir, r.w.platform, merged); err != nil {
		return err
	}
	r.w.log.Info("has the keys of an epoch", "epoch", number)
	if r.served {
		r.w.ring.Store(merged)
	}
	return nil
}

// run works until ctx ends.
func (r *rotator) run(ctx context.Context) {
	for {
		_, changed := r.w.published.read()
		round := func(ctx context.Context) error { return errors.Join(r.round(ctx), r.show()) }
		if err := r.w.health.retry(ctx, rotationPart, round); ctx.Err() != nil {
			return
		} else if err != nil {
			r.w.health.trouble(rotationPart, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// round does what the present state asks for, but for what is to be published.
func (r *rotator) round(ctx context.Context) error {
	v := r.w.core.Load().View()
	s := v.Epochs()
	r.settle(s)
	if id, ok := s.NextID(); ok {
		return r.obtain(ctx, id, s.Next.Holders)
	}
	if !r.due(v, s) {
		return nil
	}
	state, err := r.w.shardState(ctx)
	if err != nil {
		return err
	}
	if state.legacy {
		return errNoRotation
	}
	own := r.w.account.AccountID()
	if !state.mayRotate(own) {
		return errNoSigner
	}
	others, before := state.active(own), 0
	for _, p := range others {
		if bytes.Compare(p[:], own[:]) < 0 {
			before++
		}
	}
	if r.requested() == nil && r.age(v, s) < r.w.cfg.RotateKeys+uint32(before*staggerBlocks) {
		return nil
	}
	terms := epoch.Terms{Holders: uint8((len(others)+1)/2 + 1), Notice: r.w.cfg.rotationOverlap() / 4, Overlap: r.w.cfg.rotationOverlap()}
	return r.make(s.Current.Number+1, terms, state.at.header.Number)
}

// active returns the signers of the shard, but for one, that did anything lately.
func (s *shardState) active(but keyring.AccountID) (out []keyring.AccountID) {
	for _, p := range s.signers {
		if p.LastActivity+activeWithin >= s.at.header.Number && p.Signer != but {
			out = append(out, p.Signer)
		}
	}
	return out
}

// mayRotate reports whether a worker publishes anything about the next epoch: an active
// signer, or any worker of a shard that has none. So strangers, who can run as many
// genuine workers as they like, begin no epoch with keys that they keep to themselves
// unless they are more than half of the few signers.
func (s *shardState) mayRotate(own keyring.AccountID) bool {
	active := s.active(keyring.AccountID{})
	return len(active) == 0 || slices.Contains(active, own)
}

var errNoSigner = errors.New("this worker is none of the shard's active signers, while others are: they have to rotate the keys")

// errNoRotation is for parentchains on which nothing can be announced.
var errNoRotation = errors.New("keys are not rotated here: the parentchain's pallet Teerex is of 2022 and takes no publications")

// due reports whether another epoch has to be announced now.
func (r *rotator) due(v *enclave.View, s epoch.State) bool {
	if !s.CanAnnounce(v.Number()+1) || v.Fingerprint() != r.w.fingerprint() {
		return false
	}
	every := r.w.cfg.RotateKeys
	return r.requested() != nil || every > 0 && r.age(v, s) >= every
}

// age returns for how many blocks the present keys have counted.
func (r *rotator) age(v *enclave.View, s epoch.State) uint32 {
	since := max(s.Since, r.w.trust.StartNumber)
	return uint32(v.Number() - min(since, v.Number()))
}

func (r *rotator) requested() *uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// settle forgets what has come about: an epoch is announced, or has begun. If the
// announcement lapses, what was asked for is still to be done.
func (r *rotator) settle(s epoch.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(s)
	if s.Next != nil {
		r.terms = epoch.Terms{}
	}
	if r.asked != nil && s.Current.Number > *r.asked {
		r.asked, r.terms = nil, epoch.Terms{}
	}
}

// tell logs what has changed of the epochs. Callers hold mu.
func (r *rotator) tell(s epoch.State) {
	before, log := r.told, r.w.log
	r.told = s
	id, announced := s.NextID()
	switch {
	case s.Current.Number > before.Current.Number:
		log.Info("the shard's keys are those of an epoch", "epoch", s.Current.Number, "since", s.Since, "former_until", s.Until)
		r.w.health.well(lapsedPart)
	case announced && before.Next == nil:
		log.Info("keys are announced", "epoch", id.Number, "keys", id.Keys, "holders_needed", s.Next.Terms.Holders)
	case !announced && before.Next != nil:
		r.w.metrics.lapsed.Inc()
		r.w.health.trouble(lapsedPart, fmt.Errorf("%w: epoch %d, %d of %d", errLapsed, before.Current.Number+1, len(before.Next.Holders), before.Next.Terms.Holders))
	}
	if announced && s.Next.From != nil && (before.Next == nil || before.Next.From == nil) {
		log.Info("enough workers hold the announced keys", "epoch", id.Number, "from", *s.Next.From)
	}
}

// make makes and seals keys for an epoch that is to be announced, unless the worker
// has some: of an announcement that has lapsed, or of before a restart. The terms are
// by the state after block decided.
func (r *rotator) make(number uint32, terms epoch.Terms, decided header.Number) error {
	ring := r.keys().ring.Load()
	if _, ok := ring.Public(number); !ok {
		if ring.Held() >= enclave.MaxEpochs {
			return errManyEpochs
		}
		var key *shielding.PrivateKey
		var err error
		erase.Do(func() { key, err = shielding.Generate() })
		if err != nil {
			return err
		}
		next := &enclave.KeyMaterial{Epoch: number, Shielding: key, RootSeed: ring.Root().RootSeed}
		if err := r.add(enclave.NewKeyRing(next), number); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.terms, r.decided = terms, decided
	return nil
}

// errManyEpochs is for a shard whose keys were rotated without end, as the host of one
// worker can have it do: nobody could join any more.
var errManyEpochs = fmt.Errorf("there are keys of %d epochs, and workers could not hand over more: those of old ones have to be destroyed first (destroy-keys)", enclave.MaxEpochs)

// keys returns the keys that the worker has, nil before it has any.
func (r *rotator) keys() *ownKeys {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own
}

// obtain has the worker have the keys of an epoch, from a worker that has them. If
// those that can be asked have destroyed them the error is a *destroyedError.
func (r *rotator) obtain(ctx context.Context, id epoch.ID, holders []keyring.AccountID) error {
	if r.keys().find(id) != nil {
		return nil
	}
	if r.keys().ring.Load().Destroyed(id) {
		return keysDestroyed(id)
	}
	w := r.w
	s, err := w.shardState(ctx)
	if err != nil {
		return err
	}
	peers := slices.DeleteFunc(slices.Clone(holders), func(a keyring.AccountID) bool { return a == w.account.AccountID() })
	for _, p := range s.others(w.account.AccountID()) {
		if !slices.Contains(peers, p.Signer) {
			peers = append(peers, p.Signer)
		}
	}
	errs := []error{fmt.Errorf("the keys %v of epoch %d are not to be had", id.Keys, id.Number)}
	var without *enclave.KeyRing
	for _, p := range peers {
		ring, err := w.requestRing(ctx, p)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
		case ring.Find(id) != nil:
			return r.add(ring, id.Number)
		case ring.Destroyed(id):
			without, err = ring, errors.New("it has destroyed them")
		default:
			err = errors.New("it does not have them")
		}
		errs = append(errs, fmt.Errorf("worker %s: %w", p, err))
	}
	if without != nil {
		if err := r.add(without, id.Number); err != nil {
			return err
		}
		return keysDestroyed(id)
	}
	return errors.Join(errs...)
}

// message returns what this worker has to publish about the next epoch, as the view
// shows; nil for nothing.
func (r *rotator) message(v *enclave.View) *epoch.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := v.Epochs()
	if r.own == nil || v.Fingerprint() != r.w.fingerprint() {
		return nil
	}
	if id, ok := s.NextID(); ok {
		if s.Next.From != nil || s.Holds(r.w.account.AccountID()) || r.own.find(id) == nil {
			return nil
		}
		return &epoch.Message{Epoch: id.Number, Keys: id.Keys}
	}
	public, ok := r.own.ring.Load().Public(s.Current.Number + 1)
	if !ok || r.terms.Check() != nil || !s.CanAnnounce(v.Number()+1) {
		return nil
	}
	// A host that hides the present signers must not have the worker announce by those
	// of long ago, when it was perhaps the only one.
	if v.Number() > r.decided+maxLag {
		return nil
	}
	return &epoch.Message{Epoch: public.Epoch, Keys: public.Hash(), Terms: r.terms}
}

// obtainMissing has the worker have keys without which its core cannot execute the
// next block. It registers where it is due, since who asks for keys has to be
// registered, and not too long ago.
func (w *Worker) obtainMissing(ctx context.Context, missing *enclave.EpochError) error {
	w.health.trouble(missingPart, missing)
	return w.behind(ctx, func(ctx context.Context) error {
		return w.health.retry(ctx, missingPart, func(ctx context.Context) error {
			err := w.rotator.obtain(ctx, missing.Epoch, nil)
			if err == nil || isFatal(err) {
				return err
			}
			// The submitter, which judges by the core's last block, does not see it age.
			return errors.Join(err, w.registrar.register(ctx, true))
		})
	})
}

// behind has a worker that does not execute blocks do something at the head of the
// chain: it follows only heads meanwhile, from its core's last block on if it has one.
func (w *Worker) behind(ctx context.Context, do func(context.Context) error) error {
	begin, look := w.beginElection, w.election.look
	if core := w.core.Load(); core != nil { // it is decided long since whose keys are the shard's
		at := core.LightClient()
		begin = func(context.Context) (finality, error) { return w.restoreFinality(at) }
		look = func(_ context.Context, list []lightclient.FinalHeader) error {
			if len(list) > 0 { // how far behind it is, is told all the same
				w.published.update(func(p *published) { p.head, p.heard = max(p.head, list[len(list)-1].Number()), true })
			}
			return nil
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	var heads sync.WaitGroup
	defer heads.Wait()
	defer stop(nil)
	heads.Go(func() {
		if err := w.followHeads(ctx, begin, look); err != nil {
			stop(err)
		}
	})
	err := w.current(ctx)
	if err == nil {
		err = do(ctx)
	}
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	return err
}

// checkRotation refuses an overlap that would have calls of clients fail.
func (w *Worker) checkRotation() error {
	if n := w.cfg.rotationOverlap(); w.trust.Class == trustconfig.Production && n < minRotationOverlap {
		return fatal("--rotation-overlap %d: in production it is at least %d blocks, or else calls that are on their way would fail", n, minRotationOverlap)
	}
	return nil
}

func (c *Config) rotationOverlap() uint16 {
	if c.RotationOverlap == 0 {
		return DefaultRotationOverlap
	}
	return c.RotationOverlap
}

// rotateAnswer is the answer of ocw_rotateKeys.
type rotateAnswer struct {
	// Epoch is the one that is to be announced, or is announced already.
	Epoch uint32 `json:"epoch"`
	// From is the first block in which it can be announced.
	From header.Number `json:"from"`
	// Announced is what is known of it if it is announced already.
	Announced *NextEpoch `json:"announced,omitempty"`
}

// String says what comes next.
func (a *rotateAnswer) String() string {
	switch n := a.Announced; {
	case n == nil:
		return fmt.Sprintf("epoch %d will be announced, from block %d on", a.Epoch, a.From)
	case n.From != nil:
		return fmt.Sprintf("epoch %d was announced in block %d and begins at block %d", a.Epoch, n.Announced, *n.From)
	default:
		return fmt.Sprintf("epoch %d was announced in block %d, and %d of the %d workers hold its keys that have to; if there are not enough before block %d it lapses, and this worker announces one",
			a.Epoch, n.Announced, n.Holders, n.Needed, n.Lapses)
	}
}

// NextEpoch is what is known of announced keys.
type NextEpoch struct {
	Number    uint32        `json:"number"`
	Announced header.Number `json:"announced"` // in which block
	// Holders of Needed workers have published that they hold the keys.
	Holders int `json:"holders"`
	Needed  int `json:"needed"`
	// From is the epoch's first block; nil while there are not enough holders.
	From *header.Number `json:"from,omitempty"`
	// Lapses is the block before which there have to be enough.
	Lapses header.Number `json:"lapses"`
}

// nextEpoch returns what a state knows of the next epoch, nil if none is announced.
func nextEpoch(s epoch.State) *NextEpoch {
	id, ok := s.NextID()
	if !ok {
		return nil
	}
	n := s.Next
	return &NextEpoch{Number: id.Number, Announced: n.Block, Holders: len(n.Holders), Needed: int(n.Terms.Holders), From: n.From,
		Lapses: n.Block + header.Number(n.Terms.Overlap)}
}

// registerRotation serves ocw_rotateKeys to the operator: token.
func (w *Worker) registerRotation(s *rpcserver.Server) {
	handle(s, "ocw_rotateKeys", func(ctx context.Context, raw json.RawMessage) (any, error) {
		var token string
		if err := json.Unmarshal(raw, &[]any{&token}); err != nil {
			return nil, errors.New("want [token]")
		}
		if !w.isOperator(token) {
			return nil, errOperator
		}
		if _, err := w.executed(); err != nil {
			return nil, err
		}
		if legacy, err := w.legacy(ctx); err != nil {
			return nil, err
		} else if legacy {
			return nil, errNoRotation
		}
		return w.rotator.ask()
	})
}

// ask takes note of an operator's wish for another epoch.
func (r *rotator) ask() (a rotateAnswer, err error) {
	select {
	case <-r.w.ready:
	default:
		return a, r.w.notReady()
	}
	v := r.w.core.Load().View()
	s := v.Epochs()
	r.mu.Lock()
	r.asked = &s.Current.Number
	r.mu.Unlock()
	r.w.published.update(func(*published) {}) // has run look
	return rotateAnswer{s.Current.Number + 1, max(s.Until, v.Number()+1), nextEpoch(s)}, nil
}

func rotateCommand(app *stf.App, f *flags) *cobra.Command {
	return &cobra.Command{Use: "rotate-keys", Short: "Have the worker that runs here announce new shielding keys for the shard",
		Long: `Have the worker that runs with this data folder make shielding keys for the
shard's next epoch and announce them on the parentchain. They count once more than
half of the active workers have published that they hold them; the former ones are
accepted for a while beside them (docs/rotation.md).

Make a new backup of the keys afterwards: the old one does not have them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(app); err != nil {
				return err
			}
			return fail(func(cmd *cobra.Command, _ []string) error {
				var a rotateAnswer
				if err := f.askOperator(cmd.Context(), &a, "ocw_rotateKeys"); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), &a)
				return err
			})(cmd, args)
		}}
}
