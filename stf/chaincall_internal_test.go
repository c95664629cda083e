package stf

import (
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// TestHoldsCalls finds the calls of a runtime that take other calls, in a list,
// boxed, or among other things: the shard's account must not make them.
func TestHoldsCalls(t *testing.T) {
	rt, err := runtime.New(runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := NewChainRuntime(rt.Metadata)
	for name, want := range map[callName]bool{
		{"Utility", "batch"}: true, {"Sudo", "sudo"}: true, {"Proxy", "proxy"}: true, {"Multisig", "as_multi"}: true,
		{"System", "remark"}: false, {"Balances", "transfer_keep_alive"}: false, {"EnclaveBridge", "invoke"}: false,
	} {
		index, ok := rt.Metadata.CallIndex(name.pallet, name.name)
		if !ok {
			t.Fatalf("no call %v", name)
		}
		_, v, _ := rt.Metadata.Call(index)
		got, seen := false, map[metadata.TypeID]bool{}
		for _, f := range v.Fields {
			got = got || r.holdsCalls(f.Type, seen)
		}
		if got != want {
			t.Errorf("%v holds calls: %v, want %v", name, got, want)
		}
	}
}
