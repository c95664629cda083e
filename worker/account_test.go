package worker

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/escrow"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sim"
)

// office is a shard whose workers keep each other's accounts, and an operator.
type office struct {
	*network
	trust     trustconfig.Config
	trustFile string
	operator  *keyring.Pair
	keyFile   string
}

func newOffice(t *testing.T) *office {
	o := &office{network: newNetwork(t, devchain.Config{}), operator: pair("//Operator"), keyFile: filepath.Join(t.TempDir(), "operator")}
	o.trust = withUpgradeKeys(enclave.DevTrustConfig(o.chain.Genesis(), o.shard(), o.app.Name()))
	o.trustFile = writeJSON(t, filepath.Join(t.TempDir(), "trust.json"), o.trust)
	if err := os.WriteFile(o.keyFile, []byte("//Operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) config(name, instance string) Config {
	cfg := o.network.config(name, o.t.TempDir())
	cfg.TrustConfig, cfg.depositEvery = o.trustFile, 1
	if instance != "" {
		cfg.Instance, cfg.OperatorKey = instance, o.operator.AccountID()
	}
	return cfg
}

// account runs a subcommand of the worker's account.
func (o *office) account(dir string, want int, args ...string) (stderr string) {
	o.t.Helper()
	var out, errs bytes.Buffer
	if code := Main(o.app, append([]string{"-d", dir, "-u", o.url, "account"}, args...), &out, &errs); code != want {
		o.t.Fatalf("account %v: exit code %d, %s", args, code, &errs)
	}
	return errs.String()
}

// request has a worker ask for the account of an instance.
func (o *office) request(dir, instance string) (file string) {
	o.t.Helper()
	file = filepath.Join(o.t.TempDir(), "request.json")
	o.account(dir, 0, "request", "--trust-config", o.trustFile, "--instance", instance, "--out", file)
	return file
}

// release runs ocw account release, and returns the file.
func (o *office) release(request string, more ...string) (string, error) {
	out := filepath.Join(o.t.TempDir(), "release.json")
	if len(more) == 0 {
		more = []string{"--operator-key", o.operator.AccountID().String(), "--key", o.keyFile, "--trust-config", o.trustFile, "--insecure-dev"}
	}
	cmd := inspect.AccountCommand()
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(append([]string{"release", request, "--out", out}, more...))
	return out, cmd.Execute()
}

// TestLostAccount loses what the second worker of a shard is sealed with. In a new
// folder it has the same account again, and no more of the shard's places are taken.
func TestLostAccount(t *testing.T) {
	o := newOffice(t)
	first := o.start(o.config("first", "worker-1"))
	o.ready(first)
	cfg := o.config("second", "worker-2")
	second := o.start(cfg)
	o.ready(second)
	o.shield(o.session(second), alice.AccountID(), 10*unit)
	o.signers(first, 2)
	for _, w := range []*Worker{first, second} {
		o.tick(w, "nobody keeps its account", func() bool { return w.Status().Keepers == 1 })
	}
	account := second.account.AccountID()
	stopped(t, second)
	if err := os.Remove(filepath.Join(cfg.DataDir, sim.SealFile)); err != nil {
		t.Fatal(err)
	}
	o.startFailing(cfg, "account key", ErrSealed.Error())
	if got := o.account(cfg.DataDir, 1, "request", "--trust-config", o.trustFile, "--instance", "worker-2", "--out", filepath.Join(t.TempDir(), "r")); !strings.Contains(got, "does not open") {
		t.Errorf("over an account that does not open: %s", got)
	}

	// With another account it would take another place.
	o.startFailing(o.config("careless", "worker-2"), "instance worker-2", escrow.ErrTaken.Error(), account.String())
	// The one that keeps it may be restarted, and rotate keys.
	stopped(t, first)
	first = o.start(first.cfg)
	o.ready(first)

	dir := t.TempDir()
	request := o.request(dir, "worker-2")
	release, err := o.release(request)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if got := o.account(elsewhere, 1, "restore", release, "--trust-config", o.trustFile, "--peer", first.TrustedURL()); !strings.Contains(got, "account request comes first") {
		t.Errorf("without a request: %s", got)
	}
	o.request(elsewhere, "worker-2")
	if got := o.account(elsewhere, 1, "restore", release, "--trust-config", o.trustFile, "--peer", first.TrustedURL()); !strings.Contains(got, "another enclave's request") {
		t.Errorf("another enclave: %s", got)
	}
	// Whoever is in between, or on the way, gives nothing: what he chose would be taken.
	if got := o.account(dir, 1, "restore", release, "--trust-config", o.trustFile, "--peer", newTLSEnd(t, first.TrustedURL()).url); !strings.Contains(got, errNotAppraised.Error()) {
		t.Errorf("somebody who ends TLS: %s", got)
	}
	o.account(dir, 0, "restore", release, "--trust-config", o.trustFile, "--peer", "wss://127.0.0.1:1", "--peer", first.TrustedURL())
	if got := o.account(dir, 1, "restore", release, "--trust-config", o.trustFile, "--peer", first.TrustedURL()); !strings.Contains(got, errHasAccount.Error()) {
		t.Errorf("twice: %s", got)
	}

	cfg.DataDir = dir
	second = o.start(cfg)
	o.ready(second)
	if got := second.account.AccountID(); got != account {
		t.Errorf("its account is %s, it was %s", got, account)
	}
	before := len(o.confirmations(second))
	o.shield(o.session(second), alice.AccountID(), unit)
	o.tick(second, "it does not confirm", func() bool { return len(o.confirmations(second)) > before })
	o.tick(second, "its account is not kept any more", func() bool { return second.Status().Keepers == 1 })
	o.signers(first, 2)

	// What was given back is the account of this shard alone.
	stopped(t, second)
	other := o.trust
	other.Upgrade.Threshold = 1
	cfg.TrustConfig, cfg.CleanReset = writeJSON(t, filepath.Join(t.TempDir(), "other.json"), other), true
	if err := os.Remove(filepath.Join(dir, materialFile)); err != nil {
		t.Fatal(err)
	}
	o.startFailing(cfg, "given back for another shard or chain")
}

// TestAccountOfAnUpgrade: a program that the upgrade keys have approved gets the
// account of the one before it, and no other program does.
func TestAccountOfAnUpgrade(t *testing.T) {
	o := newOffice(t)
	next := sim.Measurement("program-2")
	approvals, none := t.TempDir(), t.TempDir()
	approve(t, &o.trust, approvals, "next", next, upgradeKeys...)
	approve(t, &o.trust, none, "own", tee.Measurement(o.program()), upgradeKeys...)
	own := sim.Measurement(o.app.Name())
	keeps := func(approvals string) *Worker {
		cfg := o.config("keeper", "")
		cfg.Approvals = approvals
		w := o.start(cfg)
		o.ready(w)
		return w
	}
	careful, w := keeps(none), keeps(approvals)
	for _, k := range []*Worker{careful, w} {
		if err := k.custodian.keep(o.ctx, o.deposit(k, "lost", careful.account)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	var out, errs bytes.Buffer
	run := func(args ...string) (int, string) {
		errs.Reset()
		code := Main(o.app, append([]string{"-d", dir, "-u", o.url, "--sim-measurement", "program-2", "account"}, args...), &out, &errs)
		return code, errs.String()
	}
	request := filepath.Join(t.TempDir(), "request.json")
	if code, text := run("request", "--trust-config", o.trustFile, "--instance", "lost", "--out", request); code != 0 {
		t.Fatal(text)
	}
	release, err := o.release(request)
	if err != nil {
		t.Fatal(err)
	}
	if code, text := run("restore", release, "--trust-config", o.trustFile, "--peer", w.TrustedURL()); code != 1 || !strings.Contains(text, errNotAppraised.Error()) || !strings.Contains(text, own.String()) {
		t.Errorf("from a program that it does not accept: %s", text)
	}
	ofOld := t.TempDir()
	approve(t, &o.trust, ofOld, "old", own, upgradeKeys...)
	if code, text := run("restore", release, "--trust-config", o.trustFile, "--approvals", ofOld, "--peer", careful.TrustedURL()); code != 1 || !strings.Contains(text, next.String()) {
		t.Errorf("to a program that is not accepted: %s", text)
	}
	if code, text := run("restore", release, "--trust-config", o.trustFile, "--approvals", ofOld, "--peer", w.TrustedURL()); code != 0 || !strings.Contains(text, careful.account.AccountID().String()) {
		t.Errorf("to one that is: %s", text)
	}
}

// deposit returns what a worker of the shard would send to have an account kept.
func (o *office) deposit(w *Worker, instance string, account *keyring.Pair) []byte {
	seed, _ := account.Seed()
	_, number := w.chain.recentBlock()
	return o.seal(w, &escrow.Deposit{Instance: instance, Operator: o.operator.AccountID(), Seed: seed, Number: number})
}

func (o *office) seal(w *Worker, d *escrow.Deposit) []byte {
	return escrow.Seal(d, w.escrowScope(), store.RandomNonce(w.ring.Load().Root().EscrowKey()))
}

// keep sends a deposit, as anybody could.
func (o *office) keep(c *rpcclient.Client, sealed []byte) error {
	return c.Call(o.ctx, "ocw_keepAccount", []any{hex.EncodeToString(sealed)}, new(bool))
}

// TestDepositAttacks: what is no deposit of an enclave of the shard, or would
// displace another's, is refused by name, and changes nothing.
func TestDepositAttacks(t *testing.T) {
	o := newOffice(t)
	w := o.start(o.config("worker", ""))
	o.ready(w)
	c := o.dialRPC(w)
	kept := pair2("kept")
	lost := pair2("lost")
	for _, p := range []*keyring.Pair{kept, lost} {
		o.pay(alice, o.nextIndex(alice.AccountID()), p.AccountID(), 10*unit)
		o.untilExists(p.AccountID())
		o.register(p, o.program())
	}
	o.until(w, "the accounts are not registered", func() bool {
		a, _, err := w.enrolled(o.ctx, kept.AccountID())
		b, _, err2 := w.enrolled(o.ctx, lost.AccountID())
		return err == nil && err2 == nil && a != nil && b != nil
	})
	// While the disk fails nobody is told that anything is kept.
	file := filepath.Join(w.cfg.DataDir, escrowFile)
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := o.keep(c, o.deposit(w, "kept", kept)); err == nil || !strings.Contains(err.Error(), "the disk fails") {
		t.Errorf("on a disk that fails: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := o.keep(c, o.deposit(w, "kept", kept)); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := kept.Seed()
	if bytes.Contains(before, seed[:]) {
		t.Error("the seed is on the disk")
	}
	_, number := w.chain.recentBlock()
	good := escrow.Deposit{Instance: "kept", Operator: o.operator.AccountID(), Seed: seed, Number: number + 1}
	lostSeed, _ := lost.Seed()
	strangerSeed, _ := pair2("stranger").Seed()
	sealed := o.seal(w, &good)
	otherRoot := *w.ring.Load().Root()
	otherRoot.RootSeed[0]++
	scope := w.escrowScope()
	key := store.RandomNonce(w.ring.Load().Root().EscrowKey())
	with := func(change func(*escrow.Deposit)) []byte {
		d := good
		change(&d)
		return o.seal(w, &d)
	}
	for name, test := range map[string]struct {
		sealed []byte
		want   error
	}{
		"garbage":                      {bytes.Repeat([]byte{7}, 260), escrow.ErrDeposit},
		"too large":                    {make([]byte, escrow.MaxSealed+1), escrow.ErrDeposit},
		"a flipped bit":                {append(bytes.Clone(sealed[:len(sealed)-1]), sealed[len(sealed)-1]^1), escrow.ErrDeposit},
		"by who is no worker":          {escrow.Seal(&good, scope, store.RandomNonce(otherRoot.EscrowKey())), escrow.ErrDeposit},
		"of another shard":             {escrow.Seal(&good, escrow.Scope{TrustConfig: scope.TrustConfig}, key), escrow.ErrOtherShard},
		"of another trust config":      {escrow.Seal(&good, escrow.Scope{Shard: scope.Shard}, key), escrow.ErrOtherShard},
		"another operator key":         {with(func(d *escrow.Deposit) { d.Operator[0]++ }), escrow.ErrOperator},
		"another operator's account":   {with(func(d *escrow.Deposit) { d.Operator[0]++; d.Seed = lostSeed }), escrow.ErrOperator},
		"another operator, new name":   {with(func(d *escrow.Deposit) { d.Operator[0]++; d.Instance = "new" }), escrow.ErrOperator},
		"an older one":                 {with(func(d *escrow.Deposit) { d.Number = 0 }), escrow.ErrOlder},
		"an account that is none":      {with(func(d *escrow.Deposit) { d.Instance = "new"; d.Seed = strangerSeed }), errNotRegistered},
		"a seed that is no signer's":   {with(func(d *escrow.Deposit) { d.Seed = strangerSeed }), errNotRegistered},
		"a name that is a path upward": {with(func(d *escrow.Deposit) { d.Instance = "../x" }), escrow.ErrDeposit},
	} {
		if err := o.keep(c, test.sealed); err == nil || !strings.Contains(err.Error(), test.want.Error()) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for name, params := range map[string][]any{"nothing": nil, "a number": {7}, "no hex": {"0xzz"}} {
		if err := c.Call(o.ctx, "ocw_keepAccount", params, new(bool)); err == nil {
			t.Errorf("%s is kept", name)
		}
	}
	if err := o.keep(c, o.deposit(w, "kept", kept)); err != nil && !strings.Contains(err.Error(), escrow.ErrOlder.Error()) {
		t.Errorf("the same again: %v", err)
	}

	// A table that is full.
	w.custodian.mu.Lock()
	table := w.custodian.table
	for i := table.Len(); i < escrow.MaxKept; i++ {
		if table, err = table.With(&escrow.Deposit{Instance: fmt.Sprint("i", i), Operator: o.operator.AccountID(), Seed: hashing.Blake2b256([]byte{byte(i)})},
			func(keyring.AccountID) bool { return false }); err != nil {
			t.Fatal(err)
		}
	}
	w.custodian.table = table
	w.custodian.mu.Unlock()
	if err := o.keep(c, o.deposit(w, "more", lost)); err == nil || !strings.Contains(err.Error(), escrow.ErrFull.Error()) {
		t.Errorf("one too many: %v", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file has changed: %v", err)
	}

	// What does not open is not overwritten.
	stopped(t, w)
	if err := os.WriteFile(file, append(bytes.Clone(before[:len(before)-1]), before[len(before)-1]^1), 0o600); err != nil {
		t.Fatal(err)
	}
	o.startFailing(w.cfg, "keeps for others", ErrSealed.Error())
	if err := os.WriteFile(file, before, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := w.cfg
	cfg.CleanReset = true // forgets no keys
	w = o.start(cfg)
	o.ready(w)
	if d, err := w.custodian.table.Find("kept"); err != nil || d.Account() != kept.AccountID() {
		t.Errorf("after a restart: %v, %v", d, err)
	}
}

// pair2 is a key as workers have it.
func pair2(name string) *keyring.Pair {
	p, err := keyring.FromSeed(keyring.Ed25519, hashing.Blake2b256([]byte(name)))
	if err != nil {
		panic(err)
	}
	return p
}

// TestReleaseAttacks: an account is given to no enclave but the one that the operator
// of its instance has signed for, and that this worker would give keys to.
func TestReleaseAttacks(t *testing.T) {
	o := newOffice(t)
	w := o.start(o.config("worker", ""))
	o.ready(w)
	o.shield(o.session(w), alice.AccountID(), unit) // for some blocks
	c := o.dialRPC(w)
	for _, instance := range []string{"lost", "other"} {
		d := escrow.Deposit{Instance: instance, Operator: o.operator.AccountID(), Seed: [32]byte{byte(len(instance))}}
		if instance == "other" {
			d.Operator = ferdie.AccountID()
		}
		w.custodian.mu.Lock()
		table, err := w.custodian.table.With(&d, func(keyring.AccountID) bool { return false })
		w.custodian.table = table
		w.custodian.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	request := func(program string, change func(*keybackup.Request)) *keybackup.Request {
		hash, number := w.chain.recentBlock()
		r := &keybackup.Request{TrustConfig: o.trust, Recipient: id.Recipient(), Instance: &keybackup.Instance{Name: "lost", Block: hash, Number: number}}
		change(r)
		if err := r.Attest(sim.New(program, [32]byte{1})); err != nil {
			t.Fatal(err)
		}
		return r
	}
	asked := func(change func(*keybackup.Request)) *escrow.Release {
		return escrow.Sign(request(o.app.Name(), change), o.operator)
	}
	later := func(change func(*keybackup.Request)) *escrow.Release {
		r := asked(func(*keybackup.Request) {})
		change(r.Request)
		return r
	}
	ask := func(r any) (a releaseAnswer, err error) {
		w.custodian.mu.Lock()
		w.custodian.next = time.Time{}
		w.custodian.mu.Unlock()
		return a, c.Call(o.ctx, "ocw_releaseAccount", []any{r}, &a)
	}
	for name, test := range map[string]struct {
		release *escrow.Release
		want    error
	}{
		"an instance of which none is kept": {asked(func(r *keybackup.Request) { r.Instance.Name = "none" }), escrow.ErrNotKept},
		"an instance of another operator":   {asked(func(r *keybackup.Request) { r.Instance.Name = "other" }), escrow.ErrSignature},
		"another operator's signature":      {escrow.Sign(request(o.app.Name(), func(*keybackup.Request) {}), ferdie), escrow.ErrSignature},
		"another key, afterwards":           {later(func(r *keybackup.Request) { r.Recipient = stranger.Recipient() }), escrow.ErrSignature},
		"another block, afterwards":         {later(func(r *keybackup.Request) { r.Instance.Number++ }), escrow.ErrSignature},
		"another trust config, afterwards":  {later(func(r *keybackup.Request) { r.TrustConfig.App = "x" }), escrow.ErrSignature},
		"other evidence, afterwards":        {later(func(r *keybackup.Request) { r.Evidence.Quote[3]++ }), escrow.ErrSignature},
		"another trust config":              {asked(func(r *keybackup.Request) { r.TrustConfig.Upgrade.Threshold = 1 }), escrow.ErrOtherShard},
		"another shard":                     {asked(func(r *keybackup.Request) { r.TrustConfig.Shard = integritee.ShardID{1} }), escrow.ErrOtherShard},
		"an old request":                    {asked(func(r *keybackup.Request) { r.Instance.Block[0]++ }), errStaleRequest},
		"a request of the future":           {asked(func(r *keybackup.Request) { r.Instance.Block, r.Instance.Number = hashing.Hash{1}, 1<<32-1 }), errStaleRequest},
		"a block under another number":      {asked(func(r *keybackup.Request) { r.Instance.Number-- }), errStaleRequest},
		"another program":                   {escrow.Sign(request("another", func(*keybackup.Request) {}), o.operator), tee.ErrMeasurement},
		"evidence for another key": {func() *escrow.Release {
			r := request(o.app.Name(), func(*keybackup.Request) {})
			r.Recipient = stranger.Recipient()
			return escrow.Sign(r, o.operator)
		}(), tee.ErrReportData},
		"evidence that is none": {func() *escrow.Release {
			r := request(o.app.Name(), func(*keybackup.Request) {})
			r.Evidence.Quote[100]++
			return escrow.Sign(r, o.operator)
		}(), tee.ErrNotGenuine},
	} {
		if a, err := ask(test.release); err == nil || !strings.Contains(err.Error(), test.want.Error()) || len(a.Sealed) > 0 {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for name, garbage := range map[string]any{"nothing": nil, "a text": "x", "an object": map[string]any{"request": nil}, "a list": []int{1}} {
		if _, err := ask(garbage); err == nil || !strings.Contains(err.Error(), escrow.ErrRelease.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}

	good := asked(func(*keybackup.Request) {})
	a, err := ask(good)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := escrow.Take(a.Sealed, w.escrowScope(), id); err != nil || d.Account() != a.Account || d.Seed != [32]byte{4} {
		t.Errorf("the honest one: %v, %v", d, err)
	}
	if _, err := escrow.Take(a.Sealed, w.escrowScope(), stranger); !errors.Is(err, keybackup.ErrOpen) {
		t.Errorf("somebody else opens it: %v", err)
	}
	now := time.Now()
	w.custodian.next = time.Time{}
	if !w.custodian.admit(now) || w.custodian.admit(now.Add(releaseEvery-1)) || !w.custodian.admit(now.Add(releaseEvery)) {
		t.Error("evidence is looked at as often as somebody wants")
	}
}

// TestSimulatedAsksHardware: a worker whose policy wants hardware gives no account to
// a simulated enclave, whatever the operator has signed.
func TestSimulatedAsksHardware(t *testing.T) {
	o := newOffice(t)
	cfg := o.config("worker", "")
	cfg.Attestation.Policy = filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(cfg.Attestation.Policy, fmt.Appendf(nil, `{"kinds":["sgx"],"measurements":[%q]}`, sim.Measurement(o.app.Name())), 0o600); err != nil {
		t.Fatal(err)
	}
	w := o.start(cfg)
	o.ready(w)
	if err := w.custodian.keep(o.ctx, o.deposit(w, "lost", w.account)); err != nil {
		t.Fatal(err)
	}
	release, err := o.release(o.request(t.TempDir(), "lost"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(release)
	if err != nil {
		t.Fatal(err)
	}
	err = o.dialRPC(w).Call(o.ctx, "ocw_releaseAccount", []any{json.RawMessage(b)}, new(releaseAnswer))
	if err == nil || !strings.Contains(err.Error(), tee.ErrKind.Error()) {
		t.Errorf("%v, want %v", err, tee.ErrKind)
	}

	// Nor does a production shard's enclave ask on the simulated platform.
	production := o.trust
	production.Class = trustconfig.Production
	file := writeJSON(t, filepath.Join(t.TempDir(), "production.json"), production)
	dir := t.TempDir()
	o.account(dir, 0, "request", "--trust-config", file, "--instance", "lost", "--out", filepath.Join(t.TempDir(), "r"))
	if got := o.account(dir, 1, "restore", release, "--trust-config", file, "--peer", w.TrustedURL()); !strings.Contains(got, errClass.Error()) {
		t.Errorf("production: %s", got)
	}
}

// TestOperatorRefuses: an operator signs for no enclave that he was not told to.
func TestOperatorRefuses(t *testing.T) {
	o := newOffice(t)
	request := o.request(t.TempDir(), "lost")
	parts := filepath.Join(t.TempDir(), "parts.json")
	var out, errs bytes.Buffer
	if code := Main(o.app, []string{"-d", t.TempDir(), "backup", "request", "--trust-config", o.trustFile, "--out", parts}, &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"kinds":["sgx"],"measurements":["11111111111111111111111111111111"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	other := o.trust
	other.App = "another"
	otherFile := writeJSON(t, filepath.Join(t.TempDir(), "other.json"), other)
	key := []string{"--operator-key", o.operator.AccountID().String(), "--key", o.keyFile}
	for name, test := range map[string]struct {
		request string
		args    []string
		want    string
	}{
		"production":       {request, append(slices.Clip(key), "--trust-config", o.trustFile, "--policy", policy), "sim"},
		"no policy":        {request, append(slices.Clip(key), "--trust-config", o.trustFile), "--policy is needed"},
		"no trust config":  {request, append(slices.Clip(key), "--insecure-dev"), "--trust-config is needed"},
		"another shard":    {request, append(slices.Clip(key), "--trust-config", otherFile, "--insecure-dev"), "asks for the shard"},
		"parts":            {parts, append(slices.Clip(key), "--trust-config", o.trustFile, "--insecure-dev"), "for parts of a backup"},
		"another's key":    {request, []string{"--operator-key", ferdie.AccountID().String(), "--key", o.keyFile, "--trust-config", o.trustFile, "--insecure-dev"}, "not the operator key"},
		"no key":           {request, []string{"--operator-key", ferdie.AccountID().String(), "--trust-config", o.trustFile, "--insecure-dev"}, "either --key FILE"},
		"no account":       {request, []string{"--key", o.keyFile, "--trust-config", o.trustFile, "--insecure-dev"}, "--operator-key"},
		"a bad account":    {request, []string{"--operator-key", "x", "--key", o.keyFile, "--trust-config", o.trustFile, "--insecure-dev"}, "--operator-key"},
		"what is none":     {o.keyFile, append(slices.Clip(key), "--trust-config", o.trustFile, "--insecure-dev"), keybackup.ErrRequest.Error()},
		"what is not here": {filepath.Join(t.TempDir(), "none"), append(slices.Clip(key), "--trust-config", o.trustFile, "--insecure-dev"), "no such file"},
	} {
		out, err := o.release(test.request, test.args...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: it was signed", name)
		}
	}
	d := newDrill(t)
	if _, err := d.give(d.people[0], 0, request, "--trust-config", o.trustFile, "--insecure-dev"); err == nil || !strings.Contains(err.Error(), "for the account of an instance") {
		t.Errorf("a part for who asks for an account: %v", err)
	}
}

// TestRestoredAccountFile: a file of another form does not open as an account.
func TestRestoredAccountFile(t *testing.T) {
	d, p := &dataDir{path: t.TempDir(), fs: store.OS}, sim.New("app", [32]byte{1})
	r := restoredAccount{Version: 1, Seed: [32]byte{2}, Trust: hashing.Hash{3}}
	if err := d.seal(p, scale.MustMarshal(r), accountFile); err != nil {
		t.Fatal(err)
	}
	pair, trust, err := loadAccount(d, p)
	if want, _ := keyring.FromSeed(keyring.Ed25519, r.Seed); err != nil || trust != r.Trust || pair.AccountID() != want.AccountID() {
		t.Fatalf("%v, %v, %v", pair, trust, err)
	}
	r.Version = 2
	for name, b := range map[string][]byte{"empty": {}, "short": make([]byte, 31), "long": make([]byte, 33), "newer": scale.MustMarshal(r)} {
		if err := d.seal(p, b, accountFile); err != nil {
			t.Fatal(err)
		}
		if _, _, err := loadAccount(d, p); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEscrowConfig(t *testing.T) {
	for _, line := range []string{"--instance a", "--operator-key " + ferdie.AccountID().String(), "--instance a/b --operator-key " + ferdie.AccountID().String(), "--instance a --operator-key x"} {
		if _, err := configOf(t, "run --dev --skip-ra "+line); err == nil {
			t.Errorf("%s: accepted", line)
		}
	}
	c, err := configOf(t, "run --dev --skip-ra --instance worker-1 --operator-key "+ferdie.AccountID().String())
	if err != nil || c.Instance != "worker-1" || c.OperatorKey != ferdie.AccountID() {
		t.Errorf("%+v, %v", c, err)
	}
}
