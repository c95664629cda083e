package devchain

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain/pool"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func (r rpc) registerAuthor(s *rpcserver.Server) {
	s.Handle("author_submitExtrinsic", call(1, func(raw hexBytes) (any, error) {
		hash, err := r.submit(raw, nil)
		if err != nil {
			return nil, txError(err)
		}
		return hash, nil
	}))
	s.Subscribe("author_submitAndWatchExtrinsic", "author_unwatchExtrinsic", "author_extrinsicUpdate", r.submitAndWatch)
	s.Handle("author_pendingExtrinsics", call0(func() (any, error) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		return hexList(r.Chain.pool.Pending()), nil
	}))
	for _, name := range []string{"system_accountNextIndex", "account_nextIndex"} {
		s.Handle(name, call(1, func(who keyring.AccountID) (any, error) {
			r.mu.RLock()
			defer r.mu.RUnlock()
			return r.Chain.pool.NextNonce(who, r.nonce(r.blocks[len(r.blocks)-1], who)), nil
		}))
	}
	for _, name := range []string{"system_dryRun", "system_dryRunAt"} {
		s.Handle(name, call2(1, r.dryRun))
	}
	s.Handle("payment_queryInfo", call2(1, func(raw hexBytes, at *hashing.Hash) (any, error) {
		var info runtime.RuntimeDispatchInfo
		if err := r.payment("TransactionPaymentApi_query_info", raw, at, &info); err != nil {
			return nil, err
		}
		class := map[uint8]string{0: "normal", 1: "operational", 2: "mandatory"}[uint8(info.Class)]
		return map[string]any{
			"weight": map[string]uint64{"ref_time": uint64(info.Weight.RefTime), "proof_size": uint64(info.Weight.ProofSize)},
			"class":  class, "partialFee": info.PartialFee,
		}, nil
	}))
	s.Handle("payment_queryFeeDetails", call2(1, func(raw hexBytes, at *hashing.Hash) (any, error) {
		var d runtime.FeeDetails
		if err := r.payment("TransactionPaymentApi_query_fee_details", raw, at, &d); err != nil {
			return nil, err
		}
		if d.InclusionFee == nil {
			return map[string]any{"inclusionFee": nil}, nil
		}
		i := d.InclusionFee
		return map[string]any{"inclusionFee": map[string]string{
			"baseFee": hexNumber(i.BaseFee), "lenFee": hexNumber(i.LenFee), "adjustedWeightFee": hexNumber(i.AdjustedWeightFee)}}, nil
	}))
}

// A block is final as soon as it is there, but clients expect some time between
// the two: on inBlock polkadot.js fetches the block, and forgets about it when
// finalized arrives before it is done, so that a script that waits for inBlock
// would wait for ever. Hence finalized is told when the client has fetched
// something and then asked for nothing for a while, or if it does not ask at all.
const (
	finalizedQuiet  = 200 * time.Millisecond
	finalizedNoAsk  = time.Second
	finalizedLatest = 5 * time.Second // for clients that never are quiet
	finalizedLook   = 10 * time.Millisecond
)

func (r rpc) submitAndWatch(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
	var raw hexBytes
	if err := rpcserver.Params(params, 1, &raw); err != nil {
		return err
	}
	_, err := r.submit(raw, func(s pool.Status) bool {
		switch {
		case s.Kind == pool.Finalized:
			sub.Run(func(ctx context.Context) {
				whenQuiet(ctx, sub)
				sub.Notify(s)
				sub.End()
			})
			return true
		case s.Final():
			sub.Notify(s)
			sub.End()
			return false
		}
		return sub.Notify(s)
	})
	return txError(err)
}

func whenQuiet(ctx context.Context, sub *rpcserver.Subscription) {
	look := time.NewTicker(finalizedLook)
	defer look.Stop()
	for begin := time.Now(); time.Since(begin) < finalizedLatest; {
		last := sub.LastRequest()
		if asked := last.After(begin); asked && time.Since(last) >= finalizedQuiet || !asked && time.Since(begin) >= finalizedNoAsk {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// payment asks the runtime API, which takes an extrinsic and its length.
func (r rpc) payment(function string, raw []byte, at *hashing.Hash, out any) error {
	b, err := r.at(at)
	if err != nil {
		return err
	}
	answer, err := b.rt.Call(b.at(), function, scale.AppendU32(append([]byte(nil), raw...), uint32(len(raw))))
	if err != nil {
		return &rpcserver.Error{Code: codeClient, Message: "Client error: Execution failed: " + err.Error()}
	}
	return scale.Unmarshal(answer, out)
}

// dryRun returns an ApplyExtrinsicResult: what the extrinsic would do in the
// block after at.
func (r rpc) dryRun(raw hexBytes, at *hashing.Hash) (any, error) {
	b, err := r.at(at)
	if err != nil {
		return nil, err
	}
	x := b.rt.Begin(b.State, b.Number()+1, b.Hash, nil)
	for _, inherent := range r.inherents(b, [][]byte{}) {
		if _, err := x.Apply(inherent); err != nil {
			return nil, err
		}
	}
	applied, err := x.Apply(raw)
	var bad *runtime.Invalid
	switch {
	case errors.As(err, &bad):
		return hexBytes(bad.AppendSCALE([]byte{1})), nil
	case err != nil:
		return nil, txError(err)
	case applied.Err != nil:
		return hexBytes(append([]byte{0, 1}, scale.MustMarshal(b.rt.DispatchError(applied.Err))...)), nil
	}
	return hexBytes{0, 0}, nil
}
