package dcap_test

import (
	"errors"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

func TestVerifier(t *testing.T) {
	k := dcaptest.New("test", tee.SGX, noon)
	k.SGX.ReportData = tee.ReportData{1, 2, 3}
	current := k.Collateral()
	evidence := tee.Evidence{Kind: tee.SGX, Quote: k.Quote(), Aux: current.Encode()}
	bare := tee.Evidence{Kind: tee.SGX, Quote: k.Quote()}

	revoking := dcaptest.New("test", tee.SGX, noon)
	revoking.RevokePCK()
	old := dcaptest.New("test", tee.SGX, noon.AddDate(0, -2, 0)).Collateral()

	for _, test := range []struct {
		name     string
		known    *dcap.Collateral
		evidence tee.Evidence
		want     error
	}{
		{"stapled", nil, evidence, nil},
		{"known", current, bare, nil},
		{"neither", nil, bare, dcap.ReasonNoCollateral},
		{"known goes before stapled", revoking.Collateral(), evidence, dcap.ReasonRevokedPCK},
		{"stapled instead of outdated", old, evidence, nil},
		{"outdated", old, bare, dcap.ReasonCRLTime},
		{"stapled rubbish", nil, tee.Evidence{Kind: tee.SGX, Quote: bare.Quote, Aux: []byte("{")}, dcap.ReasonCollateral},
		{"another kind", nil, tee.Evidence{Kind: tee.TDX, Quote: bare.Quote}, tee.ErrNotGenuine},
		{"rubbish", nil, tee.Evidence{Kind: tee.SGX, Quote: []byte{1}}, dcap.ReasonQuote},
	} {
		asked := dcap.Platform{}
		v := &dcap.Verifier{TEE: tee.SGX, Root: k.Root(), Now: func() time.Time { return noon }, Known: func(p dcap.Platform) *dcap.Collateral {
			asked = p
			return test.known
		}}
		claims, err := tee.Verify(test.evidence, v)
		if !errors.Is(err, test.want) || (err == nil) != (claims != nil) {
			t.Errorf("%s: got %v, %v, want %v", test.name, claims, err, test.want)
		}
		if test.want == nil && (claims.ReportData != k.SGX.ReportData || asked.String() != "sgx-d0c06f000000-platform") {
			t.Errorf("%s: got %+v, asked for %s", test.name, claims, asked)
		}
	}

	// A TD's quote does not pass as an enclave's.
	td := dcaptest.New("test", tee.TDX, noon)
	v := &dcap.Verifier{TEE: tee.SGX, Root: td.Root(), Now: func() time.Time { return noon }}
	if _, err := v.Verify(tee.Evidence{Kind: tee.SGX, Quote: td.Quote(), Aux: td.Collateral().Encode()}); !errors.Is(err, dcap.ReasonTEE) {
		t.Errorf("got %v", err)
	}
	// By default the root is Intel's.
	v = &dcap.Verifier{TEE: tee.SGX, Now: func() time.Time { return noon }}
	if _, err := v.Verify(evidence); !errors.Is(err, dcap.ReasonRoot) {
		t.Errorf("got %v", err)
	}
}
