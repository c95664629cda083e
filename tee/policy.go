package tee

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors that callers test for. Appraise joins all that apply.
var (
	// ErrKind means that the policy does not accept this kind of platform.
	ErrKind = errors.New("tee: kind of platform not accepted")
	// ErrMeasurement means that the policy does not accept what runs there.
	ErrMeasurement = errors.New("tee: measurement not accepted")
	// ErrSVN means that the program is the right one, but too old.
	ErrSVN = errors.New("tee: security version of the program too old")
	// ErrDebug means that the enclave can be debugged by its host.
	ErrDebug = errors.New("tee: debug enclave not accepted")
	// ErrMigratable means that the guest can be moved by a migration agent.
	ErrMigratable = errors.New("tee: migratable guest not accepted")
	// ErrVMPL means that the report was asked for from a lower privilege level.
	ErrVMPL = errors.New("tee: privilege level not accepted")
	// ErrReportData means that the evidence vouches for something else.
	ErrReportData = errors.New("tee: evidence vouches for other data")
	// ErrPlatform means a machine or model that the policy does not list.
	ErrPlatform = errors.New("tee: machine not accepted")

	// ErrTCB means that the platform's security state is not accepted; the
	// four errors below are kinds of it.
	ErrTCB = errors.New("tee: security state of the platform not accepted")
	// ErrTCBStatus means a TCB status, or versions, that are not accepted.
	ErrTCBStatus = fmt.Errorf("%w: TCB status", ErrTCB)
	// ErrAdvisory means a security advisory that the policy does not allow.
	ErrAdvisory = fmt.Errorf("%w: advisory", ErrTCB)
	// ErrEvaluationNumber means collateral of too old an evaluation.
	ErrEvaluationNumber = fmt.Errorf("%w: TCB evaluation data number", ErrTCB)
	// ErrCollateralAge means collateral that is valid, but was issued too long ago.
	ErrCollateralAge = fmt.Errorf("%w: age of the collateral", ErrTCB)
)

// Policy says which claims are good enough. Empty lists accept nothing, so
// the zero Policy accepts nothing. Its JSON form is read by [ParsePolicy].
type Policy struct {
	// Kinds are the accepted platforms.
	Kinds []Kind `json:"kinds"`

	// A program is accepted if it is one of Measurements, or if a rule of its
	// kind of platform accepts it.

	// Measurements are accepted programs, in base58 in JSON.
	Measurements []Measurement `json:"measurements,omitempty"`
	// SGX accepts enclaves by who signed them. Whoever has such a signer's key
	// can make an enclave that is accepted.
	SGX []SGXRule `json:"sgx,omitempty"`
	// TDX accepts TDs by some of their registers.
	TDX []TDXRule `json:"tdx,omitempty"`
	// SNP accepts guests by their launch digest.
	SNP []SNPRule `json:"snp,omitempty"`

	// AllowDebug accepts enclaves that their host can read.
	AllowDebug bool `json:"allowDebug,omitempty"`
	// AllowMigratable accepts guests that a migration agent may move.
	AllowMigratable bool `json:"allowMigratable,omitempty"`
	// MaxVMPL is the lowest privilege level (highest number) of a SNP guest
	// that is accepted.
	MaxVMPL uint32 `json:"maxVMPL,omitempty"`

	// TCB is about the platform. Sim has none, and none is asked of it.
	TCB TCBPolicy `json:"tcb,omitzero"`
}

// SGXRule accepts enclaves of one signer and product, from a version on.
type SGXRule struct {
	MRSigner Signer `json:"mrSigner"`
	ProdID   uint16 `json:"prodID"`
	MinSVN   uint16 `json:"minSVN"`
}

// TDXRule accepts TDs with the given registers; those that are nil are not
// looked at. RTMR has no more than four.
type TDXRule struct {
	MRTD          Digest    `json:"mrTD"`
	RTMR          []*Digest `json:"rtmr,omitempty"`
	MRConfigID    *Digest   `json:"mrConfigID,omitempty"`
	MROwner       *Digest   `json:"mrOwner,omitempty"`
	MROwnerConfig *Digest   `json:"mrOwnerConfig,omitempty"`
}

// SNPRule accepts guests with a launch digest, with any host data, from a
// version on.
type SNPRule struct {
	LaunchDigest Digest `json:"launchDigest"`
	MinGuestSVN  uint32 `json:"minGuestSVN"`
}

// TCBPolicy says which platforms are good enough. Its zero value accepts Intel
// platforms that are up to date, or need hardened software only, and to which
// no advisory applies; and no AMD platform.
type TCBPolicy struct {
	// Statuses are accepted; nil means UpToDate and SWHardeningNeeded. What is
	// out of date or revoked is not accepted even if it is listed.
	Statuses []TCBStatus `json:"statuses,omitempty"`
	// Advisories may apply to the platform, whatever its status: their
	// mitigation is in the software, or they do not matter to it.
	Advisories []string `json:"advisories,omitempty"`
	// MinEvaluationNumber is the least tcbEvaluationDataNumber.
	MinEvaluationNumber uint32 `json:"minEvaluationNumber,omitempty"`
	// MaxCollateralAge is how long ago the oldest part of the collateral may
	// have been issued; 0 for as long as it is valid. JSON: "720h".
	MaxCollateralAge Duration `json:"maxCollateralAge,omitempty"`
	// FMSPCs are accepted models of Intel platforms; nil for all.
	FMSPCs []FMSPC `json:"fmspcs,omitempty"`
	// PlatformIDs are accepted machines, as hex in JSON: PPID on Intel, CHIP_ID
	// on AMD; nil for all. A quote does not prove where a machine stands: who
	// has one in his hands may get keys out of it.
	PlatformIDs []HexBytes `json:"platformIDs,omitempty"`
	// MinSNP are the least versions of an AMD platform. AMD publishes no
	// statuses, so without it no SNP guest is accepted.
	MinSNP *SNPVersions `json:"minSNP,omitempty"`
}

// InsecureDev is the policy for development: simulated platforms, which
// protect nothing, running one of the given programs.
func InsecureDev(measurements ...Measurement) Policy {
	return Policy{Kinds: []Kind{Sim}, Measurements: measurements, AllowDebug: true}
}

// Appraise returns nil if the claims are accepted and vouch for want. Otherwise
// the error joins every reason.
func (p Policy) Appraise(c *Claims, want ReportData) error {
	reasons := p.reasons(c)
	// Report data is public, so an ordinary comparison will do.
	if c.ReportData != want {
		reasons = append(reasons, ErrReportData)
	}
	return errors.Join(reasons...)
}

// AppraisePlatform is Appraise for somebody who cannot know what the evidence
// ought to vouch for, such as a person with a file: it ignores the report data.
func (p Policy) AppraisePlatform(c *Claims) error { return errors.Join(p.reasons(c)...) }

func (p Policy) reasons(c *Claims) (reasons []error) {
	if !slices.Contains(p.Kinds, c.Kind) {
		reasons = append(reasons, fmt.Errorf("%w: %s", ErrKind, c.Kind))
	}
	if err := p.program(c); err != nil {
		reasons = append(reasons, err)
	}
	if c.Debug && !p.AllowDebug {
		reasons = append(reasons, ErrDebug)
	}
	if c.Migratable && !p.AllowMigratable {
		reasons = append(reasons, ErrMigratable)
	}
	if c.SNP != nil && c.SNP.VMPL > p.MaxVMPL {
		reasons = append(reasons, fmt.Errorf("%w: %d", ErrVMPL, c.SNP.VMPL))
	}
	if c.Kind == Sim {
		return reasons
	}
	return append(reasons, p.TCB.reasons(c)...)
}

// program decides whether what runs is accepted.
func (p Policy) program(c *Claims) error {
	if slices.Contains(p.Measurements, c.Measurement) {
		return nil
	}
	old := error(nil) // the program of a rule, but too old
	switch {
	case c.Kind == SGX && c.SGX != nil:
		for _, r := range p.SGX {
			if r.MRSigner != c.SGX.MRSigner || r.ProdID != c.SGX.ProdID {
				continue
			}
			if c.SGX.SVN >= r.MinSVN {
				return nil
			}
			old = fmt.Errorf("%w: %d, %d is needed", ErrSVN, c.SGX.SVN, r.MinSVN)
		}
	case c.Kind == TDX && c.TDX != nil:
		for _, r := range p.TDX {
			if r.accepts(c.TDX) {
				return nil
			}
		}
	case c.Kind == SNP && c.SNP != nil:
		for _, r := range p.SNP {
			if r.LaunchDigest != c.SNP.LaunchDigest {
				continue
			}
			if c.SNP.GuestSVN >= r.MinGuestSVN {
				return nil
			}
			old = fmt.Errorf("%w: %d, %d is needed", ErrSVN, c.SNP.GuestSVN, r.MinGuestSVN)
		}
	}
	if old != nil {
		return old
	}
	return fmt.Errorf("%w: %s", ErrMeasurement, c.Measurement)
}

func (r TDXRule) accepts(t *TDReport) bool {
	same := func(want *Digest, got Digest) bool { return want == nil || *want == got }
	if r.MRTD != t.MRTD || len(r.RTMR) > len(t.RTMR) ||
		!same(r.MRConfigID, t.MRConfigID) || !same(r.MROwner, t.MROwner) || !same(r.MROwnerConfig, t.MROwnerConfig) {
		return false
	}
	for i, want := range r.RTMR {
		if !same(want, t.RTMR[i]) {
			return false
		}
	}
	return true
}

func (p TCBPolicy) reasons(c *Claims) (reasons []error) {
	add := func(err error, format string, args ...any) {
		reasons = append(reasons, fmt.Errorf("%w: "+format, append([]any{err}, args...)...))
	}
	if c.TCB == nil {
		add(ErrTCBStatus, "nothing is known of the platform")
		return reasons
	}
	if p.PlatformIDs != nil && !slices.ContainsFunc(p.PlatformIDs, func(id HexBytes) bool { return bytes.Equal(id, c.TCB.PlatformID) }) {
		add(ErrPlatform, "%x", c.TCB.PlatformID)
	}
	if c.Kind == SNP {
		switch {
		case p.MinSNP == nil:
			add(ErrTCBStatus, "the policy has no least versions for SNP")
		case c.SNP == nil || !c.SNP.Reported.AtLeast(*p.MinSNP):
			add(ErrTCBStatus, "SNP platform older than the policy demands")
		}
		return reasons
	}
	if !p.acceptsStatus(c.TCB.Status) {
		add(ErrTCBStatus, "%s", c.TCB.Status)
	}
	for _, a := range c.TCB.Advisories {
		if !slices.Contains(p.Advisories, a) {
			add(ErrAdvisory, "%q", a)
		}
	}
	if c.TCB.EvaluationNumber < p.MinEvaluationNumber {
		add(ErrEvaluationNumber, "%d, %d is needed", c.TCB.EvaluationNumber, p.MinEvaluationNumber)
	}
	if age := c.TCB.At.Sub(c.TCB.Issued); p.MaxCollateralAge != 0 && age > time.Duration(p.MaxCollateralAge) {
		add(ErrCollateralAge, "issued %s ago", age.Truncate(time.Second))
	}
	if p.FMSPCs != nil && !slices.Contains(p.FMSPCs, c.TCB.FMSPC) {
		add(ErrPlatform, "FMSPC %s", c.TCB.FMSPC)
	}
	return reasons
}

// acceptsStatus never accepts what is out of date or revoked.
func (p TCBPolicy) acceptsStatus(s TCBStatus) bool {
	if !acceptable(s) {
		return false
	}
	if p.Statuses == nil {
		return s == UpToDate || s == SWHardeningNeeded
	}
	return slices.Contains(p.Statuses, s)
}

func acceptable(s TCBStatus) bool { return s >= UpToDate && s <= ConfigurationAndSWHardeningNeeded }
