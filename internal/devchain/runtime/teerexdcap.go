package runtime

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// DCAP as the pallet Teerex checks it, which is less than package tee/dcap does,
// and in some things other: there are no CRLs; dates of TCB info and QE identity
// count when they are registered, not when an enclave is; no status is refused;
// certificates are not asked for their purpose; QE authentication data is taken
// to have 32 bytes; and nothing may follow a quote. Errors are found in the order
// in which the pallet looks.

// Errors of Teerex that are about evidence and collateral.
var (
	errCertificateChainIsInvalid         = teerexError("CertificateChainIsInvalid")
	errCertificateChainIsTooShort        = teerexError("CertificateChainIsTooShort")
	errCPUSvnLengthMismatch              = teerexError("CpuSvnLengthMismatch")
	errCPUSvnOidIsMissing                = teerexError("CpuSvnOidIsMissing")
	errDcapKeyTypeMismatch               = teerexError("DcapKeyTypeMismatch")
	errDcapQuoteIsTooLong                = teerexError("DcapQuoteIsTooLong")
	errDcapQuoteVersionMismatch          = teerexError("DcapQuoteVersionMismatch")
	errEnclaveIdentityDecodingError      = teerexError("EnclaveIdentityDecodingError")
	errEnclaveIdentitySignatureIsInvalid = teerexError("EnclaveIdentitySignatureIsInvalid")
	errFmspcLengthMismatch               = teerexError("FmspcLengthMismatch")
	errFmspcOidIsMissing                 = teerexError("FmspcOidIsMissing")
	errIntelExtensionAmbiguity           = teerexError("IntelExtensionAmbiguity")
	errIsvReportSignatureIsInvalid       = teerexError("IsvEnclaveReportSignatureIsInvalid")
	errKeyLengthIsInvalid                = teerexError("KeyLengthIsInvalid")
	errLeafCertificateParsingError       = teerexError("LeafCertificateParsingError")
	errPceSvnDecodingError               = teerexError("PceSvnDecodingError")
	errPceSvnLengthMismatch              = teerexError("PceSvnLengthMismatch")
	errPceSvnOidIsMissing                = teerexError("PceSvnOidIsMissing")
	errPckCertFormatMismatch             = teerexError("PckCertFormatMismatch")
	errQeHasRejectedEnclave              = teerexError("QeHasRejectedEnclave")
	errQeReportHashMismatch              = teerexError("QeReportHashMismatch")
	errRsaSignatureIsInvalid             = teerexError("RsaSignatureIsInvalid") // of any kind of key
	errSenderIsNotAttestedEnclave        = teerexError("SenderIsNotAttestedEnclave")
	errTcbInfoIsInvalid                  = teerexError("TcbInfoIsInvalid")
	errTcbInfoIsOutdated                 = teerexError("TcbInfoIsOutdated")
)

// Lengths in a quote of version 3, in bytes.
const (
	quoteHeaderLen = 48
	quoteReportLen = 384
	quoteSignedLen = quoteHeaderLen + quoteReportLen
	quoteKeyLen    = 64 // x ‖ y, and r ‖ s
	qeAuthLen      = 32
	maxQuoteCerts  = 65_000
)

// enclaveReport is an SGX report body of 384 bytes.
type enclaveReport []byte

func (r enclaveReport) debug() bool { return binary.LittleEndian.Uint64(r[48:])&2 != 0 }

// isQuoting tells whether the report is of a quoting enclave as registered.
func (r enclaveReport) isQuoting(qe *integritee.SgxQuotingEnclave) bool {
	for i, mask := range qe.MiscselectMask {
		if r[16+i]&mask != qe.Miscselect[i]&mask {
			return false
		}
	}
	for i, mask := range qe.AttributesMask[:8] { // the flags; the features behind them do not count
		if r[48+i]&mask != qe.Attributes[i] {
			return false
		}
	}
	if [32]byte(r[128:]) != qe.Mrsigner || binary.LittleEndian.Uint16(r[256:]) != qe.Isvprodid {
		return false
	}
	for _, level := range qe.Tcb {
		if binary.LittleEndian.Uint16(r[258:]) >= level.Isvsvn {
			return true
		}
	}
	return false
}

// sgxQuote is a quote of version 3, cut into its parts.
type sgxQuote struct {
	raw                     []byte
	report                  enclaveReport
	signature, key          []byte // over header and report; of the attestation
	qe                      enclaveReport
	qeSignature             []byte
	authAt                  int // where in raw the QE authentication data is
	certificateType         uint16
	certificates, following []byte
}

// cutQuote reads raw as if it were of version 3, whatever it says. The length of
// the signature data does not count.
func cutQuote(raw []byte) (*sgxQuote, bool) {
	rest, ok := raw, true
	take := func(n int) []byte {
		if n > len(rest) {
			ok = false
			return make([]byte, n)
		}
		b := rest[:n]
		rest = rest[n:]
		return b
	}
	q := &sgxQuote{raw: raw}
	take(quoteHeaderLen)
	q.report = take(quoteReportLen)
	take(4)
	q.signature, q.key = take(quoteKeyLen), take(quoteKeyLen)
	q.qe, q.qeSignature = take(quoteReportLen), take(quoteKeyLen)
	auth := int(binary.LittleEndian.Uint16(take(2)))
	q.authAt = len(raw) - len(rest)
	take(auth)
	q.certificateType = binary.LittleEndian.Uint16(take(2))
	size := binary.LittleEndian.Uint32(take(4))
	if size > maxQuoteCerts {
		return nil, false
	}
	q.certificates = take(int(size))
	q.following = rest
	return q, ok
}

// platformTcb is what a PCK certificate says of its platform.
type platformTcb struct {
	fmspc  Fmspc
	cpusvn [16]byte
	pcesvn uint16
}

// verifyDcap returns the enclave that a quote proves.
func (t *Teerex) verifyDcap(ctx *Context, who keyring.AccountID, proof []byte, method integritee.SgxAttestationMethod) (integritee.SgxEnclave, error) {
	none := integritee.SgxEnclave{}
	now := t.timestamp.Now.Get(ctx)
	qe := t.SgxQuotingEnclaveRegistry.Get(ctx)
	q, platform, err := t.verifyQuote(proof, now, &qe)
	if err != nil {
		return none, err
	}
	enclave := integritee.SgxEnclave{
		ReportData: integritee.SgxReportData{D: [64]byte(q.report[320:])}, MrEnclave: [32]byte(q.report[64:]), MrSigner: [32]byte(q.report[128:]),
		Timestamp: now, BuildMode: integritee.SgxProduction, AttestationMethod: method,
	}
	if q.report.debug() {
		enclave.BuildMode = integritee.SgxDebug
	}
	if !method.Proxied() && keyring.AccountID(enclave.ReportData.D[:32]) != who {
		return none, errSenderIsNotAttestedEnclave
	}
	info, ok := t.SgxTcbInfo.Lookup(ctx, platform.fmspc)
	if !ok {
		return none, errMissingTcbInfoForFmspc
	}
	for _, level := range info.TcbLevels {
		if platform.reaches(&level) {
			enclave.Status = level.TcbStatus.SgxStatus()
			return enclave, nil
		}
	}
	return none, errTcbInfoIsOutdated
}

func (p *platformTcb) reaches(level *integritee.TcbVersionStatus) bool {
	for i, svn := range level.Cpusvn {
		if p.cpusvn[i] < svn {
			return false
		}
	}
	return p.pcesvn >= level.Pcesvn
}

func (t *Teerex) verifyQuote(raw []byte, now uint64, qe *integritee.SgxQuotingEnclave) (*sgxQuote, *platformTcb, error) {
	q, ok := cutQuote(raw)
	switch {
	case !ok:
		return nil, nil, errDcapQuoteDecodingError
	case binary.LittleEndian.Uint16(raw) != 3:
		return nil, nil, errDcapQuoteVersionMismatch
	case binary.LittleEndian.Uint16(raw[2:]) != 2:
		return nil, nil, errDcapKeyTypeMismatch
	case q.certificateType != 5:
		return nil, nil, errPckCertFormatMismatch
	case !q.qe.isQuoting(qe):
		return nil, nil, errQeHasRejectedEnclave
	}
	leaf, err := t.verifyCertificates(q.certificates, now)
	if err != nil {
		return nil, nil, err
	}
	platform, err := platformOf(leaf)
	if err != nil {
		return nil, nil, err
	}
	auth := raw[q.authAt:]
	hash := sha256.Sum256(append(bytes.Clone(q.key), auth[:min(qeAuthLen, len(auth))]...))
	if !bytes.Equal(hash[:], q.qe[320:352]) {
		return nil, nil, errQeReportHashMismatch
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, q.key...))
	if err != nil || !verifyP256(key, raw[:quoteSignedLen], q.signature) {
		return nil, nil, errIsvReportSignatureIsInvalid
	}
	if !verifyP256(leaf.PublicKey, q.qe, q.qeSignature) {
		return nil, nil, errRsaSignatureIsInvalid
	}
	if len(q.following) > 0 {
		return nil, nil, errDcapQuoteIsTooLong
	}
	return q, platform, nil
}

// pemCertificates reads certificates in PEM. Only line feeds may break the
// lines, and what does not decode is left out.
func pemCertificates(chain []byte) (ders [][]byte) {
	text := strings.ReplaceAll(string(chain), "\n", "")
	text = strings.ReplaceAll(text, "-----BEGIN CERTIFICATE-----", "")
	for part := range strings.SplitSeq(text, "-----END CERTIFICATE-----") {
		if part == "" || strings.Contains(part, "\r") { // encoding/base64 would leave it out
			continue
		}
		if der, err := base64.StdEncoding.DecodeString(part); err == nil {
			ders = append(ders, der)
		}
	}
	return ders
}

// verifyCertificates returns the first certificate of a chain to the root, whose
// others may be in any order. now is in ms.
func (t *Teerex) verifyCertificates(chain []byte, now uint64) (*x509.Certificate, error) {
	ders := pemCertificates(chain)
	if len(ders) < 2 {
		return nil, errCertificateChainIsTooShort
	}
	leaf, err := x509.ParseCertificate(ders[0])
	if err != nil {
		return nil, errLeafCertificateParsingError
	}
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(t.root)
	for _, der := range ders[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			others.AddCert(cert)
		}
	}
	paths, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: time.Unix(int64(now/1000), 0),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil || leaf.IsCA {
		return nil, errCertificateChainIsInvalid
	}
	for _, path := range paths {
		if signedWithP256(path) {
			return leaf, nil
		}
	}
	return nil, errCertificateChainIsInvalid
}

// signedWithP256 tells whether all signatures of a path are of the one kind that
// the pallet takes: ECDSA with SHA-256 by keys on P-256.
func signedWithP256(path []*x509.Certificate) bool {
	for i, cert := range path[:len(path)-1] {
		key, ok := path[i+1].PublicKey.(*ecdsa.PublicKey)
		if !ok || key.Curve != elliptic.P256() || cert.SignatureAlgorithm != x509.ECDSAWithSHA256 {
			return false
		}
	}
	return true
}

// verifyP256 checks a signature r ‖ s over SHA-256 of message.
func verifyP256(key any, message, signature []byte) bool {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() || len(signature) != quoteKeyLen {
		return false
	}
	hash := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(public, hash[:], r, s)
}

// The object identifiers of Intel's extension and of its elements that count, the
// latter in DER without tag and length.
var (
	oidIntel  = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}
	derIntel  = []byte{0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 1, 13, 1}
	derFmspc  = append(bytes.Clone(derIntel), 4)
	derPceSvn = append(bytes.Clone(derIntel), 2, 17)
	derCPUSvn = append(bytes.Clone(derIntel), 2, 18)
)

// platformOf finds what a PCK certificate says of its platform, by the bytes of
// the identifiers: the extension is not parsed.
func platformOf(leaf *x509.Certificate) (*platformTcb, error) {
	var extension []byte
	count := 0
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oidIntel) {
			extension = e.Value
			count++
		}
	}
	if count != 1 {
		return nil, errIntelExtensionAmbiguity
	}
	// value returns what follows identifier, tag and length of one byte.
	value := func(id []byte) (after []byte, found bool) {
		_, after, found = bytes.Cut(extension, id)
		return after, found
	}
	p := &platformTcb{}
	fmspc, ok := value(derFmspc)
	switch {
	case !ok:
		return nil, errFmspcOidIsMissing
	case len(fmspc) < 2+len(p.fmspc):
		return nil, errFmspcLengthMismatch
	}
	copy(p.fmspc[:], fmspc[2:])
	cpusvn, ok := value(derCPUSvn)
	switch {
	case !ok:
		return nil, errCPUSvnOidIsMissing
	case len(cpusvn) < 2+len(p.cpusvn):
		return nil, errCPUSvnLengthMismatch
	}
	copy(p.cpusvn[:], cpusvn[2:])
	pcesvn, ok := value(derPceSvn)
	if !ok {
		return nil, errPceSvnOidIsMissing
	}
	if len(pcesvn) < 2 || pcesvn[1] > 0x80 {
		return nil, errPceSvnDecodingError
	}
	n := int(pcesvn[1])
	if n != 1 && n != 2 || len(pcesvn) < 2+n {
		return nil, errPceSvnLengthMismatch
	}
	for _, b := range pcesvn[2 : 2+n] {
		p.pcesvn = p.pcesvn<<8 | uint16(b)
	}
	return p, nil
}

// verifyCollateral checks chain and signature of TCB info or a QE identity.
func (t *Teerex) verifyCollateral(ctx *Context, document, signature, chain []byte, forged *pallet.Error) error {
	signer, err := t.verifyCertificates(chain, t.timestamp.Now.Get(ctx))
	switch {
	case err != nil:
		return err
	case len(signature) != quoteKeyLen:
		return errKeyLengthIsInvalid
	case !verifyP256(signer.PublicKey, document, signature):
		return forged
	}
	return nil
}

// period is the time in which a document of Intel's may be registered.
type period struct {
	IssueDate  *time.Time `json:"issueDate"`
	NextUpdate *time.Time `json:"nextUpdate"`
}

// covers returns both dates in ms if now, in ms, is between them.
func (p period) covers(now uint64) (issue, next uint64, ok bool) {
	from, to := p.IssueDate.UnixMilli(), p.NextUpdate.UnixMilli()
	return uint64(from), uint64(to), from >= 0 && from < int64(now) && int64(now) < to
}

// decodeHex fills dst from exactly as many digits.
func decodeHex(dst []byte, s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && copy(dst, b) == len(dst) && len(b) == len(dst)
}

// tcbInfoJSON is TCB info as the pallet reads it. What is a pointer must be
// there.
type tcbInfoJSON struct {
	ID      string `json:"id"`
	Version uint8  `json:"version"`
	period
	FMSPC  string `json:"fmspc"`
	Levels []struct {
		TCB struct {
			Components []struct {
				SVN *uint8 `json:"svn"`
			} `json:"sgxtcbcomponents"`
			PCESVN *uint16 `json:"pcesvn"`
		} `json:"tcb"`
		Status string `json:"tcbStatus"`
	} `json:"tcbLevels"`
}

// readTCBInfo reads TCB info of which the signature is good.
func readTCBInfo(document []byte, now uint64) (fmspc Fmspc, info integritee.SgxTcbInfoOnChain, err error) {
	var j tcbInfoJSON
	if err := json.Unmarshal(document, &j); err != nil || j.IssueDate == nil || j.NextUpdate == nil || j.Levels == nil || !decodeHex(fmspc[:], j.FMSPC) {
		return fmspc, info, errTcbInfoIsInvalid
	}
	for _, level := range j.Levels {
		out := integritee.TcbVersionStatus{}
		status, known := integritee.ParseTcbStatus(level.Status)
		if !known || level.TCB.PCESVN == nil || len(level.TCB.Components) != len(out.Cpusvn) {
			return fmspc, info, errTcbInfoIsInvalid
		}
		out.Pcesvn, out.TcbStatus = *level.TCB.PCESVN, status
		for i, c := range level.TCB.Components {
			if c.SVN == nil {
				return fmspc, info, errTcbInfoIsInvalid
			}
			out.Cpusvn[i] = *c.SVN
		}
		info.TcbLevels = append(info.TcbLevels, out)
	}
	var valid bool
	info.IssueDate, info.NextUpdate, valid = j.covers(now)
	if !valid || j.ID != "SGX" || j.Version != 3 {
		return fmspc, info, errCollateralIsInvalid
	}
	return fmspc, info, nil
}

// qeIdentityJSON is a QE identity as the pallet reads it.
type qeIdentityJSON struct {
	ID      string `json:"id"`
	Version uint16 `json:"version"`
	period
	MiscSelect     string  `json:"miscselect"`
	MiscSelectMask string  `json:"miscselectMask"`
	Attributes     string  `json:"attributes"`
	AttributesMask string  `json:"attributesMask"`
	MRSigner       string  `json:"mrsigner"`
	ISVProdID      *uint16 `json:"isvprodid"`
	Levels         []struct {
		TCB struct {
			ISVSVN *uint16 `json:"isvsvn"`
		} `json:"tcb"`
		Status string `json:"tcbStatus"`
	} `json:"tcbLevels"`
}

// readQEIdentity reads a QE identity of which the signature is good. Levels of
// all statuses are taken.
func readQEIdentity(document []byte, now uint64) (qe integritee.SgxQuotingEnclave, err error) {
	var j qeIdentityJSON
	if err := json.Unmarshal(document, &j); err != nil || j.IssueDate == nil || j.NextUpdate == nil || j.ISVProdID == nil || j.Levels == nil ||
		!decodeHex(qe.Miscselect[:], j.MiscSelect) || !decodeHex(qe.MiscselectMask[:], j.MiscSelectMask) ||
		!decodeHex(qe.Attributes[:], j.Attributes) || !decodeHex(qe.AttributesMask[:], j.AttributesMask) || !decodeHex(qe.Mrsigner[:], j.MRSigner) {
		return qe, errEnclaveIdentityDecodingError
	}
	qe.Isvprodid = *j.ISVProdID
	for _, level := range j.Levels {
		if _, known := integritee.ParseTcbStatus(level.Status); !known || level.TCB.ISVSVN == nil {
			return qe, errEnclaveIdentityDecodingError
		}
		qe.Tcb = append(qe.Tcb, integritee.QeTcb{Isvsvn: *level.TCB.ISVSVN})
	}
	var valid bool
	qe.IssueDate, qe.NextUpdate, valid = j.covers(now)
	if !valid || j.ID != "QE" || j.Version != 2 {
		return qe, errCollateralIsInvalid
	}
	return qe, nil
}
