package cli

import (
	"context"
	"fmt"
	"net"
	"net/url"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
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
// want is the fingerprint that the user pinned, nil for none.
func (a *app) worker(ctx context.Context, want *client.Fingerprint) (*client.Worker, error) {
	if a.openWorker != nil {
		return a.openWorker, nil
	}
	trust, err := a.trust(ctx, want)
	if err != nil {
		return nil, err
	}
	trust.Sealed = a.sealed
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

// trust chooses the policy. Insecure-dev comes by itself only where both
// servers are on this machine and the chain is the built-in dev chain.
func (a *app) trust(ctx context.Context, want *client.Fingerprint) (client.Trust, error) {
	insecure := client.Trust{InsecureDev: true}
	policy := a.env(policyVariable)
	switch policy {
	case "", "production", "insecure-dev":
	default:
		return client.Trust{}, fmt.Errorf("%s=%s is not known, want production or insecure-dev", policyVariable, policy)
	}
	if a.insecure {
		a.notice("warning: --insecure: the worker at %s is not checked", a.workerAddress())
		return insecure, nil
	}
	if policy == "insecure-dev" {
		a.notice("warning: %s=insecure-dev: the worker at %s is not checked", policyVariable, a.workerAddress())
		return insecure, nil
	}
	chain, err := a.chain(ctx)
	if err != nil {
		return client.Trust{}, fmt.Errorf("the worker cannot be checked: %w (--insecure talks to it unchecked)", err)
	}
	if policy == "" && loopback(chain.URL()) && loopback(a.workerAddress()) && chain.Genesis() == devchain.GenesisHash() {
		a.notice("warning: insecure-dev policy on the built-in dev chain: the worker at %s is not checked", a.workerAddress())
		return insecure, nil
	}
	return client.Trust{Registry: chain, Fingerprint: want}, nil
}

// loopback reports whether a URL names this machine in a way that no resolver
// can redirect.
func loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}
