package dcaptest_test

import (
	"testing"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// TestSeeds verifies what one kit signs under the root of another kit of the
// same seed, as other processes do, and not under one of another seed.
func TestSeeds(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, kind := range []tee.Kind{tee.SGX, tee.TDX} {
		k := dcaptest.New("a", kind, at)
		if _, err := dcap.Verify(k.Quote(), dcaptest.New("a", kind, at).Collateral(), dcaptest.New("a", kind, at).Root(), at); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := dcap.Verify(k.Quote(), k.Collateral(), dcaptest.New("b", kind, at).Root(), at); err == nil {
			t.Errorf("%s: another seed has the same root", kind)
		}
	}
}
