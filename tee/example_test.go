package tee_test

import (
	"fmt"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sim"
)

// Evidence is first verified, then appraised. Simulated evidence is genuine,
// and accepted by the insecure-dev policy only.
func ExamplePolicy_Appraise() {
	platform := sim.New("my-app", [32]byte{})
	wanted := tee.ReportData{1, 2, 3}
	evidence, err := platform.Attest(wanted)
	if err != nil {
		panic(err)
	}
	claims, err := tee.Verify(evidence, sim.Verifier{})
	if err != nil {
		panic(err)
	}
	fmt.Println("development:", tee.InsecureDev(platform.Measurement()).Appraise(claims, wanted))
	fmt.Println("zero policy accepts:", tee.Policy{}.Appraise(claims, wanted) == nil)
	// Output:
	// development: <nil>
	// zero policy accepts: false
}
