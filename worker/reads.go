package worker

import (
	"context"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/archive"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
)

// readsPerProof is how many keys of calls are asked for at once: nodes refuse
// to make replies of more than some 10 MiB, and who sends a call may choose keys
// with long values.
const readsPerProof = 32

// proveReads returns the block with what its calls read of the parentchain, and
// the proofs of that.
func (f *follower) proveReads(ctx context.Context, p *enclave.Prepared, vb *lightclient.VerifiedBlock) (_ *lightclient.VerifiedBlock, reads []archive.Read, err error) {
	for keys := range slices.Chunk(p.Keys(), readsPerProof) {
		proof, err := f.w.blocks.Load().readProof(ctx, keys, vb.Number(), vb.Hash())
		if err != nil {
			return nil, nil, fmt.Errorf("storage that its calls read: %w", err)
		}
		if vb, err = vb.WithStorage(proof, keys...); err != nil {
			return nil, nil, fmt.Errorf("storage that its calls read: %w", err)
		}
		reads = append(reads, archive.Read{Keys: keys, Proof: proof})
	}
	return vb, reads, nil
}
