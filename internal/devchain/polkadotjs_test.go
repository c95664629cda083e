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

// TestPolkadotJSPara and TestPolkadotAPIPara have the same clients use a parachain
// with its relay chain.
func TestPolkadotJSPara(t *testing.T) { runPair(t, "polkadotjs", "@polkadot/api") }

func TestPolkadotAPIPara(t *testing.T) { runPair(t, "papi", "polkadot-api") }

// runPair runs testdata/folder/para.mjs against a parachain that makes blocks at
// once and a relay chain that makes them when dev_newBlock asks for them.
func runPair(t *testing.T, folder, module string) {
	t.Helper()
	dir := needNode(t, folder, module)
	carol, err := keyring.FromURI(keyring.Ed25519, "//Carol")
	if err != nil {
		t.Fatal(err)
	}
	seed, ok := carol.Seed()
	if !ok {
		t.Fatal("no seed")
	}
	p, err := OpenPair(PairConfig{Relay: Config{Manual: true}, Para: Config{Endow: map[[32]byte]scale.U128{carol.AccountID(): scale.NewU128(100 * runtime.Unit)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	runScript(t, dir, p.Run, "para.mjs", serve(t, p.Para), serve(t, p.Relay), hex.EncodeToString(seed[:]))
}

// runNode runs testdata/folder/test.mjs against a chain that makes blocks at
// once.
func runNode(t *testing.T, folder, module string, cfg Config, args ...string) {
	t.Helper()
	dir := needNode(t, folder, module)
	c := open(t, cfg)
	runScript(t, dir, c.Run, append([]string{"test.mjs", serve(t, c)}, args...)...)
}

// needNode returns the folder of a client's tests. It needs `npm ci` there,
// which .ci/run does, and sets OCW_TEST_NPM to have what is missing fail the test.
func needNode(t *testing.T, folder, module string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	skip := t.Skipf
	if os.Getenv("OCW_TEST_NPM") == "required" {
		skip = t.Fatalf
	}
	if _, err := exec.LookPath("node"); err != nil {
		skip("node is not installed")
	}
	dir := filepath.Join("testdata", folder)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", module)); err != nil {
		skip("%s/node_modules is missing: run npm ci there", dir)
	}
	return dir
}

// runScript runs a script in a folder while run makes blocks.
func runScript(t *testing.T, dir string, run func(context.Context) error, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- run(ctx) }()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%s: %v", args[0], err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
