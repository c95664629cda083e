package worker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// nodeAttack is an attack by what the node answers, or does not answer, to
// calls of a worker that has just connected.
type nodeAttack struct {
	attack
	lie func(s *scene) func(method string, params json.RawMessage) any
	// anew is for a lie that is told to who connects anew; idle also has the
	// chain make no block.
	anew, idle bool
}

// only answers one method.
func only(method string, answer any) func(*scene) func(string, json.RawMessage) any {
	return func(*scene) func(string, json.RawMessage) any {
		return func(m string, _ json.RawMessage) any {
			if m == method {
				return answer
			}
			return nil
		}
	}
}

var (
	null       = json.RawMessage("null")
	pruned     = refused("parentchain.ErrStateUnavailable", parentchain.ErrStateUnavailable)
	anError    = refusedAs[*rpcclient.Error]("rpcclient.Error")
	notFinal   = refused("parentchain.ErrNotFinal", parentchain.ErrNotFinal)
	otherChain = refused("errOtherChain", errOtherChain)
	otherFork  = refused("errOtherFork", errOtherFork)
)

// later passes calls for blocks up to the victim's on.
func later(s *scene, params json.RawMessage) bool {
	var list []header.Number
	return json.Unmarshal(params, &list) == nil && len(list) == 1 && list[0] > s.victim.Status().Number
}

func nodeAttacks() []nodeAttack {
	forSome := func(method string, which func(*scene, json.RawMessage) bool, answer any) func(*scene) func(string, json.RawMessage) any {
		return func(s *scene) func(string, json.RawMessage) any {
			return func(m string, params json.RawMessage) any {
				if m == method && which(s, params) {
					return answer
				}
				return nil
			}
		}
	}
	return []nodeAttack{
		{attack: attack{"withheld block", "calls a block final and does not know its hash", notFound}, lie: forSome("chain_getBlockHash", later, null)},
		{attack: attack{"withheld body", "does not serve the block", notFound}, lie: only("chain_getBlock", null)},
		{attack: attack{"connection cut", "hangs up when asked for a block", notServed}, lie: only("chain_getBlock", hangUp{})},
		{attack: attack{"silence", "never answers", notServed}, lie: only("chain_getBlock", silence{})},
		{attack: attack{"error for an answer", "answers with an error", anError}, lie: only("chain_getBlock", rawReply(`"error":{"code":-32000,"message":"no"}`))},
		{attack: attack{"garbage", "sends what is no JSON", either(nonsense, notServed)}, lie: only("chain_getBlock", rawFrame("}{"))},
		{attack: attack{"answer to another question", "answers under another id", either(nonsense, notServed)}, lie: only("chain_getBlock", rawFrame(`{"jsonrpc":"2.0","id":987654321,"result":null}`))},
		{attack: attack{"a number for a block", "answers with another type", nonsense}, lie: only("chain_getBlock", 7)},
		{attack: attack{"a hash of 31 bytes", "answers with a hash that is too short", nonsense}, lie: forSome("chain_getBlockHash", later, "0x"+hexOf(make([]byte, 31)))},
		{attack: attack{"hex that is none", "answers with extrinsics that are no hex", nonsense}, lie: only("chain_getBlock", json.RawMessage(`{"block":{"header":{"parentHash":"0xzz"}}}`))},
		{attack: attack{"oversized answer", "sends more than an answer may have", notServed}, lie: only("chain_getBlock", make([]int, 1<<20))},
		{attack: attack{"state forgotten", "serves the block and not its state", pruned}, lie: only("state_getReadProof", rawReply(`"error":{"code":4003,"message":"Client error: UnknownBlock: State already discarded"}`))},
		{idle: true, attack: attack{"a head far ahead", "calls a block final that is not there yet", notFound}, lie: func(s *scene) func(string, json.RawMessage) any {
			far := header.Header{Number: 1 << 30}
			return func(m string, params json.RawMessage) any {
				var list []hashing.Hash
				json.Unmarshal(params, &list)
				switch {
				case m == "chain_getFinalizedHead":
					return far.Hash()
				case m == "chain_getHeader" && len(list) == 1 && list[0] == far.Hash():
					return far
				}
				return nil
			}
		}},
		{anew: true, attack: attack{"header of the head exchanged", "serves another header for the final hash", nonsense}, lie: only("chain_getHeader", header.Header{Number: 1 << 20})},
		{anew: true, attack: attack{"another genesis", "is of another chain", otherChain}, lie: forSome("chain_getBlockHash", func(_ *scene, params json.RawMessage) bool { return string(params) == "[0]" }, hashing.Hash{7})},
		{anew: true, attack: attack{"another fork", "has another block at the height that is committed", otherFork}, lie: forSome("chain_getBlockHash", func(s *scene, params json.RawMessage) bool {
			var list []header.Number
			return json.Unmarshal(params, &list) == nil && len(list) == 1 && list[0] == s.victim.Status().Number
		}, hashing.Hash{7})},
		{attack: attack{"malformed finality proof", "answers bytes that are no proof", nonsense}, lie: func(s *scene) func(string, json.RawMessage) any {
			f := s.forger(func(_ *scene, f *forgery) { f.withhold = true })
			return func(m string, params json.RawMessage) any {
				if m == "grandpa_proveFinality" {
					return "0x0102"
				}
				return f.answer(m, params)
			}
		}},
		{attack: attack{"withheld finality", "calls blocks final and never proves it", notFinal}, lie: func(s *scene) func(string, json.RawMessage) any {
			f := s.forger(func(_ *scene, f *forgery) { f.withhold = true })
			return func(m string, params json.RawMessage) any {
				if m == "grandpa_proveFinality" {
					return null
				}
				return f.answer(m, params)
			}
		}},
	}
}

func TestLyingNodes(t *testing.T) {
	t.Parallel()
	s := newScene(t, devchain.Config{}, func(c *Config) {
		c.endpoints.RPC = rpcclient.Options{ReadLimit: 1 << 20, CallTimeout: time.Second}
	})
	for _, a := range nodeAttacks() {
		t.Run(a.name, func(t *testing.T) {
			s.quiet()
			lie := a.lie(s)
			s.attackWith(t, a.attack, lie, func() {
				if a.anew || a.idle {
					s.victim.node.Reset()
				}
				if !a.idle {
					s.tempt()
				}
			})
		})
	}
}
