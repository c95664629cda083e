package worker

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/escrow"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// How workers keep the accounts of each other (RULES 7, decision 27). While it runs,
// a worker with Config.Instance has the other signers of the shard keep its account.
// A worker that has lost what its account is sealed with gets it back through
// account.go. None of it is in the state.

const (
	// escrowFile holds the accounts that this worker keeps for others, sealed.
	escrowFile = "accounts_sealed.bin"
	// depositEvery is after how many blocks the others are asked again: some may be
	// new, and others may have lost their disk (6 s blocks: 6 min).
	depositEvery header.Number = 64

	// releaseEvery is the least time between two requests for accounts whose evidence
	// is looked at.
	releaseEvery = time.Second
)

var (
	errNotRegistered = errors.New("the account is not registered on the parentchain")
	errStaleRequest  = errors.New("the request names no block among the last ones that are verified here: make another one")
	errBusy          = errors.New("another account was asked for just now: try again in a second")
)

// keepRefusals are the errors of ocw_keepAccount that have a code of their own.
var keepRefusals = []codedError{{escrow.ErrTaken, -32030}}

// custodian keeps the accounts of other workers.
type custodian struct {
	w *Worker

	mu    sync.Mutex    // guards what follows; held while the file is written
	table *escrow.Table // nil is empty
	next  time.Time     // no evidence is looked at before
	told  time.Time     // when a refusal was logged last
}

func (w *Worker) escrowScope() escrow.Scope { return scopeOf(&w.trust) }

// scopeOf is of which shard what is kept under a trust config is.
func scopeOf(t *enclave.TrustConfig) escrow.Scope {
	return escrow.Scope{TrustConfig: t.Hash(), Shard: t.Shard}
}

// load reads what is kept. The trust config is known.
func (c *custodian) load() error {
	b, err := c.w.dir.unseal(c.w.platform, escrowFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer clear(b)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.table, err = escrow.DecodeTable(b, c.w.escrowScope())
	}
	if err != nil {
		return fatal("the accounts that this worker keeps for others (%s): %w", c.w.dir.file(escrowFile), err)
	}
	return nil
}

// register serves ocw_keepAccount, for deposits, which open with a key of the
// shard's enclaves only, and ocw_releaseAccount, for who shows an operator's word.
func (c *custodian) register(s *rpcserver.Server) {
	handle(s, "ocw_keepAccount", func(ctx context.Context, raw json.RawMessage) (any, error) {
		sealed, err := hexParam(stringParams(raw))
		if err != nil {
			return nil, err
		}
		return true, c.keep(ctx, sealed)
	}, keepRefusals...)
	handle(s, "ocw_releaseAccount", func(_ context.Context, raw json.RawMessage) (any, error) {
		var params []json.RawMessage
		if err := json.Unmarshal(raw, &params); err != nil || len(params) != 1 {
			return nil, errors.New("want [release]")
		}
		r, err := escrow.ParseRelease(params[0])
		if err != nil {
			return nil, err
		}
		a, err := c.release(r)
		if err != nil {
			c.refused(r, err)
			return nil, err
		}
		return a, nil
	})
}

// keep takes a deposit; it is durable afterwards.
func (c *custodian) keep(ctx context.Context, sealed []byte) error {
	w := c.w
	ring := w.ring.Load()
	if ring == nil {
		return w.notReady()
	}
	d, err := escrow.Open(sealed, w.escrowScope(), store.RandomNonce(ring.Root().EscrowKey()))
	if err != nil {
		return err
	}
	defer clear(d.Seed[:])
	c.mu.Lock()
	has := c.table.Has(d)
	c.mu.Unlock()
	if has {
		return nil
	}
	account := d.Account()
	e, _, err := w.enrolled(ctx, account)
	if err != nil {
		return errUnreadable
	}
	if e == nil {
		return errNotRegistered
	}
	s, err := w.shardState(ctx)
	if err != nil {
		return errUnreadable
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	table, err := c.table.With(d, s.isSigner)
	if err != nil {
		w.log.Warn("an account is not kept for another worker", "instance", d.Instance, "account", account, "error", err)
		return err
	}
	b := table.Encode(w.escrowScope())
	defer clear(b)
	if err := w.dir.seal(w.platform, b, escrowFile); err != nil {
		w.log.Warn("an account cannot be kept for another worker", "instance", d.Instance, "account", account, "error", err)
		return errors.New("the disk fails")
	}
	c.table = table
	w.log.Info("keeps the account of another worker", "instance", d.Instance, "account", account, "operator", d.Operator, "kept", table.Len())
	return nil
}

// isSigner reports whether an account has one of the shard's places.
func (s *shardState) isSigner(account keyring.AccountID) bool {
	return slices.ContainsFunc(s.signers, func(p integritee.ShardSignerStatus) bool { return p.Signer == account })
}

// releaseAnswer is the answer of ocw_releaseAccount.
type releaseAnswer struct {
	Account keyring.AccountID `json:"account"`
	Sealed  []byte            `json:"sealed" doc:"encrypted to the age key of the request"`
}

// release gives an account to an enclave, if the operator of its instance wants it,
// and the enclave could be given the shard's keys as well.
func (c *custodian) release(r *escrow.Release) (a releaseAnswer, err error) {
	w, i := c.w, r.Request.Instance
	if w.ring.Load() == nil {
		return a, w.notReady()
	}
	c.mu.Lock()
	d, err := c.table.Find(i.Name)
	c.mu.Unlock()
	if err != nil {
		return a, err
	}
	if err := r.Check(d.Operator); err != nil {
		return a, err
	}
	if scopeOf(&r.Request.TrustConfig) != w.escrowScope() {
		return a, escrow.ErrOtherShard
	}
	if b, ok := w.chain.find(i.Block); !ok || b.header.Number != i.Number {
		return a, errStaleRequest
	}
	if !c.admit(time.Now()) {
		return a, errBusy
	}
	terms := w.terms()
	claims, err := r.Request.Appraise(terms.PeerPolicy(), terms.Verifiers...)
	if err != nil {
		return a, err
	}
	a.Account = d.Account()
	if a.Sealed, err = escrow.Give(d, w.escrowScope(), r.Request.Recipient); err != nil {
		return a, err
	}
	w.log.Info("audit: gave a worker its account back", "instance", d.Instance, "account", a.Account, "operator", d.Operator,
		"measurement", claims.Measurement, "platform", claims.Kind, "key", r.Request.Recipient.String()[:16])
	return a, nil
}

// admit reports whether evidence may be looked at now.
func (c *custodian) admit(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.next) {
		return false
	}
	c.next = now.Add(releaseEvery)
	return true
}

// refused logs that an account was not given: one a second, since anybody may ask.
func (c *custodian) refused(r *escrow.Release, err error) {
	c.mu.Lock()
	tell := time.Since(c.told) >= time.Second
	if tell {
		c.told = time.Now()
	}
	c.mu.Unlock()
	if tell {
		c.w.log.Warn("audit: an account was asked for and not given", "instance", r.Request.Instance.Name, "error", err)
	}
}

// depositor has other workers keep the account of this one.
type depositor struct {
	w       *Worker
	sealed  string       // hex of the deposit; "" without Config.Instance
	keepers atomic.Int32 // so many others keep it
	told    bool         // of round: the log says how many
}

// checkEscrow refuses half an instance.
func (c *Config) checkEscrow() error {
	if (c.Instance == "") != c.OperatorKey.IsZero() {
		return errors.New("an instance needs the key of its operator, and the other way round (--instance, --operator-key)")
	}
	if c.Instance == "" {
		return nil
	}
	return keybackup.CheckInstance(c.Instance)
}

// begin makes the deposit. A worker that has no place among the shard's signers yet
// asks whether the others keep an account that has one for this instance: then it
// must be given back, or else another place would be gone.
func (d *depositor) begin(ctx context.Context) error {
	w := d.w
	if w.cfg.Instance == "" {
		return nil
	}
	seed, ok := w.account.Seed()
	if !ok {
		return fatal("the account has no seed")
	}
	_, number := w.chain.recentBlock()
	deposit := &escrow.Deposit{Instance: w.cfg.Instance, Operator: w.cfg.OperatorKey, Seed: seed, Number: number}
	d.sealed = hex.EncodeToString(escrow.Seal(deposit, w.escrowScope(), store.RandomNonce(w.ring.Load().Root().EscrowKey())))
	clear(seed[:])
	clear(deposit.Seed[:])
	return w.health.retry(ctx, "account", func(ctx context.Context) error {
		s, err := w.shardState(ctx)
		if err != nil || s.isSigner(w.account.AccountID()) {
			return err
		}
		if taken := d.round(ctx, &s); taken != nil {
			return fatal("instance %s: %w: stop this worker, and have that account given back in a new data folder (account request), or choose another instance",
				w.cfg.Instance, taken)
		}
		return ctx.Err()
	})
}

// run has the others keep the account until ctx ends.
func (d *depositor) run(ctx context.Context) {
	w := d.w
	if d.sealed == "" {
		return
	}
	every := cmp.Or(w.cfg.depositEvery, depositEvery)
	for {
		at, _ := w.chain.latest()
		err := w.health.retry(ctx, "account", func(ctx context.Context) error {
			s, err := w.shardState(ctx)
			if err == nil {
				_ = d.round(ctx, &s) // it has a place itself by now, and has warned
			}
			return err
		})
		if err != nil {
			return
		}
		if _, err := w.chain.waitPast(ctx, at.header.Number+every-1); err != nil {
			return
		}
	}
}

// round asks each of the others once. The error wraps escrow.ErrTaken, that of
// whoever keeps another account.
func (d *depositor) round(ctx context.Context, s *shardState) (taken error) {
	w := d.w
	peers := s.others(w.account.AccountID())
	errs := make([]error, len(peers))
	var asking sync.WaitGroup
	for i, p := range peers {
		asking.Go(func() { errs[i] = d.ask(ctx, p.Signer) })
	}
	asking.Wait()
	if ctx.Err() != nil {
		return nil
	}
	kept := 0
	for i, err := range errs {
		level := slog.LevelDebug // it may be down
		switch {
		case err == nil:
			kept++
			continue
		case errors.Is(err, escrow.ErrTaken):
			taken = err
			fallthrough
		case errors.As(err, new(*rpcclient.Error)):
			level = slog.LevelWarn
		}
		w.log.Log(ctx, level, "a worker does not keep this worker's account", "account", peers[i].Signer, "error", err)
	}
	if before := d.keepers.Swap(int32(kept)); int(before) != kept || !d.told {
		level := slog.LevelInfo
		if kept == 0 {
			level = slog.LevelWarn // if it is lost now, it is for good
		}
		w.log.Log(ctx, level, "how many other workers keep this worker's account", "instance", w.cfg.Instance, "keepers", kept, "of", len(peers))
		d.told = true
	}
	return taken
}

// ask has one worker keep the account. What it answers counts since it has shown
// evidence; what is sent only the shard's enclaves can read.
func (d *depositor) ask(ctx context.Context, peer keyring.AccountID) error {
	p, err := d.w.dialPeer(ctx, peer, d.w.core.Load().View().Fingerprint())
	if err != nil {
		return err
	}
	defer p.close()
	var kept bool
	err = p.call(ctx, &kept, "ocw_keepAccount", d.sealed)
	var refused *rpcclient.Error
	if errors.As(err, &refused) && refused.Code == keepRefusals[0].code {
		return fmt.Errorf("%w (%s)", escrow.ErrTaken, refused.Message)
	}
	if err == nil && !kept {
		return errors.New("it does not say that it does")
	}
	return err
}
