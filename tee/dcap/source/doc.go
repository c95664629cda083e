// Package source gets the collateral that quotes of SGX and TDX are verified
// with: from a PCCS or Intel's service ([PCCS]), and keeps what was verified in
// memory and, if wanted, in a folder ([Store]).
//
// Nothing here is fetched unless a PCCS is configured and [Store.Fetch] is
// called. Who serves collateral is not trusted: what does not verify is not kept,
// and newer collateral is not given up for older.
package source

import (
	"context"

	"github.com/offchain-worker/sdk/tee/dcap"
)

// Source gets collateral for a platform. What it returns is not verified.
type Source interface {
	Collateral(ctx context.Context, p dcap.Platform) (*dcap.Collateral, error)
}
