package worker

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	collateral "github.com/offchain-worker/sdk/tee/dcap/source"
	"github.com/offchain-worker/sdk/tee/detect"
	"github.com/offchain-worker/sdk/tee/sgx"
	"github.com/offchain-worker/sdk/tee/sim"
	"github.com/offchain-worker/sdk/tee/snp"
	"github.com/offchain-worker/sdk/tee/tdx"
)

// Attestation says on which platform a worker runs, and whose evidence it
// accepts. Its zero value is the simulated platform, which protects nothing and
// accepts others of its program.
type Attestation struct {
	// Platform is "sim", which "" means too, "sgx", "snp", "tdx", or "auto" for
	// the first of these three that is there.
	Platform string
	// Policy is a file with the policy for other workers of the shard, see
	// [tee.ParsePolicy]; "" accepts the own program on the own kind of platform.
	Policy string
	// Collateral is a folder with what Intel and AMD publish about their
	// platforms, see docs/attestation.md; "" for none.
	Collateral string
	// PCCS is the URL of a service to fetch Intel's from; "" asks nobody.
	PCCS string
	// DCAPRoot is a certificate in PEM that stands for Intel's root, for
	// development with a synthetic Intel; "" for Intel's.
	DCAPRoot string
	// SNPRoot is a file with certificates in PEM that stand for AMD's, see
	// [snp.ParseChains], for development with a synthetic AMD; "" for AMD's.
	SNPRoot string
	// TDXSecret is a file with at least 16 bytes that only this program on this
	// machine can get: a TD has no sealing key of its own.
	TDXSecret string

	// For tests: where the files of Gramine and the kernel are, what the firmware
	// of SEV-SNP derives, and the time.
	gramine, tsm string
	deriveKey    func() ([32]byte, error)
	now          func() time.Time
}

// errUnknownPlatform is about Attestation.Platform.
var errUnknownPlatform = errors.New("the platform is sim, sgx, snp, tdx or auto")

func (a *Attestation) check() error {
	switch a.Platform {
	case "", "sim", "sgx", "snp", "tdx", "auto":
		return nil
	}
	return errUnknownPlatform
}

// simulated reports whether the platform is the simulated one.
func (a *Attestation) simulated() bool { return a.Platform == "" || a.Platform == "sim" }

// attestation is the platform of a worker, and what it judges others by.
type attestation struct {
	tee.Platform
	policy    tee.Policy
	verifiers []tee.Verifier
	synthetic bool // a root of trust is not Intel's or AMD's

	log    *slog.Logger
	root   *x509.Certificate
	store  *collateral.Store
	own    *dcap.Platform // what the own quotes need collateral for; nil if none
	amd    *snp.Machine   // what the own reports of SEV-SNP are of; nil if none
	known  verifiers.Config
	staple atomic.Pointer[staple]
	fetch  bool // there is somebody to ask
}

// staple is collateral for the own quotes, and what goes with them of it.
type staple struct {
	c       *dcap.Collateral
	encoded []byte
}

// maxSecret bounds Attestation.TDXSecret, in bytes.
const maxSecret = 4096

// open opens the platform. name is what the simulated measurement is made of.
func (a *Attestation) open(dataDir, name string, log *slog.Logger) (*attestation, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	now := a.now
	if now == nil {
		now = time.Now
	}
	out := &attestation{log: log}
	root := dcap.IntelRoot()
	if a.DCAPRoot != "" {
		var err error
		if root, err = verifiers.Root(a.DCAPRoot); err != nil {
			return nil, err
		}
		out.synthetic = true
	}
	out.root = root
	config := collateral.Config{Dir: a.Collateral, Root: root, Now: now}
	if a.PCCS != "" {
		pccs, err := collateral.NewPCCS(a.PCCS, "")
		if err != nil {
			return nil, err
		}
		config.Upstream, out.fetch = pccs, true
	}
	out.store = collateral.NewStore(config)
	out.known = verifiers.Config{Dir: a.Collateral, Store: out.store, Root: root, Now: now}
	if a.SNPRoot != "" {
		var err error
		if out.known.AMD, err = verifiers.AMDChains(a.SNPRoot); err != nil {
			return nil, err
		}
		out.synthetic = true
	}
	if err := a.openPlatform(out, dataDir, name, root, now); err != nil {
		if out.Platform != nil {
			err = errors.Join(err, out.close())
		}
		return nil, err
	}
	out.verifiers = verifiers.All(out.known)
	out.policy = tee.Policy{Kinds: []tee.Kind{out.Kind()}, Measurements: []tee.Measurement{out.Measurement()}}
	if out.amd != nil {
		out.policy.TCB.MinSNP = &out.amd.Versions // AMD publishes no statuses: no older than this machine
	}
	if out.Kind() == tee.Sim {
		out.policy = tee.InsecureDev(out.Measurement())
	}
	if a.Policy != "" {
		var err error
		if out.policy, err = verifiers.Policy(a.Policy); err != nil {
			return nil, errors.Join(err, out.close())
		}
	}
	return out, nil
}

func (a *Attestation) openPlatform(out *attestation, dataDir, name string, root *x509.Certificate, now func() time.Time) (err error) {
	stapled := func() []byte {
		if s := out.staple.Load(); s != nil {
			return s.encoded
		}
		return nil
	}
	c := detect.Config{SGX: sgx.Config{Root: a.gramine, Staple: stapled}, SNP: snp.Config{Root: a.tsm, StapleCRL: out.crl, DeriveKey: a.deriveKey}, TDX: tdx.Config{Root: a.tsm, Staple: stapled}}
	if a.TDXSecret != "" {
		if c.TDX.Secret, err = verifiers.ReadFile(a.TDXSecret, maxSecret); err != nil {
			return fmt.Errorf("secret for sealing: %w", err)
		}
	}
	open := map[string]func() (tee.Platform, error){
		"sgx":  func() (tee.Platform, error) { return sgx.Open(c.SGX) },
		"snp":  func() (tee.Platform, error) { return snp.Open(c.SNP) },
		"tdx":  func() (tee.Platform, error) { return tdx.Open(c.TDX) },
		"auto": func() (tee.Platform, error) { return detect.Platform(c) },
		"sim":  func() (tee.Platform, error) { return sim.Open(dataDir, name, out.log) },
	}[cmp.Or(a.Platform, "sim")]
	p, err := open()
	if err != nil {
		return err
	}
	out.Platform = p
	if p.Kind() == tee.Sim {
		return nil
	}
	e, err := out.Attest(tee.ReportData{})
	if err != nil {
		return err
	}
	if p.Kind() == tee.SNP {
		m, err := snp.MachineOf(e)
		if err != nil {
			return fmt.Errorf("this machine's own report: %w", err)
		}
		out.amd = &m
		return nil
	}
	own, err := dcap.PlatformOf(e.Quote, root, now())
	if err != nil {
		return fmt.Errorf("this machine's own quote: %w", err)
	}
	out.own = &own
	out.use(out.store.Known(own))
	return nil
}

// crl returns the CRL for the own reports that is in the folder now, nil if it is
// not.
func (a *attestation) crl() []byte {
	if a.amd == nil {
		return nil
	}
	return a.known.CRL(a.amd.Line, a.amd.VLEK)
}

// close gives back what belongs to the kernel. A nil platform has nothing.
func (a *attestation) close() error {
	if a == nil {
		return nil
	}
	if c, ok := a.Platform.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// use staples collateral to the own quotes from now on.
func (a *attestation) use(c *dcap.Collateral) {
	if c != nil {
		a.staple.Store(&staple{c, c.Encode()})
	}
}

// collateral returns what is stapled, nil if nothing is known.
func (a *attestation) collateral() *dcap.Collateral {
	if s := a.staple.Load(); s != nil {
		return s.c
	}
	return nil
}

// refreshEvery is how often collateral for the own quotes is fetched: it is valid
// for a month, and what revokes a platform comes out when it does.
const refreshEvery = 24 * time.Hour

// run keeps the collateral for the own quotes fresh until ctx ends, where there
// is somebody to ask.
func (a *attestation) run(ctx context.Context, h *health) error {
	if a.amd != nil && a.crl() == nil {
		a.log.Warn("there is no CRL for this machine's reports: others have to have it (--collateral)", "file", verifiers.CRLName(a.amd.Line, a.amd.VLEK))
	}
	if a.own == nil {
		return nil
	}
	if !a.fetch {
		if a.staple.Load() == nil {
			a.log.Warn("there is no collateral for this machine's quotes: others have to have it (--collateral, --pccs)", "platform", a.own.String())
		}
		return nil
	}
	for {
		err := h.retry(ctx, "collateral", func(ctx context.Context) error {
			c, err := a.store.Fetch(ctx, *a.own)
			a.use(c)
			return err
		})
		if err != nil {
			return nil
		}
		if sleep(ctx, refreshEvery-time.Duration(rand.Int64N(int64(refreshEvery/8)))) != nil {
			return nil
		}
	}
}

// checkTrust refuses a platform or policy that a shard with this trust config must
// not have.
func (a *attestation) checkTrust(t *enclave.TrustConfig) error {
	// The parentchain lets every enclave with the shard's fingerprint pay, whatever it
	// takes for granted. What it signs is bound to a block that it has seen (the era of
	// an extrinsic), so an enclave on a forged chain signs nothing that counts on the
	// real one; but one that believes a node's word about real blocks would.
	if t.Insecure != 0 && a.Kind() != tee.Sim {
		return fmt.Errorf("%w: an enclave with evidence that others believe must not believe a node: it is for the simulated platform only", errInsecureTEE)
	}
	if t.Class != enclave.Production {
		return nil
	}
	var errs []error
	refuse := func(bad bool, why string) {
		if bad {
			errs = append(errs, fmt.Errorf("%w: %s", errClass, why))
		}
	}
	refuse(a.Kind() == tee.Sim, "this worker runs on the simulated platform")
	refuse(a.synthetic, "its root of trust is not Intel's or AMD's")
	refuse(a.policy.AllowDebug, "its policy accepts enclaves that their host can read")
	refuse(a.policy.AllowMigratable, "its policy accepts guests that an agent can move to another machine")
	refuse(a.policy.MaxVMPL > 0, "its policy accepts evidence that was asked for below the highest privilege level of a guest")
	for _, k := range a.policy.Kinds {
		refuse(k == tee.Sim, "its policy accepts the simulated platform")
	}
	if d, ok := a.Platform.(interface{ Debug() bool }); ok {
		refuse(d.Debug(), "its own enclave can be read by its host")
	}
	return errors.Join(errs...)
}

// checkPrograms refuses a policy that has more programs than this one and those
// that are approved, in a shard of class production: a host writes the policy, and
// must not choose who gets the keys.
func (a *attestation) checkPrograms(c enclave.Class, approved []tee.Measurement) error {
	if c != enclave.Production {
		return nil
	}
	var errs []error
	for _, m := range a.policy.Measurements {
		if m != a.Measurement() && !slices.Contains(approved, m) {
			errs = append(errs, fmt.Errorf("%w: its policy accepts program %s, which is not its own, and which the upgrade keys have not approved (--approvals)", errClass, m))
		}
	}
	if len(a.policy.SGX)+len(a.policy.TDX)+len(a.policy.SNP) > 0 {
		errs = append(errs, fmt.Errorf("%w: its policy accepts programs by signer or registers, and not by measurement, which alone can be approved", errClass))
	}
	return errors.Join(errs...)
}
