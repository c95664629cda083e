package integritee

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Limits of the pallet Teerex, in bytes.
const (
	MaxProofBytes = 5000
	MaxURLBytes   = 256
)

// RegisterSgxEnclaveArgs are the arguments of Teerex.register_sgx_enclave.
type RegisterSgxEnclaveArgs struct {
	Proof     []byte               // at most MaxProofBytes
	WorkerURL *[]byte              // at most MaxURLBytes
	Method    SgxAttestationMethod `metadata:"attestation_method"`
}

// UnregisterSovereignEnclaveArgs are the arguments of
// Teerex.unregister_sovereign_enclave.
type UnregisterSovereignEnclaveArgs struct {
	EnclaveSigner keyring.AccountID
}

// UnregisterProxiedEnclaveArgs are the arguments of
// Teerex.unregister_proxied_enclave.
type UnregisterProxiedEnclaveArgs struct {
	Address EnclaveInstanceAddress
}

// RegisterQuotingEnclaveArgs are the arguments of
// Teerex.register_quoting_enclave.
type RegisterQuotingEnclaveArgs struct {
	EnclaveIdentity  []byte
	Signature        []byte
	CertificateChain []byte
}

// RegisterTcbInfoArgs are the arguments of Teerex.register_tcb_info.
type RegisterTcbInfoArgs struct {
	TcbInfo          []byte
	Signature        []byte
	CertificateChain []byte
}

// SetSecurityFlagsArgs are the arguments of Teerex.set_security_flags.
type SetSecurityFlagsArgs struct {
	AllowSkippingAttestation bool
	SgxAllowDebugMode        bool
}

// EventAddedSgxEnclave is event 0 of Teerex.
type EventAddedSgxEnclave struct {
	RegisteredBy      keyring.AccountID
	WorkerURL         *[]byte
	TcbStatus         *SgxStatus
	AttestationMethod SgxAttestationMethod
}

// EventRemovedSovereignEnclave is event 1 of Teerex. Its field has no name on
// chain.
type EventRemovedSovereignEnclave struct {
	EnclaveSigner keyring.AccountID `metadata:"_"`
}

// EventRemovedProxiedEnclave is event 2 of Teerex. Its field has no name on
// chain.
type EventRemovedProxiedEnclave struct {
	Address EnclaveInstanceAddress `metadata:"_"`
}

// EventSgxTcbInfoRegistered is event 3 of Teerex.
type EventSgxTcbInfoRegistered struct {
	Fmspc       [6]byte
	OnChainInfo SgxTcbInfoOnChain
}

// EventSgxQuotingEnclaveRegistered is event 4 of Teerex.
type EventSgxQuotingEnclaveRegistered struct {
	QuotingEnclave SgxQuotingEnclave
}

// EventUpdatedSecurityFlags is event 5 of Teerex.
type EventUpdatedSecurityFlags struct {
	AllowSkippingAttestation bool
	SgxAllowDebugMode        bool
}

// SgxAttestationMethod says how an enclave was attested on chain.
type SgxAttestationMethod struct {
	_    scale.Enum
	Skip *ProxiedMethod `scale:"0"` // not at all; only where the chain allows it
	Ias  *struct{}      `scale:"1"`
	Dcap *ProxiedMethod `scale:"2"`
}

// ProxiedMethod tells whether somebody else than the enclave registers it.
type ProxiedMethod struct {
	Proxied bool
}

// SkipAttestation returns the method Skip of an enclave that registers itself.
func SkipAttestation() SgxAttestationMethod {
	return SgxAttestationMethod{Skip: &ProxiedMethod{}}
}

// DcapAttestation returns the method Dcap of an enclave that registers itself.
func DcapAttestation() SgxAttestationMethod {
	return SgxAttestationMethod{Dcap: &ProxiedMethod{}}
}

// Proxied tells whether somebody else than the enclave registered it.
func (m SgxAttestationMethod) Proxied() bool {
	return m.Skip != nil && m.Skip.Proxied || m.Dcap != nil && m.Dcap.Proxied
}

// MetadataPath is the type's path in runtime metadata.
func (SgxAttestationMethod) MetadataPath() []string {
	return []string{"teerex_primitives", "SgxAttestationMethod"}
}

// SgxStatus is the status that the chain gave an enclave's evidence.
type SgxStatus uint8

// The statuses. Skipped attestation is Invalid.
const (
	SgxInvalid             SgxStatus = 0
	SgxOk                  SgxStatus = 1
	SgxGroupOutOfDate      SgxStatus = 2
	SgxGroupRevoked        SgxStatus = 3
	SgxConfigurationNeeded SgxStatus = 4
)

// SCALEVariants lists the statuses.
func (SgxStatus) SCALEVariants() []scale.Variant {
	return variants("Invalid", "Ok", "GroupOutOfDate", "GroupRevoked", "ConfigurationNeeded")
}

// MetadataPath is the type's path in runtime metadata.
func (SgxStatus) MetadataPath() []string { return []string{"teerex_primitives", "SgxStatus"} }

// SgxBuildMode tells debug enclaves from others.
type SgxBuildMode uint8

// The build modes.
const (
	SgxDebug      SgxBuildMode = 0
	SgxProduction SgxBuildMode = 1
)

// SCALEVariants lists the build modes.
func (SgxBuildMode) SCALEVariants() []scale.Variant { return variants("Debug", "Production") }

// MetadataPath is the type's path in runtime metadata.
func (SgxBuildMode) MetadataPath() []string { return []string{"teerex_primitives", "SgxBuildMode"} }

func variants(names ...string) []scale.Variant {
	out := make([]scale.Variant, len(names))
	for i, n := range names {
		out[i] = scale.Variant{Index: uint8(i), Name: n}
	}
	return out
}

// SgxReportData is the 64 bytes that an enclave chose to have attested.
type SgxReportData struct {
	D [64]byte
}

// MetadataPath is the type's path in runtime metadata.
func (SgxReportData) MetadataPath() []string { return []string{"teerex_primitives", "SgxReportData"} }

// SgxEnclave is an enclave as registered. Timestamp counts milliseconds since
// 1970.
type SgxEnclave struct {
	ReportData        SgxReportData
	MrEnclave         [32]byte
	MrSigner          [32]byte
	Timestamp         uint64
	URL               *[]byte
	BuildMode         SgxBuildMode
	AttestationMethod SgxAttestationMethod
	Status            SgxStatus
}

// MetadataPath is the type's path in runtime metadata.
func (SgxEnclave) MetadataPath() []string { return []string{"teerex_primitives", "SgxEnclave"} }

// MultiEnclave is the value of Teerex.SovereignEnclaves and ProxiedEnclaves.
type MultiEnclave struct {
	_   scale.Enum
	Sgx *SgxEnclave `scale:"0"`
}

// MetadataPath is the type's path in runtime metadata.
func (MultiEnclave) MetadataPath() []string { return []string{"teerex_primitives", "MultiEnclave"} }

// Fingerprint returns the enclave's measurement; zero if no variant is set.
func (m MultiEnclave) Fingerprint() Fingerprint {
	if m.Sgx == nil {
		return Fingerprint{}
	}
	return m.Sgx.MrEnclave
}

// EnclaveInstanceAddress names a proxied enclave.
type EnclaveInstanceAddress struct {
	Fingerprint Fingerprint
	Registrar   keyring.AccountID
	Signer      AnySigner
}

// MetadataPath is the type's path in runtime metadata.
func (EnclaveInstanceAddress) MetadataPath() []string {
	return []string{"teerex_primitives", "EnclaveInstanceAddress"}
}

// AnySigner is a signer of a known scheme or up to 66 opaque bytes.
type AnySigner struct {
	_      scale.Enum
	Opaque *[]byte      `scale:"0"`
	Known  *MultiSigner `scale:"1"`
}

// MetadataPath is the type's path in runtime metadata.
func (AnySigner) MetadataPath() []string { return []string{"common_primitives", "AnySigner"} }

// MultiSigner is a public key with its scheme.
type MultiSigner struct {
	_       scale.Enum
	Ed25519 *[32]byte `scale:"0"`
	Sr25519 *[32]byte `scale:"1"`
	Ecdsa   *[33]byte `scale:"2"`
}

// MetadataPath is the type's path in runtime metadata.
func (MultiSigner) MetadataPath() []string { return []string{"sp_runtime", "MultiSigner"} }

// TcbStatus is Intel's status of a TCB level. Intel has one more,
// ConfigurationNeeded, which the pallet cannot read.
type TcbStatus uint8

// The statuses.
const (
	TcbUnknown                           TcbStatus = 0
	TcbUpToDate                          TcbStatus = 1
	TcbSWHardeningNeeded                 TcbStatus = 2
	TcbConfigurationAndSWHardeningNeeded TcbStatus = 3
	TcbOutOfDate                         TcbStatus = 4
	TcbOutOfDateConfigurationNeeded      TcbStatus = 5
	TcbRevoked                           TcbStatus = 6
)

// ParseTcbStatus finds a status by the name that the pallet knows it by.
func ParseTcbStatus(name string) (s TcbStatus, ok bool) {
	for _, v := range s.SCALEVariants() {
		if v.Name == name {
			return TcbStatus(v.Index), true
		}
	}
	return s, false
}

// SgxStatus returns the status that the pallet gives to enclaves on a level.
func (s TcbStatus) SgxStatus() SgxStatus {
	switch s {
	case TcbUpToDate, TcbSWHardeningNeeded:
		return SgxOk
	case TcbConfigurationAndSWHardeningNeeded:
		return SgxConfigurationNeeded
	case TcbOutOfDate, TcbOutOfDateConfigurationNeeded:
		return SgxGroupOutOfDate
	case TcbRevoked:
		return SgxGroupRevoked
	}
	return SgxInvalid
}

// SCALEVariants lists the statuses.
func (TcbStatus) SCALEVariants() []scale.Variant {
	return variants("Unknown", "UpToDate", "SWHardeningNeeded", "ConfigurationAndSWHardeningNeeded",
		"OutOfDate", "OutOfDateConfigurationNeeded", "Revoked")
}

// MetadataPath is the type's path in runtime metadata.
func (TcbStatus) MetadataPath() []string { return []string{"teerex_primitives", "TcbStatus"} }

// TcbVersionStatus is one TCB level.
type TcbVersionStatus struct {
	Cpusvn    [16]byte
	Pcesvn    uint16
	TcbStatus TcbStatus
}

// MetadataPath is the type's path in runtime metadata.
func (TcbVersionStatus) MetadataPath() []string {
	return []string{"teerex_primitives", "TcbVersionStatus"}
}

// SgxTcbInfoOnChain is the value of Teerex.SgxTcbInfo, whose key is the
// 6-byte FMSPC. Times are milliseconds since 1970.
type SgxTcbInfoOnChain struct {
	IssueDate  uint64
	NextUpdate uint64
	TcbLevels  []TcbVersionStatus
}

// MetadataPath is the type's path in runtime metadata.
func (SgxTcbInfoOnChain) MetadataPath() []string {
	return []string{"teerex_primitives", "SgxTcbInfoOnChain"}
}

// QeTcb is one TCB level of the quoting enclave.
type QeTcb struct {
	Isvsvn uint16
}

// MetadataPath is the type's path in runtime metadata.
func (QeTcb) MetadataPath() []string { return []string{"teerex_primitives", "QeTcb"} }

// SgxQuotingEnclave is the value of Teerex.SgxQuotingEnclaveRegistry. Times
// are milliseconds since 1970.
type SgxQuotingEnclave struct {
	IssueDate      uint64
	NextUpdate     uint64
	Miscselect     [4]byte
	MiscselectMask [4]byte
	Attributes     [16]byte
	AttributesMask [16]byte
	Mrsigner       [32]byte
	Isvprodid      uint16
	Tcb            []QeTcb
}

// MetadataPath is the type's path in runtime metadata.
func (SgxQuotingEnclave) MetadataPath() []string {
	return []string{"teerex_primitives", "SgxQuotingEnclave"}
}
