package runtime

import (
	"crypto/x509"
	"reflect"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// MaxAttestationRenewalPeriod is the age in ms past which anybody may
// unregister an enclave: 48 hours, as on integritee-node.
const MaxAttestationRenewalPeriod = 172_800_000

// Teerex is the pallet Teerex, index 50: the registry of enclaves. They are
// registered with quotes of DCAP, or skip attestation, as a flag of the genesis
// allows. Reports of IAS, a service that has ended, are refused.
type Teerex struct {
	SovereignEnclaves         pallet.Map[keyring.AccountID, integritee.MultiEnclave]                 `pallet:"optional"`
	ProxiedEnclaves           pallet.Map[integritee.EnclaveInstanceAddress, integritee.MultiEnclave] `pallet:"optional"`
	SgxQuotingEnclaveRegistry pallet.Value[integritee.SgxQuotingEnclave]
	SgxTcbInfo                pallet.Map[Fmspc, integritee.SgxTcbInfoOnChain] `pallet:"optional"`
	SgxAllowDebugMode         pallet.Value[bool]
	AllowSkippingAttestation  pallet.Value[bool]

	timestamp *Timestamp
	root      *x509.Certificate // of Intel, or a synthetic one
}

// Fmspc names a family of Intel platforms.
type Fmspc = [6]byte

// Errors of Teerex that the dev chain can give.
var (
	errCollateralIsInvalid                 = teerexError("CollateralIsInvalid")
	errDcapQuoteDecodingError              = teerexError("DcapQuoteDecodingError")
	errEnclaveIsNotRegistered              = teerexError("EnclaveIsNotRegistered")
	errEnclaveURLIsTooLong                 = teerexError("EnclaveUrlIsTooLong")
	errMissingTcbInfoForFmspc              = teerexError("MissingTcbInfoForFmspc")
	errNetscapeDecodingError               = teerexError("NetscapeDecodingError")
	errRaProofIsTooLong                    = teerexError("RaProofIsTooLong")
	errSgxModeIsNotAllowed                 = teerexError("SgxModeIsNotAllowed")
	errSkippingAttestationIsNotAllowed     = teerexError("SkippingAttestationIsNotAllowed")
	errUnregisterActiveEnclaveIsNotAllowed = teerexError("UnregisterActiveEnclaveIsNotAllowed")
)

func (t *Teerex) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "Teerex", Index: 50, Module: t, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"RegisterSgxEnclave": 0, "UnregisterSovereignEnclave": 1, "UnregisterProxiedEnclave": 2,
			"RegisterQuotingEnclave": 3, "RegisterTcbInfo": 4, "SetSecurityFlags": 5}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: integritee.EventAddedSgxEnclave{}, Docs: []string{"An Intel SGX enclave has been added to the enclave registry"}},
			{Index: 1, Prototype: integritee.EventRemovedSovereignEnclave{}, Docs: []string{"a sovereign enclave has been removed from the enclave registry"}},
			{Index: 2, Prototype: integritee.EventRemovedProxiedEnclave{}, Docs: []string{"a proxied enclave has been removed from the enclave registry"}},
			{Index: 3, Prototype: integritee.EventSgxTcbInfoRegistered{}, Docs: []string{"Intel SGX TCB info has been registered"}},
			{Index: 4, Prototype: integritee.EventSgxQuotingEnclaveRegistered{}, Docs: []string{"An Intel SGX quoting enclave has been registered"}},
			{Index: 5, Prototype: integritee.EventUpdatedSecurityFlags{}, Docs: []string{"the enclave registry security flags have been updated"}},
		},
		Errors: teerexErrors,
		Constants: []pallet.Constant{
			{Name: "MomentsPerDay", Value: uint64(86_400_000)},
			{Name: "MaxAttestationRenewalPeriod", Value: uint64(MaxAttestationRenewalPeriod), Doc: "If a worker does not re-register within `MaxAttestationRenewalPeriod`, it can be unregistered by anyone."},
		},
	}
}

// RegisterSgxEnclave registers the enclave of the sender, or one that the sender
// vouches for (proxied).
func (t *Teerex) RegisterSgxEnclave(ctx *Context, args struct {
	Proof             []byte                          `metadata:"proof,Vec<u8>"`
	WorkerURL         *[]byte                         `metadata:"worker_url,Option<Vec<u8>>"`
	AttestationMethod integritee.SgxAttestationMethod `metadata:"attestation_method,SgxAttestationMethod"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	if len(args.Proof) > integritee.MaxProofBytes {
		return errRaProofIsTooLong
	}
	if args.WorkerURL != nil && len(*args.WorkerURL) > integritee.MaxURLBytes {
		return errEnclaveURLIsTooLong
	}
	method := args.AttestationMethod
	var enclave integritee.SgxEnclave
	switch {
	case method.Ias != nil:
		return errNetscapeDecodingError
	case method.Dcap != nil:
		if enclave, err = t.verifyDcap(ctx, who, args.Proof, method); err != nil {
			return err
		}
	case !t.AllowSkippingAttestation.Get(ctx):
		return errSkippingAttestationIsNotAllowed
	default:
		enclave = integritee.SgxEnclave{Timestamp: t.timestamp.Now.Get(ctx), BuildMode: integritee.SgxProduction,
			AttestationMethod: method, Status: integritee.SgxInvalid}
		copy(enclave.ReportData.D[:], who[:])
		if len(args.Proof) >= 32 {
			enclave.MrEnclave = [32]byte(args.Proof)
		}
	}
	enclave.URL = args.WorkerURL
	if enclave.BuildMode == integritee.SgxDebug && !t.SgxAllowDebugMode.Get(ctx) {
		return errSgxModeIsNotAllowed
	}
	multi := integritee.MultiEnclave{Sgx: &enclave}
	if method.Proxied() {
		data := enclave.ReportData.D[:]
		t.ProxiedEnclaves.Set(ctx, integritee.EnclaveInstanceAddress{
			Fingerprint: multi.Fingerprint(), Registrar: who, Signer: integritee.AnySigner{Opaque: &data}}, multi)
	} else {
		t.SovereignEnclaves.Set(ctx, who, multi)
	}
	status := enclave.Status
	ctx.deposit(integritee.EventAddedSgxEnclave{RegisteredBy: who, WorkerURL: args.WorkerURL, TcbStatus: &status, AttestationMethod: method})
	return nil
}

// mayUnregister refuses to remove an enclave that is not registered, or whose
// attestation is recent.
func (t *Teerex) mayUnregister(ctx *Context, m integritee.MultiEnclave, registered bool) error {
	if !registered {
		return errEnclaveIsNotRegistered
	}
	now := t.timestamp.Now.Get(ctx)
	if m.Sgx == nil || now <= MaxAttestationRenewalPeriod || m.Sgx.Timestamp >= now-MaxAttestationRenewalPeriod {
		return errUnregisterActiveEnclaveIsNotAllowed
	}
	return nil
}

// UnregisterSovereignEnclave removes a registration that was not renewed.
// Anybody may do so.
func (t *Teerex) UnregisterSovereignEnclave(ctx *Context, args struct {
	EnclaveSigner keyring.AccountID `metadata:"enclave_signer,T::AccountId"`
}) error {
	if _, err := ctx.signed(); err != nil {
		return err
	}
	enclave, ok := t.SovereignEnclaves.Lookup(ctx, args.EnclaveSigner)
	if err := t.mayUnregister(ctx, enclave, ok); err != nil {
		return err
	}
	t.SovereignEnclaves.Delete(ctx, args.EnclaveSigner)
	ctx.deposit(integritee.EventRemovedSovereignEnclave{EnclaveSigner: args.EnclaveSigner})
	return nil
}

// UnregisterProxiedEnclave is the same for a proxied registration.
func (t *Teerex) UnregisterProxiedEnclave(ctx *Context, args struct {
	Address integritee.EnclaveInstanceAddress `metadata:"address,EnclaveInstanceAddress<T::AccountId>"`
}) error {
	if _, err := ctx.signed(); err != nil {
		return err
	}
	enclave, ok := t.ProxiedEnclaves.Lookup(ctx, args.Address)
	if err := t.mayUnregister(ctx, enclave, ok); err != nil {
		return err
	}
	t.ProxiedEnclaves.Delete(ctx, args.Address)
	ctx.deposit(integritee.EventRemovedProxiedEnclave{Address: args.Address})
	return nil
}

// RegisterQuotingEnclave takes Intel's statement on its quoting enclave, a
// document as signed, with the signature r ‖ s and the signer's chain in PEM.
// Anybody may hand it in.
func (t *Teerex) RegisterQuotingEnclave(ctx *Context, args struct {
	EnclaveIdentity  []byte `metadata:"enclave_identity,Vec<u8>"`
	Signature        []byte `metadata:"signature,Vec<u8>"`
	CertificateChain []byte `metadata:"certificate_chain,Vec<u8>"`
}) error {
	if _, err := ctx.signed(); err != nil {
		return err
	}
	if err := t.verifyCollateral(ctx, args.EnclaveIdentity, args.Signature, args.CertificateChain, errEnclaveIdentitySignatureIsInvalid); err != nil {
		return err
	}
	qe, err := readQEIdentity(args.EnclaveIdentity, t.timestamp.Now.Get(ctx))
	if err != nil {
		return err
	}
	t.SgxQuotingEnclaveRegistry.Set(ctx, qe)
	ctx.deposit(integritee.EventSgxQuotingEnclaveRegistered{QuotingEnclave: qe})
	return nil
}

// RegisterTcbInfo takes Intel's statement on the platforms of an FMSPC, likewise.
func (t *Teerex) RegisterTcbInfo(ctx *Context, args struct {
	TcbInfo          []byte `metadata:"tcb_info,Vec<u8>"`
	Signature        []byte `metadata:"signature,Vec<u8>"`
	CertificateChain []byte `metadata:"certificate_chain,Vec<u8>"`
}) error {
	if _, err := ctx.signed(); err != nil {
		return err
	}
	if err := t.verifyCollateral(ctx, args.TcbInfo, args.Signature, args.CertificateChain, errRsaSignatureIsInvalid); err != nil {
		return err
	}
	fmspc, info, err := readTCBInfo(args.TcbInfo, t.timestamp.Now.Get(ctx))
	if err != nil {
		return err
	}
	t.SgxTcbInfo.Set(ctx, fmspc, info)
	ctx.deposit(integritee.EventSgxTcbInfoRegistered{Fmspc: fmspc, OnChainInfo: info})
	return nil
}

// SetSecurityFlags sets both flags; root only.
func (t *Teerex) SetSecurityFlags(ctx *Context, args struct {
	AllowSkippingAttestation bool
	SgxAllowDebugMode        bool
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	t.AllowSkippingAttestation.Set(ctx, args.AllowSkippingAttestation)
	t.SgxAllowDebugMode.Set(ctx, args.SgxAllowDebugMode)
	ctx.deposit(integritee.EventUpdatedSecurityFlags{AllowSkippingAttestation: args.AllowSkippingAttestation, SgxAllowDebugMode: args.SgxAllowDebugMode})
	return nil
}

// sovereign returns a registered enclave.
func (t *Teerex) sovereign(ctx *Context, who keyring.AccountID) (integritee.MultiEnclave, error) {
	enclave, ok := t.SovereignEnclaves.Lookup(ctx, who)
	if !ok {
		return enclave, errEnclaveIsNotRegistered
	}
	return enclave, nil
}

// teerexErrors are the errors of the pallet in the order of their codes, with
// those that sgx-verify has.
var teerexErrors = func() (out []*pallet.Error) {
	for i, e := range [][2]string{
		{"EnclaveSignerDecodeError", "Failed to decode enclave signer."},
		{"SenderIsNotAttestedEnclave", "Sender does not match attested enclave in report."},
		{"RemoteAttestationVerificationFailed", "Verifying RA report failed."},
		{"RemoteAttestationIsTooOld", "IAS remote attestation is too old"},
		{"SgxModeIsNotAllowed", "The enclave cannot attest, because its building mode is not allowed."},
		{"EnclaveIsNotRegistered", "The enclave is not registered."},
		{"EnclaveUrlIsTooLong", "The worker url is too long."},
		{"RaProofIsTooLong", "The Remote Attestation proof is too long."},
		{"EmptyEnclaveRegistry", "No enclave is registered."},
		{"CollateralIsInvalid", "The provided collateral data is invalid"},
		{"UnregisterActiveEnclaveIsNotAllowed", "It is not allowed to unregister enclaves with recent activity"},
		{"SkippingAttestationIsNotAllowed", "skipping attestation not allowed by configuration"},
		{"MissingTcbInfoForFmspc", "No TCB info could be found onchain for the examinee's fmspc"},
		{"TcbInfoIsOutdated", "Either the enclave TCB has outdated status or the onchain TCB collateral is outdated"},
		{"OtherSgxVerifyError", "An error originating in the sgx_verify crate"},
		{"CaVerificationFailed"}, {"CertificateChainIsInvalid"}, {"CertificateChainIsTooShort"}, {"CpuSvnDecodingError"}, {"CpuSvnLengthMismatch"},
		{"CpuSvnOidIsMissing"}, {"DcapKeyTypeMismatch"}, {"DcapQuoteDecodingError"}, {"DcapQuoteIsTooLong"}, {"DcapQuoteVersionMismatch"}, {"DerEncodingError"},
		{"EnclaveIdentityDecodingError"}, {"EnclaveIdentitySignatureIsInvalid"}, {"FmspcDecodingError"}, {"FmspcLengthMismatch"}, {"FmspcOidIsMissing"},
		{"IntelExtensionAmbiguity"}, {"IntelExtensionCertificateDecodingError"}, {"IsvEnclaveReportSignatureIsInvalid"}, {"KeyLengthIsInvalid"},
		{"LeafCertificateParsingError"}, {"NetscapeDecodingError"}, {"NetscapeDerError"}, {"PceSvnDecodingError"}, {"PceSvnLengthMismatch"}, {"PceSvnOidIsMissing"},
		{"PckCertFormatMismatch"}, {"PublicKeyIsInvalid"}, {"QeHasRejectedEnclave"}, {"QeReportHashMismatch"}, {"QuoteBodyDecodingError"}, {"QuoteBodyIsInvalid"},
		{"QuoteBodyMissing"}, {"QuoteStatusMissing"}, {"RsaSignatureIsInvalid"}, {"SgxReportParsingError"}, {"TcbInfoIsInvalid"}, {"TimestampIsInvalid"}, {"TimestampIsMissing"},
	} {
		out = append(out, pallet.NewError(uint8(i), e[0], e[1]))
	}
	return out
}()

func teerexError(name string) *pallet.Error {
	for _, e := range teerexErrors {
		if e.Name == name {
			return e
		}
	}
	panic("devchain: no Teerex error " + name)
}
