package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// devGenesis is the hash of block 0 of the built-in dev chain, the only chain
// on which nobody else can be. A test compares it with package devchain, which
// is not linked into the worker.
var devGenesis = hashing.Hash{0xc8, 0xab, 0x30, 0xac, 0xcd, 0x26, 0x37, 0x28, 0x38, 0xf2, 0x08, 0xbe, 0x4f, 0x53, 0xca, 0xc4,
	0x76, 0xeb, 0x78, 0x8a, 0x10, 0xf7, 0xa5, 0x84, 0x9e, 0xf9, 0x84, 0x05, 0xa3, 0xe4, 0x3e, 0xf6}

// Why a trust config is refused.
var (
	errClass = errors.New("a production shard cannot be served so")
	// errInsecureTEE means a node's word beside evidence that others believe.
	errInsecureTEE = errors.New("--insecure-trust-parentchain-rpc is refused on this platform")
	errOtherTrust  = errors.New("the trust config is not the one that the state was made under")
	errInsecure    = errors.New("the trust config and the command line disagree on whether a node's word is enough")
)

// loadTrust finds the trust config: from Config.TrustConfig, or with
// Config.Dev from the connected chain's genesis (RULES 1). What was found is
// sealed, and another one later is refused.
func (w *Worker) loadTrust(ctx context.Context) error {
	var stored *enclave.TrustConfig
	b, err := w.dir.unseal(w.platform, chainDir, trustFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fatal("trust config: %w", err)
	default:
		t, err := enclave.DecodeTrustConfig(b)
		if err != nil {
			return fatal("%w", err)
		}
		stored = &t
	}

	var t enclave.TrustConfig
	switch {
	case w.cfg.TrustConfig != "":
		if t, err = readTrustConfig(w.cfg.TrustConfig); err != nil {
			return fatal("%w", err)
		}
		if t.Shard != w.shard || t.App != w.cfg.App.Name() {
			return fatal("%s is for shard %s and app %q, this worker is to serve shard %s with app %q",
				w.cfg.TrustConfig, t.Shard, t.App, w.shard, w.cfg.App.Name())
		}
	case stored != nil:
		// The node may be down: state can be served all the same.
		t = enclave.DevTrustConfig(stored.Genesis, w.shard, w.cfg.App.Name())
		t.Relay, t.Insecure = stored.Relay, w.cfg.insecureFlags()
	default:
		err := w.health.retry(ctx, "parentchain", func(ctx context.Context) (err error) {
			t, err = w.devTrust(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := w.platform.checkTrust(&t); err != nil {
		return fatal("%w", err)
	}
	if err := w.cfg.checkKind(&t); err != nil {
		return err
	}
	if err := w.cfg.checkInsecure(&t, "the trust config"); err != nil {
		return err
	}
	if stored != nil {
		if err := w.cfg.checkInsecure(stored, "data folder "+w.cfg.DataDir); err != nil {
			return err
		}
	}
	if stored == nil {
		if err := w.dir.seal(w.platform, t.Encode(), chainDir, trustFile); err != nil {
			return fatal("trust config: %w", err)
		}
	} else if stored.Hash() != t.Hash() {
		return fatal("%w: data folder %s belongs to shard %s of app %q on the chain with genesis %s: use another folder, "+
			"or --clean-reset to forget its state (not its keys)", errOtherTrust, w.cfg.DataDir, stored.Shard, stored.App, stored.Genesis)
	}
	if w.defaultName && t.Genesis != devGenesis {
		w.log.Warn("the simulated measurement is made of the app's bare name: another project of this name on this chain would take "+
			"it for its own. Choose one with --sim-measurement", "name", w.cfg.SimMeasurement)
	}
	w.trust, w.trustHash = t, t.Hash()
	if w.approvals, err = openApprovals(w.cfg.Approvals, &w.trust, w.log); err != nil {
		return fatal("%w", err)
	}
	if err := w.platform.checkPrograms(t.Class, w.approvals.measurements()); err != nil {
		return fatal("%w", err)
	}
	return nil
}

// readTrustConfig reads a trust config from a file.
func readTrustConfig(path string) (t enclave.TrustConfig, err error) {
	b, err := verifiers.ReadFile(path, trustconfig.MaxJSON)
	if err != nil {
		return t, fmt.Errorf("trust config: %w", err)
	}
	if t, err = trustconfig.Parse(b); err != nil {
		return t, fmt.Errorf("trust config %s: %w", path, err)
	}
	return t, nil
}

// checkGenesis finds out whether the node is of the chain that is trusted.
func (w *Worker) checkGenesis(ctx context.Context) error {
	genesis, err := w.node.BlockHash(ctx, 0)
	if err != nil {
		return err
	}
	if genesis != w.trust.Genesis {
		return fmt.Errorf("%w: it has genesis %s, this worker's has %s: connect a node of that chain, "+
			"use another data folder, or start once with --clean-reset", errOtherChain, genesis, w.trust.Genesis)
	}
	return nil
}
