package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/examples/counter/counter"
	"github.com/offchain-worker/sdk/internal/cli"
	"github.com/offchain-worker/sdk/internal/cli/fake"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
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

func port(t *testing.T, raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// address sets what scripts need to find the servers.
func address(t *testing.T, node, worker string) func(*testscript.Env) error {
	nodePort, workerPort := port(t, node), port(t, worker)
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
	at := address(t, node, w.TrustedURL())
	testscript.Run(t, params("testdata/network", func(e *testscript.Env) error {
		policy, err := json.Marshal(tee.InsecureDev(w.Status().Fingerprint))
		return errors.Join(err, at(e), os.WriteFile(filepath.Join(e.WorkDir, "sim.json"), policy, 0o600))
	}))
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

// TestOtherApp runs scripts against a worker whose app has not what the sample app
// has.
func TestOtherApp(t *testing.T) {
	app, err := counter.New()
	if err != nil {
		t.Fatal(err)
	}
	node := fake.NewNode(t)
	cert, account := fake.OriginalCertificate(t)
	node.Store("Teerex", "SovereignEnclaves", account, integritee.MultiEnclave{Sgx: &integritee.SgxEnclave{
		BuildMode: integritee.SgxProduction, AttestationMethod: integritee.DcapAttestation(), Status: integritee.SgxOk}})
	w := fake.NewWorker(t, fake.Options{Certificate: cert, App: app, Getter: func(r integritee.Request) integritee.ReturnValue {
		return integritee.ErrorValue("undecodable")
	}})
	t.Run("scripts", func(t *testing.T) { testscript.Run(t, params("testdata/otherapp", address(t, node.URL, w.URL))) })
	select {
	case <-node.Submitted():
		t.Error("something was submitted")
	default:
	}
}

// enclave is a platform with SGX of a synthetic Intel.
type enclave struct{ kit *dcaptest.Kit }

func (e enclave) Kind() tee.Kind                            { return tee.SGX }
func (e enclave) Measurement() tee.Measurement              { return e.kit.SGX.MREnclave }
func (e enclave) SealingKey(string) (k [32]byte, err error) { return k, tee.ErrNoSealing }
func (e enclave) Attest(rd tee.ReportData) (tee.Evidence, error) {
	return tee.NewEvidence(tee.SGX, e.kit.Quoter()(rd), e.kit.Collateral().Encode())
}

// TestEvidence runs scripts against a worker in a production shard with genuine
// evidence of a synthetic Intel, and one that lies about the shard's key.
func TestEvidence(t *testing.T) {
	node := fake.NewNode(t)
	kit := dcaptest.New("cli", tee.SGX, time.Now())
	shard := integritee.ShardID{5}
	id := fake.NewIdentity(t, node.Genesis(), shard)
	id.Platform, id.Trust.Class = enclave{kit}, trustconfig.Production
	url := []byte("wss://worker:2000")
	node.Store("Teerex", "SovereignEnclaves", id.Account.AccountID(), integritee.MultiEnclave{Sgx: &integritee.SgxEnclave{
		MrEnclave: kit.SGX.MREnclave, URL: &url, AttestationMethod: integritee.SkipAttestation()}})
	honest := fake.NewWorker(t, fake.Options{Shard: shard, Shown: id.Show(t)})
	lie := id.Show(t)
	lie.Document.Keys.Material[0]++
	liar := fake.NewWorker(t, fake.Options{Shard: shard, Shown: lie})

	measurement := id.Platform.Measurement()
	policy := func(kind tee.Kind, m tee.Measurement) any {
		return tee.Policy{Kinds: []tee.Kind{kind}, Measurements: []tee.Measurement{m}}
	}
	files := map[string][]byte{"root.pem": kit.RootPEM()}
	for name, v := range map[string]any{"policy.json": policy(tee.SGX, measurement), "other.json": policy(tee.SGX, tee.Measurement{1}),
		"tdx.json": policy(tee.TDX, measurement), "trust.json": id.Trust} {
		var err error
		if files[name], err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	at := address(t, node.URL, honest.URL)
	// The scripts are run as subtests, which end after this function otherwise.
	t.Run("scripts", func(t *testing.T) {
		testscript.Run(t, params("testdata/evidence", func(e *testscript.Env) error {
			for name, b := range files {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), b, 0o600); err != nil {
					return err
				}
			}
			e.Setenv("LIAR", port(t, liar.URL))
			e.Setenv("MEASUREMENT", measurement.String())
			e.Setenv("SHARD", shard.String())
			e.Setenv("TRUST", id.Trust.Hash().String())
			return at(e)
		}))
	})
	for method := range liar.Asked() {
		if method != "ocw_getBinding" {
			t.Errorf("the liar was asked %s", method)
		}
	}
	select {
	case <-node.Submitted():
		t.Error("something was submitted")
	default:
	}
}

func TestVersionIsTheModules(t *testing.T) {
	if cli.Version != worker.Version {
		t.Errorf("the client is version %s, the worker %s", cli.Version, worker.Version)
	}
}
