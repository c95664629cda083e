package grandpa

import (
	"github.com/offchain-worker/sdk/substrate/header"
)

// Change is a change of the authority set that a header announces.
type Change struct {
	Next   []Authority
	Delay  header.Number // blocks after the announcing one; the last block of the old set
	Median header.Number // forced changes only: the last block finalized before, as the chain saw it
}

// ScheduledChange returns the change that h's digest announces, nil if there
// is none. A forced change takes precedence over a scheduled one.
func ScheduledChange(h *header.Header) (change *Change, forced bool, err error) {
	panic("grandpa: not written yet")
}

// DigestItem returns the digest item that announces c as a scheduled change.
func (c *Change) DigestItem() header.DigestItem { panic("grandpa: not written yet") }

// ForcedDigestItem returns the digest item that announces c as a forced change.
func (c *Change) ForcedDigestItem() header.DigestItem { panic("grandpa: not written yet") }
