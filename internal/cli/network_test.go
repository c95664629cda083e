package cli_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/cli"
	"github.com/offchain-worker/sdk/internal/cli/fake"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/worker"
)

// blockTime is short, so that scripts with many calls end soon.
const blockTime = 150 * time.Millisecond

// network runs a dev chain and a worker in this process until the test ends. The
// zero shard is that of the worker's measurement.
func network(t *testing.T, cfg devchain.Config, shard integritee.ShardID) (node string, w *worker.Worker) {
	t.Helper()
	cfg.BlockTime = blockTime
	chain, err := devchain.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	node, wait, err := devchain.Serve(ctx, chain, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- chain.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
		if err := <-ran; err != nil {
			t.Error(err)
		}
		chain.Close()
	})
	app, err := sample.New()
	if err != nil {
		t.Fatal(err)
	}
	const free = "127.0.0.1:0"
	w, err = worker.Start(ctx, worker.Config{App: app, DataDir: t.TempDir(), NodeURL: node,
		TrustedAddr: free, MuRaAddr: free, HTTPAddr: free, Shard: shard, Dev: true, SkipRA: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	ready, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	select {
	case <-w.Ready():
	case <-ready.Done():
		t.Fatalf("the worker does not come up: %+v", w.Status())
	}
	return node, w
}

// address sets what scripts need to find the servers.
func address(t *testing.T, node, worker string) func(*testscript.Env) error {
	port := func(raw string) string {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return u.Port()
	}
	nodePort, workerPort := port(node), port(worker)
	return func(e *testscript.Env) error {
		e.Setenv("NODE", nodePort)
		e.Setenv("WORKER", workerPort)
		return nil
	}
}

// TestNetwork runs scripts on the built-in dev chain with a real worker. They
// run side by side, so each uses accounts of its own.
func TestNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a chain and a worker")
	}
	node, w := network(t, devchain.Config{}, integritee.ShardID{})
	testscript.Run(t, params("testdata/network", address(t, node, w.TrustedURL())))
}

// TestStrictPolicy runs scripts on a chain that is not the built-in one, where
// the client does not accept an unattested worker by itself. The shard's name is
// not the worker's measurement.
func TestStrictPolicy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a chain and a worker")
	}
	shard := integritee.ShardID([]byte("IncogniteeTestnet000000000000003"))
	node, w := network(t, devchain.Config{Authorities: 2}, shard)
	testscript.Run(t, params("testdata/strict", address(t, node, w.TrustedURL())))
}

// TestOriginalWorker runs scripts against a worker as the Rust one is: no
// receipts, no status, its TLS key the registered account.
func TestOriginalWorker(t *testing.T) {
	shard := integritee.ShardID{5}
	node := fake.NewNode(t)
	node.Run(shard)
	cert, account := fake.OriginalCertificate(t)
	node.Store("Teerex", "SovereignEnclaves", account, integritee.MultiEnclave{Sgx: &integritee.SgxEnclave{
		MrEnclave: shard, BuildMode: integritee.SgxProduction, AttestationMethod: integritee.DcapAttestation(), Status: integritee.SgxOk}})
	w := fake.NewWorker(t, fake.Options{Shard: shard, Original: true, Certificate: cert, Getter: func(r integritee.Request) integritee.ReturnValue {
		info := scale.MustMarshal(sample.AccountInfo{Nonce: 7})
		return integritee.OkValue(scale.AppendBytes([]byte{1}, info))
	}})
	testscript.Run(t, params("testdata/original", address(t, node.URL, w.URL)))
}

func TestVersionIsTheModules(t *testing.T) {
	if cli.Version != worker.Version {
		t.Errorf("the client is version %s, the worker %s", cli.Version, worker.Version)
	}
}
