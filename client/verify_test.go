package client_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/approval"
	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/cli/fake"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
	"github.com/offchain-worker/sdk/tee/ratls"
	"github.com/offchain-worker/sdk/tee/sim"
	"github.com/offchain-worker/sdk/tee/snp/snptest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// machine is a platform whose evidence a test makes.
type machine struct {
	kind        tee.Kind
	measurement tee.Measurement
	quote       func(tee.ReportData) []byte
	aux         []byte
}

func (m *machine) Kind() tee.Kind                          { return m.kind }
func (m *machine) Measurement() tee.Measurement            { return m.measurement }
func (m *machine) SealingKey(string) (k [32]byte, e error) { return k, tee.ErrNoSealing }
func (m *machine) Attest(rd tee.ReportData) (tee.Evidence, error) {
	return tee.NewEvidence(m.kind, m.quote(rd), m.aux)
}

// intel is a machine of a synthetic Intel.
func intel(kind tee.Kind, change func(*dcaptest.Kit)) *machine {
	k := dcaptest.New("client", kind, noon)
	if change != nil {
		change(k)
	}
	m := &machine{kind: kind, measurement: tee.Measurement(k.SGX.MREnclave), quote: k.Quoter(), aux: k.Collateral().Encode()}
	if kind == tee.TDX {
		m.measurement = k.TDX.Measurement()
	}
	return m
}

// intelVerifiers trust that Intel.
func intelVerifiers() []tee.Verifier {
	now := func() time.Time { return noon }
	root := dcaptest.New("client", tee.SGX, noon).Root()
	return []tee.Verifier{sim.Verifier{}, &dcap.Verifier{TEE: tee.SGX, Root: root, Now: now}, &dcap.Verifier{TEE: tee.TDX, Root: root, Now: now}}
}

// scene is a chain with a worker that is honest until a test changes it, and what
// a client demands of it.
type scene struct {
	t        *testing.T
	node     *fake.Node
	chain    *client.Chain
	identity *fake.Identity
	trust    client.Trust
	entry    integritee.SgxEnclave // its registration
	who      client.AccountID      // that is registered
	alter    func(*fake.Shown)     // what it shows
	head     fake.Hash
}

// newScene has a worker on a machine with SGX, which was registered without
// attestation, in a production shard.
func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, node: fake.NewNode(t)}
	var err error
	if s.chain, err = client.DialChain(t.Context(), s.node.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.chain.Close() })
	m := intel(tee.SGX, nil)
	s.identity = fake.NewIdentity(t, s.node.Genesis(), testShard)
	s.identity.Platform, s.identity.Trust.Class = m, trustconfig.Production
	s.trust = client.Trust{Registry: s.chain, Verifiers: intelVerifiers(), Policy: &tee.Policy{Kinds: []tee.Kind{tee.SGX}, Measurements: []tee.Measurement{m.measurement}}}
	url := []byte("wss://worker:2000")
	s.entry = integritee.SgxEnclave{MrEnclave: m.measurement, URL: &url, BuildMode: integritee.SgxDebug, AttestationMethod: integritee.SkipAttestation()}
	s.who = s.identity.Account.AccountID()
	s.head = s.node.Genesis()
	return s
}

// dcap has the worker registered with evidence that the chain has verified.
func (s *scene) dcap() {
	shown := s.identity.Show(s.t)
	s.identity.Registration = &shown.Binding
	s.entry.BuildMode, s.entry.AttestationMethod, s.entry.Status = integritee.SgxProduction, integritee.DcapAttestation(), integritee.SgxOk
	s.entry.ReportData.D = shown.Binding.ReportData(s.who)
}

// reportData has the registration vouch for what it is said to.
func (s *scene) reportData() { s.entry.ReportData.D = s.identity.Registration.ReportData(s.who) }

// blocks makes final blocks and returns the hash of the last one.
func (s *scene) blocks(n int) fake.Hash {
	for range n {
		s.head = s.node.Block(s.head, nil)
		s.node.Finalize(s.head)
	}
	return s.head
}

// shown is what the worker shows.
func (s *scene) shown() *fake.Shown {
	shown := s.identity.Show(s.t)
	if s.alter != nil {
		s.alter(shown)
	}
	return shown
}

func (s *scene) serve() *fake.Worker {
	s.t.Helper()
	shown := s.shown()
	s.node.Store("Teerex", "SovereignEnclaves", s.who, integritee.MultiEnclave{Sgx: &s.entry})
	return fake.NewWorker(s.t, fake.Options{Shard: testShard, Shown: shown})
}

// quiet checks that the worker was asked for nothing but what it is judged by,
// and the chain for nothing at all.
func (s *scene) quiet(w *fake.Worker) {
	s.t.Helper()
	for method := range w.Asked() {
		if method != "ocw_getBinding" && method != "ocw_getSealingKey" {
			s.t.Errorf("it was asked %s", method)
		}
	}
	s.quietChain()
}

func (s *scene) quietChain() {
	s.t.Helper()
	select {
	case <-s.node.Submitted():
		s.t.Error("something was submitted")
	default:
	}
}

// TestAcceptedWorkers: genuine evidence of each kind, which a policy accepts, and
// what goes without it.
func TestAcceptedWorkers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *scene)
		basis  client.Basis
	}{
		"SGX":            {func(*scene) {}, client.ByEvidence},
		"default policy": {func(s *scene) { s.trust.Policy, s.trust.Fingerprint = nil, (*client.Fingerprint)(&s.entry.MrEnclave) }, client.ByEvidence},
		"program of the chain": {func(s *scene) {
			s.trust.Policy = nil
			s.node.Store("EnclaveBridge", "ShardConfigRegistry", testShard, integritee.UpgradableShardConfig{ActiveConfig: integritee.ShardConfig{EnclaveFingerprint: s.entry.MrEnclave}})
		}, client.ByEvidence},
		"TDX": {func(s *scene) { s.on(intel(tee.TDX, nil)) }, client.ByEvidence},
		"SNP": {func(s *scene) {
			a := snptest.New(noon)
			m := &machine{kind: tee.SNP, quote: a.Sign, aux: a.Collateral().Encode()}
			claims, err := a.Verifier().Verify(tee.Evidence{Kind: tee.SNP, Quote: a.Sign(tee.ReportData{}), Aux: m.aux})
			if err != nil {
				s.t.Fatal(err)
			}
			m.measurement = claims.Measurement
			s.on(m)
			s.trust.Policy.TCB.MinSNP = &tee.SNPVersions{Bootloader: 3, TEE: 1, SNP: 8, Microcode: 115}
			s.trust.Verifiers = append(s.trust.Verifiers, a.Verifier())
		}, client.ByEvidence},
		"pinned trust config": {func(s *scene) { h := s.identity.Trust.Hash(); s.trust.TrustConfig = &h }, client.ByEvidence},
		"pinned trust config of class insecure-dev": {func(s *scene) {
			s.identity.Trust.Class = trustconfig.InsecureDev
			h := s.identity.Trust.Hash()
			s.trust.TrustConfig = &h
		}, client.ByEvidence},
		"a program that the upgrade keys have approved": {func(s *scene) { s.trust.Policy = nil; s.approve(tee.Measurement(s.entry.MrEnclave), 2) }, client.ByEvidence},
		"an approved program beside those of a policy": {func(s *scene) {
			s.trust.Policy.Measurements = []tee.Measurement{{1}}
			s.approve(tee.Measurement(s.entry.MrEnclave), 2)
		}, client.ByEvidence},
		"as old as may be": {func(s *scene) { s.blocks(3); s.trust.MaxAge = 3 }, client.ByEvidence},
		"simulated": {func(s *scene) {
			p := tee.InsecureDev(tee.Measurement(s.entry.MrEnclave))
			s.identity.Platform, s.identity.Trust.Class, s.trust.Policy = sim.New("fake", [32]byte{1}), trustconfig.InsecureDev, &p
			p.Measurements[0] = s.identity.Platform.Measurement()
			s.entry.MrEnclave = [32]byte(s.identity.Platform.Measurement())
		}, client.ByEvidence},
		"unattested": {func(s *scene) {
			s.identity.Platform, s.identity.Trust.Class = sim.New("fake", [32]byte{1}), trustconfig.InsecureDev
			s.trust.Policy, s.trust.AcceptUnattested = nil, true
		}, client.ByAccount},
		"registered by DCAP": {func(s *scene) { s.dcap() }, client.ByEvidence},
		"registered by DCAP, nobody has collateral": {func(s *scene) {
			m := intel(tee.SGX, nil)
			m.aux = nil
			s.identity.Platform, s.trust.Policy, s.trust.Fingerprint = m, nil, (*client.Fingerprint)(&s.entry.MrEnclave)
			s.dcap()
		}, client.ByRegistration},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.change(s)
			w := s.serve()
			conn, err := client.DialWorker(t.Context(), w.URL, s.trust)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			got := conn.Subject()
			if !got.Verified || *got.Account != s.who || got.Basis != c.basis || got.Binding.Shard != testShard || got.TrustConfig.Hash() != s.identity.Trust.Hash() {
				t.Errorf("%+v", got)
			}
			if (c.basis == client.ByEvidence) && got.Claims == nil {
				t.Error("no claims")
			}
			r, err := client.VerifyWorker(t.Context(), w.URL, s.trust)
			if err != nil || !r.Accepted() || r.Basis != c.basis || len(r.Reasons) > 0 {
				t.Errorf("%+v, %v", r, err)
			}
			s.quiet(w)
		})
	}
}

// approve has so many of two upgrade keys approve a program, in the trust config
// that the client pins.
func (s *scene) approve(m tee.Measurement, signatures int) {
	s.t.Helper()
	keys := []*keyring.Pair{fake.Pair(s.t, "//Upgrade1"), fake.Pair(s.t, "//Upgrade2")}
	slices.SortFunc(keys, func(a, b *keyring.Pair) int { return bytes.Compare(a.Public(), b.Public()) })
	config := &s.identity.Trust
	config.Upgrade = trustconfig.UpgradeKeys{Threshold: 2, Keys: []client.AccountID{keys[0].AccountID(), keys[1].AccountID()}}
	hash := config.Hash()
	a := &client.Approval{Statement: approval.Statement{TrustConfig: hash, Measurement: &approval.Measurement{Measurement: m}}}
	for _, k := range keys[:signatures] {
		if err := a.Sign(config, k); err != nil {
			s.t.Fatal(err)
		}
	}
	s.trust.TrustConfig, s.trust.Approvals = &hash, []*client.Approval{a}
}

// on moves the worker to a machine whose program the policy accepts.
func (s *scene) on(m *machine) {
	s.identity.Platform, s.entry.MrEnclave = m, [32]byte(m.measurement)
	s.trust.Policy = &tee.Policy{Kinds: []tee.Kind{m.kind}, Measurements: []tee.Measurement{m.measurement}}
}

// mallory is a shielding key of the attacker's.
func mallory(t *testing.T) *shielding.PublicKey {
	t.Helper()
	text, err := fake.NewIdentity(t, fake.Hash{}, testShard).Key.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		N []uint16 `json:"n"`
		E []uint16 `json:"e"`
	}
	if err := json.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	k.N[9] ^= 1
	if text, err = json.Marshal(k); err != nil {
		t.Fatal(err)
	}
	key, err := shielding.ParsePublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// copied is a platform that shows the evidence of another worker.
func copied(t *testing.T, honest *fake.Shown) tee.Platform {
	t.Helper()
	s, err := ratls.DecodeStatement(honest.Document.Statement)
	if err != nil {
		t.Fatal(err)
	}
	return &machine{kind: s.Evidence.Kind, quote: func(tee.ReportData) []byte { return s.Evidence.Quote }, aux: s.Evidence.Aux}
}

func newTLSKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ratls.NewTLSKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// restated is a certificate with another worker's statement and a key of its own.
func restated(t *testing.T, honest *fake.Shown) tls.Certificate {
	t.Helper()
	key := newTLSKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: noon.AddDate(9, 0, 0),
		ExtraExtensions: []pkix.Extension{{Id: ratls.StatementOID, Value: honest.Document.Statement}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestLyingWorkers: each is refused with an error of its own before anything is
// encrypted, and the report has the same reason.
func TestLyingWorkers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *scene)
		want   error
		also   error // within it
	}{
		"another shielding key": {func(s *scene) {
			s.alter = func(shown *fake.Shown) {
				s.identity.Key = mallory(s.t)
				shown.Document.Keys = s.identity.Keys(s.t)
			}
		}, client.ErrOtherKey, nil},
		"another epoch of the key":         {func(s *scene) { s.alter = func(shown *fake.Shown) { shown.Document.Keys.Epoch++ } }, client.ErrOtherKey, nil},
		"another key of a hybrid envelope": {func(s *scene) { s.alter = func(shown *fake.Shown) { shown.Document.Keys.X25519[0]++ } }, client.ErrOtherKey, nil},
		"a tampered enclave that binds another key": {func(s *scene) {
			honest := s.identity.Show(s.t)
			s.identity.Key = mallory(s.t)
			s.identity.Platform = copied(s.t, honest)
		}, client.ErrEvidence, tee.ErrReportData},
		"another trust config than its evidence is for": {func(s *scene) {
			s.alter = func(shown *fake.Shown) {
				s.identity.Trust.App = "another"
				shown.Document.TrustConfig = s.identity.Trust.Encode()
			}
		}, client.ErrOtherTrustConfig, nil},
		"another trust config than is demanded": {func(s *scene) {
			h := s.identity.Trust.Hash()
			s.trust.TrustConfig = &h
			s.identity.Trust.Upgrade = trustconfig.UpgradeKeys{Threshold: 1, Keys: []client.AccountID{{1}}}
		}, client.ErrOtherTrustConfig, nil},
		"a trust config that cannot be": {func(s *scene) {
			s.alter = func(shown *fake.Shown) { shown.Document.TrustConfig = shown.Document.TrustConfig[1:] }
		}, client.ErrNotTrusted, trustconfig.ErrInvalid},
		"a forged genesis": {func(s *scene) { s.identity.Trust.Genesis, s.identity.Trust.StartHash = fake.Hash{9}, fake.Hash{9} }, client.ErrOtherChain, nil},
		"a forged genesis before a true block": {func(s *scene) {
			s.identity.Trust.StartNumber, s.identity.Trust.StartHash = 1, s.blocks(1)
			s.identity.Trust.Genesis, s.identity.Trust.StartAuthoritySetHash = fake.Hash{9}, fake.Hash{7}
		}, client.ErrOtherChain, nil},
		"a forged checkpoint": {func(s *scene) {
			s.blocks(2)
			s.identity.Trust.StartNumber, s.identity.Trust.StartHash, s.identity.Trust.StartAuthoritySetHash = 1, fake.Hash{9}, fake.Hash{7}
		}, client.ErrOtherChain, nil},
		"a shard for development": {func(s *scene) { s.identity.Trust.Class = trustconfig.InsecureDev }, client.ErrInsecureShard, nil},
		"a shard of another's word": {func(s *scene) {
			s.identity.Trust.Class, s.identity.Trust.Insecure = trustconfig.InsecureDev, trustconfig.TrustParentchainRPC
		}, client.ErrInsecureShard, nil},
		"another shard than its evidence is for": {func(s *scene) {
			honest := s.identity.Show(s.t)
			s.identity.Trust.Shard = client.ShardID{6}
			s.identity.Platform = copied(s.t, honest)
		}, client.ErrEvidence, tee.ErrReportData},
		"another shard than is demanded": {func(s *scene) { s.trust.Shard = &client.ShardID{6} }, client.ErrOtherShard, nil},
		"another's certificate, with a TLS key of its own": {func(s *scene) {
			s.alter = func(shown *fake.Shown) { shown.Certificate.Certificate = s.identity.Show(s.t).Certificate.Certificate }
		}, client.ErrUnavailable, nil}, // the handshake fails
		"another's statement about a TLS key of its own": {func(s *scene) {
			s.alter = func(shown *fake.Shown) { shown.Certificate = restated(s.t, s.identity.Show(s.t)) }
		}, client.ErrCertificate, nil},
		"another's evidence about a TLS key of its own": {func(s *scene) {
			honest := s.identity.Show(s.t)
			s.identity.Account = fake.Pair(s.t, "//Mallory") // who has registered, too
			s.who = s.identity.Account.AccountID()
			s.identity.Platform = copied(s.t, honest)
		}, client.ErrEvidence, tee.ErrReportData},
		"evidence of long ago": {func(s *scene) { s.trust.MaxAge = 3; s.blocks(4) }, client.ErrStaleEvidence, nil},
		"evidence of long ago, by default": {func(s *scene) {
			s.trust.Registry = &later{s.chain, client.DefaultMaxAge + 1}
		}, client.ErrStaleEvidence, nil},
		"evidence of a block that is not of the chain": {func(s *scene) { s.identity.Block = fake.Hash{4} }, client.ErrStaleEvidence, nil},
		"evidence of a block to come":                  {func(s *scene) { s.identity.Number = 5 }, client.ErrStaleEvidence, nil},
		"replayed evidence with a new block": {func(s *scene) {
			honest := s.identity.Show(s.t)
			s.identity.Block, s.identity.Number = s.blocks(1), 1
			s.identity.Platform = copied(s.t, honest)
		}, client.ErrEvidence, tee.ErrReportData},
		"evidence for joining": {func(s *scene) { s.identity.Purpose = tee.PurposeJoin }, client.ErrPurpose, nil},
		"no evidence in the certificate": {func(s *scene) {
			s.alter = func(shown *fake.Shown) {
				self := ratls.Self{Account: s.identity.Account, TLSKey: newTLSKey(s.t), Platform: s.identity.Platform}
				var err error
				if shown.Certificate, err = self.Bare(); err != nil {
					s.t.Fatal(err)
				}
			}
		}, client.ErrNoEvidence, nil},
		"no binding document": {func(s *scene) { s.alter = func(shown *fake.Shown) { shown.Document = nil } }, client.ErrNoEvidence, nil},
		"empty evidence": {func(s *scene) {
			s.identity.Platform = &machine{kind: tee.SGX, quote: func(tee.ReportData) []byte { return nil }}
		}, client.ErrEvidence, tee.ErrNotGenuine},
		"an original worker, where a policy demands evidence": {func(s *scene) {
			s.alter = func(shown *fake.Shown) { shown.Certificate, s.who = fake.OriginalCertificate(s.t) }
		}, client.ErrNoEvidence, nil},
		"a debug enclave": {func(s *scene) {
			s.identity.Platform = intel(tee.SGX, func(k *dcaptest.Kit) { k.SGX.Attributes[0] |= 2 })
		}, client.ErrEvidence, tee.ErrDebug},
		"an old platform": {func(s *scene) { s.identity.Platform = intel(tee.SGX, func(k *dcaptest.Kit) { k.PCK.PCESVN-- }) }, client.ErrEvidence, tee.ErrTCBStatus},
		"a revoked platform": {func(s *scene) {
			s.identity.Platform = intel(tee.SGX, func(k *dcaptest.Kit) { k.RevokePCK() })
		}, client.ErrEvidence, dcap.ReasonRevokedPCK},
		"another Intel": {func(s *scene) {
			k := dcaptest.New("another", tee.SGX, noon)
			s.identity.Platform = &machine{kind: tee.SGX, quote: k.Quoter(), aux: k.Collateral().Encode()}
		}, client.ErrEvidence, tee.ErrNotGenuine},
		"another program": {func(s *scene) {
			s.identity.Platform = intel(tee.SGX, func(k *dcaptest.Kit) { k.SGX.MREnclave[0]++ })
		}, client.ErrEvidence, tee.ErrMeasurement},
		"a program that too few upgrade keys have approved": {func(s *scene) { s.trust.Policy = nil; s.approve(tee.Measurement(s.entry.MrEnclave), 1) }, client.ErrEvidence, approval.ErrTooFew},
		"a program that is not the approved one":            {func(s *scene) { s.trust.Policy = nil; s.approve(tee.Measurement{1}, 2) }, client.ErrEvidence, tee.ErrMeasurement},
		"a program approved by keys of a host": {func(s *scene) {
			s.approve(tee.Measurement(s.entry.MrEnclave), 2)
			s.trust.TrustConfig = &client.Hash{1} // which is demanded
		}, client.ErrOtherTrustConfig, nil},
		"another program than is registered": {func(s *scene) { s.entry.MrEnclave[0]++ }, client.ErrOtherFingerprint, nil},
		"another program than the shard's": {func(s *scene) {
			s.trust.Policy = nil // the shard's bytes are the program, where nothing is configured
		}, client.ErrEvidence, tee.ErrMeasurement},
		"registered with another program than is demanded": {func(s *scene) { s.trust.Fingerprint = &client.Fingerprint{4} }, client.ErrOtherFingerprint, nil},
		"simulated":                                   {func(s *scene) { s.identity.Platform = sim.New("fake", [32]byte{1}) }, client.ErrEvidence, tee.ErrKind},
		"an unregistered account":                     {func(s *scene) { s.who = client.AccountID{7} }, client.ErrNotRegistered, nil},
		"registered by DCAP for other keys":           {func(s *scene) { s.dcap(); s.identity.Registration.Keys[0]++; s.reportData() }, client.ErrOtherRegistration, nil},
		"registered by DCAP for another trust config": {func(s *scene) { s.dcap(); s.identity.Registration.TrustConfig[0]++; s.reportData() }, client.ErrOtherRegistration, nil},
		"registered by DCAP for another shard":        {func(s *scene) { s.dcap(); s.identity.Registration.Shard[0]++; s.reportData() }, client.ErrOtherRegistration, nil},
		"registered by DCAP for joining":              {func(s *scene) { s.dcap(); s.identity.Registration.Purpose = tee.PurposeJoin; s.reportData() }, client.ErrOtherRegistration, nil},
		"registered by DCAP for something else":       {func(s *scene) { s.dcap(); s.entry.ReportData.D[40]++ }, client.ErrOtherRegistration, nil},
		"registered by DCAP, and not told for what":   {func(s *scene) { s.dcap(); s.identity.Registration = nil }, client.ErrOtherRegistration, nil},
		"registered by DCAP, debug":                   {func(s *scene) { s.dcap(); s.entry.BuildMode = integritee.SgxDebug }, client.ErrUnattested, nil},
		"registered by DCAP, revoked":                 {func(s *scene) { s.dcap(); s.entry.Status = integritee.SgxGroupRevoked }, client.ErrUnattested, nil},
		"registered by DCAP, no collateral, and a policy": {func(s *scene) {
			m := intel(tee.SGX, nil)
			m.aux = nil
			s.identity.Platform = m
			s.dcap()
		}, client.ErrEvidence, dcap.ReasonNoCollateral},
		"registered by DCAP, no collateral, another program": {func(s *scene) {
			m := intel(tee.SGX, nil)
			m.aux, s.trust.Policy = nil, nil
			s.identity.Platform = m
			s.dcap()
		}, client.ErrOtherFingerprint, nil},
		"not encrypted": {func(s *scene) {}, client.ErrNoTLS, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.change(s)
			w := s.serve()
			url := w.URL
			if c.want == client.ErrNoTLS {
				url = strings.Replace(url, "wss", "ws", 1)
			}
			conn, err := client.DialWorker(t.Context(), url, s.trust)
			if err == nil {
				conn.Close()
				t.Fatal("it is accepted")
			}
			if !errors.Is(err, c.want) || c.also != nil && !errors.Is(err, c.also) {
				t.Errorf("%v, want %v and %v", err, c.want, c.also)
			}
			if errors.Is(c.want, client.ErrUnavailable) || c.want == client.ErrNoTLS {
				return
			}
			if !errors.Is(err, client.ErrNotTrusted) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			r, rerr := client.VerifyWorker(t.Context(), url, s.trust)
			if rerr != nil || r.Accepted() || len(r.Reasons) == 0 || r.Basis != client.ByNothing || !strings.Contains(err.Error(), r.Reasons[0].Error()) {
				t.Errorf("%+v, %v", r, rerr)
			}
			s.quiet(w)
		})
	}
}

// TestNothingIsEncryptedToALiar: a session that has begun with an honest worker
// encrypts to nothing else, whatever answers instead later on.
func TestNothingIsEncryptedToALiar(t *testing.T) {
	s := newScene(t)
	w := s.serve()
	conn, err := client.DialWorker(t.Context(), w.URL, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// What author_getShieldingKey says is not asked.
	key, err := conn.ShieldingKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ct, err := key.Encrypt([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if pt, err := w.Key.Decrypt(ct, 1); err != nil || string(pt) != "hello" {
		t.Errorf("decrypted %q, %v", pt, err)
	}
	s.quiet(w)

	sender := fake.Pair(t, "//Sender")
	session := &client.Session{Chain: s.chain, Worker: conn}
	invoke := func(ctx context.Context, shard client.ShardID) error {
		_, err := session.Invoke(ctx, client.Invocation{Shard: shard, Call: []byte("call"), Sender: sender.AccountID(), Signer: sender, Payer: fake.Pair(t, "//Alice")})
		return err
	}
	// What is bound is what is encrypted to.
	hybrid, err := shielding.NewHybridKey(shielding.X25519, [32]byte{byte(shielding.X25519)})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []client.Envelope{client.RSA, client.X25519} {
		session.Envelope = e
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- invoke(ctx, testShard) }()
		select {
		case raw := <-s.node.Submitted():
			ct, open := (&network{t: t, node: s.node}).request(raw).Cyphertext, error(nil)
			if e == client.RSA {
				_, open = w.Key.Decrypt(ct, 16)
			} else {
				_, open = hybrid.Open(ct, shielding.Binding{Shard: testShard})
			}
			if open != nil {
				t.Errorf("%s: %v", e, open)
			}
		case err := <-ended:
			t.Fatal(err)
		}
		cancel()
		<-ended
	}
	if err := invoke(t.Context(), client.ShardID{6}); !errors.Is(err, client.ErrOtherShard) || !errors.Is(err, client.ErrNotTrusted) {
		t.Errorf("a call for another shard: %v", err)
	}
	s.identity.Key = mallory(t)
	s.alter = func(shown *fake.Shown) {
		shown.Document.Keys = fake.NewIdentity(t, s.node.Genesis(), testShard).Keys(t)
	}
	w.Show(s.shown())
	w.DropConnections()
	// The client learns of the loss at some time.
	for err = nil; !errors.Is(err, client.ErrNotTrusted); {
		if _, err = conn.Shard(t.Context()); t.Context().Err() != nil {
			t.Fatal("it goes on with the liar")
		}
	}
	for _, e := range []client.Envelope{client.RSA, client.X25519} {
		session.Envelope = e
		if err := invoke(t.Context(), testShard); !errors.Is(err, client.ErrOtherKey) || !errors.Is(err, client.ErrNotTrusted) {
			t.Errorf("%s: %v", e, err)
		}
	}
	s.quietChain()
}

// rotating is a scene whose worker shows keys of epoch 1, and what it has to show of
// others.
func rotating(t *testing.T) (s *scene, w *fake.Worker, call func(client.Envelope) <-chan error, show func(shard [32]byte, number uint32) *fake.Shown) {
	t.Helper()
	s = newScene(t)
	key := newTLSKey(t)
	show = func(shard [32]byte, number uint32) *fake.Shown {
		i := *s.identity
		i.Trust.Shard = shard
		keys := i.Keys(t)
		keys.Epoch = number
		d := &binding.Document{TrustConfig: i.Trust.Encode(), Keys: keys, Epochs: binding.Epochs{keys.Hash()}}
		cert, err := (&ratls.Self{Account: i.Account, TLSKey: key, Platform: i.Platform}).Certificate(tee.Binding{Purpose: i.Purpose,
			TrustConfig: i.Trust.Hash(), Shard: shard, Keys: d.Epochs.Hash(), Block: i.Block, BlockNumber: i.Number})
		if err != nil {
			t.Fatal(err)
		}
		statement, err := ratls.VerifyCertificate(cert.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		d.Statement = scale.MustMarshal(statement)
		return &fake.Shown{Certificate: cert, Binding: statement.Binding, Document: d}
	}
	s.alter = func(shown *fake.Shown) { *shown = *show(testShard, 1) }
	w = s.serve()
	conn, err := client.DialWorker(t.Context(), w.URL, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	sender := fake.Pair(t, "//Sender")
	return s, w, func(e client.Envelope) <-chan error {
		session := &client.Session{Chain: s.chain, Worker: conn, Envelope: e}
		ended := make(chan error, 1)
		go func() {
			_, err := session.Invoke(t.Context(), client.Invocation{Shard: testShard, Call: []byte("call"), Sender: sender.AccountID(), Signer: sender, Payer: fake.Pair(t, "//Alice")})
			ended <- err
		}()
		return ended
	}, show
}

// TestJudgedAgainOfAnotherShard: what is shown after the keys were rotated has to be
// about the shard, too.
func TestJudgedAgainOfAnotherShard(t *testing.T) {
	s, w, call, show := rotating(t)
	w.Show(show([32]byte{6}, 2))
	for _, e := range []client.Envelope{client.RSA, client.X25519} {
		select {
		case err := <-call(e):
			if !errors.Is(err, client.ErrOtherShard) || !errors.Is(err, client.ErrNotTrusted) {
				t.Errorf("%s: %v", e, err)
			}
		case <-s.node.Submitted():
			t.Fatalf("%s: a call was encrypted to another shard's keys", e)
		}
	}
}

// TestWorkerUnsureOfEpoch: a client waits for a worker that does not know for a while
// which keys count.
func TestWorkerUnsureOfEpoch(t *testing.T) {
	s, w, call, show := rotating(t)
	w.Show(&fake.Shown{Certificate: show(testShard, 1).Certificate})
	ended := call(client.RSA)
	for w.Asked()["ocw_status"] < 2 {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	w.Show(show(testShard, 2))
	select {
	case err := <-ended:
		t.Fatal(err)
	case <-s.node.Submitted():
	}
}

// later is a chain on which many blocks were made.
type later struct {
	*client.Chain
	number client.BlockNumber
}

func (l *later) Finalized(context.Context) (client.BlockNumber, error) { return l.number, nil }
