package dcap

import (
	"crypto/x509"
	"encoding/asn1"

	"github.com/offchain-worker/sdk/tee"
)

// PCK is what a PCK certificate says about its platform (PCK certificate and CRL
// profile specification, section 1.3).
type PCK struct {
	PPID           [16]byte // names the machine, encrypted to Intel in the quote, in clear here
	CPUSVN         [16]byte
	TCBComponents  [16]byte // security versions of the platform's parts
	PCESVN         uint16
	PCEID          [2]byte
	FMSPC          tee.FMSPC
	ProcessorModel int // sgxType: 0 standard, 1 scalable, 2 scalable with integrity
}

// oidSGX is the arc of Intel's SGX extensions.
var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

// sgxField is one element of the extension.
type sgxField struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

// below returns the number under arc that id is.
func below(id, arc asn1.ObjectIdentifier) (int, bool) {
	if len(id) != len(arc)+1 || !id[:len(arc)].Equal(arc) {
		return 0, false
	}
	return id[len(arc)], true
}

// decodeFields reads a SEQUENCE OF SEQUENCE { OID, ANY } of an arc; elements of
// other arcs are left out.
func decodeFields(der []byte, arc asn1.ObjectIdentifier) (map[int]asn1.RawValue, error) {
	var list []sgxField
	rest, err := asn1.Unmarshal(der, &list)
	if err != nil {
		return nil, because(ReasonPCK, "%v", err)
	}
	if len(rest) != 0 {
		return nil, because(ReasonPCK, "bytes follow its SGX extension")
	}
	fields := make(map[int]asn1.RawValue, len(list))
	for _, f := range list {
		n, ok := below(f.ID, arc)
		if !ok {
			continue
		}
		if _, twice := fields[n]; twice {
			return nil, because(ReasonPCK, "element %v twice", f.ID)
		}
		fields[n] = f.Value
	}
	return fields, nil
}

func octets(v asn1.RawValue, dst []byte) bool {
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagOctetString || v.IsCompound || len(v.Bytes) != len(dst) {
		return false
	}
	copy(dst, v.Bytes)
	return true
}

func integer(v asn1.RawValue, max int) (int, bool) {
	var n int
	rest, err := asn1.Unmarshal(v.FullBytes, &n)
	return n, err == nil && len(rest) == 0 && n >= 0 && n <= max
}

// DecodePCK reads the SGX extension of a PCK certificate, the value of OID
// 1.2.840.113741.1.13.1.
func DecodePCK(der []byte) (*PCK, error) {
	fields, err := decodeFields(der, oidSGX)
	if err != nil {
		return nil, err
	}
	p := &PCK{}
	for _, f := range []struct {
		number int
		name   string
		dst    []byte
	}{{1, "PPID", p.PPID[:]}, {3, "PCE-ID", p.PCEID[:]}, {4, "FMSPC", p.FMSPC[:]}} {
		if !octets(fields[f.number], f.dst) {
			return nil, because(ReasonPCK, "%s is missing or malformed", f.name)
		}
	}
	var kind asn1.Enumerated
	if rest, err := asn1.Unmarshal(fields[5].FullBytes, &kind); err != nil || len(rest) != 0 {
		return nil, because(ReasonPCK, "SGX type is missing or malformed")
	}
	p.ProcessorModel = int(kind)
	oidTCB := append(append(asn1.ObjectIdentifier(nil), oidSGX...), 2)
	tcb, err := decodeFields(fields[2].FullBytes, oidTCB)
	if err != nil {
		return nil, err
	}
	for i := range p.TCBComponents {
		n, ok := integer(tcb[i+1], 255)
		if !ok {
			return nil, because(ReasonPCK, "TCB component %d is missing or malformed", i+1)
		}
		p.TCBComponents[i] = byte(n)
	}
	n, ok := integer(tcb[17], 1<<16-1)
	if !ok {
		return nil, because(ReasonPCK, "PCESVN is missing or malformed")
	}
	p.PCESVN = uint16(n)
	if !octets(tcb[18], p.CPUSVN[:]) {
		return nil, because(ReasonPCK, "CPUSVN is missing or malformed")
	}
	return p, nil
}

func pckOf(cert *x509.Certificate) (*PCK, error) {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidSGX) {
			return DecodePCK(e.Value)
		}
	}
	return nil, because(ReasonPCK, "no SGX extension")
}
