package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// errRelay marks what the relay chain's nodes are to blame for: no endpoint of
// the parachain is left for it.
var errRelay = errors.New("relay chain")

// checkRelay reports what is wrong with what a configuration says of finality.
func (c *Config) checkRelay() error {
	switch {
	case c.Parentchain != "" && c.Parentchain != Solo && c.Parentchain != Para:
		return fmt.Errorf("--parentchain is %s or %s", Solo, Para)
	case c.Parentchain != Para && (c.RelayURL != "" || c.ParaID != 0):
		return errors.New("--relay-url and --para-id have no effect without --parentchain para")
	case c.Parentchain != Para:
		return nil
	case c.RelayURL == "":
		return errors.New("--parentchain para needs --relay-url: the relay chain makes the parachain's blocks final")
	}
	if _, err := parentchain.ParseURLs(c.RelayURL); err != nil {
		return fmt.Errorf("endpoints of the relay chain: %w", err)
	}
	return nil
}

// askRelay runs what asks the relay chain's nodes, and leaves the active one if
// it fails.
func askRelay(ctx context.Context, relay *parentchain.Client, run func() error) error {
	turn := relay.Turn()
	err := run()
	switch {
	case err == nil:
		relay.Good()
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case isFatal(err):
		return err
	}
	leave(relay, turn, err)
	return fmt.Errorf("%w: %w", errRelay, err)
}

// staleness is for how long a node may be behind others, or behind what is
// proven, until it is left.
func (w *Worker) staleness() time.Duration {
	if d := w.cfg.endpoints.Stale; d != 0 {
		return d
	}
	return parentchain.DefaultStale
}

// idleTime is how often is looked at what does not happen.
func (w *Worker) idleTime() time.Duration {
	if d := w.cfg.endpoints.Compare; d != 0 {
		return d
	}
	return parentchain.DefaultPoll
}

// errStalled means that blocks do not become final. It is the node's word.
var errStalled = errors.New("the parentchain makes blocks and does not finalize them")

// watchFinality says so when the parentchain makes blocks that do not become
// final, until ctx ends. Of a parachain the relay chain may be the reason.
func (w *Worker) watchFinality(ctx context.Context) {
	const part = "finality"
	var last header.Number
	since := time.Now()
	for sleep(ctx, w.idleTime()) == nil {
		final, err := w.node.FinalizedHeader(ctx)
		if err != nil {
			continue // others say so
		}
		best, err := w.node.Header(ctx, hashing.Hash{})
		if err != nil {
			continue
		}
		if final.Number != last || best.Number <= final.Number {
			last, since = final.Number, time.Now()
			w.health.well(part)
		} else if time.Since(since) >= w.staleness() {
			w.health.trouble(part, fmt.Errorf("%w: since block %d", errStalled, last))
		}
	}
}

// idle lets finality follow other chains while there is nothing to prove.
func (w *Worker) idle(ctx context.Context, f finality) error {
	const part = "relay chain"
	behind, err := f.idle(ctx)
	switch {
	case err != nil:
		return err
	case behind != nil:
		w.health.trouble(part, behind)
	default:
		w.health.well(part)
	}
	return nil
}

// devTrust makes the trust config that --dev stands for, of block 0 of the
// connected chains (RULES 1).
func (w *Worker) devTrust(ctx context.Context) (enclave.TrustConfig, error) {
	genesis, err := w.node.BlockHash(ctx, 0)
	if err != nil {
		return enclave.TrustConfig{}, err
	}
	t := enclave.DevTrustConfig(genesis, w.shard, w.cfg.App.Name())
	t.Insecure = w.cfg.insecureFlags()
	if w.relay == nil {
		return t, nil
	}
	r := enclave.RelayTrust{ParaID: w.cfg.ParaID}
	if r.ParaID == 0 {
		if r.ParaID, err = ownParaID(ctx, w.node, genesis); err != nil {
			return enclave.TrustConfig{}, err
		}
	}
	err = askRelay(ctx, w.relay, func() (err error) {
		r.Genesis, err = w.relay.BlockHash(ctx, 0)
		return err
	})
	r.StartHash, t.Relay = r.Genesis, &r
	return t, err
}

// ownParaID returns what a parachain says of itself. That is the node's word.
func ownParaID(ctx context.Context, node *parentchain.Client, at hashing.Hash) (id uint32, err error) {
	value, ok, err := node.Storage(ctx, hashing.StoragePrefix("ParachainInfo", "ParachainId"), at)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, errors.New("the chain does not say which parachain it is: give --para-id, or --parentchain solo if it has finality of its own")
	}
	if err := scale.Unmarshal(value, &id); err != nil {
		return 0, fmt.Errorf("%w: its para id: %w", parentchain.ErrNonsense, err)
	}
	return id, nil
}

// checkKind refuses a trust config of the other kind of parentchain than the
// configuration's.
func (c *Config) checkKind(t *enclave.TrustConfig) error {
	switch para := c.Parentchain == Para; {
	case para && t.Relay == nil:
		return fatal("the trust config names no relay chain: --parentchain para does not go with it")
	case !para && t.Relay != nil:
		return fatal("the trust config is of parachain %d: --parentchain para and --relay-url are needed", t.Relay.ParaID)
	case para && c.ParaID != 0 && c.ParaID != t.Relay.ParaID:
		return fatal("the trust config is of parachain %d, not %d", t.Relay.ParaID, c.ParaID)
	}
	return nil
}

// relayCode is healthCode for what the relay chain is about; "" if it is not.
func relayCode(err error) string {
	is := func(kind error) bool { return errors.Is(err, kind) }
	switch {
	case is(lightclient.ErrNoHead):
		return "relay-no-head"
	case is(errNotIncluded):
		return "relay-not-included"
	case !is(errRelay):
		return ""
	case is(errOtherChain):
		return "relay-other"
	case is(lightclient.ErrUnverified), is(parentchain.ErrNonsense):
		return "relay-unverified"
	case is(parentchain.ErrUnavailable):
		return "relay-unreachable"
	case is(parentchain.ErrStateUnavailable):
		return "relay-pruned"
	case is(parentchain.ErrNotFinal):
		return "relay-not-final"
	}
	return "relay"
}
