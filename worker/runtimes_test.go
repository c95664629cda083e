package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/tee/sim"
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

// TestAnotherNodeProvesTheCode has two endpoints, of which the first lies about
// the code: it is left, and the worker goes on with the other.
func TestAnotherNodeProvesTheCode(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	p.tell(onProof(asksForCode, func(items []string) []string {
		i := longest(items)
		items[i] = items[i][:1000] + flipDigit(items[i][1000:])
		return items
	}))
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL = p.url + "," + n.url
	w := n.start(cfg)
	n.ready(w)
	n.shield(n.session(w), alice.AccountID(), unit)
	if p.lies.Load() == 0 {
		t.Error("nobody asked the liar")
	}
}

// TestRuntimeCache: what is kept is bound to the code, bounded in number, and
// survives what a crash leaves behind.
func TestRuntimeCache(t *testing.T) {
	platform, err := sim.Open(t.TempDir(), "test", testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := openDataDir(t.TempDir(), store.OS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { dir.close() }()
	newCache := func() *runtimeCache { return &runtimeCache{dir: dir, platform: platform, log: testLog(t)} }
	cache := newCache()
	if rt := cache.get(hashing.Hash{1}); rt != nil {
		t.Error("something is there before anything was kept")
	}

	chain := lightclienttest.New(t, lightclienttest.Options{Storage: map[string][]byte{":code": devRuntime(t).Code()}})
	trust := lightclient.Trust{Start: chain.Checkpoint(0)}
	code, err := enclave.VerifyCode(trust, chain.At(0).Header.StateRoot, chain.Prove(0, enclave.CodeKeys()...))
	if err != nil {
		t.Fatal(err)
	}
	rt, err := cache.runtimeOf(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	if got := newCache().get(code.Hash()); got == nil || got.Version().SpecVersion != rt.Version().SpecVersion {
		t.Errorf("kept: %+v", got)
	}

	// Records of other codes, by their hash: it stands behind the format.
	other := func(i byte) *enclave.Runtime {
		b := rt.Encode()
		b[1], b[2] = i, 0xff
		other, err := enclave.DecodeRuntime(hashing.Hash(b[1:33]), b)
		if err != nil {
			t.Fatal(err)
		}
		return other
	}
	if err := os.WriteFile(dir.file(runtimesDir, "x.bin.new-0123456789abcdef"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir.close()
	if dir, err = openDataDir(dir.path, store.OS); err != nil {
		t.Fatal(err)
	}
	for i := range byte(maxRuntimes + 5) {
		cache.put(other(i))
	}
	files, err := os.ReadDir(dir.file(runtimesDir))
	if err != nil || len(files) != maxRuntimes {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".bin" {
			t.Errorf("%s is left", f.Name())
		}
	}
	if last := other(maxRuntimes + 4); newCache().get(last.CodeHash()) == nil {
		t.Error("the last one is gone")
	}
}

// TestFeesAreAskedWithoutSignature: the node estimates fees of extrinsics that
// it cannot put on the chain.
func TestFeesAreAskedWithoutSignature(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	var asked [][]byte
	var mu sync.Mutex
	see := func(method string, params json.RawMessage) any {
		var raw []hexBytes
		if method == "payment_queryInfo" && json.Unmarshal(params, &raw) == nil {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, raw[0])
		}
		return nil
	}
	p.swallow.Store(&see)
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL = p.url
	w := n.start(cfg)
	n.ready(w)
	mu.Lock()
	defer mu.Unlock()
	if len(asked) == 0 {
		t.Fatal("no fee was asked")
	}
	for _, raw := range asked {
		x, err := extrinsic.Decode(raw, devRuntime(t).Metadata)
		if err != nil {
			t.Fatal(err)
		}
		if x.Signed == nil || x.Signed.Signer == nil || *x.Signed.Signer == w.account.AccountID() || *x.Signed.Signer == alice.AccountID() {
			t.Errorf("signed by %v", x.Signed)
		}
	}
}

func devRuntime(t *testing.T) *runtime.Runtime {
	rt, err := runtime.Shared(runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return rt
}
