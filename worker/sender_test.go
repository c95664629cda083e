package worker

import (
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// TestDispatchError names errors of other kinds than a pallet's, too. The
// second is what a transfer of more than the sender has gave on the Integritee
// Paseo runtime, with the weight that follows it in the event.
func TestDispatchError(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	node := parentchain.New(n.url, rpcclient.Options{})
	defer node.Close()
	raw, err := node.Metadata(n.ctx, n.chain.Genesis())
	if err != nil {
		t.Fatal(err)
	}
	m, err := metadata.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	p := m.Pallet("Teerex")
	for want, data := range map[string][]byte{
		"Teerex.EnclaveIsNotRegistered": {3, p.Index, 5, 0, 0, 0},
		"Arithmetic: Underflow":         {8, 0, 0x82, 0x80, 0xb0, 0x49, 0x25, 0x38},
		"dispatch error ff":             {0xff},
		"dispatch error ":               nil,
	} {
		if got := dispatchError(m, data); got != want {
			t.Errorf("%x: %q, want %q", data, got, want)
		}
	}
}
