//go:build unix

package worker

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
	"github.com/offchain-worker/sdk/tee/snp"
	"github.com/offchain-worker/sdk/tee/snp/snptest"
)

var attestNoon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// machine is a machine with SGX or TDX of a synthetic Intel, or with SEV-SNP of a
// synthetic AMD: Gramine's files, or the kernel's.
type machine struct {
	kind        tee.Kind
	files, root string        // folder; file with the synthetic root
	kit         *dcaptest.Kit // nil with SEV-SNP
	amd         *snptest.AMD  // nil but with SEV-SNP
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
	m := &machine{kind: kind, files: t.TempDir(), kit: k, at: at}
	m.root = writeFile(t, "root.pem", k.RootPEM())
	if change != nil {
		change(k)
	}
	if kind == tee.SGX {
		m.serve(t)(dcaptest.Gramine(m.files, name, k.Quoter()))
	} else {
		m.serve(t)(dcaptest.TSM(m.files, tsm.ProviderTDX, nil, k.Quoter()))
	}
	return m
}

// derivedKey is the file, beside the kernel's, that stands for what the firmware of
// SEV-SNP derives.
const derivedKey = "derived-key"

// newGuest makes a guest of SEV-SNP. All are of one AMD and program; change makes
// it a bad one. name is that of its chip, which decides on its sealing keys.
func newGuest(t *testing.T, at time.Time, name string, v tee.SNPVersions, change func(*snptest.AMD)) *machine {
	t.Helper()
	var chip [64]byte
	copy(chip[:], name)
	a := snptest.NewMachine(at, chip, v)
	m := &machine{kind: tee.SNP, files: t.TempDir(), amd: a, at: at}
	m.root = writeFile(t, "amd.pem", a.ChainPEM())
	if change != nil {
		change(a)
	}
	m.serve(t)(dcaptest.TSM(m.files, tsm.ProviderSNP, a.Collateral().Certificates, a.Sign))
	key := a.DerivedKey()
	if err := os.WriteFile(filepath.Join(m.files, derivedKey), key[:], 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// deriver reads the file in folder files.
func deriver(files string) func() ([32]byte, error) {
	return func() (key [32]byte, err error) {
		b, err := os.ReadFile(filepath.Join(files, derivedKey))
		copy(key[:], b)
		return key, err
	}
}

// newGoodMachine makes one of a kind, by newMachineAt or newGuest.
func newGoodMachine(t *testing.T, kind tee.Kind, at time.Time, name string) *machine {
	t.Helper()
	if kind == tee.SNP {
		return newGuest(t, at, name, snptest.Versions, nil)
	}
	return newMachineAt(t, kind, at, name, nil)
}

// serve takes files that are served, until the test ends.
func (m *machine) serve(t *testing.T) func(*dcaptest.Files, error) {
	return func(files *dcaptest.Files, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := files.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (m *machine) attestation() Attestation {
	a := Attestation{Platform: m.kind.String(), gramine: m.files, tsm: m.files, deriveKey: deriver(m.files), now: m.clock}
	if m.amd != nil {
		a.SNPRoot = m.root
	} else {
		a.DCAPRoot = m.root
	}
	return a
}

// withCollateral returns the same with a folder that has its collateral.
func (m *machine) withCollateral(t *testing.T) Attestation {
	t.Helper()
	a := m.attestation()
	a.Collateral = m.collateral(t)
	return a
}

// args are the arguments of a worker there, in a process of its own, but for
// collateral and command.
func (m *machine) args() []string {
	name, root := m.rootFlag()
	return []string{machineArg, m.files, m.files, "--tee", m.kind.String(), name, root}
}

// rootFlag is the flag that has programs trust its vendor.
func (m *machine) rootFlag() (name, file string) {
	if m.amd != nil {
		return "--snp-root", m.root
	}
	return "--dcap-root", m.root
}

// measurement is that of its program.
func (m *machine) measurement() tee.Measurement {
	switch m.kind {
	case tee.SNP:
		return m.amd.Measurement()
	case tee.TDX:
		return m.kit.TDX.Measurement()
	}
	return m.kit.SGX.MREnclave
}

// policy accepts its program on machines of its kind.
func (m *machine) policy() tee.Policy {
	p := tee.Policy{Kinds: []tee.Kind{m.kind}, Measurements: []tee.Measurement{m.measurement()}}
	if m.amd != nil {
		p.TCB.MinSNP = &snptest.Versions
	}
	return p
}

// clock tells the time there.
func (m *machine) clock() time.Time { return m.at }

// verifier trusts its vendor.
func (m *machine) verifier() tee.Verifier {
	if m.amd != nil {
		return m.amd.Verifier()
	}
	return &dcap.Verifier{TEE: m.kind, Root: m.kit.Root(), Now: m.clock}
}

// trust is that of a client who demands evidence by this policy, and the trust
// config of a development shard.
func (m *machine) trust(r client.Registry) client.Trust {
	policy := m.policy()
	config := enclave.DevTrustConfig(r.Genesis(), integritee.ShardID(m.measurement()), "integritee-sample").Hash()
	return client.Trust{Registry: r, Policy: &policy, TrustConfig: &config, Verifiers: []tee.Verifier{m.verifier()}}
}

// collateral makes the folder.
func (m *machine) collateral(t *testing.T) string {
	t.Helper()
	if m.amd != nil {
		return filepath.Dir(writeFile(t, verifiers.CRLName("Milan", false), m.amd.Collateral().CRL))
	}
	own, err := dcap.PlatformOf(m.kit.Quote(), m.kit.Root(), m.at)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(writeFile(t, own.String()+".json", m.kit.Collateral().Encode()))
}

// dcapRoot is what a chain takes for Intel's root; "" is Intel's.
func (m *machine) dcapRoot() string {
	if m.kit == nil {
		return ""
	}
	return string(m.kit.Root().Raw)
}

// newAttestedNetwork starts a chain that trusts the Intel of a machine, and tells
// the time of a clock.
func newAttestedNetwork(t *testing.T, m *machine, clock func() time.Time) *network {
	t.Helper()
	return newNetwork(t, devchain.Config{Clock: clock, Runtime: runtime.Options{DCAPRoot: m.dcapRoot()}})
}

// TestHardware: workers on machines with (files of) SGX or SEV-SNP serve a shard
// whose policy demands genuine evidence of one program. Only who shows it gets the
// keys, and clients who demand something else do not take them.
func TestHardware(t *testing.T) {
	t.Parallel()
	enclave := func(name string, change func(*dcaptest.Kit)) func(*testing.T) *machine {
		return func(t *testing.T) *machine { return newMachine(t, name, change) }
	}
	guest := func(v tee.SNPVersions, change func(*snptest.AMD)) func(*testing.T) *machine {
		return func(t *testing.T) *machine { return newGuest(t, attestNoon, "bad", v, change) }
	}
	older := snptest.Versions
	older.Microcode--
	type bad struct {
		name string
		make func(*testing.T) *machine
		want string // in its log, or why it ended
	}
	for _, c := range []struct {
		kind   tee.Kind
		skipRA bool // the chain cannot verify its evidence
		bad    []bad
	}{
		{tee.SGX, false, []bad{
			{"a debug enclave", enclave("debug", func(k *dcaptest.Kit) { k.SGX.Attributes[0] |= 2 }), "refused by the peer: debug enclave not accepted"},
			{"an old platform", enclave("old", func(k *dcaptest.Kit) { k.PCK.PCESVN-- }), "refused by the peer: platform not accepted"},
		}},
		{tee.SNP, true, []bad{
			{"a guest under debug", guest(snptest.Versions, func(a *snptest.AMD) { a.Report[0xa] |= 1 << 3 }), "refused by the peer: debug enclave not accepted"},
			{"a guest that can migrate", guest(snptest.Versions, func(a *snptest.AMD) { a.Report[0xa] |= 1 << 2 }), "refused by the peer: platform not accepted: tee: migratable guest not accepted"},
			{"an old platform", guest(older, nil), "refused by the peer: platform not accepted"},
			{"another program", guest(snptest.Versions, func(a *snptest.AMD) { a.Report[0x90]++ }), "is configured on chain for the program"},
		}},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			t.Parallel()
			good := newGoodMachine(t, c.kind, attestNoon, "good")
			n := newAttestedNetwork(t, good, func() time.Time { return attestNoon })
			measurement := good.measurement()
			n.id = integritee.ShardID(measurement)
			policy := writeJSON(t, filepath.Join(t.TempDir(), "policy.json"), good.policy())
			config := func(name string, a Attestation, log *slog.Logger) Config {
				cfg := n.config(name, t.TempDir())
				cfg.SkipRA, cfg.Attestation, cfg.Logger, cfg.Shard = c.skipRA, a, log, n.id
				return cfg
			}
			start := func(name string, m *machine) *Worker {
				t.Helper()
				a := m.withCollateral(t)
				a.Policy = policy
				w := n.start(config(name, a, n.log))
				n.ready(w)
				return w
			}
			first := start("first", good)
			second := start("second", newGoodMachine(t, c.kind, attestNoon, "another"))
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

			chain, err := client.DialChain(n.ctx, n.url)
			if err != nil {
				t.Fatal(err)
			}
			defer chain.Close()
			for name, demand := range map[string]struct {
				change func(*client.Trust)
				want   error
			}{
				"this program":    {func(*client.Trust) {}, nil},
				"another program": {func(t *client.Trust) { t.Policy.Measurements = []tee.Measurement{{1}} }, tee.ErrMeasurement},
				"another kind":    {func(t *client.Trust) { t.Policy.Kinds = []tee.Kind{tee.TDX} }, tee.ErrKind},
				"a true vendor":   {func(t *client.Trust) { t.Verifiers = verifiers.All(verifiers.Config{Now: good.clock}) }, tee.ErrNotGenuine},
			} {
				trust := good.trust(chain)
				demand.change(&trust)
				r, err := client.VerifyWorker(n.ctx, second.TrustedURL(), trust)
				if err != nil || !errors.Is(errors.Join(r.Reasons...), demand.want) || r.Accepted() != (demand.want == nil) {
					t.Errorf("a client who demands %s: %+v, %v", name, r, err)
				}
			}

			for _, b := range c.bad {
				t.Run(b.name, func(t *testing.T) {
					log := new(lockedText)
					w, err := Start(n.ctx, config(b.name, b.make(t).attestation(), slogText(log)))
					if err != nil {
						t.Fatal(err)
					}
					defer w.Stop()
					for !strings.Contains(log.String(), b.want) {
						select {
						case <-w.Ready():
							t.Fatal("it has the keys")
						case <-w.Done():
							if err := w.Wait(); !strings.Contains(err.Error(), b.want) {
								t.Fatalf("it ended: %v", err)
							}
							return
						case <-n.ctx.Done():
							t.Fatalf("it was not refused: %s", log.String())
						case <-time.After(5 * time.Millisecond): // there is no event for a line of the log
						}
					}
				})
			}
		})
	}
}

// TestGuest: evidence of a guest of SEV-SNP carries the CRL of the folder, as it is
// now, and by default a worker accepts its own program on machines that are not older.
func TestGuest(t *testing.T) {
	m := newGoodMachine(t, tee.SNP, attestNoon, "guest")
	a := m.withCollateral(t)
	p, err := a.open(t.TempDir(), "app", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.policy(), p.policy); diff != "" {
		t.Errorf("default policy: want -, got +:\n%s", diff)
	}
	verify := func() error {
		e, err := p.Attest(tee.ReportData{1})
		if err == nil {
			_, err = tee.Verify(e, m.verifier())
		}
		return err
	}
	if err := verify(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(a.Collateral, verifiers.CRLName("Milan", false))); err != nil {
		t.Fatal(err)
	}
	if err := verify(); !errors.Is(err, snp.ReasonCRL) {
		t.Errorf("without CRL: %v", err)
	}

	uncertified := *m
	uncertified.files = t.TempDir()
	uncertified.serve(t)(dcaptest.TSM(uncertified.files, tsm.ProviderSNP, nil, m.amd.Sign))
	a = uncertified.attestation()
	if p, err := a.open(t.TempDir(), "app", slog.New(slog.DiscardHandler)); p != nil || !errors.Is(err, snp.ReasonCertificates) {
		t.Errorf("a host without certificates: %v", err)
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
		"no root of AMD":        {func(a *Attestation) { a.SNPRoot = write("amd.pem", "nothing") }, says("root of trust for SEV-SNP")},
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

	open := func(a Attestation) *attestation {
		t.Helper()
		p, err := a.open(t.TempDir(), "app", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	simulated, hardware, amd := open(Attestation{}), open(m.attestation()), open(newGoodMachine(t, tee.SNP, attestNoon, "good").attestation())
	for _, c := range []struct {
		p      *attestation
		change func(*attestation)
		want   string
	}{
		{simulated, func(*attestation) {}, "simulated platform"},
		{hardware, func(*attestation) {}, "not Intel's"},
		{amd, func(*attestation) {}, "or AMD's"},
		{amd, func(a *attestation) { a.synthetic = false }, ""},
		{hardware, func(a *attestation) { a.synthetic = false }, ""},
		{hardware, func(a *attestation) { a.policy.AllowDebug = true }, "host can read"},
		{hardware, func(a *attestation) { a.policy.AllowDebug, a.policy.AllowMigratable = false, true }, "move to another machine"},
		{hardware, func(a *attestation) { a.policy.AllowMigratable, a.policy.MaxVMPL = false, 1 }, "highest privilege level"},
		{hardware, func(a *attestation) { a.policy.MaxVMPL, a.policy.Kinds = 0, []tee.Kind{tee.SGX, tee.Sim} }, "policy accepts the simulated"},
	} {
		c.change(c.p)
		if err := c.p.checkTrust(&enclave.TrustConfig{Class: enclave.InsecureDev}); err != nil {
			t.Error(err)
		}
		if err := c.p.checkTrust(&enclave.TrustConfig{Class: enclave.InsecureDev, Insecure: 1}); (err == nil) != (c.p == simulated) || err != nil && !errors.Is(err, errInsecureTEE) {
			t.Errorf("a node's word: %v", err)
		}
		if err := c.p.checkTrust(&enclave.TrustConfig{Class: enclave.Production}); (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, errClass) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
