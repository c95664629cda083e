package devchain

import (
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// TestPolkadotJS has unmodified @polkadot/api use the chain.
func TestPolkadotJS(t *testing.T) { runNode(t, "polkadotjs", "@polkadot/api", Config{}) }

// TestPolkadotAPI has unmodified polkadot-api use the chain, by the new JSON-RPC
// API and by the old one.
func TestPolkadotAPI(t *testing.T) {
	p, err := keyring.FromURI(keyring.Ed25519, "//Carol")
	if err != nil {
		t.Fatal(err)
	}
	seed, ok := p.Seed()
	if !ok {
		t.Fatal("no seed")
	}
	endow := map[[32]byte]scale.U128{p.AccountID(): scale.NewU128(100 * runtime.Unit)}
	for name, cfg := range map[string]Config{"new": {Endow: endow}, "old": {Endow: endow, legacyRPC: true}} {
		t.Run(name, func(t *testing.T) { runNode(t, "papi", "polkadot-api", cfg, hex.EncodeToString(seed[:])) })
	}
}

// runNode runs testdata/folder/test.mjs against a chain that makes blocks at
// once. It needs `npm ci` there, which .ci/run does, and sets OCW_TEST_NPM to
// have what is missing fail the test.
func runNode(t *testing.T, folder, module string, cfg Config, args ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	skip := t.Skipf
	if os.Getenv("OCW_TEST_NPM") == "required" {
		skip = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		skip("node is not installed")
	}
	dir := filepath.Join("testdata", folder)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", module)); err != nil {
		skip("%s/node_modules is missing: run npm ci there", dir)
	}
	c := open(t, cfg)
	url := serve(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	cmd := exec.CommandContext(ctx, node, append([]string{"test.mjs", url}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("test.mjs: %v", err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
