package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/approval"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sim"
)

// upgradeKeys are those of the tests, of whom two have to sign.
var upgradeKeys = []*keyring.Pair{pair("//Upgrade1"), pair("//Upgrade2"), pair("//Upgrade3")}

// withUpgradeKeys names them in a trust config.
func withUpgradeKeys(c enclave.TrustConfig) enclave.TrustConfig {
	for _, k := range upgradeKeys {
		c.Upgrade.Keys = append(c.Upgrade.Keys, k.AccountID())
	}
	slices.SortFunc(c.Upgrade.Keys, func(a, b keyring.AccountID) int { return bytes.Compare(a[:], b[:]) })
	c.Upgrade.Threshold = 2
	return c
}

// writeJSON writes a file.
func writeJSON(t testing.TB, path string, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// approve has upgrade keys sign a measurement, in a file of a folder.
func approve(t testing.TB, trust *enclave.TrustConfig, dir, name string, m tee.Measurement, by ...*keyring.Pair) {
	t.Helper()
	f := &approval.File{Statement: approval.Statement{TrustConfig: trust.Hash(), Measurement: &approval.Measurement{Measurement: m, Note: name}}}
	for _, k := range by {
		if err := f.Sign(trust, k); err != nil {
			t.Fatal(err)
		}
	}
	writeJSON(t, filepath.Join(dir, name+".json"), f)
}

// setProgram has the chain's root name another program for the shard.
func (n *network) setProgram(m tee.Measurement, delay header.Number) {
	n.t.Helper()
	n.send(alice, n.nextIndex(alice.AccountID()), "Sudo", "sudo", struct{ Call rawCall }{n.call("EnclaveBridge", "update_shard_config",
		integritee.UpdateShardConfigArgs{Shard: n.shard(), Config: integritee.ShardConfig{EnclaveFingerprint: integritee.Fingerprint(m)}, EnactmentDelay: delay})})
}

// TestProgramUpgrade: a shard goes from one program to the next. A worker of the
// next gets the keys only once enough upgrade keys have signed, whatever the chain
// says; those of both programs go on over the block of the upgrade, and hand each
// other the keys; who has no approval stops before it.
func TestProgramUpgrade(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	old, next := sim.Measurement("program-1"), sim.Measurement("program-2")
	n.id = integritee.ShardID(old)
	trust := withUpgradeKeys(enclave.DevTrustConfig(n.chain.Genesis(), n.id, n.app.Name()))
	trustFile := writeJSON(t, filepath.Join(t.TempDir(), "trust.json"), trust)
	config := func(name, program, approvals string) Config {
		cfg := n.config(name, t.TempDir())
		cfg.TrustConfig, cfg.Shard, cfg.SimMeasurement, cfg.Approvals = trustFile, n.id, program, approvals
		return cfg
	}
	approvals, ofNext, one := t.TempDir(), t.TempDir(), upgradeKeys[:1]

	first := config("first", "program-1", approvals)
	audit := new(lockedText)
	first.Logger = slogText(audit)
	w := n.start(first)
	n.ready(w)
	halts, err := Start(n.ctx, config("without approvals", "program-1", ""))
	if err != nil {
		t.Fatal(err)
	}
	n.ready(halts)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	transfer := func(program tee.Measurement, nonce uint32) {
		t.Helper()
		out, err := s.Invoke(n.ctx, client.Invocation{Shard: n.id, Fingerprint: integritee.Fingerprint(program), Nonce: nonce,
			Call: sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit)), Sender: alice.AccountID(), Signer: alice, Payer: alice})
		if err != nil || !out.Succeeded() {
			t.Fatalf("call %d for %s: %+v, %v", nonce, program, out, err)
		}
	}
	transfer(old, 0)

	// The next program serves no shard that is another's, without approval of that.
	n.startFailing(config("no approvals", "program-2", ""), "is configured on chain for the program", "--approvals")
	approve(t, &trust, ofNext, "old", old, one...)
	n.startFailing(config("too few signatures", "program-2", ofNext), "is configured on chain for the program")

	// Nor does it get the keys with one signature, the chain's word beside it.
	approve(t, &trust, ofNext, "old", old, upgradeKeys[1:]...)
	approve(t, &trust, approvals, "next", next, one...)
	n.setProgram(next, 1000)
	cfg := config("next", "program-2", ofNext)
	refusals := new(lockedText)
	cfg.Logger = slogText(refusals)
	second := n.start(cfg)
	says := func(log *lockedText, text string) {
		t.Helper()
		for !strings.Contains(log.String(), text) {
			select {
			case <-second.Ready():
				t.Fatalf("it has the keys, and not %q", text)
			case <-n.ctx.Done():
				t.Fatalf("no %q in %s", text, log.String())
			case <-time.After(5 * time.Millisecond): // there is no event for a line of the log
			}
		}
	}
	says(refusals, "refused by the peer: measurement not accepted")
	says(audit, "too few upgrade keys have signed: 1 of 2 needed")
	says(audit, "measurement not accepted")
	approve(t, &trust, approvals, "next", next, upgradeKeys[:2]...)
	n.ready(second)
	n.sameState(w, second)

	n.setProgram(next, 3)
	n.tick(w, "no upgrade", func() bool { return w.Status().Number >= n.upgradedAt() })
	if err := n.ends(halts); !errors.As(err, new(*enclave.FingerprintError)) || halts.Status().Number+1 != n.upgradedAt() {
		t.Errorf("block %d of upgrade %d, %v", halts.Status().Number, n.upgradedAt(), err)
	}
	transfer(next, 1)
	n.sameState(w, second)
	n.until(second, "the next program does not confirm", func() bool { return second.Status().HealthCode == "ok" && second.Status().Pending == 0 })
	n.until(w, "the former program confirms", func() bool { return w.Status().HealthCode == "refused" })

	// The former program still gets the keys, from the next.
	stopped(t, w)
	late := n.start(config("late", "program-1", approvals))
	n.ready(late)
	n.sameState(late, second)
	n.startFailing(config("late without approvals", "program-1", ""), "is configured on chain for the program", next.String())
}

// upgradedAt is the first block at which the pending configuration counts.
func (n *network) upgradedAt() header.Number {
	n.t.Helper()
	var c integritee.UpgradableShardConfig
	for _, e := range n.events("EnclaveBridge", "ShardConfigUpdated") {
		raw, _ := n.chain.Block(e.number).State.Get(shardConfigKey(n.shard()))
		if err := scale.Unmarshal(raw, &c); err != nil {
			n.t.Fatal(err)
		}
	}
	if c.UpgradeAt == nil {
		n.t.Fatal("no pending upgrade")
	}
	return *c.UpgradeAt
}

// TestApprovals: what a worker is handed as approvals may be anything.
func TestApprovals(t *testing.T) {
	trust := withUpgradeKeys(enclave.DevTrustConfig([32]byte{1}, integritee.ShardID{2}, "app"))
	none := enclave.DevTrustConfig([32]byte{1}, integritee.ShardID{2}, "app")
	other := trust
	other.App = "another"
	dir := t.TempDir()
	log := new(lockedText)
	open := func(path string, c *enclave.TrustConfig) (*approvals, error) {
		return openApprovals(path, c, slogText(log))
	}
	if a, err := open("", &none); a != nil || err != nil || a.has(integritee.Fingerprint{}) {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := open(dir, &none); !errors.Is(err, approval.ErrNoUpgradeKeys) {
		t.Errorf("without upgrade keys: %v", err)
	}
	if _, err := open(filepath.Join(dir, "absent"), &trust); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such folder: %v", err)
	}
	program := func(i byte) tee.Measurement { return tee.Measurement{i} }
	approve(t, &trust, dir, "good", program(1), upgradeKeys...)
	approve(t, &trust, dir, "one", program(2), upgradeKeys[0])
	approve(t, &other, dir, "other", program(3), upgradeKeys...)
	for name, text := range map[string]string{"empty.json": "", "broken.json": "{", "large.json": strings.Repeat(" ", approval.MaxFile+1), "notes.txt": "{"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	backup := &approval.File{Statement: approval.Statement{TrustConfig: trust.Hash(), Backup: &approval.Backup{Number: 1, Threshold: 2, Recipients: []string{"age1a", "age1b"}}}}
	if err := errors.Join(backup.Sign(&trust, upgradeKeys[0]), backup.Sign(&trust, upgradeKeys[1]), os.Mkdir(filepath.Join(dir, "folder.json"), 0o700)); err != nil {
		t.Fatal(err)
	}
	writeJSON(t, filepath.Join(dir, "backup.json"), backup)
	a, err := open(dir, &trust)
	if err != nil {
		t.Fatal(err)
	}
	is := func(want ...tee.Measurement) {
		t.Helper()
		if got := a.measurements(); !slices.Equal(got, want) {
			t.Errorf("approved are %v, want %v", got, want)
		}
	}
	is(program(1))
	for _, text := range []string{"too few upgrade keys", "another trust config", "empty.json", "broken.json", "large.json"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("no %q in %s", text, log.String())
		}
	}
	if strings.Contains(log.String(), "notes.txt") || strings.Contains(log.String(), "backup.json") {
		t.Errorf("%s", log.String())
	}
	before := log.String()
	is(program(1))
	if log.String() != before {
		t.Error("the same files are read again")
	}
	approve(t, &trust, dir, "one", program(2), upgradeKeys[:2]...)
	is(program(1), program(2))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	is(program(1), program(2)) // what was signed is signed
	if !a.has(integritee.Fingerprint(program(2))) || a.has(integritee.Fingerprint(program(3))) {
		t.Error("has")
	}
}

// TestProductionPrograms: in production the policy file of a host names no program
// that nobody has approved.
func TestProductionPrograms(t *testing.T) {
	p, err := new(Attestation).open(t.TempDir(), "app", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	own, foreign := p.Measurement(), tee.Measurement{1}
	for name, c := range map[string]struct {
		policy   tee.Policy
		approved []tee.Measurement
		want     string
	}{
		"own":                 {tee.Policy{Measurements: []tee.Measurement{own}}, nil, ""},
		"approved":            {tee.Policy{Measurements: []tee.Measurement{own, foreign}}, []tee.Measurement{foreign}, ""},
		"not approved":        {tee.Policy{Measurements: []tee.Measurement{own, foreign}}, nil, "have not approved"},
		"of a signer":         {tee.Policy{SGX: []tee.SGXRule{{}}}, nil, "by signer"},
		"by registers of TDX": {tee.Policy{TDX: []tee.TDXRule{{}}}, nil, "by signer or registers"},
		"by digest of SNP":    {tee.Policy{SNP: []tee.SNPRule{{}}}, nil, "by signer or registers"},
	} {
		p.policy = c.policy
		if err := p.checkPrograms(enclave.Production, c.approved); (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, errClass) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.checkPrograms(enclave.InsecureDev, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
