package worker

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/approval"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// drill is a shard with two of three upgrade keys, and three people with age keys.
type drill struct {
	*network
	trust     trustconfig.Config
	trustFile string
	owners    []*keyring.Pair
	people    []string // files with age keys
	list      []string // their recipients
}

func newDrill(t *testing.T) *drill {
	d := &drill{network: newNetwork(t, devchain.Config{}), trustFile: filepath.Join(t.TempDir(), "trust.json")}
	var keys []keyring.AccountID
	for i := range 3 {
		pair, err := keyring.FromURI(keyring.Ed25519, fmt.Sprintf("//Owner%d", i))
		if err != nil {
			t.Fatal(err)
		}
		d.owners, keys = append(d.owners, pair), append(keys, pair.AccountID())
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "key.txt")
		if err := os.WriteFile(file, []byte("# a comment\n"+id.String()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		d.people, d.list = append(d.people, file), append(d.list, id.Recipient().String())
	}
	d.trust = enclave.DevTrustConfig(d.chain.Genesis(), d.shard(), sample.Name)
	d.trust.Upgrade = trustconfig.UpgradeKeys{Threshold: 2, Keys: keys}
	slices.SortFunc(d.trust.Upgrade.Keys, func(a, b keyring.AccountID) int { return bytes.Compare(a[:], b[:]) })
	d.write(d.trustFile, d.trust)
	return d
}

func (d *drill) write(name string, v any) {
	d.t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// approved writes a list of recipients with so many owners' signatures.
func (d *drill) approved(signatures int) string {
	d.t.Helper()
	f := &approval.File{Statement: approval.Statement{TrustConfig: d.trust.Hash(), Backup: &approval.Backup{Number: 1, Threshold: 2, Recipients: d.list}}}
	for _, o := range d.owners[:signatures] {
		if err := f.Sign(&d.trust, o); err != nil {
			d.t.Fatal(err)
		}
	}
	name := filepath.Join(d.t.TempDir(), "recipients.json")
	d.write(name, f)
	return name
}

// backup runs a subcommand of the worker's backup.
func (d *drill) backup(dir string, want int, args ...string) (stderr string) {
	d.t.Helper()
	var out, errs bytes.Buffer
	if code := Main(d.app, append([]string{"-d", dir, "backup"}, args...), &out, &errs); code != want {
		d.t.Fatalf("backup %v: exit code %d, %s", args, code, &errs)
	}
	return errs.String()
}

// give runs ocw backup give of a person for a request, and returns the file.
func (d *drill) give(part string, person int, request string, more ...string) (string, error) {
	out := filepath.Join(d.t.TempDir(), "given.age")
	cmd := inspect.BackupCommand()
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetErr(&bytes.Buffer{})
	if len(more) == 0 {
		more = []string{"--trust-config", d.trustFile, "--insecure-dev"}
	}
	cmd.SetArgs(append([]string{"give", part, "--identity", d.people[person], "--request", request, "--out", out}, more...))
	return out, cmd.Execute()
}

// TestDrill loses all workers of a shard with their disks, and brings the shard
// back from two of three parts of its keys: a new worker replays to the same state.
func TestDrill(t *testing.T) {
	d := newDrill(t)
	cfg := d.config("lost", t.TempDir())
	cfg.TrustConfig = d.trustFile
	w := d.start(cfg)
	d.ready(w)
	s := d.session(w)
	d.shield(s, alice.AccountID(), 10*unit)
	if out := d.invoke(s, alice, 0, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))); !out.Succeeded() {
		t.Fatalf("got %+v", out)
	}
	d.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
	before := w.Status()
	keys := d.keysOf(w)
	stopped(t, w)

	// The host of a worker cannot choose who gets the keys.
	parts := filepath.Join(t.TempDir(), "parts")
	if got := d.backup(cfg.DataDir, 1, "create", "--recipients", d.approved(1), "--out", parts); !strings.Contains(got, approval.ErrTooFew.Error()) {
		t.Errorf("one signature: %s", got)
	}
	changed, err := os.ReadFile(d.approved(2))
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(t.TempDir(), "forged.json")
	if err := os.WriteFile(forged, bytes.Replace(changed, []byte(d.list[0]), []byte(other.Recipient().String()), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := d.backup(cfg.DataDir, 1, "create", "--recipients", forged, "--out", parts); !strings.Contains(got, approval.ErrTooFew.Error()) {
		t.Errorf("another recipient: %s", got)
	}
	d.backup(cfg.DataDir, 0, "create", "--recipients", d.approved(2), "--out", parts)
	d.backup(cfg.DataDir, 1, "create", "--recipients", d.approved(2), "--out", parts) // it is there
	part := func(i int) string { return filepath.Join(parts, fmt.Sprintf("share-%d.age", i)) }
	if err := os.RemoveAll(cfg.DataDir); err != nil {
		t.Fatal(err)
	}

	// A new worker, on another disk.
	cfg = d.config("new", t.TempDir())
	cfg.TrustConfig = d.trustFile
	request := filepath.Join(t.TempDir(), "request.json")
	d.backup(cfg.DataDir, 0, "request", "--trust-config", d.trustFile, "--out", request)
	first, err := d.give(part(1), 0, request)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.backup(cfg.DataDir, 1, "restore", first); !strings.Contains(got, keybackup.ErrTooFew.Error()) {
		t.Errorf("one part: %s", got)
	}
	if got := d.backup(cfg.DataDir, 1, "restore", first, part(3)); !strings.Contains(got, keybackup.ErrOpen.Error()) {
		t.Errorf("a part for a person: %s", got)
	}
	third, err := d.give(part(3), 2, request)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	d.backup(elsewhere, 0, "request", "--trust-config", d.trustFile, "--out", filepath.Join(t.TempDir(), "other.json"))
	if got := d.backup(elsewhere, 1, "restore", first, third); !strings.Contains(got, keybackup.ErrOpen.Error()) {
		t.Errorf("another enclave: %s", got)
	}
	d.backup(cfg.DataDir, 0, "restore", third, first)
	if got := d.backup(cfg.DataDir, 1, "restore", third, first); !strings.Contains(got, "not asked for parts") {
		t.Errorf("twice: %s", got)
	}
	w = d.start(cfg)
	d.ready(w)
	if got := d.keysOf(w); got != keys {
		t.Errorf("the keys are %v, they were %v", got, keys)
	}
	d.until(w, "it does not replay", func() bool { return w.Status().Number >= before.Number })
	s = d.session(w)
	if got := d.balances(s, ferdie); got.free != amount(unit) {
		t.Errorf("after the replay the balance is %v", got.free)
	}
	if out := d.invoke(s, alice, 1, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))); !out.Succeeded() {
		t.Errorf("got %+v", out)
	}
}

// given returns files with parts of a ring that was split by hand, given to who has
// made a request.
func (d *drill) given(t *testing.T, ring *enclave.KeyRing, request string) (out []string) {
	t.Helper()
	to, err := keybackup.ParseRecipients(d.list)
	if err != nil {
		t.Fatal(err)
	}
	files, err := keybackup.Split(keybackup.Header{TrustConfig: d.trust.Hash(), Shard: d.shard(), Keys: ring.Newest().Hash(), Threshold: 2}, ring.Encode(), to, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files[:2] {
		name := filepath.Join(t.TempDir(), "part.age")
		if err := os.WriteFile(name, f, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := d.give(name, i, request)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	return out
}

// TestForgedBackup has people agree on parts of keys that are not the shard's: the
// worker that takes them does not serve, and does not make them known as the
// shard's, also if nobody's are yet.
func TestForgedBackup(t *testing.T) {
	d := newDrill(t)
	forged, err := newKeys(d.trust.Hash())
	if err != nil {
		t.Fatal(err)
	}
	restore := func(name string) Config {
		cfg := d.config(name, t.TempDir())
		cfg.TrustConfig = d.trustFile
		request := filepath.Join(t.TempDir(), "request.json")
		d.backup(cfg.DataDir, 0, "request", "--trust-config", d.trustFile, "--out", request)
		d.backup(cfg.DataDir, 0, append([]string{"restore"}, d.given(t, forged.ring.Load(), request)...)...)
		return cfg
	}
	early := d.start(restore("early"))
	d.until(early, "it does not wait", func() bool { return early.Status().HealthCode == "keys" })
	stopped(t, early)
	if published := d.events("EnclaveBridge", "PublishedHash"); len(published) != 0 {
		t.Errorf("it has published %d hashes", len(published))
	}

	cfg := d.config("first", t.TempDir())
	cfg.TrustConfig = d.trustFile
	d.ready(d.start(cfg))
	d.startFailing(restore("late"), "restored", "not those of shard")
}

// TestBackupOfDestroyedKeys: parts without the keys of epoch 0, whose hash is all by
// which the parentchain knows a shard's keys, are neither made nor restored.
func TestBackupOfDestroyedKeys(t *testing.T) {
	d := newDrill(t)
	own, err := newKeys(d.trust.Hash())
	if err != nil {
		t.Fatal(err)
	}
	next, err := newKeys(d.trust.Hash())
	if err != nil {
		t.Fatal(err)
	}
	second := &enclave.KeyMaterial{Epoch: 1, Shielding: next.ring.Load().Find(epoch.ID{}).Shielding, RootSeed: own.ring.Load().Root().RootSeed}
	both, err := own.ring.Load().With(enclave.NewKeyRing(second), 1)
	if err != nil {
		t.Fatal(err)
	}
	ring, _ := both.Without(1)
	cfg := d.config("1", t.TempDir())
	request := filepath.Join(t.TempDir(), "request.json")
	d.backup(cfg.DataDir, 0, "request", "--trust-config", d.trustFile, "--out", request)
	if got := d.backup(cfg.DataDir, 1, append([]string{"restore"}, d.given(t, ring, request)...)...); !strings.Contains(got, errDestroyedFirst.Error()) {
		t.Errorf("restored: %s", got)
	}

	cfg = d.config("2", t.TempDir())
	cfg.TrustConfig, cfg.PublishInterval, cfg.RotationOverlap = d.trustFile, 8, 16
	w := d.start(cfg)
	d.ready(w)
	d.shield(d.session(w), alice.AccountID(), unit)
	d.rotate(w)
	d.tick(w, "they are not destroyed", func() bool { _, err := d.destroy(w, 1, true); return err == nil })
	stopped(t, w)
	if got := d.backup(cfg.DataDir, 1, "create", "--recipients", d.approved(2), "--out", filepath.Join(t.TempDir(), "parts")); !strings.Contains(got, errDestroyedFirst.Error()) {
		t.Errorf("created: %s", got)
	}
}

// TestGive has holders refuse what they must not give.
func TestGive(t *testing.T) {
	d := newDrill(t)
	to, err := keybackup.ParseRecipients(d.list)
	if err != nil {
		t.Fatal(err)
	}
	files, err := keybackup.Split(keybackup.Header{TrustConfig: d.trust.Hash(), Shard: d.shard(), Threshold: 2}, []byte("material"), to, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(t.TempDir(), "part.age")
	if err := os.WriteFile(part, files[0], 0o600); err != nil {
		t.Fatal(err)
	}
	request := filepath.Join(t.TempDir(), "request.json")
	d.backup(t.TempDir(), 0, "request", "--trust-config", d.trustFile, "--out", request)
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"kinds":["sgx"],"measurements":["11111111111111111111111111111111"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	other := d.trust
	other.Upgrade.Threshold = 1
	otherFile := filepath.Join(t.TempDir(), "other.json")
	d.write(otherFile, other)
	otherRequest := filepath.Join(t.TempDir(), "request.json")
	d.backup(t.TempDir(), 0, "request", "--trust-config", otherFile, "--out", otherRequest)
	for name, test := range map[string]struct {
		person  int
		request string
		args    []string
		want    string
	}{
		"production":              {0, request, []string{"--trust-config", d.trustFile, "--policy", policy}, "sim"},
		"no policy":               {0, request, []string{"--trust-config", d.trustFile}, "--policy is needed"},
		"both":                    {0, request, []string{"--trust-config", d.trustFile, "--policy", policy, "--insecure-dev"}, "not both"},
		"no trust config":         {0, request, []string{"--insecure-dev"}, "--trust-config is needed"},
		"another shard":           {0, otherRequest, nil, "asks for the shard"},
		"a part of another shard": {0, otherRequest, []string{"--trust-config", otherFile, "--insecure-dev"}, "it is of the shard"},
		"somebody else":           {1, request, nil, keybackup.ErrOpen.Error()},
		"no request":              {0, part, nil, keybackup.ErrRequest.Error()},
	} {
		out, err := d.give(part, test.person, test.request, test.args...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: it was given", name)
		}
	}
	if _, err := d.give(part, 0, request); err != nil {
		t.Errorf("a good one: %v", err)
	}
}
