package devchain

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

func (r rpc) registerChain(s *rpcserver.Server) {
	s.Handle("chain_getHeader", call(0, func(hash *hashing.Hash) (any, error) {
		// Unlike state methods, these answer null for an unknown block.
		if b := r.find(hash); b != nil {
			return b.Header, nil
		}
		return nil, nil
	}))
	s.Handle("chain_getBlock", call(0, func(hash *hashing.Hash) (any, error) {
		if b := r.find(hash); b != nil && !b.pruned.body {
			return signedBlock(b), nil
		}
		return nil, nil
	}))
	for _, name := range []string{"chain_getBlockHash", "chain_getHead"} {
		s.Handle(name, call(0, r.blockHash))
	}
	for _, name := range []string{"chain_getFinalizedHead", "chain_getFinalisedHead"} {
		s.Handle(name, call0(func() (any, error) { return r.Final().Hash, nil }))
	}
	// By default all blocks are final at once, so that these see the same, each
	// without gaps. Blocks of a fork are told once it is the best chain.
	for _, n := range [][3]string{
		{"chain_subscribeNewHeads", "chain_unsubscribeNewHeads", "chain_newHead"},
		{"chain_subscribeNewHead", "chain_unsubscribeNewHead", "chain_newHead"},
		{"chain_subscribeAllHeads", "chain_unsubscribeAllHeads", "chain_allHead"},
		{"chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads", "chain_finalizedHead"},
		{"chain_subscribeFinalisedHeads", "chain_unsubscribeFinalisedHeads", "chain_finalizedHead"},
	} {
		s.Subscribe(n[0], n[1], n[2], func(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
			if err := rpcserver.Params(params, 0); err != nil {
				return err
			}
			if tell := func(b *Block) bool { return sub.Notify(b.Header) }; n[2] == "chain_finalizedHead" {
				r.followFinal(sub, r.Final().Number(), tell)
			} else {
				r.followBest(sub, tell)
			}
			return nil
		})
	}
}

// followFinal calls f with every final block from number first on, in order,
// until f returns false or the subscription ends.
func (r rpc) followFinal(sub *rpcserver.Subscription, first header.Number, f func(*Block) bool) {
	sub.Run(func(ctx context.Context) {
		for n := first; ; n++ {
			b, err := r.WaitFinal(ctx, n)
			if err != nil || !f(b) {
				return
			}
		}
	})
}

// followBest calls f with the best block and every later one, in order, until f
// returns false or the subscription ends. When another fork becomes the best
// chain, its blocks follow from where it branches off.
func (r rpc) followBest(sub *rpcserver.Subscription, f func(*Block) bool) {
	best, _, changed := r.heads()
	sub.Run(func(ctx context.Context) {
		if !f(best) {
			return
		}
		for {
			if r.wait(ctx, changed) != nil {
				return
			}
			last := best
			best, _, changed = r.heads()
			for _, b := range r.path(last, best) {
				if !f(b) {
					return
				}
			}
		}
	})
}

// find is at without an error for an unknown block.
func (r rpc) find(hash *hashing.Hash) *Block {
	if hash == nil {
		return r.Best()
	}
	return r.BlockByHash(*hash)
}

type signedBlockJSON struct {
	Block struct {
		Header     header.Header `json:"header"`
		Extrinsics []hexBytes    `json:"extrinsics"`
	} `json:"block"`
	Justifications [][2]byteArray `json:"justifications"` // null if there are none
}

// byteArray is a byte string as an array of numbers.
type byteArray []byte

// MarshalJSON writes [1,2,…].
func (b byteArray) MarshalJSON() ([]byte, error) {
	numbers := make([]uint16, len(b))
	for i, v := range b {
		numbers[i] = uint16(v)
	}
	return json.Marshal(numbers)
}

func signedBlock(b *Block) signedBlockJSON {
	var j signedBlockJSON
	j.Block.Header, j.Block.Extrinsics = b.Header, hexList(b.Extrinsics)
	if b.Justification != nil {
		j.Justifications = [][2]byteArray{{header.EngineGrandpa[:], b.Justification}}
	}
	return j
}

// blockHash takes nothing, a number or a list of numbers.
func (r rpc) blockHash(arg *json.RawMessage) (any, error) {
	if arg == nil {
		return r.Best().Hash, nil
	}
	if bytes.HasPrefix(*arg, []byte("[")) {
		var numbers []numberParam
		if err := json.Unmarshal(*arg, &numbers); err != nil {
			return nil, rpcserver.InvalidParams("want block numbers")
		}
		out := make([]*hashing.Hash, len(numbers))
		for i, n := range numbers {
			out[i] = r.hashOf(n)
		}
		return out, nil
	}
	var n numberParam
	if err := json.Unmarshal(*arg, &n); err != nil {
		return nil, rpcserver.InvalidParams("want a block number")
	}
	return r.hashOf(n), nil
}

func (r rpc) hashOf(p numberParam) *hashing.Hash {
	if p.empty {
		return &r.Best().Hash
	}
	if p.huge {
		return nil
	}
	if b := r.Block(p.n); b != nil {
		return &b.Hash
	}
	return nil
}
