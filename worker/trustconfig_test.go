package worker

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// TestTrustConfigCommand writes trust configs for later blocks of a solo chain
// and of a parachain; workers begin there, and come to what they say.
func TestTrustConfigCommand(t *testing.T) {
	write := func(line string) (string, enclave.TrustConfig) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := Main(sampleApp(t), strings.Fields(line), &stdout, &stderr); code != 0 {
			t.Fatalf("%s: exit code %d, %s", line, code, &stderr)
		}
		file := filepath.Join(t.TempDir(), "trust.json")
		if err := os.WriteFile(file, stdout.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stdout.Bytes(), []byte("null")) {
			t.Errorf("%s: %s", line, &stdout)
		}
		var c enclave.TrustConfig
		if err := json.Unmarshal(stdout.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		return file, c
	}
	serve := func(n *network, cfg Config) *Worker {
		t.Helper()
		w := n.start(cfg)
		n.ready(w)
		s := n.session(w)
		n.shield(s, alice.AccountID(), 10*unit)
		if out := n.invoke(s, alice, 0, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))); !out.Succeeded() {
			t.Errorf("got %+v", out)
		}
		return w
	}

	solo := newNetwork(t, devchain.Config{Authorities: 3})
	if err := solo.chain.ScheduleAuthorities(0, 1, 2); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := solo.chain.Seal(solo.ctx); err != nil {
			t.Fatal(err)
		}
	}
	file, c := write("-u " + solo.url + " trust-config --block 4")
	if c.Genesis != solo.chain.Genesis() || c.StartNumber != 4 || c.StartHash != solo.chain.Block(4).Hash || c.StartAuthoritySetHash.IsZero() || c.Relay != nil {
		t.Errorf("got %+v", c)
	}
	cfg := solo.config("1", t.TempDir())
	cfg.TrustConfig = file
	first := serve(solo, cfg)
	cfg = solo.config("2", t.TempDir())
	cfg.TrustConfig = file
	second := solo.start(cfg)
	solo.ready(second)
	solo.sameState(first, second)
	if _, c := write("-u " + solo.url + " trust-config --block 0"); c.Hash() != enclave.DevTrustConfig(solo.chain.Genesis(), solo.shard(), sample.Name).Hash() {
		t.Errorf("block 0: %+v", c)
	}
	bob := pair("//Bob").AccountID()
	if _, c := write("-u " + solo.url + " trust-config --block 0 --upgrade-key " + ferdie.AccountID().Hex() + "," + alice.AccountID().String() + " --upgrade-key " + bob.String()); c.Upgrade.Threshold != 3 ||
		!slices.Equal(c.Upgrade.Keys, []keyring.AccountID{ferdie.AccountID(), bob, alice.AccountID()}) {
		t.Errorf("upgrade keys: %+v", c.Upgrade)
	}
	// Another set than the trusted one.
	c.StartAuthoritySetHash[0]++
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(t.TempDir(), "forged.json")
	if err := os.WriteFile(forged, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg = solo.config("3", t.TempDir())
	cfg.TrustConfig = forged
	solo.startFailing(cfg, "trust config", "authority set")

	para := newParaNetwork(t, devchain.PairConfig{Relay: devchain.Config{Authorities: 2}})
	for range 4 {
		if _, err := para.pair.Seal(para.ctx); err != nil {
			t.Fatal(err)
		}
	}
	// The relay chain's block includes block 2, which is before the start.
	file, c = write("-u " + para.url + " trust-config --parentchain para --relay-url " + para.relayURL + " --block 4 --relay-block 2")
	if c.Relay == nil || c.Relay.ParaID != 2000 || c.Relay.StartNumber != 2 || c.Relay.StartAuthoritySetHash.IsZero() || !c.StartAuthoritySetHash.IsZero() {
		t.Errorf("got %+v", c)
	}
	cfg = para.config("1", t.TempDir())
	cfg.TrustConfig = file
	serve(para.network, cfg)

	other := newNetwork(t, devchain.Config{})
	for line, want := range map[string]string{
		"-u " + solo.url + "," + other.url + " trust-config --block 0":                     "do not agree", // three authorities, one
		"-u " + solo.url + "," + para.url + " trust-config --block 0":                      "do not agree on block 0",
		"-u " + para.url + " trust-config --block 1":                                       "--parentchain para",
		"-u " + solo.url + " trust-config --block 99999":                                   "not final yet",
		"-u " + solo.url + " trust-config --block -1":                                      "not a block number",
		"-u " + solo.url + " trust-config --relay-block 1":                                 "no effect",
		"-u " + solo.url + " trust-config --upgrade-key 5Fnobody":                          "--upgrade-key",
		"-u " + solo.url + " trust-config --upgrade-threshold 1":                           "1 of 0 upgrade keys",
		"-u " + solo.url + " trust-config --class safe":                                    "--class",
		"-u ws://a:b trust-config":                                                         "the URL is not valid",
		"-u " + solo.url + " trust-config 0OIl":                                            "SHARD",
		"-u " + solo.url + " trust-config --parentchain para":                              "--relay-url",
		"-u " + solo.url + " trust-config --parentchain para --relay-url " + para.relayURL: "which parachain",
	} {
		var stdout, stderr bytes.Buffer
		code := Main(sampleApp(t), strings.Fields(line), &stdout, &stderr)
		if (code == 0) != (want == "") || !strings.Contains(stderr.String(), want) || want != "" && stdout.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", line, code, &stderr)
		}
	}
}
