package devchain

import (
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/substrate/header"
)

// TestPruning: states and bodies are kept as far back as the configuration says,
// on forks too, and nothing that the chain needs is dropped.
func TestPruning(t *testing.T) {
	cfg := Config{Manual: true, StatePruning: 4, BlocksPruning: 2, BasePath: t.TempDir()}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	rpc := dial(t, serve(t, c))
	check := func(final header.Number) {
		t.Helper()
		if c.Final().Number() != final {
			t.Fatalf("final %d, want %d", c.Final().Number(), final)
		}
		for n := header.Number(0); n <= c.Best().Number(); n++ {
			b := c.Block(n)
			if got, want := b.State.Len() > 0, n+4 > final; got != want || c.BlockByHash(b.Hash) != b {
				t.Errorf("final %d: state of block %d is there: %v", final, n, got)
			}
			if got, want := b.Extrinsics != nil, n+2 > final && n > 0; got != want {
				t.Errorf("final %d: body of block %d is there: %v", final, n, got)
			}
			if n > 0 && b.Justification == nil {
				t.Errorf("final %d: no justification of block %d", final, n)
			}
		}
	}
	seal(t, c)
	seal(t, c)
	check(2)
	// Blocks of a fork go when the chain is final past them.
	c.HoldFinality(true)
	lost := must(c.Fork(t.Context(), 2, nil, nil))(t)
	won := must(c.Fork(t.Context(), 2, nil, nil, nil))(t)
	c.HoldFinality(false)
	if err := c.Finalize(5); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		seal(t, c)
	}
	for _, b := range lost {
		if b = c.BlockByHash(b.Hash); b.State.Len() > 0 != (b.Number()+4 > 8) || len(c.window.beside) > 0 {
			t.Errorf("state of block %d of the lost fork: %d entries, %d blocks noted", b.Number(), b.State.Len(), len(c.window.beside))
		}
	}
	if c.Block(3).Hash != won[0].Hash || c.Block(3).State.Len() > 0 || c.Block(5).State.Len() == 0 {
		t.Error("wrong fork, or wrong states kept")
	}

	old, recent := c.Block(2).Hash.String(), c.Block(6).Hash.String()
	for _, m := range []struct {
		name   string
		params []any
	}{
		{"state_getStorage", []any{"0x3a636f6465", old}}, {"state_getStorageHash", []any{"0x3a636f6465", old}}, {"state_getReadProof", []any{[]string{"0x3a636f6465"}, old}},
		{"state_getMetadata", []any{old}}, {"state_getRuntimeVersion", []any{old}}, {"state_call", []any{"Core_version", "0x", old}},
		{"state_getKeysPaged", []any{"0x", 1, nil, old}}, {"state_queryStorageAt", []any{[]string{"0x00"}, old}},
	} {
		var out any
		err := rpc.Client.Call(t.Context(), m.name, m.params, &out)
		if err == nil || !strings.Contains(err.Error(), "UnknownBlock: State already discarded for "+old) || !strings.Contains(err.Error(), "4003") {
			t.Errorf("%s: %v", m.name, err)
		}
		for i, p := range m.params {
			if p == old {
				m.params[i] = recent
			}
		}
		if err := rpc.Client.Call(t.Context(), m.name, m.params, &out); err != nil {
			t.Errorf("%s of a recent block: %v", m.name, err)
		}
	}
	var block any
	if err := rpc.Client.Call(t.Context(), "chain_getBlock", []any{old}, &block); err != nil || block != nil {
		t.Errorf("pruned body: %v, %v", block, err)
	}
	var h any
	if err := rpc.Client.Call(t.Context(), "chain_getHeader", []any{old}, &h); err != nil || h == nil {
		t.Errorf("header: %v, %v", h, err)
	}
	if _, err := c.ProveFinality(1); err != nil {
		t.Error(err)
	}

	// A restart executes all blocks again and prunes as it goes.
	best := c.Best().Hash
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Best().Hash != best || c.Block(4).State.Len() > 0 || c.Block(5).State.Len() == 0 || c.Block(7).Extrinsics == nil {
		t.Error("another chain after a restart")
	}
	if _, err := Open(Config{StatePruning: -1}); err == nil {
		t.Error("a negative number of states was accepted")
	}
}
