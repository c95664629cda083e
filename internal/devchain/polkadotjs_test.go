package devchain

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPolkadotJS has unmodified @polkadot/api use the chain. It needs `npm ci`
// in testdata/polkadotjs, which .ci/run does.
func TestPolkadotJS(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	dir := filepath.Join("testdata", "polkadotjs")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@polkadot", "api")); err != nil {
		t.Skipf("%s/node_modules is missing: run npm ci there", dir)
	}
	c := open(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	url, wait, err := Serve(ctx, c, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	cmd := exec.CommandContext(ctx, node, "test.mjs", url)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("test.mjs: %v", err)
	}
	cancel()
	if err := wait(); err != nil {
		t.Error(err)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
