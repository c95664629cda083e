package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/substrate/header"
)

// insecureRPC is what everybody is told of a worker that takes the node's word.
const insecureRPC = "INSECURE: --insecure-trust-parentchain-rpc: this worker proves nothing. It believes the parentchain node in everything: " +
	"finality, blocks, events, balances and the runtime. Whoever controls the node or the way to it controls the shard"

// checkWord reports what speaks against taking a node's word.
func (c *Config) checkWord() error {
	if !c.InsecureTrustParentchainRPC {
		return nil
	}
	var errs []error
	if !c.Dev || !c.SkipRA {
		errs = append(errs, errors.New("--insecure-trust-parentchain-rpc is for development on the simulated TEE: it needs --dev and --skip-ra"))
	}
	if c.Parentchain == Para {
		errs = append(errs, errors.New("--insecure-trust-parentchain-rpc believes the parachain's node itself: --parentchain para and --relay-url do not go with it"))
	}
	if strings.Contains(c.NodeURL, ",") {
		errs = append(errs, errors.New("--insecure-trust-parentchain-rpc believes one node: give one --integritee-rpc-url"))
	}
	return errors.Join(errs...)
}

// insecureFlags is what of the configuration enters the trust config.
func (c *Config) insecureFlags() enclave.Insecure {
	if c.InsecureTrustParentchainRPC {
		return enclave.TrustParentchainRPC
	}
	return 0
}

// checkInsecure refuses a trust config, own or stored, of a shard that takes
// the node's word, without the flag, and one that does not, with it.
func (c *Config) checkInsecure(t *enclave.TrustConfig, what string) error {
	switch word := t.Insecure&enclave.TrustParentchainRPC != 0; {
	case word && !c.InsecureTrustParentchainRPC:
		return fatal("%w: %s is of a shard that took the parentchain node's word (insecure flag %d): without --insecure-trust-parentchain-rpc it cannot go on. "+
			"Use another folder, or --clean-reset to forget its state (not its keys)", errInsecure, what, enclave.TrustParentchainRPC)
	case !word && c.InsecureTrustParentchainRPC:
		return fatal("%w: %s is of a shard whose parentchain is proven: with --insecure-trust-parentchain-rpc it cannot go on. "+
			"Use another folder, or --clean-reset to forget its state (not its keys)", errInsecure, what)
	}
	return nil
}

// wordFinality calls final what the node does. The trust config has to say so.
type wordFinality struct {
	trust  lightclient.Trust
	client *lightclient.UnprovenClient
}

// newWordFinality starts at the trusted block, of which the header is the
// node's word.
func (w *Worker) newWordFinality(ctx context.Context) (finality, header.Header, error) {
	f := &wordFinality{trust: w.trust.LightClient()}
	h, err := w.node.Header(ctx, w.trust.StartHash)
	if err != nil {
		return nil, header.Header{}, fmt.Errorf("start block %d: %w", w.trust.StartNumber, err)
	}
	if f.client, err = f.trust.Unproven(); err != nil {
		return nil, header.Header{}, fatal("%w", err)
	}
	return f, *h, nil
}

func (f *wordFinality) advance(_ context.Context, first header.Header, _ []byte) ([]lightclient.FinalHeader, error) {
	return f.client.Take([]header.Header{first})
}

func (f *wordFinality) idle(context.Context) (behind, err error) { return nil, nil }

func (f *wordFinality) state() lightclient.State { return f.client.State() }

func (f *wordFinality) resume(s lightclient.State) (err error) {
	if f.client, err = f.trust.RestoreUnproven(s); err != nil {
		return fatal("light client: %w", err)
	}
	return nil
}
