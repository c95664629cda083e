package inspect

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/tee"
)

// quoteVerdict is the result; its JSON form is the output of --json.
type quoteVerdict struct {
	Genuine     bool        `json:"genuine"`
	Accepted    bool        `json:"accepted"`
	PolicyGiven bool        `json:"policyGiven"` // without, the program was not checked
	At          time.Time   `json:"at"`
	Claims      *claimsView `json:"claims,omitempty"`  // absent if not genuine
	Reasons     []*reason   `json:"reasons,omitempty"` // absent if accepted
}

// claimsView is the JSON form of claims.
type claimsView struct {
	Kind        tee.Kind        `json:"kind"`
	Measurement tee.Measurement `json:"measurement"`
	Debug       bool            `json:"debug"`
	Migratable  bool            `json:"migratable"`
	ReportData  tee.HexBytes    `json:"reportData"`
	SGX         *sgxView        `json:"sgx,omitempty"`
	TDX         *tdxView        `json:"tdx,omitempty"`
	SNP         *snpView        `json:"snp,omitempty"`
	TCB         *tcbView        `json:"tcb,omitempty"` // of SGX and TDX
}

type sgxView struct {
	MREnclave  tee.HexBytes `json:"mrEnclave"`
	MRSigner   tee.Signer   `json:"mrSigner"`
	ProdID     uint16       `json:"prodID"`
	SVN        uint16       `json:"svn"`
	Attributes tee.HexBytes `json:"attributes"`
	MiscSelect uint32       `json:"miscSelect"`
	CPUSVN     tee.HexBytes `json:"cpuSVN"`
	ConfigID   tee.HexBytes `json:"configID"`
	ConfigSVN  uint16       `json:"configSVN"`
	FamilyID   tee.HexBytes `json:"familyID"`
	ExtProdID  tee.HexBytes `json:"extProdID"`
}

type tdxView struct {
	MRTD           tee.Digest    `json:"mrTD"`
	RTMR           [4]tee.Digest `json:"rtmr"`
	MRConfigID     tee.Digest    `json:"mrConfigID"`
	MROwner        tee.Digest    `json:"mrOwner"`
	MROwnerConfig  tee.Digest    `json:"mrOwnerConfig"`
	MRSEAM         tee.Digest    `json:"mrSEAM"`
	MRSignerSEAM   tee.Digest    `json:"mrSignerSEAM"`
	SEAMAttributes tee.HexBytes  `json:"seamAttributes"`
	TDAttributes   tee.HexBytes  `json:"tdAttributes"`
	XFAM           tee.HexBytes  `json:"xfam"`
	TEETCBSVN      tee.HexBytes  `json:"teeTCBSVN"`
	TEETCBSVN2     tee.HexBytes  `json:"teeTCBSVN2"`
	MRServiceTD    tee.Digest    `json:"mrServiceTD"`
}

type snpView struct {
	LaunchDigest    tee.Digest      `json:"launchDigest"`
	HostData        tee.HexBytes    `json:"hostData"`
	Policy          uint64          `json:"policy"`
	GuestSVN        uint32          `json:"guestSVN"`
	VMPL            uint32          `json:"vmpl"`
	FamilyID        tee.HexBytes    `json:"familyID"`
	ImageID         tee.HexBytes    `json:"imageID"`
	IDKeyDigest     tee.Digest      `json:"idKeyDigest"`
	AuthorKeyDigest tee.Digest      `json:"authorKeyDigest"`
	ChipID          tee.HexBytes    `json:"chipID"`
	Versions        tee.SNPVersions `json:"versions"`
	Expires         time.Time       `json:"expires"`
}

type tcbView struct {
	Status           tee.TCBStatus  `json:"status"`
	Platform         tee.TCBStatus  `json:"platform"`
	QE               tee.TCBStatus  `json:"qe"`
	Module           *tee.TCBStatus `json:"module,omitempty"`
	Advisories       []string       `json:"advisories"`
	Date             time.Time      `json:"date"`
	EvaluationNumber uint32         `json:"evaluationNumber"`
	Issued           time.Time      `json:"issued"`
	Expires          time.Time      `json:"expires"`
	FMSPC            tee.FMSPC      `json:"fmspc"`
	PCEID            tee.HexBytes   `json:"pceID"`
	PlatformID       tee.HexBytes   `json:"platformID"`
}

func newClaimsView(c *tee.Claims) *claimsView {
	v := &claimsView{Kind: c.Kind, Measurement: c.Measurement, Debug: c.Debug, Migratable: c.Migratable, ReportData: c.ReportData[:]}
	if t := c.TCB; t != nil && c.SNP == nil {
		v.TCB = &tcbView{Status: t.Status, Platform: t.Platform, QE: t.QE, Advisories: append([]string{}, t.Advisories...), Date: t.Date, EvaluationNumber: t.EvaluationNumber,
			Issued: t.Issued, Expires: t.Expires, FMSPC: t.FMSPC, PCEID: t.PCEID[:], PlatformID: t.PlatformID}
		if t.Module != tee.TCBUnknown {
			v.TCB.Module = &t.Module
		}
	}
	if r := c.SNP; r != nil {
		v.SNP = &snpView{LaunchDigest: r.LaunchDigest, HostData: r.HostData[:], Policy: r.Policy, GuestSVN: r.GuestSVN, VMPL: r.VMPL, FamilyID: r.FamilyID[:], ImageID: r.ImageID[:],
			IDKeyDigest: r.IDKeyDigest, AuthorKeyDigest: r.AuthorKeyDigest, ChipID: r.ChipID[:], Versions: r.Reported, Expires: c.TCB.Expires}
	}
	if r := c.SGX; r != nil {
		v.SGX = &sgxView{MREnclave: r.MREnclave[:], MRSigner: r.MRSigner, ProdID: r.ProdID, SVN: r.SVN, Attributes: r.Attributes[:], MiscSelect: r.MiscSelect,
			CPUSVN: r.CPUSVN[:], ConfigID: r.ConfigID[:], ConfigSVN: r.ConfigSVN, FamilyID: r.FamilyID[:], ExtProdID: r.ExtProdID[:]}
	}
	if r := c.TDX; r != nil {
		v.TDX = &tdxView{MRTD: r.MRTD, RTMR: r.RTMR, MRConfigID: r.MRConfigID, MROwner: r.MROwner, MROwnerConfig: r.MROwnerConfig, MRSEAM: r.MRSEAM,
			MRSignerSEAM: r.MRSignerSEAM, SEAMAttributes: r.SEAMAttributes[:], TDAttributes: r.TDAttributes[:], XFAM: r.XFAM[:],
			TEETCBSVN: r.TEETCBSVN[:], TEETCBSVN2: r.TEETCBSVN2[:], MRServiceTD: r.MRServiceTD}
	}
	return v
}

// print writes the verdict for a person.
func (v *quoteVerdict) print(w io.Writer) error {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-15s"+format+"\n", append([]any{label}, args...)...)
	}
	switch {
	case v.Accepted && v.PolicyGiven:
		b.WriteString("the quote is genuine and ACCEPTED by the policy\n")
	case v.Accepted:
		b.WriteString("the quote is genuine, its platform is in order; WHAT RUNS THERE WAS NOT CHECKED: no policy\n")
	case v.Genuine:
		b.WriteString("the quote is genuine, but NOT ACCEPTED\n")
	default:
		b.WriteString("the quote is NOT genuine\n")
	}
	if v.Claims != nil {
		v.Claims.print(line)
	}
	line("verified for", "%s", v.At.Format(time.RFC3339))
	for _, r := range v.Reasons {
		line("reason", "%s: %s", r.Code, printable(r.Message))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func yes(b bool) string {
	if b {
		return "YES"
	}
	return "no"
}

// platformName is what a person calls a kind of platform.
func platformName(k tee.Kind) string {
	switch k {
	case tee.Sim:
		return "simulated, which protects NOTHING"
	case tee.SNP:
		return "AMD SEV-SNP"
	case tee.SGX, tee.TDX:
		return "Intel " + strings.ToUpper(k.String())
	}
	return "none"
}

func (c *claimsView) print(line func(label, format string, args ...any)) {
	hexOf := hex.EncodeToString
	line("platform", "%s", platformName(c.Kind))
	line("measurement", "%s", c.Measurement)
	if r := c.SGX; r != nil {
		line("MRENCLAVE", "%s", hexOf(r.MREnclave))
		line("MRSIGNER", "%s, product %d, version %d", r.MRSigner, r.ProdID, r.SVN)
	}
	if r := c.TDX; r != nil {
		line("MRTD", "%s", r.MRTD)
		for i, d := range r.RTMR {
			line(fmt.Sprintf("RTMR%d", i), "%s", d)
		}
		for _, f := range []struct {
			name string
			d    tee.Digest
		}{{"MRCONFIGID", r.MRConfigID}, {"MROWNER", r.MROwner}, {"MROWNERCONFIG", r.MROwnerConfig}, {"MRSERVICETD", r.MRServiceTD}} {
			if f.d != (tee.Digest{}) {
				line(f.name, "%s", f.d)
			}
		}
		line("migratable", "%s", yes(c.Migratable))
	}
	if r := c.SNP; r != nil {
		line("launch digest", "%s, version %d", r.LaunchDigest, r.GuestSVN)
		line("host data", "%s", hexOf(r.HostData))
		line("migratable", "%s", yes(c.Migratable))
		line("VMPL", "%d", r.VMPL)
	}
	line("debug", "%s", yes(c.Debug))
	line("report data", "%s", hexOf(c.ReportData[:32]))
	line("", "%s", hexOf(c.ReportData[32:]))
	if r := c.SNP; r != nil {
		line("versions", "bootloader %d, TEE %d, SNP %d, microcode %d", r.Versions.Bootloader, r.Versions.TEE, r.Versions.SNP, r.Versions.Microcode)
		line("machine", "chip %s", hexOf(r.ChipID))
		line("collateral", "valid until %s", r.Expires.UTC().Format(time.RFC3339))
	}
	t := c.TCB
	if t == nil {
		return
	}
	parts := fmt.Sprintf("platform %s, quoting enclave %s", t.Platform, t.QE)
	if t.Module != nil {
		parts += fmt.Sprintf(", TDX module %s", *t.Module)
	}
	line("TCB status", "%s (%s), level of %s", t.Status, parts, t.Date.Format(time.DateOnly))
	advisories := "none"
	if len(t.Advisories) > 0 {
		advisories = printable(strings.Join(t.Advisories, ", "))
	}
	line("advisories", "%s", advisories)
	line("machine", "FMSPC %s, PPID %s", t.FMSPC, hexOf(t.PlatformID))
	line("collateral", "evaluation %d, issued %s, valid until %s", t.EvaluationNumber, t.Issued.Format(time.DateOnly), t.Expires.UTC().Format(time.RFC3339))
}
