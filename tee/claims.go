package tee

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Claims is what genuine evidence says. Only a Verifier makes one. Of SGX, TDX
// and SNP the one of Kind is set; Sim has none of them and no TCB.
type Claims struct {
	Kind        Kind
	Measurement Measurement
	Debug       bool // the host can read its memory
	Migratable  bool // it may be moved to another machine by a migration agent
	ReportData  ReportData

	SGX *SGXReport
	TDX *TDReport
	SNP *SNPReport
	TCB *TCB
}

// Digest is a SHA-384 register of TDX or SNP. Its text form is 96 hex digits.
type Digest [48]byte

// String returns the hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText returns the hex digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 96 hex digits, with or without 0x.
func (d *Digest) UnmarshalText(b []byte) error { return unhex(d[:], b) }

// Signer is MRSIGNER of SGX: SHA-256 over the modulus of the key that signed the
// enclave. Its text form is 64 hex digits.
type Signer [32]byte

// String returns the hex digits.
func (s Signer) String() string { return hex.EncodeToString(s[:]) }

// MarshalText returns the hex digits.
func (s Signer) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads 64 hex digits, with or without 0x.
func (s *Signer) UnmarshalText(b []byte) error { return unhex(s[:], b) }

// FMSPC is the family, model, stepping, platform type and SKU of an Intel
// platform. Its text form is 12 hex digits.
type FMSPC [6]byte

// String returns the hex digits.
func (f FMSPC) String() string { return hex.EncodeToString(f[:]) }

// MarshalText returns the hex digits.
func (f FMSPC) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads 12 hex digits, with or without 0x.
func (f *FMSPC) UnmarshalText(b []byte) error { return unhex(f[:], b) }

// unhex fills all of dst.
func unhex(dst, src []byte) error {
	if len(src) >= 2 && src[0] == '0' && src[1] == 'x' {
		src = src[2:]
	}
	if len(src) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("tee: %d hex digits instead of %d", len(src), hex.EncodedLen(len(dst)))
	}
	if _, err := hex.Decode(dst, src); err != nil {
		return fmt.Errorf("tee: %w", err)
	}
	return nil
}

// SGXReport is an enclave's report body (Intel SDM volume 3D, table 38-21).
type SGXReport struct {
	CPUSVN     [16]byte
	MiscSelect uint32
	Attributes [16]byte // flags 8, XFRM 8, both little endian
	MREnclave  [32]byte
	MRSigner   Signer
	ProdID     uint16
	SVN        uint16 // security version that the signer gave it
	ConfigSVN  uint16
	ConfigID   [64]byte
	FamilyID   [16]byte
	ExtProdID  [16]byte
	ReportData ReportData
}

// Debug tells whether the enclave is a debug enclave.
func (r *SGXReport) Debug() bool { return r.Attributes[0]&2 != 0 }

// TDReport is the body of a TD's quote (Intel TDX DCAP quoting library API,
// appendix A.3).
type TDReport struct {
	TEETCBSVN      [16]byte // of the TDX module and the platform when the TD was launched
	MRSEAM         Digest   // the TDX module
	MRSignerSEAM   Digest   // who signed the TDX module; zero for Intel
	SEAMAttributes [8]byte
	TDAttributes   [8]byte // little endian
	XFAM           [8]byte
	MRTD           Digest    // the TD's initial contents
	MRConfigID     Digest    // set by the host at launch
	MROwner        Digest    // set by the host at launch
	MROwnerConfig  Digest    // set by the host at launch
	RTMR           [4]Digest // extended at run time: firmware, kernel, command line, application
	ReportData     ReportData
	// TD 1.5 has these two besides; in TD 1.0 they are zero.
	TEETCBSVN2  [16]byte // of the TDX module and the platform now
	MRServiceTD Digest   // hash over the service TDs that are bound, such as a migration TD
}

// Debug tells whether the TD is under debug: any of the eight TUD bits.
func (r *TDReport) Debug() bool { return r.TDAttributes[0] != 0 }

// Migratable tells whether a migration TD may move the TD: attribute bit 29.
func (r *TDReport) Migratable() bool { return r.TDAttributes[3]&(1<<5) != 0 }

// Labels of the hashes that stand for registers longer than 32 bytes.
const (
	labelTDX = "ocw/tdx/measurement/1"
	labelSNP = "ocw/snp/measurement/1"
)

// Measurement returns BLAKE2b-256 of a label ‖ MRTD ‖ RTMR0 to 3 ‖ MRCONFIGID ‖
// MROWNER ‖ MROWNERCONFIG ‖ MRSERVICETD: everything that says what runs.
func (r *TDReport) Measurement() Measurement {
	parts := [][]byte{scale.AppendString(nil, labelTDX), r.MRTD[:]}
	for i := range r.RTMR {
		parts = append(parts, r.RTMR[i][:])
	}
	return Measurement(hashing.Blake2b256(append(parts, r.MRConfigID[:], r.MROwner[:], r.MROwnerConfig[:], r.MRServiceTD[:])...))
}

// SNPVersions are the security versions of an AMD platform's parts.
type SNPVersions struct {
	Bootloader uint8 `json:"bootloader"`
	TEE        uint8 `json:"tee"`
	SNP        uint8 `json:"snp"`
	Microcode  uint8 `json:"microcode"`
}

// AtLeast tells whether no part is older than in min.
func (v SNPVersions) AtLeast(min SNPVersions) bool {
	return v.Bootloader >= min.Bootloader && v.TEE >= min.TEE && v.SNP >= min.SNP && v.Microcode >= min.Microcode
}

// SNPReport is what a guest's attestation report says (AMD SEV-SNP firmware ABI,
// publication 56860, table 23).
type SNPReport struct {
	LaunchDigest    Digest // MEASUREMENT
	HostData        [32]byte
	Policy          uint64 // guest policy
	GuestSVN        uint32
	VMPL            uint32 // privilege level of who asked for the report; 0 is the highest
	FamilyID        [16]byte
	ImageID         [16]byte
	IDKeyDigest     Digest
	AuthorKeyDigest Digest
	ChipID          [64]byte
	PlatformInfo    uint64
	Reported        SNPVersions // the versions that the signing key is derived from
	ReportData      ReportData
}

// Debug tells whether the guest's policy lets the host debug it: bit 19.
func (r *SNPReport) Debug() bool { return r.Policy&(1<<19) != 0 }

// Migratable tells whether a migration agent may move the guest: bit 18.
func (r *SNPReport) Migratable() bool { return r.Policy&(1<<18) != 0 }

// Measurement returns BLAKE2b-256 of a label ‖ launch digest ‖ host data.
func (r *SNPReport) Measurement() Measurement {
	return Measurement(hashing.Blake2b256(scale.AppendString(nil, labelSNP), r.LaunchDigest[:], r.HostData[:]))
}

// TCB says how trustworthy the platform is, according to its vendor.
type TCB struct {
	// At is the time that the evidence was verified for.
	At time.Time
	// PlatformID names the machine: PPID (16 bytes) on Intel, CHIP_ID (64
	// bytes) on AMD.
	PlatformID []byte
	// Expires is when the first of certificates and collateral does.
	Expires time.Time

	// The rest is about SGX and TDX. AMD publishes no such verdict: SNP has
	// the versions in its report.

	// Status is the worst of Platform, QE and Module.
	Status TCBStatus
	// Platform is the status of the TCB level that the platform has.
	Platform TCBStatus
	// QE is the status of the quoting enclave.
	QE TCBStatus
	// Module is the status of the TDX module; TCBUnknown on SGX and where TCB
	// info does not tell versions of modules apart.
	Module TCBStatus
	// Advisories that apply to any of the three; sorted, each once.
	Advisories []string
	// Date is when the platform's TCB level became what the vendor recommends.
	Date time.Time
	// EvaluationNumber is the smaller tcbEvaluationDataNumber of TCB info and QE
	// identity: it grows with each set of collateral that the vendor publishes.
	EvaluationNumber uint32
	// Issued is when the oldest of TCB info, QE identity and PCK CRL was, each of
	// which is renewed at least once a month.
	Issued time.Time
	FMSPC  FMSPC
	PCEID  [2]byte
}

// TCBStatus is the verdict of Intel on a TCB level (PCS API v4, tcbStatus).
type TCBStatus uint8

// The statuses, in the order of how much they worry.
const (
	TCBUnknown                        TCBStatus = 0
	UpToDate                          TCBStatus = 1
	SWHardeningNeeded                 TCBStatus = 2 // software has to mitigate what the advisories say
	ConfigurationNeeded               TCBStatus = 3 // as set up, for example with hyperthreads, advisories apply
	ConfigurationAndSWHardeningNeeded TCBStatus = 4
	OutOfDate                         TCBStatus = 5
	OutOfDateConfigurationNeeded      TCBStatus = 6
	Revoked                           TCBStatus = 7
)

var statusNames = [...]string{
	"Unknown", "UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded",
	"OutOfDate", "OutOfDateConfigurationNeeded", "Revoked",
}

// String returns the name that Intel gives it.
func (s TCBStatus) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("TCBStatus(%d)", uint8(s))
}

// MarshalText returns the name.
func (s TCBStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads one of Intel's names.
func (s *TCBStatus) UnmarshalText(b []byte) error {
	for i, name := range statusNames {
		if TCBStatus(i) != TCBUnknown && name == string(b) {
			*s = TCBStatus(i)
			return nil
		}
	}
	return fmt.Errorf("tee: no TCB status %q", b)
}

// Merge returns the status of a platform, part of which (its quoting enclave,
// its TDX module) has another status of its own: what is out of date makes the
// whole out of date, and keeps that the configuration needs a change.
func (s TCBStatus) Merge(part TCBStatus) TCBStatus {
	configuration := func(s TCBStatus) bool {
		return s == ConfigurationNeeded || s == ConfigurationAndSWHardeningNeeded || s == OutOfDateConfigurationNeeded
	}
	worse := max(s, part)
	switch {
	case worse == OutOfDate && (configuration(s) || configuration(part)):
		return OutOfDateConfigurationNeeded
	case worse == ConfigurationNeeded && (s == SWHardeningNeeded || part == SWHardeningNeeded):
		return ConfigurationAndSWHardeningNeeded
	}
	return worse
}
