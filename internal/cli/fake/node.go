// Package fake has servers for tests of the client: a parentchain node whose
// blocks, forks and finality a test decides, and a worker whose answers a test
// decides. Both serve real JSON-RPC on real sockets. They verify nothing.
//
// Start with [NewNode] and [NewWorker]. What a test needs a real chain for, it
// takes from package devchain.
package fake

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Hash is a block hash.
type Hash = hashing.Hash

// Event is an event to be put into a block.
type Event struct {
	Extrinsic int // position of the extrinsic that deposits it
	Name      string
	Fields    any // struct of the event's fields
}

type block struct {
	header     header.Header
	extrinsics [][]byte
	events     []byte
}

// Node is a parentchain node that does what the test says.
type Node struct {
	URL  string
	Meta *metadata.Metadata

	t      testing.TB
	server *httptest.Server
	rpc    *service

	mu          sync.Mutex // guards what follows
	blocks      map[Hash]*block
	genesis     Hash
	best, final Hash
	storage     map[string][]byte // by key, in every block
	nonces      map[keyring.AccountID]uint32
	submit      SubmitFunc
	watchers    map[Hash][]*rpcserver.Subscription // by extrinsic
	heads       map[string][]*rpcserver.Subscription
	submitted   chan []byte
}

// NewNode serves a chain that has a genesis block only.
func NewNode(t testing.TB) *Node {
	t.Helper()
	meta, err := runtimeMetadata()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := meta.Encode(14)
	if err != nil {
		t.Fatal(err)
	}
	// What clients get is what encoding keeps.
	if meta, err = metadata.Decode(encoded); err != nil {
		t.Fatal(err)
	}
	n := &Node{t: t, Meta: meta, blocks: map[Hash]*block{}, storage: map[string][]byte{}, nonces: map[keyring.AccountID]uint32{},
		watchers: map[Hash][]*rpcserver.Subscription{}, heads: map[string][]*rpcserver.Subscription{}, submitted: make(chan []byte, 64)}
	genesis := &block{header: header.Header{StateRoot: Hash{1}}, events: []byte{0}}
	n.genesis = genesis.header.Hash()
	n.blocks[n.genesis] = genesis
	n.best, n.final = n.genesis, n.genesis
	n.rpc = newService(func(rpc *rpcserver.Server) { n.register(rpc, encoded) })
	n.server = httptest.NewServer(n.rpc)
	n.URL = "ws" + strings.TrimPrefix(n.server.URL, "http")
	t.Cleanup(n.Close)
	return n
}

// Close ends the server.
func (n *Node) Close() {
	n.rpc.close()
	n.server.Close()
}

// Genesis returns the hash of block 0.
func (n *Node) Genesis() Hash { return n.genesis }

// Submitted receives each extrinsic that the pool has taken.
func (n *Node) Submitted() <-chan []byte { return n.submitted }

// SubmitFunc decides about an extrinsic: nil takes it. ctx ends with the
// connection that brought it.
type SubmitFunc func(ctx context.Context, raw []byte) *rpcserver.Error

// OnSubmit lets f refuse extrinsics; nil takes them all.
func (n *Node) OnSubmit(f SubmitFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.submit = f
}

// Nonce sets an account's next nonce.
func (n *Node) Nonce(who keyring.AccountID, nonce uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nonces[who] = nonce
}

// Store sets a map entry in the state of every block.
func (n *Node) Store(pallet, item string, key, value any) {
	entry, ok := n.Meta.StorageEntry(pallet, item)
	if !ok {
		n.t.Fatalf("fake: no storage %s.%s", pallet, item)
	}
	k, err := entry.Key(scale.MustMarshal(key))
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.storage[string(k)] = scale.MustMarshal(value)
}

// Block adds a block without announcing it. Every extrinsic succeeds, unless
// there is an ExtrinsicFailed event for it.
func (n *Node) Block(parent Hash, extrinsics [][]byte, events ...Event) Hash {
	failed := map[int]bool{}
	for _, e := range events {
		failed[e.Extrinsic] = failed[e.Extrinsic] || e.Name == "System.ExtrinsicFailed"
	}
	for i := range extrinsics {
		if !failed[i] {
			events = append(events, Event{Extrinsic: i, Name: "System.ExtrinsicSuccess", Fields: succeeded{}})
		}
	}
	raw := scale.AppendCompact(nil, uint64(len(events)))
	for _, e := range events {
		pallet, name, _ := strings.Cut(e.Name, ".")
		index, ok := n.Meta.EventIndex(pallet, name)
		if !ok {
			n.t.Fatalf("fake: no event %s", e.Name)
		}
		raw = scale.AppendU32(append(raw, metadata.ApplyExtrinsic), uint32(e.Extrinsic))
		raw = append(append(raw, index[:]...), scale.MustMarshal(e.Fields)...)
		raw = append(raw, 0) // no topics
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	above, ok := n.blocks[parent]
	if !ok {
		n.t.Fatalf("fake: no block %v", parent)
	}
	b := &block{extrinsics: extrinsics, events: raw}
	b.header = header.Header{ParentHash: parent, Number: above.header.Number + 1, StateRoot: hashing.Blake2b256(raw),
		ExtrinsicsRoot: hashing.Blake2b256(slices.Concat(extrinsics...))}
	hash := b.header.Hash()
	n.blocks[hash] = b
	return hash
}

// Best makes a block the best one and tells subscribers, also those who watch
// an extrinsic in it.
func (n *Node) Best(hash Hash) { n.announce(hash, false) }

// Finalize makes a block best and final.
func (n *Node) Finalize(hash Hash) {
	n.announce(hash, false)
	n.announce(hash, true)
}

func (n *Node) announce(hash Hash, final bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.blocks[hash]
	kind, status := "new", "inBlock"
	n.best = hash
	if final {
		kind, status, n.final = "finalized", "finalized", hash
	}
	for _, sub := range n.heads[kind] {
		sub.Notify(b.header)
	}
	for _, raw := range b.extrinsics {
		for _, sub := range n.watchers[extrinsic.Hash(raw)] {
			sub.Notify(map[string]Hash{status: hash})
		}
	}
}

// Status tells those who watch an extrinsic a status without a block.
func (n *Node) Status(raw []byte, status string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, sub := range n.watchers[extrinsic.Hash(raw)] {
		sub.Notify(status)
	}
}

// DropConnections ends all connections; clients may connect again.
func (n *Node) DropConnections() {
	n.mu.Lock()
	clear(n.watchers)
	clear(n.heads)
	n.mu.Unlock()
	n.rpc.drop()
}

// Confirmation is the event by which a worker confirms a block.
func Confirmation(shard integritee.ShardID, number header.Number, hash Hash) Event {
	return Event{Name: "EnclaveBridge.ProcessedParentchainBlock",
		Fields: integritee.EventProcessedParentchainBlock{Shard: shard, BlockHash: hash, BlockNumber: number}}
}

// Failure is the event of an extrinsic whose dispatch failed with error number
// code of a pallet.
func Failure(i int, pallet, code uint8) Event {
	return Event{Extrinsic: i, Name: "System.ExtrinsicFailed", Fields: failed{
		DispatchError: system.DispatchError{Module: &system.ModuleError{Index: pallet, Code: [4]byte{code}}}}}
}

// canonical returns the hash of block number on the best chain.
func (n *Node) canonical(number header.Number) (Hash, bool) {
	for hash := n.best; ; {
		b := n.blocks[hash]
		if b.header.Number == number {
			return hash, true
		}
		if b.header.Number < number {
			return Hash{}, false
		}
		hash = b.header.ParentHash
	}
}

// at returns the block of an optional hash parameter.
func (n *Node) at(hash *Hash) (*block, bool) {
	if hash == nil {
		hash = &n.best
	}
	b, ok := n.blocks[*hash]
	return b, ok
}

// locked serves a method whose only parameter is an optional block hash.
func (n *Node) locked(f func(b *block) any) rpcserver.Handler {
	return func(_ context.Context, params json.RawMessage) (any, error) {
		var hash *Hash
		if err := rpcserver.Params(params, 0, &hash); err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		b, ok := n.at(hash)
		if !ok {
			return nil, nil
		}
		return f(b), nil
	}
}

func (n *Node) register(rpc *rpcserver.Server, meta []byte) {
	rpc.Handle("chain_getBlockHash", func(_ context.Context, params json.RawMessage) (any, error) {
		var number header.Number
		if err := rpcserver.Params(params, 1, &number); err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if hash, ok := n.canonical(number); ok {
			return hash, nil
		}
		return nil, nil
	})
	rpc.Handle("chain_getHeader", n.locked(func(b *block) any { return b.header }))
	rpc.Handle("chain_getFinalizedHead", n.locked(func(*block) any { return n.final }))
	rpc.Handle("chain_getBlock", n.locked(func(b *block) any {
		list := make([]string, len(b.extrinsics))
		for i, raw := range b.extrinsics {
			list[i] = toHex(raw)
		}
		return map[string]any{"block": map[string]any{"header": b.header, "extrinsics": list}, "justifications": nil}
	}))
	rpc.Handle("state_getRuntimeVersion", n.locked(func(*block) any {
		return map[string]any{"specName": "fake", "specVersion": 1, "transactionVersion": 1}
	}))
	rpc.Handle("state_getMetadata", n.locked(func(*block) any { return toHex(meta) }))
	rpc.Handle("state_getStorage", func(_ context.Context, params json.RawMessage) (any, error) {
		var key string
		var hash *Hash
		if err := rpcserver.Params(params, 1, &key, &hash); err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		b, ok := n.at(hash)
		k, err := hex.DecodeString(strings.TrimPrefix(key, "0x"))
		switch {
		case !ok || err != nil:
			return nil, rpcserver.InvalidParams("key or block")
		case string(k) == string(hashing.StoragePrefix("System", "Events")):
			return toHex(b.events), nil
		}
		if v, ok := n.storage[string(k)]; ok {
			return toHex(v), nil
		}
		return nil, nil
	})
	rpc.Handle("state_getKeysPaged", func(_ context.Context, params json.RawMessage) (any, error) {
		var prefix string
		var count int
		var start *string
		var hash *Hash
		if err := rpcserver.Params(params, 2, &prefix, &count, &start, &hash); err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		keys := []string{}
		for k := range n.storage {
			if h := toHex([]byte(k)); strings.HasPrefix(h, prefix) && (start == nil || h > *start) {
				keys = append(keys, h)
			}
		}
		slices.Sort(keys)
		return keys[:min(count, len(keys))], nil
	})
	rpc.Handle("system_accountNextIndex", func(_ context.Context, params json.RawMessage) (any, error) {
		var who keyring.AccountID
		if err := rpcserver.Params(params, 1, &who); err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.nonces[who], nil
	})
	rpc.Subscribe("author_submitAndWatchExtrinsic", "author_unwatchExtrinsic", "author_extrinsicUpdate",
		func(ctx context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
			var text string
			if err := rpcserver.Params(params, 1, &text); err != nil {
				return err
			}
			raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
			if err != nil {
				return rpcserver.InvalidParams("hex")
			}
			n.mu.Lock()
			refuse := n.submit
			n.mu.Unlock()
			if refuse != nil {
				if e := refuse(ctx, raw); e != nil {
					return e
				}
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			n.watchers[extrinsic.Hash(raw)] = append(n.watchers[extrinsic.Hash(raw)], sub)
			if x, err := extrinsic.Decode(raw, n.Meta); err == nil && x.Signed != nil && x.Signed.Signer != nil {
				n.nonces[*x.Signed.Signer] = max(n.nonces[*x.Signed.Signer], x.Signed.Nonce+1)
			}
			sub.Notify("ready")
			n.submitted <- raw
			return nil
		})
	for kind, name := range map[string]string{"new": "New", "finalized": "Finalized"} {
		notification := "chain_" + kind + "Head"
		rpc.Subscribe("chain_subscribe"+name+"Heads", "chain_unsubscribe"+name+"Heads", notification,
			func(_ context.Context, _ json.RawMessage, sub *rpcserver.Subscription) error {
				n.mu.Lock()
				defer n.mu.Unlock()
				head := n.best
				if kind == "finalized" {
					head = n.final
				}
				sub.Notify(n.blocks[head].header)
				n.heads[kind] = append(n.heads[kind], sub)
				return nil
			})
	}
}

func toHex(b []byte) string { return "0x" + hex.EncodeToString(b) }

// Run makes the node go by itself until the test ends: whatever is submitted
// comes into a final block, which the next one confirms for the shard.
func (n *Node) Run(shard integritee.ShardID) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tip := n.genesis; ; {
			select {
			case raw := <-n.submitted:
				at := n.Block(tip, [][]byte{raw})
				n.Finalize(at)
				n.mu.Lock()
				number := n.blocks[at].header.Number
				n.mu.Unlock()
				tip = n.Block(at, nil, Confirmation(shard, number, at))
				n.Finalize(tip)
			case <-ctx.Done():
				return
			}
		}
	}()
	n.t.Cleanup(func() {
		cancel()
		<-done
	})
}
