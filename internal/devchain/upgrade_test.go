package devchain

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/runtimecode"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

var (
	oldRuntime = runtime.Options{BareV4: true, NoMetadataHash: true}
	newRuntime = runtime.Options{MoveCalls: true}
)

func names(list []metadata.EventRecord) (out []string) {
	for _, e := range list {
		out = append(out, e.Pallet+"."+e.Name)
	}
	return out
}

// TestUpgrade: an upgrade changes indexes, extensions and inherents from the
// block after it on, for RPC, pool and replay.
func TestUpgrade(t *testing.T) {
	cfg := Config{Manual: true, BasePath: t.TempDir(), Runtime: oldRuntime}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	bob := pair(t, "//Bob")
	invoke := func() []byte { return sign(t, c, bob, -1, "EnclaveBridge", "invoke", [32]byte{1}, []byte("x")) }
	submit(t, c, invoke())
	seal(t, c)
	if _, err := c.ScheduleUpgrade(newRuntime); err != nil {
		t.Fatal(err)
	}
	stale := invoke()
	submit(t, c, remark(t, c, bob, -1, "goes in with the upgrade"))
	upgrade := seal(t, c)
	if !slices.ContainsFunc(upgrade.Header.Digest, func(i header.DigestItem) bool { return i.Kind == header.DigestRuntimeEnvironmentUpdated }) {
		t.Fatalf("digest %+v", upgrade.Header.Digest)
	}
	if got := names(events(t, c, upgrade)); !slices.Contains(got, "System.CodeUpdated") || !slices.Contains(got, "Sudo.Sudid") {
		t.Errorf("events %v", got)
	}
	if _, err := c.Submit(stale); err == nil {
		t.Error("an extrinsic for the old runtime was accepted")
	}
	submit(t, c, invoke())
	first := seal(t, c)
	if got := names(events(t, c, first)); !slices.Contains(got, "EnclaveBridge.IndirectInvocationRegistered") {
		t.Errorf("events %v", got)
	}
	if len(first.Header.Digest) != 0 {
		t.Errorf("digest of the next block: %+v", first.Header.Digest)
	}
	for _, b := range []struct {
		n       header.Number
		version byte
		spec    uint32
		index   [2]byte
		extra   int
	}{{0, 0, 1, [2]byte{54, 0}, 8}, {1, 4, 1, [2]byte{54, 0}, 8}, {2, 4, 2, [2]byte{64, 10}, 9}, {3, 5, 2, [2]byte{64, 10}, 9}} {
		block := c.Block(b.n)
		code, _ := block.State.Get([]byte(":code"))
		rt, err := runtimecode.Execute(t.Context(), code, runtimecode.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		m := block.Runtime().Metadata
		if i, _ := m.CallIndex("EnclaveBridge", "invoke"); i != b.index || len(m.Extrinsic.Extensions) != b.extra || rt.Version.SpecVersion != b.spec {
			t.Errorf("block %d: invoke %v, %d extensions, spec %d", b.n, i, len(m.Extrinsic.Extensions), rt.Version.SpecVersion)
		}
		if !bytes.Equal(rt.Metadata, block.Runtime().MetadataBytes(14)) {
			t.Errorf("block %d: other metadata in the code", b.n)
		}
		if b.n > 0 && block.Extrinsics[0][1] != b.version {
			t.Errorf("block %d begins with inherent version %d", b.n, block.Extrinsics[0][1])
		}
		last := block.Runtime().System.LastRuntimeUpgrade.Get(stateReader{block.State})
		if want := max(b.spec, 1); b.n == 3 && uint32(last.SpecVersion) != want {
			t.Errorf("block %d: last upgrade %d", b.n, last.SpecVersion)
		}
		rpc := dial(t, serve(t, c))
		var version struct{ SpecVersion uint32 }
		if err := json.Unmarshal([]byte(rpc.get("state_getRuntimeVersion", block.Hash)), &version); err != nil || version.SpecVersion != b.spec {
			t.Errorf("block %d: RPC says version %+v, %v", b.n, version, err)
		}
		if got := rpc.get("state_getMetadata", block.Hash); got != `"`+toHex(rt.Metadata)+`"` {
			t.Errorf("block %d: RPC has other metadata", b.n)
		}
	}
	// Downgrades and code that is none are refused, within a sudo that succeeds.
	for _, code := range [][]byte{c.Block(0).Runtime().Code(), []byte("\x00asm"), nil} {
		alice := pair(t, "//Alice")
		index, _ := c.Best().rt.Metadata.CallIndex("System", "set_code")
		call := rawCall(scale.AppendBytes(index[:], code))
		submit(t, c, sign(t, c, alice, -1, "Sudo", "sudo", call))
		if b := seal(t, c); len(b.Header.Digest) != 0 || b.rt != first.rt {
			t.Errorf("code of %d bytes was taken", len(code))
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, cfg)
	if again.Best().Hash != c.Best().Hash || again.Best().rt != first.rt {
		t.Error("another chain after a restart")
	}
	c = again
	submit(t, c, invoke())
	if b := seal(t, c); len(b.Extrinsics) != 2 {
		t.Error("the chain does not go on")
	}
}

type rawCall []byte

func (r rawCall) AppendSCALE(b []byte) []byte   { return append(b, r...) }
func (r *rawCall) DecodeSCALE(d *scale.Decoder) { *r = d.Rest() }

// TestUpgradeDropsPool: what was signed for the old runtime is told that it is
// invalid.
func TestUpgradeDropsPool(t *testing.T) {
	c := open(t, Config{Manual: true, Runtime: oldRuntime})
	bob := pair(t, "//Bob")
	submit(t, c, remark(t, c, bob, 3, "waits for nonce 0"))
	if _, err := c.ScheduleUpgrade(newRuntime); err != nil {
		t.Fatal(err)
	}
	seal(t, c)
	if ready, future := c.poolLen(); ready != 0 || future != 0 {
		t.Errorf("%d ready, %d future", ready, future)
	}
}

// TestUpgradeTold: subscriptions tell of the new runtime.
func TestUpgradeTold(t *testing.T) {
	c := open(t, Config{Manual: true, Runtime: oldRuntime})
	updates, _, err := dial(t, serve(t, c)).Subscribe(t.Context(), "state_subscribeRuntimeVersion", "state_unsubscribeRuntimeVersion", nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := func() uint32 {
		var v struct{ SpecVersion uint32 }
		if err := json.Unmarshal(<-updates, &v); err != nil {
			t.Fatal(err)
		}
		return v.SpecVersion
	}
	if got := spec(); got != 1 {
		t.Errorf("version %d", got)
	}
	if _, err := c.ScheduleUpgrade(newRuntime); err != nil {
		t.Fatal(err)
	}
	seal(t, c)
	if got := spec(); got != 2 {
		t.Errorf("version %d after the upgrade", got)
	}
}
