package dcap

import (
	"encoding/binary"
	"fmt"

	"github.com/offchain-worker/sdk/tee"
)

// MaxQuote is the size of the largest quote in bytes that is read. Quotes have
// 4,600 to 5,000 bytes; buffers of 8,000 that are padded with zeros exist.
const MaxQuote = 16 << 10

// Lengths and values of Intel's formats.
const (
	headerLen    = 48
	sgxReportLen = 384
	td10Len      = 584
	td15Len      = 648
	signatureLen = 64

	keyTypeP256  = 2
	teeSGX       = 0
	teeTDX       = 0x81
	bodyTD10     = 2
	bodyTD15     = 3
	certPCKChain = 5
	certQEReport = 6
)

// intelVendor is the UUID of Intel's quoting enclave.
var intelVendor = [16]byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

// Quote is what the bytes of a quote say. Decoded is not verified.
type Quote struct {
	Version  uint16
	Kind     tee.Kind // SGX or TDX
	UserData [20]byte
	SGX      *tee.SGXReport // set if Kind is SGX
	TDX      *tee.TDReport  // set if Kind is TDX

	signed       []byte // header ‖ body, as signed
	signature    []byte // r ‖ s, by the attestation key
	key          []byte // attestation key, x ‖ y
	qe           []byte // report of the quoting enclave
	qeSignature  []byte // r ‖ s, by the PCK
	qeAuth       []byte
	certificates []byte // PEM: PCK, its CA, root
	size         int
}

// reader cuts fields off the front of b. The first field that does not fit
// makes it fail for good.
type reader struct {
	b   []byte
	off int
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b)-r.off {
		r.bad = true
		return nil
	}
	b := r.b[r.off : r.off+n]
	r.off += n
	return b
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// sized cuts off what a length says; lengths that do not fit are refused before
// they are used.
func (r *reader) sized(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.off) {
		r.bad = true
		return nil
	}
	return r.take(int(n))
}

func (r *reader) rest() int { return len(r.b) - r.off }

// DecodeQuote reads a quote of SGX (version 3) or TDX (versions 4 and 5) with a
// PCK certificate chain, and checks nothing. Zero bytes may follow: configfs-tsm
// pads what it hands out. The quote keeps slices of b.
func DecodeQuote(b []byte) (*Quote, error) {
	if len(b) > MaxQuote {
		return nil, because(ReasonQuote, "%d bytes, more than %d", len(b), MaxQuote)
	}
	q := &Quote{}
	r := &reader{b: b}
	if err := q.decodeHeader(r); err != nil {
		return nil, err
	}
	if err := q.decodeBody(r); err != nil {
		return nil, err
	}
	q.signed = b[:r.off]
	data := &reader{b: r.sized(r.u32())}
	if r.bad {
		return nil, because(ReasonQuote, "it ends within body or signature data")
	}
	q.size = r.off
	for _, c := range b[r.off:] {
		if c != 0 {
			return nil, because(ReasonQuote, "bytes follow that are not zero")
		}
	}
	if err := q.decodeSignatureData(data); err != nil {
		return nil, err
	}
	return q, nil
}

// Trim returns a quote without the zeros that follow it. Teerex refuses quotes
// with anything behind them.
func Trim(b []byte) ([]byte, error) {
	q, err := DecodeQuote(b)
	if err != nil {
		return nil, err
	}
	return b[:q.size], nil
}

func (q *Quote) decodeHeader(r *reader) error {
	h := r.take(headerLen)
	if h == nil {
		return because(ReasonQuote, "it ends within the header")
	}
	q.Version = binary.LittleEndian.Uint16(h)
	keyType := binary.LittleEndian.Uint16(h[2:])
	// Version 3 knows SGX only and has reserved bytes there.
	platform := binary.LittleEndian.Uint32(h[4:])
	switch {
	case q.Version < 3 || q.Version > 5:
		return because(ReasonVersion, "%d", q.Version)
	case q.Version == 3 && platform == teeSGX:
		q.Kind = tee.SGX
	case q.Version > 3 && platform == teeTDX:
		q.Kind = tee.TDX
	default:
		return because(ReasonTEE, "type %#x in a quote of version %d", platform, q.Version)
	}
	if keyType != keyTypeP256 {
		return because(ReasonKeyType, "type %d", keyType)
	}
	if vendor := [16]byte(h[12:28]); vendor != intelVendor {
		return because(ReasonVendor, "%x", vendor)
	}
	copy(q.UserData[:], h[28:])
	return nil
}

func (q *Quote) decodeBody(r *reader) error {
	n := td10Len
	switch q.Version {
	case 3:
		n = sgxReportLen
	case 5:
		kind, size := r.u16(), r.u32()
		switch {
		case r.bad:
			return because(ReasonQuote, "it ends within the body")
		case kind == bodyTD10 && size == td10Len:
		case kind == bodyTD15 && size == td15Len:
			n = td15Len
		default:
			return because(ReasonTEE, "body of type %d with %d bytes", kind, size)
		}
	}
	body := r.take(n)
	if body == nil {
		return because(ReasonQuote, "it ends within the body")
	}
	if q.Kind == tee.SGX {
		q.SGX = decodeSGXReport(body)
	} else {
		q.TDX = decodeTDReport(body)
	}
	return nil
}

func (q *Quote) decodeSignatureData(r *reader) error {
	q.signature, q.key = r.take(signatureLen), r.take(signatureLen)
	if q.Version > 3 {
		// From version 4 on the certification data of the attestation key is the
		// quoting enclave's report with certification data of its own.
		kind := r.u16()
		inner := r.sized(r.u32())
		if r.bad || r.rest() != 0 {
			return because(ReasonQuote, "lengths in its signature data do not fit")
		}
		if kind != certQEReport {
			return because(ReasonCertType, "type %d where the quoting enclave's report belongs", kind)
		}
		r = &reader{b: inner}
	}
	q.qe, q.qeSignature = r.take(sgxReportLen), r.take(signatureLen)
	q.qeAuth = r.take(int(r.u16()))
	kind := r.u16()
	q.certificates = r.sized(r.u32())
	if r.bad || r.rest() != 0 {
		return because(ReasonQuote, "lengths in its signature data do not fit")
	}
	if kind != certPCKChain {
		return because(ReasonCertType, "type %d, want %d", kind, certPCKChain)
	}
	return nil
}

// claims returns what a verified quote claims.
func (q *Quote) claims() *tee.Claims {
	if q.Kind == tee.SGX {
		return &tee.Claims{Kind: tee.SGX, Measurement: q.SGX.MREnclave, Debug: q.SGX.Debug(), ReportData: q.SGX.ReportData, SGX: q.SGX}
	}
	return &tee.Claims{Kind: tee.TDX, Measurement: q.TDX.Measurement(), Debug: q.TDX.Debug(), Migratable: q.TDX.Migratable(),
		ReportData: q.TDX.ReportData, TDX: q.TDX}
}

// decodeSGXReport reads an enclave's report body of 384 bytes.
func decodeSGXReport(b []byte) *tee.SGXReport {
	if len(b) != sgxReportLen {
		panic(fmt.Sprintf("dcap: report body of %d bytes", len(b)))
	}
	return &tee.SGXReport{
		CPUSVN:     [16]byte(b[0:]),
		MiscSelect: binary.LittleEndian.Uint32(b[16:]),
		ExtProdID:  [16]byte(b[32:]),
		Attributes: [16]byte(b[48:]),
		MREnclave:  [32]byte(b[64:]),
		MRSigner:   tee.Signer(b[128:160]),
		ConfigID:   [64]byte(b[192:]),
		ProdID:     binary.LittleEndian.Uint16(b[256:]),
		SVN:        binary.LittleEndian.Uint16(b[258:]),
		ConfigSVN:  binary.LittleEndian.Uint16(b[260:]),
		FamilyID:   [16]byte(b[304:]),
		ReportData: tee.ReportData(b[320:]),
	}
}

// decodeTDReport reads a TD's body of 584 or 648 bytes.
func decodeTDReport(b []byte) *tee.TDReport {
	if len(b) != td10Len && len(b) != td15Len {
		panic(fmt.Sprintf("dcap: TD body of %d bytes", len(b)))
	}
	t := &tee.TDReport{
		TEETCBSVN:      [16]byte(b[0:]),
		MRSEAM:         tee.Digest(b[16:]),
		MRSignerSEAM:   tee.Digest(b[64:]),
		SEAMAttributes: [8]byte(b[112:]),
		TDAttributes:   [8]byte(b[120:]),
		XFAM:           [8]byte(b[128:]),
		MRTD:           tee.Digest(b[136:]),
		MRConfigID:     tee.Digest(b[184:]),
		MROwner:        tee.Digest(b[232:]),
		MROwnerConfig:  tee.Digest(b[280:]),
		ReportData:     tee.ReportData(b[520:]),
	}
	for i := range t.RTMR {
		t.RTMR[i] = tee.Digest(b[328+48*i:])
	}
	if len(b) == td15Len {
		t.TEETCBSVN2, t.MRServiceTD = [16]byte(b[584:]), tee.Digest(b[600:])
	}
	return t
}
