package runtime

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// worldNow is when the worlds of the tests begin.
var worldNow = time.UnixMilli(1_700_000_000_000)

// newKit is a machine of the same synthetic Intel each time, whose enclave
// vouches for an account.
func newKit(who *keyring.Pair) *dcaptest.Kit {
	k := dcaptest.New("devchain", tee.SGX, worldNow)
	copy(k.SGX.ReportData[:], who.Public())
	k.SGX.ReportData[63] = 7
	return k
}

// newIntelWorld is a world that trusts the synthetic Intel and has the
// collateral of k.
func newIntelWorld(t testing.TB, k *dcaptest.Kit) *world {
	t.Helper()
	w := newWorld(t, Options{DCAPRoot: string(k.Root().Raw)})
	c := k.Collateral()
	if got := w.quotingEnclave(c); got != "" {
		t.Fatal(got)
	}
	if got := w.tcbInfo(c); got != "" {
		t.Fatal(got)
	}
	return w
}

func (w *world) quotingEnclave(c *dcap.Collateral) string {
	w.Helper()
	return w.run(key(w, "//Bob"), w.call("Teerex", "register_quoting_enclave", c.QEIdentity, c.QEIdentitySignature, c.QEIdentityChain))
}

func (w *world) tcbInfo(c *dcap.Collateral) string {
	w.Helper()
	return w.run(key(w, "//Bob"), w.call("Teerex", "register_tcb_info", c.TCBInfo, c.TCBInfoSignature, c.TCBInfoChain))
}

func (w *world) registerQuote(who *keyring.Pair, quote []byte, proxied bool) string {
	w.Helper()
	url := []byte("wss://a")
	method := integritee.SgxAttestationMethod{Dcap: &integritee.ProxiedMethod{Proxied: proxied}}
	return w.run(who, w.call("Teerex", "register_sgx_enclave", quote, struct{ U *[]byte }{&url}, method))
}

func TestDcapRegistration(t *testing.T) {
	alice, bob := key(t, "//Alice"), key(t, "//Bob")
	k := newKit(alice)
	w := newIntelWorld(t, k)
	now := w.now
	if got := w.registerQuote(alice, k.Quote(), false); got != "" {
		t.Fatal(got)
	}
	m := w.rt.Teerex.SovereignEnclaves.Get(w.read(), alice.AccountID())
	if m.Fingerprint() != k.SGX.MREnclave || m.Sgx.MrSigner != [32]byte(k.SGX.MRSigner) || m.Sgx.ReportData.D != k.SGX.ReportData || m.Sgx.Timestamp != now ||
		m.Sgx.Status != integritee.SgxOk || m.Sgx.BuildMode != integritee.SgxProduction || m.Sgx.AttestationMethod.Dcap == nil || string(*m.Sgx.URL) != "wss://a" {
		t.Errorf("registered %+v", m.Sgx)
	}
	// Anybody may vouch for it as a proxy.
	if got := w.registerQuote(bob, k.Quote(), true); got != "" {
		t.Error(got)
	}
	for a := range w.rt.Teerex.ProxiedEnclaves.All(w.read()) {
		if a.Registrar != bob.AccountID() || a.Fingerprint != k.SGX.MREnclave || a.Signer.Opaque == nil || !bytes.Equal(*a.Signer.Opaque, k.SGX.ReportData[:]) {
			t.Errorf("%+v", a)
		}
	}
	// Statuses are recorded, and nothing but a debug enclave is refused for what it is.
	k.PCK.PCESVN--
	k.SGX.Attributes[0] |= 2
	if got := w.registerQuote(alice, k.Quote(), false); got != "" {
		t.Error(got)
	}
	if m := w.rt.Teerex.SovereignEnclaves.Get(w.read(), alice.AccountID()); m.Sgx.Status != integritee.SgxGroupOutOfDate || m.Sgx.BuildMode != integritee.SgxDebug {
		t.Errorf("registered %+v", m.Sgx)
	}
	w.root(w.call("Teerex", "set_security_flags", false, false))
	if got := w.registerQuote(alice, k.Quote(), false); got != "SgxModeIsNotAllowed" {
		t.Error(got)
	}
	k.SGX.Attributes[0] &^= 2
	if got := w.registerQuote(alice, k.Quote(), false); got != "" {
		t.Error(got)
	}
	// The dates of collateral count when it is registered.
	w.now += 60 * 24 * 3600 * 1000
	if got := w.registerQuote(alice, k.Quote(), false); got != "" {
		t.Error(got)
	}
	if got := w.run(bob, w.call("Teerex", "unregister_sovereign_enclave", alice.AccountID())); got != "UnregisterActiveEnclaveIsNotAllowed" {
		t.Error(got)
	}
}

// TestDcapRefused: what the pallet refuses, each with its error.
func TestDcapRefused(t *testing.T) {
	alice := key(t, "//Alice")
	w := newIntelWorld(t, newKit(alice))
	flip := func(at int) func(*dcaptest.Kit, []byte) []byte {
		return func(_ *dcaptest.Kit, quote []byte) []byte { quote[at] ^= 1; return quote }
	}
	chain := func(chain func(k *dcaptest.Kit) []byte) func(*dcaptest.Kit, []byte) []byte {
		return func(k *dcaptest.Kit, _ []byte) []byte { return k.QuoteOf(k.Signed(), 5, chain(k)) }
	}
	const cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	one := func(k *dcaptest.Kit) []byte {
		c := k.PCKChain()
		return c[:bytes.Index(c, []byte("-----END"))]
	}
	for name, c := range map[string]struct {
		kit   func(k *dcaptest.Kit)
		quote func(k *dcaptest.Kit, quote []byte) []byte
		want  string
	}{
		"nothing":                 {nil, func(*dcaptest.Kit, []byte) []byte { return nil }, "DcapQuoteDecodingError"},
		"cut short":               {nil, func(_ *dcaptest.Kit, q []byte) []byte { return q[:len(q)-1] }, "DcapQuoteDecodingError"},
		"too much certification":  {nil, func(k *dcaptest.Kit, q []byte) []byte { q[1048], q[1049], q[1050] = 0xff, 0xff, 0xff; return q }, "DcapQuoteDecodingError"},
		"version 4":               {nil, flip(0), "DcapQuoteVersionMismatch"},
		"another kind of key":     {nil, flip(2), "DcapKeyTypeMismatch"},
		"another kind of chain":   {nil, func(k *dcaptest.Kit, _ []byte) []byte { return k.QuoteOf(k.Signed(), 4, k.PCKChain()) }, "PckCertFormatMismatch"},
		"QE of another signer":    {func(k *dcaptest.Kit) { k.QE.MRSigner[0] ^= 1 }, nil, "QeHasRejectedEnclave"},
		"QE of another product":   {func(k *dcaptest.Kit) { k.QE.ProdID++ }, nil, "QeHasRejectedEnclave"},
		"QE with MISCSELECT":      {func(k *dcaptest.Kit) { k.QE.MiscSelect = 1 }, nil, "QeHasRejectedEnclave"},
		"QE in debug mode":        {func(k *dcaptest.Kit) { k.QE.Attributes[0] |= 2 }, nil, "QeHasRejectedEnclave"},
		"QE below all levels":     {func(k *dcaptest.Kit) { k.QE.SVN = 3 }, nil, "QeHasRejectedEnclave"},
		"one certificate":         {nil, chain(func(k *dcaptest.Kit) []byte { return append(one(k), "-----END CERTIFICATE-----\n"...) }), "CertificateChainIsTooShort"},
		"lines that end in CR LF": {nil, chain(func(k *dcaptest.Kit) []byte { return bytes.ReplaceAll(k.PCKChain(), []byte("\n"), []byte("\r\n")) }), "CertificateChainIsTooShort"},
		"no certificates":         {nil, chain(func(*dcaptest.Kit) []byte { return []byte(cert + cert) }), "LeafCertificateParsingError"},
		"no CA between":           {nil, chain(func(k *dcaptest.Kit) []byte { return append(one(k), "-----END CERTIFICATE-----\n"+cert...) }), "CertificateChainIsInvalid"},
		"another root":            {func(k *dcaptest.Kit) { k.Keys.Root = k.Keys.PCK }, nil, "CertificateChainIsInvalid"},
		"an old certificate":      {func(k *dcaptest.Kit) { k.PCKCert.NotAfter = worldNow.Add(-time.Second) }, nil, "CertificateChainIsInvalid"},
		"a CA as leaf":            {func(k *dcaptest.Kit) { k.PCKCert.IsCA = true }, nil, "CertificateChainIsInvalid"},
		"a leaf for servers": {func(k *dcaptest.Kit) { k.PCKCert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, nil,
			"CertificateChainIsInvalid"},
		"a leaf with more that is critical": {func(k *dcaptest.Kit) {
			k.PCKCert.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}, nil, "CertificateChainIsInvalid"},
		"no PCK certificate":             {nil, chain(func(k *dcaptest.Kit) []byte { return k.Collateral().TCBInfoChain }), "IntelExtensionAmbiguity"},
		"authentication data of 31 byte": {func(k *dcaptest.Kit) { k.QEAuth = k.QEAuth[:31] }, nil, "QeReportHashMismatch"},
		"another attestation key":        {nil, flip(quoteSignedLen + 4 + 64), "QeReportHashMismatch"},
		"another enclave":                {nil, flip(quoteHeaderLen + 64), "IsvEnclaveReportSignatureIsInvalid"},
		"another header":                 {nil, flip(30), "IsvEnclaveReportSignatureIsInvalid"},
		"signature of the QE":            {nil, flip(quoteSignedLen + 4 + 128 + 384 + 63), "RsaSignatureIsInvalid"},
		"zeros behind":                   {nil, func(_ *dcaptest.Kit, q []byte) []byte { return append(q, 0) }, "DcapQuoteIsTooLong"},
		"more than it may have":          {nil, func(_ *dcaptest.Kit, q []byte) []byte { return append(q, make([]byte, integritee.MaxProofBytes)...) }, "RaProofIsTooLong"},
		"another account's":              {func(k *dcaptest.Kit) { k.SGX.ReportData[0] ^= 1 }, nil, "SenderIsNotAttestedEnclave"},
		"another family of platforms":    {func(k *dcaptest.Kit) { k.PCK.FMSPC[0] ^= 1 }, nil, "MissingTcbInfoForFmspc"},
		"microcode below all levels":     {func(k *dcaptest.Kit) { k.PCK.CPUSVN[0] = 1 }, nil, "TcbInfoIsOutdated"},
		"PCE below all levels":           {func(k *dcaptest.Kit) { k.PCK.PCESVN = 1 }, nil, "TcbInfoIsOutdated"},
	} {
		k := newKit(alice)
		if c.kit != nil {
			c.kit(k)
		}
		quote := k.Quote()
		if c.quote != nil {
			quote = c.quote(k, quote)
		}
		if got := w.registerQuote(alice, quote, false); got != c.want {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
	if w.rt.Teerex.SovereignEnclaves.Contains(w.read(), alice.AccountID()) {
		t.Error("registered all the same")
	}
	// Intel's root does not know the synthetic one, and without collateral nothing is believed.
	bare := newWorld(t)
	if got := bare.registerQuote(alice, newKit(alice).Quote(), false); got != "QeHasRejectedEnclave" {
		t.Error(got)
	}
	if got := bare.tcbInfo(newKit(alice).Collateral()); got != "CertificateChainIsInvalid" {
		t.Error(got)
	}
}

// TestPlatformOf: extensions of which the identifiers are found and the rest is
// wrong.
func TestPlatformOf(t *testing.T) {
	k := newKit(key(t, "//Alice"))
	whole := dcaptest.SGXExtension(k.PCK)
	extension := func(b []byte) *x509.Certificate {
		return &x509.Certificate{Extensions: []pkix.Extension{{Id: oidIntel, Value: b}}}
	}
	p, err := platformOf(extension(whole))
	if err != nil || p.fmspc != Fmspc(k.PCK.FMSPC) || p.cpusvn != k.PCK.CPUSVN || p.pcesvn != k.PCK.PCESVN {
		t.Errorf("%+v, %v", p, err)
	}
	k.PCK.PCESVN = 0x1234
	if p, err := platformOf(extension(dcaptest.SGXExtension(k.PCK))); err != nil || p.pcesvn != 0x1234 {
		t.Errorf("%+v, %v", p, err)
	}
	without := func(id []byte) []byte {
		b := bytes.Clone(whole)
		copy(b[bytes.Index(b, id):], "nothing")
		return b
	}
	upTo := func(id []byte, more int) []byte {
		// The other identifiers stand before, so that they are found.
		b := append(bytes.Clone(whole), whole...)
		i := len(whole) + bytes.Index(whole, id)
		return append(bytes.ReplaceAll(b[:i:i], id, []byte("nothing")), b[i:i+len(id)+more]...)
	}
	length := func(n byte) []byte {
		b := bytes.Clone(whole)
		b[bytes.Index(b, derPceSvn)+len(derPceSvn)+1] = n
		return b
	}
	for _, c := range []struct {
		b    []byte
		want error
	}{
		{without(derFmspc), errFmspcOidIsMissing}, {upTo(derFmspc, 7), errFmspcLengthMismatch},
		{without(derCPUSvn), errCPUSvnOidIsMissing}, {upTo(derCPUSvn, 17), errCPUSvnLengthMismatch},
		{without(derPceSvn), errPceSvnOidIsMissing}, {upTo(derPceSvn, 1), errPceSvnDecodingError}, {upTo(derPceSvn, 2), errPceSvnLengthMismatch},
		{length(3), errPceSvnLengthMismatch}, {length(0x82), errPceSvnDecodingError},
	} {
		if _, err := platformOf(extension(c.b)); err != c.want {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
}

func TestCollateralRegistration(t *testing.T) {
	k := newKit(key(t, "//Alice"))
	w := newWorld(t, Options{DCAPRoot: string(k.Root().Raw)})
	c := k.Collateral()
	bob := key(t, "//Bob")
	if got := w.one(w.sign(bob, w.call("Teerex", "register_tcb_info", c.TCBInfo, c.TCBInfoSignature, c.TCBInfoChain))); !strings.Contains(got, "Teerex.SgxTcbInfoRegistered") {
		t.Error(got)
	}
	if got := w.one(w.sign(bob, w.call("Teerex", "register_quoting_enclave", c.QEIdentity, c.QEIdentitySignature, c.QEIdentityChain))); !strings.Contains(got, "Teerex.SgxQuotingEnclaveRegistered") {
		t.Error(got)
	}
	info := w.rt.Teerex.SgxTcbInfo.Get(w.read(), Fmspc(k.PCK.FMSPC))
	if info.IssueDate != uint64(k.TCBInfo.IssueDate.UnixMilli()) || info.NextUpdate != uint64(k.TCBInfo.NextUpdate.UnixMilli()) || len(info.TcbLevels) != 2 ||
		info.TcbLevels[0] != (integritee.TcbVersionStatus{Cpusvn: k.PCK.TCBComponents, Pcesvn: k.PCK.PCESVN, TcbStatus: integritee.TcbUpToDate}) ||
		info.TcbLevels[1].TcbStatus != integritee.TcbOutOfDate {
		t.Errorf("%+v", info)
	}
	qe := w.rt.Teerex.SgxQuotingEnclaveRegistry.Get(w.read())
	if qe.IssueDate != uint64(k.QEIdentity.IssueDate.UnixMilli()) || qe.Mrsigner != [32]byte(k.QE.MRSigner) || qe.Isvprodid != 1 || len(qe.Tcb) != 3 || qe.Tcb[2].Isvsvn != 4 {
		t.Errorf("%+v", qe)
	}

	both := func(edit func(object *string)) func(*dcap.Collateral) {
		return func(c *dcap.Collateral) {
			for _, b := range []*[]byte{&c.TCBInfo, &c.QEIdentity} {
				s := string(*b)
				edit(&s)
				*b = []byte(s)
			}
			k.Resign(c)
		}
	}
	replace := func(old, with string) func(*dcap.Collateral) {
		return both(func(s *string) { *s = strings.ReplaceAll(*s, old, with) })
	}
	for name, test := range map[string]struct {
		change   func(c *dcap.Collateral)
		tcb, qe  string
		whenever time.Duration
	}{
		"no chain":                   {change: func(c *dcap.Collateral) { c.TCBInfoChain, c.QEIdentityChain = nil, nil }, tcb: "CertificateChainIsTooShort"},
		"chain of a PCK certificate": {change: func(c *dcap.Collateral) { c.TCBInfoChain, c.QEIdentityChain = k.PCKChain(), k.PCKChain() }, tcb: "RsaSignatureIsInvalid", qe: "EnclaveIdentitySignatureIsInvalid"},
		"signature of 63 bytes": {change: func(c *dcap.Collateral) {
			c.TCBInfoSignature, c.QEIdentitySignature = make([]byte, 63), make([]byte, 63)
		}, tcb: "KeyLengthIsInvalid"},
		"signed by nobody": {change: func(c *dcap.Collateral) {
			c.TCBInfoSignature, c.QEIdentitySignature = make([]byte, 64), make([]byte, 64)
		}, tcb: "RsaSignatureIsInvalid", qe: "EnclaveIdentitySignatureIsInvalid"},
		"one byte more":   {change: func(c *dcap.Collateral) { c.TCBInfo, c.QEIdentity = append(c.TCBInfo, ' '), append(c.QEIdentity, ' ') }, tcb: "RsaSignatureIsInvalid", qe: "EnclaveIdentitySignatureIsInvalid"},
		"rubbish":         {change: both(func(s *string) { *s = "{" }), tcb: "TcbInfoIsInvalid", qe: "EnclaveIdentityDecodingError"},
		"an empty object": {change: both(func(s *string) { *s = "{}" }), tcb: "TcbInfoIsInvalid", qe: "EnclaveIdentityDecodingError"},
		"no date":         {change: replace(`"nextUpdate"`, `"other"`), tcb: "TcbInfoIsInvalid", qe: "EnclaveIdentityDecodingError"},
		"a status of which Teerex does not know": {change: replace(`"UpToDate"`, `"ConfigurationNeeded"`), tcb: "TcbInfoIsInvalid",
			qe: "EnclaveIdentityDecodingError"},
		"a level without version":   {change: replace(`svn"`, `other"`), tcb: "TcbInfoIsInvalid", qe: "EnclaveIdentityDecodingError"},
		"a component less":          {change: replace(`,{"svn":0}]`, `]`), tcb: "TcbInfoIsInvalid", qe: "-"},
		"a family of seven bytes":   {change: replace(`"fmspc":"`, `"fmspc":"00`), tcb: "TcbInfoIsInvalid", qe: "-"},
		"a signer of 31 bytes":      {change: replace(`"mrsigner":"`+hexPrefix(k.QE.MRSigner[:]), `"mrsigner":"`), tcb: "-", qe: "EnclaveIdentityDecodingError"},
		"of TDX":                    {change: replace(`"id":"`, `"id":"TD_`), tcb: "CollateralIsInvalid"},
		"of another version":        {change: replace(`"version":`, `"version":1`), tcb: "CollateralIsInvalid"},
		"of a number past versions": {change: replace(`"version":`, `"version":99999`), tcb: "TcbInfoIsInvalid", qe: "EnclaveIdentityDecodingError"},
		"before 1970":               {change: replace(`"issueDate":"20`, `"issueDate":"19`), tcb: "CollateralIsInvalid"},
		"not yet":                   {whenever: -48 * time.Hour, tcb: "CollateralIsInvalid"},
		"not any more":              {whenever: 30 * 24 * time.Hour, tcb: "CollateralIsInvalid"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{DCAPRoot: string(k.Root().Raw)})
			w.now = uint64(worldNow.Add(test.whenever).UnixMilli())
			c := k.Collateral()
			if test.change != nil {
				test.change(c)
			}
			if test.qe == "" {
				test.qe = test.tcb
			}
			for _, part := range []struct{ want, got string }{{test.tcb, w.tcbInfo(c)}, {test.qe, w.quotingEnclave(c)}} {
				if part.want == "-" {
					part.want = ""
				}
				if part.got != part.want {
					t.Errorf("%q, want %q", part.got, part.want)
				}
			}
		})
	}
}

// hexPrefix returns the first byte as digits.
func hexPrefix(b []byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b[0]>>4], digits[b[0]&15]})
}

// realQuote reads one of the quotes that real machines made, and its collateral.
func realQuote(t *testing.T, name string) ([]byte, *dcap.Collateral) {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "vectors", "dcap")
	quote, err := os.ReadFile(filepath.Join(dir, name+".quote"))
	if os.IsNotExist(err) {
		t.Skipf("%s is missing", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, name+".collateral.json"))
	if os.IsNotExist(err) {
		return quote, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := dcap.DecodeCollateral(file)
	if err != nil {
		t.Fatal(err)
	}
	return quote, c
}

// TestRealCollateral: the dev chain takes what Intel signed, with Intel's root.
func TestRealCollateral(t *testing.T) {
	quote, c := realQuote(t, "sgx-v3-fmspc00a067110000")
	alice := key(t, "//Alice")
	w := newWorld(t)
	w.now = uint64(time.Date(2025, 6, 20, 0, 0, 0, 0, time.UTC).UnixMilli())
	if got := w.registerQuote(alice, quote, true); got != "QeHasRejectedEnclave" {
		t.Error(got)
	}
	if got := w.quotingEnclave(c); got != "" {
		t.Fatal(got)
	}
	if got := w.registerQuote(alice, quote, true); got != "MissingTcbInfoForFmspc" {
		t.Error(got)
	}
	if got := w.tcbInfo(c); got != "" {
		t.Fatal(got)
	}
	if got := w.registerQuote(alice, quote, false); got != "SenderIsNotAttestedEnclave" {
		t.Error(got)
	}
	if got := w.registerQuote(alice, quote, true); got != "" {
		t.Fatal(got)
	}
	decoded, err := dcap.DecodeQuote(quote)
	if err != nil {
		t.Fatal(err)
	}
	for a, m := range w.rt.Teerex.ProxiedEnclaves.All(w.read()) {
		if a.Fingerprint != integritee.Fingerprint(decoded.SGX.MREnclave) || m.Sgx.Status != integritee.SgxConfigurationNeeded || m.Sgx.BuildMode != integritee.SgxProduction {
			t.Errorf("%+v, %+v", a, m.Sgx)
		}
	}

	_, td := realQuote(t, "tdx-v4-fmspcb0c06f000000")
	if got := w.tcbInfo(td); got != "CollateralIsInvalid" {
		t.Errorf("TCB info of TDX: %q", got)
	}
	if got := w.quotingEnclave(td); got != "CollateralIsInvalid" {
		t.Errorf("QE identity of TDX: %q", got)
	}
	for name, want := range map[string]string{"sgx-v3-certtype3-reject": "PckCertFormatMismatch", "tdx-v4-fmspcb0c06f000000": "DcapQuoteVersionMismatch"} {
		quote, _ := realQuote(t, name)
		quote = quote[:min(len(quote), integritee.MaxProofBytes)]
		if got := w.registerQuote(alice, quote, false); got != want {
			t.Errorf("%s: %q, want %s", name, got, want)
		}
	}
}

// TestRootInCode: the code says which root a chain trusts.
func TestRootInCode(t *testing.T) {
	root := string(newKit(key(t, "//Alice")).Root().Raw)
	plain, err := Shared(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{DCAPRoot: root}, {DCAPRoot: root, Role: Para}, {DCAPRoot: root, MoveCalls: true, SpecVersion: 2}} {
		rt, err := Shared(o)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(rt.Code(), plain.Code()) {
			t.Error("the code is that of a chain with Intel's root")
		}
		if got, err := FromCode(rt.Code()); got != rt || string(got.Teerex.root.Raw) != root {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, bad := range []string{"rubbish", strings.Repeat("x", 1<<16)} {
		if _, err := New(Options{DCAPRoot: bad}); err == nil {
			t.Error("rubbish is taken for a root")
		}
	}
	if got := rootOf(plain.Code()); got != "" {
		t.Errorf("%d bytes as the root of a chain with Intel's", len(got))
	}
}

// FuzzDcap: what strangers hand in breaks nothing.
func FuzzDcap(f *testing.F) {
	alice := key(f, "//Alice")
	k := newKit(alice)
	w := newIntelWorld(f, k)
	qe := w.rt.Teerex.SgxQuotingEnclaveRegistry.Get(w.read())
	c := k.Collateral()
	for _, seed := range [][]byte{k.Quote(), c.TCBInfo, c.QEIdentity, c.TCBInfoChain, dcaptest.SGXExtension(k.PCK)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		now := uint64(worldNow.UnixMilli())
		if q, platform, err := w.rt.Teerex.verifyQuote(b, now, &qe); err == nil && (q == nil || platform == nil) {
			t.Error("neither quote nor error")
		}
		if info, err := second(readTCBInfo(b, now)); err == nil && info.IssueDate >= now {
			t.Error("TCB info of the future")
		}
		if qe, err := readQEIdentity(b, now); err == nil && qe.NextUpdate <= now {
			t.Error("QE identity of the past")
		}
		if leaf, err := w.rt.Teerex.verifyCertificates(b, now); (leaf == nil) != (err != nil) {
			t.Error("neither certificate nor error")
		}
		if p, err := platformOf(&x509.Certificate{Extensions: []pkix.Extension{{Id: oidIntel, Value: b}}}); (p == nil) != (err != nil) {
			t.Error("neither platform nor error")
		}
	})
}

func second[A, B any](_ A, b B, err error) (B, error) { return b, err }
