package tee_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/offchain-worker/sdk/tee"
)

// Claims of the three kinds that are good, and a policy that accepts them.
func goodSGX() *tee.Claims {
	return &tee.Claims{Kind: tee.SGX, Measurement: tee.Measurement{1}, ReportData: tee.ReportData{2},
		SGX: &tee.SGXReport{MREnclave: [32]byte{1}, MRSigner: tee.Signer{3}, ProdID: 4, SVN: 5}, TCB: goodTCB()}
}

func goodTDX() *tee.Claims {
	r := &tee.TDReport{MRTD: tee.Digest{1}, RTMR: [4]tee.Digest{{10}, {11}, {12}, {13}}, MRConfigID: tee.Digest{2}, MROwner: tee.Digest{3}, MROwnerConfig: tee.Digest{4}}
	return &tee.Claims{Kind: tee.TDX, Measurement: r.Measurement(), ReportData: tee.ReportData{2}, TDX: r, TCB: goodTCB()}
}

func goodSNP() *tee.Claims {
	r := &tee.SNPReport{LaunchDigest: tee.Digest{1}, GuestSVN: 3, Reported: tee.SNPVersions{Bootloader: 3, TEE: 0, SNP: 8, Microcode: 115}}
	return &tee.Claims{Kind: tee.SNP, Measurement: r.Measurement(), ReportData: tee.ReportData{2}, SNP: r, TCB: &tee.TCB{At: now, PlatformID: []byte{9}}}
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func goodTCB() *tee.TCB {
	return &tee.TCB{At: now, Status: tee.UpToDate, PlatformID: []byte{9}, EvaluationNumber: 17, Issued: now.Add(-48 * time.Hour), FMSPC: tee.FMSPC{7}}
}

func goodPolicy() tee.Policy {
	return tee.Policy{
		Kinds: []tee.Kind{tee.SGX, tee.TDX, tee.SNP},
		SGX:   []tee.SGXRule{{MRSigner: tee.Signer{3}, ProdID: 4, MinSVN: 5}},
		TDX:   []tee.TDXRule{{MRTD: tee.Digest{1}, RTMR: []*tee.Digest{{10}, {11}, nil}, MRConfigID: &tee.Digest{2}, MROwner: &tee.Digest{3}, MROwnerConfig: &tee.Digest{4}}},
		SNP:   []tee.SNPRule{{LaunchDigest: tee.Digest{1}, MinGuestSVN: 2}},
		TCB: tee.TCBPolicy{MinEvaluationNumber: 17, MaxCollateralAge: tee.Duration(72 * time.Hour), FMSPCs: []tee.FMSPC{{7}},
			PlatformIDs: []tee.HexBytes{{8}, {9}}, MinSNP: &tee.SNPVersions{Bootloader: 3, SNP: 8, Microcode: 115}},
	}
}

func TestAppraise(t *testing.T) {
	same := func(*tee.Policy, *tee.Claims) {}
	tests := []struct {
		name   string
		claims *tee.Claims
		change func(*tee.Policy, *tee.Claims)
		want   []error // all that apply
	}{
		{"sgx", goodSGX(), same, nil},
		{"tdx", goodTDX(), same, nil},
		{"snp", goodSNP(), same, nil},
		{"zero policy", goodSGX(), func(p *tee.Policy, _ *tee.Claims) { *p = tee.Policy{} }, []error{tee.ErrKind, tee.ErrMeasurement}},
		{"zero policy, zero claims", &tee.Claims{ReportData: tee.ReportData{2}}, func(p *tee.Policy, _ *tee.Claims) { *p = tee.Policy{} },
			[]error{tee.ErrKind, tee.ErrMeasurement, tee.ErrTCBStatus}},
		{"kind", goodSGX(), func(p *tee.Policy, _ *tee.Claims) { p.Kinds = []tee.Kind{tee.TDX} }, []error{tee.ErrKind}},
		{"by measurement", goodSGX(), func(p *tee.Policy, _ *tee.Claims) { p.SGX, p.Measurements = nil, []tee.Measurement{{1}} }, nil},
		{"no rule", goodSGX(), func(p *tee.Policy, _ *tee.Claims) { p.SGX = nil }, []error{tee.ErrMeasurement}},
		{"signer", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.SGX.MRSigner[1] = 1 }, []error{tee.ErrMeasurement}},
		{"product", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.SGX.ProdID++ }, []error{tee.ErrMeasurement}},
		{"old version", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.SGX.SVN-- }, []error{tee.ErrSVN}},
		{"newer version", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.SGX.SVN++ }, nil},
		{"no report", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.SGX = nil }, []error{tee.ErrMeasurement}},
		{"MRTD", goodTDX(), func(_ *tee.Policy, c *tee.Claims) { c.TDX.MRTD[1] = 1 }, []error{tee.ErrMeasurement}},
		{"RTMR1", goodTDX(), func(_ *tee.Policy, c *tee.Claims) { c.TDX.RTMR[1][1] = 1 }, []error{tee.ErrMeasurement}},
		{"RTMR2 and 3 are not looked at", goodTDX(), func(_ *tee.Policy, c *tee.Claims) { c.TDX.RTMR[2][1], c.TDX.RTMR[3][1] = 1, 1 }, nil},
		{"MRCONFIGID", goodTDX(), func(_ *tee.Policy, c *tee.Claims) { c.TDX.MRConfigID[1] = 1 }, []error{tee.ErrMeasurement}},
		{"MROWNER", goodTDX(), func(_ *tee.Policy, c *tee.Claims) { c.TDX.MROwner[1] = 1 }, []error{tee.ErrMeasurement}},
		{"MROWNERCONFIG", goodTDX(), func(_ *tee.Policy, c *tee.Claims) { c.TDX.MROwnerConfig[1] = 1 }, []error{tee.ErrMeasurement}},
		{"five RTMRs", goodTDX(), func(p *tee.Policy, _ *tee.Claims) { p.TDX[0].RTMR = make([]*tee.Digest, 5) }, []error{tee.ErrMeasurement}},
		{"launch digest", goodSNP(), func(_ *tee.Policy, c *tee.Claims) { c.SNP.LaunchDigest[1] = 1 }, []error{tee.ErrMeasurement}},
		{"old guest", goodSNP(), func(_ *tee.Policy, c *tee.Claims) { c.SNP.GuestSVN = 1 }, []error{tee.ErrSVN}},
		{"VMPL", goodSNP(), func(_ *tee.Policy, c *tee.Claims) { c.SNP.VMPL = 1 }, []error{tee.ErrVMPL}},
		{"VMPL allowed", goodSNP(), func(p *tee.Policy, c *tee.Claims) { c.SNP.VMPL, p.MaxVMPL = 1, 1 }, nil},
		{"old microcode", goodSNP(), func(_ *tee.Policy, c *tee.Claims) { c.SNP.Reported.Microcode-- }, []error{tee.ErrTCBStatus}},
		{"no least versions", goodSNP(), func(p *tee.Policy, _ *tee.Claims) { p.TCB.MinSNP = nil }, []error{tee.ErrTCBStatus}},
		{"debug", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.Debug = true }, []error{tee.ErrDebug}},
		{"debug allowed", goodSGX(), func(p *tee.Policy, c *tee.Claims) { c.Debug, p.AllowDebug = true, true }, nil},
		{"migratable", goodTDX(), func(_ *tee.Policy, c *tee.Claims) { c.Migratable = true }, []error{tee.ErrMigratable}},
		{"migratable allowed", goodTDX(), func(p *tee.Policy, c *tee.Claims) { c.Migratable, p.AllowMigratable = true, true }, nil},
		{"report data", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.ReportData[63] = 1 }, []error{tee.ErrReportData}},
		{"nothing known of the platform", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB = nil }, []error{tee.ErrTCBStatus, tee.ErrTCB}},
		{"unknown status", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.Status = tee.TCBUnknown }, []error{tee.ErrTCBStatus}},
		{"software hardening", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.Status = tee.SWHardeningNeeded }, nil},
		{"configuration", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.Status = tee.ConfigurationNeeded }, []error{tee.ErrTCBStatus}},
		{"configuration allowed", goodSGX(), func(p *tee.Policy, c *tee.Claims) {
			c.TCB.Status, p.TCB.Statuses = tee.ConfigurationNeeded, []tee.TCBStatus{tee.ConfigurationNeeded}
		}, nil},
		{"up to date not listed", goodSGX(), func(p *tee.Policy, _ *tee.Claims) { p.TCB.Statuses = []tee.TCBStatus{tee.ConfigurationNeeded} }, []error{tee.ErrTCBStatus}},
		{"out of date, although listed", goodSGX(), func(p *tee.Policy, c *tee.Claims) {
			c.TCB.Status, p.TCB.Statuses = tee.OutOfDate, []tee.TCBStatus{tee.OutOfDate}
		}, []error{tee.ErrTCBStatus}},
		{"revoked, although listed", goodSGX(), func(p *tee.Policy, c *tee.Claims) {
			c.TCB.Status, p.TCB.Statuses = tee.Revoked, []tee.TCBStatus{tee.Revoked}
		}, []error{tee.ErrTCBStatus}},
		{"advisory", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.Advisories = []string{"INTEL-SA-00615"} }, []error{tee.ErrAdvisory, tee.ErrTCB}},
		{"one of two advisories allowed", goodSGX(), func(p *tee.Policy, c *tee.Claims) {
			c.TCB.Advisories, p.TCB.Advisories = []string{"INTEL-SA-00289", "INTEL-SA-00615"}, []string{"INTEL-SA-00615"}
		}, []error{tee.ErrAdvisory}},
		{"advisories allowed", goodSGX(), func(p *tee.Policy, c *tee.Claims) {
			c.TCB.Advisories, p.TCB.Advisories = []string{"INTEL-SA-00615"}, []string{"INTEL-SA-00289", "INTEL-SA-00615"}
		}, nil},
		{"evaluation number", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.EvaluationNumber-- }, []error{tee.ErrEvaluationNumber, tee.ErrTCB}},
		{"age", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.Issued = now.Add(-72*time.Hour - 1) }, []error{tee.ErrCollateralAge, tee.ErrTCB}},
		{"any age", goodSGX(), func(p *tee.Policy, c *tee.Claims) { c.TCB.Issued, p.TCB.MaxCollateralAge = now.AddDate(-1, 0, 0), 0 }, nil},
		{"FMSPC", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.FMSPC[0]++ }, []error{tee.ErrPlatform}},
		{"machine", goodSGX(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.PlatformID = []byte{1} }, []error{tee.ErrPlatform}},
		{"SNP machine", goodSNP(), func(_ *tee.Policy, c *tee.Claims) { c.TCB.PlatformID = []byte{1} }, []error{tee.ErrPlatform}},
		{"any machine", goodSGX(), func(p *tee.Policy, c *tee.Claims) {
			c.TCB.PlatformID, p.TCB.PlatformIDs, p.TCB.FMSPCs = nil, nil, nil
		}, nil},
		{"everything", goodSGX(), func(p *tee.Policy, c *tee.Claims) {
			p.Kinds = nil
			c.SGX.SVN, c.Debug, c.Migratable, c.ReportData = 0, true, true, tee.ReportData{}
			c.TCB = &tee.TCB{At: now, Advisories: []string{"a"}}
		}, []error{tee.ErrKind, tee.ErrSVN, tee.ErrDebug, tee.ErrMigratable, tee.ErrReportData, tee.ErrTCBStatus, tee.ErrAdvisory, tee.ErrEvaluationNumber, tee.ErrCollateralAge, tee.ErrPlatform}},
		{"hardware against the dev policy", goodSGX(), func(p *tee.Policy, _ *tee.Claims) { *p = tee.InsecureDev(tee.Measurement{1}) }, []error{tee.ErrKind}},
		{"sim against the dev policy", &tee.Claims{Kind: tee.Sim, Measurement: tee.Measurement{1}, Debug: true, ReportData: tee.ReportData{2}},
			func(p *tee.Policy, _ *tee.Claims) { *p = tee.InsecureDev(tee.Measurement{1}) }, nil},
		{"sim against a real policy", &tee.Claims{Kind: tee.Sim, Measurement: tee.Measurement{1}, Debug: true, ReportData: tee.ReportData{2}}, same,
			[]error{tee.ErrKind, tee.ErrMeasurement, tee.ErrDebug}},
	}
	all := []error{tee.ErrKind, tee.ErrMeasurement, tee.ErrSVN, tee.ErrDebug, tee.ErrMigratable, tee.ErrVMPL, tee.ErrReportData, tee.ErrPlatform,
		tee.ErrTCBStatus, tee.ErrAdvisory, tee.ErrEvaluationNumber, tee.ErrCollateralAge}
	for _, test := range tests {
		p, c := goodPolicy(), test.claims
		test.change(&p, c)
		err := p.Appraise(c, tee.ReportData{2})
		if (err == nil) != (test.want == nil) {
			t.Errorf("%s: got %v", test.name, err)
		}
		for _, reason := range all {
			if want := slices.Contains(test.want, reason); errors.Is(err, reason) != want {
				t.Errorf("%s: got %v; %v: want %v", test.name, err, reason, want)
			}
		}
		for _, want := range test.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v too", test.name, err, want)
			}
		}
		if without := p.AppraisePlatform(c); errors.Is(without, tee.ErrReportData) || err == nil && without != nil {
			t.Errorf("%s: platform alone: got %v", test.name, without)
		}
	}
}

// TestMeasurements changes every register that says what runs.
func TestMeasurements(t *testing.T) {
	seen := map[tee.Measurement]string{}
	check := func(name string, m tee.Measurement) {
		if other, twice := seen[m]; twice {
			t.Errorf("%s has the measurement of %s", name, other)
		}
		seen[m] = name
	}
	base := goodTDX().TDX
	check("tdx", base.Measurement())
	for name, change := range map[string]func(*tee.TDReport){
		"MRTD":          func(r *tee.TDReport) { r.MRTD[47]++ },
		"RTMR0":         func(r *tee.TDReport) { r.RTMR[0][47]++ },
		"RTMR3":         func(r *tee.TDReport) { r.RTMR[3][47]++ },
		"MRCONFIGID":    func(r *tee.TDReport) { r.MRConfigID[47]++ },
		"MROWNER":       func(r *tee.TDReport) { r.MROwner[47]++ },
		"MROWNERCONFIG": func(r *tee.TDReport) { r.MROwnerConfig[47]++ },
		"MRSERVICETD":   func(r *tee.TDReport) { r.MRServiceTD[47]++ },
	} {
		r := *base
		change(&r)
		check(name, r.Measurement())
	}
	snp := goodSNP().SNP
	check("snp", snp.Measurement())
	digest, host := *snp, *snp
	digest.LaunchDigest[47]++
	host.HostData[31]++
	check("launch digest", digest.Measurement())
	check("host data", host.Measurement())
	// Frozen: other programs compute the same. By Python's hashlib: blake2b-256
	// of 0x54, the label, and 432 or 80 zero bytes.
	for got, want := range map[string]string{
		(&tee.TDReport{}).Measurement().Hex():  wantTDX,
		(&tee.SNPReport{}).Measurement().Hex(): wantSNP,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	for _, test := range []struct{ a, b, want tee.TCBStatus }{
		{tee.UpToDate, tee.UpToDate, tee.UpToDate},
		{tee.UpToDate, tee.OutOfDate, tee.OutOfDate},
		{tee.SWHardeningNeeded, tee.OutOfDate, tee.OutOfDate},
		{tee.ConfigurationNeeded, tee.OutOfDate, tee.OutOfDateConfigurationNeeded},
		{tee.ConfigurationAndSWHardeningNeeded, tee.OutOfDate, tee.OutOfDateConfigurationNeeded},
		{tee.OutOfDateConfigurationNeeded, tee.OutOfDate, tee.OutOfDateConfigurationNeeded},
		{tee.OutOfDateConfigurationNeeded, tee.UpToDate, tee.OutOfDateConfigurationNeeded},
		{tee.ConfigurationNeeded, tee.SWHardeningNeeded, tee.ConfigurationAndSWHardeningNeeded},
		{tee.UpToDate, tee.Revoked, tee.Revoked},
		{tee.OutOfDate, tee.Revoked, tee.Revoked},
		{tee.UpToDate, tee.SWHardeningNeeded, tee.SWHardeningNeeded},
	} {
		for _, got := range []tee.TCBStatus{test.a.Merge(test.b), test.b.Merge(test.a)} {
			if got != test.want {
				t.Errorf("%s and %s: got %s, want %s", test.a, test.b, got, test.want)
			}
		}
	}
}

const digits96 = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30"

func TestParsePolicy(t *testing.T) {
	got, err := tee.ParsePolicy([]byte(`{
		"kinds": ["sgx", "tdx", "snp"],
		"measurements": ["4VPDvgFQkhKQCQkFr4Wmj8twA9QpHaDUGzVFxcutQMBY"],
		"sgx": [{"mrSigner": "` + digits96[:64] + `", "prodID": 1, "minSVN": 2}],
		"tdx": [{"mrTD": "0x` + digits96 + `", "rtmr": [null, "` + digits96 + `"]}],
		"snp": [{"launchDigest": "` + digits96 + `", "minGuestSVN": 3}],
		"tcb": {
			"statuses": ["UpToDate", "ConfigurationAndSWHardeningNeeded"], "advisories": ["INTEL-SA-00615"], "minEvaluationNumber": 17,
			"maxCollateralAge": "720h", "fmspcs": ["00a067110000"], "platformIDs": ["0x0102"],
			"minSNP": {"bootloader": 3, "tee": 0, "snp": 8, "microcode": 115}
		}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	var m tee.Measurement
	if err := m.UnmarshalText([]byte("4VPDvgFQkhKQCQkFr4Wmj8twA9QpHaDUGzVFxcutQMBY")); err != nil {
		t.Fatal(err)
	}
	var d tee.Digest
	for i := range d {
		d[i] = byte(i + 1)
	}
	want := tee.Policy{
		Kinds: []tee.Kind{tee.SGX, tee.TDX, tee.SNP}, Measurements: []tee.Measurement{m},
		SGX: []tee.SGXRule{{MRSigner: tee.Signer(d[:32]), ProdID: 1, MinSVN: 2}},
		TDX: []tee.TDXRule{{MRTD: d, RTMR: []*tee.Digest{nil, &d}}},
		SNP: []tee.SNPRule{{LaunchDigest: d, MinGuestSVN: 3}},
		TCB: tee.TCBPolicy{Statuses: []tee.TCBStatus{tee.UpToDate, tee.ConfigurationAndSWHardeningNeeded}, Advisories: []string{"INTEL-SA-00615"},
			MinEvaluationNumber: 17, MaxCollateralAge: tee.Duration(720 * time.Hour), FMSPCs: []tee.FMSPC{{0, 0xa0, 0x67, 0x11}},
			PlatformIDs: []tee.HexBytes{{1, 2}}, MinSNP: &tee.SNPVersions{Bootloader: 3, SNP: 8, Microcode: 115}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := tee.ParsePolicy(b); err != nil || !cmp.Equal(got, again) {
		t.Errorf("%s: got %+v, %v", b, again, err)
	}
}

func TestParseBadPolicy(t *testing.T) {
	const m = `"measurements":["4VPDvgFQkhKQCQkFr4Wmj8twA9QpHaDUGzVFxcutQMBY"]`
	for _, test := range []struct{ policy, want string }{
		{``, "EOF"},
		{`[]`, "cannot unmarshal"},
		{`{}`, "no kind of platform"},
		{`{"kinds":["sgx"]}`, "no program"},
		{`{"kinds":["sgx"],` + m + `} {}`, "text after"},
		{`{"kinds":["sgx"],` + m + `,"allowdebugs":true}`, "unknown field"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"status":[]}}`, "unknown field"},
		{`{"kinds":["sev"],` + m + `}`, "no kind of platform"},
		{`{"kinds":["sgx","sim"],` + m + `,"allowDebug":true}`, "beside real ones"},
		{`{"kinds":["sim"],` + m + `}`, "not debug"},
		{`{"kinds":["snp"],` + m + `}`, "minSNP"},
		{`{"kinds":["sgx"],"measurements":["11"]}`, "32 bytes"},
		{`{"kinds":["sgx"],"tdx":[{"mrTD":"` + digits96 + `"}]}`, "rules for tdx"},
		{`{"kinds":["tdx"],"tdx":[{}]}`, "no mrTD"},
		{`{"kinds":["tdx"],"tdx":[{"mrTD":"` + digits96 + `","rtmr":[null,null,null,null,null]}]}`, "5 RTMRs"},
		{`{"kinds":["tdx"],"tdx":[{"mrTD":"00"}]}`, "2 hex digits instead of 96"},
		{`{"kinds":["sgx"],"sgx":[{"prodID":1}]}`, "no mrSigner"},
		{`{"kinds":["sgx"],"sgx":[{"mrSigner":"` + strings.Repeat("x", 64) + `"}]}`, "invalid byte"},
		{`{"kinds":["snp"],"snp":[{}],"tcb":{"minSNP":{}}}`, "no launchDigest"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"statuses":["OutOfDate"]}}`, "OutOfDate is never accepted"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"statuses":["Revoked"]}}`, "Revoked is never accepted"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"statuses":[]}}`, "tcb.statuses is empty"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"fmspcs":[]}}`, "tcb.fmspcs is empty"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"platformIDs":[]}}`, "tcb.platformIDs is empty"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"statuses":["Unknown"]}}`, "no TCB status"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"maxCollateralAge":"-1h"}}`, "negative"},
		{`{"kinds":["sgx"],` + m + `,"tcb":{"maxCollateralAge":"soon"}}`, "invalid duration"},
		{strings.Repeat(" ", tee.MaxPolicy+1), "more than"},
	} {
		p, err := tee.ParsePolicy([]byte(test.policy))
		if !errors.Is(err, tee.ErrPolicy) || !strings.Contains(err.Error(), test.want) || !cmp.Equal(p, tee.Policy{}) {
			t.Errorf("%.200s: got %v, %v, want %s", test.policy, p, err, test.want)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	b, err := json.Marshal(goodPolicy())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := tee.ParsePolicy(b)
		if err != nil {
			if !errors.Is(err, tee.ErrPolicy) {
				t.Errorf("got %v", err)
			}
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := tee.ParsePolicy(again); err != nil || !cmp.Equal(p, q, cmpopts.EquateEmpty()) {
			t.Errorf("%s: got %+v, %v", again, q, err)
		}
	})
}

const (
	wantTDX = "0x7a2a3eaf81c6d62f0686b66d2425c800e5851f2bc7bb83bdd8990bfe933a314b"
	wantSNP = "0xa480e4cda3ebb3766c3794280152ce4ae45e146c7250940d275ddc95e0c38329"
)
