package devchain

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
)

const (
	// nodeVersion is what system_version says of the node's interface.
	nodeVersion = "1.0.0"
	// A peer id of the right form, of nobody: the dev chain has no network.
	peerID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	// maxNewBlocks bounds dev_newBlock.
	maxNewBlocks = 1000
)

var properties = map[string]any{"ss58Format": runtime.SS58Prefix, "tokenDecimals": runtime.TokenDecimals, "tokenSymbol": runtime.TokenSymbol}

// name returns the chain's name.
func (r rpc) name() string {
	switch r.Best().rt.Role() {
	case runtime.Relay:
		return "OCW Development Relay"
	case runtime.Para:
		return "OCW Development Parachain"
	}
	return "OCW Development"
}

func (r rpc) registerSystem(s *rpcserver.Server) {
	for name, value := range map[string]any{
		"system_chain":                r.name(),
		"system_name":                 runtime.ImplName,
		"system_version":              nodeVersion,
		"system_chainType":            "Development",
		"system_properties":           properties,
		"system_health":               map[string]any{"peers": 0, "isSyncing": false, "shouldHavePeers": false},
		"system_localPeerId":          peerID,
		"system_localListenAddresses": []string{},
		"system_nodeRoles":            []string{"Authority"},
		"system_peers":                []string{},
	} {
		s.Handle(name, call0(func() (any, error) { return value, nil }))
	}
	s.Handle("system_syncState", call0(func() (any, error) {
		n := r.Best().Number()
		return map[string]any{"startingBlock": 0, "currentBlock": n, "highestBlock": n}, nil
	}))
	// As chopsticks has it, for tests that drive the chain.
	s.Handle("dev_newBlock", func(ctx context.Context, params json.RawMessage) (any, error) {
		args := struct{ Count uint32 }{1}
		if err := rpcserver.Params(params, 0, &args); err != nil {
			return nil, err
		}
		if args.Count > maxNewBlocks {
			return nil, rpcserver.InvalidParams("%d blocks, at most %d", args.Count, maxNewBlocks)
		}
		hash := r.Best().Hash
		for range args.Count {
			var err error
			if hash, err = r.Seal(ctx); err != nil {
				return nil, err
			}
		}
		return hash, nil
	})
}

func (r rpc) registerGrandpa(s *rpcserver.Server) {
	s.Handle("grandpa_proveFinality", call(1, func(n numberParam) (any, error) {
		if n.empty {
			return nil, rpcserver.InvalidParams("parameter 0 is missing")
		}
		if n.huge {
			return nil, &rpcserver.Error{Code: codeProveFinality, Message: errNotFinal.Error()}
		}
		p, err := r.ProveFinality(n.n)
		if err != nil {
			return nil, &rpcserver.Error{Code: codeProveFinality, Message: err.Error()}
		}
		return hexBytes(p.AppendSCALE(nil)), nil
	}))
	s.Handle("grandpa_roundState", call0(func() (any, error) {
		b := r.Final()
		set, id := r.authorities(b)
		threshold := len(set) - (len(set)-1)/3
		votes := map[string]any{"currentWeight": 0, "missing": []string{}}
		return map[string]any{"setId": id, "best": map[string]any{"round": b.Number() + 1, "totalWeight": len(set), "thresholdWeight": threshold,
			"prevotes": votes, "precommits": votes}, "background": []any{}}, nil
	}))
	s.Subscribe("grandpa_subscribeJustifications", "grandpa_unsubscribeJustifications", "grandpa_justifications",
		func(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
			if err := rpcserver.Params(params, 0); err != nil {
				return err
			}
			// Unlike heads, only what comes.
			r.followFinal(sub, r.Final().Number()+1, func(b *Block) bool {
				return b.Justification == nil || sub.Notify(hexBytes(b.Justification))
			})
			return nil
		})
}

// text formats a number for an error message.
func text(n uint32) string { return fmt.Sprint(n) }

// hexNumber writes a number as 0x and hex digits, big-endian, without zeros in
// front.
func hexNumber(v scale.U128) string {
	if v.IsZero() {
		return "0x0"
	}
	return "0x" + strings.TrimLeft(hex.EncodeToString(v.Big().Bytes()), "0")
}
