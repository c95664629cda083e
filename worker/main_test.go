package worker

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/sim"
)

func sampleApp(t *testing.T) *stf.App {
	t.Helper()
	app, err := sample.New()
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// configOf returns the configuration that a command line stands for.
func configOf(t *testing.T, line string) (c Config, err error) {
	t.Helper()
	cmd := newCommand(sampleApp(t), new(flags), func(_ context.Context, cfg Config) error { c = cfg; return nil })
	cmd.SetArgs(strings.Fields(line))
	cmd.SetOut(new(bytes.Buffer))
	cmd.SetErr(new(bytes.Buffer))
	err = cmd.Execute()
	c.App, c.Logger, c.opened = nil, nil, nil
	return c, err
}

func TestFlags(t *testing.T) {
	shard := integritee.ShardID(sim.Measurement("x"))
	base := Config{Attestation: Attestation{Platform: "sim"}, DataDir: ".", NodeURL: "ws://127.0.0.1:9944", TrustedAddr: "127.0.0.1:2000", MuRaAddr: "127.0.0.1:3443", HTTPAddr: "127.0.0.1:4545",
		TrustedURL: "wss://127.0.0.1:2000", UntrustedURL: "ws://127.0.0.1:2001", MuRaURL: "127.0.0.1:3443", Dev: true, SkipRA: true,
		ConfirmInterval: DefaultConfirmInterval, PublishInterval: DefaultPublishInterval, ReceiptBlocks: DefaultReceiptBlocks, RotationOverlap: DefaultRotationOverlap, SimMeasurement: "integritee-sample"}
	with := func(f func(*Config)) Config { c := base; f(&c); return c }
	tests := []struct {
		line string
		want Config
	}{
		{"run --dev --skip-ra", base},
		{"run -d --skip-ra -s integritee", base},
		// The line of the compose file of the Rust worker.
		{"--clean-reset --data-dir /tmp/worker1 --ws-external -M integritee-worker-1 -T wss://integritee-worker-1 -u ws://integritee-node " +
			"-U ws://integritee-worker-1 -P 2011 -w 2101 -p 9912 -h 4645 run --dev --skip-ra",
			with(func(c *Config) {
				c.DataDir, c.NodeURL, c.CleanReset = "/tmp/worker1", "ws://integritee-node:9912", true
				c.TrustedAddr, c.MuRaAddr, c.HTTPAddr = "0.0.0.0:2011", "0.0.0.0:3443", "0.0.0.0:4645"
				c.TrustedURL, c.UntrustedURL, c.MuRaURL = "wss://integritee-worker-1:2011", "ws://integritee-worker-1:2101", "integritee-worker-1:3443"
			})},
		{"-T wss://[::1] -M worker:99 -r 0 -P 0 run " + shard.String() + " --dev --skip-ra --confirm all --confirm-interval 7 --publish-interval 0 --receipt-blocks 9 --bound-getters-only --fast-join 2 --rotate-keys 100 --rotation-overlap 20",
			with(func(c *Config) {
				c.TrustedAddr, c.TrustedURL, c.MuRaAddr, c.MuRaURL = "127.0.0.1:0", "wss://[::1]:0", "127.0.0.1:0", "worker:99"
				c.Shard, c.ConfirmAll, c.ConfirmInterval = shard, true, 7
				c.PublishInterval, c.NoPublications, c.ReceiptBlocks = 0, true, 9
				c.BoundGettersOnly, c.FastJoin = true, 2
				c.RotateKeys, c.RotationOverlap = 100, 20
			})},
		{"-P 0 -r 0 --sim-measurement y run --skip-ra --trust-config t.json",
			with(func(c *Config) {
				c.TrustedAddr, c.TrustedURL, c.MuRaAddr, c.MuRaURL = "127.0.0.1:0", "", "127.0.0.1:0", ""
				c.Dev, c.TrustConfig, c.SimMeasurement = false, "t.json", "y"
			})},
		{"-u ws://a,wss://b:1/path -u wss://c/path -p 7 run --dev --skip-ra",
			with(func(c *Config) { c.NodeURL = "ws://a:7,wss://b:1/path,wss://c:7/path" })},
		{"run --dev --skip-ra --parentchain solo", base},
		{"--ws-external run --dev --skip-ra --insecure-ws-port 2002", with(func(c *Config) {
			c.TrustedAddr, c.TrustedURL, c.MuRaAddr, c.MuRaURL = "0.0.0.0:2000", "wss://0.0.0.0:2000", "0.0.0.0:3443", "0.0.0.0:3443"
			c.UntrustedURL, c.HTTPAddr, c.PlainAddr = "ws://0.0.0.0:2001", "0.0.0.0:4545", "127.0.0.1:2002"
		})},
		{"run --dev --skip-ra --block-archive a --archive-peer wss://x:1 --archive-peer wss://y:2",
			with(func(c *Config) { c.BlockArchive, c.ArchivePeers = "a", []string{"wss://x:1", "wss://y:2"} })},
		{"--tee sim --collateral c --pccs https://p --dcap-root r --snp-root a --tdx-secret s run --dev --skip-ra --policy p --fast-join 2",
			with(func(c *Config) {
				c.Attestation = Attestation{Platform: "sim", Policy: "p", Collateral: "c", PCCS: "https://p", DCAPRoot: "r", SNPRoot: "a", TDXSecret: "s"}
				c.FastJoin = 2
			})},
		{"run --dev --skip-ra --no-block-archive", with(func(c *Config) { c.NoBlockArchive = true })},
		{"run --dev --skip-ra --parentchain para --relay-url ws://a:1,ws://b:2 --relay-url wss://c --para-id 2039",
			with(func(c *Config) { c.Parentchain, c.RelayURL, c.ParaID = Para, "ws://a:1,ws://b:2,wss://c", 2039 })},
	}
	for _, test := range tests {
		got, err := configOf(t, test.line)
		if err != nil {
			t.Errorf("%s: %v", test.line, err)
			continue
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(Config{}, Attestation{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.line, diff)
		}
	}
}

func TestWithPort(t *testing.T) {
	for url, want := range map[string]string{
		"ws://hello:4000": "ws://hello:4000", "wss://hello": "wss://hello:7", "hello:10001": "hello:10001", "hello_world": "hello_world:7",
		"wss://hello/path?key=a:b": "wss://hello:7/path?key=a:b", "ws://u:p@hello": "ws://u:p@hello:7", "ws://hello:1/": "ws://hello:1/",
		"ws://[::1]": "ws://[::1]:7", "ws://[::1]:4": "ws://[::1]:4",
	} {
		if got := withPort(url, "7"); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
}

func TestUsage(t *testing.T) {
	for line, want := range map[string]string{
		"":                                    "a subcommand is needed",
		"nonsense":                            "unknown command",
		"run":                                 "without --dev a trust config is needed",
		"run --dev":                           "--skip-ra is needed",
		"--tee sev run --dev --skip-ra":       "sim, sgx, snp, tdx or auto",
		"run --dev --skip-ra 0OIl":            "SHARD",
		"run --dev --skip-ra --confirm few":   "--confirm is needed or all",
		"run --dev --skip-ra -i 5s":           "no teeracle",
		"run --dev --skip-ra --reregister 5s": "no teeracle",
		"run --dev --skip-ra -s target-a":     "only integritee",
		"--target-a-parentchain-rpc-url ws://x run --dev":             "one parentchain",
		"--target-b-parentchain-rpc-port 1 mrenclave":                 "one parentchain",
		"--metrics-port 70000 run --dev --skip-ra":                    "invalid",
		"--log-level loud run --dev --skip-ra":                        "--log-level",
		"-h notaport mrenclave":                                       "invalid",
		"test --all":                                                  "go test",
		"-p x run --dev --skip-ra":                                    "not valid",
		"-p 65536 run --dev --skip-ra":                                "the port",
		"-p 0 run --dev --skip-ra":                                    "the port",
		"-u http://a run --dev --skip-ra":                             "ws://host:port",
		"-u ws://a,ws:// run --dev --skip-ra":                         "URL 2 of 2",
		"run --dev --skip-ra --parentchain relay":                     "solo or para",
		"run --dev --skip-ra --parentchain para":                      "needs --relay-url",
		"run --dev --skip-ra --relay-url ws://a:1":                    "no effect",
		"run --dev --skip-ra --para-id 5":                             "no effect",
		"run --dev --skip-ra --parentchain para --relay-url ws://a:x": "relay chain: the URL is not valid",
		"run --dev --skip-ra --no-block-archive --block-archive a":    "exclude each other",
		"run --dev --skip-ra --archive-peer http://x":                 "trusted RPC",
		"archive":                                "needs a subcommand",
		"backup":                                 "See integritee-service backup --help.",
		"backup create --recipients a --out b c": "create takes no arguments, and was given \"c\"",
		"rotate-keys extra":                      "rotate-keys takes no arguments, and was given \"extra\"\nSee integritee-service rotate-keys --help.",
		"archive export":                         "accepts 1 arg",
		"run --dev --skip-ra --confirm-interval 0":  "at least 1",
		"run --dev --skip-ra --publish-interval 96": "power of two",
		"run --dev --skip-ra --receipt-blocks 0":    "at least 1",

		"run --skip-ra --trust-config t.json --insecure-ws-port 2002": "--dev is needed",
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(sampleApp(t), strings.Fields(line), &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), want) || stdout.Len() > 0 {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", line, code, &stdout, &stderr)
		}
	}
}

func TestSubcommands(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := "data"
	run := func(line string, want int) (string, string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := Main(sampleApp(t), strings.Fields(line), &stdout, &stderr); code != want {
			t.Fatalf("%q: exit code %d, stderr %s", line, code, &stderr)
		}
		return stdout.String(), stderr.String()
	}
	if out, _ := run("mrenclave", 0); out != sim.Measurement("integritee-sample").String()+"\n" {
		t.Errorf("mrenclave: %q", out)
	}
	if out, _ := run("--sim-measurement other mrenclave", 0); out != sim.Measurement("other").String()+"\n" {
		t.Errorf("mrenclave: %q", out)
	}
	for _, help := range []string{"--help", "run --help", "-d data run --help"} {
		if out, _ := run(help, 0); !strings.Contains(out, "Usage:") {
			t.Errorf("%s: %q", help, out)
		}
	}
	for _, help := range []string{"run --help", "backup create --help"} {
		if out, _ := run(help, 0); !strings.Contains(out, "Global Flags, before the subcommand:\n") || !strings.Contains(out, "-P, --trusted-worker-port port") {
			t.Errorf("%s does not show the global flags: %q", help, out)
		}
	}
	if out, _ := run("--help", 0); strings.Count(out, "--data-dir") != 1 {
		t.Errorf("--help: %q", out)
	}
	if out, _ := run("--version", 0); !strings.Contains(out, Version) {
		t.Errorf("--version: %q", out)
	}
	for _, old := range []string{"init-shard", "init-shard a b", "request-state --skip-ra --shard x"} {
		if _, diag := run(old, 0); !strings.Contains(diag, "deprecated") {
			t.Errorf("%s: %q", old, diag)
		}
	}

	if _, diag := run("-d "+dir+" signing-key", 0); !strings.Contains(diag, "SIMULATED TEE") {
		t.Errorf("no warning: %q", diag)
	}
	public, err := os.ReadFile("enclave-signing-pubkey.bin")
	if err != nil || len(public) != 32 {
		t.Fatalf("signing key: %x, %v", public, err)
	}
	run("-d "+dir+" signing-key", 0)
	if again, _ := os.ReadFile("enclave-signing-pubkey.bin"); !bytes.Equal(again, public) {
		t.Error("the account is not kept")
	}
	if _, diag := run("-d "+dir+" shielding-key", 1); !strings.Contains(diag, "no shielding key yet") {
		t.Errorf("shielding-key: %q", diag)
	}
	run("-d "+dir+" dump-ra", 0)
	if der, err := os.ReadFile("ra_dump_cert.der"); err != nil || !bytes.Contains(der, public) {
		t.Errorf("dump-ra: %v", err)
	}
	if _, diag := run("-d "+dir+" --sim-measurement other signing-key", 1); !strings.Contains(diag, "another program") {
		t.Errorf("another measurement: %q", diag)
	}
	if _, diag := run("-d "+dir+" -P 0 -r 0 -h 0 run --skip-ra --trust-config none.json", 1); !strings.Contains(diag, "none.json") {
		t.Errorf("missing trust config: %q", diag)
	}

	d, p := &dataDir{path: dir, fs: store.OS}, openSim(t, dir)
	k, err := newKeys([32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	k.status = keysConfirmed
	if err := saveKeys(d, p, k); err != nil {
		t.Fatal(err)
	}
	run("-d "+dir+" shielding-key", 0)
	want, err := k.ring.Load().Find(epoch.ID{}).Shielding.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile("enclave-shielding-pubkey.json"); !bytes.Equal(got, want) {
		t.Errorf("shielding-key: %s", got)
	}
}

func openSim(t *testing.T, dir string) *sim.Platform {
	t.Helper()
	p, err := sim.Open(dir, "integritee-sample", testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCleanReset(t *testing.T) {
	d, err := openDataDir(t.TempDir(), store.OS)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	make := func() {
		for _, name := range []string{accountFile, materialFile, filepath.Join(chainDir, trustFile), filepath.Join(shardsDir, "a", "b")} {
			if err := store.WriteFile(d.fs, d.file(name), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(name string, want bool) {
		t.Helper()
		if exists(d.file(name)) != want {
			t.Errorf("%s exists: %v", name, !want)
		}
	}
	for _, guards := range [][]string{nil, {chainGuard}, {shardsGuard}, {chainGuard, shardsGuard}} {
		make()
		guarded := map[string]bool{}
		for _, g := range guards {
			guarded[g] = true
			if err := store.WriteFile(d.fs, d.file(g), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.cleanReset(testLog(t)); err != nil {
			t.Fatal(err)
		}
		check(accountFile, true)
		check(materialFile, true)
		check(chainDir, guarded[chainGuard])
		check(shardsDir, guarded[shardsGuard])
		for _, g := range guards {
			os.Remove(d.file(g))
		}
	}
}

// TestSealedFiles changes sealed files and puts them in each other's place.
func TestSealedFiles(t *testing.T) {
	d, p := &dataDir{path: t.TempDir(), fs: store.OS}, sim.New("app", [32]byte{1})
	if err := d.seal(p, []byte("secret"), "a"); err != nil {
		t.Fatal(err)
	}
	if got, err := d.unseal(p, "a"); err != nil || string(got) != "secret" {
		t.Fatalf("got %q, %v", got, err)
	}
	sealed, err := os.ReadFile(d.file("a"))
	if err != nil || bytes.Contains(sealed, []byte("secret")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if err := os.WriteFile(d.file("b"), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(d.file("a"), changed, 0o600)
		if _, err := d.unseal(p, "a"); err == nil {
			t.Fatalf("byte %d changed, still opens", i)
		}
	}
	os.WriteFile(d.file("b"), sealed, 0o600)
	if _, err := d.unseal(p, "b"); err == nil {
		t.Error("a file opens under another name")
	}
	os.WriteFile(d.file("a"), sealed[:10], 0o600)
	if _, err := d.unseal(p, "a"); err == nil {
		t.Error("a cut file opens")
	}
	os.WriteFile(d.file("a"), sealed, 0o600)
	newer := bytes.Clone(sealed)
	newer[len(sealMagic)-1]++
	os.WriteFile(d.file("a"), newer, 0o600)
	if _, err := d.unseal(p, "a"); !errors.Is(err, errNewerFile) {
		t.Errorf("a newer format: %v", err)
	}
	os.WriteFile(d.file("a"), sealed, 0o600)
	for _, other := range []*sim.Platform{sim.New("app", [32]byte{2}), sim.New("other", [32]byte{1})} {
		if _, err := d.unseal(other, "a"); err == nil {
			t.Error("another platform opens it")
		}
	}
}

// TestNoSecretsInLogs runs keys through the logger as a careless line would.
func TestNoSecretsInLogs(t *testing.T) {
	d, p := &dataDir{path: t.TempDir(), fs: store.OS}, sim.New("app", [32]byte{1})
	pair, _, err := loadAccount(d, p)
	if err != nil {
		t.Fatal(err)
	}
	seed, ok := pair.Seed()
	if !ok {
		t.Fatal("no seed")
	}
	var log bytes.Buffer
	slogText(&log).Info("careless", "pair", pair, "worker", &Worker{account: pair})
	for _, form := range []string{string(seed[:]), hexOf(seed[:]), decimalOf(seed[:])} {
		if strings.Contains(log.String(), form) {
			t.Errorf("the seed is in the log: %s", &log)
		}
	}
	if pair.Scheme() != keyring.Ed25519 {
		t.Errorf("the account is of scheme %s", pair.Scheme())
	}
}

// TestPortInUse: the error names the flag of the port.
func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for ports, want := range map[string]string{
		"-P " + port + " -r 0 -h 0":                  "(-P, --trusted-worker-port)",
		"-P 0 -r " + port + " -h 0":                  "(-r, --mu-ra-port)",
		"-P 0 -r 0 -h " + port:                       "(-h, --untrusted-http-port)",
		"-P 0 -r 0 -h 0 --enable-metrics -i " + port: "(-i, --metrics-port)",
	} {
		var stdout, stderr bytes.Buffer
		code := Main(sampleApp(t), strings.Fields("-d "+t.TempDir()+" "+ports+" run --dev --skip-ra"), &stdout, &stderr)
		if last := strings.Split(strings.TrimSpace(stderr.String()), "\n"); code != 1 || !strings.HasSuffix(last[len(last)-1], want) {
			t.Errorf("%s: exit code %d, %s", ports, code, &stderr)
		}
	}
}
