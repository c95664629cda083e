// Package detect finds the platform that this process runs on.
package detect

import (
	"errors"

	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sgx"
	"github.com/offchain-worker/sdk/tee/snp"
	"github.com/offchain-worker/sdk/tee/tdx"
)

// ErrNone means that the process runs on no platform that can be attested. The
// simulated one is never found: whoever wants it opens it.
var ErrNone = errors.New("detect: no SGX, SEV-SNP or TDX here")

// Config is how each platform is opened, if it is the one.
type Config struct {
	SGX sgx.Config
	SNP snp.Config
	TDX tdx.Config
}

// Platform opens the first that is there: SGX, SEV-SNP, TDX. A platform that is
// there and fails is an error, not a reason to try the next; if there is none,
// the error wraps ErrNone and says why for each.
func Platform(c Config) (tee.Platform, error) {
	reasons := []error{ErrNone}
	for _, open := range []func() (tee.Platform, error){
		func() (tee.Platform, error) { return sgx.Open(c.SGX) },
		func() (tee.Platform, error) { return snp.Open(c.SNP) },
		func() (tee.Platform, error) { return tdx.Open(c.TDX) },
	} {
		p, err := open()
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, sgx.ErrUnavailable) && !errors.Is(err, tsm.ErrUnavailable) {
			return nil, err
		}
		reasons = append(reasons, err)
	}
	return nil, errors.Join(reasons...)
}
