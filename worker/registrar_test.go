//go:build unix

package worker

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// chainClock is a clock of a chain that a test moves.
type chainClock struct{ past atomic.Int64 }

func (c *chainClock) now() time.Time { return attestNoon.Add(time.Duration(c.past.Load())) }

func (c *chainClock) pass(d time.Duration) { c.past.Add(int64(d)) }

// enclave returns what the chain has of a worker, nil if it is not registered.
func (n *network) enclave(w *Worker) *integritee.SgxEnclave {
	n.t.Helper()
	raw, ok := n.chain.Best().State.Get(enclaveKey(w.account.AccountID()))
	if !ok {
		return nil
	}
	var m integritee.MultiEnclave
	if err := scale.Unmarshal(raw, &m); err != nil {
		n.t.Fatal(err)
	}
	return m.Sgx
}

// valueOf reads a counter or gauge.
func valueOf(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue() + out.GetGauge().GetValue()
}

// TestRegistrationIsKept: a worker that registers with quotes hands in the
// collateral that the chain needs, once, and renews what gets old, is removed, or
// that Intel says something new about.
func TestRegistrationIsKept(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "kept", nil)
	clock := new(chainClock)
	n := newAttestedNetwork(t, m, clock.now)
	n.id = integritee.ShardID(m.kit.SGX.MREnclave)
	log := new(lockedText)
	start := func(name string, a Attestation) *Worker {
		cfg := n.config(name, t.TempDir())
		cfg.SkipRA, cfg.Attestation, cfg.Logger = false, a, slogText(log)
		w := n.start(cfg)
		n.ready(w)
		return w
	}
	w := start("first", m.withCollateral(t))
	count := func(event string) int { return len(n.events("Teerex", event)) }
	sent := func(reason string) float64 { return valueOf(t, w.metrics.registrations.WithLabelValues(reason)) }
	// registration is for what the evidence vouches that the chain has; nil while
	// another is on its way.
	registration := func() *tee.Binding {
		told := w.registrations.Load()
		if told == nil || len(*told) != 1 {
			return nil
		}
		b, err := (*told)[0].Decode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	check := func(what string, added int) {
		t.Helper()
		e, b := n.enclave(w), registration()
		if e == nil || b == nil {
			t.Fatalf("%s: registered %+v for %+v", what, e, b)
		}
		if e.AttestationMethod.Dcap == nil || e.Status != integritee.SgxOk || e.BuildMode != integritee.SgxProduction || e.ReportData.D != b.ReportData(w.account.AccountID()) {
			t.Errorf("%s: registered %+v for %+v", what, e, b)
		}
		hash := w.ring.Load().Bound().Hash()
		if b.Purpose != tee.PurposeServe || b.Keys != hash || b.TrustConfig != w.trustHash || b.Shard != w.shard {
			t.Errorf("%s: the quote is for %+v", what, b)
		}
		chain, err := client.DialChain(n.ctx, n.url)
		if err != nil {
			t.Fatal(err)
		}
		defer chain.Close()
		r, err := client.VerifyWorker(n.ctx, w.TrustedURL(), m.trust(chain))
		if err != nil || !r.Accepted() || r.Basis != client.ByEvidence {
			t.Errorf("%s: a client is told %+v, %v", what, r, err)
		}
		if got := count("AddedSgxEnclave"); got != added {
			t.Errorf("%s: %d registrations, want %d", what, got, added)
		}
		if got := valueOf(t, w.metrics.registered); got != 1 || w.Status().HealthCode != "ok" {
			t.Errorf("%s: ocw_registered %v, health %s", what, got, w.Status().HealthCode)
		}
	}
	renewed := func(e *integritee.SgxEnclave, b *tee.Binding) func() bool {
		return func() bool {
			now := n.enclave(w)
			r := registration()
			return now != nil && (e == nil || now.Timestamp != e.Timestamp) && r != nil && *r != *b && valueOf(t, w.metrics.registered) == 1
		}
	}
	// Without keys, and then with them.
	check("at first", 2)
	if q, i := count("SgxQuotingEnclaveRegistered"), count("SgxTcbInfoRegistered"); q != 1 || i != 1 {
		t.Errorf("%d quoting enclaves, %d TCB infos", q, i)
	}
	if sent(reasonNone) != 1 || sent(reasonChanged) != 1 {
		t.Error("reasons are not told")
	}
	// The next has nothing to add.
	stopped(t, start("second", newMachine(t, "another", nil).attestation()))
	if q, i := count("SgxQuotingEnclaveRegistered"), count("SgxTcbInfoRegistered"); q != 1 || i != 1 {
		t.Errorf("%d quoting enclaves, %d TCB infos", q, i)
	}
	n.shield(n.session(w), alice.AccountID(), unit)

	before, binding := n.enclave(w), registration()
	clock.pass(20 * time.Hour)
	for range 3 * registrationEvery {
		n.tick(w, "no block", func() bool { return true })
	}
	check("before it is old", 4)
	clock.pass(5 * time.Hour)
	n.tick(w, "it is not renewed", renewed(before, binding))
	if sent(reasonAge) != 1 {
		t.Error("not renewed for its age")
	}
	n.until(w, "health", func() bool { return w.Status().HealthCode == "ok" })
	check("renewed", 5)

	// Bob removes it before it can be renewed: with the first block after two days.
	before, binding = n.enclave(w), registration()
	clock.pass(49 * time.Hour)
	bob := pair("//Bob")
	n.send(bob, n.nextIndex(bob.AccountID()), "Teerex", "unregister_sovereign_enclave", integritee.UnregisterSovereignEnclaveArgs{EnclaveSigner: w.account.AccountID()})
	n.until(w, "it is not removed", func() bool { return count("RemovedSovereignEnclave") == 1 })
	n.tick(w, "it is not registered again", renewed(before, binding))
	if sent(reasonNone) != 2 {
		t.Error("its absence is not counted")
	}
	if !strings.Contains(log.String(), "is not registered any more") {
		t.Error("its absence is not told")
	}
	n.until(w, "health", func() bool { return w.Status().HealthCode == "ok" })
	check("registered again", 6)

	// New collateral, which is registered before the enclave.
	before, binding = n.enclave(w), registration()
	newer := *m.kit
	newer.TCBInfo.IssueDate, newer.TCBInfo.NextUpdate = attestNoon.AddDate(0, 0, 1), attestNoon.AddDate(0, 0, 25)
	newer.TCBInfo.TCBEvaluationDataNumber++
	w.platform.use(newer.Collateral())
	n.tick(w, "new collateral changes nothing", renewed(before, binding))
	if sent(reasonCollateral) != 1 || count("SgxTcbInfoRegistered") != 2 || count("SgxQuotingEnclaveRegistered") != 1 {
		t.Errorf("TCB info %d times, quoting enclave %d times", count("SgxTcbInfoRegistered"), count("SgxQuotingEnclaveRegistered"))
	}
	// All along, it confirmed and paid.
	n.shield(n.session(w), alice.AccountID(), unit)
	n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
}

// TestRegistrationSkipped: those are renewed, too.
func TestRegistrationSkipped(t *testing.T) {
	t.Parallel()
	clock := new(chainClock)
	n := newNetwork(t, devchain.Config{Clock: clock.now})
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	if got := len(n.events("Teerex", "AddedSgxEnclave")); got != 1 {
		t.Errorf("registered %d times", got)
	}
	before := n.enclave(w).Timestamp
	clock.pass(renewAfter)
	n.tick(w, "not renewed", func() bool { return n.enclave(w).Timestamp != before })
	if got := valueOf(t, w.metrics.registrations.WithLabelValues(reasonAge)); got != 1 {
		t.Errorf("renewed %v times", got)
	}
}

// TestRegistrationRefused: what the chain will not take is said, without paying
// for it.
func TestRegistrationRefused(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "refused", nil)
	n := newAttestedNetwork(t, m, func() time.Time { return attestNoon.AddDate(0, 0, 60) })
	n.id = integritee.ShardID(m.kit.SGX.MREnclave)
	for name, c := range map[string]struct {
		a    Attestation
		want string
	}{
		"no collateral":  {m.attestation(), "does not know Intel's quoting enclave, and this worker has nothing that it could hand in: --collateral or --pccs is needed"},
		"old collateral": {m.withCollateral(t), "is for the time from 2026-02-28T12:00:00Z to 2026-03-30T12:00:00Z, the parentchain's is 2026-04-30"},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(lockedText)
			cfg := n.config(name, t.TempDir())
			cfg.SkipRA, cfg.Attestation, cfg.Logger = false, c.a, slogText(log)
			w := n.start(cfg)
			n.until(w, "nothing is said", func() bool { return strings.Contains(log.String(), c.want) })
			if s := w.Status(); s.HealthCode != "registration" {
				t.Errorf("health %s", s.HealthCode)
			}
			if got := len(n.events("Teerex", "AddedSgxEnclave")) + len(n.events("System", "ExtrinsicFailed")); got != 0 {
				t.Errorf("%d attempts", got)
			}
			stopped(t, w)
		})
	}
	old := newNetwork(t, devchain.Config{Runtime: runtime.Options{Legacy: true}})
	old.id = n.id
	cfg := old.config("2022", t.TempDir())
	cfg.SkipRA, cfg.Attestation = false, m.attestation()
	w, err := Start(old.ctx, cfg)
	if err == nil {
		err = old.ends(w)
	}
	if !errors.Is(err, errOldPallet) {
		t.Errorf("a chain of 2022: %v", err)
	}
}

// TestOnlySGX: quotes of other platforms are not for the chain.
func TestOnlySGX(t *testing.T) {
	for platform, fits := range map[string]bool{"": false, "sim": false, "tdx": false, "snp": false, "auto": true, "sgx": true} {
		cfg := Config{App: sampleApp(t), DataDir: t.TempDir(), NodeURL: "ws://127.0.0.1:1", Dev: true, Attestation: Attestation{Platform: platform}}
		if err := cfg.Check(); errors.Is(err, errNoQuotes) == fits {
			t.Errorf("%s: %v", platform, err)
		}
		cfg.SkipRA = true
		if err := cfg.Check(); err != nil {
			t.Errorf("%s: %v", platform, err)
		}
	}
}

// TestProof: quotes fit into what the pallet takes if they can.
func TestProof(t *testing.T) {
	k := dcaptest.New("proof", tee.SGX, attestNoon)
	k.SGX.MREnclave = [32]byte{1}
	quote := k.Quote()
	long := k.QuoteOf(k.Signed(), 5, append(k.PCKChain(), strings.Repeat("\n", 2000)...))
	for _, c := range []struct {
		quote []byte
		size  int // 0 is less than it has
	}{{quote, len(quote)}, {append(bytes.Clone(quote), make([]byte, 3000)...), len(quote)}, {long, 0}} {
		proof, err := proofOf(c.quote)
		if err != nil || len(proof) > integritee.MaxProofBytes || c.size != 0 && len(proof) != c.size {
			t.Errorf("%d bytes of %d: %v", len(proof), len(c.quote), err)
		}
		if _, err := dcap.Verify(proof, k.Collateral(), k.Root(), attestNoon); err != nil {
			t.Error(err)
		}
	}
	k.PCKCert.Subject.Organization = []string{strings.Repeat("long ", 700)}
	if _, err := proofOf(k.Quote()); err == nil || !strings.Contains(err.Error(), "takes 5000") {
		t.Errorf("%v", err)
	}
}

// TestRenewalAge: workers that began together do not renew together.
func TestRenewalAge(t *testing.T) {
	first := renewalAge()
	other := false
	for range 100 {
		age := renewalAge()
		if age > renewAfter || age <= renewAfter-renewJitter {
			t.Fatalf("%s", age)
		}
		other = other || age != first
	}
	if !other {
		t.Error("all at one age")
	}
}
