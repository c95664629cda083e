//go:build unix

package worker

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

var attestNoon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// machine is a machine with SGX or TDX, of a synthetic Intel: Gramine's files, or
// the kernel's.
type machine struct {
	files, root string
	kit         *dcaptest.Kit
	at          time.Time
}

// newMachine makes one with SGX of the same Intel and program each time; change
// makes it a bad one. name decides on its sealing keys.
func newMachine(t *testing.T, name string, change func(*dcaptest.Kit)) *machine {
	t.Helper()
	return newMachineAt(t, tee.SGX, attestNoon, name, change)
}

func newMachineAt(t *testing.T, kind tee.Kind, at time.Time, name string, change func(*dcaptest.Kit)) *machine {
	t.Helper()
	k := dcaptest.New("worker", kind, at)
	m := &machine{files: t.TempDir(), root: filepath.Join(t.TempDir(), "root.pem"), kit: k, at: at}
	if err := os.WriteFile(m.root, k.RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(k)
	}
	var files *dcaptest.Files
	var err error
	if kind == tee.SGX {
		files, err = dcaptest.Gramine(m.files, name, k.Quoter())
	} else {
		files, err = dcaptest.TSM(m.files, tsm.ProviderTDX, nil, k.Quoter())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *machine) attestation() Attestation {
	return Attestation{Platform: "sgx", DCAPRoot: m.root, gramine: m.files, now: func() time.Time { return attestNoon }}
}

// withCollateral returns the same with a folder that has its collateral.
func (m *machine) withCollateral(t *testing.T) Attestation {
	t.Helper()
	a := m.attestation()
	a.Collateral = m.collateral(t)
	return a
}

// measurement is that of its program.
func (m *machine) measurement() tee.Measurement {
	if m.kit.Kind == tee.TDX {
		return m.kit.TDX.Measurement()
	}
	return m.kit.SGX.MREnclave
}

// policy accepts its program on machines of its kind.
func (m *machine) policy() tee.Policy {
	return tee.Policy{Kinds: []tee.Kind{m.kit.Kind}, Measurements: []tee.Measurement{m.measurement()}}
}

// trust is that of a client who demands evidence by this policy, and the trust
// config of a development shard.
func (m *machine) trust(r client.Registry) client.Trust {
	policy := m.policy()
	config := enclave.DevTrustConfig(r.Genesis(), integritee.ShardID(m.measurement()), "integritee-sample").Hash()
	return client.Trust{Registry: r, Policy: &policy, TrustConfig: &config,
		Verifiers: []tee.Verifier{&dcap.Verifier{TEE: m.kit.Kind, Root: m.kit.Root(), Now: func() time.Time { return m.at }}}}
}

// collateral makes the folder.
func (m *machine) collateral(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	own, err := dcap.PlatformOf(m.kit.Quote(), m.kit.Root(), m.at)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, own.String()+".json"), m.kit.Collateral().Encode(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// newAttestedNetwork starts a chain that trusts the Intel of a machine, and tells
// the time of a clock.
func newAttestedNetwork(t *testing.T, m *machine, clock func() time.Time) *network {
	t.Helper()
	return newNetwork(t, devchain.Config{Clock: clock, Runtime: runtime.Options{DCAPRoot: string(m.kit.Root().Raw)}})
}

// TestHardware: workers on machines with (files of) SGX serve a shard whose
// policy demands genuine evidence of one program. Only who shows it gets the keys.
func TestHardware(t *testing.T) {
	t.Parallel()
	good := newMachine(t, "good", nil)
	n := newAttestedNetwork(t, good, func() time.Time { return attestNoon })
	measurement := good.kit.SGX.MREnclave
	n.id = integritee.ShardID(measurement)
	policy := filepath.Join(t.TempDir(), "policy.json")
	text, err := json.Marshal(tee.Policy{Kinds: []tee.Kind{tee.SGX}, Measurements: []tee.Measurement{measurement}})
	if err == nil {
		err = os.WriteFile(policy, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	start := func(name string, a Attestation, log *slog.Logger) *Worker {
		t.Helper()
		cfg := n.config(name, t.TempDir())
		cfg.SkipRA, cfg.Attestation, cfg.Attestation.Policy, cfg.Logger = false, a, policy, log
		return n.start(cfg)
	}
	first := start("first", good.withCollateral(t), n.log)
	n.ready(first)
	second := start("second", newMachine(t, "another", nil).withCollateral(t), n.log)
	n.ready(second)
	s := n.session(second)
	n.shield(s, alice.AccountID(), 50*unit)
	out, err := s.Invoke(n.ctx, client.Invocation{Shard: n.shard(), Fingerprint: integritee.Fingerprint(measurement),
		Call: sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit)), Sender: alice.AccountID(), Signer: alice, Payer: alice})
	if err != nil || !out.Succeeded() {
		t.Fatalf("%+v, %v", out, err)
	}
	n.sameState(first, second)
	if st := second.Status(); st.Fingerprint != measurement || st.HealthCode != "ok" {
		t.Errorf("%+v", st)
	}

	for name, c := range map[string]struct {
		change func(*dcaptest.Kit)
		want   string
	}{
		"a debug enclave": {func(k *dcaptest.Kit) { k.SGX.Attributes[0] |= 2 }, "refused by the peer: debug enclave not accepted"},
		"an old platform": {func(k *dcaptest.Kit) { k.PCK.PCESVN-- }, "refused by the peer: platform not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, name, c.change)
			log := new(lockedText)
			cfg := n.config(name, t.TempDir())
			cfg.SkipRA, cfg.Attestation, cfg.Logger = false, m.attestation(), slogText(log)
			w, err := Start(n.ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			for !strings.Contains(log.String(), c.want) {
				select {
				case <-w.Ready():
					t.Fatal("it has the keys")
				case <-n.ctx.Done():
					t.Fatalf("it was not refused: %s", log.String())
				case <-time.After(5 * time.Millisecond): // there is no event for a line of the log
				}
			}
		})
	}
}

// TestAttestationConfig: what does not fit together is refused at the start.
func TestAttestationConfig(t *testing.T) {
	m := newMachine(t, "good", nil)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		change func(*Attestation)
		is     func(error) bool
	}{
		"unknown platform":      {func(a *Attestation) { a.Platform = "sev" }, func(err error) bool { return errors.Is(err, errUnknownPlatform) }},
		"no enclave":            {func(a *Attestation) { a.gramine = t.TempDir() }, says("no enclave")},
		"nothing there":         {func(a *Attestation) { a.Platform, a.gramine, a.tsm = "auto", t.TempDir(), t.TempDir() }, says("no SGX, SEV-SNP or TDX here")},
		"no policy file":        {func(a *Attestation) { a.Policy = filepath.Join(dir, "none") }, func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		"a policy of nothing":   {func(a *Attestation) { a.Policy = write("empty.json", "{}") }, func(err error) bool { return errors.Is(err, tee.ErrPolicy) }},
		"a policy with a typo":  {func(a *Attestation) { a.Policy = write("typo.json", `{"kind":["sgx"]}`) }, func(err error) bool { return errors.Is(err, tee.ErrPolicy) }},
		"no root":               {func(a *Attestation) { a.DCAPRoot = write("root.pem", "nothing") }, says("root of trust")},
		"another root":          {func(a *Attestation) { a.DCAPRoot = "" }, says("own quote")},
		"a PCCS that is no URL": {func(a *Attestation) { a.PCCS = "pccs" }, func(err error) bool { return err != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			a := m.attestation()
			c.change(&a)
			if p, err := a.open(t.TempDir(), "app", slog.New(slog.DiscardHandler)); p != nil || !c.is(err) {
				t.Errorf("%v", err)
			}
		})
	}

	simulated, err := new(Attestation).open(t.TempDir(), "app", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	of := m.attestation()
	hardware, err := of.open(t.TempDir(), "app", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p      *attestation
		change func(*attestation)
		want   string
	}{
		{simulated, func(*attestation) {}, "simulated platform"},
		{hardware, func(*attestation) {}, "not Intel's"},
		{hardware, func(a *attestation) { a.synthetic = false }, ""},
		{hardware, func(a *attestation) { a.policy.AllowDebug = true }, "host can read"},
		{hardware, func(a *attestation) { a.policy.AllowDebug, a.policy.Kinds = false, []tee.Kind{tee.SGX, tee.Sim} }, "policy accepts the simulated"},
	} {
		c.change(c.p)
		if err := c.p.checkClass(enclave.InsecureDev); err != nil {
			t.Error(err)
		}
		if err := c.p.checkClass(enclave.Production); (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, errClass) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
