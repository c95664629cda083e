package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// Worker is a running worker. All methods are safe for concurrent use.
type Worker struct {
	cfg Config
	log *slog.Logger
	// defaultName says that the measurement is made of the app's bare name.
	defaultName bool
	cancel      context.CancelFunc
	done        chan struct{} // closed when everything has ended
	err         error         // read after done

	dir       *dataDir
	platform  *attestation
	registrar *registrar
	rotator   *rotator
	custodian custodian
	depositor depositor
	account   *keyring.Pair
	// accountFor is the trust config that the account is for; zero for any.
	accountFor hashing.Hash
	self       ratls.Self
	shard      integritee.ShardID
	urls       urls
	listeners  listeners
	operator   string // token of operatorFile
	rpc        *rpcserver.Server

	health    *health
	metrics   *metrics
	progress  *progress
	recovery  *recovery
	published *board
	comparer  comparer
	joined    *fastJoin // nil without Config.FastJoin
	offered   offered
	node      *parentchain.Client
	relay     *parentchain.Client // nil if the parentchain has finality of its own
	chain     *chain
	runtimes  *runtimes
	blocks    atomic.Pointer[blocks] // nil until the trust config is known

	// Set once by live, before anything that reads them is started.
	trust     enclave.TrustConfig
	trustHash hashing.Hash
	approvals *approvals // nil without Config.Approvals
	sender    *sender
	gate      *access.Gate
	election  *election

	genesis     atomic.Pointer[hashing.Hash]    // trust.Genesis, for Status
	certifying  sync.Mutex                      // held while it is made
	certificate atomic.Pointer[tls.Certificate] // of the trusted RPC
	shown       atomic.Pointer[shown]           // what goes with the certificate
	// registrations is for what the evidence vouches that the chain has verified, and
	// for what that which is on its way; nil if the registration skips attestation.
	registrations atomic.Pointer[[]binding.Registration]
	ring          atomic.Pointer[enclave.KeyRing] // once the keys are known to be the shard's
	core          atomic.Pointer[enclave.Core]    // only View is used by others than the follower
	stored        atomic.Uint32                   // block of the newest snapshot on the disk
	ready         chan struct{}
	readyOnce     sync.Once
}

// urls is what is advertised.
type urls struct{ trusted, untrusted, muRa string }

type listeners struct{ trusted, plain, muRa, http, metrics net.Listener }

func (l listeners) close() {
	for _, ln := range []net.Listener{l.trusted, l.plain, l.muRa, l.http, l.metrics} {
		if ln != nil {
			ln.Close()
		}
	}
}

// Check reports everything that is wrong with a configuration.
func (c *Config) Check() error {
	var errs []error
	need := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	need(c.App != nil, "Config.App is missing")
	need(c.DataDir != "", "Config.DataDir is missing")
	need(c.NodeURL != "", "Config.NodeURL is missing")
	if c.NodeURL != "" {
		_, err := parentchain.ParseURLs(c.NodeURL)
		need(err == nil, fmt.Sprintf("endpoints of the parentchain: %v", err))
	}
	errs = append(errs, c.checkRelay(), c.checkWord(), c.checkPlain(), c.checkEscrow())
	need(c.Dev || c.TrustConfig != "", "without --dev a trust config is needed (--trust-config FILE)")
	if !c.SkipRA && c.Attestation.Platform != "sgx" && c.Attestation.Platform != "auto" {
		errs = append(errs, errNoQuotes)
	}
	if err := c.Attestation.check(); err != nil {
		errs = append(errs, err)
	}
	if err := c.checkArchive(); err != nil {
		errs = append(errs, err)
	}
	need(c.PublishInterval&(c.PublishInterval-1) == 0, fmt.Sprintf("the interval of publications is %d, want a power of two", c.PublishInterval))
	need(c.FastJoin >= 0 && c.FastJoin < maxSigners, fmt.Sprintf("fast join needs %d workers, want 1 to %d, or 0 for none", c.FastJoin, maxSigners-1))
	return errors.Join(errs...)
}

// publishInterval is [enclave.Config.PublishInterval].
func (c *Config) publishInterval() uint32 {
	switch {
	case c.NoPublications:
		return 0
	case c.PublishInterval == 0:
		return DefaultPublishInterval
	}
	return c.PublishInterval
}

// Start makes a worker and runs it until Stop or until it fails. It returns
// once the servers listen; ctx bounds the worker's whole life. A file
// worker.lock in the data folder keeps Start waiting.
func Start(ctx context.Context, cfg Config) (*Worker, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.SimMeasurement == "" {
		cfg.SimMeasurement = cfg.App.Name()
	}
	defaultName := cfg.SimMeasurement == cfg.App.Name() && cfg.Attestation.simulated()
	if cfg.ConfirmInterval == 0 {
		cfg.ConfirmInterval = DefaultConfirmInterval
	}
	if cfg.fs == nil {
		cfg.fs = store.OS
	}
	if cfg.resubmit == 0 {
		cfg.resubmit = resubmitAfter
	}
	w := &Worker{cfg: cfg, log: log, defaultName: defaultName, done: make(chan struct{}), ready: make(chan struct{}), health: newHealth(log),
		published: newBoard()}
	w.comparer.w, w.custodian.w, w.depositor.w = w, w, w
	if cfg.FastJoin > 0 {
		w.joined = newFastJoin(w, cfg.FastJoin)
	}
	w.progress = newProgress(log, cfg.terminal)
	w.metrics = newMetrics(w)
	w.recovery = &recovery{log: log, health: w.health, count: w.metrics.recoveries}
	if err := w.prepare(ctx); err != nil {
		w.listeners.close()
		err = errors.Join(err, w.platform.close())
		if w.dir != nil {
			err = errors.Join(err, w.dir.close())
		}
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	go func() {
		defer close(w.done)
		defer w.cancel()
		err := w.run(ctx)
		if ctx.Err() != nil && !isFatal(err) {
			err = nil // it was stopped, and what broke off because of that is no failure
		}
		w.err = errors.Join(err, w.platform.close(), w.dir.close())
	}()
	return w, nil
}

// prepare does all that needs no parentchain.
func (w *Worker) prepare(ctx context.Context) (err error) {
	cfg := &w.cfg
	if w.dir, err = openDataDir(cfg.DataDir, cfg.fs); err != nil {
		return err
	}
	if err := w.dir.waitForOperator(ctx, w.log); err != nil {
		return err
	}
	if cfg.CleanReset {
		if err := w.dir.cleanReset(w.log); err != nil {
			return err
		}
	}
	if w.platform, err = cfg.Attestation.open(cfg.DataDir, cfg.SimMeasurement, w.log); err != nil {
		return err
	}
	if k := w.platform.Kind(); k != tee.SGX && !cfg.SkipRA {
		return fmt.Errorf("%w, and this is %s", errNoQuotes, k)
	}
	if cfg.opened != nil {
		cfg.opened(w.platform.Measurement())
	}
	w.registrar, w.rotator = newRegistrar(w), &rotator{w: w}
	if w.account, w.accountFor, err = loadAccount(w.dir, w.platform); err != nil {
		return err
	}
	if err := w.makeOperatorToken(); err != nil {
		return err
	}
	w.shard = cfg.Shard
	if w.shard == (integritee.ShardID{}) {
		w.shard = integritee.ShardID(w.platform.Measurement())
	}
	tlsKey, err := ratls.NewTLSKey()
	if err != nil {
		return err
	}
	w.self = ratls.Self{Account: w.account, TLSKey: tlsKey, Platform: w.platform}
	// Until the chain is known there is nothing to make a statement about.
	bare, err := w.self.Bare()
	if err != nil {
		return err
	}
	w.certificate.Store(&bare)

	for _, l := range []struct {
		ln                  *net.Listener
		addr, initial, flag string
	}{
		{&w.listeners.trusted, cfg.TrustedAddr, DefaultTrustedAddr, "-P, --trusted-worker-port"},
		{&w.listeners.plain, cfg.PlainAddr, "", "--insecure-ws-port"},
		{&w.listeners.muRa, cfg.MuRaAddr, DefaultMuRaAddr, "-r, --mu-ra-port"},
		{&w.listeners.http, cfg.HTTPAddr, DefaultHTTPAddr, "-h, --untrusted-http-port"},
		{&w.listeners.metrics, cfg.MetricsAddr, "", "-i, --metrics-port"},
	} {
		if l.addr == "" {
			l.addr = l.initial
		}
		if l.addr == "" {
			continue
		}
		if *l.ln, err = net.Listen("tcp", l.addr); err != nil {
			return fmt.Errorf("%w (%s)", err, l.flag)
		}
	}
	or := func(v, otherwise string) string {
		if v != "" {
			return v
		}
		return otherwise
	}
	w.urls = urls{trusted: or(cfg.TrustedURL, w.TrustedURL()), untrusted: or(cfg.UntrustedURL, "ws://127.0.0.1:2001"), muRa: or(cfg.MuRaURL, w.MuRaAddr())}
	if len(w.urls.trusted) > integritee.MaxURLBytes {
		return fmt.Errorf("worker: the trusted URL is longer than the %d bytes that the chain takes", integritee.MaxURLBytes)
	}
	if w.node, err = w.newNodes(cfg.NodeURL, "parentchain"); err != nil {
		return err
	}
	if cfg.Parentchain == Para {
		if w.relay, err = w.newNodes(cfg.RelayURL, "relay chain"); err != nil {
			return err
		}
	}
	w.health.node = w.node
	w.chain = newChain(w.node)
	w.runtimes = &runtimes{node: w.node, chain: w.chain, cache: &runtimeCache{dir: w.dir, platform: w.platform, log: w.log}}
	if w.rpc, err = w.newRPC(); err != nil {
		return err
	}
	w.log.Info("worker starts", "app", cfg.App.Name(), "version", Version, "account", w.account.AccountID(),
		"mrenclave", w.platform.Measurement(), "shard", w.shard, "trusted_url", w.urls.trusted)
	if cfg.InsecureTrustParentchainRPC {
		w.log.Warn(insecureRPC)
	}
	return nil
}

// run runs all parts in one group: the first that fails ends the others.
func (w *Worker) run(ctx context.Context) error {
	defer w.node.Close()
	defer w.listeners.close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		w.log.Info("worker stops")
		return nil
	})
	g.Go(func() error { return w.serveTrusted(ctx) })
	g.Go(func() error { return w.servePlain(ctx) })
	g.Go(func() error { return w.serveHTTP(ctx) })
	g.Go(func() error { return w.serveMetrics(ctx) })
	g.Go(func() error { w.node.Watch(ctx); return nil })
	g.Go(func() error { w.watchFinality(ctx); return nil })
	g.Go(func() error { return w.platform.run(ctx, w.health) })
	g.Go(func() error { return w.keepEvidenceFresh(ctx) })
	if w.relay != nil {
		defer w.relay.Close()
		g.Go(func() error { w.relay.Watch(ctx); return nil })
	}
	g.Go(func() error { return w.live(ctx, g) })
	return g.Wait()
}

// live is the worker's life beside its servers: trust, keys, state, following.
func (w *Worker) live(ctx context.Context, g *errgroup.Group) (err error) {
	if err := w.loadTrust(ctx); err != nil {
		return err
	}
	if !w.accountFor.IsZero() && w.accountFor != w.trustHash {
		return fatal("the account in %s was given back for another shard or chain (trust config %s, wanted %s): use another data folder", w.dir.file(accountFile), w.accountFor, w.trustHash)
	}
	if err := w.custodian.load(); err != nil {
		return err
	}
	w.genesis.Store(&w.trust.Genesis)
	if w.gate, err = access.NewGate(w.trust.Genesis, w.shard, w.cfg.BoundGettersOnly); err != nil {
		return err
	}
	if err := w.checkRotation(); err != nil {
		return err
	}
	if err := w.openBlocks(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.blocks.Load().close()) }()
	w.runtimes.trust, w.chain.trust = w.trust.LightClient(), w.trust.LightClient()
	w.sender = &sender{node: w.node, chain: w.chain, runtimes: w.runtimes, genesis: w.trust.Genesis, pair: w.account, again: w.cfg.resubmit}
	if err := w.renewCertificate(tee.PurposeJoin); err != nil {
		return err
	}
	g.Go(func() error { return w.provider().Serve(ctx, w.listeners.muRa) })

	w.election = newElection(w)
	own, err := loadKeys(w.dir, w.platform)
	if err != nil {
		return fatal("%w", err)
	}
	if own != nil && own.trust != w.trustHash {
		return fatal("%s holds the keys of another shard or chain (trust config %s, wanted %s): use another data folder", w.dir.file(materialFile), own.trust, w.trustHash)
	}
	confirmed := own != nil && own.status == keysConfirmed
	if !confirmed {
		if own, err = w.comeToKeys(ctx, own); err != nil {
			return err
		}
	}
	w.rotator.begin(own)
	if !confirmed {
		if err := w.rotator.serve(); err != nil {
			return err
		}
	} // else goLive does, once they are compared
	return w.serveShard(ctx, own, confirmed)
}

// comeToKeys registers and obtains the keys, following only heads: without the
// keys no block can be executed, but looked at for whose keys are the shard's.
func (w *Worker) comeToKeys(ctx context.Context, own *ownKeys) (*ownKeys, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var heads sync.WaitGroup
	defer heads.Wait()
	defer stop(nil) // before waiting
	heads.Go(func() {
		if err := w.followHeads(ctx, w.beginElection, w.election.look); err != nil {
			stop(err)
		}
	})
	w.health.setPhase("following heads")
	err := w.chain.waitStart(ctx)
	if err == nil {
		own, err = w.prepareKeys(ctx, own)
	}
	if err == nil {
		err = w.registrar.register(ctx, true)
	}
	if err == nil {
		own, err = w.obtainKeys(ctx, own)
	}
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	return own, err
}

// beginElection starts where trust does.
func (w *Worker) beginElection(ctx context.Context) (finality, error) {
	if err := w.election.checkKept(ctx); err != nil {
		return nil, err
	}
	f, h, err := w.newFinality(ctx)
	if err != nil {
		return nil, err
	}
	w.election.begin(h, w.trust.StartHash)
	w.chain.add(h, w.trust.StartHash)
	return f, nil
}

// followHeads keeps the chain current by finality proofs alone, from where begin
// says, until ctx ends or a fatal error. look is given the heads; with none, it goes
// on after an error.
func (w *Worker) followHeads(ctx context.Context, begin func(context.Context) (finality, error), look func(context.Context, []lightclient.FinalHeader) error) error {
	var f finality
	var b backoff
	for {
		turn := w.node.Turn()
		err := func() error {
			if err := w.checkGenesis(ctx); err != nil {
				return err
			}
			if f == nil {
				var err error
				if f, err = begin(ctx); err != nil {
					return err
				}
			}
			if err := look(ctx, nil); err != nil {
				return err
			}
			heads, err := w.node.SubscribeFinalizedHeads(ctx)
			if err != nil {
				return err
			}
			defer heads.Close()
			for {
				if err := w.chain.syncHeads(ctx, f, func(list []lightclient.FinalHeader) error { return look(ctx, list) }); err != nil {
					return err
				}
				w.health.well("parentchain")
				w.node.Good()
				b.reset()
				if err := w.nextHead(ctx, heads); err != nil {
					return err
				}
				if err := w.idle(ctx, f); err != nil {
					return err
				}
			}
		}()
		if ctx.Err() != nil {
			return nil
		}
		if isFatal(err) {
			return err
		}
		w.health.trouble("parentchain", err)
		leave(w.node, turn, err)
		if b.wait(ctx) != nil {
			return nil
		}
	}
}

// nextHead waits for a head, or for the time after which to ask anyway.
func (w *Worker) nextHead(ctx context.Context, heads parentchain.Heads) error {
	waiting, stop := context.WithTimeout(ctx, parentchain.DefaultPoll)
	defer stop()
	_, err := heads.Next(waiting)
	if err != nil && ctx.Err() == nil && waiting.Err() != nil {
		return nil
	}
	return err
}

// serveState executes blocks from the state on the disk on, and sends effects, until
// ctx ends. The error is a *destroyedError if it cannot go on from there.
func (w *Worker) serveState(ctx context.Context, own *ownKeys, restarted bool) error {
	w.health.setPhase("loading the state")
	j, err := w.openJournal(ctx, own)
	if err != nil {
		return err
	}
	w.core.Store(j.core)
	w.metrics.epoch.Set(float64(j.core.View().Epochs().Current.Number))
	w.health.setPhase("catching up")
	careful := j.steps.careful != 0 // the follower writes it
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return (&follower{w: w, core: j.core, to: &shardLedger{w, j}, obtain: w.obtainMissing}).run(ctx)
	})
	g.Go(func() error { w.joined.run(ctx, j, own, careful); return nil })
	g.Go(func() error { return j.audit(ctx, j.core) })
	g.Go(func() error { w.comparer.run(ctx); return nil })
	g.Go(func() error {
		err := w.goLive(ctx, own, restarted)
		if ctx.Err() != nil && !isFatal(err) {
			return nil
		}
		return err
	})
	return errors.Join(g.Wait(), j.close())
}

// goLive waits until the state is current, makes sure of registration and
// keys, and then sends effects.
func (w *Worker) goLive(ctx context.Context, own *ownKeys, restarted bool) error {
	if err := w.published.caughtUp(ctx); err != nil {
		return err
	}
	if err := w.registrar.register(ctx, true); err != nil {
		return err
	}
	if restarted {
		err := w.reclaimShard(ctx)
		if err == nil {
			err = w.health.retry(ctx, "keys", func(ctx context.Context) error { return w.compareKeys(ctx, own) })
		}
		if err == nil {
			err = w.rotator.serve()
		}
		if err != nil {
			return err
		}
	}
	// Now with the keys, which clients look for in the registry.
	if err := w.registrar.register(ctx, false); err != nil {
		return err
	}
	if err := w.depositor.begin(ctx); err != nil {
		return err
	}
	w.joined.end()
	w.health.setPhase("running")
	w.readyOnce.Do(func() { close(w.ready) })
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { w.rotator.run(ctx) })
	beside.Go(func() { w.depositor.run(ctx) })
	return newSubmitter(w).run(ctx)
}

// Run runs a worker until ctx ends (then it returns nil) or it fails.
func Run(ctx context.Context, cfg Config) error {
	w, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	return w.Wait()
}

// Stop ends the worker in order and returns what Wait returns.
func (w *Worker) Stop() error {
	w.cancel()
	return w.Wait()
}

// Wait blocks until the worker has ended; nil if it was stopped.
func (w *Worker) Wait() error {
	<-w.done
	return w.err
}

// Done is closed when the worker has ended.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Ready is closed when the worker is registered and serves its shard up to the
// finalized head, which is when /is_initialized answers 200.
func (w *Worker) Ready() <-chan struct{} { return w.ready }

func (w *Worker) fingerprint() integritee.Fingerprint {
	return integritee.Fingerprint(w.platform.Measurement())
}

// Status returns how the worker is doing.
func (w *Worker) Status() Status {
	p, _ := w.published.read()
	s := Status{App: w.cfg.App.Name(), Version: Version, Account: w.account.AccountID(), Fingerprint: w.platform.Measurement(),
		MrEnclave: w.platform.Measurement().Hex(), Shard: w.shard.String(), Finalized: p.head, Pending: len(p.pending) + len(p.requests)}
	for _, age := range p.ages() {
		s.PendingBlocks = max(s.PendingBlocks, age)
	}
	s.Phase, s.HealthCode, s.Health, s.Since = w.health.read()
	s.Progress, s.Joined = w.progress.read().status(), w.joined.status()
	if w.cfg.InsecureTrustParentchainRPC {
		s.Insecure = []string{insecureRPC}
	}
	s.Divergences, s.Keepers = w.comparer.divergences(), int(w.depositor.keepers.Load())
	if g := w.genesis.Load(); g != nil {
		s.Genesis = *g
	}
	if core := w.core.Load(); core != nil {
		v := core.View()
		s.Number, s.Hash, s.StateRoot, s.RootsFrom = v.Number(), v.Hash(), v.StateRoot(), v.OldestRoots()
		now := v.Epochs()
		s.Epoch, s.NextEpoch = now.Current.Number, nextEpoch(now)
	}
	if keys, err := w.publicKeys(); err == nil {
		s.Epoch = keys.Epoch
	}
	return s
}

// TrustedURL returns the URL of the trusted RPC on this machine, wss://….
func (w *Worker) TrustedURL() string { return "wss://" + reachable(w.listeners.trusted) }

// MuRaAddr returns the address of the key hand-over on this machine.
func (w *Worker) MuRaAddr() string { return reachable(w.listeners.muRa) }

// HTTPURL returns the URL of the HTTP server on this machine, http://….
func (w *Worker) HTTPURL() string { return "http://" + reachable(w.listeners.http) }

// MetricsURL returns the URL of the metrics on this machine, http://…/metrics;
// "" if they are not served.
func (w *Worker) MetricsURL() string {
	if w.listeners.metrics == nil {
		return ""
	}
	return "http://" + reachable(w.listeners.metrics) + "/metrics"
}

// reachable returns the address of a listener as this machine can dial it.
func reachable(ln net.Listener) string {
	addr, ok := ln.Addr().(*net.TCPAddr)
	if ok && addr.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(addr.Port))
	}
	return ln.Addr().String()
}
