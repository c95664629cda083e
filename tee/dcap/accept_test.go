package dcap_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// kits makes a kit of each format.
var kits = []struct {
	name string
	make func() *dcaptest.Kit
}{
	{"sgx-v3", func() *dcaptest.Kit { return dcaptest.New("test", tee.SGX, noon) }},
	{"tdx-v4", func() *dcaptest.Kit { return dcaptest.New("test", tee.TDX, noon) }},
	{"tdx-v5", func() *dcaptest.Kit {
		k := dcaptest.New("test", tee.TDX, noon)
		k.Version = 5
		return k
	}},
	{"tdx-v5-td15", func() *dcaptest.Kit {
		k := dcaptest.New("test", tee.TDX, noon)
		k.Version, k.TD15 = 5, true
		return k
	}},
}

// accepted are kits that are genuine, with what the platform's state is.
var accepted = []struct {
	name       string
	kind       tee.Kind
	change     func(k *dcaptest.Kit)
	status     tee.TCBStatus
	advisories []string
}{
	{"sgx", tee.SGX, func(*dcaptest.Kit) {}, tee.UpToDate, nil},
	{"tdx", tee.TDX, func(*dcaptest.Kit) {}, tee.UpToDate, nil},
	{"processor CA", tee.SGX, func(k *dcaptest.Kit) { k.CACert.Subject.CommonName = "Intel SGX PCK Processor CA" }, tee.UpToDate, nil},
	{"newer microcode", tee.SGX, func(k *dcaptest.Kit) { k.PCK.TCBComponents[0] = 255 }, tee.UpToDate, nil},
	{"older microcode", tee.SGX, func(k *dcaptest.Kit) { k.PCK.TCBComponents[1]-- }, tee.OutOfDate, []string{"INTEL-SA-00001"}},
	{"older PCE", tee.SGX, func(k *dcaptest.Kit) { k.PCK.PCESVN-- }, tee.OutOfDate, []string{"INTEL-SA-00001"}},
	{"TD on older microcode", tee.TDX, func(k *dcaptest.Kit) { k.PCK.TCBComponents[0]-- }, tee.OutOfDate, []string{"INTEL-SA-00001"}},
	{"software hardening", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.TCBLevels[0].TCBStatus = "SWHardeningNeeded" }, tee.SWHardeningNeeded, nil},
	{"configuration", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.TCBLevels[0].TCBStatus = "ConfigurationNeeded" }, tee.ConfigurationNeeded, nil},
	{"both", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.TCBLevels[0].TCBStatus = "ConfigurationAndSWHardeningNeeded" }, tee.ConfigurationAndSWHardeningNeeded, nil},
	{"revoked level", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.TCBLevels[0].TCBStatus = "Revoked" }, tee.Revoked, nil},
	{"old quoting enclave", tee.SGX, func(k *dcaptest.Kit) { k.QE.SVN = 7 }, tee.OutOfDate, []string{"INTEL-SA-00003"}},
	{"revoked quoting enclave", tee.SGX, func(k *dcaptest.Kit) { k.QE.SVN = 4 }, tee.Revoked, []string{"INTEL-SA-00003", "INTEL-SA-00004"}},
	{"old quoting enclave, configuration", tee.SGX, func(k *dcaptest.Kit) {
		k.QE.SVN, k.TCBInfo.TCBLevels[0].TCBStatus = 7, "ConfigurationNeeded"
	}, tee.OutOfDateConfigurationNeeded, []string{"INTEL-SA-00003"}},
	{"both old: advisories of both, sorted", tee.SGX, func(k *dcaptest.Kit) {
		k.QE.SVN = 7
		k.PCK.PCESVN--
		k.TCBInfo.TCBLevels[1].AdvisoryIDs = []string{"INTEL-SA-00009", "INTEL-SA-00003"}
	}, tee.OutOfDate, []string{"INTEL-SA-00003", "INTEL-SA-00009"}},
	{"old TDX module", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TEETCBSVN[0] = 3 }, tee.OutOfDate, []string{"INTEL-SA-00002"}},
	{"TDX module version 0", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TEETCBSVN = [16]byte{5, 0, 2} }, tee.UpToDate, nil},
	{"TDX module of lower-case id", tee.TDX, func(k *dcaptest.Kit) {
		k.TDX.TEETCBSVN[1], k.TCBInfo.TDXModuleIdentities[0].ID = 10, "TDX_0a"
	}, tee.UpToDate, nil},
	{"upper-case FMSPC", tee.SGX, func(k *dcaptest.Kit) { k.TCBInfo.FMSPC = "D0C06F000000" }, tee.UpToDate, nil},
	{"long authentication data", tee.SGX, func(k *dcaptest.Kit) { k.QEAuth = make([]byte, 1000) }, tee.UpToDate, nil},
	{"no authentication data", tee.SGX, func(k *dcaptest.Kit) { k.QEAuth = nil }, tee.UpToDate, nil},
	{"others are revoked", tee.SGX, func(k *dcaptest.Kit) {
		pck, ca := *k.PCKCert, *k.CACert
		k.RevokePCK()
		k.RevokeCA()
		k.PCKCert, k.CACert = &pck, &ca
		pck.SerialNumber, ca.SerialNumber = sha(1), sha(2)
	}, tee.UpToDate, nil},
	{"masked bit of the quoting enclave's attributes", tee.SGX, func(k *dcaptest.Kit) { k.QE.Attributes[0] |= 4 }, tee.UpToDate, nil},
}

func TestAccept(t *testing.T) {
	for _, test := range accepted {
		t.Run(test.name, func(t *testing.T) {
			k := dcaptest.New("test", test.kind, noon)
			test.change(k)
			claims, err := dcap.Verify(k.Quote(), k.Collateral(), k.Root(), noon)
			if err != nil {
				t.Fatal(err)
			}
			if claims.TCB.Status != test.status || !slices.Equal(claims.TCB.Advisories, test.advisories) {
				t.Errorf("got %s %q, want %s %q", claims.TCB.Status, claims.TCB.Advisories, test.status, test.advisories)
			}
		})
	}
}

// TestClaims puts something else into each field of a quote and finds it again.
func TestClaims(t *testing.T) {
	fill := func(b []byte, name string) {
		h := sha256.Sum256([]byte(name))
		for i := range b {
			b[i] = h[i%len(h)]
		}
	}
	for _, kit := range kits {
		t.Run(kit.name, func(t *testing.T) {
			k := kit.make()
			fill(k.UserData[:], "user")
			s := &k.SGX
			for i, b := range [][]byte{s.CPUSVN[:], s.ConfigID[:], s.FamilyID[:], s.ExtProdID[:], s.ReportData[:], s.MREnclave[:], s.MRSigner[:]} {
				fill(b, fmt.Sprint(i))
			}
			s.MiscSelect, s.ProdID, s.SVN, s.ConfigSVN = 0x01020304, 0x0506, 0x0708, 0x090a
			d := &k.TDX
			for i, b := range [][]byte{d.MRSEAM[:], d.XFAM[:], d.MRTD[:], d.MRConfigID[:], d.MROwner[:], d.MROwnerConfig[:],
				d.RTMR[0][:], d.RTMR[1][:], d.RTMR[2][:], d.RTMR[3][:], d.ReportData[:]} {
				fill(b, fmt.Sprint("td", i))
			}
			if k.TD15 {
				fill(d.TEETCBSVN2[:], "svn2")
				fill(d.MRServiceTD[:], "service")
			}
			claims, err := dcap.Verify(k.Quote(), k.Collateral(), k.Root(), noon)
			if err != nil {
				t.Fatal(err)
			}
			want := &tee.Claims{Kind: k.Kind, Measurement: s.MREnclave, ReportData: s.ReportData, SGX: s}
			if k.Kind == tee.TDX {
				want = &tee.Claims{Kind: k.Kind, Measurement: d.Measurement(), ReportData: d.ReportData, TDX: d}
			}
			want.TCB = &tee.TCB{
				At: noon, PlatformID: k.PCK.PPID[:], Expires: noon.AddDate(0, 0, 29), Status: tee.UpToDate, Platform: tee.UpToDate, QE: tee.UpToDate,
				Date: noon.AddDate(-1, 0, 0), EvaluationNumber: 17, Issued: noon.AddDate(0, 0, -1), FMSPC: k.PCK.FMSPC,
			}
			if k.Kind == tee.TDX {
				want.TCB.Module = tee.UpToDate
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			q, err := dcap.DecodeQuote(k.Quote())
			if err != nil || q.UserData != k.UserData || q.Version != k.Version {
				t.Errorf("got %+v, %v", q, err)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		name              string
		kind              tee.Kind
		change            func(*dcaptest.Kit)
		debug, migratable bool
	}{
		{"sgx", tee.SGX, func(*dcaptest.Kit) {}, false, false},
		{"sgx debug", tee.SGX, func(k *dcaptest.Kit) { k.SGX.Attributes[0] |= 2 }, true, false},
		{"tdx", tee.TDX, func(*dcaptest.Kit) {}, false, false},
		{"tdx debug", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TDAttributes[0] |= 1 }, true, false},
		{"tdx under debug by a later bit", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TDAttributes[0] |= 0x80 }, true, false},
		{"tdx migratable", tee.TDX, func(k *dcaptest.Kit) { k.TDX.TDAttributes[3] |= 0x20 }, false, true},
	} {
		k := dcaptest.New("test", test.kind, noon)
		test.change(k)
		claims, err := dcap.Verify(k.Quote(), k.Collateral(), k.Root(), noon)
		if err != nil || claims.Debug != test.debug || claims.Migratable != test.migratable {
			t.Errorf("%s: got %+v, %v", test.name, claims, err)
		}
	}
}

// TestDates verifies at the ends of each validity, and a second outside them.
func TestDates(t *testing.T) {
	k := dcaptest.New("test", tee.SGX, noon)
	quote, c, root := k.Quote(), k.Collateral(), k.Root()
	from, to := noon.AddDate(0, 0, -1), noon.AddDate(0, 0, 29)
	for _, test := range []struct {
		at   time.Time
		good bool
	}{{from.Add(-time.Second), false}, {from, true}, {to, true}, {to.Add(time.Second), false}, {time.Time{}, false}} {
		if _, err := dcap.Verify(quote, c, root, test.at); (err == nil) != test.good {
			t.Errorf("%s: got %v", test.at, err)
		}
	}
}
