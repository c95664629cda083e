package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/internal/usage"
)

// policyVariable selects how workers are judged.
const policyVariable = "INTEGRITEE_CLI_POLICY"

// chain returns the connection to the parentchain node.
func (a *app) chain(ctx context.Context) (*client.Chain, error) {
	if a.openChain != nil {
		return a.openChain, nil
	}
	c, err := client.DialChain(ctx, withPort(a.nodeURL, a.nodePort))
	if err != nil {
		return nil, err
	}
	a.openChain = c
	return c, nil
}

func (a *app) workerAddress() string { return withPort(a.workerURL, a.trusted) }

// withPort appends a port to a URL that names none.
func withPort(raw, port string) string {
	if u, err := url.Parse(raw); err == nil && u.Port() != "" {
		return raw
	}
	return raw + ":" + port
}

// worker returns the connection to the worker, which has passed the policy.
// want is the fingerprint that the user pinned, shard the shard; nil for none.
func (a *app) worker(ctx context.Context, want *client.Fingerprint, shard *client.ShardID) (*client.Worker, error) {
	if a.openWorker != nil {
		return a.openWorker, nil
	}
	trust, err := a.trust(ctx, want, shard)
	if err != nil {
		return nil, err
	}
	if trust.AcceptUnattested {
		trust = client.Trust{InsecureDev: true, Sealed: trust.Sealed}
	}
	w, err := client.DialWorker(ctx, a.workerAddress(), trust)
	if err != nil {
		return nil, err
	}
	// Original Rust workers do not tell; who fails here fails in what comes next.
	if status, err := w.Status(ctx); err == nil && len(status.Insecure) > 0 {
		a.notice("warning: the worker at %s runs with insecure flags (ocw_status names them): nothing that it says of parentchain and state is proven", a.workerAddress())
	}
	a.openWorker = w
	return w, nil
}

// errNoPolicy means that --insecure was given together with what it ignores.
var errNoPolicy = errors.New("--insecure checks nothing: leave out --policy, --trust-config, --approvals, --collateral, --dcap-root and --snp-root, or it")

// trust chooses what the worker has to show. Insecure-dev, which is a Trust that
// accepts the unattested, comes by itself only where both servers are on this
// machine, the chain is the built-in dev chain, and nothing is demanded.
func (a *app) trust(ctx context.Context, want *client.Fingerprint, shard *client.ShardID) (client.Trust, error) {
	policy := a.env(policyVariable)
	switch policy {
	case "", "production", "insecure-dev":
	default:
		return client.Trust{}, fmt.Errorf("%s=%s is not known, want production or insecure-dev", policyVariable, policy)
	}
	if a.insecure {
		if a.demands.Given() {
			return client.Trust{}, &usage.Error{Err: errNoPolicy}
		}
		a.notice("warning: --insecure: the worker at %s is not checked", a.workerAddress())
		return client.Trust{AcceptUnattested: true, Sealed: a.sealed}, nil
	}
	if policy == "insecure-dev" && !a.demands.Given() {
		a.notice("warning: %s=insecure-dev: the worker at %s is not checked", policyVariable, a.workerAddress())
		return client.Trust{AcceptUnattested: true, Sealed: a.sealed}, nil
	}
	trust, err := a.demands.Trust()
	if err != nil {
		return client.Trust{}, err
	}
	chain, err := a.chain(ctx)
	if err != nil {
		return client.Trust{}, fmt.Errorf("the worker cannot be checked: %w (--insecure talks to it unchecked)", err)
	}
	if policy == "" && !a.demands.Given() && inspect.DevHere(chain, a.workerAddress()) {
		a.notice("warning: insecure-dev policy on the built-in dev chain: the worker at %s is not checked", a.workerAddress())
		return client.Trust{AcceptUnattested: true, Sealed: a.sealed}, nil
	}
	trust.Registry, trust.Fingerprint, trust.Shard, trust.Sealed = chain, want, shard, a.sealed
	return trust, nil
}
