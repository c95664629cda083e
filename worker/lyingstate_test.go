package worker

import (
	"bytes"
	"slices"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/trie"
)

var (
	incomplete = refused("trie.ErrIncomplete", trie.ErrIncomplete)
	unusedItem = refused("trie.ErrUnused", trie.ErrUnused)
	twice      = refused("trie.ErrDuplicate", trie.ErrDuplicate)
)

var systemEvents = hashing.StoragePrefix("System", "Events")

// proof is an attack by a read proof whose items are changed.
func proof(name, lie string, want refusal, change func(items [][]byte) [][]byte) chainAttack {
	return chainAttack{attack{name, lie, want}, func(_ *scene, f *forgery) {
		f.proof = func(items [][]byte) [][]byte { return change(slices.Clone(items)) }
	}}
}

// forged is an attack by a read proof of a state of the host's own making.
func forged(name, lie string, change func(s *scene, state trie.Trie) trie.Trie) chainAttack {
	return chainAttack{attack{name, lie, incomplete}, func(s *scene, f *forgery) { f.reading = change(s, f.reading) }}
}

// longestItem returns the position of the longest item.
func longestItem(items [][]byte) int {
	return slices.IndexFunc(items, func(b []byte) bool {
		return len(b) == len(slices.MaxFunc(items, func(a, b []byte) int { return len(a) - len(b) }))
	})
}

// events changes the encoded events of a state.
func events(s *scene, state trie.Trie, change func([]byte) []byte) trie.Trie {
	old, ok := state.Get(systemEvents)
	if !ok {
		s.t.Error("no events")
	}
	changed := change(slices.Clone(old))
	if bytes.Equal(changed, old) {
		s.t.Error("the events were not changed")
	}
	return state.Set(systemEvents, changed)
}

func stateAttacks() []chainAttack {
	other := hashing.StoragePrefix("Timestamp", "Now")
	return []chainAttack{
		proof("truncated proof", "leaves an item of a read proof out", incomplete, func(items [][]byte) [][]byte { return items[:len(items)-1] }),
		proof("no proof", "serves an empty read proof", incomplete, func([][]byte) [][]byte { return nil }),
		proof("padded proof", "adds an item that proves nothing", unusedItem, func(items [][]byte) [][]byte { return append(items, make([]byte, 40)) }),
		proof("doubled item", "serves an item of a read proof twice", twice, func(items [][]byte) [][]byte { return append(items, items[0]) }),
		proof("flipped item", "flips a bit of a read proof", incomplete, func(items [][]byte) [][]byte {
			i := longestItem(items)
			b := slices.Clone(items[i])
			b[len(b)/2] ^= 1
			items[i] = b
			return items
		}),
		proof("cut item", "cuts the end of an item off", incomplete, func(items [][]byte) [][]byte {
			i := longestItem(items)
			items[i] = items[i][:len(items[i])-1]
			return items
		}),
		{attack{"over-complete proof", "proves a key that was not asked for", unusedItem}, func(s *scene, f *forgery) {
			more := f.State.Prove(trie.V1, []byte(":code"))
			f.proof = func(items [][]byte) [][]byte {
				for _, item := range more {
					if !slices.ContainsFunc(items, func(b []byte) bool { return bytes.Equal(b, item) }) {
						items = append(items, item)
					}
				}
				return items
			}
		}},
		{attack{"proof of another key", "proves the timestamp instead of the events", incomplete}, func(_ *scene, f *forgery) {
			items := f.State.Prove(trie.V1, other)
			f.proof = func([][]byte) [][]byte { return items }
		}},
		{attack{"proof of the block before", "proves the events of the block before", incomplete}, func(s *scene, f *forgery) {
			f.reading = s.chain.Block(f.Header.Number - 1).State
		}},
		{attack{"proof said to be of another block", "answers with the proof of another block's state", nonsense}, func(s *scene, f *forgery) {
			f.proofAt = ptr(s.chain.Genesis())
		}},
		{attack{"proof of a state of his own", "changes state root, events and header alike", byTarget}, func(s *scene, f *forgery) {
			f.reading = events(s, f.reading, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
			f.Header.StateRoot = f.reading.Root(trie.V1)
			f.rehash()
		}},
		forged("flipped event status", "turns a call's success into a failure", func(s *scene, state trie.Trie) trie.Trie {
			m := s.chain.Best().Runtime().Metadata
			success, _ := m.EventIndex("System", "ExtrinsicSuccess")
			failed, _ := m.EventIndex("System", "ExtrinsicFailed")
			return events(s, state, func(b []byte) []byte {
				i := bytes.LastIndex(b, append([]byte{1, 0, 0, 0}, success[:]...))
				copy(b[i+4:], failed[:])
				return b
			})
		}),
		forged("dropped events", "serves no events", func(s *scene, state trie.Trie) trie.Trie {
			return events(s, state, func([]byte) []byte { return []byte{0} })
		}),
		forged("events proven absent", "proves that there are none, in a state of his own", func(_ *scene, state trie.Trie) trie.Trie {
			return state.Delete(systemEvents)
		}),
		forged("added event", "adds a shielding that nobody made", func(s *scene, state trie.Trie) trie.Trie {
			m := s.chain.Best().Runtime().Metadata
			index, _ := m.EventIndex("EnclaveBridge", "ShieldFunds")
			record := scale.MustMarshal(struct {
				Phase [5]byte
				Index [2]byte
				Event integritee.EventShieldFunds
				Topic []hashing.Hash
			}{[5]byte{0, 1}, index, integritee.EventShieldFunds{Shard: s.shard(), EncryptedBeneficiary: make([]byte, 384), Amount: amount(1000 * unit)}, nil})
			return events(s, state, func(b []byte) []byte {
				b[0] += 4 // one more record
				return append(b, record...)
			})
		}),
		forged("raised amount", "changes the last event's bytes", func(s *scene, state trie.Trie) trie.Trie {
			return events(s, state, func(b []byte) []byte { b[len(b)-8] ^= 0xff; return b })
		}),
		forged("forged shard configuration", "has another program in force for the shard", func(s *scene, state trie.Trie) trie.Trie {
			key := enclave.RequiredKeys(s.shard(), 0)[0]
			config := integritee.UpgradableShardConfig{ActiveConfig: integritee.ShardConfig{EnclaveFingerprint: integritee.Fingerprint{1}}}
			return state.Set(key, scale.MustMarshal(config))
		}),
		forged("shard configuration proven absent", "hides the configuration of the shard", func(s *scene, state trie.Trie) trie.Trie {
			return state.Delete(enclave.RequiredKeys(s.shard(), 0)[0])
		}),
	}
}
