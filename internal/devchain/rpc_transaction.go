package devchain

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/offchain-worker/sdk/internal/devchain/pool"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// The functions transaction_v1, transactionWatch_v1 and archive_v1 of the new
// JSON-RPC API.

func (r rpc) registerTransaction(s *rpcserver.Server) {
	var broadcasts atomic.Uint64
	s.Handle("transaction_v1_broadcast", call(1, func(raw hexBytes) (any, error) {
		// The client watches blocks for the outcome, and is told none here, not
		// even that the extrinsic is invalid.
		_, _ = r.Submit(raw)
		return strconv.FormatUint(broadcasts.Add(1), 10), nil
	}))
	// What is in the pool cannot be taken back.
	s.Handle("transaction_v1_stop", call(1, func(string) (any, error) { return nil, nil }))
	s.Subscribe("transactionWatch_v1_submitAndWatch", "transactionWatch_v1_unwatch", "transactionWatch_v1_watchEvent", r.transactionWatch)
}

func (r rpc) transactionWatch(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
	var raw hexBytes
	if err := rpcserver.Params(params, 1, &raw); err != nil {
		return err
	}
	last := func(event map[string]any) bool {
		sub.Notify(event)
		sub.End()
		return false
	}
	_, err := r.submit(raw, func(s pool.Status) bool {
		switch s.Kind {
		case pool.Ready:
			return sub.Notify(map[string]any{"event": "validated"})
		case pool.InBlock:
			return sub.Notify(map[string]any{"event": "bestChainBlockIncluded", "block": r.place(s.Hash, raw)})
		case pool.Retracted:
			return sub.Notify(map[string]any{"event": "bestChainBlockIncluded", "block": nil})
		case pool.Finalized:
			return last(map[string]any{"event": "finalized", "block": r.place(s.Hash, raw)})
		case pool.Usurped, pool.Invalid:
			return last(map[string]any{"event": "invalid", "error": s.Kind.String()})
		}
		return true
	})
	// Errors of the extrinsic are events.
	var bad *runtime.Invalid
	switch {
	case errors.As(err, &bad), errors.Is(err, runtime.ErrUndecodable):
		last(map[string]any{"event": "invalid", "error": err.Error()})
	case errors.Is(err, pool.ErrFull), errors.Is(err, pool.ErrKnown), errors.Is(err, pool.ErrPriority):
		last(map[string]any{"event": "dropped", "error": err.Error()})
	default:
		return err
	}
	return nil
}

// place says where in a block an extrinsic is. The lock is held.
func (r rpc) place(block hashing.Hash, raw []byte) map[string]any {
	b := r.byHash[block]
	index := slices.IndexFunc(b.Extrinsics, func(x []byte) bool { return string(x) == string(raw) })
	return map[string]any{"hash": block, "index": index}
}

func (r rpc) registerArchive(s *rpcserver.Server) {
	s.Handle("archive_v1_genesisHash", call0(func() (any, error) { return r.Genesis(), nil }))
	s.Handle("archive_v1_finalizedHeight", call0(func() (any, error) { return r.Final().Number(), nil }))
	s.Handle("archive_v1_hashByHeight", call(1, func(p numberParam) (any, error) {
		out := []hashing.Hash{}
		if n, ok := p.headerNumber(); ok {
			if b := r.Block(n); b != nil {
				out = append(out, b.Hash)
			}
		}
		return out, nil
	}))
	s.Handle("archive_v1_header", call(1, func(h hashing.Hash) (any, error) {
		if b := r.BlockByHash(h); b != nil {
			return hexBytes(b.Header.AppendSCALE(nil)), nil
		}
		return nil, nil
	}))
	s.Handle("archive_v1_body", call(1, func(h hashing.Hash) (any, error) {
		if b := r.BlockByHash(h); b != nil && !b.pruned.body {
			return hexList(b.Extrinsics), nil
		}
		return nil, nil
	}))
	s.Handle("archive_v1_call", call3(3, func(h hashing.Hash, function string, args hexBytes) (any, error) {
		b := r.BlockByHash(h)
		if b == nil {
			return nil, nil
		}
		if b.pruned.state {
			return map[string]any{"success": false, "error": errDiscarded(b).Error()}, nil
		}
		out, err := b.rt.Call(b.at(), function, args)
		if err != nil {
			return map[string]any{"success": false, "error": err.Error()}, nil
		}
		return map[string]any{"success": true, "value": hexBytes(out)}, nil
	}))
	s.Subscribe("archive_v1_storage", "archive_v1_stopStorage", "archive_v1_storageEvent", r.archiveStorage)
}

func (r rpc) archiveStorage(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
	var hash hashing.Hash
	var queries []storageQuery
	var childTrie *hexBytes
	if err := rpcserver.Params(params, 2, &hash, &queries, &childTrie); err != nil {
		return err
	}
	if len(queries) > maxStorageItem {
		return rpcserver.InvalidParams("%d queries, at most %d", len(queries), maxStorageItem)
	}
	for _, q := range queries {
		if !slices.Contains(storageQueryTypes, q.Type) {
			return rpcserver.InvalidParams("no storage query of type %q", q.Type)
		}
	}
	b := r.BlockByHash(hash)
	problem := ""
	switch {
	case b == nil:
		problem = "Block not found"
	case b.pruned.state:
		problem = errDiscarded(b).Error()
	}
	if problem != "" {
		sub.Notify(map[string]any{"event": "storageError", "error": problem})
		sub.End()
		return nil
	}
	sub.Run(func(context.Context) {
		if childTrie == nil {
			for _, item := range b.storageItems(queries) {
				item["event"] = "storage"
				if !sub.Notify(item) {
					return
				}
			}
		}
		sub.Notify(map[string]any{"event": "storageDone"})
		sub.End()
	})
	return nil
}
