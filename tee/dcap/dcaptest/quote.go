package dcaptest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/offchain-worker/sdk/tee"
)

var le = binary.LittleEndian

// intelVendor is the UUID of Intel's quoting enclave.
var intelVendor = []byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}

// Sign returns r ‖ s, 32 bytes each, over SHA-256 of message.
func Sign(key *ecdsa.PrivateKey, message []byte) []byte {
	hash := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		panic("dcaptest: " + err.Error())
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// Quote makes a quote.
func (k *Kit) Quote() []byte { return k.QuoteOf(k.Signed(), 5, k.PCKChain()) }

// Signed returns header and body, which the attestation key signs.
func (k *Kit) Signed() []byte {
	b := le.AppendUint16(nil, k.Version)
	b = le.AppendUint16(b, 2)
	platform := uint32(0)
	if k.Kind == tee.TDX {
		platform = 0x81
	}
	b = le.AppendUint32(b, platform)
	b = slices.Concat(b, make([]byte, 4), intelVendor, k.UserData[:])
	body := sgxBody(&k.SGX)
	if k.Kind == tee.TDX {
		body = tdBody(&k.TDX, k.TD15)
	}
	if k.Version == 5 {
		kind := uint16(2)
		if k.TD15 {
			kind = 3
		}
		b = le.AppendUint16(b, kind)
		b = le.AppendUint32(b, uint32(len(body)))
	}
	return append(b, body...)
}

// QuoteOf signs header and body with certification data of a type, 5 being a
// PCK chain in PEM.
func (k *Kit) QuoteOf(signed []byte, certType uint16, certData []byte) []byte {
	public, err := k.Keys.Attestation.PublicKey.Bytes()
	if err != nil {
		panic("dcaptest: " + err.Error())
	}
	public = public[1:]
	qe := k.QE
	if qe.ReportData == (tee.ReportData{}) {
		hash := sha256.Sum256(slices.Concat(public, k.QEAuth))
		copy(qe.ReportData[:], hash[:])
	}
	report := sgxBody(&qe)
	certification := slices.Concat(report, Sign(k.Keys.PCK, report))
	certification = le.AppendUint16(certification, uint16(len(k.QEAuth)))
	certification = append(certification, k.QEAuth...)
	certification = le.AppendUint16(certification, certType)
	certification = le.AppendUint32(certification, uint32(len(certData)))
	certification = append(certification, certData...)
	data := slices.Concat(Sign(k.Keys.Attestation, signed), public)
	if k.Version > 3 {
		data = le.AppendUint16(data, 6)
		data = le.AppendUint32(data, uint32(len(certification)))
	}
	data = append(data, certification...)
	quote := le.AppendUint32(slices.Clone(signed), uint32(len(data)))
	return append(quote, data...)
}

func sgxBody(r *tee.SGXReport) []byte {
	b := make([]byte, 384)
	copy(b, r.CPUSVN[:])
	le.PutUint32(b[16:], r.MiscSelect)
	copy(b[32:], r.ExtProdID[:])
	copy(b[48:], r.Attributes[:])
	copy(b[64:], r.MREnclave[:])
	copy(b[128:], r.MRSigner[:])
	copy(b[192:], r.ConfigID[:])
	le.PutUint16(b[256:], r.ProdID)
	le.PutUint16(b[258:], r.SVN)
	le.PutUint16(b[260:], r.ConfigSVN)
	copy(b[304:], r.FamilyID[:])
	copy(b[320:], r.ReportData[:])
	return b
}

func tdBody(t *tee.TDReport, td15 bool) []byte {
	b := slices.Concat(t.TEETCBSVN[:], t.MRSEAM[:], t.MRSignerSEAM[:], t.SEAMAttributes[:], t.TDAttributes[:], t.XFAM[:],
		t.MRTD[:], t.MRConfigID[:], t.MROwner[:], t.MROwnerConfig[:],
		t.RTMR[0][:], t.RTMR[1][:], t.RTMR[2][:], t.RTMR[3][:], t.ReportData[:])
	if td15 {
		b = slices.Concat(b, t.TEETCBSVN2[:], t.MRServiceTD[:])
	}
	return b
}
