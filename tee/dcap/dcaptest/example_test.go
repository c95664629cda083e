package dcaptest_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// A quote that is genuine under the synthetic root, and the same with one thing
// wrong.
func Example() {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	kit := dcaptest.New("my test", tee.SGX, at)
	kit.SGX.MREnclave = [32]byte{1, 2, 3}
	kit.SGX.ReportData = tee.ReportData{4, 5, 6}

	claims, err := dcap.Verify(kit.Quote(), kit.Collateral(), kit.Root(), at)
	if err != nil {
		panic(err)
	}
	policy := tee.Policy{Kinds: []tee.Kind{tee.SGX}, Measurements: []tee.Measurement{{1, 2, 3}}}
	fmt.Println("accepted:", policy.Appraise(claims, tee.ReportData{4, 5, 6}) == nil)

	kit.RevokePCK()
	_, err = dcap.Verify(kit.Quote(), kit.Collateral(), kit.Root(), at)
	fmt.Println("revoked:", errors.Is(err, dcap.ReasonRevokedPCK))
	// Output:
	// accepted: true
	// revoked: true
}
