package snp

import (
	"fmt"

	"github.com/offchain-worker/sdk/tee"
)

// Reason says why a report is not genuine. It is an error, and wraps
// [tee.ErrNotGenuine].
type Reason string

// The reasons.
const (
	ReasonReport       Reason = "malformed report"
	ReasonVersion      Reason = "report version not supported"
	ReasonCollateral   Reason = "malformed collateral"
	ReasonCertificates Reason = "no usable endorsement key certificate"
	ReasonProduct      Reason = "product line not known"
	ReasonChain        Reason = "bad certificate chain or signature"
	ReasonChip         Reason = "certificate of another chip"
	ReasonVersions     Reason = "certificate for other firmware versions"
	ReasonCRL          Reason = "malformed CRL"
	ReasonCRLSignature Reason = "bad signature of the CRL"
	ReasonCRLTime      Reason = "CRL not valid at the time"
	ReasonRevoked      Reason = "signing key is revoked"
)

// Error returns the reason in a few words.
func (r Reason) Error() string { return "snp: " + string(r) }

// Unwrap returns tee.ErrNotGenuine.
func (r Reason) Unwrap() error { return tee.ErrNotGenuine }

// because adds details to a reason.
func because(r Reason, format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{r}, args...)...)
}
