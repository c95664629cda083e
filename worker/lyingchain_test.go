package worker

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// chainAttack is an attack by forged blocks: the host serves, in place of the
// next block, what forge makes of it.
type chainAttack struct {
	attack
	forge func(s *scene, f *forgery)
}

// forgery is what a host says of one block. It begins as the truth.
type forgery struct {
	devchain.Block
	real    *devchain.Block
	reading trie.Trie // what read proofs are made of; begins as the block's state
	// proof changes the items of read proofs; nil leaves them.
	proof func(items [][]byte) [][]byte
	// served is what is served under the block's hash; begins as the header.
	served *header.Header
	// finality is what grandpa_proveFinality answers; nil is the justification.
	finality *grandpa.FinalityProof
	// withhold has the block come without justification.
	withhold bool
	proofAt  *hashing.Hash // the block of which the read proof is said to be
}

// rehash makes the block's hash that of its header.
func (f *forgery) rehash() { f.Hash = f.Header.Hash() }

// forger is a host that forges all blocks after one.
type forger struct {
	s     *scene
	from  header.Number
	forge func(s *scene, f *forgery)

	mu     sync.Mutex
	made   map[header.Number]*forgery
	byHash map[hashing.Hash]*forgery
}

func (s *scene) forger(forge func(*scene, *forgery)) *forger {
	return &forger{s: s, from: s.chain.Best().Number(), forge: forge, made: map[header.Number]*forgery{}, byHash: map[hashing.Hash]*forgery{}}
}

// at returns the forgery of a block that the chain has.
func (f *forger) at(n header.Number) *forgery {
	b := f.s.chain.Block(n)
	if n <= f.from || b == nil || n > f.s.chain.Final().Number() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.made[n]; m != nil {
		return m
	}
	m := &forgery{Block: *b, real: b, reading: b.State}
	h := b.Header
	h.Digest = append([]header.DigestItem{}, h.Digest...)
	m.Header = h
	m.Extrinsics = append([][]byte{}, b.Extrinsics...)
	f.forge(f.s, m)
	f.made[n], f.byHash[m.Hash] = m, m
	return m
}

func (f *forger) find(hash hashing.Hash) *forgery {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byHash[hash]
}

// answer is the host's answer to a call, nil for the truth.
func (f *forger) answer(method string, params json.RawMessage) any {
	var list []json.RawMessage
	json.Unmarshal(params, &list)
	var n header.Number
	var hash hashing.Hash
	if len(list) > 0 {
		json.Unmarshal(list[0], &n)
		json.Unmarshal(list[len(list)-1], &hash)
	}
	switch method {
	case "chain_getBlockHash":
		if m := f.at(n); m != nil {
			return m.Hash
		}
	case "grandpa_proveFinality":
		if m := f.at(n); m != nil {
			p := m.finality
			if p == nil {
				p = &grandpa.FinalityProof{Block: m.Hash, Justification: m.Justification}
			}
			return "0x" + hexOf(p.AppendSCALE(nil))
		}
	case "chain_getHeader":
		if m := f.find(hash); m != nil {
			return m.header()
		}
	case "chain_getBlock":
		if m := f.find(hash); m != nil {
			return m.json()
		}
	case "state_getReadProof":
		m := f.find(hash)
		var keys []string
		if m == nil || json.Unmarshal(list[0], &keys) != nil {
			return nil
		}
		raw := make([][]byte, len(keys))
		for i, k := range keys {
			raw[i] = unhex(k)
		}
		items := m.reading.Prove(trie.V1, raw...)
		if m.proof != nil {
			items = m.proof(items)
		}
		at := m.Hash
		if m.proofAt != nil {
			at = *m.proofAt
		}
		return map[string]any{"at": at, "proof": hexes(items)}
	}
	return nil
}

func (f *forgery) header() header.Header {
	if f.served != nil {
		return *f.served
	}
	return f.Header
}

func (f *forgery) json() any {
	out := map[string]any{"block": map[string]any{"header": f.header(), "extrinsics": hexes(f.Extrinsics)}, "justifications": nil}
	if f.Justification != nil && !f.withhold {
		numbers := func(b []byte) []int {
			list := make([]int, len(b))
			for i := range b {
				list[i] = int(b[i])
			}
			return list
		}
		out["justifications"] = [][2][]int{{numbers(header.EngineGrandpa[:]), numbers(f.Justification)}}
	}
	return out
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		panic(err)
	}
	return b
}

func hexes(list [][]byte) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = "0x" + hexOf(b)
	}
	return out
}

// runChainAttacks runs attacks by forged blocks on one network.
func runChainAttacks(t *testing.T, attacks []chainAttack) {
	t.Parallel()
	s := newScene(t, devchain.Config{Authorities: 4})
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			s.quiet()
			s.attack(t, a.attack, s.forger(a.forge).answer)
		})
	}
}

func TestLyingBlocks(t *testing.T)   { runChainAttacks(t, blockAttacks()) }
func TestLyingFinality(t *testing.T) { runChainAttacks(t, voteAttacks()) }
func TestLyingState(t *testing.T)    { runChainAttacks(t, stateAttacks()) }
