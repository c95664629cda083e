package worker

import (
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/scale"
)

// TestEnvelopes shields and calls in each envelope, and two workers come to the
// same.
func TestEnvelopes(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	other := n.start(n.config("2", t.TempDir()))
	s := n.session(w)
	for i, e := range []client.Envelope{client.X25519, client.X25519MLKEM768, client.RSA} {
		s.Envelope = e
		n.shield(s, ferdie.AccountID(), 5*unit)
		out := n.invoke(s, ferdie, uint32(i), sample.BalanceTransfer(ferdie.AccountID(), alice.AccountID(), scale.NewU128(unit)))
		if !out.Succeeded() {
			t.Errorf("%s: %+v", e, out.Receipt)
		}
	}
	n.ready(other)
	n.sameState(w, other)
	s.Envelope = "none"
	if _, err := s.Shield(n.ctx, client.Shielding{Shard: n.shard(), From: alice, Beneficiary: ferdie.AccountID(), Amount: scale.NewU128(unit)}); err == nil {
		t.Error("no such envelope, but it was shielded")
	}
}
