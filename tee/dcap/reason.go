package dcap

import (
	"fmt"

	"github.com/offchain-worker/sdk/tee"
)

// Reason says why a quote is not genuine. It is an error, and wraps
// [tee.ErrNotGenuine]: errors.Is(err, ReasonRevokedPCK) tells whether that was
// why.
type Reason string

// The reasons. The first that applies is told, in about this order.
const (
	ReasonQuote    Reason = "malformed quote"
	ReasonVersion  Reason = "quote version not supported"
	ReasonTEE      Reason = "quote of an unsupported kind of TEE"
	ReasonKeyType  Reason = "attestation key is not ECDSA on P-256"
	ReasonVendor   Reason = "quoting enclave is not of Intel"
	ReasonCertType Reason = "certification data is no PCK certificate chain"

	ReasonSignature         Reason = "bad signature of the quote"
	ReasonQEBinding         Reason = "attestation key is not the quoting enclave's"
	ReasonQEReportSignature Reason = "bad signature of the quoting enclave's report"

	ReasonChain         Reason = "malformed certificate chain"
	ReasonRoot          Reason = "certificate chain of another root"
	ReasonCertSignature Reason = "certificate not signed by its issuer"
	ReasonCertRole      Reason = "certificate for another purpose"
	ReasonCertTime      Reason = "certificate not valid at the time"
	ReasonPCK           Reason = "malformed PCK certificate"

	ReasonCollateral   Reason = "malformed collateral"
	ReasonNoCollateral Reason = "no collateral"

	ReasonCRL           Reason = "malformed CRL"
	ReasonCRLIssuer     Reason = "CRL of another issuer"
	ReasonCRLSignature  Reason = "bad signature of a CRL"
	ReasonCRLTime       Reason = "CRL not valid at the time"
	ReasonRevokedPCK    Reason = "PCK certificate is revoked"
	ReasonRevokedCA     Reason = "PCK CA is revoked"
	ReasonRevokedSigner Reason = "TCB signing certificate is revoked"

	ReasonTCBInfo          Reason = "malformed TCB info"
	ReasonTCBInfoSignature Reason = "bad signature of TCB info"
	ReasonTCBInfoTime      Reason = "TCB info not valid at the time"
	ReasonTCBInfoKind      Reason = "TCB info for another kind of TEE"
	ReasonFMSPC            Reason = "TCB info of another FMSPC"
	ReasonPCEID            Reason = "TCB info of another PCE"
	ReasonTCBLevel         Reason = "platform is below every TCB level"

	ReasonQEIdentity          Reason = "malformed QE identity"
	ReasonQEIdentitySignature Reason = "bad signature of QE identity"
	ReasonQEIdentityTime      Reason = "QE identity not valid at the time"
	ReasonQEIdentityKind      Reason = "QE identity for another kind of TEE"
	ReasonQE                  Reason = "quoting enclave has another identity"
	ReasonQELevel             Reason = "quoting enclave is below every TCB level"

	ReasonModule      Reason = "TDX module has another identity"
	ReasonModuleLevel Reason = "TDX module is below every TCB level"
)

// Error returns the reason in a few words.
func (r Reason) Error() string { return "dcap: " + string(r) }

// Unwrap returns tee.ErrNotGenuine.
func (r Reason) Unwrap() error { return tee.ErrNotGenuine }

// because adds details to a reason.
func because(r Reason, format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{r}, args...)...)
}
