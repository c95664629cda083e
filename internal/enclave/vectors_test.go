package enclave

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// TestRealRuntimes tells a story in the calls and events of real runtimes,
// whose metadata we did not write.
func TestRealRuntimes(t *testing.T) {
	for _, name := range []string{"integritee-kusama-560-v15.scale", "integritee-paseo-50-v14.hex"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("..", "..", "..", "shared", "vectors", "metadata", name)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Skipf("%s is not there: %v", path, err)
			}
			if strings.HasSuffix(name, ".hex") {
				if raw, err = hex.DecodeString(strings.TrimPrefix(string(bytes.TrimSpace(raw)), "0x")); err != nil {
					t.Fatal(err)
				}
			}
			meta, err := metadata.Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorldOf(t, meta)
			alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
			w.block().register(w.worker).run()
			w.fund(alice, 10*unit)
			c := w.block().invoke(w.transfer(alice, bob, unit, 0)).invoke(w.unshield(alice, bob, unit, 1)).invoke([]byte("garbage")).run()
			if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.Success, stf.Undecryptable}) {
				t.Fatalf("outcomes: %v", got)
			}
			if got := w.confirmed(); !slices.Equal(got, []header.Number{2, 3}) {
				t.Errorf("confirmations owed: %v", got)
			}
			p := w.payouts()[0]
			w.block().confirm(w.worker, w.core.Pending()[0].Confirm).pay(w.worker, testShard, p.Payout, paid(testShard, p.Payout), success).run()
			if got := w.confirmed(); len(w.payouts()) != 0 || !slices.Equal(got, []header.Number{3}) {
				t.Errorf("still owed: %+v", w.core.Pending())
			}
			if got := w.account(bob).Data.Free; got != amount(unit) {
				t.Errorf("bob has %v", got)
			}
		})
	}
}
