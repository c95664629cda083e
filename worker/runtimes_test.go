package worker

import (
	"encoding/json"
	"sync/atomic"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
)

// TestNodeIsNotAskedForMetadata has a node that would lie about metadata and
// version: nobody asks, from the first block of a worker's life on.
func TestNodeIsNotAskedForMetadata(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	var asked atomic.Int64
	p.tell(func(m string, _, r json.RawMessage) (json.RawMessage, bool) {
		switch m {
		case "state_getMetadata", "state_getRuntimeVersion", "state_call":
			asked.Add(1)
			return json.RawMessage(`null`), true
		}
		return r, true
	})
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL = p.url
	w := n.start(cfg)
	n.ready(w)
	n.shield(n.session(w), alice.AccountID(), unit)
	if asked.Load() != 0 {
		t.Errorf("the node was asked %d times", asked.Load())
	}
}
