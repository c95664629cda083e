package dcap

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/tee"
)

// Verifier checks evidence of one kind, SGX or TDX. Evidence.Quote is the quote;
// Evidence.Aux is a collateral file ([Collateral.Encode]) that its owner staples
// to it, or empty. A Verifier is safe for concurrent use if its functions are,
// and never waits for anything: collateral has to be had beforehand.
type Verifier struct {
	// TEE is the kind, tee.SGX or tee.TDX.
	TEE tee.Kind
	// Root is the root of trust; nil for IntelRoot.
	Root *x509.Certificate
	// Now tells the time to verify for. It must not be nil.
	Now func() time.Time
	// Known returns collateral that is known for a platform, or nil. It goes
	// before stapled collateral, which may be the oldest that is still valid,
	// unless it is out of its dates. Known may be nil.
	Known func(Platform) *Collateral
}

var _ tee.Verifier = (*Verifier)(nil)

// Kind returns v.TEE.
func (v *Verifier) Kind() tee.Kind { return v.TEE }

// Verify returns what Verify of the package returns for the collateral at hand.
func (v *Verifier) Verify(e tee.Evidence) (*tee.Claims, error) {
	if e.Kind != v.TEE {
		return nil, fmt.Errorf("%w: evidence of %s for the verifier of %s", tee.ErrNotGenuine, e.Kind, v.TEE)
	}
	root := v.Root
	if root == nil {
		root = IntelRoot()
	}
	q, err := DecodeQuote(e.Quote)
	if err != nil {
		return nil, err
	}
	// A quote of the other kind would verify as what it is.
	if q.Kind != v.TEE {
		return nil, because(ReasonTEE, "%s in evidence of %s", q.Kind, v.TEE)
	}
	a := &authority{root: root, at: v.Now()}
	p, err := q.verifySignatures(a)
	if err != nil {
		return nil, err
	}
	var known *Collateral
	if v.Known != nil {
		known = v.Known(p.platform(q))
	}
	if known != nil {
		claims, err := p.verify(*a, known, q)
		if len(e.Aux) == 0 || !outdated(err) {
			return claims, err
		}
	}
	if len(e.Aux) == 0 {
		return nil, because(ReasonNoCollateral, "neither known nor stapled for %s", p.platform(q))
	}
	stapled, err := DecodeCollateral(e.Aux)
	if err != nil {
		return nil, err
	}
	return p.verify(*a, stapled, q)
}

// outdated tells whether an error is about the dates of collateral.
func outdated(err error) bool {
	return errors.Is(err, ReasonCRLTime) || errors.Is(err, ReasonTCBInfoTime) || errors.Is(err, ReasonQEIdentityTime)
}
