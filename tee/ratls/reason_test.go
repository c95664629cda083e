package ratls

import (
	"errors"
	"fmt"
	"testing"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/snp"
)

// TestReasonOf wants every error of verifiers and policies to have a reason, and
// of several the one that says most.
func TestReasonOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Reason
	}{
		{ErrNoEvidence, ReasonNoEvidence},
		{ErrCertificate, ReasonCertificate},
		{dcap.ReasonRevokedPCK, ReasonNotGenuine},
		{snp.ReasonRevoked, ReasonNotGenuine},
		{tee.ErrKind, ReasonKind},
		{tee.ErrDebug, ReasonDebug},
		{tee.ErrMeasurement, ReasonMeasurement},
		{tee.ErrSVN, ReasonMeasurement},
		{tee.ErrMigratable, ReasonPlatform},
		{tee.ErrVMPL, ReasonPlatform},
		{tee.ErrPlatform, ReasonPlatform},
		{tee.ErrTCBStatus, ReasonPlatform},
		{tee.ErrAdvisory, ReasonPlatform},
		{tee.ErrEvaluationNumber, ReasonPlatform},
		{tee.ErrCollateralAge, ReasonPlatform},
		{tee.ErrReportData, ReasonSession},
		{errors.Join(tee.ErrReportData, tee.ErrAdvisory, tee.ErrKind), ReasonKind},
		{refuse(ReasonBusy, "x"), ReasonBusy},
		{errors.New("x"), ReasonInternal},
	} {
		if got := reasonOf(fmt.Errorf("wrapped: %w", test.err)); got != test.want {
			t.Errorf("%v: got %v, want %v", test.err, got, test.want)
		}
	}
	if got := Reason(18).Error(); got != "platform not accepted" {
		t.Errorf("got %q", got)
	}
}
