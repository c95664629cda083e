package devchain

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/substrate/trie"
)

const (
	maxPage        = 1000 // keys of one state_getKeysPaged, as in Substrate
	maxStorageKeys = 4096 // keys of one request
)

func (r rpc) registerState(s *rpcserver.Server) {
	alias := func(h rpcserver.Handler, names ...string) {
		for _, n := range names {
			s.Handle(n, h)
		}
	}
	alias(call2(1, func(key hexBytes, at *hashing.Hash) (any, error) {
		b, err := r.at(at)
		if err != nil {
			return nil, err
		}
		return lookupHex(b.State, key), nil
	}), "state_getStorage", "state_getStorageAt")
	alias(call2(1, func(key hexBytes, at *hashing.Hash) (any, error) {
		b, err := r.at(at)
		if err != nil {
			return nil, err
		}
		if v, ok := b.State.Get(key); ok {
			return hashing.Blake2b256(v), nil
		}
		return nil, nil
	}), "state_getStorageHash", "state_getStorageHashAt")
	alias(call2(1, func(key hexBytes, at *hashing.Hash) (any, error) {
		b, err := r.at(at)
		if err != nil {
			return nil, err
		}
		if v, ok := b.State.Get(key); ok {
			return len(v), nil
		}
		return nil, nil
	}), "state_getStorageSize", "state_getStorageSizeAt")
	alias(call4(2, r.keysPaged), "state_getKeysPaged", "state_getKeysPagedAt")
	s.Handle("state_queryStorageAt", call2(1, func(keys []hexBytes, at *hashing.Hash) (any, error) {
		b, err := r.at(at)
		if err == nil {
			err = checkKeys(keys)
		}
		if err != nil {
			return nil, err
		}
		return []changeSet{changes(b, nil, keys)}, nil
	}))
	s.Handle("state_getReadProof", call2(1, func(keys []hexBytes, at *hashing.Hash) (any, error) {
		b, err := r.at(at)
		if err == nil {
			err = checkKeys(keys)
		}
		if err != nil {
			return nil, err
		}
		raw := make([][]byte, len(keys))
		for i, k := range keys {
			raw[i] = k
		}
		return map[string]any{"at": b.Hash, "proof": hexList(b.State.Prove(stateVersion, raw...))}, nil
	}))
	alias(call3(2, r.call), "state_call", "state_callAt")
	s.Handle("state_getMetadata", call(0, func(at *hashing.Hash) (any, error) {
		// As in Substrate it is that of the code in the state, which after an
		// upgrade is not the code that made the block.
		b, err := r.at(at)
		if err != nil {
			return nil, err
		}
		return hexBytes(b.rt.MetadataBytes(14)), nil
	}))
	alias(call(0, func(at *hashing.Hash) (any, error) {
		b, err := r.at(at)
		if err != nil {
			return nil, err
		}
		return versionJSON(b.rt.Version), nil
	}), "state_getRuntimeVersion", "chain_getRuntimeVersion")

	for _, n := range [][2]string{{"state_subscribeRuntimeVersion", "state_unsubscribeRuntimeVersion"}, {"chain_subscribeRuntimeVersion", "chain_unsubscribeRuntimeVersion"}} {
		s.Subscribe(n[0], n[1], "state_runtimeVersion", func(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
			if err := rpcserver.Params(params, 0); err != nil {
				return err
			}
			var told *runtime.Runtime
			r.followBest(sub, func(b *Block) bool {
				if b.rt == told {
					return true
				}
				told = b.rt
				return sub.Notify(versionJSON(b.rt.Version))
			})
			return nil
		})
	}
	s.Subscribe("state_subscribeStorage", "state_unsubscribeStorage", "state_storage", r.subscribeStorage)
}

func checkKeys(keys []hexBytes) error {
	if len(keys) > maxStorageKeys {
		return rpcserver.InvalidParams("%d keys, at most %d", len(keys), maxStorageKeys)
	}
	return nil
}

// lookupHex returns a value for JSON: nil is null.
func lookupHex(t trie.Trie, key []byte) any {
	if v, ok := t.Get(key); ok {
		return hexBytes(v)
	}
	return nil
}

// below yields all keys with a prefix, in order.
func (b *Block) below(prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		k, ok := prefix, true
		if _, exact := b.State.Get(prefix); !exact {
			k, ok = b.State.Next(prefix)
		}
		for ; ok && bytes.HasPrefix(k, prefix); k, ok = b.State.Next(k) {
			v, _ := b.State.Get(k)
			if !yield(k, v) {
				return
			}
		}
	}
}

func (r rpc) keysPaged(prefix *hexBytes, count uint32, start *hexBytes, at *hashing.Hash) (any, error) {
	b, err := r.at(at)
	if err != nil {
		return nil, err
	}
	if count > maxPage {
		return nil, &rpcserver.Error{Code: codeInvalidCount, Message: "count exceeds maximum value. value: " + text(count) + ", max: " + text(maxPage)}
	}
	var p, from []byte
	if prefix != nil {
		p = *prefix
	}
	out := []hexBytes{}
	key, more := p, false
	if start != nil && bytes.Compare(*start, p) >= 0 {
		from = *start
		key, more = b.State.Next(from)
	} else if _, more = b.State.Get(p); !more {
		key, more = b.State.Next(p)
	}
	for ; more && len(out) < int(count) && bytes.HasPrefix(key, p); key, more = b.State.Next(key) {
		out = append(out, key)
	}
	return out, nil
}

func (r rpc) call(function string, data hexBytes, at *hashing.Hash) (any, error) {
	b, err := r.at(at)
	if err != nil {
		return nil, err
	}
	out, err := b.rt.Call(b.at(), function, data)
	if err != nil {
		if errors.Is(err, runtime.ErrNoSuchFunction) {
			return nil, &rpcserver.Error{Code: codeClient, Message: "Client error: Execution failed: Other: Exported method " + function + " is not found"}
		}
		return nil, &rpcserver.Error{Code: codeClient, Message: "Client error: Execution failed: " + err.Error()}
	}
	return hexBytes(out), nil
}

type changeSet struct {
	Block   hashing.Hash `json:"block"`
	Changes [][2]any     `json:"changes"` // key and value, null if absent
}

// changes lists the keys whose values differ from those in before; all keys
// if before is nil.
func changes(b, before *Block, keys []hexBytes) changeSet {
	set := changeSet{Block: b.Hash, Changes: [][2]any{}}
	for _, k := range keys {
		v, ok := b.State.Get(k)
		if before != nil {
			old, had := before.State.Get(k)
			if ok == had && bytes.Equal(v, old) {
				continue
			}
		}
		set.Changes = append(set.Changes, [2]any{k, lookupHex(b.State, k)})
	}
	return set
}

// subscribeStorage sends all values at once, then what changes.
func (r rpc) subscribeStorage(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
	var keys []hexBytes
	if err := rpcserver.Params(params, 1, &keys); err != nil {
		return err
	}
	if err := checkKeys(keys); err != nil {
		return err
	}
	var before *Block
	r.followBest(sub, func(b *Block) bool {
		if b.pruned.state { // the client has not read for long; later blocks tell
			return true
		}
		set := changes(b, before, keys)
		first := before == nil
		before = b
		return len(set.Changes) == 0 && !first || sub.Notify(set)
	})
	return nil
}

type runtimeVersionJSON struct {
	SpecName           string   `json:"specName"`
	ImplName           string   `json:"implName"`
	AuthoringVersion   uint32   `json:"authoringVersion"`
	SpecVersion        uint32   `json:"specVersion"`
	ImplVersion        uint32   `json:"implVersion"`
	APIs               [][2]any `json:"apis"`
	TransactionVersion uint32   `json:"transactionVersion"`
	SystemVersion      uint8    `json:"systemVersion"`
	StateVersion       uint8    `json:"stateVersion"`
}

func versionJSON(v system.RuntimeVersion) runtimeVersionJSON {
	j := runtimeVersionJSON{v.SpecName, v.ImplName, v.AuthoringVersion, v.SpecVersion, v.ImplVersion, [][2]any{}, v.TransactionVersion, v.SystemVersion, v.SystemVersion}
	for _, a := range v.APIs {
		j.APIs = append(j.APIs, [2]any{"0x" + hex.EncodeToString(a.ID[:]), a.Version})
	}
	return j
}
