package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// quoteSignatures is how many signatures on P-256 stand between Intel's root and a
// quote with its collateral: of the quote, the quoting enclave, PCK and its CA, two
// CRLs, TCB info and QE identity, and the certificates of the two who signed these.
const quoteSignatures = 10

// quotesBench compares the verification of a quote, with all of its collateral,
// with bare checks of as many signatures.
func quotesBench(ctx context.Context, o *Options) ([]Result, error) {
	n := 500
	if o.Quick {
		n = 20
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte("a quote"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	if err != nil {
		return nil, err
	}
	bare := func() error {
		for range n * quoteSignatures {
			if !ecdsa.VerifyASN1(&key.PublicKey, hash[:], signature) {
				return fmt.Errorf("a signature does not verify")
			}
		}
		return nil
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var out []Result
	for _, kind := range []tee.Kind{tee.SGX, tee.TDX} {
		kit := dcaptest.New("bench", kind, at)
		quote, collateral := kit.Quote(), kit.Collateral()
		root := kit.Root()
		whole := func() error {
			for range n {
				if _, err := dcap.Verify(quote, collateral, root, at); err != nil {
					return err
				}
			}
			return nil
		}
		var rates, bares, ratios []float64
		for i := range rounds {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			turns := []func() error{whole, bare}
			var took [2]span
			for j := range turns {
				k := (i + j) % 2 // either first
				if took[k], err = timed(turns[k]); err != nil {
					return nil, err
				}
			}
			rates, bares = append(rates, float64(n)/took[0].wall.Seconds()), append(bares, float64(n)/took[1].wall.Seconds())
			ratios = append(ratios, took[1].wall.Seconds()/took[0].wall.Seconds())
			o.logf("quotes: %v: %.0f/s, %d bare signatures %.0f times/s", kind, rates[i], quoteSignatures, bares[i])
		}
		base, ratio := median(bares), median(ratios)
		out = append(out, Result{Name: "quotes-" + kind.String(), Value: median(rates), Unit: "quotes/s", Baseline: &base, Ratio: &ratio,
			note: fmt.Sprintf("verified with collateral, on one core, against %d bare checks of signatures", quoteSignatures)})
	}
	return out, nil
}
