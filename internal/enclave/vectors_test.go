package enclave

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// realMetadata returns metadata of a real runtime, which we did not write.
func realMetadata(t *testing.T, name string) *metadata.Metadata {
	t.Helper()
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
	return meta
}

var realRuntimes = []string{"integritee-kusama-560-v15.scale", "integritee-paseo-50-v14.hex"}

// TestRealDispatchers: the calls of real runtimes that dispatch others are
// found by the names and types in their metadata, and those that we do not
// understand are known as such.
func TestRealDispatchers(t *testing.T) {
	for _, name := range realRuntimes {
		t.Run(name, func(t *testing.T) {
			meta := realMetadata(t, name)
			r, err := newRuntimeInfo(1, meta)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range dispatcherNames {
				index, ok := meta.CallIndex(d.pallet, d.call)
				if ok && r.calls[index].kind != d.kind {
					t.Errorf("%s.%s is not understood", d.pallet, d.call)
				}
				// Paseo has no Sudo, and an older Utility.
				if missing := d.pallet == "Sudo" || d.call == "if_else" || d.call == "dispatch_as_fallible"; !ok && !(missing && strings.Contains(name, "paseo")) {
					t.Errorf("no call %s.%s", d.pallet, d.call)
				}
			}
			var unknown []string
			for index, info := range r.calls {
				if info.kind == callUnknown {
					p, v, _ := meta.Call(index)
					unknown = append(unknown, p.Name+"."+v.Name)
				}
			}
			slices.Sort(unknown)
			want := []string{"Council.execute", "Council.propose", "TechnicalCommittee.execute", "TechnicalCommittee.propose"}
			if !slices.Equal(unknown, want) {
				t.Errorf("dispatch in an unknown way: %v, want %v", unknown, want)
			}
		})
	}
}

// TestRealNestedCalls runs the random trees of the naive executor on a real runtime.
func TestRealNestedCalls(t *testing.T) {
	const seed = 4
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorldOf(t, realMetadata(t, realRuntimes[0]))
	for range 1_000 {
		b := &builder{w: w}
		size := 1 + r.IntN(12)
		c := randomTree(r, &size, 5)
		_, at, events := b.addBare(c, nil)
		got, s := b.scanOf()
		if diff := cmp.Diff(truth(at, events), got); diff != "" || len(s.alarms) > 0 {
			t.Fatalf("%v: %s\nalarms %v", c, diff, s.alarms)
		}
	}
}

// TestRealRuntimes tells a story in the calls and events of real runtimes,
// whose metadata we did not write.
func TestRealRuntimes(t *testing.T) {
	for _, name := range realRuntimes {
		t.Run(name, func(t *testing.T) {
			meta := realMetadata(t, name)
			w := newWorldOf(t, meta)
			alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
			w.block().register(w.worker).run()
			w.fund(alice, 10*unit)
			c := w.block().invoke(w.transfer(alice, bob, unit, 0)).invoke(w.unshield(alice, bob, unit, 1)).invoke([]byte("garbage")).run()
			if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.Success, stf.Invalid}) {
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
