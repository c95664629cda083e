package enclave

import (
	"math"
	"testing"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// TestHistoryKeepsAll: the longest history that can be asked for is no negative
// one where int has 32 bits.
func TestHistoryKeepsAll(t *testing.T) {
	h := rootsHistory{keep: math.MaxUint32}
	h.begin(7, blockRoots{}, hashing.Hash{})
	h.add(blockRoots{})
	if _, ok := h.find(7); !ok || h.first != 7 || len(h.blocks) != 2 {
		t.Errorf("%d blocks from %d on", len(h.blocks), h.first)
	}
}
