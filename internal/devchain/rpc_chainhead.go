package devchain

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/crypto/blake2b"

	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/system"
)

// The functions chainHead_v1 of the new JSON-RPC API
// (paritytech/json-rpc-interface-spec). A pinned block keeps its state, and every operation is done by the time that its reply
// goes out; its events follow at once.

// Error codes of chainHead_v1.
const (
	codeNotPinned      = -32801
	codeWithoutRuntime = -32802
	codeDuplicate      = -32804
)

const (
	initialBlocks  = 8    // that a new follower is told of
	maxPinned      = 4096 // blocks; a follower that unpins none is stopped
	itemsPerEvent  = 1000
	maxStorageItem = 1000 // queries of one chainHead_v1_storage
)

func (r rpc) registerChainHead(s *rpcserver.Server) {
	s.Subscribe("chainHead_v1_follow", "", "chainHead_v1_followEvent", r.chainHeadFollow)
	s.Handle("chainHead_v1_unfollow", func(ctx context.Context, params json.RawMessage) (any, error) {
		var id string
		if err := rpcserver.Params(params, 1, &id); err != nil {
			return nil, err
		}
		if sub, f := findFollower(ctx, id); f != nil {
			sub.End()
		}
		return nil, nil
	})
	s.Handle("chainHead_v1_header", func(ctx context.Context, params json.RawMessage) (any, error) {
		var id string
		var hash hashing.Hash
		if err := rpcserver.Params(params, 2, &id, &hash); err != nil {
			return nil, err
		}
		_, f := findFollower(ctx, id)
		if f == nil {
			return nil, nil
		}
		b, err := r.pinned(f, hash)
		if err != nil {
			return nil, err
		}
		return hexBytes(b.Header.AppendSCALE(nil)), nil
	})
	s.Handle("chainHead_v1_unpin", func(ctx context.Context, params json.RawMessage) (any, error) {
		var id string
		var arg json.RawMessage
		if err := rpcserver.Params(params, 2, &id, &arg); err != nil {
			return nil, err
		}
		var hashes []hashing.Hash
		if len(arg) > 0 && arg[0] == '"' {
			hashes = make([]hashing.Hash, 1)
			if json.Unmarshal(arg, &hashes[0]) != nil {
				return nil, rpcserver.InvalidParams("want a hash")
			}
		} else if json.Unmarshal(arg, &hashes) != nil {
			return nil, rpcserver.InvalidParams("want a hash or hashes")
		}
		if _, f := findFollower(ctx, id); f != nil {
			return nil, f.unpin(hashes)
		}
		return nil, nil
	})
	s.Handle("chainHead_v1_body", func(ctx context.Context, params json.RawMessage) (any, error) {
		var id string
		var hash hashing.Hash
		if err := rpcserver.Params(params, 2, &id, &hash); err != nil {
			return nil, err
		}
		return r.operation(ctx, id, hash, false, func(b *Block, op string, notify func(any)) {
			notify(map[string]any{"event": "operationBodyDone", "operationId": op, "value": hexList(b.Extrinsics)})
		})
	})
	s.Handle("chainHead_v1_call", func(ctx context.Context, params json.RawMessage) (any, error) {
		var id, function string
		var hash hashing.Hash
		var args hexBytes
		if err := rpcserver.Params(params, 4, &id, &hash, &function, &args); err != nil {
			return nil, err
		}
		return r.operation(ctx, id, hash, true, func(b *Block, op string, notify func(any)) {
			out, err := b.rt.Call(b.at(), function, args)
			if err != nil {
				notify(map[string]any{"event": "operationError", "operationId": op, "error": err.Error()})
				return
			}
			notify(map[string]any{"event": "operationCallDone", "operationId": op, "output": hexBytes(out)})
		})
	})
	s.Handle("chainHead_v1_storage", func(ctx context.Context, params json.RawMessage) (any, error) {
		var id string
		var hash hashing.Hash
		var queries []storageQuery
		var childTrie *hexBytes
		if err := rpcserver.Params(params, 3, &id, &hash, &queries, &childTrie); err != nil {
			return nil, err
		}
		discarded := max(0, len(queries)-maxStorageItem)
		queries = queries[:len(queries)-discarded]
		for _, q := range queries {
			if !slices.Contains(storageQueryTypes, q.Type) {
				return nil, rpcserver.InvalidParams("no storage query of type %q", q.Type)
			}
		}
		answer, err := r.operation(ctx, id, hash, false, func(b *Block, op string, notify func(any)) {
			if childTrie == nil { // there are no child tries
				for page := range slices.Chunk(b.storageItems(queries), itemsPerEvent) {
					notify(map[string]any{"event": "operationStorageItems", "operationId": op, "items": page})
				}
			}
			notify(map[string]any{"event": "operationStorageDone", "operationId": op})
		})
		if m, ok := answer.(map[string]any); ok && m["result"] == "started" {
			m["discardedItems"] = discarded
		}
		return answer, err
	})
	// Operations are done when a client can name them.
	for _, name := range []string{"chainHead_v1_continue", "chainHead_v1_stopOperation"} {
		s.Handle(name, call2(2, func(_, _ string) (any, error) { return nil, nil }))
	}
}

// follower is the state of a chainHead_v1_follow subscription.
type follower struct {
	withRuntime bool

	mu         sync.Mutex              // guards what follows
	pins       map[hashing.Hash]*Block // which keeps their states
	operations int
}

func findFollower(ctx context.Context, id string) (*rpcserver.Subscription, *follower) {
	sub := rpcserver.Find(ctx, id)
	if sub == nil {
		return nil, nil
	}
	f, _ := sub.State().(*follower)
	return sub, f
}

// pin returns false if there are too many.
func (f *follower) pin(b *Block) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pins[b.Hash] = b
	return len(f.pins) <= maxPinned
}

func (f *follower) unpin(hashes []hashing.Hash) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[hashing.Hash]bool{}
	for _, h := range hashes {
		if seen[h] {
			return &rpcserver.Error{Code: codeDuplicate, Message: "Duplicate hashes"}
		}
		if f.pins[h] == nil {
			return errNotPinned
		}
		seen[h] = true
	}
	for h := range seen {
		delete(f.pins, h)
	}
	return nil
}

var errNotPinned = &rpcserver.Error{Code: codeNotPinned, Message: "Block hash is not pinned"}

func (rpc) pinned(f *follower, h hashing.Hash) (*Block, error) {
	f.mu.Lock()
	b := f.pins[h]
	f.mu.Unlock()
	if b == nil {
		return nil, errNotPinned
	}
	return b, nil
}

// operation runs one and returns the reply, which goes out before its events.
func (r rpc) operation(ctx context.Context, id string, hash hashing.Hash, needsRuntime bool, run func(b *Block, op string, notify func(any))) (any, error) {
	sub, f := findFollower(ctx, id)
	if f == nil {
		return map[string]any{"result": "limitReached"}, nil
	}
	b, err := r.pinned(f, hash)
	if err != nil {
		return nil, err
	}
	if needsRuntime && !f.withRuntime {
		return nil, &rpcserver.Error{Code: codeWithoutRuntime, Message: "The subscription was made without runtime"}
	}
	f.mu.Lock()
	op := strconv.Itoa(f.operations)
	f.operations++
	f.mu.Unlock()
	var events []any
	run(b, op, func(e any) { events = append(events, e) })
	rpcserver.AfterReply(ctx, func() {
		for _, e := range events {
			sub.Notify(e)
		}
	})
	return map[string]any{"result": "started", "operationId": op}, nil
}

func (r rpc) chainHeadFollow(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
	f := &follower{pins: map[hashing.Hash]*Block{}}
	if err := rpcserver.Params(params, 1, &f.withRuntime); err != nil {
		return err
	}
	sub.SetState(f)
	best, final, changed := r.heads()
	var hashes []hashing.Hash
	for n := final.Number() - min(final.Number(), initialBlocks-1); n <= final.Number(); n++ {
		b := r.Block(n)
		if b.pruned.state || b.pruned.body {
			continue
		}
		hashes = append(hashes, b.Hash)
		f.pin(b)
	}
	initialized := map[string]any{"event": "initialized", "finalizedBlockHashes": hashes}
	if f.withRuntime {
		initialized["finalizedBlockRuntime"] = runtimeJSON(final)
	}
	sub.Notify(initialized)
	told := chainHeadState{rpc: r, sub: sub, f: f, best: final, final: final.Number(), fresh: map[hashing.Hash]*Block{}}
	if best.Hash == final.Hash {
		sub.Notify(map[string]any{"event": "bestBlockChanged", "bestBlockHash": best.Hash})
	} else {
		told.advance(best, final)
	}
	sub.Run(func(ctx context.Context) {
		for r.wait(ctx, changed) == nil {
			best, final, changed = r.heads()
			if !told.advance(best, final) {
				return
			}
		}
	})
	return nil
}

// chainHeadState is what a follower was told. One goroutine uses it.
type chainHeadState struct {
	rpc
	sub   *rpcserver.Subscription
	f     *follower
	best  *Block
	final header.Number
	fresh map[hashing.Hash]*Block // blocks that are neither final nor pruned
}

// advance tells what has changed, and returns false if the subscription has
// ended.
func (s *chainHeadState) advance(best, final *Block) bool {
	path := s.path(s.best, best)
	extends := len(path) > 0 && path[0].Header.ParentHash == s.best.Hash
	for i, b := range path {
		if s.fresh[b.Hash] == nil && !s.newBlock(b) {
			return false
		}
		// As if each had been told at once; but a fork becomes the best chain
		// with its last block.
		if !extends && i < len(path)-1 {
			continue
		}
		if !s.sub.Notify(map[string]any{"event": "bestBlockChanged", "bestBlockHash": b.Hash}) || !s.finalize(min(b.Number(), final.Number())) {
			return false
		}
	}
	s.best = best
	return s.finalize(final.Number())
}

func (s *chainHeadState) newBlock(b *Block) bool {
	s.fresh[b.Hash] = b
	if !s.f.pin(b) {
		s.sub.Notify(map[string]any{"event": "stop"})
		s.sub.End()
		return false
	}
	event := map[string]any{"event": "newBlock", "blockHash": b.Hash, "parentBlockHash": b.Header.ParentHash}
	if s.f.withRuntime {
		event["newRuntime"] = nil
		if parent := s.BlockByHash(b.Header.ParentHash); parent.rt != b.rt {
			event["newRuntime"] = runtimeJSON(b)
		}
	}
	return s.sub.Notify(event)
}

// finalize tells that the blocks up to a number are final, and which others
// never will be.
func (s *chainHeadState) finalize(n header.Number) bool {
	if n <= s.final {
		return true
	}
	hashes, pruned := []hashing.Hash{}, []hashing.Hash{}
	for s.final < n {
		s.final++
		h := s.Block(s.final).Hash
		hashes = append(hashes, h)
		delete(s.fresh, h)
	}
	last := s.Block(n)
	for h, b := range s.fresh {
		if !s.descends(b, last) {
			pruned = append(pruned, h)
			delete(s.fresh, h)
		}
	}
	slices.SortFunc(pruned, func(a, b hashing.Hash) int { return slices.Compare(a[:], b[:]) })
	return s.sub.Notify(map[string]any{"event": "finalized", "finalizedBlockHashes": hashes, "prunedBlockHashes": pruned})
}

func runtimeJSON(b *Block) map[string]any {
	return map[string]any{"type": "valid", "spec": specJSON(b.rt.Version)}
}

// specJSON is the form of the new API: an object where the old one has a list.
func specJSON(v system.RuntimeVersion) map[string]any {
	apis := map[string]uint32{}
	for _, a := range v.APIs {
		apis["0x"+hex.EncodeToString(a.ID[:])] = a.Version
	}
	return map[string]any{"specName": v.SpecName, "implName": v.ImplName, "specVersion": v.SpecVersion, "implVersion": v.ImplVersion,
		"transactionVersion": v.TransactionVersion, "apis": apis}
}

var storageQueryTypes = []string{"value", "hash", "closestDescendantMerkleValue", "descendantsValues", "descendantsHashes"}

type storageQuery struct {
	Key                hexBytes  `json:"key"`
	Type               string    `json:"type"`
	PaginationStartKey *hexBytes `json:"paginationStartKey"`
}

// storageItems answers the queries of chainHead_v1_storage and archive_v1_storage.
func (b *Block) storageItems(queries []storageQuery) []map[string]any {
	out := []map[string]any{}
	for _, q := range queries {
		item := func(key []byte, field string, value any) {
			out = append(out, map[string]any{"key": hexBytes(key), field: value})
		}
		v, ok := b.State.Get(q.Key)
		switch q.Type {
		case "value":
			if ok {
				item(q.Key, "value", hexBytes(v))
			}
		case "hash":
			if ok {
				item(q.Key, "hash", hashing.Blake2b256(v))
			}
		case "descendantsValues", "descendantsHashes":
			for k, v := range b.below(q.Key) {
				if q.PaginationStartKey != nil && slices.Compare(k, *q.PaginationStartKey) <= 0 {
					continue
				}
				if q.Type == "descendantsValues" {
					item(k, "value", hexBytes(v))
				} else {
					item(k, "hash", hashing.Blake2b256(v))
				}
			}
		case "closestDescendantMerkleValue":
			// Clients compare it and nothing else, so that a hash over what is
			// below serves as well as the trie's.
			h, _ := blake2b.New256(nil) // fails for a key only
			empty := true
			for k, v := range b.below(q.Key) {
				empty = false
				kh, vh := hashing.Blake2b256(k), hashing.Blake2b256(v)
				h.Write(kh[:])
				h.Write(vh[:])
			}
			if !empty {
				item(q.Key, "closestDescendantMerkleValue", hexBytes(h.Sum(nil)))
			}
		}
	}
	return out
}

func (r rpc) registerNew(s *rpcserver.Server) {
	r.registerChainHead(s)
	s.Handle("chainSpec_v1_chainName", call0(func() (any, error) { return r.name(), nil }))
	s.Handle("chainSpec_v1_genesisHash", call0(func() (any, error) { return r.Genesis(), nil }))
	s.Handle("chainSpec_v1_properties", call0(func() (any, error) { return properties, nil }))
	r.registerTransaction(s)
	r.registerArchive(s)
}

// headerNumber bounds a number parameter to block numbers.
func (p numberParam) headerNumber() (header.Number, bool) { return p.n, !p.huge && !p.empty }
