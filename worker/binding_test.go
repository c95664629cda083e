//go:build unix

package worker

import (
	"errors"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/tee"
)

// TestEvidenceIsRenewed: a worker that runs for long shows recent evidence, for the
// same keys and the same TLS key.
func TestEvidenceIsRenewed(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("worker", t.TempDir())
	cfg.renewEvidence = 2
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	first := s.Worker.Subject()
	if first.Basis != client.ByAccount || first.TrustConfig.Hash() != w.trustHash || first.Claims == nil || first.Claims.Kind != tee.Sim {
		t.Fatalf("%+v", first)
	}
	n.shield(s, alice.AccountID(), 50*unit) // each a block
	n.shield(s, alice.AccountID(), 50*unit)
	for w.shown.Load().block <= first.Binding.BlockNumber {
		if n.ctx.Err() != nil {
			t.Fatal("the evidence stays as it is")
		}
		time.Sleep(5 * time.Millisecond) // there is no event for a certificate
	}
	next := n.session(w).Worker.Subject()
	if next.Binding.BlockNumber < first.Binding.BlockNumber+2 || next.Binding.Keys != first.Binding.Keys || next.Binding.TLSKey != first.Binding.TLSKey {
		t.Errorf("%+v, then %+v", first.Binding, next.Binding)
	}
}

// TestClientDemandsEvidence: a client with a policy and the shard's trust config makes
// a private call by a worker on a machine with (files of) SGX, which has registered
// with a quote, and refuses the same worker under others.
func TestClientDemandsEvidence(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "good", nil)
	n := newAttestedNetwork(t, m, func() time.Time { return attestNoon })
	measurement := m.measurement()
	n.id = integritee.ShardID(measurement)
	cfg := n.config("worker", t.TempDir())
	cfg.SkipRA, cfg.Attestation = false, m.withCollateral(t)
	w := n.start(cfg)
	n.ready(w)

	chain := n.session(w).Chain
	trust := m.trust(chain)
	trust.Shard = &n.id
	wc, err := client.DialWorker(n.ctx, w.TrustedURL(), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer wc.Close()
	if got := wc.Subject(); got.Basis != client.ByEvidence || got.Claims.Measurement != measurement || got.Enclave.Method != client.AttestationDCAP {
		t.Errorf("%+v", got)
	}
	s := &client.Session{Chain: chain, Worker: wc, Envelope: client.X25519}
	n.shield(s, alice.AccountID(), 50*unit)
	out, err := s.Invoke(n.ctx, client.Invocation{Shard: n.shard(), Fingerprint: integritee.Fingerprint(measurement),
		Call: sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit)), Sender: alice.AccountID(), Signer: alice, Payer: alice})
	if err != nil || !out.Succeeded() {
		t.Fatalf("%+v, %v", out, err)
	}

	for name, c := range map[string]struct {
		change func(*client.Trust)
		want   error
	}{
		"another program": {func(t *client.Trust) {
			t.Policy = &tee.Policy{Kinds: []tee.Kind{tee.SGX}, Measurements: []tee.Measurement{{1}}}
		}, tee.ErrMeasurement},
		"another trust config": {func(t *client.Trust) { t.TrustConfig = &client.Hash{1} }, client.ErrOtherTrustConfig},
		"production only":      {func(t *client.Trust) { t.TrustConfig = nil }, client.ErrInsecureShard},
		"Intel's root":         {func(t *client.Trust) { t.Verifiers = nil }, tee.ErrNotGenuine},
	} {
		other := trust
		c.change(&other)
		if wc, err := client.DialWorker(n.ctx, w.TrustedURL(), other); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				wc.Close()
			}
		}
	}
}
