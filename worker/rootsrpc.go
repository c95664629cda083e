package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/header"
)

// codeRefused is the error of a request that this worker does not answer; its
// message says why.
const codeRefused = -32000

// codedError is an error that has a code of its own.
type codedError struct {
	err  error
	code int
}

// handle serves a method whose errors are told to who asks: with the code of own,
// or else codeRefused. What it may return is in builtIn.
func handle(s *rpcserver.Server, method string, f func(ctx context.Context, raw json.RawMessage) (any, error), own ...codedError) {
	s.Handle(method, func(ctx context.Context, raw json.RawMessage) (any, error) {
		v, err := f(ctx, raw)
		if err == nil {
			return v, nil
		}
		refused := &rpcserver.Error{Code: codeRefused, Message: err.Error()}
		for _, r := range own {
			if errors.Is(err, r.err) {
				refused.Code = r.code
			}
		}
		return nil, refused
	})
}

// registerShieldingKey serves ocw_getShieldingKey: what author_getShieldingKey
// answers, signed by this worker's account.
func (w *Worker) registerShieldingKey(s *rpcserver.Server) {
	handle(s, "ocw_getShieldingKey", func(context.Context, json.RawMessage) (any, error) {
		now, genesis := w.shownKeys(), w.genesis.Load()
		view, err := w.view()
		if err != nil || now == nil || genesis == nil {
			return nil, w.notReady()
		}
		keys, err := w.publicKeys()
		if err != nil {
			return nil, err
		}
		public, err := keys.Shielding()
		if err != nil {
			return nil, err
		}
		k := roots.ShieldingKey{Genesis: *genesis, Shard: w.shard, Number: view.Number(), HybridKeys: keys.HybridKeys}
		k.N, k.E = public.Parts()
		k.Sign(w.account)
		return k, nil
	})
}

// registerRoots serves ocw_getRoots: the roots after a block, by number, or
// after the last one, signed by this worker's account. They disclose nothing,
// so anybody may ask.
func (w *Worker) registerRoots(s *rpcserver.Server) {
	handle(s, "ocw_getRoots", func(_ context.Context, raw json.RawMessage) (any, error) {
		var params []*header.Number
		if len(raw) > 0 && json.Unmarshal(raw, &params) != nil || len(params) > 1 {
			return nil, errors.New("want [block number], or nothing for the last block")
		}
		view, err := w.executed()
		if err != nil {
			return nil, err
		}
		n := view.Number()
		if len(params) > 0 && params[0] != nil {
			n = *params[0]
		}
		r, ok := view.Roots(n)
		if !ok {
			return nil, fmt.Errorf("the roots of block %d are not kept: those of blocks %d to %d are", n, view.OldestRoots(), view.Number())
		}
		return roots.Sign(r, w.account), nil
	})
}
